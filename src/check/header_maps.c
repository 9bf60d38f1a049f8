/*
 * Tables by which Postfix looks at header fields, asked by postmap(1) what they make of ours. Which
 * of them sees which field was tried on Postfix 3.7:
 *
 * - milter_header_checks sees what batvd adds, and can do anything to the whole message for it;
 * - smtp_header_checks and lmtp_header_checks see it when the message leaves, and can take it out
 * or replace it, no more;
 * - nested_header_checks, by default the same as header_checks, sees what an answer brings back as
 * a message/rfc822, before batvd does;
 * - header_checks sees no field that batvd adds, but those of mail that a content filter hands
 * back;
 * - mime_header_checks and its kin see none of them.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/words.h"
#include "batv/evidence.h"
#include "batv/message_id.h"
#include "check/postfix.h"

enum field { FIELD_EVIDENCE, FIELD_ID, FIELD_MARK, FIELD_COUNT };

/* A table's list in main.cf, and in services of master.cf. */
struct place {
    const char *parameter;
    const char *command; /* of the services that ask it */
    const char *when;    /* it sees our fields */
    unsigned fields;     /* those that it sees, as bits */
    bool whole;          /* it can do something to the message */
    bool filtered;       /* only where a content filter hands mail back */
};

#define BIT(field) (1U << (field))

static const struct place places[] = {
    {"milter_header_checks", "cleanup", "when batvd adds it",
     BIT(FIELD_EVIDENCE) | BIT(FIELD_ID) | BIT(FIELD_MARK), true, false},
    {"smtp_header_checks", "smtp", "when mail leaves", BIT(FIELD_EVIDENCE) | BIT(FIELD_ID), false,
     false},
    {"lmtp_header_checks", "lmtp", "when mail is delivered", BIT(FIELD_MARK), false, false},
    {"nested_header_checks", "cleanup", "in returned messages", BIT(FIELD_EVIDENCE) | BIT(FIELD_ID),
     true, false},
    {"header_checks", "cleanup", "when a content filter returns mail",
     BIT(FIELD_EVIDENCE) | BIT(FIELD_ID) | BIT(FIELD_MARK), true, true},
};

static const char *const losses[FIELD_COUNT] = {
    [FIELD_EVIDENCE] = "it proves no reply",
    [FIELD_ID] = "replies name a Message-ID that the journal does not have",
    [FIELD_MARK] = "nobody sees batvd's result",
};

/* A field as batvd writes it; no text where it writes none. */
struct sample {
    const char *name;
    char text[512];
};

static void make_samples(const struct check *check, struct sample samples[static FIELD_COUNT])
{
    const struct settings *settings = check->config->settings;
    const struct domain_settings *first = settings_first(settings);
    const char *domain = first != NULL ? first->name + (first->name[0] == '.') : "example.com";
    samples[FIELD_EVIDENCE].name = EVIDENCE_NAME;
    samples[FIELD_ID].name = MESSAGE_ID_NAME;
    samples[FIELD_MARK].name = settings->mark_header;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        samples[i].text[0] = '\0';
    }
    if (settings->evidence.enabled && settings->evidence.header) {
        snprintf(samples[FIELD_EVIDENCE].text, sizeof samples->text, "%s: %s", EVIDENCE_NAME,
                 "v=1; d=20779; n=0123456789abcdef; s=0123456789abcdef01234567");
    }
    if (settings->evidence.journal) {
        snprintf(samples[FIELD_ID].text, sizeof samples->text,
                 "%s: <0123456789abcdef0123456789abcdef@%.255s>", MESSAGE_ID_NAME, domain);
    }
    if (settings->may_mark) {
        snprintf(samples[FIELD_MARK].text, sizeof samples->text,
                 "%s: missing; class=other; proof=none; rcpt=<postmaster@%.255s>",
                 settings->mark_header, domain);
    }
}

/* What an answer of a table does. */
enum harm { HARM_NONE, HARM_FIELD, HARM_MESSAGE };

static enum harm harm_of(const struct place *place, const char *sample, const char *answer)
{
    static const char *const field[] = {"IGNORE", "STRIP", "REPLACE"};
    static const char *const message[] = {"REJECT", "DISCARD", "HOLD", "REDIRECT", "FILTER"};
    size_t length = strcspn(answer, " \t");
    const char *text = answer + length + strspn(answer + length, " \t");
    if (length == 7 && strncasecmp(answer, "REPLACE", length) == 0 && strcmp(text, sample) == 0) {
        return HARM_NONE;
    }
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        if (length == strlen(field[i]) && strncasecmp(answer, field[i], length) == 0) {
            return HARM_FIELD;
        }
    }
    for (size_t i = 0; place->whole && i < sizeof message / sizeof *message; i++) {
        if (length == strlen(message[i]) && strncasecmp(answer, message[i], length) == 0) {
            return HARM_MESSAGE;
        }
    }
    return HARM_NONE;
}

/* The lines of regular expressions in a file; NULL: the table is something else. */
static const char *expressions_path(const char *table)
{
    static const char *const types[] = {"regexp:/", "pcre:/"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strncmp(table, types[i], strlen(types[i])) == 0) {
            return table + strlen(types[i]) - 1;
        }
    }
    return NULL;
}

/* A line before all others that leaves the field alone. What else could mean something in an
 * expression or to the shell stands as a dot, which matches it too. */
static char *mend_field(struct check *check, const struct place *place, const char *table,
                        const char *name)
{
    const char *path = expressions_path(table);
    char *line = mend_text("/^%s:/ DUNNO", name);
    char *text = NULL;
    for (char *c = line != NULL ? line + 2 : NULL; c != NULL && *c != ':'; c++) {
        *c = isalnum((unsigned char)*c) || *c == '-' || *c == '_' ? *c : '.';
    }
    if (line != NULL && path != NULL) {
        text = mend_text("sed -i --follow-symlinks '1i %s' %s && postfix%s reload", line,
                         check_word(check, path), postfix_place(check->postfix));
    } else if (line != NULL) {
        text = mend_text("put a table with the line \"%s\" first in %s, then "
                         "postfix%s reload",
                         line, place->parameter, postfix_place(check->postfix));
    }
    free(line);
    return text;
}

/* Whose list it is: "smtp_header_checks", or "smtp_header_checks of smtp/unix". */
static char *list_name(const struct check *check, const struct place *place,
                       const struct postfix_service *service)
{
    if (postfix_override(check->postfix, service, place->parameter) == NULL) {
        return strdup(place->parameter);
    }
    return mend_text("%s of %s/%s", place->parameter, service->name, service->type);
}

struct asking {
    struct check *check;
    const struct place *place;
    const char *list; /* its name */
    struct sample *samples;
    bool answered[FIELD_COUNT]; /* the first table that knows a field decides */
};

static void judge(struct asking *asking, const char *table, enum field field, const char *answer)
{
    struct check *check = asking->check;
    const struct sample *sample = &asking->samples[field];
    enum harm harm = harm_of(asking->place, sample->text, answer);
    int word = (int)strcspn(answer, " \t");
    if (harm == HARM_MESSAGE) {
        check_add(check, CHECK_FAIL, mend_field(check, asking->place, table, sample->name),
                  "%s (%s) acts on every message with %s, %s: %.*s", asking->list, table,
                  sample->name, asking->place->when, word, answer);
    } else if (harm == HARM_FIELD) {
        check_add(check, CHECK_WARN, mend_field(check, asking->place, table, sample->name),
                  "%s (%s) removes or replaces %s, %s, so that %s: %.*s", asking->list, table,
                  sample->name, asking->place->when, losses[field], word, answer);
    }
}

static void ask_table(struct asking *asking, const char *table)
{
    struct check *check = asking->check;
    const char *keys[FIELD_COUNT];
    char *answers[FIELD_COUNT];
    enum field fields[FIELD_COUNT];
    struct reason why = {""};
    size_t count = 0;
    for (enum field field = 0; field < FIELD_COUNT; field++) {
        bool sees = (asking->place->fields & BIT(field)) != 0 && !asking->answered[field];
        if (sees && asking->samples[field].text[0] != '\0') {
            fields[count] = field;
            keys[count++] = asking->samples[field].text;
        }
    }
    enum status status = count == 0
                             ? STATUS_NOT_FOUND
                             : postfix_lookup(check->postfix, table, keys, count, answers, &why);
    if (status == STATUS_NO_MEMORY) {
        check->no_memory = true;
    } else if (status == STATUS_IO) {
        check_add(check, CHECK_WARN, mend_table(check, table), "%s in %s cannot be read: %s", table,
                  asking->list, why.text);
    }
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        if (answers[i] != NULL) {
            asking->answered[fields[i]] = true;
            judge(asking, table, fields[i], answers[i]);
        }
        free(answers[i]);
    }
}

static void ask_list(struct asking *asking, const char *list)
{
    struct words tables = {.items = NULL};
    if (!words_split(list, &tables)) {
        asking->check->no_memory = true;
    }
    for (size_t i = 0; i < tables.count; i++) {
        ask_table(asking, tables.items[i]);
    }
    words_free(&tables);
}

/* Each list once, however many services share it. */
static void ask_place(struct check *check, const struct place *place, struct sample *samples)
{
    size_t count;
    bool told_main = false;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    for (size_t i = 0; i < count; i++) {
        const struct postfix_service *service = &services[i];
        bool own = postfix_override(check->postfix, service, place->parameter) != NULL;
        if (strcmp(service->command, place->command) != 0 || (!own && told_main)) {
            continue;
        }
        char *name = list_name(check, place, service);
        struct asking asking = {check, place, name, samples, {false}};
        if (name != NULL) {
            ask_list(&asking, postfix_service_get(check->postfix, service, place->parameter));
        }
        check->no_memory = check->no_memory || name == NULL;
        told_main = told_main || !own;
        free(name);
    }
}

void check_header_maps(struct check *check)
{
    struct sample samples[FIELD_COUNT];
    size_t before = check->count;
    make_samples(check, samples);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!places[i].filtered || has_content_filter(check)) {
            ask_place(check, &places[i], samples);
        }
    }
    if (check->count == before) {
        check_ok(check, "no table of header checks changes a field that batvd adds");
    }
}
