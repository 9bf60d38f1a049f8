/*
 * The commands, in cmd_NAME.c. argv[0] is the command's name, or the name of its form where each
 * form has a function; "--json" and what stood before have been taken out.
 */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include "ctl/ctl.h"

struct check_counts;
/* Runs all checks and prints what they found and a summary; with quiet only what is not ok. The
 * exit status of `check`. */
int check_all(struct ctl *ctl, bool quiet, struct check_counts *counts);

int cmd_check(struct ctl *ctl, int argc, char **argv);
int cmd_explain(struct ctl *ctl, int argc, char **argv);
int cmd_health(struct ctl *ctl, int argc, char **argv);
int cmd_journal_expire(struct ctl *ctl, int argc, char **argv);
int cmd_journal_lookup(struct ctl *ctl, int argc, char **argv);
int cmd_journal_stat(struct ctl *ctl, int argc, char **argv);
int cmd_inspect(struct ctl *ctl, int argc, char **argv);
int cmd_key_export(struct ctl *ctl, int argc, char **argv);
int cmd_key_import(struct ctl *ctl, int argc, char **argv);
int cmd_key_init(struct ctl *ctl, int argc, char **argv);
int cmd_key_list(struct ctl *ctl, int argc, char **argv);
int cmd_key_revoke(struct ctl *ctl, int argc, char **argv);
int cmd_key_rotate(struct ctl *ctl, int argc, char **argv);
int cmd_mta(struct ctl *ctl, int argc, char **argv);
int cmd_pause(struct ctl *ctl, int argc, char **argv);
int cmd_resume(struct ctl *ctl, int argc, char **argv);
int cmd_setup(struct ctl *ctl, int argc, char **argv);
int cmd_sign(struct ctl *ctl, int argc, char **argv);
int cmd_status(struct ctl *ctl, int argc, char **argv);
int cmd_verify(struct ctl *ctl, int argc, char **argv);

#endif
