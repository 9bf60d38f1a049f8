/* The copy of a lost keyring that a running daemon keeps in memory (store/ring_loss.h). */
#ifndef STORE_KEPT_RING_H
#define STORE_KEPT_RING_H

#include <stdbool.h>

struct kept_ring {
    long pid; /* 0: there is none, or this user cannot see it */
    int fd;
};

/* Looks through the processes for the one that keeps the ring of this folder; root can. */
void kept_ring_find(const char *state_dir, struct kept_ring *out);

#endif
