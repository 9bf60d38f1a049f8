/*
 * What `check` has to say of writing the journal. The database and its folder are tried; where they
 * can be written the daemon's report tells, since only the daemon knows what it could not write. A
 * process that reads the database without an end keeps its write-ahead log from being emptied.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file_stamp.h"
#include "check/check.h"
#include "store/journal_db.h"

#define LOST "what was sent meanwhile is in batvd's memory only, and lost when it ends"

/* 0, or why the file cannot be written by its owner. */
static int probe_file(const struct check *check, const char *path)
{
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0 && errno != ENOENT) {
        return errno;
    }
    return check->unwritable;
}

static char *mend_journal(struct check *check, const char *path, int error)
{
    if (error == EACCES && check->unwritable == 0) {
        return mend_text("chmod 600 %s; then %s", check_word(check, path), check->restart);
    }
    return mend_unwritable(check, error);
}

/* Adds "NAME (process N)". */
static void add_process(long process, char *out, size_t size)
{
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/proc/%ld/comm", process);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(name, sizeof name, file) != NULL) {
            name[strcspn(name, "\n")] = '\0';
        }
        fclose(file);
    }
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s (process %ld)", used > 0 ? ", " : "", name, process);
}

/* Who has the database open besides batvd and this process, as far as /proc shows it. */
static void name_readers(const struct check *check, const char *path, char *out, size_t size)
{
    glob_t found;
    long last = 0;
    const struct file_id id = file_id_of(path);
    out[0] = '\0';
    if (glob("/proc/[0-9]*/fd/*", GLOB_NOSORT, NULL, &found) != 0) {
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        long process = strtol(found.gl_pathv[i] + strlen("/proc/"), NULL, 10);
        if (process != last && process != check->status->pid && process != (long)getpid() &&
            file_id_equal(file_id_of(found.gl_pathv[i]), id)) {
            add_process(process, out, size);
            last = process;
        }
    }
    globfree(&found);
}

/* By what the daemon reports. */
static void tell_reported(struct check *check, const char *path)
{
    char readers[256];
    const struct status_report *status = check->status;
    if (status->journal_error[0] != '\0') {
        name_readers(check, path, readers, sizeof readers);
        check_add(check, CHECK_FAIL,
                  mend_text("mend what it says; batvd writes again by itself, but opens a journal "
                            "only when it starts: %s",
                            check->restart),
                  "%s%s%s; %" PRIu64 " entries wait: " LOST, status->journal_error,
                  readers[0] != '\0' ? "; it is read by " : "", readers, status->journal_pending);
    } else {
        check_ok(check, "everything is in the file but %" PRIu64 " entries of the last second",
                 status->journal_pending);
    }
}

void check_journal_written(struct check *check)
{
    char *path = journal_db_path(check->config->state_dir);
    int error = path != NULL ? probe_file(check, path) : ENOMEM;
    if (!check->config->settings->evidence.journal) {
        check_ok(check, "off by the configuration");
    } else if (error == 0 && check->look.kind == REPORT_FRESH) {
        tell_reported(check, path);
    } else if (error != 0) {
        check_add(check, CHECK_FAIL, mend_journal(check, path != NULL ? path : "", error),
                  "%s cannot be written: %s: " LOST, path != NULL ? path : "the journal",
                  strerror(error));
    } else if (check->look.running) {
        check_add(check, CHECK_WARN, mend_text("batvctl -c %s status", check_conf(check)),
                  "whether batvd writes it cannot be told: its report is not of now");
    } else {
        check_ok(check, "it can be written when batvd runs");
    }
    free(path);
}
