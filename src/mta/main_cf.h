/* Changing Postfix's main.cf by postconf(1), and running Postfix's other programs. */
#ifndef MTA_MAIN_CF_H
#define MTA_MAIN_CF_H

#include <glob.h>
#include <stdbool.h>
#include <stddef.h>

#include "mta/postfix.h"

/* Runs one of Postfix's programs. STATUS_IO: it refused, too. */
enum status main_cf_run(const char *name, const char *const arguments[], size_t count,
                        struct reason *why);

/* What is to change; the texts are the caller's. */
struct main_cf_change {
    const char *const *set; /* "NAME = VALUE" */
    size_t set_count;
    const char *const *drop; /* names: no longer set, so that the default holds */
    size_t drop_count;
};

/*
 * Makes the changes, those of `set` all at once and first. The former file is kept beside it; *copy
 * is its path, which the caller frees, NULL: none is left. False: main.cf is
 * as it was, or else stderr says that it may not be.
 */
bool main_cf_edit(const struct postfix *postfix, const struct main_cf_change *change, char **copy);

/* A path beside a file, under a dated name, for a copy of it. NULL: no memory. The caller frees. */
char *main_cf_copy_path(const char *path);

/* The copies of main.cf that stand there, as glob(3) does, by name, which is by date; and what it
 * returns. The caller calls globfree(). */
int main_cf_copies(const struct postfix *postfix, glob_t *out);

/* Whether the text of a main.cf sets this parameter. */
bool main_cf_sets(const char *text, const char *name);
/* Its value there, the lines joined; NULL: it is not set, or no memory. The caller frees. */
char *main_cf_value(const char *text, const char *name);

/* Whether the Postfix of this configuration runs. */
bool postfix_runs(void);
/* Puts the changes in force and says so. False: stderr says that they are not. */
bool postfix_reload(const struct postfix *postfix);

/* The path of main.cf. NULL: no memory. The caller frees. */
char *main_cf_path(const struct postfix *postfix);

#endif
