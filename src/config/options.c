/*
 * The table of options, and what a single value has to be. Adding an option: a row here, a place
 * for it in raw_config, its use in config_resolve.c, conf/batvd.conf and man/batvd.conf.5, which a
 * test compares with the table. Constant; shared by threads.
 */
#include "config/options.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "batv/address.h"
#include "batv/match.h"
#include "batv/settings.h"
#include "config/config.h"

static const struct option_word actions[] = {
    {"auto", ACTION_AUTO},         {"log", ACTION_LOG},
    {"mark", ACTION_MARK},         {"quarantine", ACTION_QUARANTINE},
    {"tempfail", ACTION_TEMPFAIL}, {"reject", ACTION_REJECT},
    {"discard", ACTION_DISCARD},   {NULL, 0},
};
static const struct option_word domain_actions[] = {
    {"", ACTION_FOLLOW},
    {"auto", ACTION_AUTO},
    {"log", ACTION_LOG},
    {"mark", ACTION_MARK},
    {"quarantine", ACTION_QUARANTINE},
    {"tempfail", ACTION_TEMPFAIL},
    {"reject", ACTION_REJECT},
    {"discard", ACTION_DISCARD},
    {NULL, 0},
};
static const struct option_word expired_actions[] = {
    {"", ACTION_FOLLOW},       {"accept", ACTION_ACCEPT},         {"log", ACTION_LOG},
    {"mark", ACTION_MARK},     {"quarantine", ACTION_QUARANTINE}, {"tempfail", ACTION_TEMPFAIL},
    {"reject", ACTION_REJECT}, {"discard", ACTION_DISCARD},       {NULL, 0},
};
static const struct option_word class_actions[] = {
    {"", ACTION_FOLLOW},           {"auto", ACTION_AUTO},
    {"accept", ACTION_ACCEPT},     {"log", ACTION_LOG},
    {"mark", ACTION_MARK},         {"quarantine", ACTION_QUARANTINE},
    {"tempfail", ACTION_TEMPFAIL}, {"reject", ACTION_REJECT},
    {"discard", ACTION_DISCARD},   {NULL, 0},
};
static const struct option_word forged_actions[] = {
    {"auto", ACTION_AUTO},     {"log", ACTION_LOG}, {"tempfail", ACTION_TEMPFAIL},
    {"reject", ACTION_REJECT}, {NULL, 0},
};
static const struct option_word sender_actions[] = {
    {"accept", ACTION_ACCEPT},
    {"tempfail", ACTION_TEMPFAIL},
    {"reject", ACTION_REJECT},
    {NULL, 0},
};
static const struct option_word error_actions[] = {
    {"tempfail", ACTION_TEMPFAIL},
    {"accept", ACTION_ACCEPT},
    {NULL, 0},
};
static const struct option_word syntaxes[] = {
    {"prefix", TAG_PREFIX},
    {"subaddress", TAG_SUBADDRESS},
    {NULL, 0},
};
static const struct option_word domain_syntaxes[] = {
    {"", -1},
    {"prefix", TAG_PREFIX},
    {"subaddress", TAG_SUBADDRESS},
    {NULL, 0},
};
static const struct option_word algorithms[] = {
    {"hmac-sha256", ALGORITHM_HMAC_SHA256},
    {"hmac-sha1", ALGORITHM_HMAC_SHA1},
    {NULL, 0},
};
static const struct option_word moments[] = {{"eom", false}, {"rcpt", true}, {NULL, 0}};
static const struct option_word targets[] = {
    {"syslog", LOG_TARGET_SYSLOG},
    {"stderr", LOG_TARGET_STDERR},
    {"journald", LOG_TARGET_JOURNALD},
    {NULL, 0},
};
static const struct option_word facilities[] = {
    {"mail", LOG_MAIL},     {"daemon", LOG_DAEMON}, {"user", LOG_USER},     {"local0", LOG_LOCAL0},
    {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
    {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}, {NULL, 0},
};
static const struct option_word levels[] = {
    {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG},
    {NULL, 0},
};

enum {
    PORT_MAX = 65535,
    ACCOUNT_MAX = 32,     /* octets of a user's or group's name */
    HEADER_NAME_MAX = 76, /* so that name and value still fit a line */
    REFUSAL_MAX = 400     /* of the 512 octets that a reply line may have (RFC 5321 4.5.3.1.5) */
};

#define KIB 1024LL
#define MIB (1024 * KIB)

/* Octets from ' ' to '~' only. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

static enum status judge(bool ok)
{
    return ok ? STATUS_OK : STATUS_INVALID;
}

/* PORT@HOST */
static bool is_port_at_host(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    long port = digits > 0 && digits <= 5 ? strtol(text, NULL, 10) : 0;
    const char *host = text + digits + 1;
    return port >= 1 && port <= PORT_MAX && text[digits] == '@' && *host != '\0' &&
           strpbrk(host, " @/") == NULL;
}

static enum status check_listen(const char *value)
{
    bool ok = false;
    if (strncmp(value, "unix:/", 6) == 0) {
        ok = strlen(value + 5) <= LISTEN_PATH_MAX;
    } else if (strncmp(value, "inet:", 5) == 0) {
        ok = is_port_at_host(value + 5);
    } else if (strncmp(value, "inet6:", 6) == 0) {
        ok = is_port_at_host(value + 6);
    }
    return judge(ok && is_printable(value));
}

static enum status check_account(const char *value)
{
    return judge(strlen(value) <= ACCOUNT_MAX && is_printable(value) &&
                 strpbrk(value, " :/") == NULL);
}

static enum status check_absolute(const char *value)
{
    return judge(value[0] == '/' && is_printable(value));
}

/* RFC 5322 section 3.6.8: printable, no colon. */
static enum status check_header(const char *value)
{
    size_t length = strlen(value);
    return judge(length >= 1 && length <= HEADER_NAME_MAX && is_printable(value) &&
                 strpbrk(value, " :") == NULL);
}

static enum status check_refusal(const char *value)
{
    size_t length = strlen(value);
    return judge(length >= 1 && length <= REFUSAL_MAX && is_printable(value));
}

static enum status check_pattern(const char *value)
{
    return list_check(PATTERN_LIST, value);
}

static enum status check_network(const char *value)
{
    return list_check(NETWORK_LIST, value);
}

static enum status check_host(const char *value)
{
    return list_check(HOST_LIST, value);
}

static enum status check_expression(const char *value)
{
    return list_check(REGEX_LIST, value);
}

/* "local" stands for local processes. */
static enum status check_relay(const char *value)
{
    return strcmp(value, "local") == 0 ? STATUS_OK : check_network(value);
}

static enum status check_client(const char *value)
{
    enum status status = check_network(value);
    return status == STATUS_INVALID ? check_host(value) : status;
}

static enum status check_domain(const char *value)
{
    struct domain_list *list = NULL;
    size_t bad = 0;
    bool dot = value[0] == '.';
    char *ascii = address_domain_ascii(value + dot);
    const char *entry = ascii;
    enum status status = STATUS_NO_MEMORY;
    if (ascii != NULL) {
        status = domain_list_new(&entry, 1, &list, &bad);
    }
    /* A second dot is not what the one for subdomains hides. */
    if (status == STATUS_OK && ascii[0] == '.') {
        status = STATUS_INVALID;
    }
    domain_list_free(list);
    free(ascii);
    return status;
}

#define PLACE(member)  offsetof(struct raw_config, member)
#define MEMBER(member) offsetof(struct raw_domain, member)

#define OPTION(name, kind, text, place)                                                            \
    .path = (name), .type = OPTION_##kind, .standard = (text), .offset = (place)
#define BOOL(path, standard, place)            OPTION(path, BOOL, standard, place)
#define WORD(path, standard, place, list)      OPTION(path, WORD, standard, place), .words = (list)
#define INT(path, standard, place, from, to)   OPTION(path, INT, standard, place), RANGE(from, to)
#define SIZE(path, standard, place, from, to)  OPTION(path, SIZE, standard, place), RANGE(from, to)
#define MODE(path, standard, place, from, to)  OPTION(path, MODE, standard, place), RANGE(from, to)
#define RANGE(from, to)                        .min = (from), .max = (to)
#define CHECK(function, text)                  .check = (function), .expected = (text)
#define TEXT(path, standard, place, how, text) OPTION(path, TEXT, standard, place), CHECK(how, text)
#define LIST(path, standard, place, kind)                                                          \
    OPTION(path, LIST, standard, place), CHECK(check_##kind, expected_##kind)
#define CLASS(name, standard, class)                                                               \
    WORD("verify.class." name, standard, PLACE(classes) + (class) * sizeof(int), class_actions)
#define AT_START .at_start = true

static const char expected_pattern[] = "an address without < and >, in which * stands for anything";
static const char expected_network[] =
    "a network such as 192.0.2.0/24 or 2001:db8::/32, with no bit set after its prefix";
static const char expected_relay[] =
    "a network such as 192.0.2.0/24 or 2001:db8::/32, with no bit set after its prefix, or "
    "\"local\"";
static const char expected_host[] = "a host name such as mx.example.org or *.example.org";
static const char expected_client[] =
    "a network such as 192.0.2.0/24, with no bit set after its prefix, or a host name such as "
    "mx.example.org or *.example.org";
static const char expected_expression[] = "a PCRE2 regular expression of at most 1000 characters";
static const char expected_domain[] = "a domain such as example.com or .example.com";

const struct config_option config_options[] = {
    {TEXT("listen", "\"unix:/var/spool/postfix/batvd/milter.sock\"", PLACE(listen), check_listen,
          "unix:/PATH (at most 103 characters), inet:PORT@HOST or inet6:PORT@HOST"),
     AT_START},
    {MODE("listen_mode", "\"0660\"", PLACE(listen_mode), 0, 0777), AT_START},
    {TEXT("listen_group", "\"postfix\"", PLACE(listen_group), check_account, "the name of a group"),
     AT_START},
    {TEXT("user", "\"\"", PLACE(user), check_account, "the name of a user"), AT_START},
    {TEXT("state_dir", "\"/var/lib/batvd\"", PLACE(state_dir), check_absolute, "an absolute path"),
     AT_START},

    {OPTION("domains", DOMAINS, "( )", PLACE(domains)), CHECK(check_domain, expected_domain)},
    {TEXT("domains.name", NULL, MEMBER(name), check_domain, expected_domain)},
    {WORD("domains.verify_action", "\"\"", MEMBER(verify_action), domain_actions)},
    {WORD("domains.syntax", "\"\"", MEMBER(syntax), domain_syntaxes)},
    {BOOL("domains.sign", "true", MEMBER(sign))},
    {LIST("domains.message_id_patterns", "[ ]", MEMBER(message_id_patterns), expression)},

    {LIST("internal_networks", "[ \"127.0.0.0/8\", \"::1/128\" ]", PLACE(internal_networks),
          network)},
    {LIST("mail_servers", "[ \"127.0.0.0/8\", \"::1/128\" ]", PLACE(mail_servers), network)},
    {LIST("relays", "[ ]", PLACE(relays), relay)},
    {LIST("own_names", "[ ]", PLACE(own_names), host)},
    {LIST("bounce_senders", "[ \"mailer-daemon\", \"mailer-daemon@*\" ]", PLACE(bounce_senders),
          pattern)},
    {WORD("on_error", "\"tempfail\"", PLACE(on_error), error_actions)},

    {INT("keys.rotate_days", "7", PLACE(rotate_days), 0, 365)},
    {INT("keys.retain_days", "7", PLACE(retain_days), 0, 3650)},
    {WORD("keys.algorithm", "\"hmac-sha256\"", PLACE(algorithm), algorithms)},
    {INT("keys.publish_seconds", "0", PLACE(publish_seconds), 0, 86400)},

    {BOOL("sign.enabled", "true", PLACE(sign_enabled))},
    {INT("sign.lifetime_days", "7", PLACE(lifetime_days), 1, RING_LIFETIME_MAX)},
    {WORD("sign.syntax", "\"prefix\"", PLACE(syntax), syntaxes)},
    {BOOL("sign.add_message_id", "true", PLACE(add_message_id))},

    {WORD("verify.action", "\"auto\"", PLACE(verify_action), actions)},
    {WORD("verify.expired", "\"\"", PLACE(verify_expired), expired_actions)},
    {WORD("verify.forged", "\"auto\"", PLACE(verify_forged), forged_actions)},
    {WORD("verify.forged_sender", "\"accept\"", PLACE(verify_forged_sender), sender_actions)},
    {WORD("verify.reject_at", "\"eom\"", PLACE(reject_at_rcpt), moments)},
    {BOOL("verify.restore", "true", PLACE(restore))},
    {TEXT("verify.mark_header", "\"X-Batv-Result\"", PLACE(mark_header), check_header,
          "the name of a header field, at most 76 characters")},
    {TEXT("verify.text",
          "\"This bounce does not show that it returns a message which this site sent; "
          "the sender address of that message was probably forged.\"",
          PLACE(text), check_refusal, "1 to 400 printable ASCII characters")},
    {CLASS("mdn", "\"auto\"", BOUNCE_MDN)},
    {CLASS("calendar", "\"auto\"", BOUNCE_CALENDAR)},
    {CLASS("report", "\"\"", BOUNCE_REPORT)},
    {CLASS("autoreply", "\"\"", BOUNCE_AUTOREPLY)},
    {CLASS("dsn", "\"\"", BOUNCE_DSN)},
    {CLASS("other", "\"\"", BOUNCE_OTHER)},

    {BOOL("exclude.authenticated", "true", PLACE(exclude_authenticated))},
    {BOOL("exclude.mail_servers", "true", PLACE(exclude_mail_servers))},
    {LIST("exclude.networks", "[ ]", PLACE(exclude_networks), network)},
    {LIST("exclude.hosts", "[ ]", PLACE(exclude_hosts), host)},
    {LIST("exclude.recipients",
          "[ \"postmaster@*\", \"abuse@*\", \"SRS0=*@*\", \"SRS0+*@*\", \"SRS0-*@*\", "
          "\"SRS1=*@*\", \"SRS1+*@*\", \"SRS1-*@*\" ]",
          PLACE(exclude_recipients), pattern)},

    {LIST("exclude_sign.senders", "[ ]", PLACE(exclude_sign_senders), pattern)},
    {LIST("exclude_sign.recipients", "[ ]", PLACE(exclude_sign_recipients), pattern)},
    {LIST("exclude_sign.recipient_networks", "[ ]", PLACE(exclude_sign_recipient_networks),
          network)},
    {LIST("exclude_sign.clients", "[ ]", PLACE(exclude_sign_clients), client)},

    {INT("dns.timeout_ms", "2000", PLACE(dns_timeout_ms), 100, 30000)},

    {BOOL("evidence.enabled", "true", PLACE(evidence_enabled))},
    {BOOL("evidence.header", "true", PLACE(evidence_header))},
    {BOOL("evidence.tag_in_body", "true", PLACE(evidence_tag_in_body))},
    {LIST("evidence.envelope_only", "[ \"www-data@*\", \"apache@*\", \"nobody@*\" ]",
          PLACE(evidence_envelope_only), pattern)},
    {SIZE("evidence.max_body", "1048576", PLACE(evidence_max_body), 64 * KIB, 64 * MIB)},
    {SIZE("evidence.max_memory", "67108864", PLACE(evidence_max_memory), MIB, 8192 * MIB),
     AT_START},
    {INT("evidence.parsers", "4", PLACE(evidence_parsers), 1, 64), AT_START},

    {BOOL("journal.enabled", "true", PLACE(journal_enabled)), AT_START},
    {INT("journal.retain_days", "30", PLACE(journal_retain_days), 1, 365)},
    {SIZE("journal.max_size", "1073741824L", PLACE(journal_max_size), 16 * MIB, 1048576 * MIB),
     AT_START},

    {INT("limits.connections", "0", PLACE(connections), 0, 1000000)},

    {WORD("log.target", "\"syslog\"", PLACE(log_target), targets)},
    {WORD("log.facility", "\"mail\"", PLACE(log_facility), facilities)},
    {WORD("log.level", "\"info\"", PLACE(log_level), levels)},
};
const size_t config_option_count = sizeof config_options / sizeof *config_options;
_Static_assert(sizeof config_options / sizeof *config_options <= OPTIONS_MAX,
               "raw_config.given has to have a place for every option");

const struct config_option *option_find(const char *path)
{
    for (size_t i = 0; i < config_option_count; i++) {
        if (strcmp(config_options[i].path, path) == 0) {
            return &config_options[i];
        }
    }
    return NULL;
}

char *option_print(const struct config_option *option, const struct raw_config *raw)
{
    const void *place = (const char *)raw + option->offset;
    char *out = NULL;
    int length = -1;
    switch (option->type) {
    case OPTION_BOOL:
        length = asprintf(&out, "%s", *(const bool *)place ? "true" : "false");
        break;
    case OPTION_INT:
        length = asprintf(&out, "%d", *(const int *)place);
        break;
    case OPTION_SIZE:
        length = asprintf(&out, "%zu", *(const size_t *)place);
        break;
    case OPTION_MODE:
        length = asprintf(&out, "\"%04o\"", *(const unsigned *)place);
        break;
    case OPTION_TEXT:
        length = asprintf(&out, "\"%s\"", *(char *const *)place);
        break;
    case OPTION_WORD:
    case OPTION_LIST:
    case OPTION_DOMAINS:
        assert(!option->at_start);
        break;
    }
    return length < 0 ? NULL : out;
}

bool option_is_member(const struct config_option *option)
{
    static const char prefix[] = "domains.";
    return strncmp(option->path, prefix, sizeof prefix - 1) == 0;
}

const char *option_name_in(const struct config_option *option, const char *group, size_t *length)
{
    size_t skip = strlen(group);
    const char *name = option->path;
    if (skip > 0) {
        if (strncmp(name, group, skip) != 0 || name[skip] != '.') {
            return NULL;
        }
        name += skip + 1;
    }
    *length = strcspn(name, ".");
    return name;
}

bool option_is_group(const char *path)
{
    size_t length = 0;
    for (size_t i = 0; i < config_option_count; i++) {
        if (!option_is_member(&config_options[i]) &&
            option_name_in(&config_options[i], path, &length) != NULL) {
            return true;
        }
    }
    return false;
}

void raw_domain_free(struct raw_domain *domain)
{
    free(domain->name);
    free(domain->key);
    free(domain->message_id_patterns.items);
}

void raw_config_free(struct raw_config *raw)
{
    if (raw == NULL) {
        return;
    }
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        char *place = (char *)raw + option->offset;
        if (option_is_member(option)) {
            continue;
        }
        if (option->type == OPTION_TEXT) {
            free(*(char **)(void *)place);
        } else if (option->type == OPTION_LIST) {
            free(((struct raw_list *)(void *)place)->items);
        }
    }
    for (size_t i = 0; i < raw->domain_count; i++) {
        raw_domain_free(&raw->domains[i]);
    }
    raw_domain_free(&raw->domain_default);
    free(raw->domains);
    for (size_t i = 0; i < raw->file_count; i++) {
        free(raw->files[i]);
    }
    free(raw->files);
    text_pool_free(&raw->texts);
    free(raw);
}
