/* Work that may end the process that does it, done in another one. */
#ifndef STORE_JOURNAL_CHILD_H
#define STORE_JOURNAL_CHILD_H

#include <stddef.h>

#include "batv/status.h"

typedef enum status journal_child_fn(void *context, void *result, struct reason *why);

/*
 * Calls work in a copy of this process and fetches its status, reason and result, of size octets.
 * The process must have no other threads. STATUS_INVALID also where the copy died of a fault,
 * STATUS_IO where it was killed, took longer than so many seconds or could not be made.
 */
enum status journal_child_run(journal_child_fn *work, void *context, void *result, size_t size,
                              unsigned seconds, struct reason *why);

#endif
