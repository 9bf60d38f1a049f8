/*
 * The journal of systemd keeps a line's fields beside it. A line on stderr is one write, so lines
 * of several threads never mix; where they were meant for the journal each has its priority in
 * front, as journald reads stderr (sd-daemon(3)).
 *
 * States: lines go to the target, or the target is away. A failed line makes it away; a look, or a
 * line, at most once a second, tries it again with a line of ours, which says since when lines are
 * missing there. The state is read by every line without a lock and changed under one.
 */
#include "base/log_target.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include "base/syslog_socket.h"
#include "base/systemd.h"
#include "batv/day.h"

enum { RETRY_MS = 1000 };

static _Atomic enum log_target log_target = LOG_TARGET_STDERR;
static atomic_int log_facility = LOG_MAIL;
static atomic_bool away;
static atomic_ullong lost;

static struct {
    pthread_mutex_t lock;
    struct syslog_socket *syslog; /* made once, never freed: a line may be on its way */
    int error;
    time_t since;
    int64_t retry_ms; /* by a clock that nobody sets */
    bool changed;     /* since the last look */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

const char *log_target_name(enum log_target target)
{
    static const char *const names[] = {
        [LOG_TARGET_SYSLOG] = "syslog",
        [LOG_TARGET_STDERR] = "stderr",
        [LOG_TARGET_JOURNALD] = "journald",
    };
    return names[target];
}

const char *log_target_socket(enum log_target target)
{
    return target == LOG_TARGET_SYSLOG ? _PATH_LOG : SYSTEMD_JOURNAL_SOCKET;
}

int log_target_probe(enum log_target target)
{
    switch (target) {
    case LOG_TARGET_SYSLOG:
        return syslog_socket_probe(NULL);
    case LOG_TARGET_JOURNALD:
        return systemd_has_journal() ? 0 : errno;
    case LOG_TARGET_STDERR:
        break;
    }
    return 0;
}

/* ------------------------------------------------------------------ journal */

/* Names and values of an entry, cut to size: far more than any line's fields need. */
enum { FIELDS_MAX = 32, FIELDS_TEXT = 12288 };

struct entry {
    struct iovec item[FIELDS_MAX];
    size_t count;
    char text[FIELDS_TEXT];
    size_t used;
};

static void entry_add(struct entry *entry, const char *prefix, const char *name, const char *value)
{
    char *at = entry->text + entry->used;
    size_t room = sizeof entry->text - entry->used;
    int length = snprintf(at, room, "%s%s=%s", prefix, name, value);
    if (length < 0 || (size_t)length >= room || entry->count == FIELDS_MAX) {
        return;
    }
    for (char *p = at; *p != '='; p++) {
        *p = (char)toupper((unsigned char)*p);
    }
    entry->item[entry->count++] = (struct iovec){at, (size_t)length};
    entry->used += (size_t)length;
}

static void entry_add_number(struct entry *entry, const char *name, int number)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%d", number);
    entry_add(entry, "", name, digits);
}

static void take_field(void *self, const char *name, const char *value)
{
    entry_add(self, "BATV_", name, value);
}

/* 0 or an errno. Never inlined: other targets do not touch its large frame's stack. */
__attribute__((noinline)) static int write_entry(int priority, char *line, size_t length,
                                                 const struct log_fields *fields)
{
    struct entry entry;
    entry.count = entry.used = 0;
    memcpy(line - LOG_ROOM_BEFORE, "MESSAGE=", LOG_ROOM_BEFORE);
    entry.item[entry.count++] = (struct iovec){line - LOG_ROOM_BEFORE, length + LOG_ROOM_BEFORE};
    entry_add_number(&entry, "PRIORITY", priority);
    entry_add_number(&entry, "SYSLOG_FACILITY", LOG_FAC(log_facility));
    entry_add(&entry, "", "SYSLOG_IDENTIFIER", "batvd");
    if (fields != NULL) {
        fields->give(fields->context, take_field, &entry);
    }
    return systemd_journal(entry.item, entry.count);
}

/* ----------------------------------------------------------------- one line */

static void write_stderr(enum log_target target, int priority, char *line, size_t length)
{
    if (target == LOG_TARGET_JOURNALD) {
        line -= 3;
        length += 3;
        line[0] = '<';
        line[1] = (char)('0' + priority);
        line[2] = '>';
    }
    line[length] = '\n';
    if (write(STDERR_FILENO, line, length + 1) < 0) {
        atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
    }
}

/* 0, or an errno: the target does not take it. */
static int write_target(enum log_target target, int priority, char *line, size_t length,
                        const struct log_fields *fields, bool patient)
{
    if (target == LOG_TARGET_JOURNALD) {
        return write_entry(priority, line, length, fields);
    }
    return state.syslog == NULL
               ? ENOMEM
               : syslog_socket_send(state.syslog, log_facility | priority, line, length, patient);
}

/* A line of ours: to stderr, or to the target. */
__attribute__((format(printf, 3, 4))) static int say(enum log_target target, bool to_target,
                                                     const char *format, ...)
{
    enum { LINE = 400 };
    char buffer[LOG_ROOM_BEFORE + LINE + LOG_ROOM_AFTER];
    char *line = buffer + LOG_ROOM_BEFORE;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, LINE, format, arguments);
    va_end(arguments);
    if (to_target) {
        return write_target(target, LOG_WARNING, line, strlen(line), NULL, false);
    }
    write_stderr(target, LOG_WARNING, line, strlen(line));
    return 0;
}

/* ------------------------------------------------------------- away and back */

static int64_t steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* With the lock held. */
static void set_away(enum log_target target, int error)
{
    state.error = error;
    state.since = time(NULL);
    state.retry_ms = steady_ms() + RETRY_MS;
    state.changed = true;
    away = true;
    say(target, false, "log: %s accepts no lines (%s: %s): they go to standard error until it does",
        log_target_name(target), log_target_socket(target), strerror(error));
}

static void go_away(enum log_target target, int error)
{
    pthread_mutex_lock(&state.lock);
    if (!away && target == log_target) {
        set_away(target, error);
    }
    pthread_mutex_unlock(&state.lock);
}

/* With the lock held. */
static void try_again(enum log_target target)
{
    char since[TIME_TEXT];
    time_format(state.since, since);
    int error =
        say(target, true, "log: %s accepts lines again, those since %s went to standard error",
            log_target_name(target), since);
    if (error == 0) {
        away = false;
        state.changed = true;
        say(target, false, "log: %s accepts lines again, they now go there",
            log_target_name(target));
    } else {
        state.error = error;
        state.retry_ms = steady_ms() + RETRY_MS;
    }
}

/* True: the target is there. Whoever comes while another tries does not wait for him. */
static bool is_back(enum log_target target)
{
    if (pthread_mutex_trylock(&state.lock) == 0) {
        if (away && target == log_target && steady_ms() >= state.retry_ms) {
            try_again(target);
        }
        pthread_mutex_unlock(&state.lock);
    }
    return !away;
}

bool log_target_look(void)
{
    enum log_target target = log_target;
    if (away) {
        is_back(target);
    }
    pthread_mutex_lock(&state.lock);
    bool changed = state.changed;
    state.changed = false;
    pthread_mutex_unlock(&state.lock);
    return changed;
}

void log_target_write(int priority, char *line, size_t length, const struct log_fields *fields)
{
    enum log_target target = log_target;
    if (target != LOG_TARGET_STDERR && (!away || is_back(target))) {
        int error = write_target(target, priority, line, length, fields, true);
        if (error == 0) {
            return;
        }
        go_away(target, error);
    }
    write_stderr(target, priority, line, length);
}

/* -------------------------------------------------------------- open, state */

void log_target_open(enum log_target target, int facility, const char *syslog_path)
{
    pthread_mutex_lock(&state.lock);
    if (target == LOG_TARGET_SYSLOG && state.syslog == NULL) {
        state.syslog = syslog_socket_new(syslog_path);
    }
    log_facility = facility;
    if (target != log_target) {
        log_target = target;
        away = false;
        state.changed = true;
        int error = target == LOG_TARGET_SYSLOG ? syslog_socket_probe(syslog_path)
                                                : log_target_probe(target);
        if (error != 0) {
            set_away(target, error);
        }
    }
    pthread_mutex_unlock(&state.lock);
}

static bool is_null_device(int fd)
{
    struct stat file;
    return fstat(fd, &file) != 0 || (S_ISCHR(file.st_mode) && file.st_rdev == makedev(1, 3));
}

void log_target_state(struct log_state *out)
{
    pthread_mutex_lock(&state.lock);
    *out = (struct log_state){
        .target = log_target, .place = log_target_name(log_target), .lost = atomic_load(&lost)};
    bool on_stderr = away || log_target == LOG_TARGET_STDERR;
    if (away) {
        out->place = log_target_name(LOG_TARGET_STDERR);
        out->since = state.since;
        snprintf(out->error, sizeof out->error, "%s: %s", log_target_socket(log_target),
                 strerror(state.error));
    }
    if (on_stderr && is_null_device(STDERR_FILENO)) {
        out->place = "nowhere";
        if (!away) {
            snprintf(out->error, sizeof out->error, "standard error is /dev/null");
        }
    }
    pthread_mutex_unlock(&state.lock);
}
