/*
 * The header X-Batv-Evidence: made for what goes out, checked in what comes back.
 *
 * A MAC is the first 12 octets of HMAC-SHA256 under an evidence secret of the ring, over
 *
 *   batv-evidence-1 NUL d NUL n NUL address
 *
 * d is the day as decimal text, as it stands in the value (20779); n the nonce as 16 hexadecimal
 * digits in lower case; address local@domain as address_fold makes it; no NUL at the end. In
 * the value a MAC is 24 hexadecimal digits in lower case. The nonce is random, or where the
 * message's Message-ID is journalled, the first 8 octets of the same MAC over
 *
 *   batv-nonce-1 NUL Message-ID
 *
 * What comes back has been through other people's hands: folded anew, unfolded, quoted. So white
 * space is dropped wherever it stands, and letters may be of either case; for all else a value is
 * of our form or it proves nothing. Parts behind s= are for versions to come and are passed over.
 * The text is a stranger's; it is read once, into a buffer of fixed size. No state; any thread may
 * call.
 */
#include "batv/evidence.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address.h"
#include "batv/address_fold.h"
#include "batv/day.h"
#include "batv/journal_entry.h"
#include "batv/tag.h"

enum {
    CODE = 12, /* octets of a MAC */
    CODE_HEX = 2 * CODE,
    DAY_DIGITS = 20, /* of an int64_t; fewer are read */
    DAY_DIGITS_MAX = 7,
    LINE_COLUMNS = 77,
    FOLD_COLUMNS = 8, /* a tab, as wide as it may be shown */
    /* Every MAC on a line of its own would be shorter than this. */
    VALUE_ROOM = 64 + DAY_DIGITS + EVIDENCE_NONCE_HEX + EVIDENCE_ADDRESSES * (CODE_HEX + 3)
};

static const char context[] = "batv-evidence-1"; /* its NUL is part of what is absorbed */
static const char nonce_context[] = "batv-nonce-1";
static const char hex_digits[] = "0123456789abcdef";

static void octets_to_hex(const uint8_t *octets, size_t length, char *out)
{
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = hex_digits[octets[i] >> 4];
        out[2 * i + 1] = hex_digits[octets[i] & 0xf];
    }
    out[2 * length] = '\0';
}

static bool names_add(struct evidence_names *names, const char *local, size_t length,
                      const char *ascii)
{
    char *cut = strndup(local, length);
    char *address = cut != NULL ? address_fold(cut, ascii) : NULL;
    free(cut);
    if (address == NULL) {
        return false;
    }
    names->lengths[names->count] = length;
    names->texts[names->count++] = address;
    return true;
}

char *evidence_address(const char *local, const char *ascii)
{
    char *plain = tag_plain(local);
    char *folded = plain != NULL ? address_fold(plain, ascii) : NULL;
    free(plain);
    return folded;
}

enum status evidence_names_new(const char *local, const char *ascii, struct evidence_names **out)
{
    size_t cuts[VERP_CUTS];
    char *plain = tag_plain(local);
    size_t count = plain != NULL ? verp_cuts(plain, cuts) : 0;
    struct evidence_names *names = calloc(1, sizeof *names);
    bool done = plain != NULL && names != NULL && names_add(names, plain, strlen(plain), ascii);
    for (size_t i = 0; i < count && done; i++) {
        done = names_add(names, plain, cuts[i], ascii);
    }
    free(plain);
    if (!done) {
        evidence_names_free(names);
        names = NULL;
    }
    *out = names;
    return done ? STATUS_OK : STATUS_NO_MEMORY;
}

void evidence_names_free(struct evidence_names *names)
{
    for (size_t i = 0; names != NULL && i < names->count; i++) {
        free(names->texts[i]);
    }
    free(names);
}

bool evidence_names_have(const struct evidence_names *names, const char *address)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->texts[i], address) == 0) {
            return true;
        }
    }
    return false;
}

bool evidence_names_meet(const struct evidence_names *a, const struct evidence_names *b)
{
    for (size_t i = 0; i < a->count; i++) {
        if (evidence_names_have(b, a->texts[i])) {
            return true;
        }
    }
    return false;
}

size_t evidence_names_without(const struct evidence_names *names, size_t extension)
{
    for (size_t i = 1; i < names->count; i++) {
        if (names->lengths[i] + extension == names->lengths[0]) {
            return i;
        }
    }
    return 0;
}

static enum status make_code(const struct mac_key *key, const char *day, const char *nonce,
                             const char *address, uint8_t code[static CODE])
{
    struct mac *mac = mac_start(key);
    mac_add(mac, context, sizeof context);
    mac_add(mac, day, strlen(day) + 1);
    mac_add(mac, nonce, strlen(nonce) + 1);
    mac_add(mac, address, strlen(address));
    return mac_finish(mac, code, CODE);
}

enum status evidence_nonce(const struct ring *ring, unsigned secret, const char *message_id,
                           uint8_t nonce[static EVIDENCE_NONCE])
{
    const struct mac_key *key = ring_evidence_mac(ring, secret);
    if (key == NULL) {
        return STATUS_NOT_FOUND;
    }
    struct mac *mac = mac_start(key);
    mac_add(mac, nonce_context, sizeof nonce_context);
    (void)journal_entry_add_id(mac, message_id);
    return mac_finish(mac, nonce, EVIDENCE_NONCE);
}

void evidence_nonce_format(const uint8_t nonce[static EVIDENCE_NONCE],
                           char out[static EVIDENCE_NONCE_HEX])
{
    octets_to_hex(nonce, EVIDENCE_NONCE, out);
}

/* Making. */

struct writer {
    char text[VALUE_ROOM];
    size_t length;
    size_t column;
};

/* Appends a piece, with space before it or on a line of its own. */
static void put(struct writer *writer, const char *space, const char *piece)
{
    size_t length = strlen(piece);
    if (writer->column + strlen(space) + length > LINE_COLUMNS) {
        space = "\n\t";
        writer->column = FOLD_COLUMNS;
    } else {
        writer->column += strlen(space);
    }
    int written = snprintf(writer->text + writer->length, sizeof writer->text - writer->length,
                           "%s%s", space, piece);
    assert(written >= 0 && (size_t)written < sizeof writer->text - writer->length);
    writer->length += (size_t)written;
    writer->column += length;
}

enum status evidence_format(const struct ring *ring, const char *const addresses[], size_t count,
                            const uint8_t nonce[static EVIDENCE_NONCE], time_t now, char **out)
{
    assert(count >= 1 && count <= EVIDENCE_ADDRESSES);
    const struct mac_key *key = ring_evidence_mac(ring, 0);
    char day[DAY_DIGITS + 1];
    char nonce_hex[EVIDENCE_NONCE_HEX];
    char piece[sizeof "v=1; d=; n=;" + DAY_DIGITS + EVIDENCE_NONCE_HEX];
    struct writer writer = {.column = sizeof EVIDENCE_NAME ": " - 1};
    *out = NULL;
    if (key == NULL) {
        return STATUS_CRYPTO;
    }

    snprintf(day, sizeof day, "%" PRId64, day_of(now));
    evidence_nonce_format(nonce, nonce_hex);
    snprintf(piece, sizeof piece, "v=1; d=%s; n=%s;", day, nonce_hex);
    put(&writer, "", piece);
    for (size_t i = 0; i < count; i++) {
        uint8_t code[CODE];
        char code_hex[CODE_HEX + 1];
        enum status status = make_code(key, day, nonce_hex, addresses[i], code);
        if (status != STATUS_OK) {
            return status;
        }
        octets_to_hex(code, CODE, code_hex);
        snprintf(piece, sizeof piece, "%s%s%s", i == 0 ? "s=" : "", code_hex,
                 i + 1 < count ? "," : "");
        put(&writer, i == 0 ? " " : "", piece);
    }
    *out = strdup(writer.text);
    return *out != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Checking. */

struct value {
    char text[EVIDENCE_VALUE_MAX + 1]; /* without white space, in lower case, cut into parts */
    const char *day;
    const char *nonce;
    const char *codes; /* with commas between */
};

/* False: too long to be one of ours. */
static bool tidy(const char *raw, char text[static EVIDENCE_VALUE_MAX + 1])
{
    size_t used = 0;
    size_t i = 0;
    for (; i < EVIDENCE_VALUE_MAX && raw[i] != '\0'; i++) {
        if (strchr(" \t\r\n\v\f", raw[i]) == NULL) {
            text[used++] = ascii_lower(raw[i]);
        }
    }
    text[used] = '\0';
    return raw[i] == '\0';
}

/* The part NAME=... that begins at *at, which moves on past the semicolon behind it. NULL: another
 * stands there. */
static const char *take_part(char **at, char name)
{
    char *part = *at;
    if (part[0] != name || part[1] != '=') {
        return NULL;
    }
    char *end = part + strcspn(part, ";");
    *at = *end == '\0' ? end : end + 1;
    *end = '\0';
    return part + 2;
}

static bool is_hex(const char *text, size_t length)
{
    return strspn(text, hex_digits) >= length;
}

/* False: not of our form. */
static bool take_apart(const char *raw, struct value *out)
{
    if (!tidy(raw, out->text)) {
        return false;
    }
    char *at = out->text;
    const char *version = take_part(&at, 'v');
    out->day = take_part(&at, 'd');
    out->nonce = take_part(&at, 'n');
    out->codes = take_part(&at, 's');
    if (version == NULL || out->day == NULL || out->nonce == NULL || out->codes == NULL) {
        return false;
    }
    size_t digits = strspn(out->day, "0123456789");
    return strcmp(version, "1") == 0 && digits >= 1 && digits <= DAY_DIGITS_MAX &&
           out->day[digits] == '\0' && strlen(out->nonce) == EVIDENCE_NONCE_HEX - 1 &&
           is_hex(out->nonce, EVIDENCE_NONCE_HEX - 1);
}

static bool is_current(const char *day, unsigned retain_days, time_t now)
{
    int64_t age = day_of(now) - strtol(day, NULL, 10);
    return age >= -1 && age <= (int64_t)retain_days;
}

/* True where code is among codes, in time that does not tell how much of one was right. What is no
 * MAC is passed over: the end of a long value may have been cut off. */
static bool has_code(const char *codes, const uint8_t code[static CODE])
{
    bool found = false;
    for (;;) {
        struct secret claimed;
        size_t length = strcspn(codes, ",");
        if (length == CODE_HEX && secret_from_hex(codes, length, &claimed) &&
            secret_equal_octets(claimed.octets, code, CODE)) {
            found = true;
        }
        if (codes[length] == '\0') {
            return found;
        }
        codes += length + 1;
    }
}

enum status evidence_check(const struct ring *ring, const char *value, const char *address,
                           unsigned retain_days, time_t now, bool *proves,
                           char nonce[static EVIDENCE_NONCE_HEX])
{
    struct value parts;
    *proves = false;
    nonce[0] = '\0';
    if (!take_apart(value, &parts) || !is_current(parts.day, retain_days, now)) {
        return STATUS_OK;
    }
    for (unsigned secret = 0; secret < RING_EVIDENCE && !*proves; secret++) {
        const struct mac_key *key = ring_evidence_mac(ring, secret);
        uint8_t code[CODE];
        if (key == NULL) {
            continue;
        }
        enum status status = make_code(key, parts.day, parts.nonce, address, code);
        if (status != STATUS_OK) {
            return status;
        }
        *proves = has_code(parts.codes, code);
    }
    if (*proves) {
        memcpy(nonce, parts.nonce, EVIDENCE_NONCE_HEX);
    }
    return STATUS_OK;
}
