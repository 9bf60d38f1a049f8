/* What is said to the MTA of an event. */
#ifndef BATV_REPLY_H
#define BATV_REPLY_H

#include "batv/settings.h"

enum reply_kind { REPLY_CONTINUE, REPLY_ACCEPT, REPLY_TEMPFAIL, REPLY_REJECT, REPLY_DISCARD };

struct reply {
    enum reply_kind kind;
    const char *code;     /* "550"; NULL where the MTA's own words do */
    const char *enhanced; /* "5.7.1" (RFC 3463) */
    char text[420];
};

/* The reply to an error of our own, by on_error. */
void reply_on_error(const struct settings *settings, struct reply *reply);

#endif
