/* The steps of `batvctl setup`. Each tells on stdout what it did, on stderr why it could not. */
#ifndef CTL_SETUP_H
#define CTL_SETUP_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/ctl.h"
#include "mta/postfix.h"
#include "mta/sendmail.h"

/* What the configuration has to say. */
struct setup_wish {
    char *const *domains;
    size_t count;
    char *listen; /* to be set where the file does not set it; NULL: the default does */
    char *listen_group;
};

/* Looks at the domains as the configuration would. False: one is bad or given twice. */
bool setup_domains_fit(const struct setup_wish *wish);

/*
 * Makes or completes the configuration; afterwards ctl->config is it. CTL_NO: a configuration that
 * says something else is there. CTL_UNABLE: nothing was changed.
 */
int setup_configuration(struct ctl *ctl, const struct setup_wish *wish);

/* Makes the state folder and the keyring where there is none. An exit status. */
int setup_keys(struct ctl *ctl);

/* Gives Postfix what it needs. An exit status. */
int setup_postfix(const struct ctl *ctl, const struct postfix *postfix, const char *map_path);

/* The other way: `setup --undo`. Either may be NULL: there is none here. An exit status. */
int setup_undo(struct ctl *ctl, const struct postfix *postfix, const struct sendmail *sendmail);

/* The folder of the socket, where it is in Postfix's queue directory: how it is made, as a command
 * line; NULL: it is there, or not Postfix's, or no memory. The caller frees. */
char *setup_folder_command(const struct ctl *ctl, const struct postfix *postfix);

#endif
