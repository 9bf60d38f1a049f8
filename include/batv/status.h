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

/* Writes a formatted line into why, cut to its size. why may be NULL. */
void reason_write(struct reason *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, and is status: a macro, so that static analysis sees that too. */
#define reason_set(why, status, ...) (reason_write((why), __VA_ARGS__), (status))

#endif
