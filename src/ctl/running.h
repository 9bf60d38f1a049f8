/* Whether a daemon is at work in a state folder. */
#ifndef CTL_RUNNING_H
#define CTL_RUNNING_H

#include <stdbool.h>

/* True while a daemon holds the lock on the file `lock` there. */
bool daemon_is_running(const char *state_dir);
/* The number of that process. 0: none holds it, or the number is not known here: the process is in
 * another PID namespace, or of a version that does not tell. */
long daemon_process(const char *state_dir);

#endif
