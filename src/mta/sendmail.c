/*
 * Sendmail's configuration, read once when opened: the lines of sendmail.cf that are simple to
 * read, which are options, filters and maps. All strings belong to struct sendmail, which never
 * changes. One thread.
 */
#include "mta/sendmail.h"

#include <ctype.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/program.h"
#include "base/words.h"
#include "mta/milter_address.h"

#define USUAL_CF "/etc/mail/sendmail.cf"

struct option {
    char *name;
    char *value;
};

struct sendmail {
    char *cf;
    char *program;
    char *version;
    struct option *options;
    size_t option_count;
    struct sendmail_filter *filters;
    size_t filter_count;
    struct words maps; /* names */
    bool in_envelope;  /* while reading: within the ruleset MasqEnv */
    bool masquerades;
};

static enum status no_memory(struct reason *why)
{
    return reason_set(why, STATUS_NO_MEMORY, "out of memory");
}

/* Reading. */

/* Joins continued lines: a line that begins with white space belongs to the one before. */
static void join_lines(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        if (*p == '\n' && (p[1] == ' ' || p[1] == '\t')) {
            *p = ' ';
        }
    }
}

/* "O Name=value" */
static bool take_option(struct sendmail *sendmail, const char *line)
{
    const char *equals = strchr(line, '=');
    if (line[1] != ' ' || equals == NULL) {
        return true; /* of one letter, as it was done before names */
    }
    struct option *options =
        realloc(sendmail->options, (sendmail->option_count + 1) * sizeof *options);
    if (options == NULL) {
        return false;
    }
    sendmail->options = options;
    struct option *option = &options[sendmail->option_count++];
    option->name = words_trimmed(line + 2, equals);
    option->value = words_trimmed(equals + 1, equals + strlen(equals));
    return option->name != NULL && option->value != NULL;
}

/* The value of the field that begins with this letter: "S=unix:/path". NULL: no memory. */
char *sendmail_field(const char *fields, char letter)
{
    for (const char *at = fields; at != NULL; at = strchr(at, ',')) {
        at += strspn(at, ", \t");
        const char *equals = at + strcspn(at, "=,");
        if (*at == letter && *equals == '=') {
            return words_trimmed(equals + 1, equals + strcspn(equals, ","));
        }
    }
    return strdup("");
}

/* "Xname, S=..., ..." */
static bool take_filter(struct sendmail *sendmail, const char *line)
{
    struct sendmail_filter *filters =
        realloc(sendmail->filters, (sendmail->filter_count + 1) * sizeof *filters);
    if (filters == NULL) {
        return false;
    }
    sendmail->filters = filters;
    struct sendmail_filter *filter = &filters[sendmail->filter_count++];
    const char *end = line + strcspn(line, ",");
    filter->name = words_trimmed(line + 1, end);
    filter->socket = sendmail_field(end, 'S');
    filter->flags = sendmail_field(end, 'F');
    filter->timeouts = sendmail_field(end, 'T');
    return filter->name != NULL && filter->socket != NULL && filter->flags != NULL &&
           filter->timeouts != NULL;
}

/* "Kname class ..." */
static bool take_map(struct sendmail *sendmail, const char *line)
{
    char *name = words_trimmed(line + 1, line + strcspn(line, " \t"));
    bool done = name != NULL && words_add(&sendmail->maps, name);
    free(name);
    return done;
}

/* "DZ8.17.1": what the configuration was made by */
static bool take_macro(struct sendmail *sendmail, const char *line)
{
    if (line[1] != 'Z' || sendmail->version != NULL) {
        return true;
    }
    sendmail->version = words_trimmed(line + 2, line + strlen(line));
    return sendmail->version != NULL;
}

static bool take_line(struct sendmail *sendmail, const char *line)
{
    switch (line[0]) {
    case 'D':
        return take_macro(sendmail, line);
    case 'O':
        return take_option(sendmail, line);
    case 'X':
        return take_filter(sendmail, line);
    case 'K':
        return take_map(sendmail, line);
    case 'S':
        sendmail->in_envelope = strncmp(line, "SMasqEnv", 8) == 0;
        return true;
    case 'R':
        sendmail->masquerades =
            sendmail->masquerades || (sendmail->in_envelope && strstr(line, "$>MasqHdr") != NULL);
        return true;
    default:
        return true;
    }
}

static enum status read_cf(struct sendmail *sendmail, struct reason *why)
{
    char *text;
    enum status status = file_read(sendmail->cf, &text, why);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_IO : status;
    }
    join_lines(text);
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL && status == STATUS_OK;
         line = strsep(&rest, "\n")) {
        status = take_line(sendmail, line) ? STATUS_OK : no_memory(why);
    }
    free(text);
    return status;
}

/* The program. */

/* Whether the program is Sendmail's and not another MTA's of that name. Only looked at: what others
 * would make of being run with Sendmail's options nobody knows. */
static bool is_sendmail(const char *program)
{
    static const char mark[] = "InputMailFilters"; /* an option that only Sendmail has */
    struct stat info;
    int fd = open(program, O_RDONLY | O_CLOEXEC);
    size_t size = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0
                      ? (size_t)info.st_size
                      : 0;
    void *octets = size > 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    bool is = octets != MAP_FAILED && memmem(octets, size, mark, sizeof mark - 1) != NULL;
    if (octets != MAP_FAILED) {
        munmap(octets, size);
    }
    if (fd >= 0) {
        close(fd);
    }
    return is;
}

/* The program in PATH, if it is Sendmail's; else NULL. The caller frees. */
static char *find_program(void)
{
    char *program = program_find("sendmail");
    if (program != NULL && !is_sendmail(program)) {
        free(program);
        program = NULL;
    }
    return program;
}

/* Opening. */

/* The path that the environment names, or NULL. */
static const char *named_cf(void)
{
    const char *named = getenv("SENDMAIL_CF");
    return named != NULL && named[0] != '\0' ? named : NULL;
}

enum status sendmail_open_cf(struct sendmail **out, struct reason *why)
{
    const char *named = named_cf();
    struct sendmail *sendmail = calloc(1, sizeof *sendmail);
    enum status status = STATUS_NO_MEMORY;
    if (sendmail != NULL) {
        sendmail->cf = strdup(named != NULL ? named : USUAL_CF);
    }
    if (sendmail == NULL || sendmail->cf == NULL) {
        status = no_memory(why);
    } else {
        status = read_cf(sendmail, why);
    }
    if (status != STATUS_OK) {
        sendmail_free(sendmail);
        sendmail = NULL;
    }
    *out = sendmail;
    return status;
}

enum status sendmail_open(struct sendmail **out, struct reason *why)
{
    char *program = find_program();
    *out = NULL;
    if (program == NULL && named_cf() == NULL) {
        return reason_set(why, STATUS_NOT_FOUND,
                          "Sendmail is not installed: no such program in PATH");
    }
    enum status status = sendmail_open_cf(out, why);
    if (status == STATUS_OK) {
        (*out)->program = program;
    } else {
        free(program);
    }
    return status;
}

void sendmail_free(struct sendmail *sendmail)
{
    if (sendmail == NULL) {
        return;
    }
    for (size_t i = 0; i < sendmail->option_count; i++) {
        free(sendmail->options[i].name);
        free(sendmail->options[i].value);
    }
    for (size_t i = 0; i < sendmail->filter_count; i++) {
        free(sendmail->filters[i].name);
        free(sendmail->filters[i].socket);
        free(sendmail->filters[i].flags);
        free(sendmail->filters[i].timeouts);
    }
    words_free(&sendmail->maps);
    free(sendmail->options);
    free(sendmail->filters);
    free(sendmail->cf);
    free(sendmail->program);
    free(sendmail->version);
    free(sendmail);
}

const char *sendmail_cf(const struct sendmail *sendmail)
{
    return sendmail->cf;
}

const char *sendmail_program(const struct sendmail *sendmail)
{
    return sendmail->program;
}

const char *sendmail_version(const struct sendmail *sendmail)
{
    return sendmail->version != NULL ? sendmail->version : "";
}

const char *sendmail_option_nth(const struct sendmail *sendmail, const char *name, size_t n)
{
    for (size_t i = 0; i < sendmail->option_count; i++) {
        if (strcasecmp(sendmail->options[i].name, name) == 0 && n-- == 0) {
            return sendmail->options[i].value;
        }
    }
    return NULL;
}

const char *sendmail_option(const struct sendmail *sendmail, const char *name)
{
    const char *last = NULL;
    const char *value = sendmail_option_nth(sendmail, name, 0);
    for (size_t n = 1; value != NULL; n++) {
        last = value;
        value = sendmail_option_nth(sendmail, name, n);
    }
    return last;
}

/* A name or a number. Without a group of its own a name has that of the account. */
static bool find_user(const char *name, uid_t *uid, gid_t *gid)
{
    const struct passwd *account = getpwnam(name);
    char *end = NULL;
    if (isdigit((unsigned char)name[0])) {
        *uid = (uid_t)strtoul(name, &end, 10);
        return *end == '\0';
    }
    if (account != NULL) {
        *uid = account->pw_uid;
        *gid = account->pw_gid;
    }
    return account != NULL;
}

static bool find_group(const char *name, gid_t *gid)
{
    const struct group *group = getgrnam(name);
    char *end = NULL;
    if (isdigit((unsigned char)name[0])) {
        *gid = (gid_t)strtoul(name, &end, 10);
        return *end == '\0';
    }
    if (group != NULL) {
        *gid = group->gr_gid;
    }
    return group != NULL;
}

enum status sendmail_run_as(const struct sendmail *sendmail, uid_t *uid, gid_t *gid)
{
    const char *value = sendmail_option(sendmail, "RunAsUser");
    *uid = 0;
    *gid = 0;
    if (value == NULL || value[0] == '\0') {
        return STATUS_OK;
    }
    char *copy = strdup(value);
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    char *group = copy;
    const char *user = strsep(&group, ":./");
    bool found =
        find_user(user, uid, gid) && (group == NULL || group[0] == '\0' || find_group(group, gid));
    free(copy);
    return found ? STATUS_OK : STATUS_NOT_FOUND;
}

bool sendmail_has_map(const struct sendmail *sendmail, const char *name)
{
    for (size_t i = 0; i < sendmail->maps.count; i++) {
        if (strcasecmp(sendmail->maps.items[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool sendmail_masquerades(const struct sendmail *sendmail)
{
    return sendmail->masquerades;
}

/* Filters. */

const struct sendmail_filter *sendmail_filters(const struct sendmail *sendmail, size_t *count)
{
    *count = sendmail->filter_count;
    return sendmail->filters;
}

bool filter_is_listed(const struct sendmail_filter *filter, const char *list)
{
    size_t wanted = strlen(filter->name);
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, ",; \t");
        size_t length = strcspn(at, ",; \t");
        if (length == wanted && strncasecmp(at, filter->name, length) == 0) {
            return true;
        }
        at += length;
    }
    return false;
}

/* Sendmail's inet:PORT@HOST as Postfix writes it; others as they are. NULL: no memory. */
static char *postfix_notation(const char *socket)
{
    char *name = NULL;
    const char *at = strchr(socket, '@');
    const char *colon = strchr(socket, ':');
    if (strncasecmp(socket, "inet", 4) != 0 || at == NULL || colon == NULL || at < colon) {
        return socket[0] == '/' ? (asprintf(&name, "unix:%s", socket) < 0 ? NULL : name)
                                : strdup(socket);
    }
    bool bare = strchr(at, ':') != NULL && at[1] != '[';
    if (asprintf(&name, "inet:%s%s%s:%.*s", bare ? "[" : "", at + 1, bare ? "]" : "",
                 (int)(at - colon - 1), colon + 1) < 0) {
        name = NULL;
    }
    return name;
}

bool filter_leads(const struct sendmail_filter *filter, const char *listen)
{
    char *name = postfix_notation(filter->socket);
    bool leads = name != NULL && milter_name_leads(name, listen, "/", false);
    free(name);
    return leads;
}

static long unit_seconds(char unit)
{
    switch (tolower((unsigned char)unit)) {
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 1;
    }
}

long filter_timeout(const struct sendmail_filter *filter, char which)
{
    for (const char *at = filter->timeouts; *at != '\0'; at++) {
        at += strspn(at, "; \t");
        if (*at == which && at[1] == ':') {
            char *end;
            long number = strtol(at + 2, &end, 10);
            return number * unit_seconds(*end);
        }
        at += strcspn(at, ";");
        if (*at == '\0') {
            break;
        }
    }
    return which == 'C' || which == 'E' ? 300 : 10;
}
