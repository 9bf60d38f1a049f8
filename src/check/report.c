/*
 * What `check` has to say of the daemon's report: an old one, or one of another process, tells
 * nothing of the daemon that runs now, however good it looks.
 */
#include "base/print.h"
#include "check/check.h"

static char *mend_report(struct check *check)
{
    if (check->unwritable != 0) {
        return mend_unwritable(check, check->unwritable);
    }
    return mend_text("look for `status file:` in batvd's log, which says why it cannot write; if "
                     "there is no such line, it hangs: %s",
                     check->restart);
}

/* "batvd", or with the number of its process, as far as it is known. */
static const char *name_daemon(const struct check *check, char *out, size_t size)
{
    snprintf(out, size, check->look.pid != 0 ? "process %ld" : "batvd", check->look.pid);
    return out;
}

void check_report(struct check *check)
{
    const struct report_look *look = &check->look;
    char name[32];
    char age[PRINT_SPAN];
    name_daemon(check, name, sizeof name);
    format_span(look->age, age);
    switch (look->kind) {
    case REPORT_FRESH:
        check_ok(check, "process %ld wrote it %s ago", look->report.pid, age);
        break;
    case REPORT_OLD:
        check_add(check, CHECK_FAIL, mend_report(check),
                  "process %ld wrote its last report %s ago, and should write one every 10 s",
                  look->report.pid, age);
        break;
    case REPORT_FORMER:
        check_add(check, CHECK_FAIL, mend_report(check),
                  "%s has written no report: the one there is of process %ld, which has ended, "
                  "and %s old",
                  name, look->report.pid, age);
        break;
    case REPORT_NONE:
        check_add(check, CHECK_FAIL, mend_report(check), "%s has written no report", name);
        break;
    case REPORT_BROKEN:
        check_add(check, CHECK_WARN, mend_text("batvctl -c %s status", check_conf(check)),
                  "batvd is running, but its report cannot be read: %s", look->why.text);
        break;
    }
}
