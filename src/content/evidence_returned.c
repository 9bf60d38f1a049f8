/*
 * A bounce is read when the first of its facts is asked for. Each proof is bound to the recipient.
 * One by header or journal is claimed (store/uses.h), and is used up once the bounce is accepted:
 * whoever got one message of ours can show it again, but not for ever.
 *
 * Called by workers side by side; a message's content belongs to one of them.
 */
#include "content/evidence_returned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address.h"
#include "batv/address_fold.h"
#include "batv/day.h"
#include "batv/evidence.h"
#include "batv/tag.h"
#include "store/uses.h"

void evidence_use_name(const char *nonce, bool journalled, char out[static EVIDENCE_USE_NAME])
{
    snprintf(out, EVIDENCE_USE_NAME, "%s:%s", journalled ? "message" : "evidence", nonce);
}

/* By the secret that its entry was made with. */
static enum status name_use(const struct ring *ring, const char *address, const char *message_id,
                            struct message_use *use)
{
    uint8_t key[JOURNAL_KEY];
    uint8_t nonce[EVIDENCE_NONCE];
    char hex[EVIDENCE_NONCE_HEX];
    enum status status = journal_entry_key(ring, 0, address, message_id, key);
    bool current = status == STATUS_OK && memcmp(key, use->entry.key, JOURNAL_KEY) == 0;
    status = evidence_nonce(ring, current ? 0 : 1, message_id, nonce);
    if (status == STATUS_OK) {
        evidence_nonce_format(nonce, hex);
        evidence_use_name(hex, true, use->name);
    }
    return status;
}

enum journal_answer evidence_look(struct journal *journal, const struct ring *ring,
                                  const char *address, const char *message_id, time_t now,
                                  struct message_use *out)
{
    struct journal_entry counted = {.used = 0};
    enum journal_answer answer = journal_look(journal, ring, address, message_id, now, &out->entry);
    if (answer != JOURNAL_YES) {
        return answer;
    }
    if (name_use(ring, address, message_id, out) != STATUS_OK) {
        return JOURNAL_UNAVAILABLE;
    }
    enum journal_answer uses = journal_note_look(journal, ring, address, out->name, now, &counted);
    out->entry.used = counted.used;
    bool known = uses == JOURNAL_YES || uses == JOURNAL_EXHAUSTED;
    out->entry.allowed = known ? counted.allowed : out->entry.allowed;
    return uses == JOURNAL_EXHAUSTED ? uses : JOURNAL_YES;
}

/* What is asked, and the content in which the answer stands. */
struct reading {
    const struct evidence_returned *self;
    const struct question *q;
    const struct exhibits *exhibits;
    const struct bounce *bounce;
};

/* ANSWER_YES with the bounce, or why it was not read. */
static struct finding read_content(struct reading *reading)
{
    struct finding finding = {.answer = ANSWER_UNAVAILABLE};
    if (reading->exhibits->content == NULL) {
        return finding; /* the MTA has not shown it to us */
    }
    switch (content_read(reading->exhibits->content, &reading->bounce)) {
    case CONTENT_READ:
        return (struct finding){.answer = ANSWER_YES,
                                .read = true,
                                .class = reading->bounce->class,
                                .names_message_id = reading->bounce->named_count > 0};
    case CONTENT_OVERLOADED:
        finding.answer = ANSWER_OVERLOADED;
        break;
    case CONTENT_FAILED:
        break;
    }
    return finding;
}

/* The class is known once the content is read. */
static enum answer ask_class(const struct reading *reading)
{
    (void)reading;
    return ANSWER_YES;
}

/* -------------------------------------------------------------- tag in body */

/* Whether a tag on text, valid and for plain, is one for the recipient asked about. An MTA may have
 * appended a VERP extension to either. */
static enum answer tag_is_for(const struct question *q, const struct address *address,
                              const struct tag_check *check, char *plain)
{
    plain[strlen(plain) - check->extension] = '\0';
    char *made_for = address_fold(plain, address->ascii);
    enum answer answer = ANSWER_UNAVAILABLE;
    if (made_for != NULL) {
        answer = evidence_names_have(q->names, made_for) ? ANSWER_YES : ANSWER_NO;
    }
    free(made_for);
    return answer;
}

/* Whether the address has a valid tag of ours for the recipient asked about. */
static enum answer tag_proves(const struct question *q, const char *text)
{
    struct address address;
    struct tag_check check;
    char *plain = NULL;
    enum answer answer = ANSWER_UNAVAILABLE;
    if (address_parse(text, &address) != STATUS_OK) {
        return answer;
    }
    if (tag_verify(q->ring, &address, q->settings->keys.lifetime_days, q->now, &check, &plain) ==
            STATUS_OK &&
        !check.internal_error) {
        bool valid = check.result == RESULT_VALID;
        answer = valid ? tag_is_for(q, &address, &check, plain) : ANSWER_NO;
    }
    free(plain);
    address_free(&address);
    return answer;
}

static enum answer ask_tag(const struct reading *reading)
{
    const struct bounce *bounce = reading->bounce;
    enum answer answer = ANSWER_NO;
    for (size_t i = 0; i < bounce->tag_count && answer != ANSWER_YES &&
                       content_may_look_up(reading->exhibits->content);
         i++) {
        enum answer one = tag_proves(reading->q, bounce->tags[i].address);
        answer = one != ANSWER_NO ? one : answer;
    }
    return answer;
}

/* ------------------------------------------------------------------ journal */

/* Whether a use is left; nothing is claimed where it is only explained. */
static enum answer weigh(const struct reading *reading, const struct proof *proof)
{
    const struct exhibits *exhibits = reading->exhibits;
    time_t now = reading->q->now;
    if (exhibits->claims != NULL) {
        return claims_add(exhibits->claims, proof, content_digest(exhibits->content), now);
    }
    enum journal_answer answer = journal_note_look(reading->self->journal, proof->ring,
                                                   proof->address, proof->name, now, NULL);
    return answer == JOURNAL_NO ? ANSWER_YES : uses_answer(answer);
}

/* The better of two answers on one proof. */
static enum answer better(enum answer one, enum answer other)
{
    return one == ANSWER_YES || one > other ? one : other;
}

/* Whether a message with this Message-ID was sent by address, and a use of it is left. */
static enum answer ask_id(const struct reading *reading, const char *address,
                          const char *message_id)
{
    const struct question *q = reading->q;
    struct message_use use;
    enum journal_answer there =
        evidence_look(reading->self->journal, q->ring, address, message_id, q->now, &use);
    if (there == JOURNAL_NO || there == JOURNAL_UNAVAILABLE) {
        return uses_answer(there);
    }
    const struct proof proof = {
        .ring = q->ring,
        .address = address,
        .name = use.name,
        .allowed = use.entry.allowed,
        .expires = use.entry.expires,
    };
    return weigh(reading, &proof);
}

/* The journal on the bounce's Message-IDs as sent by address, until one of them proves it. */
static enum answer ask_ids(const struct reading *reading, const char *address)
{
    const struct bounce *bounce = reading->bounce;
    enum answer best = ANSWER_NO;
    if (reading->self->journal == NULL) {
        return ANSWER_UNAVAILABLE;
    }
    for (size_t i = 0; i < bounce->id_count && best != ANSWER_YES &&
                       content_may_look_up(reading->exhibits->content);
         i++) {
        best = better(ask_id(reading, address, bounce->ids[i].text), best);
    }
    return best;
}

static enum answer ask_journal(const struct reading *reading)
{
    const struct evidence_names *names = reading->q->names;
    enum answer answer = ANSWER_NO;
    for (size_t i = 0; i < names->count && answer != ANSWER_YES; i++) {
        answer = better(ask_ids(reading, names->texts[i]), answer);
    }
    return answer;
}

/* ------------------------------------------------------------------- header */

/* True where the message was sent without a Message-ID that the journal knows. */
static bool is_known_by_header(const struct reading *reading, const char *address, const char *name)
{
    const struct question *q = reading->q;
    enum journal_answer answer =
        journal_note_look(reading->self->journal, q->ring, address, name, q->now, NULL);
    return answer == JOURNAL_YES || answer == JOURNAL_EXHAUSTED;
}

/* A header that is authentic for address. How many recipients its message had is not known where no
 * note says so. */
static enum answer use_header(const struct reading *reading, const char *address, const char *nonce)
{
    const struct question *q = reading->q;
    char name[EVIDENCE_USE_NAME];
    if (reading->self->journal == NULL) {
        return ANSWER_YES;
    }
    evidence_use_name(nonce, false, name);
    if (!is_known_by_header(reading, address, name)) {
        evidence_use_name(nonce, true, name);
    }
    const struct proof proof = {
        .ring = q->ring,
        .address = address,
        .name = name,
        .allowed = journal_allowance(1),
        .expires = day_of(q->now) + q->settings->evidence.retain_days + 1,
    };
    enum answer answer = weigh(reading, &proof);
    return answer == ANSWER_UNAVAILABLE ? ANSWER_YES : answer; /* authentic, if uncounted */
}

/* What a header proves for one of the recipient's names. */
static enum answer header_proves(const struct reading *reading, const char *address,
                                 const char *value)
{
    const struct question *q = reading->q;
    char nonce[EVIDENCE_NONCE_HEX];
    bool proves = false;
    enum status status = evidence_check(q->ring, value, address, q->settings->evidence.retain_days,
                                        q->now, &proves, nonce);
    if (status != STATUS_OK) {
        return ANSWER_UNAVAILABLE;
    }
    return proves ? use_header(reading, address, nonce) : ANSWER_NO;
}

static enum answer ask_header(const struct reading *reading)
{
    const struct evidence_names *names = reading->q->names;
    const struct bounce *bounce = reading->bounce;
    enum answer answer = ANSWER_NO;
    for (size_t i = 0; i < bounce->evidence_count; i++) {
        for (size_t k = 0; k < names->count && answer != ANSWER_YES; k++) {
            answer = better(header_proves(reading, names->texts[k], bounce->evidence[i]), answer);
        }
    }
    return answer;
}

/* ------------------------------------------------------------------ pattern */

static enum answer ask_pattern(const struct reading *reading)
{
    static const enum answer answers[] = {
        [CONTENT_MATCH_NO] = ANSWER_NO,
        [CONTENT_MATCH_YES] = ANSWER_YES,
        [CONTENT_MATCH_OVERLOADED] = ANSWER_OVERLOADED,
        [CONTENT_MATCH_FAILED] = ANSWER_UNAVAILABLE,
    };
    return answers[content_match(reading->exhibits->content, reading->q->domain->message_ids)];
}

/* --------------------------------------------------------------- untaggable */

/* A journal that cannot be read could have said so of an address that never gets a tag; of others
 * it says nothing. */
static enum answer ask_untaggable(const struct reading *reading)
{
    const struct question *q = reading->q;
    struct journal *journal = reading->self->journal;
    bool knows = journal != NULL;
    for (size_t i = 0; i < q->names->count && journal != NULL; i++) {
        enum journal_answer answer = journal_note_look(journal, q->ring, q->names->texts[i],
                                                       EVIDENCE_UNTAGGABLE, q->now, NULL);
        if (answer == JOURNAL_YES) {
            return ANSWER_YES;
        }
        knows = knows && answer == JOURNAL_NO;
    }
    return q->too_long && !knows ? ANSWER_UNAVAILABLE : ANSWER_NO;
}

/* ---------------------------------------------------------------- the table */

static enum answer (*const asks[FACT_COUNT])(const struct reading *reading) = {
    [FACT_TAG_IN_BODY] = ask_tag, [FACT_HEADER] = ask_header, [FACT_JOURNAL] = ask_journal,
    [FACT_PATTERN] = ask_pattern, [FACT_CLASS] = ask_class,   [FACT_UNTAGGABLE] = ask_untaggable,
};

static struct finding ask(void *self, const struct question *q, const struct exhibits *exhibits)
{
    struct reading reading = {self, q, exhibits, NULL};
    struct finding finding = {.answer = ANSWER_YES};
    if (fact_row(q->fact)->reads) {
        finding = read_content(&reading);
    }
    if (finding.answer == ANSWER_YES) {
        finding.answer = asks[q->fact](&reading);
    }
    return finding;
}

void evidence_returned_oracles(struct evidence_returned *self, bool content, struct oracle_set *out)
{
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        if (asks[fact] != NULL && (content || !fact_row(fact)->reads)) {
            out->by_fact[fact] = (struct oracle){ask, self};
        }
    }
}
