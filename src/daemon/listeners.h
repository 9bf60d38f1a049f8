/*
 * The file `listeners` in the state folder: every `listen` that the daemon used or that `batvctl
 * setup` gave to the MTA, the newest last. It tells batvd's own former addresses from those of
 * other milters.
 */
#ifndef DAEMON_LISTENERS_H
#define DAEMON_LISTENERS_H

#include <stddef.h>

#include "batv/status.h"

enum { LISTENERS_MAX = 16, LISTENER_TEXT_MAX = 255 };

/*
 * Makes listen the newest entry; the oldest one goes where there are too many. Does nothing where
 * it is the newest already, or cannot stand in a line. The caller is the owner of the folder.
 * STATUS_IO: why names the path.
 */
enum status listeners_note(const char *state_dir, const char *listen, struct reason *why);

/* The entries, the newest last; their number. None where the file is missing, is no regular file,
 * or cannot be read. The caller frees each. */
size_t listeners_read(const char *state_dir, char *out[static LISTENERS_MAX]);

#endif
