/*
 * What a function that meets bad input or a bad environment answers. Bugs of our own are
 * assertions, never a status; only the programs' mains and commands turn a status into an exit.
 */
#ifndef BATV_STATUS_H
#define BATV_STATUS_H

enum status {
    STATUS_OK = 0,
    STATUS_NO_MEMORY,
    STATUS_INVALID,   /* the input is not of the form that it has to have */
    STATUS_NOT_FOUND, /* what was named does not exist */
    STATUS_CONFLICT,  /* somebody else changed it first: load again and repeat */
    STATUS_REFUSED,   /* understood, but must not be done now */
    STATUS_IO,        /* the operating system refused */
    STATUS_CRYPTO     /* the cryptographic library refused */
};

/* Why, for a person: one line without a newline. Filled by whoever returns another status than OK.
 */
struct reason {
    char text[512];
};

/* Writes a formatted line into why, cut to its size. why may be NULL. Returns status unchanged. */
enum status reason_set(struct reason *why, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
