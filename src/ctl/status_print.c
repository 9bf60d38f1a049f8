/*
 * The status for somebody who has been woken up: what is wrong stands first, in red where that is a
 * terminal, with what mends it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "batv/day.h"
#include "batv/facts.h"
#include "ctl/phrases.h"
#include "ctl/status_view.h"

enum { FORGED_SHOWN = 10 };

static bool use_colour(void)
{
    return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
}

static void begin_alarm(void)
{
    fputs(use_colour() ? "\033[1;31m" : "", stdout);
}

static void end_alarm(void)
{
    puts(use_colour() ? "\033[0m" : "");
}

static void print_moment(const char *before, time_t when)
{
    char moment[PRINT_TIME];
    format_moment(when, moment);
    printf("%s%s", before, moment);
}

static void print_span(const char *before, time_t seconds, const char *after)
{
    char span[PRINT_SPAN];
    format_span(seconds, span);
    printf("%s%s%s", before, span, after);
}

static void print_stopped(const struct status_view *v)
{
    begin_alarm();
    fputs("batvd is not running", stdout);
    end_alarm();
    if (report_is_known(&v->look)) {
        print_moment("this is its last report, of ", v->look.report.written);
        putchar('\n');
    }
}

/* Where the report is another process's, or none. */
static void print_untold(const struct status_view *v)
{
    const struct report_look *look = &v->look;
    fputs("batvd is running", stdout);
    if (look->pid != 0) {
        printf(", process %ld", look->pid);
    }
    puts(look->kind == REPORT_NONE ? " and has not written its first report yet" : "");
    if (look->kind == REPORT_FORMER) {
        begin_alarm();
        printf("it has written no report, because it cannot write to state_dir: this one is from "
               "process %ld, which",
               look->report.pid);
        print_moment(" wrote it on ", look->report.written);
        print_span(" (", look->age, " ago) and has ended");
        end_alarm();
    }
}

static void print_daemon(const struct status_view *v)
{
    const struct status_report *r = &v->look.report;
    if (!v->look.running) {
        print_stopped(v);
        return;
    }
    if (!report_is_present(&v->look)) {
        print_untold(v);
        return;
    }
    fputs("batvd ", stdout);
    print_text(stdout, r->version);
    printf(" is running, process %ld", r->pid);
    print_moment(", since ", r->started);
    print_span(" (", v->now - r->started, ")\n");
    if (v->look.kind == REPORT_OLD) {
        begin_alarm();
        print_moment("its last report is from ", r->written);
        print_span(", ", v->look.age, " old: it hangs, or cannot write to state_dir");
        end_alarm();
    }
}

static void print_pause(const struct status_view *v)
{
    if (v->paused) {
        begin_alarm();
        fputs("PAUSED", stdout);
        print_moment(" since ", v->paused_since);
        fputs(": nothing is rejected until `batvctl resume`", stdout);
        end_alarm();
    }
}

static void print_trouble(const char *what, const char *error)
{
    if (error[0] != '\0') {
        begin_alarm();
        printf("%s: ", what);
        print_text(stdout, error);
        end_alarm();
    }
}

/* Lines that go where nobody may look for them. */
static void print_log(const struct status_report *r)
{
    if (r->log_error[0] != '\0') {
        begin_alarm();
        printf(strcmp(r->log_place, "nowhere") == 0 ? "log lines are lost"
                                                    : "log lines go to standard error");
        if (r->log_since != 0) {
            print_moment(" since ", r->log_since);
        }
        fputs(": ", stdout);
        print_text(stdout, r->log_error);
        end_alarm();
    }
    if (r->log_lost > 0) {
        begin_alarm();
        printf("standard error did not accept %" PRIu64 " lines of the log", r->log_lost);
        end_alarm();
    }
}

/* What is the matter, and what mends it. */
static void print_clock(const struct status_report *r)
{
    if (!r->clock_wrong) {
        return;
    }
    begin_alarm();
    if (r->clock_until != 0) {
        fputs("clock: it jumped by more than a day, so keys are not rotated and `auto` only logs; "
              "if it is right, batvd trusts it",
              stdout);
        print_moment(" from ", r->clock_until);
        fputs(" on; if it is wrong, set it right", stdout);
    } else {
        fputs("clock: more than a day before the newest time in the keyring, so keys are not "
              "rotated and `auto` only logs, until an hour after it is set right",
              stdout);
    }
    end_alarm();
}

static void print_keys(const struct status_view *v)
{
    const struct status_report *r = &v->look.report;
    printf("keyring generation %" PRIu64 ", ", r->generation);
    if (r->active_key < 0) {
        fputs("NO KEY SIGNS: `batvctl key rotate` makes one", stdout);
    } else {
        printf("key %ld signs", r->active_key);
    }
    if (r->next_rotation == 0) {
        puts(", no rotation is due");
    } else {
        print_moment(", next rotation ", r->next_rotation);
        time_t left = r->next_rotation - v->now;
        if (left > 0) {
            print_span(" (in ", left, ")\n");
        } else {
            puts(" (due)");
        }
    }
}

/* What the daemon says of all together, where it cannot be told apart. */
static void print_domain_counts(const struct status_view *v)
{
    const struct status_report *r = &v->look.report;
    printf("%" PRIu64 " domain%s, %" PRIu64
           " of them only logging; which, batvctl can tell once %s\n",
           r->domains_all, r->domains_all == 1 ? "" : "s", r->domains_logging,
           v->rough ? "the configuration has no faults" : "the keyring can be read");
}

static void print_domain(const struct status_view *v, const struct domain_settings *domain)
{
    time_t until;
    print_text(stdout, domain->name);
    fputs(": ", stdout);
    if (domain->action == ACTION_AUTO) {
        enum auto_state state = snapshot_auto(v->domains, domain, v->now, &until);
        print_auto(stdout, state, until, settings_wait(v->config->settings));
        putchar('\n');
    } else {
        printf("%s, as configured\n", action_name(domain->action));
    }
}

static void print_domains(const struct status_view *v)
{
    const struct settings *settings = v->config->settings;
    if (!v->rough && settings->domain_count == 0) {
        puts("\nno domains: batvd signs and verifies nothing");
        return;
    }
    puts("\n");
    if (v->domains == NULL) {
        print_domain_counts(v);
        return;
    }
    for (size_t i = 0; i < settings->domain_count; i++) {
        print_domain(v, &settings->domain[i]);
    }
}

/* The same client may stand there for several domains. */
static bool is_listed_before(const struct status_report *r, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(r->relayed.rows[i].client, r->relayed.rows[index].client) == 0) {
            return true;
        }
    }
    return false;
}

/* The line for the configuration that makes submitters of these clients. Hosts in `relays` are none
 * whatever else they are in, what is internal by now need not be added, and one that the MTA does
 * not trust must not be. */
static void print_remedy(const struct status_view *v)
{
    const struct status_report *r = &v->look.report;
    bool any = false;
    for (size_t i = 0; i < r->relayed.count; i++) {
        struct ip ip;
        const char *client = r->relayed.rows[i].client;
        if (is_listed_before(r, i) || !ip_parse(client, &ip) ||
            network_list_match(v->config->settings->relays, &ip) != NULL ||
            network_list_match(v->config->settings->internal_networks, &ip) != NULL ||
            !postfix_trusts(v->trust, client)) {
            continue;
        }
        if (!any) {
            print_format(
                stdout,
                "  if, and only if, each of these hosts is yours (else take the others out):\n"
                "    internal_networks = [ %s%s",
                v->config->internal_networks, v->config->internal_networks[0] != '\0' ? ", " : "");
        }
        printf("%s\"%s/%d\"", any ? ", " : "", client, strchr(client, ':') != NULL ? 128 : 32);
        any = true;
    }
    fputs(any ? " ];\n" : "", stdout);
}

static void print_times(uint64_t count, const char *one, const char *more, time_t last)
{
    printf(": %" PRIu64 " %s", count, count == 1 ? one : more);
    print_moment(", last ", last);
    putchar('\n');
}

static void print_relayed(const struct status_view *v)
{
    const struct status_report *r = &v->look.report;
    if (r->relayed.count == 0) {
        return;
    }
    printf("\nmail in your name that left unsigned; if `auto` does not reject yet, it waits for "
           "%lld more days:\n",
           (long long)settings_wait(v->config->settings) / DAY_SECONDS);
    for (size_t i = 0; i < r->relayed.count; i++) {
        const struct status_row *relayed = &r->relayed.rows[i];
        fputs("  ", stdout);
        print_text(stdout, relayed->domain);
        fputs(" from ", stdout);
        print_text(stdout, relayed->client);
        fputs(" to ", stdout);
        print_text(stdout, relayed->name);
        print_times(relayed->count, "message", "messages", relayed->last);
    }
    print_remedy(v);
}

/* That the share is small holds back only while `auto` decides: other domains have no sample. */
static void print_returned(const struct status_report *r)
{
    const char *title = "\nbounces with a valid tag that name a Message-ID, and how many of them "
                        "name one in the journal:\n";
    for (size_t i = 0; i < r->returned.count; i++) {
        const struct status_row *returned = &r->returned.rows[i];
        if (returned->count == 0) {
            continue;
        }
        fputs(title, stdout);
        title = "";
        fputs("  ", stdout);
        print_text(stdout, returned->domain);
        printf(": %" PRIu64 " of %" PRIu64 "%s\n", returned->known, returned->count,
               counts_tell_rewriting(returned->count, returned->known)
                   ? ": somebody replaces your Message-IDs on the way, so untagged bounces that "
                     "name one are logged, not rejected"
                   : "");
    }
}

/* What accepts bounces without a look at them, and how many of all. */
static void print_excluded(const struct status_report *r)
{
    bool titled = false;
    for (size_t i = 0; i < r->excluded.count; i++) {
        const struct status_row *excluded = &r->excluded.rows[i];
        if (excluded->count == 0) {
            continue;
        }
        if (!titled) {
            printf("\nrecipients of bounces that a rule accepted by itself, of %" PRIu64
                   " since the start:\n",
                   r->bounces_judged);
            titled = true;
        }
        printf("  %12" PRIu64 "  %3" PRIu64 " %%  ", excluded->count,
               status_percent(excluded->count, r->bounces_judged));
        print_text(stdout, excluded->name);
        putchar('\n');
    }
}

/* What rejecting would have done, for somebody who decides whether to. */
static void print_would_reject(const struct status_report *r)
{
    if (r->would_reject_since == 0 || (r->would_reject == 0 && r->domains_logging == 0)) {
        return;
    }
    printf("\nrecipients of bounces that would have been rejected (action=log would=reject): "
           "%" PRIu64,
           r->would_reject);
    print_moment(" since ", r->would_reject_since);
    if (r->would_reject_last != 0) {
        print_moment(", last ", r->would_reject_last);
    }
    putchar('\n');
}

static void print_proofs(const struct status_report *r)
{
    const char *title = "\nbounces without a valid tag, by their proof, since the start:";
    for (size_t i = 0; proof_name(i) != NULL; i++) {
        const struct status_row *counter = status_counter(r, "proof.", proof_name(i));
        if (counter != NULL && counter->count > 0) {
            printf("%s %" PRIu64 " %s", title, counter->count, proof_name(i));
            title = ",";
        }
    }
    fputs(title[0] == ',' ? "\n" : "", stdout);
}

static void print_forged(const struct status_report *r)
{
    size_t shown = r->forged.count < FORGED_SHOWN ? r->forged.count : FORGED_SHOWN;
    fputs(shown > 0 ? "\nclients that used forged tags; a handful is normal:\n" : "", stdout);
    for (size_t i = 0; i < shown; i++) {
        fputs("  ", stdout);
        print_text(stdout, r->forged.rows[i].client);
        print_times(r->forged.rows[i].count, "try", "tries", r->forged.rows[i].last);
    }
    if (r->forged.count > shown) {
        printf("  and %zu with fewer\n", r->forged.count - shown);
    }
}

static void print_guessed(const struct status_report *r)
{
    fputs(r->guessed.count > 0 ? "\naddresses for which many wrong tags arrived:\n" : "", stdout);
    for (size_t i = 0; i < r->guessed.count; i++) {
        fputs("  ", stdout);
        print_text(stdout, r->guessed.rows[i].name);
        print_moment(", bounces without a proof are deferred until ", r->guessed.rows[i].until);
        putchar('\n');
    }
}

/* What has not happened takes no room. */
static void print_counters(const struct status_report *r)
{
    const char *title = "\nsince the start:\n";
    for (size_t i = 0; i < r->counters.count; i++) {
        if (r->counters.rows[i].count > 0 && strncmp(r->counters.rows[i].name, "proof.", 6) != 0) {
            printf("%s  %12" PRIu64 "  ", title, r->counters.rows[i].count);
            print_text(stdout, r->counters.rows[i].name);
            putchar('\n');
            title = "";
        }
    }
}

void status_print(const struct status_view *v)
{
    const struct status_report *r = &v->look.report;
    print_daemon(v);
    print_pause(v);
    print_trouble("its report cannot be read", v->look.why.text);
    if (!report_is_known(&v->look)) {
        return;
    }
    print_clock(r);
    print_trouble("the last reload failed, the former configuration is in force", r->reload_error);
    print_trouble("the new keyring is invalid, the former keys are in force", r->ring_error);
    print_trouble("the journal is not written, so a restart loses its latest entries",
                  r->journal_error);
    print_log(r);
    print_keys(v);
    print_moment("configuration loaded ", r->loaded);
    if (report_is_present(&v->look) && report_is_outdated(r, v->config->path)) {
        fputs("; the file has changed since, and batvd reads it at the next reload", stdout);
    }
    if (r->journal_waits != 0) {
        print_moment("\njournal is young: `auto` rejects no bounce that names a Message-ID until ",
                     r->journal_waits);
    }
    print_domains(v);
    print_relayed(v);
    print_returned(r);
    print_excluded(r);
    print_would_reject(r);
    print_proofs(r);
    print_forged(r);
    print_guessed(r);
    print_counters(r);
}
