/*
 * Which stages of a message an MTA has agreed to show, and which it has shown: some begin to know
 * milters stage by stage, and say that they will send what they do not send yet.
 */
#ifndef MILTER_STAGES_H
#define MILTER_STAGES_H

#include <stdbool.h>

/* Starts as all zero. Belongs to a session. */
struct stages {
    bool data_agreed, header_agreed;
    bool data, header;  /* came, of this message */
    bool sender_unread; /* of this message: only the MTA can read it, and does not say how */
};

/* At the negotiation: what will come. */
static inline void stages_agree(struct stages *stages, bool data, bool header)
{
    stages->data_agreed = data;
    stages->header_agreed = header;
}

/* A message begins or is over. */
static inline void stages_begin(struct stages *stages)
{
    stages->data = stages->header = stages->sender_unread = false;
}

static inline void stages_mail(struct stages *stages, bool unread)
{
    stages->sender_unread = unread;
}

static inline void stages_data(struct stages *stages)
{
    stages->data = true;
}

/* A field of the header, or its end. True for the first where no DATA came before it. */
static inline bool stages_header(struct stages *stages)
{
    bool first = !stages->header && !stages->data;
    stages->header = true;
    return first;
}

/* At the end of a message: the first stage that did not come; NULL: all came. */
static inline const char *stages_missing(const struct stages *stages)
{
    if (stages->data_agreed && !stages->data) {
        return "DATA";
    }
    return stages->header_agreed && !stages->header ? "header" : NULL;
}

#endif
