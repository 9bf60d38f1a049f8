/*
 * The one table of the configuration's options: name, type, range, default and where the value
 * goes. It drives parsing, defaults, errors, and the check that the sample configuration and the
 * manual name every option; nothing else lists them.
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/bounce.h"
#include "batv/status.h"
#include "batv/text_pool.h"

/* One entry of a list; text and file belong to the raw_config. */
struct raw_item {
    const char *text;
    const char *file;
    unsigned line;
};

struct raw_list {
    struct raw_item *items;
    size_t count;
    size_t capacity;
    unsigned line; /* in the configuration; 0: the default */
};

/* An entry of `domains`, its members by the options whose path begins with "domains.". */
struct raw_domain {
    char *name;
    char *key; /* as it is compared; NULL until all domains are there */
    const char *file;
    unsigned line;
    int verify_action; /* enum action; ACTION_FOLLOW: as verify.action */
    int syntax;        /* enum tag_syntax; -1: as sign.syntax */
    bool sign;
    struct raw_list message_id_patterns;
};

enum { OPTIONS_MAX = 96 };

/* Values as they stand in the file or by default, each valid by itself. */
struct raw_config {
    char *listen;
    unsigned listen_mode;
    char *listen_group;
    char *user;
    char *state_dir;
    struct raw_domain *domains;
    size_t domain_count;
    size_t domain_capacity;
    struct raw_domain domain_default;
    struct raw_list internal_networks;
    struct raw_list mail_servers;
    struct raw_list relays;
    struct raw_list own_names;
    struct raw_list bounce_senders;
    int on_error;
    int rotate_days;
    int retain_days;
    int algorithm;
    int publish_seconds;
    bool sign_enabled;
    int lifetime_days;
    int syntax;
    bool add_message_id;
    int verify_action;
    int verify_expired;
    int verify_forged;
    int verify_forged_sender;
    int reject_at_rcpt;
    bool restore;
    char *mark_header;
    char *text;
    int classes[BOUNCE_CLASS_COUNT]; /* enum action */
    bool exclude_authenticated;
    bool exclude_mail_servers;
    struct raw_list exclude_networks;
    struct raw_list exclude_hosts;
    struct raw_list exclude_recipients;
    struct raw_list exclude_sign_senders;
    struct raw_list exclude_sign_recipients;
    struct raw_list exclude_sign_recipient_networks;
    struct raw_list exclude_sign_clients;
    int dns_timeout_ms;
    int connections;
    bool evidence_enabled;
    bool evidence_header;
    bool evidence_tag_in_body;
    struct raw_list evidence_envelope_only;
    size_t evidence_max_body;
    size_t evidence_max_memory;
    int evidence_parsers;
    bool journal_enabled;
    int journal_retain_days;
    size_t journal_max_size;
    int log_target;
    int log_facility;
    int log_level;

    struct {
        unsigned line;      /* 0: not in the file, the default holds */
        bool bad;           /* in the file with an error */
    } given[OPTIONS_MAX];   /* by the option's place in the table */
    struct text_pool texts; /* of the items */
    char **files;           /* names of files, for the items */
    size_t file_count;
};

void raw_domain_free(struct raw_domain *domain);
void raw_config_free(struct raw_config *raw);

enum option_type {
    OPTION_BOOL,   /* bool */
    OPTION_INT,    /* int */
    OPTION_SIZE,   /* size_t; in the file with an L where it does not fit 32 bits */
    OPTION_TEXT,   /* char * */
    OPTION_MODE,   /* unsigned, a string of octal digits */
    OPTION_WORD,   /* int, one of words */
    OPTION_LIST,   /* struct raw_list */
    OPTION_DOMAINS /* the raw_config's domains */
};

struct option_word {
    const char *name; /* NULL ends the words */
    int value;
};

struct config_option {
    const char *path; /* "verify.action"; "domains.sign" for a member of an entry of domains */
    enum option_type type;
    const char *standard; /* the default, as in the file; NULL: has to be given */
    size_t offset;        /* in struct raw_config, or in struct raw_domain for a member */
    long long min;
    long long max;
    const struct option_word *words;
    enum status (*check)(const char *value); /* of a text or of each entry; NULL: anything */
    const char *expected;                    /* what check wants, for a message; NULL: none */
    bool at_start;                           /* a change needs a restart; no word, no list */
};

extern const struct config_option config_options[];
extern const size_t config_option_count;

/* NULL: there is none of that path. */
const struct config_option *option_find(const char *path);
/* The value of an option that is read at the start alone. NULL: no memory. The caller frees. */
char *option_print(const struct config_option *option, const struct raw_config *raw);
/* True for the member of an entry of `domains`. */
bool option_is_member(const struct config_option *option);
/* True for what stands before a dot in options' paths and is a group. */
bool option_is_group(const char *path);
/* The option's name in a group ("": at the top), or the name of the group there that it lies in.
 * NULL: it does not lie in the group. */
const char *option_name_in(const struct config_option *option, const char *group, size_t *length);

#endif
