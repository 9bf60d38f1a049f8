/*
 * Tags and evidence headers in the text of a bounce. See bounce_text.c. No state.
 */
#include "bounce_scan.h"

#include <string.h>

#include "batv/address.h"
#include "batv/verp.h"

enum {
    TAG_HEX = 10,
    ADDRESS_ROOM = 300,
    LOCAL_ROOM = 160, /* 64 is what a local part may have, before an MTA appends to it for VERP */
    EVIDENCE_ROOM = 1024, /* octets; batv/evidence.h looks at no more */
    EVIDENCE_DAY = 8,     /* digits with the semicolon, at most */
    EVIDENCE_NONCE = 16,
    EVIDENCE_MAC = 24
};

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* ---------------------------------------------------------------------- tags */

struct address_text {
    char text[ADDRESS_ROOM];
    size_t length;
};

/* NULs are not there, as everywhere in a text. */
static bool put(struct address_text *out, int c)
{
    if (c == '\0') {
        return true;
    }
    if (out->length == sizeof out->text) {
        return false;
    }
    out->text[out->length++] = (char)c;
    return true;
}

static bool ends_address(int c)
{
    return c <= ' ' || strchr("<>\"(),;\\", c) != NULL;
}

/* KDDDSSSSSS. */
static bool read_tag(struct lexer *lexer, struct address_text *out)
{
    for (size_t i = 0; i < TAG_HEX; i++) {
        int c = lexer_next(lexer);
        if (!(i < 4 ? is_digit(c) : is_hex(c)) || !put(out, c)) {
            return false;
        }
    }
    return true;
}

/* The rest of a local part with its @; with quoted, also the closing quote before that. */
static bool read_local(struct lexer *lexer, bool quoted, struct address_text *out)
{
    while (out->length < LOCAL_ROOM) {
        int c = lexer_next(lexer);
        if (c < 0 || !put(out, c)) {
            return false;
        }
        if (quoted && c == '"') {
            return lexer_next(lexer) == '@' && put(out, '@');
        }
        if (!quoted && c == '@') {
            return true;
        }
        if (!quoted && ends_address(c)) {
            return false;
        }
    }
    return false;
}

static bool read_domain(struct lexer *lexer, struct address_text *out)
{
    size_t from = out->length;
    for (;;) {
        int c = lexer_next(lexer);
        if (ends_address(c) || strchr(":'`*=?/&!|{}#$%", c) != NULL) {
            break;
        }
        if (!put(out, c)) {
            return false;
        }
    }
    while (out->length > from && strchr(".]", out->text[out->length - 1]) != NULL) {
        out->length--;
    }
    return out->length > from;
}

static void add_tag(struct scan *scan, const struct address_text *address)
{
    bounce_add_tag(scan->reader, (struct octets){address->text, address->length}, scan->where);
}

static bool put_all(struct address_text *out, const char *from, const char *to)
{
    while (from < to && put(out, (unsigned char)*from)) {
        from++;
    }
    return from == to;
}

/* prvs=KDDDSSSSSS=local@domain, at at. */
static void find_prefix_tag(struct scan *scan, const char *at)
{
    bool quoted = at > scan->start && at[-1] == '"';
    struct address_text out = {.length = 0};
    struct lexer lexer = scan_lexer(scan, at + 5, SCAN_WINDOW);
    if (!put_all(&out, quoted ? at - 1 : at, at + 5) || !read_tag(&lexer, &out) ||
        lexer_next(&lexer) != '=' || !put(&out, '=')) {
        return;
    }
    struct address_text bare = out;
    struct lexer again = lexer;
    if (read_local(&lexer, quoted, &out) && read_domain(&lexer, &out)) {
        add_tag(scan, &out);
        return;
    }
    /* The quote was not the address's own. */
    memmove(bare.text, bare.text + quoted, bare.length - quoted);
    bare.length -= quoted;
    if (quoted && read_local(&again, false, &bare) && read_domain(&again, &bare)) {
        add_tag(scan, &bare);
    }
}

/* Where the local part begins that ends before plus. With quoted, at its quote. */
static const char *find_local(struct scan *scan, const char *plus, bool quoted)
{
    const char *from = plus;
    while (from > scan->start && plus - from < LOCAL_ROOM) {
        char c = from[-1];
        if (quoted ? c == '"' || c == '\n' : ends_address((unsigned char)c) || c == ':') {
            break;
        }
        from--;
    }
    return quoted && from > scan->start && from[-1] == '"' ? from - 1 : from;
}

/* The end of a local part behind its tag, with the @: nothing, or a VERP extension. */
static bool read_end(struct lexer *lexer, bool quoted, struct address_text *out)
{
    out->length = 0;
    if (!read_local(lexer, quoted, out)) {
        return false;
    }
    size_t end = out->length - 1 - quoted;
    char kept = out->text[end];
    out->text[end] = '\0';
    bool fits = end == 0 || verp_is_extension(out->text);
    out->text[end] = kept;
    return fits;
}

/* The address from from to to, and end. */
static void add_subaddress(struct scan *scan, const char *from, const char *to,
                           const struct address_text *end, struct lexer lexer)
{
    struct address_text out = {.length = 0};
    if (*from != '+' && put_all(&out, from, to) &&
        put_all(&out, end->text, end->text + end->length) && read_domain(&lexer, &out)) {
        add_tag(scan, &out);
    }
}

/* local+prvs=KDDDSSSSSS@domain, perhaps with a VERP extension before the @; plus is the '+'. */
static void find_subaddress_tag(struct scan *scan, const char *plus)
{
    struct address_text tag = {.length = 0};
    struct address_text end;
    struct lexer lexer = scan_lexer(scan, plus + 6, SCAN_WINDOW);
    const char *to = plus + 6 + TAG_HEX;
    if (!read_tag(&lexer, &tag) || lexer.at != to) {
        return;
    }
    struct lexer again = lexer;
    bool quoted = !read_end(&lexer, false, &end);
    if (quoted) { /* or it is none */
        lexer = again;
        if (!read_end(&lexer, true, &end)) {
            return;
        }
    }
    const char *from = find_local(scan, plus, quoted);
    add_subaddress(scan, from, to, &end, lexer);
    /* envelope-from=local+prvs=...: the '=' may stand before the address. */
    const char *equals = memchr(from, '=', (size_t)(plus - from));
    if (equals != NULL && !quoted) {
        add_subaddress(scan, equals + 1, to, &end, lexer);
    }
}

const char *scan_tag(struct scan *scan, const char *at)
{
    if (!octets_begin(scan_rest(scan, at), "prvs=")) {
        return at + 1;
    }
    if (scan->reader->bounce->tag_count == BOUNCE_TAGS) {
        return at + 5;
    }
    /* One in subaddress syntax can be read as a prefix too: local+prvs=KDDDSSSSSS=far=other.test@
     * has the extension =far=other.test. */
    find_prefix_tag(scan, at);
    if (at > scan->start && at[-1] == '+') {
        find_subaddress_tag(scan, at - 1);
    }
    return at + 5;
}

/* ------------------------------------------------------------------ evidence */

struct evidence_text {
    char text[EVIDENCE_ROOM];
    size_t length;
};

/* The next character that is neither white space nor markup. */
static int next_visible(struct lexer *lexer)
{
    int c;
    do {
        c = lexer_next(lexer);
    } while (lexer_is_gap(c));
    return c;
}

/* Appends the characters of literal, which stand next. */
static bool take_literal(struct lexer *lexer, const char *literal, struct evidence_text *out)
{
    for (; *literal != '\0'; literal++) {
        int c = next_visible(lexer);
        if (c < 0 || ascii_lower((char)c) != *literal || out->length == sizeof out->text) {
            return false;
        }
        out->text[out->length++] = *literal;
    }
    return true;
}

/* Appends hexadecimal digits: count of them, or fewer up to a semicolon, which is appended too. */
static bool take_hex(struct lexer *lexer, size_t count, bool semicolon, struct evidence_text *out)
{
    for (size_t i = 0; i < count; i++) {
        int c = next_visible(lexer);
        bool last = semicolon && i > 0 && c == ';';
        if ((!is_hex(c) && !last) || out->length == sizeof out->text) {
            return false;
        }
        out->text[out->length++] = ascii_lower((char)c);
        if (last) {
            return true;
        }
    }
    return !semicolon;
}

/* "v=1; d=...; n=...; s=MAC[,MAC...]" without white space, in lower case. A MAC's length says where
 * it ends, so what follows on the same line or the next does not matter; one that is cut off is
 * left out. */
static bool read_evidence(struct lexer *lexer, struct evidence_text *out)
{
    if (!take_literal(lexer, "v=1;d=", out) || !take_hex(lexer, EVIDENCE_DAY, true, out) ||
        !take_literal(lexer, "n=", out) || !take_hex(lexer, EVIDENCE_NONCE, false, out) ||
        !take_literal(lexer, ";s=", out) || !take_hex(lexer, EVIDENCE_MAC, false, out)) {
        return false;
    }
    size_t whole = out->length;
    while (take_literal(lexer, ",", out) && take_hex(lexer, EVIDENCE_MAC, false, out)) {
        whole = out->length;
    }
    out->length = whole;
    return true;
}

const char *scan_evidence(struct scan *scan, const char *at)
{
    static const char label[] = "x-batv-evidence";
    if (!octets_begin(scan_rest(scan, at), label)) {
        return at + 1;
    }
    const char *after = at + sizeof label - 1;
    struct lexer lexer = scan_lexer(scan, after, SCAN_WINDOW);
    struct gap gap;
    struct evidence_text value = {.length = 0};
    if (scan_gap(&lexer, &gap) && gap.colon && !gap.open && read_evidence(&lexer, &value)) {
        bounce_add_evidence(scan->reader, (struct octets){value.text, value.length});
    }
    return after;
}
