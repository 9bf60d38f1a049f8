/* The status as one object. All members are always there: see batvctl(8). */
#include "batv/facts.h"
#include "ctl/json.h"
#include "ctl/status_view.h"

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

static void json_domains(struct json *json, const struct status_view *v)
{
    const struct settings *settings = v->config->settings;
    if (v->domains == NULL && report_is_known(&v->look)) {
        json_null(json, "domains");
        return;
    }
    json_open_array(json, "domains");
    for (size_t i = 0; v->domains != NULL && i < settings->domain_count; i++) {
        const struct domain_settings *domain = &settings->domain[i];
        time_t until = 0;
        const char *state = domain->action == ACTION_AUTO
                                ? auto_state_name(snapshot_auto(v->domains, domain, v->now, &until))
                                : NULL;
        json_open_object(json, NULL);
        json_text(json, "name", domain->name);
        json_text(json, "action", action_name(domain->action));
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
        const struct status_row *counter = status_counter(r, "proof.", proof_name(i));
        json_number_if(json, proof_name(i), counter != NULL ? (int64_t)counter->count : 0,
                       counter != NULL);
    }
    json_close(json);
}

static void json_bounces(struct json *json, const struct status_view *v)
{
    const struct status_report *r = &v->look.report;
    json_open_object(json, "bounces");
    bool known = report_is_known(&v->look);
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
        json_unsigned(json, "percent",
                      status_percent(r->excluded.rows[i].count, r->bounces_judged));
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

static void json_log(struct json *json, const struct status_view *v)
{
    const struct status_report *r = &v->look.report;
    json_open_object(json, "log");
    json_text_or_null(json, "target", r->log_target);
    json_text_or_null(json, "place", r->log_place);
    json_time_or_null(json, "since", r->log_since);
    json_number_if(json, "lost", (int64_t)r->log_lost, report_is_known(&v->look));
    json_text_or_null(json, "error", r->log_error);
    json_close(json);
}

/* All members are there always; where there is no report they are null or empty. */
static void json_report(struct json *json, const struct status_view *v)
{
    const struct status_report *r = &v->look.report;
    bool known = report_is_known(&v->look);
    long pid = v->look.pid != 0 ? v->look.pid : r->pid;
    json_text_or_null(json, "version", r->version);
    json_number_if(json, "pid", pid, v->look.pid != 0 || report_is_present(&v->look));
    json_number_if(json, "uptime", v->now - r->started, report_is_present(&v->look));
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

void status_print_json(const struct status_view *v)
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
