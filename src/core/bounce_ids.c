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
    COMMENTS_MAX = 2,      /* between label and value */
    TAGS_AHEAD = 3,        /* before the name of another field */
    LABEL_STEPS = 16,      /* to compare a word with the labels, and to find its beginning */
    FIELD_STEPS = 16,      /* to see whether a line is a field */
    LIST_KEPT = 40,        /* of References the last ones: the nearest to the original */
    NAME_MAX_LENGTH = 60,  /* of a label, octets in front of "message-id" */
    BRACKETS_MAX = 3,      /* before a Message-ID */
    GAPS_MAX = 100,        /* blanks, breaks and tags within one */
    LINE_BEFORE_MAX = 256, /* octets of a line that is looked back at */
    LINES_BEFORE = 4,
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

static bool token_has_digit(const struct token *token)
{
    size_t i = 0;
    while (i < token->length && !is_digit(token->text[i])) {
        i++;
    }
    return i < token->length;
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
        } else if (c < ' ') {
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
        gap->apart = gap->colon && (gap->apart || is_blank(c) || c == LEX_BREAK);
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

/* The line that ends before line, without its end; NULL: there is none, or it is long. */
static const char *line_before(const struct scan *scan, const char *line, const char **end)
{
    const char *p = line;
    p -= p > scan->start && p[-1] == '\n';
    p -= p > scan->start && p[-1] == '\r';
    *end = p;
    while (p > scan->start && *end - p < LINE_BEFORE_MAX && p[-1] != '\n' && p[-1] != '\r') {
        p--;
    }
    budget_spend(scan_budget(scan), (size_t)(line - p));
    return p < *end && *end - p < LINE_BEFORE_MAX ? p : NULL;
}

/* True where the line before this one is a field, or one of the lines that continue it. */
static bool follows_field(const struct scan *scan, const char *line)
{
    for (unsigned i = 0; line != NULL && i < LINES_BEFORE; i++) {
        const char *end;
        line = line_before(scan, line, &end);
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
    bool hyphened; /* it is spelled as the header field is */
};

/* True where a value ends with its line, but for a remark. */
static bool ends_value(struct lexer lexer)
{
    int c;
    do {
        c = lexer_next(&lexer);
    } while (is_blank(c) || c == LEX_TAG);
    return is_line_end(c) || c == '(';
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

/* Behind a value without an @: the next line may have the rest of it. */
static bool read_wrapped(struct lexer *lexer, const struct gap *gap, struct token *token)
{
    struct lexer ahead = *lexer;
    struct token rest;
    int c;
    if ((gap->colon && !gap->apart) || token_has_marks(token)) {
        return false;
    }
    do {
        c = lexer_next(&ahead);
    } while (is_blank(c));
    if (c != LEX_BREAK || at_field(ahead) || !read_bare(&ahead, &rest) ||
        !(token_has_at(&rest) || rest.text[0] == '@') ||
        rest.length > BOUNCE_ID_MAX - token->length) {
        return false;
    }
    memcpy(token->text + token->length, rest.text, rest.length);
    token->length += rest.length;
    *lexer = ahead;
    return token_has_at(token);
}

/* The word that begins where the lexer stands, and what of it is on the next line. */
static bool take_word(struct scan *scan, const struct label *label, const struct gap *gap,
                      struct lexer *lexer)
{
    struct token token;
    enum bounce_rank rank = BOUNCE_MENTIONED;
    bool strong = label->line && (gap->colon || gap->equals);
    if (!read_bare(lexer, &token)) {
        return false;
    }
    if (token_has_at(&token) || !read_wrapped(lexer, gap, &token)) {
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
    if (label->line && gap->apart && !gap->broken && read_line(&line, &token) &&
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
    if (!read_bracketed(lexer, false, &token) ||
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
        return label->after;
    }
    bool taken =
        gap.open ? take_open(scan, label, &gap, &lexer) : take_bare(scan, label, &gap, &lexer);
    return taken ? lexer.at : scan_failed(label->after, lexer.at);
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
    label.after = at + length;
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
        return read_bracketed(lexer, false, token) &&
               (token_has_at(token) || list->bare == list->rank || is_number(token));
    }
    *rank = list->bare;
    if (c > ' ' && c != '"' && c != '>') {
        *lexer = before;
        return read_bare(lexer, token) && token_has_at(token);
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
        if (read_line(&lexer, &token) && is_number(&token)) {
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
