/*
 * Where the log's lines go: to syslog, to the journal of systemd, or to stderr. Where the first two
 * take none, lines go to stderr until they do, and stderr says so: no line vanishes unseen.
 */
#ifndef BASE_LOG_TARGET_H
#define BASE_LOG_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum log_target { LOG_TARGET_SYSLOG, LOG_TARGET_STDERR, LOG_TARGET_JOURNALD };

/* A line stands in a buffer with so much room before and after it, for what a target puts there. */
enum { LOG_ROOM_BEFORE = sizeof "MESSAGE=" - 1, LOG_ROOM_AFTER = 1 };

/* Before it lines go to stderr. Also where the configuration has changed. syslog_path: NULL for the
 * system's. */
void log_target_open(enum log_target target, int facility, const char *syslog_path);

/* What a line says, as fields of their own: give calls take for each, with a name in lower case. It
 * is called only for a target that keeps fields. */
typedef void log_field_fn(void *self, const char *name, const char *value);
struct log_fields {
    void (*give)(const void *context, log_field_fn *take, void *self);
    const void *context;
};

/* One line; any thread. fields may be NULL. */
void log_target_write(int priority, char *line, size_t length, const struct log_fields *fields);

/* Looks whether a target that took no lines takes them now. True: lines go elsewhere than at the
 * last look. */
bool log_target_look(void);

struct log_state {
    enum log_target target; /* as configured */
    const char *place;      /* where lines go: a target's name, or "nowhere": stderr is /dev/null */
    time_t since;           /* place is not the target since then; 0: it is */
    char error[128];        /* why; "" where lines go to the target */
    uint64_t lost;          /* lines that stderr did not take */
};
void log_target_state(struct log_state *out);

/* "syslog", "stderr" or "journald" */
const char *log_target_name(enum log_target target);
/* 0: it takes lines now, by the look of it; else an errno. stderr always does. */
int log_target_probe(enum log_target target);
/* The socket of syslog or of the journal. */
const char *log_target_socket(enum log_target target);

#endif
