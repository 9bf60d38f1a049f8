/*
 * The file `status` in the state folder: the daemon's report. batvctl reads it, and so does the
 * next daemon at its start. Text, a line an item, replaced as a whole every ten seconds and at
 * events, and so a sign that the daemon lives. The states of domains are not in it: they follow
 * from configuration, keyring and this file (daemon/file_snapshot.h).
 */
#ifndef STORE_STATUS_FILE_H
#define STORE_STATUS_FILE_H

#include "batv/status.h"
#include "store/status_report.h"

enum status status_file_write(const char *state_dir, const struct status_report *report,
                              struct reason *why);
/* STATUS_NOT_FOUND where there is none; STATUS_INVALID where it is damaged. */
enum status status_file_read(const char *state_dir, struct status_report *out, struct reason *why);

#endif
