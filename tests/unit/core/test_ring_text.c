/*
 * The keyring's text: what it looks like to the letter, that reading and writing are each other's
 * inverse, and that nothing else is read: each wrong item is told by its line, any damage at all is
 * noticed, and no reason ever shows a secret.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "batv/day.h"
#include "batv/ring_text.h"

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

#define HEX(digit)   digit digit digit digit digit digit digit digit
#define SECRET(pair) HEX(pair) HEX(pair) HEX(pair) HEX(pair)

static const char golden[] =
    "format 1\n"
    "generation 12\n"
    "evidence current " SECRET(
        "e2") "\n"
              "evidence previous " SECRET(
                  "e1") "\n"
                        "key 0 algorithm=hmac-sha1 lifetime=60 compromised=yes "
                        "created=2026-11-01T00:00:00Z"
                        " signs-from=- signs-until=2026-11-01T00:00:00Z "
                        "verifies-until=2026-11-02T00:00:00Z"
                        " tags-until=2026-12-31 secret=-\n"
                        "key 3 algorithm=hmac-sha256 lifetime=7 compromised=no "
                        "created=2026-11-14T12:00:00Z"
                        " signs-from=2026-11-14T12:05:00Z signs-until=2026-11-21T12:00:00Z"
                        " verifies-until=2026-11-30T00:00:00Z tags-until=2026-11-29 secret=" SECRET(
                            "33") "\n"
                                  "key 4 algorithm=hmac-sha256 lifetime=7 compromised=no "
                                  "created=2026-11-21T12:00:00Z"
                                  " signs-from=2026-11-21T12:00:00Z signs-until=- verifies-until=- "
                                  "tags-until=- secret=" SECRET(
                                      "44") "\n"
                                            "domain .example.org "
                                            "first-signed=2026-11-02T00:00:00Z\n"
                                            "domain example.com first-signed=2026-11-01T00:00:01Z\n"
                                            "digest "
                                            "d8d16e82d8f556235147669aeba65adf4bccf480660c41f7319a7a"
                                            "a4fa25f216\n";

static struct reason why;

static void fill(struct secret *secret, uint8_t octet, size_t length)
{
    uint8_t octets[SECRET_MAX];
    memset(octets, octet, sizeof octets);
    secret_set(secret, octets, length);
}

static time_t at(const char *text)
{
    time_t when;
    ck_assert(time_parse(text, &when));
    return when;
}

static int64_t on(const char *text)
{
    int64_t day;
    ck_assert(day_parse(text, &day));
    return day;
}

static void set_secret(struct ring_key *key, uint8_t octet, size_t length)
{
    fill(&key->secret, octet, length);
    ck_assert_int_eq(mac_key_new(key->algorithm, &key->secret, &key->mac), STATUS_OK);
}

static void set_evidence(struct ring *ring, uint8_t current, size_t current_length,
                         uint8_t previous, size_t previous_length)
{
    struct secret secrets[RING_EVIDENCE];
    fill(&secrets[0], current, current_length);
    fill(&secrets[1], previous, previous_length);
    ck_assert_int_eq(ring_set_evidence(ring, &secrets[0], &secrets[1]), STATUS_OK);
}

/* A MAC of nothing: which secret it is by. */
static void mac_of(const struct mac_key *key, uint8_t out[static MAC_MAX])
{
    ck_assert_ptr_nonnull(key);
    ck_assert_int_eq(mac_finish(mac_start(key), out, MAC_MAX), STATUS_OK);
}

static void assert_evidence_macs(const struct ring *ring, const struct ring *expected)
{
    for (unsigned i = 0; i < RING_EVIDENCE; i++) {
        uint8_t a[MAC_MAX], b[MAC_MAX];
        mac_of(ring_evidence_mac(ring, i), a);
        mac_of(ring_evidence_mac(expected, i), b);
        ck_assert(memcmp(a, b, sizeof a) == 0);
    }
}

/* The ring that golden is the text of. */
static struct ring *golden_ring(void)
{
    struct ring *ring = ring_new();
    bool changed;
    ring->generation = 12;
    set_evidence(ring, 0xe2, 32, 0xe1, 32);
    ring->keys[0] = (struct ring_key){
        .used = true,
        .compromised = true,
        .algorithm = ALGORITHM_HMAC_SHA1,
        .lifetime = 60,
        .created = at("2026-11-01T00:00:00Z"),
        .signs_from = RING_OPEN,
        .signs_until = at("2026-11-01T00:00:00Z"),
        .verifies_until = at("2026-11-02T00:00:00Z"),
        .tags_until = on("2026-12-31"),
    };
    ring->keys[3] = (struct ring_key){
        .used = true,
        .algorithm = ALGORITHM_HMAC_SHA256,
        .lifetime = 7,
        .created = at("2026-11-14T12:00:00Z"),
        .signs_from = at("2026-11-14T12:05:00Z"),
        .signs_until = at("2026-11-21T12:00:00Z"),
        .verifies_until = at("2026-11-30T00:00:00Z"),
        .tags_until = on("2026-11-29"),
    };
    ring->keys[4] = (struct ring_key){
        .used = true,
        .algorithm = ALGORITHM_HMAC_SHA256,
        .lifetime = 7,
        .created = at("2026-11-21T12:00:00Z"),
        .signs_from = at("2026-11-21T12:00:00Z"),
        .signs_until = RING_OPEN,
        .verifies_until = RING_OPEN,
        .tags_until = -1,
    };
    set_secret(&ring->keys[3], 0x33, 32);
    set_secret(&ring->keys[4], 0x44, 32);
    ck_assert_int_eq(ring_domain_add(ring, "example.com", at("2026-11-01T00:00:01Z"), &changed),
                     STATUS_OK);
    ck_assert_int_eq(ring_domain_add(ring, ".example.org", at("2026-11-02T00:00:00Z"), &changed),
                     STATUS_OK);
    return ring;
}

static char *format(const struct ring *ring, size_t *length)
{
    char *text;
    ck_assert_int_eq(ring_format(ring, &text, length), STATUS_OK);
    return text;
}

/* As ck_assert, which writes to a file each time it is passed: here that would be a million times.
 */
static void check_that(bool holds, const char *what)
{
    if (!holds) {
        ck_abort_msg("%s: %s", what, why.text);
    }
}

static enum status parse(const char *text, size_t length)
{
    struct ring *ring;
    why.text[0] = '\0';
    enum status status = ring_parse(text, length, &ring, &why);
    check_that((status == STATUS_OK) == (ring != NULL), "a ring exactly with STATUS_OK");
    ring_free(ring);
    return status;
}

static void assert_reads_back(const struct ring *ring)
{
    size_t length, again_length;
    struct ring *again;
    char *text = format(ring, &length);
    ck_assert_msg(ring_parse(text, length, &again, &why) == STATUS_OK, "%s", why.text);
    char *again_text = format(again, &again_length);
    ck_assert_uint_eq(length, again_length);
    ck_assert(memcmp(text, again_text, length) == 0);
    ck_assert_uint_eq(again->generation, ring->generation);
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        ck_assert(again->keys[i].used == ring->keys[i].used);
        ck_assert((again->keys[i].mac != NULL) == (again->keys[i].secret.length > 0));
        ck_assert_uint_eq(again->keys[i].secret.length, ring->keys[i].secret.length);
    }
    ring_text_free(text, length);
    ring_text_free(again_text, again_length);
    ring_free(again);
}

START_TEST(test_the_text_to_the_letter)
{
    size_t length;
    struct ring *ring = golden_ring();
    char *text = format(ring, &length);
    ck_assert_uint_eq(length, sizeof golden - 1);
    for (size_t i = 0; i < length; i++) {
        ck_assert_msg(text[i] == golden[i], "from %zu on: %.80s", i, text + i);
    }
    ring_text_free(text, length);
    ring_free(ring);
}
END_TEST

START_TEST(test_reading_gives_every_field_back)
{
    struct ring *ring;
    struct ring *expected = golden_ring();
    ck_assert_msg(ring_parse(golden, sizeof golden - 1, &ring, &why) == STATUS_OK, "%s", why.text);
    ck_assert_uint_eq(ring->generation, 12);
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        const struct ring_key *a = &ring->keys[i];
        const struct ring_key *b = &expected->keys[i];
        ck_assert(a->used == b->used && a->compromised == b->compromised);
        ck_assert(a->algorithm == b->algorithm && a->lifetime == b->lifetime);
        ck_assert(a->created == b->created && a->signs_from == b->signs_from);
        ck_assert(a->signs_until == b->signs_until && a->verifies_until == b->verifies_until);
        ck_assert(a->tags_until == b->tags_until);
        ck_assert(memcmp(&a->secret, &b->secret, sizeof a->secret) == 0);
        ck_assert((a->mac != NULL) == (b->mac != NULL));
    }
    ck_assert(memcmp(&ring->evidence_current, &expected->evidence_current,
                     sizeof ring->evidence_current) == 0);
    ck_assert(memcmp(&ring->evidence_previous, &expected->evidence_previous,
                     sizeof ring->evidence_previous) == 0);
    assert_evidence_macs(ring, expected);
    ck_assert_uint_eq(ring->domain_count, 2);
    ck_assert_str_eq(ring->domains[0].name, ".example.org");
    ck_assert_int_eq(ring->domains[1].first_signed, at("2026-11-01T00:00:01Z"));
    ring_free(ring);
    ring_free(expected);
}
END_TEST

START_TEST(test_there_and_back)
{
    struct ring *ring = ring_new();
    assert_reads_back(ring); /* empty */
    ring->generation = UINT64_MAX;
    set_evidence(ring, 0xff, 1, 0, 0);
    assert_reads_back(ring);
    set_evidence(ring, 0xff, SECRET_MAX, 0x00, SECRET_MAX);
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        struct ring_key *key = &ring->keys[i];
        *key = (struct ring_key){
            .used = true,
            .compromised = true,
            .algorithm = ALGORITHM_HMAC_SHA256,
            .lifetime = 60,
            .created = at("9000-12-31T23:59:59Z"),
            .signs_from = at("9000-12-31T23:59:59Z"),
            .signs_until = at("9000-12-31T23:59:59Z"),
            .verifies_until = at("9999-12-31T23:59:59Z"),
            .tags_until = on("9999-12-31"),
        };
        set_secret(key, (uint8_t)i, SECRET_MAX);
    }
    assert_reads_back(ring);
    for (int i = 0; i < 500; i++) {
        char name[255];
        bool changed;
        memset(name, 'a', sizeof name - 1);
        snprintf(name + 200, sizeof name - 200, "%d.example", i);
        ck_assert_int_eq(ring_domain_add(ring, name, i, &changed), STATUS_OK);
    }
    assert_reads_back(ring);
    ring_free(ring);
}
END_TEST

/* The last line, without a NUL. */
static size_t put_digest(char *out, const char *digest)
{
    memcpy(out, "digest ", 7);
    memcpy(out + 7, digest, DIGEST_HEX - 1);
    out[7 + DIGEST_HEX - 1] = '\n';
    return 7 + DIGEST_HEX;
}

/* Golden with one passage replaced, and its digest put right. The caller frees. */
static char *altered(const char *from, const char *to, size_t *length)
{
    static const char last[] = "digest ";
    const char *digest_line = strstr(golden, last);
    const char *place = strstr(golden, from);
    ck_assert_msg(place != NULL && place < digest_line, "not in the text: %s", from);
    char *text = malloc(sizeof golden + strlen(to));
    ck_assert_ptr_nonnull(text);
    size_t before = (size_t)(place - golden);
    size_t after = (size_t)(digest_line - place) - strlen(from);
    memcpy(text, golden, before);
    memcpy(text + before, to, strlen(to));
    memcpy(text + before + strlen(to), place + strlen(from), after);
    *length = before + strlen(to) + after;

    char digest[DIGEST_HEX];
    ck_assert_int_eq(digest_hex(text, *length, digest), STATUS_OK);
    *length += put_digest(text + *length, digest);
    return text;
}

static const struct {
    const char *from, *to;
    const char *reason; /* begins so; "" for what is taken */
} alterations[] = {
    {"generation 12", "generation 13", ""},
    {"lifetime=60", "lifetime=1", ""},
    {"evidence previous " SECRET("e1") "\n", "", ""},
    {"evidence current " SECRET("e2"), "evidence current -", ""},
    {SECRET("33"), SECRET("3A"), ""},
    {"domain .example.org first-signed=2026-11-02T00:00:00Z\n", "", ""},

    {"format 1", "format 2", "line 1: expected `format 1`"},
    {"format 1", "format 11", "line 1: "},
    {"format 1\n", "", "line 1: expected `format 1`"},
    {"format 1\n", "format 1\r\n", "line 1: "},
    {"format 1\n", "format 1 \n", "line 1: "},
    {"format 1\n", " format 1\n", "line 1: "},
    {"format 1\n", "\nformat 1\n", "line 1: "},
    {"format 1\n", "format 1\nformat 1\n", "line 2: expected `generation`"},
    {"generation 12\n", "", "line 2: expected `generation`"},
    {"generation 12", "generation 012", "line 2: "},
    {"generation 12", "generation -1", "line 2: "},
    {"generation 12", "generation +1", "line 2: "},
    {"generation 12", "generation 0x1", "line 2: "},
    {"generation 12", "generation", "line 2: "},
    {"generation 12", "generation ", "line 2: "},
    {"generation 12", "generation 18446744073709551616", "line 2: "},
    {"generation 12", "generation 99999999999999999999", "line 2: "},
    {"generation 12", "generation 12 12", "line 2: "},
    {"generation 12\n", "generation 12\n\n", "line 3: expected `evidence current`"},
    {"evidence current " SECRET("e2") "\n", "", "line 3: expected `evidence current`"},
    {"evidence current " SECRET("e2"), "evidence current ", "line 3: "},
    {"evidence current " SECRET("e2"), "evidence current e2e", "line 3: "},
    {"evidence current " SECRET("e2"), "evidence current e2 e2", "line 3: "},
    {"evidence current " SECRET("e2"), "evidence current --", "line 3: "},
    {"evidence previous " SECRET("e1"), "evidence previous -", "line 4: expected `evidence prev"},
    {"evidence previous", "evidence earlier", "line 4: expected `evidence previous`"},
    {"evidence previous " SECRET("e1") "\n",
     "evidence previous " SECRET("e1") "\nevidence previous " SECRET("e1") "\n", "line 5: "},
    {"key 0 ", "key 3 ", "line 6: expected the keys' numbers to rise"},
    {"key 0 ", "key 4 ", "line 6: "},
    {"key 0 ", "key 10 ", "line 5: expected the key's number"},
    {"key 0 ", "key 00 ", "line 5: "},
    {"key 0 ", "key  0 ", "line 5: "},
    {"key 0 ", "key x ", "line 5: "},
    {"key 0 ", "kez 0 ", "line 5: expected `key`, `domain` or `digest`"},
    {"hmac-sha1", "hmac-sha512", "line 5: expected algorithm=hmac-sha256 or hmac-sha1"},
    {"hmac-sha1", "", "line 5: "},
    {"algorithm=hmac-sha1 ", "", "line 5: expected algorithm="},
    {" lifetime=60", "", "line 5: expected lifetime="},
    {"lifetime=60", "lifetime=0", "line 5: expected lifetime="},
    {"lifetime=60", "lifetime=61", "line 5: expected lifetime="},
    {"lifetime=60", "lifetime=60 lifetime=60", "line 5: expected compromised="},
    {"compromised=yes", "compromised=maybe", "line 5: expected compromised=yes or no"},
    {"compromised=yes", "compromised=yesno", "line 5: "},
    {"created=2026-11-01T00:00:00Z", "created=2026-11-01", "line 5: expected created="},
    {"created=2026-11-01T00:00:00Z", "created=-", "line 5: expected created="},
    {"created=2026-11-01T00:00:00Z", "created=1969-12-31T23:59:59Z", "line 5: expected created="},
    {"created=2026-11-01T00:00:00Z", "created=2026-02-30T00:00:00Z", "line 5: expected created="},
    {"created=2026-11-01T00:00:00Z", "created=2026-11-01T00:00:00+00:00", "line 5: "},
    {"signs-from=-", "signs-from=", "line 5: expected signs-from="},
    {"signs-from=-", "signs-from=never", "line 5: expected signs-from="},
    {"signs-from=- ", "", "line 5: expected signs-from="},
    {"signs-from=-", "signs-from=2027-11-01T00:00:00Z", "line 5: expected signs-from, signs-until"},
    {"signs-until=2026-11-01T00:00:00Z", "signs-until=-", "line 5: expected signs-until, ver"},
    {"signs-until=2026-11-01T00:00:00Z", "signs-until=2026-11-03T00:00:00Z", "line 5: "},
    {"signs-until=2026-11-01T00:00:00Z", "signs-until=2027-01-03T00:00:00Z", "line 5: "},
    {"verifies-until=2026-11-02T00:00:00Z", "verifies-until=-", "line 5: "},
    {"verifies-until=2026-11-02T00:00:00Z", "verifies-until=2026-10-02T00:00:00Z", "line 5: "},
    {"tags-until=2026-12-31", "tags-until=-", "line 5: "},
    {"tags-until=2026-12-31", "tags-until=2026-12-32", "line 5: expected tags-until=YYYY-MM-DD"},
    {"tags-until=2026-12-31", "tags-until=2026-10-01", "line 5: "},
    {"tags-until=2026-12-31", "tags-until=1969-12-31", "line 5: "},
    {"secret=-", "secret=", "line 5: expected after secret="},
    {"secret=-", "secret=- ", "line 5: "},
    {"secret=-", "secret=g0", "line 5: "},
    {" secret=-", "", "line 5: expected secret="},
    {" secret=-", " secret=- more=1", "line 5: "},
    {"secret=" SECRET("33"), "secret=" HEX("33") HEX("33") "00", ""},
    {"secret=" SECRET("33"), "secret=" HEX("33") "3333333333333", "line 6: "},
    {"secret=" SECRET("33"), "secret=" HEX("33") "33333333333333", "line 6: expected a secret of"},
    {"secret=" SECRET("44"), "secret=-", "line 7: expected a key without an end to sign"},
    {"signs-from=2026-11-21T12:00:00Z", "signs-from=-", "line 7: expected a key without an end"},
    {"signs-until=2026-11-21T12:00:00Z verifies-until=2026-11-30T00:00:00Z tags-until=2026-11-29",
     "signs-until=- verifies-until=- tags-until=-", "line 7: expected only one key without an end"},
    {"signs-until=2026-11-21T12:00:00Z", "signs-until=2026-11-21T12:00:01Z",
     "line 7: expected no key to sign later than the one without an end begins"},
    {"domain .example.org", "domain ", "line 8: expected a domain's name"},
    {"domain .example.org", "domain", "line 8: "},
    {"domain .example.org", "domain a b", "line 8: "},
    {"domain .example.org", "domain \xc3\xa4", "line 8: "},
    {"domain .example.org", "domain \t", "line 8: "},
    {"domain .example.org", "domain z.example.org", "line 9: expected the domains' names to rise"},
    {"domain .example.org", "domain example.com", "line 9: expected the domains' names to rise"},
    {"first-signed=2026-11-02T00:00:00Z", "first-signed=-", "line 8: "},
    {"first-signed=2026-11-02T00:00:00Z", "first-signed=2026-11-02", "line 8: expected first-sig"},
    {" first-signed=2026-11-02T00:00:00Z", "", "line 8: expected first-signed="},
    {"first-signed=2026-11-02T00:00:00Z",
     "first-signed=2026-11-02T00:00:00Z tag-seen=2026-11-03T00:00:00Z", ""},
    {"first-signed=2026-11-02T00:00:00Z", "first-signed=2026-11-02T00:00:00Z ", "line 8: "},
    {"first-signed=2026-11-02T00:00:00Z", "first-signed=2026-11-02T00:00:00Z tag-seen=-",
     "line 8: expected tag-seen="},
    {"first-signed=2026-11-02T00:00:00Z",
     "first-signed=2026-11-02T00:00:00Z tag-seen=1970-01-01T00:00:00Z",
     "line 8: expected tag-seen="},
    {"first-signed=2026-11-02T00:00:00Z",
     "first-signed=2026-11-02T00:00:00Z tag-seen=2026-11-03T00:00:00Z x", "line 8: "},
    {"domain example.com", "note example.com", "line 9: expected `key`, `domain` or `digest`"},
    {"domain example.com", "key 9", "line 9: "},
    {"domain example.com", "# domain example.com", "line 9: "},
};

START_TEST(test_alterations)
{
    size_t length;
    char *text = altered(alterations[_i].from, alterations[_i].to, &length);
    const char *reason = alterations[_i].reason;
    enum status status = parse(text, length);
    ck_assert_msg((status == STATUS_OK) == (*reason == '\0') &&
                      strncmp(why.text, reason, strlen(reason)) == 0,
                  "%s -> %s: %d %s", alterations[_i].from, alterations[_i].to, status, why.text);
    free(text);
}
END_TEST

/* A run of hexadecimal digits in a reason would be somebody's secret, or the digest. */
static void assert_no_secret(const char *reason)
{
    size_t run = 0;
    for (; *reason != '\0'; reason++) {
        run = strchr("0123456789abcdefABCDEF", *reason) != NULL ? run + 1 : 0;
        check_that(run < 8, "a secret is shown");
    }
}

static void assert_refused(const char *text, size_t length, const char *what, size_t where)
{
    if (parse(text, length) != STATUS_INVALID || strncmp(why.text, "line ", 5) != 0) {
        ck_abort_msg("%s at %zu: %s", what, where, why.text);
    }
    assert_no_secret(why.text);
}

/* In heap memory of exactly its length, so that a sanitizer sees a step too far. */
START_TEST(test_every_changed_octet_is_refused)
{
    size_t length = sizeof golden - 1;
    char *text = malloc(length);
    ck_assert_ptr_nonnull(text);
    memcpy(text, golden, length);
    for (size_t i = (size_t)_i; i < length; i += 4) {
        for (int octet = 0; octet < 256; octet++) {
            if ((char)octet != golden[i]) {
                text[i] = (char)octet;
                assert_refused(text, length, "a changed octet", i);
            }
        }
        text[i] = golden[i];
    }
    ck_assert_int_eq(parse(text, length), STATUS_OK);
    free(text);
}
END_TEST

START_TEST(test_every_end_is_refused)
{
    for (size_t length = 0; length < sizeof golden - 1; length++) {
        char *text = malloc(length + 1);
        ck_assert_ptr_nonnull(text);
        memcpy(text + 1, golden, length);
        assert_refused(text + 1, length, "an end", length);
        free(text);
    }
    char longer[sizeof golden + 1];
    static const char tails[] = {'\n', ' ', '\0', 'x', '\r'};
    memcpy(longer, golden, sizeof golden);
    for (int i = 0; i < COUNT(tails); i++) {
        longer[sizeof golden - 1] = tails[i];
        assert_refused(longer, sizeof golden, "a tail", (size_t)i);
    }
    char twice[2 * sizeof golden];
    memcpy(twice, golden, sizeof golden - 1);
    memcpy(twice + sizeof golden - 1, golden, sizeof golden - 1);
    assert_refused(twice, 2 * (sizeof golden - 1), "the text twice", 0);
}
END_TEST

START_TEST(test_every_missing_and_every_doubled_octet_is_refused)
{
    static char text[sizeof golden + 1];
    size_t length = sizeof golden - 1;
    for (size_t i = 0; i < length; i++) {
        memcpy(text, golden, i);
        memcpy(text + i, golden + i + 1, length - i - 1);
        assert_refused(text, length - 1, "a missing octet", i);
        memcpy(text, golden, i + 1);
        memcpy(text + i + 1, golden + i, length - i);
        assert_refused(text, length + 1, "a doubled octet", i);
    }
}
END_TEST

static uint32_t random_state = 0x2545f491;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

/* Damage with its digest put right reads as a ring that can be written again, or is refused. */
/* What a damaged text claims at its beginning. */
static const struct {
    const char *text;
    uint64_t claim;
} claims[] = {
    {golden, 12},
    {"format 1\ngeneration 12\n", 12},
    {"format 1\ngeneration 12", 12},
    {"format 1\ngeneration 18446744073709551615\n", UINT64_MAX},
    {"format 1\ngeneration 99999999999999999999\n", UINT64_MAX},
    {"format 1\ngeneration x\n", 0},
    {"format 1\ngeneration ", 0},
    {"format 1\nGeneration 12\n", 0},
    {"format 1\n", 0},
    {"format 1", 0},
    {"format x\ngeneration 12\n", 0},
    {"format 1x\ngeneration 12\n", 0},
    {"format 2\ngeneration 12\n", UINT64_MAX},
    {"format 2\n", UINT64_MAX},
    {"format 10\n", UINT64_MAX},
    {"form", 0},
    {"", 0},
};

START_TEST(test_claims)
{
    size_t length = strlen(claims[_i].text);
    char *exact = malloc(length + 1); /* so that reading beyond is noticed */
    memcpy(exact, claims[_i].text, length);
    ck_assert_uint_eq(ring_text_claim(exact, length), claims[_i].claim);
    free(exact);
}
END_TEST

START_TEST(test_random_damage_under_a_right_digest)
{
    size_t body = (size_t)(strstr(golden, "digest ") - golden);
    for (int round = 0; round < 20000; round++) {
        static const char likely[] = " =-\n0123456789abcdefTZ:";
        char text[sizeof golden];
        char digest[DIGEST_HEX];
        memcpy(text, golden, body);
        for (uint32_t n = 1 + random_below(3); n > 0; n--) {
            text[random_below((uint32_t)body)] = random_below(2) == 0
                                                     ? (char)random_below(256)
                                                     : likely[random_below(sizeof likely - 1)];
        }
        ck_assert_int_eq(digest_hex(text, body, digest), STATUS_OK);
        size_t length = body + put_digest(text + body, digest);
        struct ring *ring;
        if (ring_parse(text, length, &ring, &why) == STATUS_OK) {
            assert_reads_back(ring);
        } else {
            assert_no_secret(why.text);
        }
        ring_free(ring);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_text");
    TCase *tcase = tcase_create("ring_text");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_the_text_to_the_letter);
    tcase_add_test(tcase, test_reading_gives_every_field_back);
    tcase_add_test(tcase, test_there_and_back);
    tcase_add_loop_test(tcase, test_alterations, 0, COUNT(alterations));
    tcase_add_loop_test(tcase, test_every_changed_octet_is_refused, 0, 4);
    tcase_add_test(tcase, test_every_end_is_refused);
    tcase_add_test(tcase, test_every_missing_and_every_doubled_octet_is_refused);
    tcase_add_loop_test(tcase, test_claims, 0, COUNT(claims));
    tcase_add_test(tcase, test_random_damage_under_a_right_digest);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
