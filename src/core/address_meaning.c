/*
 * The form of an address that the MTA delivers to. A reader undoes what RFC 5322 sections 3.2 and
 * 4.4 allow around and within an address; routes (RFC 5321 appendix C, user%dom@host, dom!user,
 * "user@dom"@host) are followed where they lead over the host itself.
 *
 * Of an address that Sendmail delivers by a local mailer it says the mailbox alone, so the way
 * there is gone again, one route after another: the step whose mailbox is the one that it says is
 * the one where it stopped. Where none is (a table made another mailbox of it), routes are followed
 * only as long as they lead over the host. No state.
 */
#include "batv/address_meaning.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "batv/address_fold.h"
#include "batv/tag.h"

enum { ROUTES_MAX = 32 }; /* that are followed: each looks at the rest of the text */

/* ------------------------------------------------------------- as it stands */

/* Of one address without brackets, where all of it means itself. */
static bool is_plain_domain(const char *text, size_t length)
{
    size_t label = 0;
    for (size_t i = 0; i < length; i++) {
        char c = ascii_lower(text[i]);
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                      (unsigned char)c >= 0x80;
        if (!letter && (c != '.' || label == 0)) {
            return false;
        }
        label = letter ? label + 1 : 0;
    }
    return length > 0 && text[0] != '.';
}

/* A dot-string, or a quoted string without quoted pairs; in neither what MTAs take for a route. */
static bool is_plain_local(const char *text, size_t length)
{
    static const char routes[] = "%!@\\";
    bool quoted = length > 2 && text[0] == '"' && text[length - 1] == '"';
    bool dot = true;
    text += quoted;
    length -= quoted ? 2 : 0;
    for (size_t i = 0; i < length; i++) {
        bool special = strchr(quoted ? "\"" : " \t\r\n\"(),:;<>[]", text[i]) != NULL;
        bool bare_dot = !quoted && text[i] == '.' && dot;
        if (special || bare_dot || text[i] == 0x7f || (text[i] > 0 && text[i] < 0x20) ||
            strchr(routes, text[i]) != NULL) {
            return false;
        }
        dot = text[i] == '.';
    }
    return length > 0 && (quoted || !dot);
}

static bool stands_for_itself(const char *raw)
{
    size_t length = strlen(raw);
    bool brackets = length >= 2 && raw[0] == '<' && raw[length - 1] == '>';
    raw += brackets;
    length -= brackets ? 2 : 0;
    size_t at = length;
    while (at > 0 && raw[at - 1] != '@') {
        at--;
    }
    return at > 0 && is_plain_local(raw, at - 1) && is_plain_domain(raw + at, length - at);
}

/* ---------------------------------------------------------------- the reader */

/* What has been read: words without quoting, and where the domain begins. */
struct reader {
    char *text;
    size_t used;
    size_t domain; /* behind the last @ that is not quoted; 0: there is none */
    size_t group;  /* behind the first colon; 0: there is none */
    bool blank;    /* a blank or a comment came last */
    bool word;     /* before that an octet of a word */
};

static void reader_reset(struct reader *r)
{
    *r = (struct reader){.text = r->text};
}

/* Blanks between two words: Sendmail reads a dot, Postfix refuses the address. */
static void put_word(struct reader *r, char c)
{
    if (r->blank && r->word) {
        r->text[r->used++] = '.';
    }
    r->text[r->used++] = c;
    r->blank = false;
    r->word = true;
}

/* What separates words, so that blanks beside it mean nothing. */
static void put_operator(struct reader *r, char c)
{
    r->text[r->used++] = c;
    r->blank = false;
    r->word = false;
}

/* The last octet of a comment that begins at p, or of the text. */
static const char *skip_comment(const char *p)
{
    unsigned depth = 0;
    for (; p[1] != '\0'; p++) {
        depth += *p == '(';
        depth -= *p == ')';
        if (depth == 0) {
            break;
        }
        p += *p == '\\' && p[2] != '\0';
    }
    return p;
}

/* The last octet of a quoted string that begins at p, or of the text. */
static const char *read_quoted(struct reader *r, const char *p)
{
    bool blank = r->blank;
    bool word = r->word;
    for (p++; *p != '\0' && *p != '"'; p++) {
        p += *p == '\\' && p[1] != '\0';
        r->blank = blank;
        put_word(r, *p);
        blank = false;
        word = true;
    }
    r->word = word;
    r->blank = blank;
    return *p == '\0' ? p - 1 : p;
}

/* The last octet of an address literal that begins at p, or of the text. One that does not end is
 * ended: so does Postfix. */
static const char *read_literal(struct reader *r, const char *p)
{
    for (; *p != '\0' && *p != ']' && *p != '>'; p++) {
        if (strchr(" \t\r\n\\", *p) == NULL) {
            put_operator(r, *p);
        }
    }
    put_operator(r, ']');
    return *p == ']' ? p : p - 1;
}

/* The colon ends a route of hosts, which goes; or it may have begun a group. */
static void read_colon(struct reader *r)
{
    if (r->used > 0 && r->text[0] == '@') {
        reader_reset(r);
        return;
    }
    put_operator(r, ':');
    r->group = r->group == 0 ? r->used : r->group;
}

/* Reads the octets from p on that belong together; the last of them. NULL: the address is over. */
static const char *read_some(struct reader *r, const char *p)
{
    switch (*p) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        r->blank = true;
        return p;
    case '(':
        r->blank = true;
        return skip_comment(p);
    case '"':
        return read_quoted(r, p);
    case '\\':
        if (p[1] != '\0') {
            put_word(r, *++p);
        }
        return p;
    case '<':
        reader_reset(r); /* a phrase came before */
        return p;
    case '>':
        return NULL;
    case ';':
        return NULL; /* of a group, or of nothing: MTAs take that too */
    case ',':
        if (r->used == 0 || strspn(p, ",> \t") == strlen(p)) {
            return p; /* of a list, whose other members are empty */
        }
        break;
    case ':':
        read_colon(r);
        return p;
    case '[':
        if (r->domain > 0 && r->domain == r->used) {
            return read_literal(r, p);
        }
        break;
    case '@':
        put_operator(r, '@');
        r->domain = r->used;
        return p;
    default:
        break;
    }
    if (strchr(".%!^/[]+,;", *p) != NULL) {
        put_operator(r, *p);
    } else {
        put_word(r, *p);
    }
    return p;
}

/* A group's name goes where the group has ended; without that the colon is an octet like others. */
static void end_group(struct reader *r)
{
    memmove(r->text, r->text + r->group, r->used - r->group);
    r->used -= r->group;
    r->domain = r->domain > r->group ? r->domain - r->group : 0;
}

/* Without what quotes may have kept, which MTAs take out all the same, and without dots at the
 * end. */
static void trim_domain(char *domain)
{
    size_t used = 0;
    for (const char *p = domain + strspn(domain, " \t"); *p != '\0'; p++) {
        if (*p != '"' && *p != '\\') {
            domain[used++] = *p;
        }
    }
    while (used > 0 && strchr(". \t", domain[used - 1]) != NULL) {
        used--;
    }
    domain[used] = '\0';
}

/* Writes local and domain; the two lie in *buffer, which the caller frees. STATUS_NO_MEMORY. */
static enum status read_address(const char *raw, char **buffer, char **local, char **domain)
{
    /* A blank is one octet at least and becomes one at most; a literal may get its end. */
    struct reader r = {.text = malloc(strlen(raw) + 3)};
    *buffer = r.text;
    if (r.text == NULL) {
        return STATUS_NO_MEMORY;
    }
    const char *p = raw;
    while (*p != '\0') {
        const char *last = read_some(&r, p);
        if (last == NULL) {
            break;
        }
        p = last + 1;
    }
    if (*p == ';') {
        end_group(&r);
    }
    r.text[r.used] = '\0';
    *local = r.text;
    *domain = r.text + r.used;
    if (r.domain > 0) {
        r.text[r.domain - 1] = '\0';
        *domain = r.text + r.domain;
        trim_domain(*domain);
    }
    return STATUS_OK;
}

/* ------------------------------------------------------------------- routes */

static bool names_host(const char *domain, const char *host)
{
    return *domain == '\0' || *domain == '[' || ascii_equal(domain, "localhost") ||
           (host != NULL && ascii_equal(domain, host));
}

bool address_names_host(const struct address *address, const char *host)
{
    return names_host(address->ascii, host);
}

/* A place along the routes of an address: two texts within a copy of it. */
struct place {
    char *local;
    char *domain;
    unsigned routes; /* followed */
};

/* What the MTA says of an address: the mailbox, "" for the domain where it says that alone. */
struct word {
    const char *local;
    const char *domain;
    const char *folded; /* the mailbox, as it is compared */
};

/* True where the MTA means this place, whose local part is folded, its tag taken off or not; never
 * where it says nothing. */
static bool is_meant(const struct place *place, const struct word *word)
{
    struct tag tag;
    if (word == NULL || (*word->domain != '\0' && !ascii_equal(place->domain, word->domain))) {
        return false;
    }
    tag_split(place->local, &tag);
    size_t extension = strlen(tag.extension);
    return strcmp(place->local, word->folded) == 0 ||
           (strlen(word->folded) == tag.plain_length + extension &&
            memcmp(word->folded, tag.plain, tag.plain_length) == 0 &&
            memcmp(word->folded + tag.plain_length, tag.extension, extension) == 0);
}

/* The last of these octets in text, or NULL. */
static char *last_of(char *text, const char *octets)
{
    char *found = NULL;
    for (char *p = strpbrk(text, octets); p != NULL; p = strpbrk(p + 1, octets)) {
        found = p;
    }
    return found;
}

/* One step along the routes, in place. False: there is none. */
static bool follow_route(struct place *place)
{
    char *bang = strchr(place->local, '!');
    char *mark = bang != NULL ? bang : last_of(place->local, "%@");
    if (mark == NULL || mark == place->local || place->routes == ROUTES_MAX) {
        return false;
    }
    place->routes++;
    *mark = '\0';
    place->domain = bang != NULL ? place->local : mark + 1;
    place->local = bang != NULL ? mark + 1 : place->local;
    return true;
}

/* True for dom!user@dom, user%dom@dom and user@dom@dom: where the domain is the host's, user@dom is
 * meant. */
static bool leads_to_itself(const struct place *place)
{
    size_t length = strlen(place->domain);
    size_t local_length = strlen(place->local);
    if (length == 0 || local_length <= length + 1) {
        return false;
    }
    const char *last = place->local + local_length - length;
    return (place->local[length] == '!' && strncasecmp(place->local, place->domain, length) == 0) ||
           ((last[-1] == '%' || last[-1] == '@') && ascii_equal(last, place->domain));
}

/* Follows the routes of local@domain, the former in place. *found: the MTA means that place. A copy
 * goes the same way folded, which makes and takes no mark of a route. */
static enum status find_place(char *local, char *domain, const struct word *word, const char *host,
                              struct place *out, bool *found)
{
    char *copy = strdup(local);
    char *folded = address_fold_local(local, strlen(local));
    if (copy == NULL || folded == NULL) {
        free(copy);
        free(folded);
        return STATUS_NO_MEMORY;
    }
    struct place compared = {folded, domain, 0};
    *out = (struct place){local, domain, 0};
    *found = is_meant(&compared, word);
    while (word != NULL && !*found && follow_route(out) && follow_route(&compared)) {
        *found = is_meant(&compared, word);
    }
    if (!*found) {
        memcpy(local, copy, strlen(copy) + 1);
        *out = (struct place){local, domain, 0};
        while ((names_host(out->domain, host) || leads_to_itself(out)) && follow_route(out)) {
        }
    }
    free(copy);
    free(folded);
    return STATUS_OK;
}

/* ------------------------------------------------------------------- settling */

/* The parts of an address, which are as they are. */
static enum status take_parts(const char *local, const char *domain, struct address *out)
{
    size_t length = strlen(domain);
    length -= length > 0 && domain[length - 1] == '.';
    out->local = strdup(local);
    out->domain = strndup(domain, length);
    out->ascii = out->domain != NULL ? address_domain_ascii(out->domain) : NULL;
    if (out->local == NULL || out->ascii == NULL) {
        address_free(out);
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

/* True where all MTAs read the same: there is no route, and the domain is no name of the host's. */
static bool is_beyond_doubt(const struct place *place, const char *host)
{
    return *place->local != '\0' && strpbrk(place->local, "%!@:") == NULL &&
           is_plain_domain(place->domain, strlen(place->domain)) &&
           !names_host(place->domain, host);
}

/* local@domain, as RFC 5322 reads an address, along its routes; word is what the MTA says of it, or
 * NULL. A word that leads elsewhere is what Sendmail's tables made of the address. */
static enum status settle_by_routes(char *local, char *domain, const struct word *word,
                                    const char *host, struct address *out)
{
    struct place place;
    bool found = false;
    if (*local == '\0' && *domain == '\0') {
        bool nobody = word == NULL || *word->domain == '\0'; /* Sendmail says MAILER-DAEMON */
        return nobody ? take_parts("", "", out) : take_parts(word->local, word->domain, out);
    }
    enum status status = find_place(local, domain, word, host, &place, &found);
    if (status != STATUS_OK) {
        return status;
    }
    bool whole = word != NULL && (*word->domain != '\0' || *word->local == '\0');
    bool followed = word != NULL && strpbrk(word->local, "%!@") == NULL;
    if (whole && !found && !(followed && is_beyond_doubt(&place, host))) {
        return take_parts(word->local, word->domain, out);
    }
    bool bare = *place.domain == '\0' && host != NULL;
    return take_parts(place.local, bare ? host : place.domain, out);
}

/* By the reading local@domain and the MTA's word for it. */
static enum status settle_by_word(char *local, char *domain, const char *resolved, const char *host,
                                  struct address *out)
{
    char *buffer = NULL;
    char *mailbox = NULL;
    char *of = NULL;
    enum status status = read_address(resolved, &buffer, &mailbox, &of);
    char *folded = status == STATUS_OK ? address_fold_local(mailbox, strlen(mailbox)) : NULL;
    if (folded != NULL) {
        struct word word = {mailbox, of, folded};
        bool nobody = *mailbox == '\0' && *of == '\0';
        status =
            nobody ? take_parts("", "", out) : settle_by_routes(local, domain, &word, host, out);
    }
    free(folded);
    free(buffer);
    return folded != NULL ? status : STATUS_NO_MEMORY;
}

bool address_is_plain(const char *raw)
{
    return address_is_null(raw) || stands_for_itself(raw);
}

enum status address_settle(const char *raw, const char *resolved, const char *host,
                           struct address *out)
{
    char *buffer = NULL;
    char *local = NULL;
    char *domain = NULL;
    *out = (struct address){NULL, NULL, NULL};
    if (address_is_plain(raw)) {
        return address_parse(raw, out);
    }
    enum status status = read_address(raw, &buffer, &local, &domain);
    if (status == STATUS_OK) {
        status = resolved == NULL ? settle_by_routes(local, domain, NULL, host, out)
                                  : settle_by_word(local, domain, resolved, host, out);
    }
    free(buffer);
    return status;
}
