/* A command's arguments: --name VALUE or --name=VALUE, flags, operands. `--` ends the options. */
#ifndef CTL_ARGUMENTS_H
#define CTL_ARGUMENTS_H

#include <stdbool.h>

#include "ctl/ctl.h"

enum argument_kind {
    ARGUMENT_FLAG,  /* sets *flag */
    ARGUMENT_VALUE, /* sets *value; twice is an error */
    ARGUMENT_LIST   /* introduces operands, which then stand behind it only: --rcpt A B */
};

struct argument {
    const char *name; /* with its dashes; NULL ends the table */
    enum argument_kind kind;
    bool *flag;
    const char **value;
};

/*
 * Takes the options out of argv, which afterwards holds the command's name and its operands in
 * their order, a NULL behind them; *argc is their number with the name. known may be NULL: no
 * options. False: the usage is on stderr; the exit is CTL_UNABLE.
 */
bool arguments_parse(const struct ctl *ctl, const struct argument *known, int *argc, char **argv);

/* A decimal number of at most max. False: not one. */
bool argument_number(const char *text, unsigned long max, unsigned long *out);

#endif
