/*
 * batvctl status: the daemon's last report, whether there is a daemon, and the pause; and what
 * becomes of each domain's bounces, by the function that decides it, from configuration, keyring
 * and report.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/status_view.h"
#include "daemon/file_snapshot.h"
#include "mta/postfix.h"
#include "store/pause.h"

enum { WATCH_SECONDS = 2 };

uint64_t status_percent(uint64_t count, uint64_t of)
{
    uint64_t share = of > 0 ? (uint64_t)(100.0 * (double)count / (double)of + 0.5) : 0;
    return share < 100 ? share : 100;
}

const struct status_row *status_counter(const struct status_report *r, const char *prefix,
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
static void look_at_domains(const struct ctl *ctl, struct status_view *v, struct ring **ring,
                            struct file_snapshot *files)
{
    *ring = NULL;
    *files = (struct file_snapshot){.observed = {.relayed = NULL}};
    if (v->rough || !report_is_known(&v->look)) {
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
    struct status_view v = {.config = ctl->config, .rough = ctl->rough};
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
    (ctl->json ? status_print_json : status_print)(&v);
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
