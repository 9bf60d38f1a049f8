/*
 * What `check` has to say of writing the journal. The file and its folder are tried; where they can
 * be written the daemon's report tells, since only the daemon knows what it could not write.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check/check.h"

#define LOST "what was sent meanwhile is in batvd's memory only, and lost when it ends"

/* 0, or why the file cannot be written by its owner. */
static int probe_file(const struct check *check)
{
    char path[PATH_MAX];
    const char *folder = check->config->state_dir;
    if (snprintf(path, sizeof path, "%s/journal", folder) >= (int)sizeof path) {
        return ENAMETOOLONG;
    }
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0 && errno != ENOENT) {
        return errno;
    }
    return check->unwritable;
}

static char *mend_journal(struct check *check, int error)
{
    if (error == EACCES && check->unwritable == 0) {
        return mend_text("chmod 600 %s/journal; then %s",
                         check_word(check, check->config->state_dir), check->restart);
    }
    return mend_unwritable(check, error);
}

/* By what the daemon reports. */
static void tell_reported(struct check *check)
{
    const struct status_report *status = check->status;
    if (status->journal_error[0] != '\0') {
        check_add(check, CHECK_FAIL,
                  mend_text("mend what it says; batvd writes again by itself, but opens a journal "
                            "only when it starts: %s",
                            check->restart),
                  "%s; %" PRIu64 " entries wait: " LOST, status->journal_error,
                  status->journal_pending);
    } else {
        check_ok(check, "everything is in the file but %" PRIu64 " entries of the last second",
                 status->journal_pending);
    }
}

void check_journal_written(struct check *check)
{
    int error = probe_file(check);
    if (!check->config->settings->evidence.journal) {
        check_ok(check, "off by the configuration");
    } else if (error == 0 && check->look.kind == REPORT_FRESH) {
        tell_reported(check);
    } else if (error != 0) {
        check_add(check, CHECK_FAIL, mend_journal(check, error),
                  "%s/journal cannot be written: %s: " LOST, check->config->state_dir,
                  strerror(error));
    } else if (check->look.running) {
        check_add(check, CHECK_WARN, mend_text("batvctl -c %s status", check_conf(check)),
                  "whether batvd writes it cannot be told: its report is not of now");
    } else {
        check_ok(check, "it can be written when batvd runs");
    }
}
