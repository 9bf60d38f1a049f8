/* Words for people about decisions. */
#ifndef CTL_PHRASES_H
#define CTL_PHRASES_H

#include <stdio.h>
#include <time.h>

#include "batv/settings.h"

/* In words: a reason of sign-skip, or why batvctl sign refuses. "" for an unknown one. */
const char *explain_skip(const char *reason);

/* In words: what `auto` does and why. until as by snapshot_auto; wait by settings_wait. */
void print_auto(FILE *out, enum auto_state state, time_t until, time_t wait);

#endif
