/*
 * What a message is judged by: the configuration as deciding sees it (settings), resolved for each
 * domain at load (domain_settings), and with the ring and the moment's switches as one immutable
 * snapshot.
 */
#ifndef BATV_SETTINGS_H
#define BATV_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/bounce.h"
#include "batv/match.h"
#include "batv/ring.h"
#include "batv/tag.h"

enum action {
    ACTION_ACCEPT,
    ACTION_LOG,
    ACTION_MARK,
    ACTION_QUARANTINE,
    ACTION_TEMPFAIL,
    ACTION_REJECT,
    ACTION_DISCARD,
    ACTION_COUNT,
    ACTION_AUTO,  /* only in settings: by the domain's waiting time */
    ACTION_FOLLOW /* only in settings: as the domain's action */
};
/* "accept" ... "discard", "auto"; "" for ACTION_FOLLOW. */
const char *action_name(enum action action);
bool action_from_name(const char *name, enum action *out);

/* One entry of `domains`. */
struct domain_settings {
    char *name; /* as in ring_domain */
    bool sign;
    enum tag_syntax syntax;
    enum action action;  /* ACTION_AUTO or explicit */
    enum action expired; /* ACTION_FOLLOW or explicit */
    enum action forged;  /* ACTION_AUTO or explicit: ordinary mail to a tag that we did not make */
    enum action classes[BOUNCE_CLASS_COUNT]; /* by a bounce's class: ACTION_FOLLOW, ACTION_AUTO
                                                (by what it names) or explicit */
    struct regex_list *message_ids; /* of our own Message-IDs, owned; NULL: none, or it signs */
};

/* What is made and asked for as proof that a returned message was ours. */
struct evidence_policy {
    bool enabled;     /* bounces are read at all */
    bool header;      /* the header is added; one that comes back is checked all the same */
    bool tag_in_body; /* a tag in the content counts */
    bool journal;     /* Message-IDs are journalled and asked for */
    size_t max_body;  /* octets of a bounce's body that are read */
    unsigned retain_days;
};

struct settings {
    struct domain_settings *domain; /* by the index that domains answers */
    size_t domain_count;
    struct domain_list *domains;
    bool may_mark; /* some decision can be ACTION_MARK, so that headers must be seen */
    bool may_sign; /* some domain signs: the header says who wrote what is to be signed */

    struct network_list *internal_networks;
    struct network_list *mail_servers; /* internal_networks' entries where unset */
    struct network_list *relays;
    bool relays_local;           /* local processes are among them */
    struct host_list *own_names; /* of hosts of ours in Received fields, beside the MTA's own */
    struct pattern_list *bounce_senders;
    enum action forged_sender; /* a message whose sender bears a tag that we did not make:
                                  ACTION_ACCEPT, ACTION_TEMPFAIL or ACTION_REJECT */
    enum action on_error;      /* ACTION_TEMPFAIL or ACTION_ACCEPT */

    struct key_policy keys;
    struct evidence_policy evidence;
    bool add_message_id;                /* to what goes out without one */
    struct pattern_list *envelope_only; /* senders whose header addresses are no answer addresses */

    bool reject_at_rcpt;
    bool restore;
    char *mark_header;
    char *text; /* of a refusal, for an outsider */

    bool exclude_authenticated;
    bool exclude_mail_servers;
    struct network_list *exclude_networks;
    struct host_list *exclude_hosts;
    struct pattern_list *exclude_recipients;

    struct pattern_list *exclude_sign_senders;
    struct pattern_list *exclude_sign_recipients;
    struct network_list *exclude_sign_networks; /* exclude_sign.clients: those that are networks */
    struct host_list *exclude_sign_hosts;       /* and those that are names */
    struct network_list *exclude_sign_recipient_networks;
    unsigned dns_timeout_ms; /* for all that is looked up for one message */

    unsigned connections; /* that are served at a time; 0: any number */
};

/* Frees what settings hold, and settings. */
void settings_free(struct settings *settings);
/* The settings of a domain (A-labels, lower case), or NULL: not ours. */
const struct domain_settings *settings_domain(const struct settings *settings, const char *ascii);
/* The settings of the first entry of `domains`; NULL: there is none. */
const struct domain_settings *settings_first(const struct settings *settings);
/* The settings whose name this is, with its leading dot; NULL: none. */
const struct domain_settings *settings_domain_named(const struct settings *settings,
                                                    const char *name);
/* True where some decision can be ACTION_MARK. Looks at all domains: asked once, for may_mark. */
bool settings_may_mark(const struct settings *settings);
/* True where some domain signs. Looks at all domains: asked once, for may_sign. */
bool settings_may_sign(const struct settings *settings);

/* All that a message depends on beside itself. Belongs to whoever made it; never changes. */
struct snapshot {
    const struct settings *settings;
    const struct ring *ring;
    time_t journal_birth;      /* what was sent before is not in the journal; 0: there is none */
    const time_t *relayed;     /* for each of settings->domain, when unsigned mail was last relayed
                                  while `auto` did not reject yet; 0: never. NULL: none */
    const bool *ids_rewritten; /* likewise, whether its Message-IDs come back as others */
    const char *const *hosted; /* domains whose mail from outside the MTA accepts and sends on: no
                                  other host's, as far as `auto` is concerned. By strcmp */
    size_t hosted_count;
    bool hosted_full; /* there are more than can be kept: nothing is held to be another host's */
    const struct network_list *proven; /* addresses in relays that handed in a valid tag */
    bool paused;
    bool clock_wrong; /* the clock cannot be trusted: auto acts as log */
};

/* Why `auto` holds back. */
enum auto_state {
    AUTO_ENFORCES,
    AUTO_NOT_SIGNING,  /* sign = false */
    AUTO_NEVER_SIGNED, /* no message signed yet */
    AUTO_WAITING,      /* until *until */
    AUTO_RELAYED,      /* unsigned mail of the domain passed: until *until */
    AUTO_NO_TAG,       /* the time is over, but no valid tag has come back from outside yet */
    AUTO_CLOCK
};
/* As `status` names it: "enforcing", "not-signing", "never-signed", "waiting" ... */
const char *auto_state_name(enum auto_state state);
/* until may be NULL; set for WAITING and RELAYED. */
enum auto_state snapshot_auto(const struct snapshot *snapshot, const struct domain_settings *domain,
                              time_t now, time_t *until);
/* True where only time has to pass until `auto` rejects: not for a domain that does not sign, nor
 * for one whose tags have not come back yet. */
bool auto_state_waits(enum auto_state state);
/* True once `auto` rejects for the domain, whatever the clock says of itself: what is relayed
 * unsigned from then on does not hold it any more. */
bool snapshot_auto_in_force(const struct snapshot *snapshot, const struct domain_settings *domain,
                            time_t now);
/* True where so few of the bounces that name a Message-ID, and are known to be genuine, name one
 * that we sent. */
bool counts_tell_rewriting(uint64_t named, uint64_t known);
bool snapshot_ids_rewritten(const struct snapshot *snapshot, const struct domain_settings *domain);
/* True for one of hosted, and for every domain where there are too many. */
bool snapshot_is_hosted(const struct snapshot *snapshot, const char *ascii);
/* max(7, lifetime_days) days, in seconds. */
time_t settings_wait(const struct settings *settings);
/* True where all that was sent within the last settings_wait is in the journal. */
bool snapshot_journal_is_old(const struct snapshot *snapshot, time_t now);

#endif
