/*
 * What every command of batvctl is given, and the table that names them all. A command prints its
 * answer to stdout and complaints to stderr, and returns the program's exit status.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "batv/ring.h"
#include "config/config.h"

enum ctl_exit {
    CTL_YES = 0,   /* done; all valid; running ... */
    CTL_NO = 1,    /* the answer is no, or it was refused */
    CTL_UNABLE = 2 /* could not run: usage, unreadable configuration or keys */
};

/* What batvctl does before it calls a command, in this order. */
enum {
    CTL_CONFIG = 1, /* loads the configuration: ctl->config is set */
    CTL_STATE = 2,  /* becomes the owner of state_dir; implies CTL_CONFIG */
    CTL_KEYS = 4,   /* no core dumps: the command reads secrets */
    CTL_ROUGH = 8   /* with CTL_STATE: a faulty configuration will do, of which ctl_load_own takes
                       what   there is */
};

struct ctl;

/* A form of a command. Forms of the same command stand together, and the first one's flags count.
 * Where they have functions of their own, the first word of arguments is the form's name. */
struct command {
    const char *name; /* NULL ends the table */
    const char *arguments;
    const char *help; /* one line */
    int (*run)(struct ctl *ctl, int argc, char **argv);
    unsigned flags;
};

struct ctl {
    const char *config_path;
    bool json;                       /* --json, wherever it stood: no longer in argv */
    const struct command *command;   /* its first form */
    struct config *config;           /* NULL until loaded; owned */
    struct config_messages messages; /* of the loading: warnings, too */
    bool rough;                      /* config is what ctl_load_own could find */
};

/* How the command is called, from its rows in the table. */
void ctl_print_usage(const struct ctl *ctl, FILE *stream);

/* As print_error, then how the command is called. Returns CTL_UNABLE. */
int ctl_usage_error(const struct ctl *ctl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Loads ctl->config unless it is loaded. False: the errors are on stderr; the exit is CTL_UNABLE.
 */
bool ctl_load_config(struct ctl *ctl);

/* As ctl_load_config; but where the file has faults, which are on stderr, ctl->config becomes what
 * config_load_own finds in it, ctl->rough is set, and stderr says which state_dir that is. False:
 * the same as above. */
bool ctl_load_own(struct ctl *ctl);

/* What the flags CTL_STATE and CTL_KEYS do, for a command that reads files of its caller's before:
 * loads the configuration, becomes the owner of state_dir, allows no core dumps. False: the reason
 * is on stderr; the exit is CTL_UNABLE. */
bool ctl_become_owner(struct ctl *ctl);

/* The keyring, from ctl->config's state_dir. False: the reason is on stderr; the exit is
 * CTL_UNABLE. The caller frees *out with ring_free. To change it, see store/ring_file.h. */
bool ctl_load_ring(const struct ctl *ctl, struct ring **out);

/* As print_error, for what a function of store/ring_file.h answers; with what to do. */
void ctl_ring_error(const struct ctl *ctl, enum status status, const struct reason *why);

/* Frees what ctl holds. */
void ctl_free(struct ctl *ctl);

#endif
