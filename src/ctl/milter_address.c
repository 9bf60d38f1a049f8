/*
 * Names of listeners. Ours are unix:/path, inet:PORT@HOST and inet6:PORT@HOST; Postfix's are
 * unix:path, from its queue directory on unless the path begins with a slash, and inet:HOST:PORT.
 * Inside a chroot every path begins at the queue directory. Two names are the same where they lead
 * to the same place: folders are looked up, and host names too where the ports are equal.
 */
#include "ctl/milter_address.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "ctl/words.h"

/* text behind a prefix, or NULL. */
static const char *after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncasecmp(text, prefix, length) == 0 ? text + length : NULL;
}

const char *listen_path(const char *listen)
{
    return after(listen, "unix:");
}

bool listen_host_port(const char *listen, char **host, char **port)
{
    const char *at = strchr(listen, ':');
    size_t length = at != NULL ? strcspn(at + 1, "@") : 0;
    *host = *port = NULL;
    if (at != NULL) {
        *port = strndup(at + 1, length);
        *host = strdup(at[1 + length] == '@' ? at + 2 + length : "");
    }
    if (*host == NULL || *port == NULL) {
        free(*host);
        free(*port);
        *host = *port = NULL;
    }
    return *host != NULL;
}

const char *path_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    while (length > 0 && folder[length - 1] == '/') {
        length--;
    }
    if (length == 0 || strncmp(path, folder, length) != 0 || path[length] != '/') {
        return NULL;
    }
    path += length;
    return path + strspn(path, "/");
}

const char *listen_reachable(const char *host)
{
    if (strcmp(host, "") == 0 || strcmp(host, "0.0.0.0") == 0) {
        return "127.0.0.1";
    }
    return strcmp(host, "::") == 0 ? "::1" : host;
}

static char *inet_name(const char *listen)
{
    char *host;
    char *port;
    char *name = NULL;
    if (!listen_host_port(listen, &host, &port)) {
        return NULL;
    }
    const char *target = listen_reachable(host);
    bool v6 = strchr(target, ':') != NULL;
    if (asprintf(&name, "inet:%s%s%s:%s", v6 ? "[" : "", target, v6 ? "]" : "", port) < 0) {
        name = NULL;
    }
    free(host);
    free(port);
    return name;
}

char *milter_name(const char *listen, const char *queue_directory)
{
    const char *path = listen_path(listen);
    char *name = NULL;
    if (path == NULL) {
        return inet_name(listen);
    }
    const char *below = path_below(path, queue_directory);
    return asprintf(&name, "unix:%s", below != NULL ? below : path) < 0 ? NULL : name;
}

/* Each run of slashes becomes one. */
static void squeeze_slashes(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0'; from++) {
        if (from[0] != '/' || from[1] != '/') {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* The path with its folder looked up, where there is such a folder. NULL: no memory. */
static char *canonical_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    char *real = folder != NULL ? realpath(folder, NULL) : NULL;
    char *out = NULL;
    if (real == NULL) {
        out = strdup(path);
    } else if (asprintf(&out, "%s/%s", real, slash != NULL ? slash + 1 : path) < 0) {
        out = NULL;
    }
    if (out != NULL) {
        squeeze_slashes(out);
    }
    free(folder);
    free(real);
    return out;
}

static bool path_leads(const char *path, const char *ours, const char *queue_directory, bool chroot)
{
    char *full = NULL;
    if (path[0] == '/' && !chroot) {
        full = strdup(path);
    } else if (asprintf(&full, "%s/%s", queue_directory, path) < 0) {
        full = NULL;
    }
    char *a = full != NULL ? canonical_path(full) : NULL;
    char *b = canonical_path(ours);
    bool same = a != NULL && b != NULL && strcmp(a, b) == 0;
    free(full);
    free(a);
    free(b);
    return same;
}

static struct addrinfo *look_up(const char *host, const char *port, bool passive)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = passive ? AI_PASSIVE : 0};
    return getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &found) == 0 ? found : NULL;
}

static bool share_address(const struct addrinfo *a, const struct addrinfo *b)
{
    for (; a != NULL; a = a->ai_next) {
        for (const struct addrinfo *other = b; other != NULL; other = other->ai_next) {
            if (a->ai_addrlen == other->ai_addrlen &&
                memcmp(a->ai_addr, other->ai_addr, a->ai_addrlen) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Whether two hosts, at the same port, are one. */
static bool same_host(const char *theirs, const char *ours, const char *port)
{
    const char *target = listen_reachable(ours);
    if (strcasecmp(theirs, target) == 0 || strcasecmp(theirs, ours) == 0) {
        return true;
    }
    struct addrinfo *a = look_up(theirs, port, false);
    struct addrinfo *b = look_up(target, port, false);
    bool same = share_address(a, b);
    if (a != NULL) {
        freeaddrinfo(a);
    }
    if (b != NULL) {
        freeaddrinfo(b);
    }
    return same;
}

/* The number of a port or service; 0: unknown. */
static unsigned port_number(const char *port)
{
    struct addrinfo *found = look_up("127.0.0.1", port, false);
    char number[NI_MAXSERV] = "0";
    if (found != NULL) {
        (void)getnameinfo(found->ai_addr, found->ai_addrlen, NULL, 0, number, sizeof number,
                          NI_NUMERICSERV);
        freeaddrinfo(found);
    }
    return (unsigned)strtoul(number, NULL, 10);
}

static bool inet_leads(const char *name, const char *listen)
{
    bool same = false;
    char *host;
    char *port;
    const char *colon = strrchr(name, ':');
    if (colon == NULL || !listen_host_port(listen, &host, &port)) {
        return false;
    }
    bool brackets = name[0] == '[' && colon > name + 1 && colon[-1] == ']';
    char *theirs = brackets ? strndup(name + 1, (size_t)(colon - name) - 2)
                            : strndup(name, (size_t)(colon - name));
    unsigned number = port_number(port);
    if (theirs != NULL && number != 0 && port_number(colon + 1) == number) {
        same = same_host(theirs, host, port);
    }
    free(theirs);
    free(host);
    free(port);
    return same;
}

bool milter_name_leads(const char *name, const char *listen, const char *queue_directory,
                       bool chroot)
{
    const char *ours = listen_path(listen);
    const char *path = after(name, "unix:");
    const char *host = after(name, "inet:");
    path = path != NULL ? path : after(name, "local:");
    if (ours != NULL) {
        return path != NULL && path_leads(path, ours, queue_directory, chroot);
    }
    return host != NULL && inet_leads(host, listen);
}

/* The item without braces, split. False: no memory. */
static bool item_split(const char *item, struct words *out)
{
    size_t length = strlen(item);
    if (length < 2 || item[0] != '{' || item[length - 1] != '}') {
        return words_add(out, item);
    }
    char *inner = strndup(item + 1, length - 2);
    bool done = inner != NULL && words_split(inner, out);
    free(inner);
    return done;
}

char *milter_item_name(const char *item)
{
    struct words words = {.items = NULL};
    char *name = NULL;
    if (item_split(item, &words)) {
        name = strdup(words.count > 0 ? words.items[0] : "");
    }
    words_free(&words);
    return name;
}

char *milter_item_option(const char *item, const char *option)
{
    struct words words = {.items = NULL};
    char *value = NULL;
    size_t length = strlen(option);
    if (item_split(item, &words)) {
        for (size_t i = 1; i < words.count && value == NULL; i++) {
            const char *text = words.items[i];
            if (strncmp(text, option, length) == 0 && text[length] == '=') {
                value = strdup(text + length + 1);
            }
        }
    }
    words_free(&words);
    return value;
}

char *milter_list_find(const char *list, const char *listen, const char *queue_directory,
                       bool chroot)
{
    struct words words = {.items = NULL};
    char *found = NULL;
    if (words_split(list, &words)) {
        for (size_t i = 0; i < words.count && found == NULL; i++) {
            char *name = milter_item_name(words.items[i]);
            if (name != NULL && milter_name_leads(name, listen, queue_directory, chroot)) {
                found = strdup(words.items[i]);
            }
            free(name);
        }
    }
    words_free(&words);
    return found;
}
