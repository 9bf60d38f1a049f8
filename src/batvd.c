/*
 * The daemon. main() is the life of it, read downwards: options, configuration, signals, identity,
 * lock, keys, socket, privileges, run, teardown.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "base/systemd.h"
#include "batv/secret.h"
#include "config/config.h"
#include "content/content.h"
#include "content/evidence_returned.h"
#include "content/mime.h"
#include "daemon/guessing.h"
#include "daemon/keeper.h"
#include "daemon/listener.h"
#include "daemon/listeners.h"
#include "daemon/maintenance.h"
#include "daemon/privileges.h"
#include "daemon/ring_watch.h"
#include "daemon/start.h"
#include "dns/oracle_network.h"
#include "milter/adapter.h"
#include "store/journal.h"

static const char default_config[] = BATV_SYSCONFDIR "/batvd/batvd.conf";

struct options {
    const char *config_path;
    bool check_only;
};

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *out)
{
    static const char usage[] = "usage: batvd [-c FILE] [-n] [-V]\n";
    *out = (struct options){default_config, false};
    int option;
    while ((option = getopt(argc, argv, "c:nV")) != -1) {
        switch (option) {
        case 'c':
            out->config_path = optarg;
            break;
        case 'n':
            out->check_only = true;
            break;
        case 'V':
            printf("batvd %s\n", BATV_VERSION);
            return EXIT_SUCCESS;
        default:
            fputs(usage, stderr);
            return EX_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "batvd: %s: unexpected argument\n%s", argv[optind], usage);
        return EX_USAGE;
    }
    return -1;
}

/* What a status means to whoever started us: 78 is not cured by starting again. */
static int exit_status(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return EXIT_SUCCESS;
    case STATUS_INVALID:
    case STATUS_NOT_FOUND:
    case STATUS_REFUSED:
        return EX_CONFIG;
    case STATUS_CONFLICT:
        return EX_TEMPFAIL;
    case STATUS_NO_MEMORY:
    case STATUS_IO:
    case STATUS_CRYPTO:
        break;
    }
    return EX_OSERR;
}

static enum status load_config(const char *path, struct config **out)
{
    struct config_messages messages = {0};
    enum status status = config_load(path, out, &messages);
    config_messages_print(&messages, stderr);
    config_messages_free(&messages);
    return status;
}

/* What is open as long as the daemon runs. Starts as all zero, with lock -1. */
struct state {
    int lock; /* on state_dir; -1: none */
    struct journal *journal;
    struct keeper *keeper;
};

/* Without a journal in a file its uses are counted in memory. */
static enum status open_journal(const struct config *config, struct journal **out,
                                struct reason *why)
{
    const char *folder = config->settings->evidence.journal ? config->state_dir : NULL;
    return journal_open(folder, config->journal_max_size, config->settings->evidence.retain_days,
                        out, why);
}

/* Everything that the owner of state_dir does before the socket is there. Takes config and ring
 * over. */
static enum status open_state(struct config *config, struct ring_watch *ring,
                              const struct identity *identity, struct state *state,
                              struct reason *why)
{
    time_t birth = 0;
    struct reason ignored;
    enum status status = identity_borrow(identity, why);
    if (status == STATUS_OK) {
        status = state_dir_lock(config->state_dir, &state->lock, why);
    }
    if (status == STATUS_OK) {
        status = open_journal(config, &state->journal, why);
        birth = status == STATUS_OK ? journal_birth(state->journal) : 0;
    }
    if (status == STATUS_OK) {
        bool written = config->settings->evidence.journal;
        state->keeper = keeper_new(config, ring, birth);
        if (state->keeper == NULL) {
            status = reason_set(why, STATUS_NO_MEMORY, "out of memory");
        } else if (written) {
            keeper_report_journal(state->keeper, state->journal);
        }
    } else {
        config_free(config);
        ring_watch_free(ring);
    }
    enum status returned = identity_return(status == STATUS_OK ? why : &ignored);
    return status == STATUS_OK ? returned : status;
}

static enum status run_filter(const struct state *state, const struct config *config, int fd,
                              struct reason *why)
{
    struct evidence_returned returned = {state->journal};
    struct oracle_set oracles = {0};
    struct content_pool *pool =
        content_pool_new(config->evidence_max_memory, config->evidence_parsers);
    struct uses *uses = uses_new(state->journal);
    struct oracle_network *network = oracle_network_new(NULL);
    struct guessing *guessing = guessing_new();
    enum status status = STATUS_NO_MEMORY;
    if (pool != NULL && uses != NULL && network != NULL && guessing != NULL) {
        mime_init();
        evidence_returned_oracles(&returned, true, &oracles);
        oracle_network_oracle(network, &oracles);
        guessing_oracle(guessing, &oracles);
        keeper_report_guessing(state->keeper, guessing);
        struct adapter adapter = {state->keeper, &oracles, pool, state->journal, uses, network};
        status = adapter_run(&adapter, fd, why);
    } else {
        reason_write(why, "out of memory");
    }
    oracle_network_free(network);
    keeper_report_guessing(state->keeper, NULL);
    guessing_free(guessing);
    uses_free(uses);
    content_pool_free(pool);
    return status;
}

/* For batvctl, which so knows the address again after `listen` has changed. */
static void note_listener(const struct config *config)
{
    struct reason why = {""};
    if (listeners_note(config->state_dir, config->listen, &why) != STATUS_OK) {
        log_line(LOG_WARNING, "%s", why.text);
    }
}

static enum status serve(const struct state *state, const struct config *config,
                         const struct identity *identity, struct reason *why)
{
    struct listener listener;
    enum status status = listener_open(config, identity_owner(identity), &listener, why);
    if (status != STATUS_OK) {
        return status;
    }
    status = identity_become(identity, config, why);
    if (status == STATUS_OK) {
        privileges_hide_memory();
        privileges_raise_descriptors();
        log_open(config->log_target, config->log_facility, config->log_level);
        status = journal_start(state->journal, why);
    }
    if (status == STATUS_OK) {
        status = keeper_start(state->keeper, why);
    }
    if (status == STATUS_OK) {
        note_listener(config);
        log_line(LOG_NOTICE, "batvd %s started: %zu domains, listening on %s", BATV_VERSION,
                 config->settings->domain_count, config->listen);
        systemd_ready(); /* whoever connects now waits in the listener's queue */
        status = run_filter(state, config, listener.fd, why);
        systemd_stopping();
        keeper_stop(state->keeper);
        log_line(LOG_NOTICE, "batvd ended");
    }
    listener_close(&listener);
    return status;
}

/* The keeper may load another configuration: the first stays what the process runs by. Of its
 * snapshot no more is kept: its keys may have to be forgotten. */
static enum status serve_by_first(const struct state *state, const struct identity *identity,
                                  struct reason *why)
{
    struct shared_snapshot *snapshot = keeper_acquire(state->keeper);
    struct shared_config *first = shared_snapshot_config(snapshot);
    shared_snapshot_release(snapshot);
    enum status status = serve(state, shared_config_get(first), identity, why);
    shared_config_release(first);
    return status;
}

/* The configuration, and whether a start by it would succeed, as whoever would start it. Returns an
 * exit status. */
static int check_only(const char *config_path)
{
    struct systemd_unit unit = {.user = ""};
    struct config *config = NULL;
    struct ring_watch *ring = NULL;
    struct identity identity;
    struct reason why;
    enum status status = STATUS_OK;
    if (strcmp(config_path, default_config) == 0) {
        status = start_as_unit("batvd.service", &unit, &why);
    }
    if (status == STATUS_OK && load_config(config_path, &config) != STATUS_OK) {
        return EX_CONFIG;
    }
    if (status == STATUS_OK) {
        status = identity_find(config, &identity, &why);
    }
    if (status == STATUS_OK) {
        status = start_try(config, &identity, &unit, &ring, &why);
        /* systemd asks so before it has the running daemon reload, which touches none of that. */
        if (status != STATUS_OK && getenv("MAINPID") != NULL) {
            log_line(LOG_WARNING,
                     "the configuration is good for a reload, but a new start would "
                     "fail: %s",
                     why.text);
            status = STATUS_OK;
        }
    }
    config_free(config);
    ring_watch_free(ring);
    if (status != STATUS_OK) {
        log_line(LOG_ERR, "%s", why.text);
    }
    return status == STATUS_OK ? EXIT_SUCCESS : EX_CONFIG;
}

int main(int argc, char **argv)
{
    struct options options;
    struct reason why;
    struct config *config = NULL;
    struct ring_watch *ring = NULL;
    struct identity identity;
    struct state state = {.lock = -1};

    if (!descriptors_open()) {
        return EX_OSERR; /* with nowhere to say it */
    }
    int done = read_options(argc, argv, &options);
    if (done >= 0) {
        return done;
    }
    maintenance_block_signals();
    signal(SIGPIPE, SIG_IGN);           /* the log's reader may go away */
    signal(SIGXFSZ, SIG_IGN);           /* a file too large is an error like any other */
    bool locked = secret_lock_memory(); /* while root is still there to allow it */
    if (options.check_only) {
        return check_only(options.config_path);
    }
    if (load_config(options.config_path, &config) != STATUS_OK) {
        return EX_CONFIG;
    }

    if (!locked) {
        log_line(LOG_NOTICE, "the keys cannot be locked in memory and may be swapped out: raise "
                             "RLIMIT_MEMLOCK to 128 kB (LimitMEMLOCK=128K in the unit)");
    }

    enum status status = identity_find(config, &identity, &why);
    if (status == STATUS_OK) {
        status = start_try(config, &identity, NULL, &ring, &why);
    }
    if (status == STATUS_OK) {
        status = open_state(config, ring, &identity, &state, &why);
    } else {
        config_free(config);
        ring_watch_free(ring);
    }
    if (status == STATUS_OK) {
        status = serve_by_first(&state, &identity, &why);
    }
    keeper_free(state.keeper);
    journal_close(state.journal);
    if (state.lock >= 0) {
        close(state.lock);
    }
    if (status == STATUS_OK) {
        return EXIT_SUCCESS;
    }
    log_line(LOG_ERR, "%s", why.text);
    return exit_status(status);
}
