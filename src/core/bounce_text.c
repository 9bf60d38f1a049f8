/*
 * The search. One pass looks for the characters that begin what is looked for; what begins there is
 * read by a lexer that sees through disguises, and the pass goes on behind it, or, where it was
 * nothing, close behind its beginning. How far a reading may look before it fails is bounded, so
 * that the whole takes linear time; the reader's budget bounds it once more.
 *
 * What is found is copied into the reader's bounce. No state.
 */
#include "batv/bounce_text.h"

#include <limits.h>
#include <string.h>

#include "batv/address.h"
#include "bounce_lexer.h"

enum {
    WINDOW = 4096, /* octets in which one Message-ID, tag or evidence stands */
    GAP_MAX = 40,  /* characters between label and value */
    COMMENT_MAX = 100,
    COMMENTS_MAX = 2,     /* between label and value */
    TAGS_AHEAD = 3,       /* before the name of another field */
    LABEL_STEPS = 16,     /* to compare a word with the labels, and to find its beginning */
    FIELD_STEPS = 16,     /* to see whether a line is a field */
    PASS_OCTETS = 4,      /* that the pass goes over in a step */
    LIST_KEPT = 40,       /* of References the last ones: the nearest to the original */
    FAILED_MAX = 64,      /* octets that are looked at twice */
    NAME_MAX_LENGTH = 60, /* of a label, octets in front of "message-id" */
    BRACKETS_MAX = 3,     /* before a Message-ID */
    GAPS_MAX = 100,       /* blanks, breaks and tags within one */
    TAG_HEX = 10,
    ADDRESS_ROOM = 300,
    LOCAL_ROOM = 120,     /* generous: 64 is what a local part may have */
    EVIDENCE_ROOM = 1024, /* octets; batv/evidence.h looks at no more */
    EVIDENCE_DAY = 8,     /* digits with the semicolon, at most */
    EVIDENCE_NONCE = 16,
    EVIDENCE_MAC = 24,
    PLAUSIBLE_DIGITS = 4,
    PLAUSIBLE_LENGTH = 16
};

struct scan {
    struct bounce_reader *reader;
    const char *where;
    const char *start; /* of the text */
    const char *end;
    const char *line;   /* where the line begins in which the pass is */
    const char *listed; /* up to where lists have been read */
    const char *gaps;   /* up to where there is nothing but marks and markup in the line */
    const char *judged; /* the line of which quoted speaks; NULL: none yet */
    bool quoted;        /* it begins with the mark of a quotation */
};

/* A value that is being read. */
struct token {
    char text[BOUNCE_ID_MAX + 1];
    size_t length;
    bool too_long;
};

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t';
}

static struct octets rest_at(const struct scan *scan, const char *at)
{
    return (struct octets){at, (size_t)(scan->end - at)};
}

static struct budget *budget_of_scan(const struct scan *scan)
{
    return scan->reader->budget;
}

/* Quoted lines are those that begin with the mark of one. Looks at each line once: it may begin
 * with a megabyte of blanks. */
static bool line_is_quoted(struct scan *scan)
{
    const char *p = scan->line;
    if (scan->judged != p) {
        while (p < scan->end && is_blank(*p)) {
            p++;
        }
        budget_spend(budget_of_scan(scan), (size_t)(p - scan->line));
        scan->quoted = p < scan->end && (*p == '>' || *p == '|');
        scan->judged = scan->line;
    }
    return scan->quoted;
}

static struct lexer lexer_at(struct scan *scan, const char *at, size_t window)
{
    size_t length = (size_t)(scan->end - at);
    return (struct lexer){
        .at = at,
        .end = at + (length < window ? length : window),
        .budget = budget_of_scan(scan),
        .quoted = line_is_quoted(scan),
    };
}

/* Where the pass goes on after a reading that began at at and came to nothing at stop. */
static const char *after_failure(const char *at, const char *stop)
{
    return stop - at > FAILED_MAX ? stop : at + 1;
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

/* What was seen between a label and its value. */
struct gap {
    bool colon;  /* a field, not a phrase */
    bool equals; /* the same, but no header's */
    bool broken; /* the value is on another line */
    bool open;   /* an angle bracket was passed, the value stands in it */
};

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

/* Moves to the value. False: there is none. */
static bool skip_gap(struct lexer *lexer, struct gap *gap)
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
    struct lexer lexer = lexer_at(scan, after, WINDOW);
    struct gap gap;
    struct token token;
    if (!skip_gap(&lexer, &gap)) {
        return after;
    }
    struct lexer value = lexer;
    bool strong = line_label && (gap.colon || gap.equals);
    bool read = gap.open ? read_bracketed(&lexer, false, &token) : read_bare(&lexer, &token);
    bool taken = read && (token_has_at(&token) || (strong && (gap.open || !gap.broken)));
    if (!taken) {
        return after_failure(after, lexer.at);
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
    if (name - scan->line > WINDOW / 16) {
        return false;
    }
    const char *from = scan->gaps > scan->line ? scan->gaps : scan->line;
    struct lexer lexer = {.at = from, .end = name, .budget = budget_of_scan(scan), .quoted = true};
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

static const char *scan_message_id(struct scan *scan, const char *at)
{
    size_t length = label_length(rest_at(scan, at));
    budget_spend(budget_of_scan(scan), LABEL_STEPS);
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
    struct lexer lexer = lexer_at(scan, at, SIZE_MAX);
    struct lexer counter = lexer;
    size_t count = walk_list(scan, &counter, SIZE_MAX, where, rank);
    walk_list(scan, &lexer, count > LIST_KEPT ? count - LIST_KEPT : 0, where, rank);
    scan->listed = lexer.at;
}

static const char *scan_list(struct scan *scan, const char *at, const char *label)
{
    struct octets rest = rest_at(scan, at);
    if (!octets_begin(rest, label) || !begins_line(scan, full_name(scan, at, 0).start)) {
        return at + 1;
    }
    struct lexer lexer = lexer_at(scan, at + strlen(label), WINDOW);
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
static const char *scan_id(struct scan *scan, const char *at)
{
    size_t length = id_length(rest_at(scan, at));
    struct lexer lexer = lexer_at(scan, at + length, WINDOW);
    struct gap gap;
    struct token token;
    if (length > 0 && skip_gap(&lexer, &gap) && (gap.colon || gap.equals) && !gap.open &&
        read_bare(&lexer, &token) && is_plausible(&token)) {
        bounce_add_id(scan->reader, token_octets(&token), scan->where, BOUNCE_UNLABELLED);
        return lexer.at;
    }
    return length > 0 ? after_failure(at + length - 1, lexer.at) : at + 1;
}

static const char *scan_token(struct scan *scan, const char *at)
{
    struct lexer lexer = lexer_at(scan, at, WINDOW);
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
static bool find_prefix_tag(struct scan *scan, const char *at)
{
    bool quoted = at > scan->start && at[-1] == '"';
    struct address_text out = {.length = 0};
    struct lexer lexer = lexer_at(scan, at + 5, WINDOW);
    if (!put_all(&out, quoted ? at - 1 : at, at + 5) || !read_tag(&lexer, &out) ||
        lexer_next(&lexer) != '=' || !put(&out, '=')) {
        return false;
    }
    struct address_text bare = out;
    struct lexer again = lexer;
    if (read_local(&lexer, quoted, &out) && read_domain(&lexer, &out)) {
        add_tag(scan, &out);
        return true;
    }
    /* The quote was not the address's own. */
    memmove(bare.text, bare.text + quoted, bare.length - quoted);
    bare.length -= quoted;
    if (quoted && read_local(&again, false, &bare) && read_domain(&again, &bare)) {
        add_tag(scan, &bare);
        return true;
    }
    return false;
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

static void add_subaddress(struct scan *scan, const char *from, const char *to, struct lexer lexer)
{
    struct address_text out = {.length = 0};
    if (*from != '+' && put_all(&out, from, to) && put(&out, '@') && read_domain(&lexer, &out)) {
        add_tag(scan, &out);
    }
}

/* local+prvs=KDDDSSSSSS@domain; plus is the '+'. */
static void find_subaddress_tag(struct scan *scan, const char *plus)
{
    struct address_text tag = {.length = 0};
    struct lexer lexer = lexer_at(scan, plus + 6, WINDOW);
    if (!read_tag(&lexer, &tag)) {
        return;
    }
    bool quoted = lexer.at < lexer.end && *lexer.at == '"';
    const char *to = lexer.at + quoted;
    lexer.at = to;
    if (to - (plus + 6) != TAG_HEX + quoted || lexer_next(&lexer) != '@') {
        return;
    }
    const char *from = find_local(scan, plus, quoted);
    add_subaddress(scan, from, to, lexer);
    /* envelope-from=local+prvs=...: the '=' may stand before the address. */
    const char *equals = memchr(from, '=', (size_t)(plus - from));
    if (equals != NULL && !quoted) {
        add_subaddress(scan, equals + 1, to, lexer);
    }
}

static const char *scan_tag(struct scan *scan, const char *at)
{
    if (!octets_begin(rest_at(scan, at), "prvs=")) {
        return at + 1;
    }
    if (scan->reader->bounce->tag_count == BOUNCE_TAGS) {
        return at + 5;
    }
    if (!find_prefix_tag(scan, at) && at > scan->start && at[-1] == '+') {
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

static const char *scan_evidence(struct scan *scan, const char *at)
{
    static const char label[] = "x-batv-evidence";
    if (!octets_begin(rest_at(scan, at), label)) {
        return at + 1;
    }
    const char *after = at + sizeof label - 1;
    struct lexer lexer = lexer_at(scan, after, WINDOW);
    struct gap gap;
    struct evidence_text value = {.length = 0};
    if (skip_gap(&lexer, &gap) && gap.colon && !gap.open && read_evidence(&lexer, &value)) {
        bounce_add_evidence(scan->reader, (struct octets){value.text, value.length});
    }
    return after;
}

/* ------------------------------------------------------------------ the pass */

/* What may begin with which two characters; few that stand side by side begin anything. */
enum {
    PAIR_ANY = 1,
    PAIR_M = 2,
    PAIR_I = 4,
    PAIR_R = 8,
    PAIR_P = 16,
    PAIR_X = 32,
    PAIR_ESCAPE = 64
};

static const unsigned char first_of_pair[UCHAR_MAX + 1] = {
    ['\n'] = PAIR_ANY, ['\r'] = PAIR_ANY,   ['<'] = PAIR_ANY,     ['m'] = PAIR_M,
    ['M'] = PAIR_M,    ['i'] = PAIR_I,      ['I'] = PAIR_I,       ['r'] = PAIR_R,
    ['R'] = PAIR_R,    ['p'] = PAIR_P,      ['P'] = PAIR_P,       ['x'] = PAIR_X,
    ['X'] = PAIR_X,    ['&'] = PAIR_ESCAPE, ['\\'] = PAIR_ESCAPE,
};

static const unsigned char second_of_pair[UCHAR_MAX + 1] = {
    ['e'] = PAIR_M | PAIR_R, ['E'] = PAIR_M | PAIR_R, ['s'] = PAIR_M,      ['S'] = PAIR_M,
    ['n'] = PAIR_I,          ['N'] = PAIR_I,          ['d'] = PAIR_I,      ['D'] = PAIR_I,
    ['r'] = PAIR_P,          ['R'] = PAIR_P,          ['-'] = PAIR_X,      ['l'] = PAIR_ESCAPE,
    ['L'] = PAIR_ESCAPE,     ['u'] = PAIR_ESCAPE,     ['U'] = PAIR_ESCAPE, ['#'] = PAIR_ESCAPE,
};

/* The next such pair at or behind at; last: there is none. */
static const char *find_pair(const char *at, const char *last)
{
    for (; at < last; at++) {
        unsigned second = second_of_pair[(unsigned char)at[1]] | PAIR_ANY;
        if ((first_of_pair[(unsigned char)at[0]] & second) != 0) {
            return at;
        }
    }
    return last;
}

/* What may begin with the pair at at; answers where the pass goes on, behind at. */
static const char *scan_at(struct scan *scan, const char *at)
{
    switch (first_of_pair[(unsigned char)*at]) {
    case PAIR_M:
        return scan_message_id(scan, at);
    case PAIR_I:
        return ascii_lower(at[1]) == 'd' ? scan_id(scan, at) : scan_list(scan, at, "In-Reply-To");
    case PAIR_R:
        return scan_list(scan, at, "References");
    case PAIR_P:
        return scan_tag(scan, at);
    case PAIR_X:
        return scan_evidence(scan, at);
    default:
        break;
    }
    if (*at == '\n' || *at == '\r') {
        scan->line = at + 1;
        return at + 1;
    }
    return scan_token(scan, at);
}

/* Behind the last line end from at to next, or line. */
static const char *find_line(const char *at, const char *next, const char *line)
{
    for (const char *p = next; p > at; p--) {
        if (p[-1] == '\n' || p[-1] == '\r') {
            return p;
        }
    }
    return line;
}

static struct scan scan_of(struct bounce_reader *reader, struct octets text, const char *where)
{
    return (struct scan){
        .reader = reader,
        .where = where,
        .start = text.start,
        .end = text.start + text.length,
        .line = text.start,
        .gaps = text.start,
        .listed = text.start,
    };
}

void bounce_scan_text(struct bounce_reader *reader, struct octets text, const char *where)
{
    struct scan scan = scan_of(reader, text, where);
    const char *last = text.length > 0 ? scan.end - 1 : scan.end;
    const char *at = text.start;
    while (at < last && !budget_used_up(reader->budget)) {
        const char *from = at;
        at = find_pair(at, last);
        budget_spend(reader->budget, 1 + (size_t)(at - from) / PASS_OCTETS);
        const char *next = at < last ? scan_at(&scan, at) : last;
        if (next > at + 1) {
            budget_spend(reader->budget, (size_t)(next - at) / PASS_OCTETS);
            scan.line = find_line(at, next, scan.line);
        }
        at = next;
    }
}

void bounce_scan_field(struct bounce_reader *reader, const struct field *field)
{
    struct scan scan = scan_of(reader, field->value, NULL);
    if (octets_equal(field->name, "References")) {
        read_list(&scan, scan.start, "References", BOUNCE_REFERENCE);
    } else if (octets_equal(field->name, "In-Reply-To")) {
        read_list(&scan, scan.start, "In-Reply-To", BOUNCE_LABELLED);
    } else if (octets_find(field->name, "message-id") != NULL &&
               original_label(field->name) != NULL) {
        read_list(&scan, scan.start, original_label(field->name), BOUNCE_LABELLED);
    }
}
