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

/* ANSWER_YES with *out, or why it was not read. */
static enum answer read_content(const struct question *q, const struct bounce **out)
{
    if (q->content == NULL) {
        return ANSWER_UNAVAILABLE; /* the MTA has not shown it to us */
    }
    switch (content_read(q->content, out)) {
    case CONTENT_READ:
        transaction_read(q->transaction, (*out)->class, (*out)->named_count > 0);
        return ANSWER_YES;
    case CONTENT_OVERLOADED:
        return ANSWER_OVERLOADED;
    case CONTENT_FAILED:
        break;
    }
    return ANSWER_UNAVAILABLE;
}

/* The same, with what is asked about. */
static enum answer take_up(const struct question *q, struct asked *asked,
                           const struct bounce **bounce)
{
    transaction_asked(q->transaction, q->recipient, asked);
    return read_content(q, bounce);
}

static enum answer ask_class(void *self, const struct question *q)
{
    (void)self;
    const struct bounce *bounce;
    return read_content(q, &bounce);
}

/* -------------------------------------------------------------- tag in body */

/* Whether a tag on text, valid and for plain, is one for the recipient asked about. An MTA may have
 * appended a VERP extension to either. */
static enum answer tag_is_for(const struct asked *asked, const struct address *address,
                              const struct tag_check *check, char *plain)
{
    plain[strlen(plain) - check->extension] = '\0';
    char *made_for = address_fold(plain, address->ascii);
    enum answer answer = ANSWER_UNAVAILABLE;
    if (made_for != NULL) {
        answer = evidence_names_have(asked->names, made_for) ? ANSWER_YES : ANSWER_NO;
    }
    free(made_for);
    return answer;
}

/* Whether the address has a valid tag of ours for the recipient asked about. */
static enum answer tag_proves(const struct asked *asked, const char *text, time_t now)
{
    struct address address;
    struct tag_check check;
    char *plain = NULL;
    enum answer answer = ANSWER_UNAVAILABLE;
    if (address_parse(text, &address) != STATUS_OK) {
        return answer;
    }
    if (tag_verify(asked->ring, &address, asked->settings->keys.lifetime_days, now, &check,
                   &plain) == STATUS_OK &&
        !check.internal_error) {
        bool valid = check.result == RESULT_VALID;
        answer = valid ? tag_is_for(asked, &address, &check, plain) : ANSWER_NO;
    }
    free(plain);
    address_free(&address);
    return answer;
}

static enum answer ask_tag(void *self, const struct question *q)
{
    (void)self;
    struct asked asked;
    const struct bounce *bounce;
    enum answer answer = take_up(q, &asked, &bounce);
    if (answer != ANSWER_YES) {
        return answer;
    }
    answer = ANSWER_NO;
    for (size_t i = 0;
         i < bounce->tag_count && answer != ANSWER_YES && content_may_look_up(q->content); i++) {
        enum answer one = tag_proves(&asked, bounce->tags[i].address, q->now);
        answer = one != ANSWER_NO ? one : answer;
    }
    return answer;
}

/* ------------------------------------------------------------------ journal */

/* Whether a use is left; nothing is claimed where it is only explained. */
static enum answer weigh(const struct evidence_returned *self, const struct question *q,
                         const struct proof *proof)
{
    if (q->claims != NULL) {
        return claims_add(q->claims, proof, content_digest(q->content), q->now);
    }
    enum journal_answer answer =
        journal_note_look(self->journal, proof->ring, proof->address, proof->name, q->now, NULL);
    return answer == JOURNAL_NO ? ANSWER_YES : uses_answer(answer);
}

/* The better of two answers on one proof. */
static enum answer better(enum answer one, enum answer other)
{
    return one == ANSWER_YES || one > other ? one : other;
}

/* Whether a message with this Message-ID was sent by address, and a use of it is left. */
static enum answer ask_id(const struct evidence_returned *self, const struct question *q,
                          const struct ring *ring, const char *address, const char *message_id)
{
    struct message_use use;
    enum journal_answer there =
        evidence_look(self->journal, ring, address, message_id, q->now, &use);
    if (there == JOURNAL_NO || there == JOURNAL_UNAVAILABLE) {
        return uses_answer(there);
    }
    const struct proof proof = {
        .ring = ring,
        .address = address,
        .name = use.name,
        .allowed = use.entry.allowed,
        .expires = use.entry.expires,
    };
    return weigh(self, q, &proof);
}

/* The journal on the bounce's Message-IDs as sent by address, until one of them proves it. */
static enum answer ask_ids(const struct evidence_returned *self, const struct question *q,
                           const struct ring *ring, const char *address,
                           const struct bounce *bounce)
{
    enum answer best = ANSWER_NO;
    if (self->journal == NULL) {
        return ANSWER_UNAVAILABLE;
    }
    for (size_t i = 0;
         i < bounce->id_count && best != ANSWER_YES && content_may_look_up(q->content); i++) {
        best = better(ask_id(self, q, ring, address, bounce->ids[i].text), best);
    }
    return best;
}

static enum answer ask_journal(void *self, const struct question *q)
{
    struct asked asked;
    const struct bounce *bounce;
    enum answer answer = take_up(q, &asked, &bounce);
    if (answer != ANSWER_YES) {
        return answer;
    }
    answer = ANSWER_NO;
    for (size_t i = 0; i < asked.names->count && answer != ANSWER_YES; i++) {
        answer = better(ask_ids(self, q, asked.ring, asked.names->texts[i], bounce), answer);
    }
    return answer;
}

/* ------------------------------------------------------------------- header */

/* True where the message was sent without a Message-ID that the journal knows. */
static bool is_known_by_header(const struct evidence_returned *self, const struct ring *ring,
                               const char *address, const char *name, time_t now)
{
    enum journal_answer answer = journal_note_look(self->journal, ring, address, name, now, NULL);
    return answer == JOURNAL_YES || answer == JOURNAL_EXHAUSTED;
}

/* A header that is authentic for address. How many recipients its message had is not known where no
 * note says so. */
static enum answer use_header(const struct evidence_returned *self, const struct question *q,
                              const struct asked *asked, const char *address, const char *nonce)
{
    char name[EVIDENCE_USE_NAME];
    if (self->journal == NULL) {
        return ANSWER_YES;
    }
    evidence_use_name(nonce, false, name);
    if (!is_known_by_header(self, asked->ring, address, name, q->now)) {
        evidence_use_name(nonce, true, name);
    }
    const struct proof proof = {
        .ring = asked->ring,
        .address = address,
        .name = name,
        .allowed = journal_allowance(1),
        .expires = day_of(q->now) + asked->settings->evidence.retain_days + 1,
    };
    enum answer answer = weigh(self, q, &proof);
    return answer == ANSWER_UNAVAILABLE ? ANSWER_YES : answer; /* authentic, if uncounted */
}

/* What a header proves for one of the recipient's names. */
static enum answer header_proves(const struct evidence_returned *self, const struct question *q,
                                 const struct asked *asked, const char *address, const char *value)
{
    char nonce[EVIDENCE_NONCE_HEX];
    bool proves = false;
    enum status status = evidence_check(
        asked->ring, value, address, asked->settings->evidence.retain_days, q->now, &proves, nonce);
    if (status != STATUS_OK) {
        return ANSWER_UNAVAILABLE;
    }
    return proves ? use_header(self, q, asked, address, nonce) : ANSWER_NO;
}

static enum answer ask_header(void *self, const struct question *q)
{
    struct asked asked;
    const struct bounce *bounce;
    enum answer answer = take_up(q, &asked, &bounce);
    if (answer != ANSWER_YES) {
        return answer;
    }
    answer = ANSWER_NO;
    for (size_t i = 0; i < bounce->evidence_count; i++) {
        for (size_t k = 0; k < asked.names->count && answer != ANSWER_YES; k++) {
            answer = better(
                header_proves(self, q, &asked, asked.names->texts[k], bounce->evidence[i]), answer);
        }
    }
    return answer;
}

/* ------------------------------------------------------------------ pattern */

static enum answer ask_pattern(void *self, const struct question *q)
{
    (void)self;
    struct asked asked;
    const struct bounce *bounce;
    enum answer answer = take_up(q, &asked, &bounce);
    if (answer != ANSWER_YES) {
        return answer;
    }
    static const enum answer answers[] = {
        [CONTENT_MATCH_NO] = ANSWER_NO,
        [CONTENT_MATCH_YES] = ANSWER_YES,
        [CONTENT_MATCH_OVERLOADED] = ANSWER_OVERLOADED,
        [CONTENT_MATCH_FAILED] = ANSWER_UNAVAILABLE,
    };
    return answers[content_match(q->content, asked.rules->message_ids)];
}

/* --------------------------------------------------------------- untaggable */

/* A journal that cannot be read could have said so of an address that never gets a tag; of others
 * it says nothing. */
static enum answer ask_untaggable(void *context, const struct question *q)
{
    const struct evidence_returned *self = context;
    struct asked asked;
    bool knows = self->journal != NULL;
    transaction_asked(q->transaction, q->recipient, &asked);
    for (size_t i = 0; i < asked.names->count && self->journal != NULL; i++) {
        enum journal_answer answer = journal_note_look(
            self->journal, asked.ring, asked.names->texts[i], EVIDENCE_UNTAGGABLE, q->now, NULL);
        if (answer == JOURNAL_YES) {
            return ANSWER_YES;
        }
        knows = knows && answer == JOURNAL_NO;
    }
    return asked.too_long && !knows ? ANSWER_UNAVAILABLE : ANSWER_NO;
}

void evidence_returned_oracles_at_rcpt(struct evidence_returned *self, struct oracle_set *out)
{
    out->by_fact[FACT_UNTAGGABLE] = (struct oracle){ask_untaggable, self};
}

void evidence_returned_oracles(struct evidence_returned *self, struct oracle_set *out)
{
    evidence_returned_oracles_at_rcpt(self, out);
    out->by_fact[FACT_TAG_IN_BODY] = (struct oracle){ask_tag, self};
    out->by_fact[FACT_HEADER] = (struct oracle){ask_header, self};
    out->by_fact[FACT_JOURNAL] = (struct oracle){ask_journal, self};
    out->by_fact[FACT_PATTERN] = (struct oracle){ask_pattern, self};
    out->by_fact[FACT_CLASS] = (struct oracle){ask_class, self};
}
