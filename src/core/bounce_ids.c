/*
 * Message-IDs in the text of a bounce: behind a label, or in a list. See bounce_text.c. No state.
 */
#include "bounce_scan.h"

#include <stdint.h>
#include <string.h>

#include "batv/address.h"

enum {
    TAGS_BEFORE = 4, /* before a label that begins its line */
    TAG_BEFORE_MAX = 4096,
    BACK_SPEED = 4, /* octets that are gone back over in a step */
    ATTRIBUTES_MAX = 300,
    GAP_MAX = 40,         /* characters between label and value */
    TAGS_AHEAD = 3,       /* before the name of another field */
    LABEL_STEPS = 16,     /* to compare a word with the labels, and to find its beginning */
    FIELD_STEPS = 16,     /* to see whether a line is a field */
    LIST_KEPT = 40,       /* of References the last ones: the nearest to the original */
    NAME_MAX_LENGTH = 60, /* of a label, octets in front of "message-id" */
    LINES_BEFORE = 4,
    WRAPPED_LINES = 3
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

size_t scan_id_length(struct octets rest)
{
    static const char *const ids[] = {"identifier", "id", NULL};
    size_t length = match_first(rest, ids);
    return length < rest.length && is_alnum(rest.start[length]) ? 0 : length;
}

/* The length of "message-id" in one of its spellings; 0: something else stands there. *hyphened: it
 * is spelled as the header field is. */
static size_t label_length(struct octets rest, bool *hyphened)
{
    static const char *const words[] = {"message", "msg", NULL};
    static const char *const hyphens[] = {"-", "&#45;", "&#8209;", "\xe2\x80\x90", "\xe2\x80\x91",
                                          NULL};
    static const char *const between[] = {"_", " ", ".", "&nbsp;", "\xc2\xa0", NULL};
    size_t length = match_first(rest, words);
    if (length == 0) {
        return 0;
    }
    struct octets behind = {rest.start + length, rest.length - length};
    size_t hyphen = match_first(behind, hyphens);
    *hyphened = hyphen > 0;
    length += hyphen > 0 ? hyphen : match_first(behind, between);
    size_t id = scan_id_length((struct octets){rest.start + length, rest.length - length});
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
static bool behind_marks(struct scan *scan, const char *name)
{
    if (name - scan->line > SCAN_WINDOW / 16) {
        return false;
    }
    const char *from = scan->gaps > scan->line ? scan->gaps : scan->line;
    struct lexer lexer = {.at = from, .end = name, .budget = scan_budget(scan), .quoted = true};
    while (lexer.at < lexer.end) {
        scan->gaps = lexer.at;
        int c = lexer_next(&lexer);
        if (!lexer_is_gap(c) && c != LEX_EMPTY && c != '>' && c != '|' && c != '*') {
            return false;
        }
    }
    return true;
}

/* Where the tag begins that ends before end; NULL: none does, or it is long. */
static const char *tag_before(const struct scan *scan, const char *end)
{
    const char *least = end - scan->start < TAG_BEFORE_MAX ? scan->start : end - TAG_BEFORE_MAX;
    const char *p = end > least ? end - 1 : end;
    if (p == end || *p != '>') {
        return NULL;
    }
    while (p > least && p[-1] != '<' && p[-1] != '>') {
        p--;
    }
    budget_spend(scan_budget(scan), (size_t)(end - p) / BACK_SPEED);
    return p > least && p[-1] == '<' ? p - 1 : NULL;
}

/* True where the name stands behind a tag that begins another line or cell. */
static bool behind_block(struct scan *scan, const char *name)
{
    const char *p = name;
    for (unsigned i = 0; i < TAGS_BEFORE; i++) {
        const char *blanks = p;
        while (p > scan->start && blanks - p < GAP_MAX && (is_blank(p[-1]) || p[-1] == '*')) {
            p--;
        }
        budget_spend(scan_budget(scan), 1 + (size_t)(blanks - p));
        const char *tag = tag_before(scan, p);
        if (tag == NULL) {
            return false;
        }
        enum lexer_division division =
            lexer_divides((struct lexer){.at = tag, .end = p, .budget = scan_budget(scan)});
        if (division != LEX_WITHIN) {
            return division == LEX_DIVIDES;
        }
        p = tag;
    }
    return false;
}

static bool begins_line(struct scan *scan, const char *name)
{
    return behind_marks(scan, name) || behind_block(scan, name);
}

/* What the names of fields that name the original have in them. */
static const char *const original_words[] = {"orig",   "parent",     "return",  "fail",
                                             "bounce", "related",    "source",  "reply",
                                             "refer",  "riferiment", "initial", "undeliver"};

/* NULL: the name says nothing of an original. */
static const char *original_label(struct octets name)
{
    for (size_t i = 0; i < sizeof original_words / sizeof original_words[0]; i++) {
        if (octets_find(name, original_words[i]) != NULL) {
            return "Original-Message-ID";
        }
    }
    return NULL;
}

/* ------------------------------------------------------------ behind a label */

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

/* True where the line before this one is a field, or one of the lines that continue it. */
static bool follows_field(const struct scan *scan, const char *line)
{
    for (unsigned i = 0; line != NULL && i < LINES_BEFORE; i++) {
        const char *end;
        line = scan_line_before(scan, line, &end);
        const char *p = line;
        while (line != NULL && p < end && (is_blank(*p) || *p == '>' || *p == '|')) {
            p++;
        }
        if (line != NULL &&
            at_field((struct lexer){.at = p, .end = end, .budget = scan_budget(scan)})) {
            return true;
        }
        line = line != NULL && p > line && p < end ? line : NULL;
    }
    return false;
}

/* A label in the text. */
struct label {
    const char *after; /* its end */
    const char *where;
    bool line;     /* it begins its line */
    bool element;  /* it is the name of one of XML */
    bool hyphened; /* it is spelled as the header field is */
};

/* True where a value ends with its line, but for a remark. */
static bool ends_value(struct lexer lexer)
{
    int c;
    do {
        c = lexer_next(&lexer);
    } while (is_blank(c) || c == LEX_TAG);
    return lexer_is_line_end(c) || c == '(';
}

/* The line behind the value that the lexer stands at is a field, too. */
static bool precedes_field(struct lexer lexer)
{
    int c;
    do {
        c = lexer_next(&lexer);
    } while (is_blank(c));
    return c == LEX_BREAK && at_field(lexer);
}

/* How sure it is that the value in brackets is a Message-ID. A word about some other message's ID
 * reads "Message ID: 5B2F-99", and a list of fields "message-id:date". */
static enum bounce_rank rank_open(const struct label *label, const struct gap *gap,
                                  const struct token *token)
{
    bool field = label->line && label->hyphened && gap->colon && token_has_digit(token);
    return token_has_at(token) || field ? BOUNCE_LABELLED : BOUNCE_MENTIONED;
}

/* The same of one without brackets, which ends where the lexer stands: only a whole field will do,
 * and without an @ only among other fields. */
static enum bounce_rank rank_bare(struct scan *scan, const struct label *label,
                                  const struct gap *gap, const struct token *token,
                                  struct lexer lexer)
{
    if (!label->line || !label->hyphened || !gap->colon || !gap->apart || !ends_value(lexer)) {
        return BOUNCE_MENTIONED;
    }
    bool among = token_has_at(token) || precedes_field(lexer) || follows_field(scan, scan->line);
    return among ? BOUNCE_LABELLED : BOUNCE_MENTIONED;
}

/* It is a list of words, not one. */
static bool token_has_marks(const struct token *token)
{
    size_t i = 0;
    while (i < token->length && strchr(":;,", token->text[i]) == NULL) {
        i++;
    }
    return i < token->length;
}

/* A value without an @ that may be one: programs count, words do not. */
static bool is_number(const struct token *token)
{
    return token_has_digit(token) && !token_has_marks(token) &&
           memchr(token->text, '=', token->length) == NULL;
}

/* Moves behind a line end where the word before it may have been wrapped. */
static bool pass_wrapping(struct lexer *lexer)
{
    int c;
    do {
        c = lexer_next(lexer);
    } while (is_blank(c));
    return c == LEX_BREAK && !at_field(*lexer);
}

static bool token_join(struct token *token, const struct token *rest)
{
    if (rest->length > BOUNCE_ID_MAX - token->length) {
        return false;
    }
    memcpy(token->text + token->length, rest->text, rest->length);
    token->length += rest->length;
    return true;
}

/* Behind a value without an @: the next lines may have the rest of it. */
static bool read_wrapped(struct lexer *lexer, const struct gap *gap, struct token *token)
{
    struct lexer ahead = *lexer;
    struct token rest;
    if ((gap->colon && !gap->apart) || token_has_marks(token)) {
        return false;
    }
    for (unsigned i = 0; i < WRAPPED_LINES && pass_wrapping(&ahead); i++) {
        if (!token_read_bare(&ahead, &rest) || !token_join(token, &rest)) {
            return false;
        }
        if (token_has_at(token)) {
            *lexer = ahead;
            return true;
        }
    }
    return false;
}

/* Behind one with an @: all of the next line may be the rest of its domain. */
static bool read_wrapped_domain(struct lexer *lexer, struct token *token)
{
    struct lexer ahead = *lexer;
    struct token rest;
    if (!pass_wrapping(&ahead) || !token_read_bare(&ahead, &rest) || !ends_value(ahead) ||
        memchr(rest.text, '.', rest.length) == NULL) {
        return false;
    }
    for (size_t i = 0; i < rest.length; i++) {
        if (!is_alnum(rest.text[i]) && rest.text[i] != '.' && rest.text[i] != '-') {
            return false;
        }
    }
    *lexer = ahead;
    return token_join(token, &rest);
}

/* It is encoded as in a link. */
static bool is_of_link(const struct token *token)
{
    static const char *const codes[] = {"%40", "%3c", "%25"};
    size_t i = 0;
    while (i < sizeof codes / sizeof codes[0] &&
           octets_find(token_octets(token), codes[i]) == NULL) {
        i++;
    }
    return i < sizeof codes / sizeof codes[0];
}

/* The word that begins where the lexer stands, and what of it is on the next line. */
static bool take_word(struct scan *scan, const struct label *label, const struct gap *gap,
                      struct lexer *lexer)
{
    struct token token;
    enum bounce_rank rank = BOUNCE_MENTIONED;
    bool strong = label->line && (gap->colon || gap->equals);
    if (!token_read_bare(lexer, &token)) {
        return false;
    }
    budget_spend(scan_budget(scan), token.length / 2);
    if (is_of_link(&token)) {
        scan_link(scan, token_octets(&token));
        return true;
    }
    struct token first = token;
    if (token_has_at(&token) && read_wrapped_domain(lexer, &token)) {
        bounce_add_id(scan->reader, token_octets(&first), label->where, BOUNCE_MENTIONED);
    } else if (token_has_at(&token) || !read_wrapped(lexer, gap, &token)) {
        token = first;
        if (!token_has_at(&token) && (!strong || gap->broken || !is_number(&token))) {
            return false;
        }
        rank = rank_bare(scan, label, gap, &token, *lexer);
    }
    bounce_add_id(scan->reader, token_octets(&token), label->where, rank);
    return true;
}

/* The value that begins where the lexer stands, without brackets: a word, or the whole line. */
static bool take_bare(struct scan *scan, const struct label *label, const struct gap *gap,
                      struct lexer *lexer)
{
    struct lexer line = *lexer;
    struct token token;
    bool taken = take_word(scan, label, gap, lexer);
    if (label->line && gap->apart && !gap->broken && token_read_line(&line, &token) &&
        token_has_at(&token)) {
        bounce_add_id(scan->reader, token_octets(&token), label->where, BOUNCE_MENTIONED);
        taken = true;
    }
    return taken;
}

/* The same in brackets, of which the opening one is passed. */
static bool take_open(struct scan *scan, const struct label *label, const struct gap *gap,
                      struct lexer *lexer)
{
    struct token token;
    bool strong = label->line && (gap->colon || gap->equals);
    if (!token_read_bracketed(lexer, false, &token) ||
        !(token_has_at(&token) || (strong && is_number(&token)))) {
        return false;
    }
    bounce_add_id(scan->reader, token_octets(&token), label->where, rank_open(label, gap, &token));
    return true;
}

/* Answers where the pass goes on. */
static const char *read_labelled(struct scan *scan, const struct label *label)
{
    struct lexer lexer = scan_lexer(scan, label->after, SCAN_WINDOW);
    struct gap gap;
    if (!scan_gap(&lexer, &gap)) {
        return label->element ? scan_failed(label->after - 1, lexer.at) : label->after;
    }
    bool taken =
        gap.open ? take_open(scan, label, &gap, &lexer) : take_bare(scan, label, &gap, &lexer);
    return taken ? lexer.at : scan_failed(label->after - 1, lexer.at);
}

/* Where the value begins behind a name that is an element's of XML: behind its attributes. after,
 * where it is something else; NULL: it has no value. */
static const char *element_value(const struct scan *scan, const char *name, const char *after)
{
    const char *p = name;
    while (p > scan->start && name - p < NAME_MAX_LENGTH && (is_alnum(p[-1]) || p[-1] == ':')) {
        p--;
    }
    struct octets rest = scan_rest(scan, after);
    if (p > scan->start && p[-1] == '/') {
        return octets_begin(rest, ">") || octets_begin(rest, "&gt;") ? NULL : after;
    }
    if (p == scan->start || p[-1] != '<') {
        return after;
    }
    rest.length = rest.length < ATTRIBUTES_MAX ? rest.length : ATTRIBUTES_MAX;
    budget_spend(scan_budget(scan), LABEL_STEPS);
    const char *close = rest.length > 0 ? memchr(after, '>', rest.length) : NULL;
    size_t length = close != NULL ? (size_t)(close - after) : 0;
    if (close == NULL || memchr(after, '<', length) != NULL || memchr(after, '@', length) != NULL) {
        return after;
    }
    return octets_begin(scan_rest(scan, close + 1), "</") || close[-1] == '/' ? NULL : close + 1;
}

const char *scan_message_id(struct scan *scan, const char *at)
{
    struct label label = {.hyphened = false};
    size_t length = label_length(scan_rest(scan, at), &label.hyphened);
    budget_spend(scan_budget(scan), LABEL_STEPS);
    if (length == 0) {
        return at + 1;
    }
    struct octets name = full_name(scan, at, length);
    const char *where = original_label(name);
    label.after = element_value(scan, name.start, at + length);
    if (label.after == NULL) {
        return at + length;
    }
    label.element = label.after > at + length;
    label.where = where != NULL ? where : scan->where;
    label.line = begins_line(scan, name.start);
    return read_labelled(scan, &label);
}

/* ------------------------------------------------- References, In-Reply-To */

static bool ends_list(const struct lexer *lexer, int c, bool filled)
{
    return c == LEX_END || c == LEX_EMPTY || (filled && (c == '"' || c == '}')) ||
           (c == LEX_BREAK &&
            (at_field(*lexer) || (!lexer->indented && *lexer->at != '<' && *lexer->at != '&')));
}

/* Whose list it is. */
struct list {
    const char *where;
    enum bounce_rank rank; /* of what stands in it in brackets */
    enum bounce_rank bare; /* of what stands in it without */
};

/* The next Message-ID of a list, whose first character c has been read; before is the lexer before
 * that. False: none begins here. */
static bool read_member(struct lexer *lexer, struct lexer before, int c, const struct list *list,
                        struct token *token, enum bounce_rank *rank)
{
    *rank = list->rank;
    if (c == '<') {
        return token_read_bracketed(lexer, false, token) &&
               (token_has_at(token) || list->bare == list->rank || is_number(token));
    }
    *rank = list->bare;
    if (c > ' ' && c != '"' && c != '>') {
        *lexer = before;
        return token_read_bare(lexer, token) && token_has_at(token);
    }
    return false;
}

/* Goes through a list, adding the Message-IDs from number first on. Answers how many there are. */
static size_t walk_list(struct scan *scan, struct lexer *lexer, size_t first,
                        const struct list *list)
{
    struct token token;
    size_t count = 0;
    for (;;) {
        struct lexer before = *lexer;
        enum bounce_rank rank;
        int c = lexer_next(lexer);
        if (ends_list(lexer, c, count > 0) || budget_used_up(lexer->budget)) {
            return count;
        }
        bool found = read_member(lexer, before, c, list, &token, &rank);
        count += found;
        if (found && count > first) {
            bounce_add_id(scan->reader, token_octets(&token), list->where, rank);
        }
    }
}

/* The list that begins at at; answers how many are in it. The pass goes over it again, for it may
 * have no end where there should be one, and something else in it; but not as a list, or that would
 * take for ever. */
static size_t read_list(struct scan *scan, const char *at, const struct list *list)
{
    if (at < scan->listed) {
        return 0;
    }
    struct lexer lexer = scan_lexer(scan, at, SIZE_MAX);
    struct lexer counter = lexer;
    size_t count = walk_list(scan, &counter, SIZE_MAX, list);
    walk_list(scan, &lexer, count > LIST_KEPT ? count - LIST_KEPT : 0, list);
    scan->listed = lexer.at;
    return count;
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
    struct lexer next = lexer;
    int first = lexer_next(&next);
    if (c == ':' && (lexer_is_gap(first) || first == '<')) { /* no list of names of fields */
        const struct list list = {label, BOUNCE_REFERENCE, BOUNCE_MENTIONED};
        read_list(scan, lexer.at, &list);
    }
    return at + strlen(label);
}

/* --------------------------------------------------------------- own fields */

/* True for X-Anything-Message-ID, -MessageID and -Message_ID. The name alone is the bounce's own.
 */
static bool ends_in_message_id(struct octets name)
{
    static const char *const ends[] = {"message-id", "message_id", "messageid",
                                       "msg-id",     "msg_id",     "msgid"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t length = strlen(ends[i]);
        if (name.length > length &&
            octets_begin((struct octets){name.start + name.length - length, length}, ends[i])) {
            return !octets_begin(name, "Resent-");
        }
    }
    return false;
}

static bool ends_in(struct octets name, const char *end)
{
    size_t length = strlen(end);
    return name.length >= length &&
           octets_equal((struct octets){name.start + name.length - length, length}, end);
}

/* A field that may name the original, or a number of its maker's: which, only its name tells. */
static void read_own_id(struct scan *scan, struct octets name)
{
    const char *where = original_label(name);
    const enum bounce_rank rank = where != NULL ? BOUNCE_LABELLED : BOUNCE_MENTIONED;
    const struct list list = {where != NULL ? where : "header", rank, rank};
    if (read_list(scan, scan->start, &list) == 0) {
        struct lexer lexer = scan_lexer(scan, scan->start, SCAN_WINDOW);
        struct token token;
        if (token_read_line(&lexer, &token) && is_number(&token)) {
            bounce_add_id(scan->reader, token_octets(&token), list.where, rank);
        }
    }
}

void scan_own_field(struct scan *scan, struct octets name)
{
    if (ends_in(name, "References")) {
        const struct list list = {"References", BOUNCE_REFERENCE, BOUNCE_REFERENCE};
        read_list(scan, scan->start, &list);
    } else if (ends_in(name, "In-Reply-To")) {
        const struct list list = {"In-Reply-To", BOUNCE_LABELLED, BOUNCE_LABELLED};
        read_list(scan, scan->start, &list);
    } else if (ends_in_message_id(name)) {
        read_own_id(scan, name);
    }
}
