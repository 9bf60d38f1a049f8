/*
 * The daemon. main() is the life of it, read downwards: options, configuration, signals, identity,
 * lock, keys, socket, privileges, run, teardown.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "io/config.h"
#include "io/keeper.h"
#include "io/listener.h"
#include "io/log.h"
#include "io/maintenance.h"
#include "io/oracle.h"
#include "io/privileges.h"
#include "milter/adapter.h"

struct options {
    const char *config_path;
    bool check_only;
};

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *out)
{
    static const char usage[] = "usage: batvd [-c FILE] [-n] [-V]\n";
    *out = (struct options){BATV_SYSCONFDIR "/batvd/batvd.conf", false};
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
        fprintf(stderr, "batvd: %s: no such argument\n%s", argv[optind], usage);
        return EX_USAGE;
    }
    return -1;
}

static int complain(const struct reason *why, int status)
{
    log_line(LOG_ERR, "%s", why->text);
    return status;
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

/* Everything that the owner of state_dir does before the socket is there. */
static enum status open_state(struct config *config, bool check_only, struct keeper **keeper,
                              int *lock, struct reason *why)
{
    enum status status = check_only ? STATUS_OK : state_dir_lock(config->state_dir, lock, why);
    if (status != STATUS_OK) {
        config_free(config);
        return status;
    }
    return keeper_new(config, keeper, why);
}

static enum status serve(struct keeper *keeper, const struct config *config,
                         const struct identity *identity, struct reason *why)
{
    static const struct oracle_set oracles; /* nobody to ask yet: every row answers no */
    struct listener listener;
    enum status status = listener_open(
        config, geteuid() == identity->uid ? (uid_t)-1 : identity->uid, &listener, why);
    if (status != STATUS_OK) {
        return status;
    }
    status = identity_become(identity, config, why);
    if (status == STATUS_OK) {
        privileges_hide_memory();
        log_open(config->log_target, config->log_facility, config->log_level);
        status = keeper_start(keeper, why);
    }
    if (status == STATUS_OK) {
        log_line(LOG_NOTICE, "batvd %s started: %zu domains, listening on %s", BATV_VERSION,
                 config->settings->rules_count, config->listen);
        status = adapter_run(&(struct adapter){keeper, &oracles}, listener.fd, why);
        keeper_stop(keeper);
        log_line(LOG_NOTICE, "batvd ended");
    }
    listener_close(&listener);
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    struct reason why;
    struct config *config = NULL;
    struct identity identity;
    struct keeper *keeper = NULL;
    int lock = -1;

    int done = read_options(argc, argv, &options);
    if (done >= 0) {
        return done;
    }
    if (load_config(options.config_path, &config) != STATUS_OK) {
        return EX_CONFIG;
    }
    maintenance_block_signals();
    signal(SIGPIPE, SIG_IGN); /* the log's reader may go away */
    signal(SIGXFSZ, SIG_IGN); /* a file too large is an error like any other */

    enum status status = identity_find(config, &identity, &why);
    if (status == STATUS_OK) {
        status = identity_borrow(&identity, &why);
    }
    if (status != STATUS_OK) {
        config_free(config);
        return complain(&why, exit_status(status));
    }
    status = open_state(config, options.check_only, &keeper, &lock, &why);
    if (status != STATUS_OK) {
        return complain(&why, options.check_only ? EX_CONFIG : exit_status(status));
    }
    if (!options.check_only) {
        /* the keeper may load another configuration: this one stays what the process runs by */
        struct version *version = keeper_acquire(keeper);
        status = identity_return(&why);
        if (status == STATUS_OK) {
            status = serve(keeper, version_config(version), &identity, &why);
        }
        version_release(version);
    }
    keeper_free(keeper);
    if (lock >= 0) {
        close(lock);
    }
    return status == STATUS_OK ? EXIT_SUCCESS : complain(&why, exit_status(status));
}
