/*
 * The keyring file is lost, missing or damaged, while the daemon still has the ring. The daemon
 * writes it back, unless somebody may have meant it, or may be about to mend it himself; otherwise
 * a readable copy is kept in memory, and an administrator is told how to save it. What is told is
 * the same in the log, in the report and by batvctl check.
 */
#ifndef STORE_RING_LOSS_H
#define STORE_RING_LOSS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "batv/ring.h"
#include "batv/status.h"

enum { RING_LOSS_WAIT = 60 }; /* seconds for which the file must have stayed as it is */

enum ring_loss_kind { RING_THERE, RING_MISSING, RING_DAMAGED, RING_UNREADABLE };

/* Whether it can be written back. */
enum ring_back {
    RING_BACK_WAITS,  /* for RING_LOSS_WAIT to pass */
    RING_BACK_DUE,    /* now */
    RING_BACK_FORGET, /* no: keys.retain_days is 0, so keys may be meant to be forgotten */
    RING_BACK_FOLDER, /* no: the folder is another one than at the start */
    RING_BACK_NEWER,  /* no: there was a newer ring than the daemon has */
    RING_BACK_FAILED  /* it was tried, or the file cannot even be looked at */
};
/* One word, for the report; "" with RING_THERE. */
const char *ring_back_name(enum ring_loss_kind kind, enum ring_back back);
/* False: no such word. */
bool ring_back_from_name(const char *name, enum ring_back *out);

/* What the daemon knows of its file. Times are of a clock that nobody sets. */
struct ring_loss {
    enum ring_loss_kind kind;
    time_t since;      /* when it was found to be as it is now */
    uint64_t newest;   /* the highest generation that was ever seen, be it in a damaged file */
    time_t retry_at;   /* not to be tried before; 0: it has not failed */
    struct reason why; /* of the failure */
};

/* A look at the file: what was found, and whether it differs from the look before. generation: of a
 * ring that was read, or that a damaged file claims to be of; 0: none. */
void ring_loss_note(struct ring_loss *loss, enum ring_loss_kind kind, bool changed,
                    uint64_t generation, time_t now);

/* For the ring of generation, which the daemon has. same_folder: as at the start. */
enum ring_back ring_loss_judge(const struct ring_loss *loss, uint64_t generation,
                               unsigned retain_days, bool same_folder, time_t now);

/* A readable copy in memory, as a file that only this process has open. Starts as all zero, with fd
 * -1. */
struct ring_copy {
    int fd;
    void *text; /* mapped and locked */
    size_t size;
};
/* Makes it, unless it is there. False: it cannot be made. */
bool ring_copy_make(struct ring_copy *copy, const struct ring *ring, const char *state_dir);
/* Wipes it. */
void ring_copy_end(struct ring_copy *copy);
/* How /proc/PID/fd names that file. */
enum { RING_COPY_NAME = 240 };
void ring_copy_name(const char *state_dir, char out[static RING_COPY_NAME]);

/* What is to be told. */
struct ring_plight {
    const char *state_dir;
    enum ring_loss_kind kind;
    enum ring_back back;
    const char *why; /* with RING_BACK_FAILED */
    long pid;        /* the daemon's; 0: not known */
    int fd;          /* its copy; -1: none, or not known */
};

/* A sentence or two that begin with a small letter. The caller frees; NULL: no memory. */
char *ring_plight_text(const struct ring_plight *plight);
/* The command line that saves the keys, for root. The caller frees; NULL: there is none. */
char *ring_plight_command(const struct ring_plight *plight);

/* Whether a daemon ever ran on this folder: then it had a ring, and may have signed. */
bool ring_was_there(const char *state_dir);

/* What to do about a ring that ring_load does not find or finds damaged, by its status. running: a
 * daemon has it. NULL: nothing that is not in the reason. */
const char *ring_lost_advice(const char *state_dir, enum status status, bool running,
                             unsigned retain_days);

#endif
