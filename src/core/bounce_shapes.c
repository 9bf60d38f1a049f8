/*
 * Message-IDs by their look: local@domain as programs make it, in brackets or not, behind words of
 * any language, wrapped or encoded for a link. An address may look like that, too, so nothing here
 * is named as a Message-ID; but the journal may know it. See bounce_text.c. No state.
 */
#include "bounce_scan.h"

#include <string.h>

#include "batv/address.h"

enum {
    PLAUSIBLE_DIGITS = 4,
    PLAUSIBLE_LENGTH = 16,
    PLAUSIBLE_CHANGES = 6,   /* of case, from letter to letter */
    PLAUSIBLE_CAPITALS = 12, /* in a row */
    LOCAL_MAX = 200,
    DOMAIN_MAX = 255,
    LINK_MAX = 600,      /* octets of a piece of a link */
    WRAPPED_LENGTH = 60, /* octets of a line that may have been wrapped in the middle of a word */
    FORMER_MIN = 4,      /* octets of a Message-ID on the line before */
    ENCODINGS_MAX = 3,   /* of a link within a link */
    LABEL_BACK = 60,     /* octets before a value in which its label is looked for */
    BETWEEN_MAX = 12,    /* octets between the two */
    LOOK_STEPS = 8       /* octets that are looked at for plausibility in a step */
};

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(int c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(int c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z');
}

static struct octets part_of(struct octets text, size_t from)
{
    return (struct octets){text.start + from, text.length - from};
}

/* ------------------------------------------------------------- plausibility */

/* No name changes its case so often, or has so many capitals in a row. */
static bool looks_random(struct octets local)
{
    unsigned changes = 0;
    unsigned capitals = 0;
    char last = '\0';
    for (size_t i = 0; i < local.length && capitals < PLAUSIBLE_CAPITALS; i++) {
        char c = local.start[i];
        capitals = is_upper(c) ? capitals + 1 : 0;
        if (is_letter(c)) {
            changes += last != '\0' && is_upper(c) != is_upper(last);
            last = c;
        }
    }
    return changes >= PLAUSIBLE_CHANGES || capitals >= PLAUSIBLE_CAPITALS;
}

/* local@domain of nothing odd, both not empty, without a tag. *at: where the @ is. */
static bool is_address(struct octets id, size_t *at)
{
    const char *sign = id.length > 0 ? memchr(id.start, '@', id.length) : NULL;
    if (sign == NULL || sign == id.start || sign + 1 == id.start + id.length) {
        return false;
    }
    for (size_t i = 0; i < id.length; i++) {
        char c = id.start[i];
        if (c <= ' ' || c > '~' || c == ':' || c == '<' || c == '>') {
            return false;
        }
    }
    *at = (size_t)(sign - id.start);
    return octets_find(id, "prvs=") == NULL;
}

/* As programs make them: nobody's address has that many digits, is that long with one, or looks
 * like that. */
static bool is_plausible(struct octets id)
{
    size_t digits = 0;
    size_t at;
    if (!is_address(id, &at)) {
        return false;
    }
    for (size_t i = 0; i < at; i++) {
        digits += is_digit(id.start[i]);
    }
    return digits >= PLAUSIBLE_DIGITS || (digits > 0 && at >= PLAUSIBLE_LENGTH) ||
           looks_random((struct octets){id.start, at});
}

static bool add_plausible(struct scan *scan, struct octets id)
{
    budget_spend(scan_budget(scan), 1 + id.length / LOOK_STEPS);
    bool plausible = is_plausible(id);
    if (plausible) {
        bounce_add_id(scan->reader, id, scan->where, BOUNCE_UNLABELLED);
    }
    return plausible;
}

/* "Идентификатор: " before a value that begins at value: some word beyond ASCII, and a mark that it
 * ends with. What it says nobody knows here. */
static bool has_foreign_label(struct scan *scan, const char *value)
{
    const char *p = value;
    while (p > scan->start && value - p < BETWEEN_MAX && p[-1] != ':' && p[-1] != '\n' &&
           p[-1] != '\r' && !is_letter(p[-1]) && !is_digit(p[-1])) {
        p--;
    }
    bool ends = p > scan->start && p[-1] == ':';
    bool wide_colon = value - p >= 3 &&
                      octets_find((struct octets){p, (size_t)(value - p)}, "\xef\xbc\x9a") != NULL;
    bool foreign = false;
    for (; (ends || wide_colon) && p > scan->start && value - p < LABEL_BACK && p[-1] != '\n' &&
           p[-1] != '\r' && p[-1] != '@';
         p--) {
        foreign = foreign || (unsigned char)p[-1] > 0x7f;
    }
    budget_spend(scan_budget(scan), 1 + (size_t)(value - p));
    return foreign;
}

/* ------------------------------------------------------------ behind a mark */

/* "Nachrichten-ID: <alice4@example.com>": a label in no language in particular. What has no
 * brackets is found by its look. */
const char *scan_id(struct scan *scan, const char *at)
{
    size_t length = scan_id_length(scan_rest(scan, at));
    struct lexer lexer = scan_lexer(scan, at + length, SCAN_WINDOW);
    struct gap gap;
    struct token token;
    size_t sign;
    if (length == 0) {
        return at + 1;
    }
    if (!scan_gap(&lexer, &gap) || !gap.open || !(gap.colon || gap.equals) ||
        !token_read_bracketed(&lexer, true, &token) || !is_address(token_octets(&token), &sign)) {
        return scan_failed(at + length - 1, lexer.at);
    }
    bounce_add_id(scan->reader, token_octets(&token), scan->where, BOUNCE_UNLABELLED);
    return lexer.at;
}

const char *scan_bracket(struct scan *scan, const char *at)
{
    struct lexer lexer = scan_lexer(scan, at, SCAN_WINDOW);
    struct token token;
    size_t sign;
    lexer_next(&lexer);
    if (!token_read_bracketed(&lexer, true, &token)) {
        return at + 1;
    }
    if (is_plausible(token_octets(&token)) ||
        (is_address(token_octets(&token), &sign) && has_foreign_label(scan, at))) {
        bounce_add_id(scan->reader, token_octets(&token), scan->where, BOUNCE_UNLABELLED);
        return lexer.at;
    }
    return at + 1;
}

/* ------------------------------------------------------------------- links */

static int hex_value(char c)
{
    c = ascii_lower(c);
    return is_digit(c) ? c - '0' : (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

/* Undoes %40 in place. False: there was nothing to undo. */
static bool undo_percent(char *text, size_t *length)
{
    size_t used = 0;
    size_t before = *length;
    for (size_t i = 0; i < before; i++) {
        int high = text[i] == '%' && i + 2 < before ? hex_value(text[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text[i + 2]) : -1;
        text[used++] = low >= 0 ? (char)(high * 16 + low) : text[i];
        i += low >= 0 ? 2 : 0;
    }
    *length = used;
    return used < before;
}

/* Within what was in a link: the Message-ID in brackets, or behind the last mark before its @. */
static void add_from_link(struct scan *scan, struct octets text)
{
    const char *sign = text.length > 0 ? memchr(text.start, '@', text.length) : NULL;
    size_t from = sign != NULL ? (size_t)(sign - text.start) : 0;
    size_t to = from;
    while (from > 0 && strchr("<>=:/&?;,\" ", text.start[from - 1]) == NULL) {
        from--;
    }
    while (to < text.length && strchr("<>&?;,\" ", text.start[to]) == NULL) {
        to++;
    }
    struct octets id = {text.start + from, to - from};
    bool open =
        from > 0 && text.start[from - 1] == '<' && to < text.length && text.start[to] == '>';
    size_t at;
    if (open && is_address(id, &at)) {
        bounce_add_id(scan->reader, id, scan->where, BOUNCE_UNLABELLED);
    } else {
        add_plausible(scan, id);
    }
}

void scan_link(struct scan *scan, struct octets piece)
{
    char text[LINK_MAX];
    size_t length = piece.length < sizeof text ? piece.length : sizeof text;
    memcpy(text, piece.start, length);
    budget_spend(scan_budget(scan), ENCODINGS_MAX * length / 2);
    for (unsigned i = 0; i < ENCODINGS_MAX && undo_percent(text, &length); i++) {
    }
    add_from_link(scan, (struct octets){text, length});
}

static bool in_link(char c)
{
    return is_letter(c) || is_digit(c) || (c != '\0' && strchr("._%+~!*'$^`{}|@-", c) != NULL);
}

const char *scan_percent(struct scan *scan, const char *at)
{
    static const char *const signs[] = {"%40", "%2540", "%252540"};
    struct octets rest = scan_rest(scan, at);
    size_t i = 0;
    while (i < sizeof signs / sizeof signs[0] && !octets_begin(rest, signs[i])) {
        i++;
    }
    budget_spend(scan_budget(scan), 2);
    if (i == sizeof signs / sizeof signs[0]) {
        return at + 1;
    }
    const char *from = at;
    const char *to = at;
    while (from > scan->start && at - from < LOCAL_MAX && in_link(from[-1])) {
        from--;
    }
    while (to < scan->end && to - at < LOCAL_MAX + DOMAIN_MAX && in_link(*to)) {
        to++;
    }
    budget_spend(scan_budget(scan), (size_t)(to - from) / 2);
    scan_link(scan, (struct octets){from, (size_t)(to - from)});
    return to;
}

/* --------------------------------------------------------- around an at sign */

static bool in_local(char c)
{
    return is_letter(c) || is_digit(c) || (c != '\0' && strchr("!#$%&'*+/=?^_`{|}~.-", c) != NULL);
}

static bool in_domain(int c)
{
    return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
}

/* The octets of a character without width that ends before p; 0: none does. */
static size_t unseen_before(const struct scan *scan, const char *p)
{
    size_t least = p[-1] == ';' ? 5 : 2;
    size_t most = p[-1] == ';' ? 8 : 3; /* &shy; ... &#x200b; */
    for (size_t length = most; length >= least; length--) {
        if ((size_t)(p - scan->start) >= length && ((unsigned char)p[-1] > 0x7f || p[-1] == ';')) {
            struct lexer lexer = {.at = p - length, .end = p, .budget = scan_budget(scan)};
            if (lexer_read(&lexer) == LEX_END) {
                return length;
            }
        }
    }
    return 0;
}

/* Where the local part begins that ends before at. NULL: it is none, or too long. */
static const char *local_before(const struct scan *scan, const char *at)
{
    const char *p = at;
    while (p > scan->start && at - p < LOCAL_MAX) {
        size_t unseen = in_local(p[-1]) ? 0 : unseen_before(scan, p);
        if (!in_local(p[-1]) && unseen == 0) {
            break;
        }
        p -= unseen > 0 ? unseen : 1;
    }
    budget_spend(scan_budget(scan), 1 + (size_t)(at - p) / 2);
    while (p < at && strchr("'*`{|", *p) != NULL) {
        p++;
    }
    bool mailto = p - scan->start >= 7 && octets_begin((struct octets){p - 7, 7}, "mailto:");
    char before = p > scan->start ? p[-1] : ' ';
    bool odd = before != '\0' && (unsigned char)before < ' ' && strchr("\t\r\n", before) == NULL;
    return mailto || odd || at - p >= LOCAL_MAX ? NULL : p;
}

/* Reads the domain into the token. Its last dot or dash stays. */
static void read_domain(struct lexer *lexer, struct token *token)
{
    for (size_t i = 0; i < DOMAIN_MAX; i++) {
        struct lexer before = *lexer;
        int c = lexer_next(lexer);
        bool literal = i == 0 ? c == '[' : c == ']' || c == ':';
        if (!in_domain(c) && !(literal && (i == 0 || token->text[token->length - i] == '['))) {
            *lexer = before;
            return;
        }
        token_add(token, c);
        if (c == ']') {
            return;
        }
    }
}

static struct octets trimmed(const struct token *token)
{
    struct octets id = token_octets(token);
    while (id.length > 0 && strchr(".-_", id.start[id.length - 1]) != NULL) {
        id.length--;
    }
    return id;
}

/* The same with what follows on the next line, where the domain may have been wrapped. */
static void add_wrapped_behind(struct scan *scan, struct lexer lexer, struct token *token)
{
    const char *sign = memchr(token->text, '@', token->length);
    size_t domain = token->length - (size_t)(sign + 1 - token->text);
    bool unfinished = domain == 0 || memchr(sign, '.', domain + 1) == NULL ||
                      strchr(".-", token->text[token->length - 1]) != NULL;
    bool filled = lexer.at - scan->line >= WRAPPED_LENGTH;
    int c = lexer_next(&lexer);
    c = c == ' ' ? lexer_next(&lexer) : c;
    if (c == LEX_BREAK) {
        size_t length = token->length;
        read_domain(&lexer, token);
        c = lexer_peek(lexer);
        /* What is left is all of the next line. */
        bool alone = lexer_is_line_end(c) &&
                     memchr(token->text + length, '.', token->length - length) != NULL;
        if (token->length > length && c != '@' && c != ':' && (unfinished || filled || alone)) {
            add_plausible(scan, trimmed(token));
        }
    }
}

/* The same with the end of the line before, where the local part may have been wrapped. */
static void add_wrapped_before(struct scan *scan, const char *local, struct octets id)
{
    struct token token = {.length = 0};
    const char *p = local;
    while (p > scan->line && strchr(" \t>|", p[-1]) != NULL) {
        p--;
    }
    const char *end = NULL;
    const char *line = p == scan->line ? scan_line_before(scan, scan->line, &end) : NULL;
    if (line == NULL) {
        return;
    }
    end -= end > line && end[-1] == ' ';
    const char *from = end;
    bool digit = false;
    while (from > line && in_local(from[-1])) {
        digit = digit || is_digit(from[-1]);
        from--;
    }
    if (!digit || end - from < FORMER_MIN || end - from > LOCAL_MAX) {
        return;
    }
    memcpy(token.text, from, (size_t)(end - from));
    memcpy(token.text + (end - from), id.start, id.length);
    token.length = (size_t)(end - from) + id.length;
    add_plausible(scan, token_octets(&token));
}

/* What a local part may have in front that is no part of it: "message-id=", "https://x/". */
static struct octets behind_marks(struct octets id)
{
    size_t from = 0;
    for (size_t i = 0; i < id.length && id.start[i] != '@'; i++) {
        if (strchr("=/&?", id.start[i]) != NULL) {
            from = i + 1;
        }
    }
    return part_of(id, from);
}

static void add_around(struct scan *scan, const char *local, struct lexer lexer,
                       struct token *token)
{
    struct octets id = trimmed(token);
    if (octets_find(id, "%3c") != NULL || octets_find(id, "%253c") != NULL) {
        scan_link(scan, id);
        return;
    }
    if (octets_find(id, "prvs=") != NULL) {
        return;
    }
    struct octets behind = behind_marks(id);
    size_t at;
    bool path = *id.start == '/';
    if (!path && !add_plausible(scan, id) && is_address(id, &at) &&
        has_foreign_label(scan, local)) {
        bounce_add_id(scan->reader, id, scan->where, BOUNCE_UNLABELLED);
    }
    if (behind.length < id.length) {
        add_plausible(scan, behind);
    }
    add_wrapped_before(scan, local, behind);
    add_wrapped_behind(scan, lexer, token);
}

const char *scan_at(struct scan *scan, const char *at)
{
    const char *local = local_before(scan, at);
    struct token token = {.length = 0};
    if (local == NULL) {
        return at + 1;
    }
    struct lexer lexer = scan_lexer(scan, local, 2 * LOCAL_MAX + DOMAIN_MAX);
    int c = 0;
    while (lexer.at <= at && c >= 0 && c != '@') {
        c = lexer_next(&lexer);
        if (c < ' ' || c == '<' || c == '>' || c == '"') {
            return at + 1;
        }
        token_add(&token, c);
    }
    if (c != '@') {
        return at + 1;
    }
    read_domain(&lexer, &token);
    add_around(scan, local, lexer, &token);
    return at + 1;
}
