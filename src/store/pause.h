/*
 * The pause: while the file `paused` is in the state folder, verification refuses nothing. What it
 * holds, the time since when, is for people; that it is there is what counts.
 */
#ifndef STORE_PAUSE_H
#define STORE_PAUSE_H

#include <stdbool.h>
#include <time.h>

#include "batv/status.h"

/* One look at the file system. */
bool pause_is_on(const char *state_dir);

/* As pause_is_on; *since becomes the time that the file holds, or of the file itself. */
bool pause_since(const char *state_dir, time_t *since);

/* Does nothing where there is a pause already. STATUS_IO: why names the path. */
enum status pause_begin(const char *state_dir, time_t now, struct reason *why);

/* Does nothing where there is none. STATUS_IO: why names the path. */
enum status pause_end(const char *state_dir, struct reason *why);

#endif
