/*
 * Message-IDs in the text of a bounce: behind a label, in a list, or by their look alone. See
 * bounce_text.c. No state.
 */
#include "bounce_scan.h"

#include <stdint.h>
#include <string.h>

#include "batv/address.h"

enum {
    GAP_MAX = 40, /* characters between label and value */
    COMMENT_MAX = 100,
    COMMENTS_MAX = 2,     /* between label and value */
    TAGS_AHEAD = 3,       /* before the name of another field */
    LABEL_STEPS = 16,     /* to compare a word with the labels, and to find its beginning */
    FIELD_STEPS = 16,     /* to see whether a line is a field */
    LIST_KEPT = 40,       /* of References the last ones: the nearest to the original */
    NAME_MAX_LENGTH = 60, /* of a label, octets in front of "message-id" */
    BRACKETS_MAX = 3,     /* before a Message-ID */
    GAPS_MAX = 100,       /* blanks, breaks and tags within one */
    PLAUSIBLE_DIGITS = 4,
    PLAUSIBLE_LENGTH = 16
};

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t';
}

static void token_add(struct token *token, int c)
{
    if (token->length == BOUNCE_ID_MAX) {
        token->too_long = true;
    } else {
        token->text[token->length++] = (char)c;
    }
}

static struct octets token_octets(const struct token *token)
{
    return (struct octets){token->text, token->length};
}

/* local@domain, of whatever octets. */
static bool token_has_at(const struct token *token)
{
    const char *at = token->length > 2 ? memchr(token->text + 1, '@', token->length - 2) : NULL;
    return at != NULL;
}
/* ------------------------------------------------------------- Message-IDs */

/* True where the line was broken by quoted-printable, which is undone elsewhere. */
static bool token_ends_softly(const struct token *token)
{
    return token->length > 0 && token->text[token->length - 1] == '=';
}

/* What stands behind an opening bracket up to the closing one, without white space and markup, of
 * which there is not much. tight: there must not be any white space. */
static bool read_bracketed(struct lexer *lexer, bool tight, struct token *token)
{
    unsigned opened = 1;
    unsigned gaps = 0;
    token->length = 0;
    token->too_long = false;
    while (!token->too_long && gaps <= GAPS_MAX) {
        struct lexer before = *lexer;
        int c = lexer_next(lexer);
        if (c == '>') {
            return token->length > 0;
        }
        if (lexer_is_gap(c)) {
            gaps++;
            if ((tight && c != LEX_TAG) || (c == LEX_BREAK && token_ends_softly(token))) {
                return false;
            }
        } else if (c == '<' && (token->length > 0 || opened++ == BRACKETS_MAX)) {
            *lexer = before;
            return false;
        } else if (c < 0 || (tight && c < ' ')) {
            return false;
        } else if (c > ' ' && c != '<') {
            token_add(token, c);
        }
    }
    return false;
}

static bool is_line_end(int c)
{
    return c == LEX_BREAK || c == LEX_EMPTY || c == LEX_END;
}

static bool ends_bare(int c)
{
    return c < 0 || c <= ' ' || c == '<' || c == '>' || c == '"';
}

/* A value without brackets, whose first character is next; its end is not taken. */
static bool read_bare(struct lexer *lexer, struct token *token)
{
    int c = 0;
    token->length = 0;
    token->too_long = false;
    while (!token->too_long) {
        struct lexer before = *lexer;
        c = lexer_next(lexer);
        if (ends_bare(c)) {
            *lexer = before;
            break;
        }
        token_add(token, c);
    }
    if (is_line_end(c) && token_ends_softly(token)) {
        return false;
    }
    while (token->length > 0 && strchr(".,;:)]}'", token->text[token->length - 1]) != NULL) {
        token->length--;
    }
    return token->length > 0 && !token->too_long;
}

enum { WORDS_MAX = 4, WORD_MAX = 6, WORD_STEPS = 8 };

/* Words that may stand between a label and its value. */
static const char *const gap_words[] = {"is",    "was",    "of",    "the", "value",
                                        "field", "header", "named", "with"};

static bool skip_word(struct lexer *lexer)
{
    size_t length = 0;
    while (lexer->at + length < lexer->end && length <= WORD_MAX && is_alnum(lexer->at[length])) {
        length++;
    }
    if (length == 0) {
        return false;
    }
    budget_spend(lexer->budget, WORD_STEPS);
    for (size_t i = 0; i < sizeof gap_words / sizeof gap_words[0]; i++) {
        if (octets_equal((struct octets){lexer->at, length}, gap_words[i])) {
            lexer->at += length;
            return true;
        }
    }
    return false;
}

static bool in_comment(char c)
{
    return c != ')' && c != '(' && c != '@' && c != '<' && c != '\r' && c != '\n' && c != '\0';
}

/* A remark in parentheses before the value, as relays have put there. Behind the opening one. */
static void skip_comment(struct lexer *lexer)
{
    const char *p = lexer->at;
    const char *end = lexer->end - p < COMMENT_MAX ? lexer->end : p + COMMENT_MAX;
    while (p < end && in_comment(*p)) {
        p++;
    }
    budget_spend(lexer->budget, (size_t)(p - lexer->at));
    if (p < end && *p == ')') {
        lexer->at = p + 1;
    }
}

bool scan_gap(struct lexer *lexer, struct gap *gap)
{
    *gap = (struct gap){.open = false};
    unsigned words = 0;
    unsigned comments = 0;
    for (unsigned i = 0; i < GAP_MAX; i++) {
        if (words < WORDS_MAX && skip_word(lexer)) {
            words++;
            continue;
        }
        struct lexer before = *lexer;
        int c = lexer_next(lexer);
        gap->colon = gap->colon || c == ':';
        gap->equals = gap->equals || c == '=';
        gap->broken = gap->broken || c == LEX_BREAK;
        if (c == '<') {
            gap->open = true;
            return true;
        }
        if (!lexer_is_gap(c) && (c <= 0 || strchr(":=\"'([,*-{", c) == NULL)) {
            *lexer = before;
            return c > ' ';
        }
        if (c == '(' && comments++ < COMMENTS_MAX) {
            skip_comment(lexer);
        }
    }
    return false;
}

/* The rest of a field's line as the value, as an odd sender may have written it. */
static bool read_line(struct lexer *lexer, struct token *token)
{
    token->length = 0;
    token->too_long = false;
    while (!token->too_long) {
        int c = lexer_next(lexer);
        if (is_line_end(c)) {
            return true;
        }
        if (c == '<' || c == '>' || c == '"') {
            return false;
        }
        if (c > ' ') {
            token_add(token, c);
        }
    }
    return false;
}

/* Reads the Message-ID behind a label that ends at after. line_label: the label begins its line.
 * Answers where the pass goes on. */
static const char *read_labelled(struct scan *scan, const char *after, bool line_label,
                                 const char *where)
{
    struct lexer lexer = scan_lexer(scan, after, SCAN_WINDOW);
    struct gap gap;
    struct token token;
    if (!scan_gap(&lexer, &gap)) {
        return after;
    }
    struct lexer value = lexer;
    bool strong = line_label && (gap.colon || gap.equals);
    bool read = gap.open ? read_bracketed(&lexer, false, &token) : read_bare(&lexer, &token);
    bool taken = read && (token_has_at(&token) || (strong && (gap.open || !gap.broken)));
    if (!taken) {
        return scan_failed(after, lexer.at);
    }
    bounce_add_id(scan->reader, token_octets(&token), where, BOUNCE_LABELLED);
    if (strong && gap.colon && !gap.open && !gap.broken && read_line(&value, &token)) {
        bounce_add_id(scan->reader, token_octets(&token), where, BOUNCE_LABELLED);
    }
    return lexer.at;
}

/* The length of the first of texts that rest begins with; 0: of none. */
static size_t match_first(struct octets rest, const char *const texts[])
{
    for (; *texts != NULL; texts++) {
        if (octets_begin(rest, *texts)) {
            return strlen(*texts);
        }
    }
    return 0;
}

/* The length of "id" as a word's end; 0: something else stands there. */
static size_t id_length(struct octets rest)
{
    static const char *const ids[] = {"identifier", "id", NULL};
    size_t length = match_first(rest, ids);
    return length < rest.length && is_alnum(rest.start[length]) ? 0 : length;
}

/* The length of "message-id" in one of its spellings; 0: something else stands there. */
static size_t label_length(struct octets rest)
{
    static const char *const words[] = {"message", "msg", NULL};
    static const char *const between[] = {"-",
                                          "_",
                                          " ",
                                          ".",
                                          "&nbsp;",
                                          "&#45;",
                                          "&#8209;",
                                          "\xc2\xa0",
                                          "\xe2\x80\x90",
                                          "\xe2\x80\x91",
                                          NULL};
    size_t length = match_first(rest, words);
    if (length == 0) {
        return 0;
    }
    length += match_first((struct octets){rest.start + length, rest.length - length}, between);
    size_t id = id_length((struct octets){rest.start + length, rest.length - length});
    return id > 0 ? length + id : 0;
}

/* The name of which a label is the end: X-Original-Message-ID. */
static struct octets full_name(const struct scan *scan, const char *label, size_t length)
{
    const char *name = label;
    while (name > scan->start && label - name < NAME_MAX_LENGTH &&
           (is_alnum(name[-1]) || name[-1] == '-' || name[-1] == '_')) {
        name--;
    }
    return (struct octets){name, (size_t)(label - name) + length};
}

/* True where nothing but marks of quoting and markup stands before the name in its line. */
static bool begins_line(struct scan *scan, const char *name)
{
    if (name - scan->line > SCAN_WINDOW / 16) {
        return false;
    }
    const char *from = scan->gaps > scan->line ? scan->gaps : scan->line;
    struct lexer lexer = {.at = from, .end = name, .budget = scan_budget(scan), .quoted = true};
    while (lexer.at < lexer.end) {
        scan->gaps = lexer.at;
        int c = lexer_next(&lexer);
        if (!lexer_is_gap(c) && c != '>' && c != '|' && c != '*') {
            return false;
        }
    }
    return true;
}

static const struct {
    const char *word; /* in a field's name */
    const char *where;
} label_words[] = {
    {"original", "Original-Message-ID"}, {"parent", "Original-Message-ID"},
    {"returned", "Original-Message-ID"}, {"failed", "Original-Message-ID"},
    {"bounced", "Original-Message-ID"},  {"related", "Original-Message-ID"},
};

/* NULL: the name says nothing of an original. */
static const char *original_label(struct octets name)
{
    for (size_t i = 0; i < sizeof label_words / sizeof label_words[0]; i++) {
        if (octets_find(name, label_words[i].word) != NULL) {
            return label_words[i].where;
        }
    }
    return NULL;
}

const char *scan_message_id(struct scan *scan, const char *at)
{
    size_t length = label_length(scan_rest(scan, at));
    budget_spend(scan_budget(scan), LABEL_STEPS);
    if (length == 0) {
        return at + 1;
    }
    struct octets name = full_name(scan, at, length);
    const char *where = original_label(name);
    return read_labelled(scan, at + length, begins_line(scan, name.start),
                         where != NULL ? where : scan->where);
}

/* ------------------------------------------------- References, In-Reply-To */

/* True where the line behind a line end begins with a field of its own. */
static bool at_field(struct lexer lexer)
{
    struct lexer before = lexer;
    budget_spend(lexer.budget, FIELD_STEPS);
    for (unsigned i = 0; i < TAGS_AHEAD && lexer_is_gap(lexer_next(&lexer)); i++) {
        before = lexer;
    }
    struct octets rest = {before.at, (size_t)(before.end - before.at)};
    struct field field;
    rest.length = rest.length < NAME_MAX_LENGTH ? rest.length : NAME_MAX_LENGTH;
    return field_next(&rest, &field) && memchr(field.name.start, '<', field.name.length) == NULL &&
           memchr(field.name.start, '@', field.name.length) == NULL;
}

static bool ends_list(const struct lexer *lexer, int c, bool filled)
{
    return c == LEX_END || c == LEX_EMPTY || (filled && (c == '"' || c == '}')) ||
           (c == LEX_BREAK &&
            (at_field(*lexer) || (!lexer->indented && *lexer->at != '<' && *lexer->at != '&')));
}

/* Goes through a list, adding the Message-IDs from number first on. Answers how many there are. */
static size_t walk_list(struct scan *scan, struct lexer *lexer, size_t first, const char *where,
                        enum bounce_rank rank)
{
    struct token token;
    size_t count = 0;
    for (;;) {
        struct lexer before = *lexer;
        int c = lexer_next(lexer);
        if (ends_list(lexer, c, count > 0) || budget_used_up(lexer->budget)) {
            return count;
        }
        bool found = false;
        if (c == '<') {
            found = read_bracketed(lexer, false, &token);
        } else if (c > ' ' && c != '"' && c != '>') {
            *lexer = before;
            found = read_bare(lexer, &token) && token_has_at(&token);
        }
        count += found;
        if (found && count > first) {
            bounce_add_id(scan->reader, token_octets(&token), where, rank);
        }
    }
}

/* The list that begins at at. The pass goes over it again, for it may have no end where there
 * should be one, and something else in it; but not as a list, or that would take for ever. */
static void read_list(struct scan *scan, const char *at, const char *where, enum bounce_rank rank)
{
    if (at < scan->listed) {
        return;
    }
    struct lexer lexer = scan_lexer(scan, at, SIZE_MAX);
    struct lexer counter = lexer;
    size_t count = walk_list(scan, &counter, SIZE_MAX, where, rank);
    walk_list(scan, &lexer, count > LIST_KEPT ? count - LIST_KEPT : 0, where, rank);
    scan->listed = lexer.at;
}

const char *scan_list(struct scan *scan, const char *at, const char *label)
{
    struct octets rest = scan_rest(scan, at);
    if (!octets_begin(rest, label) || !begins_line(scan, full_name(scan, at, 0).start)) {
        return at + 1;
    }
    struct lexer lexer = scan_lexer(scan, at + strlen(label), SCAN_WINDOW);
    int c;
    do {
        c = lexer_next(&lexer);
    } while (is_blank(c) || c == LEX_TAG);
    if (c == ':') {
        read_list(scan, lexer.at, label, BOUNCE_REFERENCE);
    }
    return at + strlen(label);
}

/* --------------------------------------------------------------- unlabelled */

/* As programs make them: nobody's address has that many digits, or is that long with one. */
static bool is_plausible(const struct token *token)
{
    const char *at = memchr(token->text, '@', token->length);
    size_t digits = 0;
    if (at == NULL || at == token->text || at + 1 == token->text + token->length) {
        return false;
    }
    for (const char *p = token->text; p < token->text + token->length; p++) {
        if (*p <= ' ' || *p > '~' || *p == ':') {
            return false;
        }
        digits += p < at && is_digit(*p);
    }
    return (digits >= PLAUSIBLE_DIGITS || (digits > 0 && at - token->text >= PLAUSIBLE_LENGTH)) &&
           octets_find(token_octets(token), "prvs=") == NULL;
}

/* "Nachrichten-ID: 4711@example.com": a label in no language in particular. */
const char *scan_id(struct scan *scan, const char *at)
{
    size_t length = id_length(scan_rest(scan, at));
    struct lexer lexer = scan_lexer(scan, at + length, SCAN_WINDOW);
    struct gap gap;
    struct token token;
    if (length > 0 && scan_gap(&lexer, &gap) && (gap.colon || gap.equals) && !gap.open &&
        read_bare(&lexer, &token) && is_plausible(&token)) {
        bounce_add_id(scan->reader, token_octets(&token), scan->where, BOUNCE_UNLABELLED);
        return lexer.at;
    }
    return length > 0 ? scan_failed(at + length - 1, lexer.at) : at + 1;
}

const char *scan_token(struct scan *scan, const char *at)
{
    struct lexer lexer = scan_lexer(scan, at, SCAN_WINDOW);
    struct token token;
    if (!lexer_opens(lexer)) {
        return at + 1;
    }
    lexer_next(&lexer);
    if (!read_bracketed(&lexer, true, &token) || !is_plausible(&token)) {
        return at + 1;
    }
    bounce_add_id(scan->reader, token_octets(&token), scan->where, BOUNCE_UNLABELLED);
    return at + 1;
}

/* --------------------------------------------------------------- own fields */

void scan_own_field(struct scan *scan, struct octets name)
{
    if (octets_equal(name, "References")) {
        read_list(scan, scan->start, "References", BOUNCE_REFERENCE);
    } else if (octets_equal(name, "In-Reply-To")) {
        read_list(scan, scan->start, "In-Reply-To", BOUNCE_LABELLED);
    } else if (octets_find(name, "message-id") != NULL && original_label(name) != NULL) {
        read_list(scan, scan->start, original_label(name), BOUNCE_LABELLED);
    }
}
