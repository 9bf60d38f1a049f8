/*
 * The MTA's macros that we read, the step at which the MTA has to give each, and the setting that
 * says so. One table, for what the daemon misses at work and for what `check` finds in the MTA's
 * settings.
 */
#ifndef DAEMON_MILTER_MACROS_H
#define DAEMON_MILTER_MACROS_H

#include <stdbool.h>
#include <stddef.h>

enum milter_step { STEP_CONNECT, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_COUNT };

struct milter_setting {
    const char *postfix;  /* in main.cf or master.cf */
    const char *sendmail; /* in sendmail.cf */
    const char *define;   /* in the .mc file that it is made from */
};
const struct milter_setting *milter_setting(enum milter_step step);

struct milter_macro {
    const char *name;          /* as the setting has it: "{rcpt_addr}" */
    const char *instead;       /* one of these two is enough; NULL: there is no other */
    enum milter_step step;     /* STEP_COUNT: Postfix has no such macro */
    enum milter_step sendmail; /* the same for Sendmail, which gives it earlier at times */
    bool grave;                /* mail is judged otherwise without it */
    const char *lack;          /* what that does */
};
/* By number; NULL: there are no more. */
const struct milter_macro *milter_macro(size_t index);

#endif
