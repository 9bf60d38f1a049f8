/*
 * Tags under libFuzzer. The input is an address with some numbers before it, and is taken twice: as
 * a recipient with somebody's tag, of which the form is compared with what a regular expression
 * says; and as a sender that we sign, whose tag must then be valid on every day of its life, in any
 * case of letters, and expired after it.
 */
#include "batv/tag.h"

#include <ctype.h>
#include <regex.h>

#include "fuzz.h"

#include "batv/day.h"
#include "batv/verp.h"

enum { FIRST_DAY = 20000, SLOT = 3, UNKNOWN_SLOT = 8 };

/* What an input begins with. */
struct terms {
    enum algorithm algorithm;
    enum tag_syntax syntax;
    unsigned lifetime;
    time_t now;
    unsigned delta; /* days until it comes back */
    const uint8_t *cases;
    const char *extension; /* that an MTA has appended; NULL: none */
};
enum { CASES = 8 };

static regex_t own_prefix, own_subaddress, srs_user, prefixed, bearing, forwarded;
static struct ring *rings[ALGORITHM_COUNT];

#define IN_HOST "=@\"<> \t"
#define VERP    "([-+=].+=[^." IN_HOST "]+\\.[^" IN_HOST "]+)?"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const int flags = REG_EXTENDED | REG_ICASE | REG_NOSUB;
    (void)argc;
    (void)argv;
    require(regcomp(&own_prefix, "^prvs=[0-9]{4}[0-9a-f]{6}=.", flags) == 0);
    require(regcomp(&own_subaddress, ".\\+prvs=[0-9]{4}[0-9a-f]{6}" VERP "$",
                    REG_EXTENDED | REG_ICASE) == 0);
    require(regcomp(&srs_user, "^srs[01]\\+prvs=[0-9]{4}[0-9a-f]{6}" VERP "$", flags) == 0);
    require(regcomp(&bearing, ".\\+prvs=[0-9]{4}[0-9a-f]{6}", flags) == 0);
    require(regcomp(&prefixed, "^(prvs=|btv1==|msprvs1=|srs[01][-=+])", flags) == 0);
    require(regcomp(&forwarded, "\\+(srs=|caf_)", flags) == 0);
    for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
        struct key_policy policy = {.rotate_days = 0, .retain_days = 7, .lifetime_days = 1};
        struct secret secret = {.length = SECRET_SIZE};
        memset(secret.octets, 0x42 + (int)i, SECRET_SIZE);
        rings[i] = ring_new();
        require(rings[i] != NULL &&
                ring_import(rings[i], &policy, SLOT, (enum algorithm)i, KEY_ACTIVE, &secret,
                            (time_t)FIRST_DAY * DAY_SECONDS, NULL) == STATUS_OK);
    }
    return 0;
}

static bool fits(const regex_t *regex, const char *text)
{
    return regexec(regex, text, 0, NULL, 0) == 0;
}

/* The first tag of this syntax stands in an address that Microsoft 365 has made of it. */
static bool is_wrapped(const char *local)
{
    regmatch_t at;
    const char *mark = strcasestr(local, "+srs=");
    return mark != NULL && regexec(&own_subaddress, local, 1, &at, 0) == 0 &&
           mark - local <= at.rm_so;
}

static void check_form(const char *local)
{
    struct tag tag;
    tag_split(local, &tag);
    bool prefix = fits(&own_prefix, local);
    bool subaddress =
        fits(&srs_user, local) ||
        (!fits(&prefixed, local) && fits(&own_subaddress, local) && !is_wrapped(local));
    require((tag.form == TAG_FORM_TAG) == (prefix || subaddress));
    require(tag.plain >= local && tag.plain + tag.plain_length <= local + strlen(local));
    if (tag.form == TAG_FORM_TAG) {
        require(tag.syntax == (prefix ? TAG_PREFIX : TAG_SUBADDRESS));
        require(tag.key < RING_SLOTS && tag.day < DAY_CODES);
        require(strlen(tag.mac) == sizeof tag.mac - 1);
        require(strspn(tag.mac, "0123456789abcdef") == sizeof tag.mac - 1);
        require(tag.plain_length > 0);
        require(tag.plain_length + TAG_ADDED + strlen(tag.extension) == strlen(local));
        require(*tag.extension == '\0' || (!prefix && verp_is_extension(tag.extension)));
    }
    bool rewritten = fits(&prefixed, local) || fits(&forwarded, local) || fits(&bearing, local);
    require(tag_is_rewritten(local) == rewritten);
    require(tag_is_rewritten(local) || tag.form != TAG_FORM_TAG);
}

static void check_judged(const struct address *address, const struct terms *terms)
{
    static const enum result by_form[] = {[TAG_FORM_NONE] = RESULT_MISSING,
                                          [TAG_FORM_MALFORMED] = RESULT_MALFORMED,
                                          [TAG_FORM_FOREIGN] = RESULT_FOREIGN};
    struct tag tag;
    struct tag_check check;
    char *plain = NULL;
    tag_split(address->local, &tag);
    require(tag_verify(rings[terms->algorithm], address, terms->lifetime, terms->now, &check,
                       &plain) == STATUS_OK);
    require(!check.internal_error && plain != NULL);
    if (tag.form != TAG_FORM_TAG) {
        require(check.result == by_form[tag.form] && check.key == -1);
        require(strcmp(plain, address->local) == 0);
    } else {
        require(check.key == (int)tag.key);
        require(strlen(plain) == tag.plain_length + strlen(tag.extension));
        require(check.extension < strlen(plain));
        require((check.result == RESULT_UNKNOWN_KEY) == (tag.key != SLOT));
        require(check.result == RESULT_UNKNOWN_KEY || check.result == RESULT_BAD_SIGNATURE ||
                check.result == RESULT_VALID || check.result == RESULT_EXPIRED);
    }
    free(plain);
}

static void expect(const char *text, const struct terms *terms, unsigned delta, const char *local,
                   enum result result)
{
    struct address address;
    struct tag_check check;
    char *plain = NULL;
    int days = (int)terms->lifetime - (int)delta;
    time_t then = terms->now + (time_t)delta * DAY_SECONDS;
    require(address_parse(text, &address) == STATUS_OK);
    require(tag_verify(rings[terms->algorithm], &address, terms->lifetime, then, &check, &plain) ==
            STATUS_OK);
    if (check.result != result) {
        fprintf(stderr, "%s after %u days: %s, not %s\n", text, delta, result_name(check.result),
                result_name(result));
    }
    require(check.result == result && !check.internal_error);
    require(local == NULL || strcmp(plain, local) == 0);
    require(check.extension <= strlen(plain) &&
            (check.extension > 0) == (terms->extension != NULL));
    require(check.extension == 0 ||
            strcmp(plain + strlen(plain) - check.extension, terms->extension) == 0);
    require(check.syntax == terms->syntax);
    if (result == RESULT_VALID || result == RESULT_EXPIRED) {
        require(check.key == SLOT && check.days == days);
        require(check.expires == day_of(then) + days);
    }
    free(plain);
    address_free(&address);
}

/* Other sites change the case of what they send back. */
static void expect_mangled(const char *tagged, const struct terms *terms)
{
    char *text = strdup(tagged);
    require(text != NULL);
    for (size_t i = 0; text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];
        bool upper = (terms->cases[i / 8 % CASES] >> (i % 8) & 1) != 0;
        text[i] = c < 0x80 ? (char)(upper ? toupper(c) : tolower(c)) : text[i];
    }
    expect(text, terms, terms->delta <= terms->lifetime ? terms->delta : 0, NULL, RESULT_VALID);
    free(text);
}

/* Another digit in its MAC, another key. */
static void expect_forged(const char *tagged, size_t domain, const struct terms *terms)
{
    char *text = strdup(tagged);
    require(text != NULL);
    size_t quote = *text == '"';
    char *end = text + strlen(text) - domain - 1 - quote; /* of the local part */
    char *tag = terms->syntax == TAG_PREFIX ? text + quote + 5 : end - 10;
    require(strncmp(tag - 5, "prvs=", 5) == 0);
    char *digit = tag + 4 + terms->cases[0] % (2 * TAG_MAC_OCTETS);
    char former = *digit;
    *digit = former == '0' ? '1' : '0';
    expect(text, terms, 0, NULL, RESULT_BAD_SIGNATURE);
    *digit = former;
    *tag = '0' + UNKNOWN_SLOT;
    expect(text, terms, 0, NULL, RESULT_UNKNOWN_KEY);
    free(text);
}

/* An MTA may append any recipient to it: here one that is called as the sender. */
static void expect_extended(const struct address *sender, const char *tagged,
                            const struct terms *terms)
{
    struct terms extended = *terms;
    struct address address;
    char *extension = NULL;
    char *local = NULL;
    char *plain = NULL;
    size_t cuts = 1;
    for (const char *p = sender->local + 1; *p != '\0'; p++) {
        cuts += strchr("+-=", *p) != NULL;
    }
    if (terms->syntax == TAG_PREFIX && cuts > VERP_CUTS) {
        return;
    }
    require(address_parse(tagged, &address) == STATUS_OK);
    require(asprintf(&extension, "%c%s=other.test", "+-="[terms->cases[1] % 3], sender -> local) >
            0);
    require(asprintf(&local, "%s%s", address.local, extension) > 0);
    require(asprintf(&plain, "%s%s", sender->local, extension) > 0);
    char *text = address_format(local, address.domain);
    require(text != NULL);
    extended.extension = extension;
    expect(text, &extended, 0, plain, RESULT_VALID);
    free(text);
    free(plain);
    free(local);
    free(extension);
    address_free(&address);
}

static void check_signed(const struct address *address, const struct terms *terms)
{
    char *tagged = NULL;
    int key;
    int64_t expires;
    enum status status = tag_sign(rings[terms->algorithm], address, terms->syntax, terms->lifetime,
                                  terms->now, &tagged, &key, &expires);
    require((status == STATUS_INVALID) == tag_would_not_fit(address->local, address->domain));
    if (status == STATUS_INVALID) {
        require(tagged == NULL);
        return;
    }
    require(status == STATUS_OK && key == SLOT);
    require(expires == day_of(terms->now) + (int64_t)terms->lifetime);
    require(strlen(tagged) <= ADDRESS_MAX);
    require(strlen(tagged) - 1 - strlen(address->domain) <= ADDRESS_LOCAL_MAX);
    unsigned delta = terms->delta % (DAY_CODES - 1);
    expect(tagged, terms, delta, address->local,
           delta <= terms->lifetime ? RESULT_VALID : RESULT_EXPIRED);
    expect_extended(address, tagged, terms);
    /* By the other algorithm the MAC is over the address as it came, or all in lower case: two MACs
     * where they differ. */
    if (terms->algorithm == ALGORITHM_HMAC_SHA256 ||
        (!has_letters(address->local, 'A', 'Z') && strcmp(address->domain, address->ascii) == 0)) {
        expect_mangled(tagged, terms);
        expect_forged(tagged, strlen(address->domain), terms);
    }
    free(tagged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    struct terms terms;
    struct address address;
    uint8_t cases[CASES];
    terms.algorithm = (enum algorithm)take_below(&input, ALGORITHM_COUNT);
    terms.syntax = take_bit(&input) ? TAG_SUBADDRESS : TAG_PREFIX;
    terms.lifetime = 1 + take_below(&input, RING_LIFETIME_MAX);
    terms.now = ((time_t)FIRST_DAY + take_number(&input)) * DAY_SECONDS;
    terms.now += (time_t)take_number(&input) * DAY_SECONDS / 65536;
    terms.delta = take_number(&input);
    for (size_t i = 0; i < CASES; i++) {
        cases[i] = take_octet(&input);
    }
    terms.cases = cases;
    terms.extension = NULL;
    char *raw = take_rest(&input);
    require(address_parse(raw, &address) == STATUS_OK);
    check_form(address.local);
    check_judged(&address, &terms);
    size_t domain = strlen(address.domain);
    bool ours = domain > 0 && address.domain[domain - 1] != '.';
    if (ours && !tag_is_rewritten(address.local)) {
        check_signed(&address, &terms);
    }
    address_free(&address);
    free(raw);
    return 0;
}
