/* Randomness from the operating system. */
#ifndef BATV_BASE_RANDOM_H
#define BATV_BASE_RANDOM_H

#include <stddef.h>

#include "batv/status.h"

/* Fills all of out, or wipes it and answers STATUS_IO. Waits while the system has just been started
 * and has gathered none yet. Any thread. */
enum status random_octets(void *out, size_t length, struct reason *why);

#endif
