/* The descriptors that every program expects to be open: 0 to 2. */
#ifndef BASE_DESCRIPTORS_H
#define BASE_DESCRIPTORS_H

#include <stdbool.h>

/*
 * Opens those of 0 to 2 that are closed, so that no file of ours becomes one of them, and gets what
 * is meant for a terminal. Reading from such a one finds the end; writing to it fails, as it did
 * while it was closed. Call it before anything else. False: there is no /dev/null.
 */
bool descriptors_open(void);

#endif
