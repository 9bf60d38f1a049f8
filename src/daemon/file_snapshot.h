/*
 * The snapshot that the daemon decides by, put together from files: configuration, keyring, pause,
 * and the daemon's report. So `status`, `check` and `explain` say of a domain what the daemon does,
 * by the functions by which it does it.
 */
#ifndef DAEMON_FILE_SNAPSHOT_H
#define DAEMON_FILE_SNAPSHOT_H

#include "daemon/report.h"
#include "daemon/snapshot.h"

struct file_snapshot {
    struct snapshot snapshot;
    struct observed observed; /* what it points to beside the settings and the ring */
};

/* config and ring must outlive the snapshot. Where there is no report nothing has been seen. The
 * caller adds the journal's birth. STATUS_NO_MEMORY: *out is empty. */
enum status file_snapshot_make(const struct config *config, const struct ring *ring,
                               const struct report_look *look, time_t now,
                               struct file_snapshot *out);
void file_snapshot_clear(struct file_snapshot *files);

#endif
