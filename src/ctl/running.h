/* Whether a daemon is at work in a state folder. */
#ifndef CTL_RUNNING_H
#define CTL_RUNNING_H

#include <stdbool.h>

/* True while a daemon holds the lock on the file `lock` there. */
bool daemon_is_running(const char *state_dir);

#endif
