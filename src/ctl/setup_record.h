/*
 * What `batvctl setup --apply` wrote into Postfix's settings: the file `setup` in state_dir, so
 * that `setup --undo` and the removal of a package take out nothing else. Text, a setting a line:
 *
 *     format 1
 *     folder /etc/postfix                             the Postfix that was set up
 *     listen unix:/var/spool/postfix/batvd/milter.sock   as it was then
 *     map /etc/postfix/batv.pcre
 *     was milter_default_action = accept              before; no such line: main.cf did not set it
 *     set milter_default_action = tempfail            by setup
 *     last-signed 2026-11-28                          by `setup --undo`: no tag was made after it
 */
#ifndef CTL_SETUP_RECORD_H
#define CTL_SETUP_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "batv/status.h"
#include "mta/postfix_needs.h"

/* Owned. Starts as all zero. NULL: the file has no such line. */
struct setup_record {
    char *folder;
    char *listen;
    char *map;
    char *set[NEED_COUNT]; /* values */
    char *was[NEED_COUNT];
    int64_t last_signed; /* a day; 0: the file has no such line */
};

/* Reads the record, as the owner of state_dir. No file is an empty record. STATUS_INVALID: it is
 * damaged; STATUS_IO, STATUS_NO_MEMORY. out is to be freed whatever the answer. */
enum status setup_record_load(const char *state_dir, struct setup_record *out, struct reason *why);
/* Replaces the file, as the owner of state_dir. */
enum status setup_record_save(const char *state_dir, const struct setup_record *record,
                              struct reason *why);
void setup_record_free(struct setup_record *record);

/* Gives a member another text. False: no memory. */
bool setup_record_put(char **member, const char *text);

/* For tests: the text of the file, and what a text says. text is changed. */
char *setup_record_format(const struct setup_record *record);
enum status setup_record_parse(char *text, struct setup_record *out);

#endif
