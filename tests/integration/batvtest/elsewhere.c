/* Preloaded: files of this machine are others, without a mount or a namespace. ELSEWHERE is a list
 * of PATH=OTHER, separated by colons: whoever names PATH, or something below it, gets OTHER. That
 * also goes for sockets, and for what libc opens for itself, where a program here needs it:
 * accounts (/etc/passwd, /etc/group), hosts (/etc/hosts) and syslog(3) (/dev/log). ELSEWHERE_CLOSED
 * is a folder that looks as if nobody but its owner may write to it, ELSEWHERE_READ_ONLY one in
 * which nothing can be made, changed or removed by its path, as on a read-only file system, and
 * ELSEWHERE_NAME the host's name. The environment is read once, before a program can clear it, and
 * no file stays open, for programs that close what they do not know. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { RULES_MAX = 16 };

static char settings[8192];
static struct {
    const char *path, *other;
} domain[RULES_MAX];
static size_t rule_count;
static char closed[PATH_MAX], read_only[PATH_MAX];
static char host_name[256];
static const char *log_ident = "syslog";
static int log_facility_number = LOG_USER;

static void copy_setting(const char *name, char *out, size_t size)
{
    const char *value = getenv(name);
    snprintf(out, size, "%s", value != NULL ? value : "");
}

__attribute__((constructor)) static void read_settings(void)
{
    char *rest = NULL;
    copy_setting("ELSEWHERE", settings, sizeof settings);
    copy_setting("ELSEWHERE_CLOSED", closed, sizeof closed);
    copy_setting("ELSEWHERE_READ_ONLY", read_only, sizeof read_only);
    copy_setting("ELSEWHERE_NAME", host_name, sizeof host_name);
    for (char *rule = strtok_r(settings, ":", &rest); rule != NULL && rule_count < RULES_MAX;
         rule = strtok_r(NULL, ":", &rest)) {
        char *equals = strchr(rule, '=');
        if (equals != NULL) {
            *equals = '\0';
            domain[rule_count].path = rule;
            domain[rule_count++].other = equals + 1;
        }
    }
}

/* The path itself, or the other one in room. */
static const char *elsewhere(const char *path, char room[PATH_MAX])
{
    for (size_t i = 0; path != NULL && i < rule_count; i++) {
        size_t length = strlen(domain[i].path);
        if (strncmp(path, domain[i].path, length) == 0 && strchr("/", path[length]) != NULL) {
            snprintf(room, PATH_MAX, "%s%s", domain[i].other, path + length);
            return room;
        }
    }
    return path;
}

static bool is_read_only(const char *path)
{
    size_t length = strlen(read_only);
    if (length == 0 || strncmp(path, read_only, length) != 0 || strchr("/", path[length]) == NULL) {
        return false;
    }
    errno = EROFS;
    return true;
}

static int close_folder(const char *path, struct stat *out, int result)
{
    if (result == 0 && closed[0] != '\0' && strcmp(path, closed) == 0) {
        out->st_mode &= ~(mode_t)022;
    }
    return result;
}

/* A function of libc's of that name, under another one here: its prototype need not be the
 * header's. */
#define WRAP(type, name, parameters, result)                                                       \
    type elsewhere_##name parameters __asm__(#name);                                               \
    type elsewhere_##name parameters                                                               \
    {                                                                                              \
        char room[PATH_MAX];                                                                       \
        type(*next) parameters;                                                                    \
        *(void **)&next = dlsym(RTLD_NEXT, #name);                                                 \
        return result;                                                                             \
    }
#define HERE                   elsewhere(path, room)
#define UNLESS_READ_ONLY(call) (is_read_only(path) ? -1 : (call))
#define MAY_OPEN(flags)        (((flags) & (O_WRONLY | O_RDWR | O_CREAT)) == 0 || !is_read_only(path))

#define WRAP_OPEN(name)                                                                            \
    WRAP(int, name, (const char *path, int flags, mode_t mode),                                    \
         MAY_OPEN(flags) ? next(HERE, flags, mode) : -1)
#define WRAP_OPENAT(name)                                                                          \
    WRAP(int, name, (int at, const char *path, int flags, mode_t mode),                            \
         MAY_OPEN(flags) ? next(at, HERE, flags, mode) : -1)
#define WRAP_FOPEN(name) WRAP(FILE *, name, (const char *path, const char *mode), next(HERE, mode))
#define WRAP_STAT(name)                                                                            \
    WRAP(int, name, (const char *path, struct stat *out), close_folder(path, out, next(HERE, out)))
#define WRAP_XSTAT(name)                                                                           \
    WRAP(int, name, (int version, const char *path, struct stat *out),                             \
         close_folder(path, out, next(version, HERE, out)))
#define WRAP_FSTATAT(name)                                                                         \
    WRAP(int, name, (int at, const char *path, struct stat *out, int flags),                       \
         close_folder(path, out, next(at, HERE, out, flags)))
#define WRAP_MODE(name) WRAP(int, name, (const char *path, mode_t mode), next(HERE, mode))
#define WRAP_OWNER(name)                                                                           \
    WRAP(int, name, (const char *path, uid_t user, gid_t group), next(HERE, user, group))
#define WRAP_PATH(type, name) WRAP(type, name, (const char *path), next(HERE))

WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPEN(__open_2)
WRAP_OPEN(__open64_2)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
WRAP_OPENAT(__openat_2)
WRAP_OPENAT(__openat64_2)
WRAP_FOPEN(fopen)
WRAP_FOPEN(fopen64)
WRAP_STAT(stat)
WRAP_STAT(stat64)
WRAP_STAT(lstat)
WRAP_STAT(lstat64)
WRAP_XSTAT(__xstat)
WRAP_XSTAT(__xstat64)
WRAP_XSTAT(__lxstat)
WRAP_XSTAT(__lxstat64)
WRAP_FSTATAT(fstatat)
WRAP_FSTATAT(fstatat64)
WRAP(int, statvfs, (const char *path, void *out), next(HERE, out))
WRAP(int, statx, (int at, const char *path, int flags, unsigned mask, void *out),
     next(at, HERE, flags, mask, out))
WRAP_MODE(access)
WRAP_MODE(eaccess)
WRAP_MODE(creat)
WRAP(int, chmod, (const char *path, mode_t mode), UNLESS_READ_ONLY(next(HERE, mode)))
WRAP(int, mkdir, (const char *path, mode_t mode), UNLESS_READ_ONLY(next(HERE, mode)))
WRAP(int, faccessat, (int at, const char *path, int mode, int flags), next(at, HERE, mode, flags))
WRAP_OWNER(chown)
WRAP_OWNER(lchown)
WRAP(int, fchmodat, (int at, const char *path, mode_t mode, int flags), next(at, HERE, mode, flags))
WRAP(int, fchownat, (int at, const char *path, uid_t user, gid_t group, int flags),
     next(at, HERE, user, group, flags))
WRAP(int, mkdirat, (int at, const char *path, mode_t mode), next(at, HERE, mode))
WRAP(int, unlinkat, (int at, const char *path, int flags), next(at, HERE, flags))
WRAP(int, utimensat, (int at, const char *path, const void *times, int flags),
     next(at, HERE, times, flags))
WRAP(int, unlink, (const char *path), UNLESS_READ_ONLY(next(HERE)))
WRAP_PATH(int, rmdir)
WRAP_PATH(int, chdir)
WRAP_PATH(void *, opendir)
WRAP(char *, realpath, (const char *path, char *out), next(HERE, out))
WRAP(char *, __realpath_chk, (const char *path, char *out, size_t size), next(HERE, out, size))
WRAP(ssize_t, readlink, (const char *path, char *out, size_t size), next(HERE, out, size))

#define WRAP_TWO(name, parameters, result)                                                         \
    int elsewhere_##name parameters __asm__(#name);                                                \
    int elsewhere_##name parameters                                                                \
    {                                                                                              \
        char room[PATH_MAX], other[PATH_MAX];                                                      \
        int(*next) parameters;                                                                     \
        *(void **)&next = dlsym(RTLD_NEXT, #name);                                                 \
        from = elsewhere(from, room);                                                              \
        to = elsewhere(to, other);                                                                 \
        return result;                                                                             \
    }

WRAP_TWO(rename, (const char *from, const char *to), is_read_only(to) ? -1 : next(from, to))
WRAP_TWO(link, (const char *from, const char *to), is_read_only(to) ? -1 : next(from, to))
WRAP_TWO(renameat, (int at, const char *from, int there, const char *to), next(at, from, there, to))
WRAP_TWO(renameat2, (int at, const char *from, int there, const char *to, unsigned flags),
         next(at, from, there, to, flags))
WRAP_TWO(linkat, (int at, const char *from, int there, const char *to, int flags),
         next(at, from, there, to, flags))

int mkostemp(char *path, int flags)
{
    char room[PATH_MAX];
    int (*next)(char *, int);
    *(void **)&next = dlsym(RTLD_NEXT, "mkostemp");
    if (is_read_only(path)) {
        return -1;
    }
    if (elsewhere(path, room) == path) {
        return next(path, flags);
    }
    int fd = next(room, flags);
    memcpy(path + strlen(path) - 6, room + strlen(room) - 6, 6);
    return fd;
}

/* An address as it is to be used: the same, or one in room. */
static const void *address_elsewhere(const void *address, socklen_t *length,
                                     struct sockaddr_un *room)
{
    const struct sockaddr_un *given = address;
    char path[PATH_MAX];
    if (address == NULL || given->sun_family != AF_UNIX || *length > sizeof *room ||
        *length <= offsetof(struct sockaddr_un, sun_path) || given->sun_path[0] == '\0') {
        return address;
    }
    memset(room, 0, sizeof *room);
    memcpy(room, given, *length);
    const char *other = elsewhere(room->sun_path, path);
    if (other == room->sun_path || strlen(other) >= sizeof room->sun_path) {
        return address;
    }
    snprintf(room->sun_path, sizeof room->sun_path, "%s", other);
    *length = sizeof *room;
    return room;
}

#define WRAP_SOCKET(type, name, parameters, result)                                                \
    type elsewhere_##name parameters __asm__(#name);                                               \
    type elsewhere_##name parameters                                                               \
    {                                                                                              \
        struct sockaddr_un room;                                                                   \
        type(*next) parameters;                                                                    \
        *(void **)&next = dlsym(RTLD_NEXT, #name);                                                 \
        address = address_elsewhere(address, &length, &room);                                      \
        return result;                                                                             \
    }

WRAP_SOCKET(int, connect, (int fd, const void *address, socklen_t length),
            next(fd, address, length))
WRAP_SOCKET(int, bind, (int fd, const void *address, socklen_t length), next(fd, address, length))
WRAP_SOCKET(ssize_t, sendto,
            (int fd, const void *data, size_t size, int flags, const void *address,
             socklen_t length),
            next(fd, data, size, flags, address, length))

ssize_t sendmsg(int fd, const struct msghdr *given, int flags)
{
    struct sockaddr_un room;
    struct msghdr message = *given;
    ssize_t (*next)(int, const struct msghdr *, int);
    *(void **)&next = dlsym(RTLD_NEXT, "sendmsg");
    message.msg_name =
        (void *)(uintptr_t)address_elsewhere(given->msg_name, &message.msg_namelen, &room);
    return next(fd, &message, flags);
}

int gethostname(char *out, size_t size)
{
    int (*next)(char *, size_t);
    *(void **)&next = dlsym(RTLD_NEXT, "gethostname");
    if (host_name[0] == '\0') {
        return next(out, size);
    }
    snprintf(out, size, "%s", host_name);
    return 0;
}

/* -- accounts --------------------------------------------------------------------------------- */

/* The other file that takes that one's place, or NULL. */
static FILE *open_elsewhere(const char *path)
{
    char room[PATH_MAX];
    return elsewhere(path, room) == room ? fopen(room, "re") : NULL;
}

static struct passwd *find_user(FILE *file, const char *name, uid_t uid)
{
    struct passwd *entry;
    while ((entry = fgetpwent(file)) != NULL) {
        if (name != NULL ? strcmp(entry->pw_name, name) == 0 : entry->pw_uid == uid) {
            break;
        }
    }
    fclose(file);
    errno = 0;
    return entry;
}

static struct group *find_group(FILE *file, const char *name, gid_t gid)
{
    struct group *entry;
    while ((entry = fgetgrent(file)) != NULL) {
        if (name != NULL ? strcmp(entry->gr_name, name) == 0 : entry->gr_gid == gid) {
            break;
        }
    }
    fclose(file);
    errno = 0;
    return entry;
}

#define WRAP_FIND(type, name, parameters, path, found, result)                                     \
    type name parameters                                                                           \
    {                                                                                              \
        type(*next) parameters;                                                                    \
        FILE *file = open_elsewhere(path);                                                         \
        *(void **)&next = dlsym(RTLD_NEXT, #name);                                                 \
        return file != NULL ? found : result;                                                      \
    }

WRAP_FIND(struct passwd *, getpwnam, (const char *name), "/etc/passwd", find_user(file, name, 0),
          next(name))
WRAP_FIND(struct passwd *, getpwuid, (uid_t uid), "/etc/passwd", find_user(file, NULL, uid),
          next(uid))
WRAP_FIND(struct group *, getgrnam, (const char *name), "/etc/group", find_group(file, name, 0),
          next(name))
WRAP_FIND(struct group *, getgrgid, (gid_t gid), "/etc/group", find_group(file, NULL, gid),
          next(gid))

static int list_groups(FILE *file, const char *user, gid_t first, gid_t *out, int *count)
{
    int found = 0;
    struct group *entry;
    out[found++] = first;
    while ((entry = fgetgrent(file)) != NULL) {
        for (char **member = entry->gr_mem; *member != NULL && found < *count; member++) {
            if (strcmp(*member, user) == 0 && entry->gr_gid != first) {
                out[found++] = entry->gr_gid;
            }
        }
    }
    fclose(file);
    *count = found;
    return found;
}

WRAP_FIND(int, getgrouplist, (const char *user, gid_t first, gid_t *out, int *count), "/etc/group",
          list_groups(file, user, first, out, count), next(user, first, out, count))

static int set_groups(FILE *file, const char *user, gid_t first)
{
    gid_t groups[64];
    int count = 64;
    list_groups(file, user, first, groups, &count);
    return setgroups((size_t)count, groups);
}

WRAP_FIND(int, initgroups, (const char *user, gid_t first), "/etc/group",
          set_groups(file, user, first), next(user, first))

/* -- hosts ------------------------------------------------------------------------------------ */

/* The first line with that name, or that address; a name that is an address is that one. */
static struct hostent *find_host(FILE *file, const char *name, const char *address, int family)
{
    static char line[1024], octets[sizeof(struct in6_addr)];
    static char *list[2] = {octets}, *aliases[16];
    static struct hostent entry = {.h_aliases = aliases, .h_addr_list = list};
    struct hostent *found = NULL;
    entry.h_addrtype = family;
    entry.h_length = family == AF_INET ? 4 : 16;
    if (name != NULL && inet_pton(family, name, octets) == 1) {
        snprintf(line, sizeof line, "%s", name);
        entry.h_name = line;
        aliases[0] = NULL;
        found = &entry;
    }
    while (found == NULL && fgets(line, sizeof line, file) != NULL) {
        char *rest = NULL, *text = strtok_r(line, " \t\n", &rest);
        bool fits = false;
        size_t count = 0;
        if (text == NULL || inet_pton(family, text, octets) != 1) {
            continue;
        }
        entry.h_name = strtok_r(NULL, " \t\n", &rest);
        fits = name != NULL ? strcasecmp(name, entry.h_name) == 0
                            : memcmp(address, octets, (size_t)entry.h_length) == 0;
        while (count < 15 && (aliases[count] = strtok_r(NULL, " \t\n", &rest)) != NULL) {
            fits = fits || (name != NULL && strcasecmp(name, aliases[count]) == 0);
            count++;
        }
        found = fits ? &entry : NULL;
    }
    fclose(file);
    h_errno = found != NULL ? 0 : HOST_NOT_FOUND;
    return found;
}

WRAP_FIND(struct hostent *, gethostbyname2, (const char *name, int family), "/etc/hosts",
          find_host(file, name, NULL, family), next(name, family))
WRAP_FIND(struct hostent *, gethostbyname, (const char *name), "/etc/hosts",
          find_host(file, name, NULL, AF_INET), next(name))
WRAP_FIND(struct hostent *, gethostbyaddr, (const void *octets, socklen_t size, int family),
          "/etc/hosts", find_host(file, NULL, octets, family), next(octets, size, family))

/* -- syslog(3), as a datagram of its own to where /dev/log leads ------------------------------ */

void openlog(const char *ident, int options, int facility)
{
    (void)options;
    log_ident = ident != NULL ? ident : log_ident;
    log_facility_number = facility != 0 ? facility : log_facility_number;
}

void closelog(void)
{
}

void vsyslog(int priority, const char *format, va_list arguments)
{
    char text[8192], path[PATH_MAX], when[32];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    time_t now = time(NULL);
    struct tm parts;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if ((priority & LOG_FACMASK) == 0) {
        priority |= log_facility_number;
    }
    strftime(when, sizeof when, "%b %e %T", localtime_r(&now, &parts));
    int length =
        snprintf(text, sizeof text, "<%d>%s %s[%d]: ", priority, when, log_ident, getpid());
    vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", elsewhere("/dev/log", path));
    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address);
    close(fd);
}

void syslog(int priority, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsyslog(priority, format, arguments);
    va_end(arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...);
void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;
    (void)flag;
    va_start(arguments, format);
    vsyslog(priority, format, arguments);
    va_end(arguments);
}
