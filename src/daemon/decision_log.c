/*
 * A line is formatted in the caller's stack and handed to the log's target, with the decision's
 * values for a target that keeps fields. No state.
 */
#include "daemon/decision_log.h"

#include <syslog.h>

#include "base/log.h"

enum { USUAL_LINE = 1024 };

static void give_fields(const void *context, log_field_fn *take, void *self)
{
    const struct decision *decision = context;
    const struct decision_reader reader = {take, self};
    take(self, "queue_id", decision->queue_id != NULL ? decision->queue_id : "NOQUEUE");
    take(self, "event", decision_event(decision));
    decision_read(decision, &reader);
}

static void write_line(int priority, char *line, size_t length, const struct decision *decision)
{
    log_target_write(priority, line, length, &(struct log_fields){give_fields, decision});
}

/* Stack that was touched once stays resident with each thread of libmilter's, so the room for the
 * longest line is taken only by those that need it: by a frame of its own. */
__attribute__((noinline)) static void write_long(int priority, const struct decision *decision)
{
    char buffer[LOG_ROOM_BEFORE + DECISION_LINE + LOG_ROOM_AFTER];
    char *line = buffer + LOG_ROOM_BEFORE;
    write_line(priority, line, decision_format(decision, line, DECISION_LINE), decision);
}

void decision_log(void *self, const struct decision *decision)
{
    (void)self;
    int priority = decision->debug ? LOG_DEBUG : LOG_INFO;
    if (!log_takes(priority) || decision->counted) {
        return;
    }
    char buffer[LOG_ROOM_BEFORE + USUAL_LINE + LOG_ROOM_AFTER];
    char *line = buffer + LOG_ROOM_BEFORE;
    size_t length = decision_format(decision, line, USUAL_LINE);
    if (length < USUAL_LINE - 1) {
        write_line(priority, line, length, decision);
    } else {
        write_long(priority, decision);
    }
}
