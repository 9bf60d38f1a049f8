/*
 * The ring as text and back:
 *
 *   format 1
 *   generation 12
 *   evidence current HEX                  `-` where there is none
 *   evidence previous HEX                 only where there is one
 *   key 3 algorithm=hmac-sha256 lifetime=7 compromised=no created=2026-11-21T12:00:00Z
 *       signs-from=... signs-until=- verifies-until=- tags-until=- secret=HEX     (one line, a key
 * each) domain example.com first-signed=2026-11-21T12:00:00Z                          (by name)
 *       tag-seen=...                    on the same line, only once one was seen
 *   digest HEX                            SHA-256 of all lines before it
 *
 * One ring has one spelling: items in this order, one space between words, `-` for what is open or
 * empty. The parser takes exactly that and works in place, so that no secret is copied but into the
 * ring; the writer fills one buffer of sufficient size, so that none stays behind in a smaller one.
 * No state; any thread may call.
 */
#include "batv/ring_text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/day.h"

/* Writing. */

enum {
    HEAD_ROOM = 256 + 2 * SECRET_HEX, /* all lines but keys and domains */
    KEY_ROOM = 384 + SECRET_HEX,
    DOMAIN_ROOM = 128 /* beside the name */
};

struct writer {
    char *text;
    size_t length, size;
};

static void put(struct writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct writer *writer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int written =
        vsnprintf(writer->text + writer->length, writer->size - writer->length, format, arguments);
    va_end(arguments);
    assert(written >= 0 && (size_t)written < writer->size - writer->length);
    writer->length += (size_t)written;
}

static void put_secret(struct writer *writer, const char *before, const struct secret *secret)
{
    put(writer, "%s", before);
    if (secret->length == 0) {
        put(writer, "-\n");
        return;
    }
    assert(writer->size - writer->length > SECRET_HEX);
    secret_to_hex(secret, writer->text + writer->length);
    writer->length += 2 * secret->length;
    put(writer, "\n");
}

static void put_time(struct writer *writer, const char *name, time_t when)
{
    char text[TIME_TEXT] = "-";
    if (when != RING_OPEN) {
        time_format(when, text);
    }
    put(writer, " %s=%s", name, text);
}

static void put_key(struct writer *writer, unsigned slot, const struct ring_key *key)
{
    char day[DAY_TEXT] = "-";
    if (key->tags_until >= 0) {
        day_format(key->tags_until, day);
    }
    put(writer, "key %u algorithm=%s lifetime=%u compromised=%s", slot,
        algorithm_name(key->algorithm), key->lifetime, key->compromised ? "yes" : "no");
    put_time(writer, "created", key->created);
    put_time(writer, "signs-from", key->signs_from);
    put_time(writer, "signs-until", key->signs_until);
    put_time(writer, "verifies-until", key->verifies_until);
    put(writer, " tags-until=%s", day);
    put_secret(writer, " secret=", &key->secret);
}

static void put_ring(struct writer *writer, const struct ring *ring)
{
    put(writer, "format 1\ngeneration %" PRIu64 "\n", ring->generation);
    put_secret(writer, "evidence current ", &ring->evidence_current);
    if (ring->evidence_previous.length > 0) {
        put_secret(writer, "evidence previous ", &ring->evidence_previous);
    }
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        if (ring->keys[i].used) {
            put_key(writer, i, &ring->keys[i]);
        }
    }
    for (size_t i = 0; i < ring->domain_count; i++) {
        put(writer, "domain %s", ring->domains[i].name);
        put_time(writer, "first-signed", ring->domains[i].first_signed);
        if (ring->domains[i].tag_seen != 0) {
            put_time(writer, "tag-seen", ring->domains[i].tag_seen);
        }
        put(writer, "\n");
    }
}

enum status ring_format(const struct ring *ring, char **text, size_t *length)
{
    struct writer writer = {.size = HEAD_ROOM + (size_t)RING_SLOTS * KEY_ROOM};
    for (size_t i = 0; i < ring->domain_count; i++) {
        writer.size += strlen(ring->domains[i].name) + DOMAIN_ROOM;
    }
    writer.text = malloc(writer.size);
    if (writer.text == NULL) {
        return STATUS_NO_MEMORY;
    }

    put_ring(&writer, ring);
    char digest[DIGEST_HEX];
    enum status status = digest_hex(writer.text, writer.length, digest);
    if (status != STATUS_OK) {
        ring_text_free(writer.text, writer.length);
        return status;
    }
    put(&writer, "digest %s\n", digest);
    *text = writer.text;
    *length = writer.length;
    return STATUS_OK;
}

void ring_text_free(char *text, size_t length)
{
    if (text == NULL) {
        return;
    }
    secret_wipe_memory(text, length);
    free(text);
}

/* Claims. */

/* The digits at *at, which moves on: 0 where there are none, UINT64_MAX where they are too many. */
static uint64_t take_claim(const char **at, const char *end)
{
    uint64_t claim = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');
        claim = claim > (UINT64_MAX - digit) / 10 ? UINT64_MAX : claim * 10 + digit;
    }
    return claim;
}

uint64_t ring_text_claim(const char *text, size_t length)
{
    static const char format[] = "format ";
    static const char item[] = "generation ";
    const char *end = text + length;
    const char *at = text + sizeof format - 1;
    if (length <= sizeof format || memcmp(text, format, sizeof format - 1) != 0) {
        return 0;
    }
    uint64_t version = take_claim(&at, end);
    if (at == end || *at++ != '\n') {
        return 0;
    }
    if (version != 1) {
        return UINT64_MAX;
    }
    if ((size_t)(end - at) < sizeof item || memcmp(at, item, sizeof item - 1) != 0) {
        return 0;
    }
    at += sizeof item - 1;
    return take_claim(&at, end);
}

/* Reading. Each take_ function moves on past what it takes, or tells why it cannot and answers
 * false. */

struct reader {
    const char *text, *end; /* all of it */
    const char *at, *stop;  /* what is left of the line, without its newline */
    unsigned line;
    enum status status; /* why it ended */
    struct reason *why;
};

static bool refuse(struct reader *reader, const char *expected)
{
    reader->status =
        reason_set(reader->why, STATUS_INVALID, "line %u: expected %s", reader->line, expected);
    return false;
}

/* For what the text is not to blame for. */
static bool give_up(struct reader *reader, enum status status)
{
    reader->status =
        reason_set(reader->why, status, "line %u: %s", reader->line,
                   status == STATUS_NO_MEMORY ? "no memory" : "the cryptographic library refused");
    return false;
}

static bool take_line(struct reader *reader, const char *expected)
{
    reader->line++;
    const char *begin = reader->line == 1 ? reader->text : reader->stop + 1;
    reader->at = reader->stop = begin;
    if (begin == reader->end) {
        return refuse(reader, expected);
    }
    const char *newline = memchr(begin, '\n', (size_t)(reader->end - begin));
    if (newline == NULL) {
        return refuse(reader, "the line to end with a newline");
    }
    reader->stop = newline;
    return true;
}

static bool line_begins(const struct reader *reader, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(reader->stop - reader->at) >= length && memcmp(reader->at, word, length) == 0;
}

static bool take_word(struct reader *reader, const char *word, const char *expected)
{
    if (!line_begins(reader, word)) {
        return refuse(reader, expected);
    }
    reader->at += strlen(word);
    return true;
}

static bool take_end(struct reader *reader)
{
    return reader->at == reader->stop || refuse(reader, "the line to end there");
}

/* The octets up to the next space or the end of the line. */
static size_t value_length(const struct reader *reader)
{
    size_t left = (size_t)(reader->stop - reader->at);
    const char *space = memchr(reader->at, ' ', left);
    return space == NULL ? left : (size_t)(space - reader->at);
}

/* A value that is no secret, NUL-terminated. */
static bool take_value(struct reader *reader, char *out, size_t size, const char *expected)
{
    size_t length = value_length(reader);
    if (length == 0 || length >= size || memchr(reader->at, '\0', length) != NULL) {
        return refuse(reader, expected);
    }
    memcpy(out, reader->at, length);
    out[length] = '\0';
    reader->at += length;
    return true;
}

/* Decimal without leading zeros. */
static bool take_number(struct reader *reader, uint64_t max, uint64_t *out, const char *expected)
{
    char text[sizeof "18446744073709551615"];
    if (!take_value(reader, text, sizeof text, expected)) {
        return false;
    }
    *out = 0;
    for (const char *c = text; *c != '\0'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        if (*c < '0' || *c > '9' || *out > (max - digit) / 10) {
            return refuse(reader, expected);
        }
        *out = *out * 10 + digit;
    }
    return (text[0] == '0' && text[1] != '\0') ? refuse(reader, expected) : true;
}

static bool take_secret(struct reader *reader, struct secret *secret, const char *expected)
{
    size_t length = value_length(reader);
    secret_wipe(secret);
    if ((length != 1 || *reader->at != '-') && !secret_from_hex(reader->at, length, secret)) {
        return refuse(reader, expected);
    }
    reader->at += length;
    return take_end(reader);
}

/* Not before 1970: RING_OPEN is a moment of 1969. */
static bool take_time(struct reader *reader, const char *name, time_t *out, const char *expected)
{
    char text[TIME_TEXT];
    if (!take_word(reader, name, expected) || !take_value(reader, text, sizeof text, expected)) {
        return false;
    }
    *out = RING_OPEN;
    if (strcmp(text, "-") == 0) {
        return true;
    }
    return (time_parse(text, out) && *out >= 0) || refuse(reader, expected);
}

static bool take_day(struct reader *reader, int64_t *out)
{
    static const char expected[] = "tags-until=YYYY-MM-DD or -";
    char text[DAY_TEXT];
    if (!take_word(reader, " tags-until=", expected) ||
        !take_value(reader, text, sizeof text, expected)) {
        return false;
    }
    *out = -1;
    if (strcmp(text, "-") == 0) {
        return true;
    }
    return (day_parse(text, out) && *out >= 0) || refuse(reader, expected);
}

static bool take_algorithm(struct reader *reader, enum algorithm *out)
{
    static const char expected[] = "algorithm=hmac-sha256 or hmac-sha1";
    char name[32];
    if (!take_word(reader, " algorithm=", expected) ||
        !take_value(reader, name, sizeof name, expected)) {
        return false;
    }
    return algorithm_from_name(name, out) || refuse(reader, expected);
}

static bool take_lifetime(struct reader *reader, unsigned *out)
{
    static const char expected[] = "lifetime= a number from 1 to 60";
    uint64_t days;
    if (!take_word(reader, " lifetime=", expected) ||
        !take_number(reader, RING_LIFETIME_MAX, &days, expected)) {
        return false;
    }
    *out = (unsigned)days;
    return days >= 1 || refuse(reader, expected);
}

static bool take_compromised(struct reader *reader, bool *out)
{
    *out = line_begins(reader, " compromised=yes ");
    return take_word(reader, *out ? " compromised=yes" : " compromised=no",
                     "compromised=yes or no");
}

/* What the changes of a ring (ring.c) always leave behind; only then do its times make sense. */
static bool check_key(struct reader *reader, const struct ring_key *key)
{
    bool open = key->signs_until == RING_OPEN;
    if (key->created == RING_OPEN) {
        return refuse(reader, "created= a time");
    }
    if (open != (key->verifies_until == RING_OPEN) || open != (key->tags_until < 0)) {
        return refuse(reader, "signs-until, verifies-until and tags-until to be all open or none");
    }
    if (open && (key->signs_from == RING_OPEN || key->secret.length == 0)) {
        return refuse(reader, "a key without an end to sign");
    }
    if (!open && (key->signs_until < key->signs_from || key->verifies_until < key->signs_until ||
                  key->tags_until < day_of(key->signs_until - 1))) {
        return refuse(reader,
                      "signs-from, signs-until, verifies-until and tags-until in this order");
    }
    if (key->algorithm == ALGORITHM_HMAC_SHA256 && key->secret.length > 0 &&
        key->secret.length < RING_SECRET_MIN_SHA256) {
        return refuse(reader, "a secret of at least 16 octets");
    }
    return true;
}

static bool take_key_fields(struct reader *reader, struct ring_key *key)
{
    return take_algorithm(reader, &key->algorithm) && take_lifetime(reader, &key->lifetime) &&
           take_compromised(reader, &key->compromised) &&
           take_time(reader, " created=", &key->created, "created= a time") &&
           take_time(reader, " signs-from=", &key->signs_from, "signs-from= a time or -") &&
           take_time(reader, " signs-until=", &key->signs_until, "signs-until= a time or -") &&
           take_time(reader, " verifies-until=", &key->verifies_until,
                     "verifies-until= a time or -") &&
           take_day(reader, &key->tags_until) &&
           take_word(reader, " secret=", "secret= and hexadecimal digits or -") &&
           take_secret(reader, &key->secret,
                       "after secret= an even number of at most 512 hexadecimal digits, or -") &&
           check_key(reader, key);
}

/* Whether a key with an end would sign beyond the beginning of the one that has none, which could
 * then be followed by a second one. */
static bool signs_too_long(const struct ring_key *ended, const struct ring_key *endless)
{
    return ended->secret.length > 0 && ended->signs_from != RING_OPEN &&
           ended->signs_from != ended->signs_until && ended->signs_until > endless->signs_from;
}

/* The key in slot beside those before it. */
static bool check_succession(struct reader *reader, const struct ring *ring, unsigned slot)
{
    const struct ring_key *key = &ring->keys[slot];
    bool endless = key->signs_until == RING_OPEN;
    for (const struct ring_key *other = ring->keys; other < key; other++) {
        if (!other->used || (!endless && other->signs_until != RING_OPEN)) {
            continue;
        }
        if (endless && other->signs_until == RING_OPEN) {
            return refuse(reader, "only one key without an end");
        }
        if (endless ? signs_too_long(other, key) : signs_too_long(key, other)) {
            return refuse(reader, "no key to sign later than the one without an end begins");
        }
    }
    return true;
}

/* *next is the lowest number that may follow. */
static bool take_key(struct reader *reader, struct ring *ring, unsigned *next)
{
    uint64_t slot;
    if (!take_word(reader, "key ", "`key`") ||
        !take_number(reader, RING_SLOTS - 1, &slot, "the key's number, 0 to 9")) {
        return false;
    }
    if (slot < *next) {
        return refuse(reader, "the keys' numbers to rise, each once");
    }
    *next = (unsigned)slot + 1;

    struct ring_key *key = &ring->keys[slot];
    key->used = true;
    if (!take_key_fields(reader, key) || !check_succession(reader, ring, (unsigned)slot)) {
        return false;
    }
    if (key->secret.length == 0) {
        return true;
    }
    enum status status = mac_key_new(key->algorithm, &key->secret, &key->mac);
    return status == STATUS_OK || give_up(reader, status);
}

static bool take_domain(struct reader *reader, struct ring *ring)
{
    char name[1024];
    time_t first_signed;
    time_t tag_seen = 0;
    bool added;
    if (!take_word(reader, "domain ", "`domain`") ||
        !take_value(reader, name, sizeof name, "a domain's name") ||
        !take_time(reader, " first-signed=", &first_signed, "first-signed= a time")) {
        return false;
    }
    bool seen = reader->at != reader->stop;
    if (seen && !take_time(reader, " tag-seen=", &tag_seen, "tag-seen= a time, or the end")) {
        return false;
    }
    if (!take_end(reader)) {
        return false;
    }
    if (ring->domain_count > 0 && strcmp(ring->domains[ring->domain_count - 1].name, name) >= 0) {
        return refuse(reader, "the domains' names to rise, each once");
    }
    enum status status = ring_domain_add(ring, name, first_signed, &added);
    if (status == STATUS_INVALID) {
        return refuse(reader, "a domain's name and a time");
    }
    if (status == STATUS_OK && seen && !ring_domain_tag_seen(ring, name, tag_seen)) {
        return refuse(reader, "tag-seen= a time");
    }
    return status == STATUS_OK || give_up(reader, status);
}

static bool take_head(struct reader *reader, struct ring *ring)
{
    static const char current[] = "`evidence current` and hexadecimal digits or -";
    static const char generation[] = "`generation` and a number";
    return take_line(reader, "`format 1`") && take_word(reader, "format 1", "`format 1`") &&
           take_end(reader) && take_line(reader, generation) &&
           take_word(reader, "generation ", generation) &&
           take_number(reader, UINT64_MAX, &ring->generation, generation) && take_end(reader) &&
           take_line(reader, current) && take_word(reader, "evidence current ", current) &&
           take_secret(reader, &ring->evidence_current, current);
}

static bool take_previous(struct reader *reader, struct ring *ring)
{
    static const char previous[] = "`evidence previous` and hexadecimal digits";
    return take_word(reader, "evidence previous ", previous) &&
           take_secret(reader, &ring->evidence_previous, previous) &&
           (ring->evidence_previous.length > 0 || refuse(reader, previous));
}

/* The secrets are in their places; their MAC keys are still to be made. */
static bool complete_evidence(struct reader *reader, struct ring *ring)
{
    enum status status = ring_set_evidence(ring, &ring->evidence_current, &ring->evidence_previous);
    return status == STATUS_OK || give_up(reader, status);
}

/* Everything between the head and the digest, whose line is the current one afterwards. */
static bool take_items(struct reader *reader, struct ring *ring)
{
    static const char next_item[] = "`key`, `domain` or `digest`";
    unsigned next_slot = 0;
    if (!take_line(reader, next_item)) {
        return false;
    }
    if (line_begins(reader, "evidence ") &&
        (!take_previous(reader, ring) || !take_line(reader, next_item))) {
        return false;
    }
    if (!complete_evidence(reader, ring)) {
        return false;
    }
    while (line_begins(reader, "key ")) {
        if (!take_key(reader, ring, &next_slot) || !take_line(reader, next_item)) {
            return false;
        }
    }
    while (line_begins(reader, "domain ")) {
        if (!take_domain(reader, ring) || !take_line(reader, "`domain` or `digest`")) {
            return false;
        }
    }
    return true;
}

static bool take_digest(struct reader *reader)
{
    const char *begin = reader->at;
    char written[DIGEST_HEX];
    char digest[DIGEST_HEX];
    if (!take_word(reader, "digest ", "`key`, `domain` or `digest`, in this order") ||
        !take_value(reader, written, sizeof written, "the digest in hexadecimal") ||
        !take_end(reader)) {
        return false;
    }
    if (reader->stop + 1 != reader->end) {
        reader->line++;
        return refuse(reader, "the end, after the digest");
    }
    enum status status = digest_hex(reader->text, (size_t)(begin - reader->text), digest);
    if (status != STATUS_OK) {
        return give_up(reader, status);
    }
    return strcmp(digest, written) == 0 ||
           refuse(reader, "the digest of the lines above, which are not as they were written");
}

enum status ring_parse(const char *text, size_t length, struct ring **out, struct reason *why)
{
    *out = NULL;
    struct ring *ring = ring_new();
    if (ring == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "no memory");
    }
    struct reader reader = {.text = text, .end = text + length, .why = why};
    if (!take_head(&reader, ring) || !take_items(&reader, ring) || !take_digest(&reader)) {
        ring_free(ring);
        return reader.status;
    }
    *out = ring;
    return STATUS_OK;
}
