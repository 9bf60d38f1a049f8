/* Other programs, run without a shell: what they are fed, what they say, within bounds. */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include <stddef.h>

#include "batv/status.h"

struct program_output {
    int exit;  /* 0 to 255 */
    char *out; /* stdout, NUL-terminated */
    char *err; /* stderr, likewise */
};

/* The path of a program in PATH, or in a folder of programs for administrators. NULL: there is
 * none, or no memory. The caller frees. */
char *program_find(const char *name);

/*
 * Runs argv[0], a path, until it ends; input is its stdin, NULL: empty. out is filled with
 * STATUS_OK only, whatever the exit. STATUS_IO: it could not be run, took too long or said too
 * much; why names it.
 */
enum status program_run(const char *const argv[], const char *input, struct program_output *out,
                        struct reason *why);
void program_output_free(struct program_output *out);

/* The argument as a word of a shell's command line, for people to use. NULL: no memory. The caller
 * frees. */
char *program_quote(const char *argument);

#endif
