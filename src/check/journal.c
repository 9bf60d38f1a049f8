/* What `check` has to say of the journal of sent messages. */
#include <inttypes.h>

#include "base/print.h"
#include "check/check.h"
#include "store/journal.h"

/* The journal as it stands in its database. */
static void tell_stat(struct check *check, const struct journal_stat *stat)
{
    const char *folder = check_word(check, check->config->state_dir);
    char when[PRINT_TIME];
    bool full =
        stat->forced > 0 && check->now - stat->forced_at < settings_wait(check->config->settings);
    format_moment(stat->birth, when);
    if (stat->damaged_aside) {
        check_add(check, CHECK_WARN, mend_text("rm %s/journal.damaged", folder),
                  "a damaged journal was set aside: bounces of what was sent before %s are proven "
                  "by tag or header only",
                  when);
    }
    if (full) {
        check_add(
            check, CHECK_WARN,
            mend_config_restart(check, "raise journal.max_size or lower journal.retain_days,"),
            "%" PRIu64 " entries had to go before their time: the journal is full", stat->forced);
    }
    if (!stat->damaged_aside && !full) {
        check_ok(check, "%" PRIu64 " entries since %s", stat->entries, when);
    }
}

void check_journal(struct check *check)
{
    struct journal *journal = NULL;
    struct journal_stat stat;
    struct reason why;
    if (!check->config->settings->evidence.journal) {
        check_ok(check, "off by the configuration");
        return;
    }
    enum status status = journal_open_reader(check->config->state_dir, &journal, &why);
    if (status == STATUS_OK) {
        status = journal_stat(journal, &stat, &why);
    }
    if (status == STATUS_OK) {
        tell_stat(check, &stat);
    } else if (status == STATUS_NOT_FOUND) {
        check_ok(check, "not begun yet: batvd makes it when it starts");
    } else {
        check_add(check, status == STATUS_INVALID ? CHECK_FAIL : CHECK_WARN,
                  mend_text("%s", check->restart), "%s", why.text);
    }
    journal_close(journal);
}
