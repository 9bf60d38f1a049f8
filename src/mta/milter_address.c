/*
 * Names of listeners. Ours are unix:/path, inet:PORT@HOST and inet6:PORT@HOST; Postfix's are
 * unix:path, from its queue directory on unless the path begins with a slash, and inet:HOST:PORT.
 * Inside a chroot every path begins at the queue directory. Two names are the same where they lead
 * to the same place: folders are looked up, and host names too where the ports are equal.
 */
#include "mta/milter_address.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/words.h"

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

/* The path behind unix: or local:, NULL for others; points into name. */
static const char *name_path(const char *name)
{
    const char *path = after(name, "unix:");
    return path != NULL ? path : after(name, "local:");
}

char *milter_name_path(const char *name, const char *queue_directory, bool chroot)
{
    const char *path = name_path(name);
    char *full = NULL;
    if (path == NULL) {
        return NULL;
    }
    if (path[0] == '/' && !chroot) {
        return strdup(path);
    }
    return asprintf(&full, "%s/%s", queue_directory, path) < 0 ? NULL : full;
}

static bool path_leads(const char *name, const char *ours, const char *queue_directory, bool chroot)
{
    char *full = milter_name_path(name, queue_directory, chroot);
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

bool milter_name_host(const char *name, char **host, char **port)
{
    const char *at = after(name, "inet:");
    const char *colon = at != NULL ? strrchr(at, ':') : NULL;
    *host = *port = NULL;
    if (colon == NULL) {
        return false;
    }
    bool brackets = at[0] == '[' && colon > at + 1 && colon[-1] == ']';
    *host =
        brackets ? strndup(at + 1, (size_t)(colon - at) - 2) : strndup(at, (size_t)(colon - at));
    *port = strdup(colon + 1);
    if (*host == NULL || *port == NULL) {
        free(*host);
        free(*port);
        *host = *port = NULL;
    }
    return *host != NULL;
}

static bool inet_leads(const char *name, const char *listen)
{
    bool same = false;
    char *host;
    char *port;
    char *theirs;
    char *their_port;
    if (!listen_host_port(listen, &host, &port)) {
        return false;
    }
    if (milter_name_host(name, &theirs, &their_port)) {
        unsigned number = port_number(port);
        same = number != 0 && port_number(their_port) == number && same_host(theirs, host, port);
    }
    free(theirs);
    free(their_port);
    free(host);
    free(port);
    return same;
}

bool milter_name_leads(const char *name, const char *listen, const char *queue_directory,
                       bool chroot)
{
    const char *ours = listen_path(listen);
    return ours != NULL ? path_leads(name, ours, queue_directory, chroot)
                        : inet_leads(name, listen);
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

bool milter_item_leads(const char *item, const char *listen, const char *queue_directory)
{
    char *name = milter_item_name(item);
    bool leads = name != NULL && (milter_name_leads(name, listen, queue_directory, false) ||
                                  milter_name_leads(name, listen, queue_directory, true));
    free(name);
    return leads;
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

/* text and a further word, in place of text, which is freed. NULL: no memory. */
static char *add_word(char *text, const char *word)
{
    char *more = NULL;
    if (text == NULL || asprintf(&more, "%s, %s", text, word) < 0) {
        more = NULL;
    }
    free(text);
    return more;
}

/* The words as an item, without the option. NULL: no memory. */
static char *join_item(const struct words *words, const char *name, const char *option)
{
    size_t length = option != NULL ? strlen(option) : 0;
    char *text = strdup(name != NULL ? name : words->items[0]);
    for (size_t i = 1; i < words->count; i++) {
        const char *word = words->items[i];
        if (option == NULL || strncmp(word, option, length) != 0 || word[length] != '=') {
            text = add_word(text, word);
        }
    }
    return text;
}

char *milter_item_with(const char *item, const char *name, const char *option, const char *value)
{
    struct words words = {.items = NULL};
    char *text = NULL;
    char *setting = NULL;
    if (item_split(item, &words) && words.count > 0) {
        text = join_item(&words, name, option);
    }
    bool bare = words.count == 1 && option == NULL;
    words_free(&words);
    if (text != NULL && option != NULL && asprintf(&setting, "%s=%s", option, value) >= 0) {
        text = add_word(text, setting);
        free(setting);
    }
    char *braced = NULL;
    if (bare || text == NULL) {
        return text;
    }
    if (asprintf(&braced, "{ %s }", text) < 0) {
        braced = NULL;
    }
    free(text);
    return braced;
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
