/*
 * Random octets from the kernel's generator; nothing is kept here.
 */
#include "base/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "batv/secret.h"

enum status random_octets(void *out, size_t length, struct reason *why)
{
    char *at = out;
    size_t left = length;
    while (left > 0) {
        ssize_t got = getrandom(at, left, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            int error = errno;
            secret_wipe_memory(out, length);
            return reason_set(why, STATUS_IO, "no randomness from the system: %s", strerror(error));
        }
        at += got;
        left -= (size_t)got;
    }
    return STATUS_OK;
}
