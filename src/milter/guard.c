/*
 * What libmilter takes on trust. A packet of macros has a step and then names and values, each
 * ended by a NUL: where they are no pairs libmilter reads beyond them, and the process ends. Such a
 * packet ends its session instead. libmilter looks at all others itself.
 */
#include "milter/guard.h"

#include <dlfcn.h>
#include <libmilter/mfdef.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* SMFIC_UNKNERR of libmilter's own header: an error that it has no word for. */
enum { UNKNOWN_ERROR = 6 };

typedef char *read_command_fn(int, struct timeval *, char *, size_t *, char *);

/* Whether what comes after the step are pairs of strings, all of them ended; none at all will do.
 */
static bool are_pairs(const char *strings, size_t length)
{
    size_t ends = 0;
    for (size_t i = 0; i < length; i++) {
        ends += strings[i] == '\0';
    }
    return length == 0 || (strings[length - 1] == '\0' && ends % 2 == 0);
}

/* libmilter's own, found once; NULL: there is none. */
static read_command_fn *find_read_command(void)
{
    static _Atomic(read_command_fn *) found;
    read_command_fn *function = found;
    if (function == NULL) {
        void *symbol = dlsym(RTLD_NEXT, "mi_rd_cmd");
        memcpy(&function, &symbol, sizeof function);
        found = function;
    }
    return function;
}

char *mi_rd_cmd(int socket, struct timeval *timeout, char *cmd, size_t *length, char *name)
{
    read_command_fn *read_command = find_read_command();
    char *content = NULL;
    *cmd = UNKNOWN_ERROR;
    *length = 0;
    if (read_command != NULL) {
        content = read_command(socket, timeout, cmd, length, name);
    }
    if (content != NULL && *cmd == SMFIC_MACRO && *length > 0 &&
        !are_pairs(content + 1, *length - 1)) {
        free(content);
        content = NULL;
        *cmd = UNKNOWN_ERROR;
        *length = 0;
    }
    return content;
}
