/* What the checks of Sendmail's settings share. */
#ifndef CHECK_SENDMAIL_H
#define CHECK_SENDMAIL_H

#include "check/check.h"

/* A line for the source of sendmail.cf. */
char *mend_mc(const struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
