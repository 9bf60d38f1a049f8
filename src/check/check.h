/*
 * `batvctl check`: what the checks are given and how they tell what they found. A check adds at
 * least one finding; each that is not ok has the command, or the line of configuration, that mends
 * it.
 */
#ifndef CHECK_CHECK_H
#define CHECK_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/words.h"
#include "batv/ring.h"
#include "daemon/report.h"
#include "daemon/service.h"
#include "mta/former.h"
#include "mta/postfix.h"
#include "mta/sendmail.h"
#include "store/kept_ring.h"

/* CHECK_TODO is what a fail is called while nobody has set batvd up yet, where setting up mends it:
 * see check_todo. Checks themselves add the others. */
enum check_level { CHECK_OK, CHECK_TODO, CHECK_WARN, CHECK_FAIL, CHECK_LEVELS };

struct finding {
    size_t row; /* of the check */
    enum check_level level;
    char *text;
    char *mend; /* NULL: none is needed */
};

struct check {
    const char *config_path;
    const struct config *config;
    const struct config_messages *messages; /* of its loading */
    bool rough; /* it has faults: only the daemon's own options are looked at */
    time_t now;
    struct postfix *postfix;      /* NULL: none here, or it cannot be asked */
    struct reason postfix_absent; /* why */
    bool map_here;                /* a map or rule of the MTA takes tags off, or may */
    bool mta_unknown;             /* there is one that cannot be asked */
    struct formers *formers;      /* as long as postfix; NULL: no memory */
    struct sendmail *sendmail;    /* NULL: none here, or its sendmail.cf cannot be read */
    struct ring *ring;            /* NULL: not readable */
    struct kept_ring kept;        /* by check_state_dir, as root */
    struct report_look look;      /* by check_keyring */
    struct status_report *status; /* look's; NULL where it is not the running daemon's */
    int unwritable;               /* errno of writing to the state folder; 0: it can be written */
    struct service service;
    char *
        start; /* the commands that start, restart and reload batvd here; reload is "" where none */
    char *restart; /* runs */
    char *reload;

    size_t row;         /* of the check that runs now */
    struct words words; /* see check_word */
    struct finding *findings;
    size_t count;
    bool no_memory;
};

/* What a run of all checks found, by level. */
struct check_counts {
    size_t levels[CHECK_LEVELS];
};

/* Runs all checks. The caller has set config_path, config, messages, rough and now; started as
 * root it becomes the owner of the state folder. False: not everything could be looked at, and
 * stderr says why. */
bool check_run(struct check *check);
void check_clear(struct check *check);

/* The next finding in the order of the table, from *row and *i on, which start at 0; with quiet
 * only what is not ok. NULL: none. */
const struct finding *check_next(const struct check *check, size_t *row, size_t *i, bool quiet);
/* The name of the check that found it. */
const char *check_name(const struct finding *finding);

/* mend, allocated or NULL, is taken over. */
void check_add(struct check *check, enum check_level level, char *mend, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void check_ok(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* text as a word of a shell's command line; valid as long as check. */
const char *check_word(struct check *check, const char *text);
/* The path of batvd's configuration as such a word. */
const char *check_conf(struct check *check);

/* Allocates a text, to be given as mend. NULL: no memory. */
char *mend_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A text in front of a mend, which is taken over; NULL stays NULL. */
char *mend_behind(const char *text, char *mend);
/* What to write into batvd's configuration, ending with ; or a comma; then how batvd takes it, by a
 * reload or, with mend_config_restart, a new start. */
char *mend_config(const struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *mend_config_restart(const struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* mend_member.c: the same for one setting, in a group or, with NULL, outside groups, by what the
 * configuration has already: names the line where the setting or its group is. */
char *mend_member(const struct check *check, const char *group, const char *name,
                  const char *value);
/* For a list, whose items stay: those as written or, where it is not set, standard. Items that
 * begin with without, if not NULL, go. All are quoted and separated by commas. */
struct mend_items {
    const char *standard;
    const char *without;
    const char *added;
};
char *mend_list(const struct check *check, const char *group, const char *name,
                const struct mend_items *change);

/* The whole line that adds these networks, each in quotes, to internal_networks, and what that
 * brings about: only for hosts that are ours. lead, "" or ending with a space, stands in front. */
char *mend_internal(const struct check *check, const char *lead, const char *networks);

/* todo.c: once all checks have run, makes todo of the fails that are expected before the
 * first start: stage_of tells for a row what mends it then. */
enum check_stage { STAGE_ANY, STAGE_START, STAGE_MTA };
void check_todo(struct check *check, enum check_stage (*stage_of)(size_t row));

/* The checks, by file. The table in check.c says what has to be there for each. */

/* host.c: configuration, state folder, keys, daemon; the socket */
void check_configuration(struct check *check);
void check_domains(struct check *check);
void check_state_dir(struct check *check);
void check_active_key(struct check *check);
void check_next_slot(struct check *check);
void check_rotation(struct check *check);
void check_daemon(struct check *check);
void check_reload(struct check *check);
void check_pause(struct check *check);
void check_clock(struct check *check);
void check_relayed(struct check *check);
void check_guessing(struct check *check);
void check_warm_up(struct check *check);

/* writable.c: whether the state folder can be written */
void check_writable(struct check *check);
/* What mends it where it cannot, for what error says. */
char *mend_unwritable(struct check *check, int error);

/* keyring.c: whether it can be read, or what becomes of it; looks at the daemon for that */
void check_keyring(struct check *check);
/* The process that has the ring in memory, also where it holds no lock in this folder. 0: none. */
long process_with_keys(const struct check *check);
/* True where a restart would lose the keys. */
bool keys_are_at_stake(const struct check *check);

/* report.c: whether the daemon's report is its own and of now */
void check_report(struct check *check);

/* clients.c */
void check_clients(struct check *check);

/* log.c */
void check_log(struct check *check);
/* Where an administrator finds the log's lines: a file, or the command that shows them. */
const char *check_log_place(const struct check *check);

/* journal.c */
void check_journal(struct check *check);
void check_journal_written(struct check *check);

/* socket.c */
void check_socket(struct check *check);
void check_socket_access(struct check *check);
void check_sendmail_access(struct check *check);

/* postfix.c: main.cf, which check_postfix opens */
void check_postfix(struct check *check);
void check_smtpd_milters(struct check *check);
void check_non_smtpd_milters(struct check *check);
void check_milter_maps(struct check *check);
void check_filter_classes(struct check *check);
void check_received(struct check *check);
void check_origin(struct check *check);
void check_mynetworks(struct check *check);
void check_masquerade(struct check *check);
void check_sender_maps(struct check *check);
void check_delimiter(struct check *check);

/* verp.c: what Postfix appends to senders */
void check_verp(struct check *check);
void check_dkim2(struct check *check);

/* action.c: what happens to mail while batvd is away */
void check_default_action(struct check *check);

/* milters.c: whether each milter answers */
void check_milters(struct check *check);

/* map.c: the map that makes tagged recipients known */
void check_map(struct check *check);
void check_map_classes(struct check *check);
void check_sender_stripped(struct check *check);

/* header_maps.c: tables of header checks */
void check_header_maps(struct check *check);

/* access.c: Postfix's own tables, which its map hides addresses from */
void check_recipient_access(struct check *check);
void check_unlisted_sender(struct check *check);

/* handed.c: what comes in again by a host or a program of ours */
void check_own_names(struct check *check);
void check_pipe_filters(struct check *check);

/* macros.c: what the MTA tells with each step */
void check_milter_macros(struct check *check);
void check_sendmail_macros(struct check *check);

/* master.c: master.cf */
void check_listeners(struct check *check);
void check_reinjection(struct check *check);
void check_proxy_filter(struct check *check);
void check_chroot(struct check *check);

/* sendmail.c: sendmail.cf, which check_sendmail opens; what Sendmail makes of addresses */
void check_sendmail(struct check *check);
void check_sendmail_filter(struct check *check);
void check_sendmail_flags(struct check *check);
void check_sendmail_timeouts(struct check *check);
void check_sendmail_recipients(struct check *check);
void check_sendmail_senders(struct check *check);
void check_sendmail_socket(struct check *check);
void check_sendmail_submission(struct check *check);

/* owners.c: lists whose owners are the senders of what they send on */
void check_list_owners(struct check *check);
void check_sendmail_owners(struct check *check);
void check_sendmail_dkim2(struct check *check);

/* backscatter.c: settings by which this host makes backscatter of its own */
void check_relay_recipients(struct check *check);
void check_catch_all(struct check *check);
void check_srs(struct check *check);
void check_luser_relay(struct check *check);
void check_unlisted(struct check *check);
void check_local_recipients(struct check *check);

#endif
