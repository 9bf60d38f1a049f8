/*
 * batvctl status: the daemon's last report, whether there is a daemon, and the pause; and what
 * becomes of each domain's bounces, by the function that decides it, from configuration, keyring
 * and report. For somebody who has been woken up: what is wrong stands first, in red where that is
 * a terminal, with what mends it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "batv/day.h"
#include "batv/facts.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/phrases.h"
#include "daemon/file_snapshot.h"
#include "daemon/report.h"
#include "mta/postfix.h"
#include "mta/postfix_trust.h"
#include "store/pause.h"

enum { WATCH_SECONDS = 2, FORGED_SHOWN = 10 };

struct view {
    const struct config *config;
    bool rough;                     /* which has faults, and so no domains */
    const struct snapshot *domains; /* to judge them by; NULL: there is no keyring, or no report */
    struct postfix_trust *trust;    /* NULL: no Postfix here, or it does not matter */
    bool paused;
    time_t paused_since;
    struct report_look look;
    time_t now;
};

static bool is_known(const struct view *v)
{
    return v->look.kind != REPORT_NONE && v->look.kind != REPORT_BROKEN;
}

/* The report is of the process that runs. */
static bool is_present(const struct view *v)
{
    return v->look.kind == REPORT_OLD || v->look.kind == REPORT_FRESH;
}

/* ----------------------------------------------------------------- for people */

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

static void print_stopped(const struct view *v)
{
    begin_alarm();
    fputs("batvd is not running", stdout);
    end_alarm();
    if (is_known(v)) {
        print_moment("this is its last report, of ", v->look.report.written);
        putchar('\n');
    }
}

/* Where the report is another process's, or none. */
static void print_untold(const struct view *v)
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

static void print_daemon(const struct view *v)
{
    const struct status_report *r = &v->look.report;
    if (!v->look.running) {
        print_stopped(v);
        return;
    }
    if (!is_present(v)) {
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

static void print_pause(const struct view *v)
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

static void print_keys(const struct view *v)
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
static void print_domain_counts(const struct view *v)
{
    const struct status_report *r = &v->look.report;
    printf("%" PRIu64 " domain%s, %" PRIu64
           " of them only logging; which, batvctl can tell once %s\n",
           r->domains_all, r->domains_all == 1 ? "" : "s", r->domains_logging,
           v->rough ? "the configuration has no faults" : "the keyring can be read");
}

static void print_domain(const struct view *v, const struct rules *rules)
{
    time_t until;
    print_text(stdout, rules->name);
    fputs(": ", stdout);
    if (rules->action == ACTION_AUTO) {
        enum auto_state state = snapshot_auto(v->domains, rules, v->now, &until);
        print_auto(stdout, state, until, settings_wait(v->config->settings));
        putchar('\n');
    } else {
        printf("%s, as configured\n", action_name(rules->action));
    }
}

static void print_domains(const struct view *v)
{
    const struct settings *settings = v->config->settings;
    if (!v->rough && settings->rules_count == 0) {
        puts("\nno domains: batvd signs and verifies nothing");
        return;
    }
    puts("\n");
    if (v->domains == NULL) {
        print_domain_counts(v);
        return;
    }
    for (size_t i = 0; i < settings->rules_count; i++) {
        print_domain(v, &settings->rules[i]);
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
static void print_remedy(const struct view *v)
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

static void print_relayed(const struct view *v)
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

/* Rounded; a report that a moment passed between its counts never says more than all. */
static uint64_t percent(uint64_t count, uint64_t of)
{
    uint64_t share = of > 0 ? (uint64_t)(100.0 * (double)count / (double)of + 0.5) : 0;
    return share < 100 ? share : 100;
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
               percent(excluded->count, r->bounces_judged));
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

/* NULL: the report has none of that name. */
static const struct status_row *find_counter(const struct status_report *r, const char *prefix,
                                             const char *name)
{
    size_t length = strlen(prefix);
    for (size_t i = 0; i < r->counters.count; i++) {
        const char *is = r->counters.rows[i].name;
        if (strncmp(is, prefix, length) == 0 && strcmp(is + length, name) == 0) {
            return &r->counters.rows[i];
        }
    }
    return NULL;
}

static void print_proofs(const struct status_report *r)
{
    const char *title = "\nbounces without a valid tag, by their proof, since the start:";
    for (size_t i = 0; proof_name(i) != NULL; i++) {
        const struct status_row *counter = find_counter(r, "proof.", proof_name(i));
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

static void print_view(const struct view *v)
{
    const struct status_report *r = &v->look.report;
    print_daemon(v);
    print_pause(v);
    print_trouble("its report cannot be read", v->look.why.text);
    if (!is_known(v)) {
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
    if (is_present(v) && report_is_outdated(r, v->config->path)) {
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

/* --------------------------------------------------------------- for programs */

static void json_time_or_null(struct json *json, const char *name, time_t when)
{
    if (when != 0) {
        json_time(json, name, when);
    } else {
        json_null(json, name);
    }
}

static void json_number_if(struct json *json, const char *name, int64_t value, bool known)
{
    if (known) {
        json_number(json, name, value);
    } else {
        json_null(json, name);
    }
}

static void json_text_or_null(struct json *json, const char *name, const char *text)
{
    json_text(json, name, text != NULL && text[0] != '\0' ? text : NULL);
}

static void json_domains(struct json *json, const struct view *v)
{
    const struct settings *settings = v->config->settings;
    if (v->domains == NULL && is_known(v)) {
        json_null(json, "domains");
        return;
    }
    json_open_array(json, "domains");
    for (size_t i = 0; v->domains != NULL && i < settings->rules_count; i++) {
        const struct rules *rules = &settings->rules[i];
        time_t until = 0;
        const char *state = rules->action == ACTION_AUTO
                                ? auto_state_name(snapshot_auto(v->domains, rules, v->now, &until))
                                : NULL;
        json_open_object(json, NULL);
        json_text(json, "name", rules->name);
        json_text(json, "action", action_name(rules->action));
        json_text(json, "state", state);
        json_time_or_null(json, "until", until);
        json_close(json);
    }
    json_close(json);
}

static void json_relayed(struct json *json, const struct status_report *r)
{
    json_open_array(json, "relayed");
    for (size_t i = 0; i < r->relayed.count; i++) {
        json_open_object(json, NULL);
        json_text(json, "domain", r->relayed.rows[i].domain);
        json_text(json, "client", r->relayed.rows[i].client);
        json_text(json, "recipient_domain", r->relayed.rows[i].name);
        json_unsigned(json, "count", r->relayed.rows[i].count);
        json_time_or_null(json, "last", r->relayed.rows[i].last);
        json_close(json);
    }
    json_close(json);
}

static void json_returned(struct json *json, const struct status_report *r)
{
    json_open_array(json, "returned");
    for (size_t i = 0; i < r->returned.count; i++) {
        json_open_object(json, NULL);
        json_text(json, "domain", r->returned.rows[i].domain);
        json_unsigned(json, "named", r->returned.rows[i].count);
        json_unsigned(json, "known", r->returned.rows[i].known);
        json_bool(json, "rewritten",
                  counts_tell_rewriting(r->returned.rows[i].count, r->returned.rows[i].known));
        json_close(json);
    }
    json_close(json);
}

static void json_proofs(struct json *json, const struct status_report *r)
{
    json_open_object(json, "proofs");
    for (size_t i = 0; proof_name(i) != NULL; i++) {
        const struct status_row *counter = find_counter(r, "proof.", proof_name(i));
        json_number_if(json, proof_name(i), counter != NULL ? (int64_t)counter->count : 0,
                       counter != NULL);
    }
    json_close(json);
}

static void json_bounces(struct json *json, const struct view *v)
{
    const struct status_report *r = &v->look.report;
    json_open_object(json, "bounces");
    bool known = is_known(v);
    json_number_if(json, "judged", (int64_t)r->bounces_judged, known);
    json_number_if(json, "would_reject", (int64_t)r->would_reject, r->would_reject_since != 0);
    json_time_or_null(json, "would_reject_since", r->would_reject_since);
    json_time_or_null(json, "would_reject_last", r->would_reject_last);
    json_proofs(json, r);
    json_number_if(json, "latest_from_mail_servers", (int64_t)r->bounces_from_servers, known);
    json_number_if(json, "latest_from_one_client", (int64_t)r->bounces_from_one, known);
    json_text_or_null(json, "latest_client", r->bounce_client);
    json_open_array(json, "accepted_by_exclusion");
    for (size_t i = 0; i < r->excluded.count; i++) {
        json_open_object(json, NULL);
        json_text(json, "rule", r->excluded.rows[i].name);
        json_unsigned(json, "count", r->excluded.rows[i].count);
        json_unsigned(json, "percent", percent(r->excluded.rows[i].count, r->bounces_judged));
        json_close(json);
    }
    json_close(json);
    json_close(json);
}

static void json_forged(struct json *json, const struct status_report *r)
{
    json_open_array(json, "forged");
    for (size_t i = 0; i < r->forged.count; i++) {
        json_open_object(json, NULL);
        json_text(json, "client", r->forged.rows[i].client);
        json_unsigned(json, "count", r->forged.rows[i].count);
        json_time_or_null(json, "last", r->forged.rows[i].last);
        json_close(json);
    }
    json_close(json);
}

static void json_guessed(struct json *json, const struct status_report *r)
{
    json_open_array(json, "guessed");
    for (size_t i = 0; i < r->guessed.count; i++) {
        json_open_object(json, NULL);
        json_text(json, "address", r->guessed.rows[i].name);
        json_time_or_null(json, "until", r->guessed.rows[i].until);
        json_close(json);
    }
    json_close(json);
}

static void json_counters(struct json *json, const struct status_report *r)
{
    json_open_object(json, "counters");
    for (size_t i = 0; i < r->counters.count; i++) {
        json_unsigned(json, r->counters.rows[i].name, r->counters.rows[i].count);
    }
    json_close(json);
}

static void json_log(struct json *json, const struct view *v)
{
    const struct status_report *r = &v->look.report;
    json_open_object(json, "log");
    json_text_or_null(json, "target", r->log_target);
    json_text_or_null(json, "place", r->log_place);
    json_time_or_null(json, "since", r->log_since);
    json_number_if(json, "lost", (int64_t)r->log_lost, is_known(v));
    json_text_or_null(json, "error", r->log_error);
    json_close(json);
}

/* All members are there always; where there is no report they are null or empty. */
static void json_report(struct json *json, const struct view *v)
{
    const struct status_report *r = &v->look.report;
    bool known = is_known(v);
    long pid = v->look.pid != 0 ? v->look.pid : r->pid;
    json_text_or_null(json, "version", r->version);
    json_number_if(json, "pid", pid, v->look.pid != 0 || is_present(v));
    json_number_if(json, "uptime", v->now - r->started, is_present(v));
    json_bool(json, "report_fresh", v->look.kind == REPORT_FRESH);
    json_number_if(json, "report_pid", r->pid, known);
    json_number_if(json, "report_age", v->look.age, known);
    json_time_or_null(json, "started", r->started);
    json_time_or_null(json, "written", r->written);
    json_number_if(json, "active_key", r->active_key, known && r->active_key >= 0);
    json_time_or_null(json, "next_rotation", r->next_rotation);
    json_number_if(json, "generation", (int64_t)r->generation, known);
    json_bool(json, "clock_wrong", r->clock_wrong);
    json_time_or_null(json, "clock_trusted_from", r->clock_until);
    json_time_or_null(json, "journal_waits", r->journal_waits);
    json_time_or_null(json, "loaded", r->loaded);
    json_text_or_null(json, "reload_error", r->reload_error);
    json_text_or_null(json, "ring_error", r->ring_error);
    json_text_or_null(json, "journal_error", r->journal_error);
    json_number_if(json, "journal_pending", (int64_t)r->journal_pending, known);
    json_log(json, v);
    json_domains(json, v);
    json_relayed(json, r);
    json_returned(json, r);
    json_bounces(json, v);
    json_forged(json, r);
    json_guessed(json, r);
    json_counters(json, r);
}

static void print_json(const struct view *v)
{
    struct json json;
    json_begin(&json, stdout);
    json_open_object(&json, NULL);
    json_bool(&json, "running", v->look.running);
    json_bool(&json, "paused", v->paused);
    json_time_or_null(&json, "paused_since", v->paused_since);
    json_report(&json, v);
    json_close(&json);
    json_end(&json);
}

/* -------------------------------------------------------------------- looking */

/* Whoever tried most comes first, among equals the latest. */
static int compare_forged(const void *a, const void *b)
{
    const struct status_row *left = a;
    const struct status_row *right = b;
    if (left->count != right->count) {
        return left->count > right->count ? -1 : 1;
    }
    if (left->last != right->last) {
        return left->last > right->last ? -1 : 1;
    }
    return strcmp(left->client, right->client);
}

/* NULL: there is no Postfix that can be asked. */
static struct postfix_trust *find_trust(void)
{
    struct reason ignored;
    struct postfix *postfix = NULL;
    struct postfix_trust *trust = NULL;
    if (postfix_open(&postfix, &ignored) == STATUS_OK) {
        trust = postfix_trust_new(postfix);
    }
    postfix_free(postfix);
    return trust;
}

/* For the domains' states: the ring, and what the daemon has seen. The caller frees both. */
static void look_at_domains(const struct ctl *ctl, struct view *v, struct ring **ring,
                            struct file_snapshot *files)
{
    *ring = NULL;
    *files = (struct file_snapshot){.observed = {.relayed = NULL}};
    if (v->rough || !is_known(v)) {
        return;
    }
    if (!ctl_load_ring(ctl, ring)) {
        *ring = NULL;
    } else if (file_snapshot_make(v->config, *ring, &v->look, v->now, files) != STATUS_OK) {
        print_error("out of memory");
    } else {
        v->domains = &files->snapshot;
    }
}

/* Looks once and prints. True: a daemon is running. */
static bool show(const struct ctl *ctl)
{
    struct ring *ring;
    struct file_snapshot files;
    struct view v = {.config = ctl->config, .rough = ctl->rough};
    struct status_report *r = &v.look.report;
    v.paused = pause_since(v.config->state_dir, &v.paused_since);
    report_look(v.config->state_dir, &v.look);
    v.now = time(NULL);
    look_at_domains(ctl, &v, &ring, &files);
    if (r->forged.count > 1) { /* there may be no array to sort */
        qsort(r->forged.rows, r->forged.count, sizeof *r->forged.rows, compare_forged);
    }
    status_relayed_merge(r);
    if (r->relayed.count > 0 && !ctl->json && !ctl->rough) {
        v.trust = find_trust();
    }
    (ctl->json ? print_json : print_view)(&v);
    if (ctl->json && v.look.why.text[0] != '\0') {
        print_error("%s", v.look.why.text);
    }
    postfix_trust_free(v.trust);
    file_snapshot_clear(&files);
    ring_free(ring);
    status_report_free(r);
    return v.look.running;
}

/* Until interrupted, or until nobody reads any more. */
static bool watch(const struct ctl *ctl)
{
    bool redraws = !ctl->json && isatty(STDOUT_FILENO);
    bool running = false;
    do {
        fputs(redraws ? "\033[H\033[2J" : "", stdout);
        running = show(ctl);
    } while (fflush(stdout) == 0 && sleep(WATCH_SECONDS) == 0);
    return running;
}

int cmd_status(struct ctl *ctl, int argc, char **argv)
{
    bool watching = false;
    const struct argument arguments[] = {
        {"--watch", ARGUMENT_FLAG, &watching, NULL},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    if (!arguments_parse(ctl, arguments, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc > 1) {
        return ctl_usage_error(ctl, "%s: unexpected argument", argv[1]);
    }
    return (watching ? watch : show)(ctl) ? CTL_YES : CTL_NO;
}
