/*
 * The tag: its form, making one, judging one. The form is read from the left at fixed width and
 * never split at '=', because local parts hold '=' themselves (VERP, SRS).
 *
 * No state; keys come in with the ring, the day with the time. Strings handed out are allocated.
 */
#include "batv/tag.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address_fold.h"
#include "batv/day.h"
#include "batv/verp.h"

enum {
    KEY_AND_DAY = 4,                   /* KDDD */
    TAG_LENGTH = 10,                   /* KDDDSSSSSS */
    CISCO_LENGTH = 9,                  /* DDDSSSSSS: the signing day, no key */
    PREFIX_LENGTH = 5,                 /* prvs= */
    SUBADDRESS_LENGTH = 6 + TAG_LENGTH /* +prvs=KDDDSSSSSS */
};

static const char *const result_names[RESULT_COUNT] = {
    [RESULT_NOT_OURS] = "not-ours",       [RESULT_VALID] = "valid",
    [RESULT_EXPIRED] = "expired",         [RESULT_BAD_SIGNATURE] = "bad-signature",
    [RESULT_UNKNOWN_KEY] = "unknown-key", [RESULT_MALFORMED] = "malformed",
    [RESULT_MISSING] = "missing",         [RESULT_FOREIGN] = "foreign",
};

const char *result_name(enum result result)
{
    assert(result >= 0 && result < RESULT_COUNT);
    return result_names[result];
}

bool tag_is_unauthentic(const struct tag_check *check)
{
    bool wrong = check->result == RESULT_BAD_SIGNATURE || check->result == RESULT_UNKNOWN_KEY;
    return wrong && check->syntax == TAG_PREFIX;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    c = ascii_lower(c);
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

/* digits decimal digits, then hexadecimal ones up to length; ends early at a NUL. */
static bool has_shape(const char *text, size_t digits, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (i < digits ? !is_digit(text[i]) : !is_hex(text[i])) {
            return false;
        }
    }
    return true;
}

static bool starts_with(const char *text, const char *prefix)
{
    for (; *prefix != '\0'; prefix++, text++) {
        if (ascii_lower(*text) != *prefix) {
            return false;
        }
    }
    return true;
}

static bool srs_start(const char *local)
{
    return (starts_with(local, "srs0") || starts_with(local, "srs1")) && local[4] != '\0' &&
           strchr("=+-", local[4]) != NULL;
}

/* Where the mark stands behind a user's name; NULL: nowhere. */
static const char *find_mark(const char *local, const char *mark)
{
    const char *p = strchr(local, *mark);
    while (p != NULL && !starts_with(p, mark)) {
        p = strchr(p + 1, *mark);
    }
    return p;
}

enum forwarder tag_forwarder(const char *local)
{
    if (srs_start(local)) {
        return FORWARDER_SRS;
    }
    if (find_mark(local, "+srs=") != NULL) {
        return FORWARDER_MICROSOFT;
    }
    return find_mark(local, "+caf_") != NULL ? FORWARDER_GOOGLE : FORWARDER_NONE;
}

/* KDDDSSSSSS, known to have the shape. */
static void read_tag(const char *text, enum tag_syntax syntax, struct tag *out)
{
    out->form = TAG_FORM_TAG;
    out->syntax = syntax;
    out->key = (unsigned)(text[0] - '0');
    out->day = 0;
    for (size_t i = 1; i < KEY_AND_DAY; i++) {
        out->day = out->day * 10 + (unsigned)(text[i] - '0');
    }
    for (size_t i = 0; i < sizeof out->mac - 1; i++) {
        out->mac[i] = ascii_lower(text[KEY_AND_DAY + i]);
    }
    out->mac[sizeof out->mac - 1] = '\0';
}

static void set_plain(struct tag *out, enum tag_form form, const char *plain, size_t length)
{
    out->form = form;
    out->plain = plain;
    out->plain_length = length;
}

/* After "prvs=": ours, Cisco's, the early drafts' prvs=local=TAG and prvs=local/TAG, or none. */
static void split_prefix(const char *local, struct tag *out)
{
    const char *text = local + PREFIX_LENGTH;
    if (has_shape(text, KEY_AND_DAY, TAG_LENGTH) && text[TAG_LENGTH] == '=' &&
        text[TAG_LENGTH + 1] != '\0') {
        read_tag(text, TAG_PREFIX, out);
        set_plain(out, TAG_FORM_TAG, text + TAG_LENGTH + 1, strlen(text + TAG_LENGTH + 1));
        return;
    }
    if (has_shape(text, 3, CISCO_LENGTH) && text[CISCO_LENGTH] == '=' &&
        text[CISCO_LENGTH + 1] != '\0') {
        set_plain(out, TAG_FORM_FOREIGN, text + CISCO_LENGTH + 1, strlen(text + CISCO_LENGTH + 1));
        return;
    }
    size_t length = strlen(text);
    if (length > TAG_LENGTH + 1 && strchr("=/", text[length - TAG_LENGTH - 1]) != NULL &&
        has_shape(text + length - TAG_LENGTH, KEY_AND_DAY, TAG_LENGTH)) {
        set_plain(out, TAG_FORM_FOREIGN, text, length - TAG_LENGTH - 1);
        return;
    }
    out->form = TAG_FORM_MALFORMED;
}

/* What follows the '=' after other products' tags: Barracuda's btv1==TAG==, SparkPost's
 * msprvs1=TAG=. */
static bool split_foreign(const char *local, struct tag *out)
{
    const char *end = NULL;
    size_t skip = 0;
    if (starts_with(local, "btv1==")) {
        end = strstr(local + 6, "==");
        skip = 2;
    } else if (starts_with(local, "msprvs1=")) {
        end = strchr(local + 8, '=');
        skip = 1;
    } else {
        return false;
    }
    out->form = TAG_FORM_FOREIGN;
    if (end != NULL && end[skip] != '\0') {
        set_plain(out, TAG_FORM_FOREIGN, end + skip, strlen(end + skip));
    }
    return true;
}

/* A forwarder's SRS address around a tag: SRS0=HASH=TT=domain=prvs=TAG=local, or Microsoft's
 * user+SRS=HASH=TT=domain=prvs=TAG=local. */
static bool wraps_tag(const char *local)
{
    for (const char *p = strchr(local, '='); p != NULL; p = strchr(p + 1, '=')) {
        if (starts_with(p + 1, "prvs=")) {
            return true;
        }
    }
    return false;
}

/* KDDDSSSSSS behind "+prvs=", and nothing after it but a VERP extension. */
static bool has_subaddress(const char *plus)
{
    if (!has_shape(plus + 1 + PREFIX_LENGTH, KEY_AND_DAY, TAG_LENGTH)) {
        return false;
    }
    const char *end = plus + SUBADDRESS_LENGTH;
    return *end == '\0' || verp_is_extension(end);
}

/* The "+prvs=" of a tag, behind a user's own extension; the first, since a VERP extension may have
 * somebody else's tag in it. Where there is no tag, the last that begins like one. */
static const char *find_subaddress(const char *local)
{
    const char *found = NULL;
    for (const char *p = strchr(local, '+'); p != NULL; p = strchr(p + 1, '+')) {
        if (p > local && starts_with(p + 1, "prvs=")) {
            found = p;
            if (has_subaddress(p)) {
                break;
            }
        }
    }
    return found;
}

void tag_split(const char *local, struct tag *out)
{
    *out = (struct tag){.plain = local, .plain_length = strlen(local), .extension = ""};
    if (starts_with(local, "prvs=")) {
        split_prefix(local, out);
        return;
    }
    if (split_foreign(local, out)) {
        return;
    }
    const char *plus = find_subaddress(local);
    bool of_srs_user = plus == local + 4 && has_subaddress(plus); /* whose name is srs0 or srs1 */
    const char *mark = find_mark(local, "+srs=");
    bool behind_mark = mark != NULL && (plus == NULL || mark < plus);
    if ((srs_start(local) && !of_srs_user) || behind_mark) {
        out->form = wraps_tag(local) ? TAG_FORM_FOREIGN : TAG_FORM_NONE;
        return;
    }
    if (plus == NULL) {
        return;
    }
    if (has_subaddress(plus)) {
        read_tag(plus + 1 + PREFIX_LENGTH, TAG_SUBADDRESS, out);
        out->plain_length = (size_t)(plus - local);
        out->extension = plus + SUBADDRESS_LENGTH;
    } else {
        out->form = TAG_FORM_MALFORMED;
        out->syntax = TAG_SUBADDRESS;
    }
}

/* Also with more behind it, so that the first is ours wherever we have added one. */
static bool bears_subaddress(const char *local)
{
    for (const char *p = strchr(local, '+'); p != NULL; p = strchr(p + 1, '+')) {
        if (p > local && starts_with(p + 1, "prvs=") &&
            has_shape(p + 1 + PREFIX_LENGTH, KEY_AND_DAY, TAG_LENGTH)) {
            return true;
        }
    }
    return false;
}

bool tag_is_rewritten(const char *local)
{
    return starts_with(local, "prvs=") || starts_with(local, "btv1==") ||
           starts_with(local, "msprvs1=") || tag_forwarder(local) != FORWARDER_NONE ||
           bears_subaddress(local);
}

static char *plain_of(const struct tag *tag)
{
    size_t extension = strlen(tag->extension);
    char *out = malloc(tag->plain_length + extension + 1);
    if (out != NULL) {
        memcpy(out, tag->plain, tag->plain_length);
        memcpy(out + tag->plain_length, tag->extension, extension + 1);
    }
    return out;
}

char *tag_plain(const char *local)
{
    struct tag tag;
    tag_split(local, &tag);
    return plain_of(&tag);
}

/* Feeds a local part folded: ASCII by pieces, so that nothing is allocated. */
static enum status add_folded(struct mac *mac, const char *text, size_t length)
{
    char piece[64];
    if (!ascii_only(text, length)) {
        char *folded = address_fold_local(text, length);
        if (folded != NULL) {
            mac_add(mac, folded, strlen(folded));
        }
        free(folded);
        return folded != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    }
    while (length > 0) {
        size_t n = length < sizeof piece ? length : sizeof piece;
        for (size_t i = 0; i < n; i++) {
            piece[i] = ascii_lower(text[i]);
        }
        mac_add(mac, piece, n);
        text += n;
        length -= n;
    }
    return STATUS_OK;
}

struct mac_input {
    unsigned key, day;
    const char *local;
    size_t local_length;
    const struct address *address; /* for the domain */
    bool folded;
};

/* SSSSSS: the MAC over K DDD local@domain. Folded: as address_fold makes an address; else all as it
 * came, as Exim and batv-tools do. */
static enum status compute(const struct mac_key *key, const struct mac_input *input,
                           char out[static 2 * TAG_MAC_OCTETS + 1])
{
    static const char digits[] = "0123456789abcdef";
    const char head[KEY_AND_DAY] = {digits[input->key % 10], digits[input->day / 100 % 10],
                                    digits[input->day / 10 % 10], digits[input->day % 10]};

    struct mac *mac = mac_start(key);
    if (mac == NULL) {
        return STATUS_CRYPTO;
    }
    mac_add(mac, head, sizeof head);
    const char *domain = input->folded ? input->address->ascii : input->address->domain;
    enum status status = STATUS_OK;
    if (input->folded) {
        status = add_folded(mac, input->local, input->local_length);
    } else {
        mac_add(mac, input->local, input->local_length);
    }
    mac_add(mac, "@", 1);
    mac_add(mac, domain, strlen(domain));

    uint8_t octets[TAG_MAC_OCTETS];
    enum status finished = mac_finish(mac, octets, sizeof octets);
    status = status == STATUS_OK ? finished : status;
    if (status == STATUS_OK) {
        for (size_t i = 0; i < sizeof octets; i++) {
            out[2 * i] = digits[octets[i] >> 4];
            out[2 * i + 1] = digits[octets[i] & 0xf];
        }
        out[2 * sizeof octets] = '\0';
    }
    return status;
}

/* Whether the MAC is over the first length octets of the plain local part. */
static enum status mac_matches(const struct ring_key *key, const struct tag *tag, size_t length,
                               const struct address *address, bool *matches)
{
    struct mac_input input = {tag->key, tag->day, tag->plain,
                              length,   address,  .folded = key->algorithm != ALGORITHM_HMAC_SHA1};
    char expected[2 * TAG_MAC_OCTETS + 1] = "";
    enum status status = compute(key->mac, &input, expected);
    *matches = status == STATUS_OK && secret_equal_octets(expected, tag->mac, sizeof tag->mac);
    if (status == STATUS_OK && !*matches && !input.folded) {
        input.folded = true;
        status = compute(key->mac, &input, expected);
        *matches = status == STATUS_OK && secret_equal_octets(expected, tag->mac, sizeof tag->mac);
    }
    return status;
}

/* The same, where an MTA may have appended a VERP extension since; *extension is its length. */
static enum status mac_matches_cut(const struct ring_key *key, const struct tag *tag,
                                   const struct address *address, bool *matches, size_t *extension)
{
    size_t cuts[VERP_CUTS];
    enum status status = mac_matches(key, tag, tag->plain_length, address, matches);
    *extension = strlen(tag->extension);
    if (status != STATUS_OK || *matches || tag->syntax != TAG_PREFIX) {
        return status;
    }
    size_t count = verp_cuts(tag->plain, cuts);
    for (size_t i = 0; i < count && status == STATUS_OK && !*matches; i++) {
        status = mac_matches(key, tag, cuts[i], address, matches);
        *extension = tag->plain_length - cuts[i];
    }
    return status;
}

/* Which day DDD means: one of the coming days on which a tag of this key can still expire, else the
 * last time that these digits came by. One day more than the lifetime covers midnight and clocks;
 * for a key that signs no more that is the day after its last signing day. */
static void judge_day(const struct ring_key *key, enum key_state state, const struct tag *tag,
                      unsigned lifetime_days, time_t now, struct tag_check *out)
{
    int64_t today = day_of(now);
    int days = day_until(tag->day, today);
    bool signs = state == KEY_ACTIVE || state == KEY_PENDING;
    int64_t lifetime = signs && lifetime_days > key->lifetime ? lifetime_days : key->lifetime;
    bool ends = key->signs_until != RING_OPEN;
    int64_t last = ends ? day_of(key->signs_until - 1) + 1 + lifetime : today + lifetime + 1;
    bool possible = days <= lifetime + 1 && today + days <= last;

    out->result = possible ? RESULT_VALID : RESULT_EXPIRED;
    out->days = possible ? days : days - DAY_CODES;
    out->expires = today + out->days;
}

static enum status judge_tag(const struct ring *ring, const struct address *address,
                             const struct tag *tag, unsigned lifetime_days, time_t now,
                             struct tag_check *out)
{
    const struct ring_key *key = &ring->keys[tag->key];
    enum key_state state = ring_key_state(ring, tag->key, now);
    out->key = (int)tag->key;
    out->day = tag->day;
    out->syntax = tag->syntax;
    if (state == KEY_FREE || state == KEY_GONE || key->mac == NULL) {
        out->result = RESULT_UNKNOWN_KEY;
        return STATUS_OK;
    }
    bool matches = false;
    size_t extension = 0;
    enum status status = mac_matches_cut(key, tag, address, &matches, &extension);
    out->internal_error = status != STATUS_OK;
    out->result = RESULT_BAD_SIGNATURE;
    if (matches) {
        out->extension = extension;
        judge_day(key, state, tag, lifetime_days, now, out);
    }
    return status == STATUS_NO_MEMORY ? status : STATUS_OK;
}

enum status tag_verify(const struct ring *ring, const struct address *address,
                       unsigned lifetime_days, time_t now, struct tag_check *out, char **plain)
{
    struct tag tag;
    enum status status = STATUS_OK;
    tag_split(address->local, &tag);
    *out = (struct tag_check){.key = -1, .syntax = tag.syntax};
    switch (tag.form) {
    case TAG_FORM_NONE:
        out->result = RESULT_MISSING;
        break;
    case TAG_FORM_MALFORMED:
        out->result = RESULT_MALFORMED;
        break;
    case TAG_FORM_FOREIGN:
        out->result = RESULT_FOREIGN;
        break;
    case TAG_FORM_TAG:
        status = judge_tag(ring, address, &tag, lifetime_days, now, out);
        break;
    }
    *plain = NULL;
    if (status == STATUS_OK) { /* a foreign tag stays: it is never restored */
        *plain = tag.form == TAG_FORM_TAG ? plain_of(&tag) : strdup(address->local);
    }
    return *plain == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

bool tag_would_not_fit(const char *local, const char *domain)
{
    /* A tag brings no octet that needs quoting: the tagged form is quoted just where the plain one
     * is. An empty local part cannot bear one: a tag with nothing beside it is malformed. */
    size_t length = address_local_length(local) + TAG_ADDED;
    return *local == '\0' || length > ADDRESS_LOCAL_MAX ||
           length + 1 + strlen(domain) > ADDRESS_MAX;
}

static char *tagged_local(const char *local, enum tag_syntax syntax, unsigned key, unsigned day,
                          const char *mac)
{
    size_t size = strlen(local) + TAG_ADDED + 1;
    char *out = malloc(size);
    if (out != NULL && syntax == TAG_PREFIX) {
        snprintf(out, size, "prvs=%u%03u%s=%s", key, day, mac, local);
    } else if (out != NULL) {
        snprintf(out, size, "%s+prvs=%u%03u%s", local, key, day, mac);
    }
    return out;
}

enum status tag_sign(const struct ring *ring, const struct address *address, enum tag_syntax syntax,
                     unsigned lifetime_days, time_t now, char **tagged, int *key, int64_t *expires)
{
    *tagged = NULL;
    *key = ring_active(ring, now);
    *expires = day_of(now) + (int64_t)lifetime_days;
    if (*key == RING_NO_SLOT) {
        return STATUS_NOT_FOUND;
    }
    if (tag_would_not_fit(address->local, address->domain)) {
        return STATUS_INVALID;
    }
    const struct ring_key *active = &ring->keys[*key];
    struct mac_input input = {(unsigned)*key, day_code(*expires),
                              address->local, strlen(address->local),
                              address,        .folded = active->algorithm != ALGORITHM_HMAC_SHA1};
    char mac[2 * TAG_MAC_OCTETS + 1] = "";
    enum status status = compute(active->mac, &input, mac);
    if (status != STATUS_OK) {
        return status;
    }
    char *local = tagged_local(address->local, syntax, input.key, input.day, mac);
    *tagged = local != NULL ? address_format(local, address->domain) : NULL;
    free(local);
    return *tagged == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}
