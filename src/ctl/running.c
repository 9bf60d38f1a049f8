/* The daemon's lock, tried and let go at once. */
#include "ctl/running.h"

#include "io/privileges.h"

bool daemon_is_running(const char *state_dir)
{
    return state_dir_is_locked(state_dir);
}

long daemon_process(const char *state_dir)
{
    return state_dir_process(state_dir);
}
