/*
 * What Sendmail means by an address. Of one that it delivers by a local mailer it says the mailbox
 * alone, so the way there is gone again, in the steps that it takes itself: comments and blanks
 * off, the address literally, then one route after another. The step whose mailbox is the one that
 * it says is the one where it stopped. Where none is (a table made another mailbox of it), routes
 * are followed only as long as they lead over the host itself. No state.
 */
#include <stdlib.h>
#include <string.h>

#include "batv/address.h"
#include "batv/tag.h"

/* raw without brackets, and without comments and blanks outside quotes. NULL: no memory. */
static char *strip_comments(const char *raw)
{
    char *out = malloc(strlen(raw) + 1);
    size_t used = 0;
    unsigned depth = 0;
    bool quoted = false;
    for (const char *p = raw; out != NULL && *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0') {
            if (depth == 0) {
                out[used++] = *p;
                out[used++] = p[1];
            }
            p++;
            continue;
        }
        quoted = quoted != (*p == '"' && depth == 0);
        depth += *p == '(' && !quoted;
        if (depth == 0 && (quoted || strchr(" \t<>", *p) == NULL)) {
            out[used++] = *p;
        }
        depth -= *p == ')' && !quoted && depth > 0;
    }
    if (out != NULL) {
        out[used] = '\0';
    }
    return out;
}

/* True where the local part, its tag taken off or not, is the mailbox. */
static bool is_mailbox(const char *local, const char *mailbox)
{
    struct tag tag;
    tag_split(local, &tag);
    char *plain = strndup(tag.plain, tag.plain_length);
    bool same = ascii_equal(local, mailbox) || (plain != NULL && ascii_equal(plain, mailbox));
    free(plain);
    return same;
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

/* One step along the routes in local, in place. False: there is none. */
static bool follow_route(char **local, char **domain)
{
    char *bang = strchr(*local, '!');
    char *mark = bang != NULL ? bang : last_of(*local, "%@");
    if (mark == NULL) {
        return false;
    }
    *mark = '\0';
    *domain = bang != NULL ? *local : mark + 1;
    *local = bang != NULL ? mark + 1 : *local;
    return true;
}

static char *find_meaning(const struct address *whole, const char *mailbox, const char *host)
{
    char *rest = strdup(whole->local);
    char *local = rest;
    char *domain = whole->domain;
    char *out = NULL;
    if (rest != NULL) {
        bool there = is_mailbox(local, mailbox);
        while (!there && follow_route(&local, &domain)) {
            there = is_mailbox(local, mailbox);
        }
        if (!there) {
            memcpy(rest, whole->local, strlen(whole->local) + 1);
            local = rest;
            domain = whole->domain;
            while ((*domain == '\0' || (host != NULL && ascii_equal(domain, host))) &&
                   follow_route(&local, &domain)) {
            }
        }
        out = address_format(local, *domain != '\0' || host == NULL ? domain : host);
    }
    free(rest);
    return out;
}

/* The same where resolved is a mailbox alone. */
static char *find_domain(const char *raw, const char *mailbox, const char *host)
{
    struct address whole = {.local = NULL};
    char *stripped = strip_comments(raw);
    char *out = NULL;
    if (stripped != NULL && address_parse(stripped, &whole) == STATUS_OK) {
        bool nobody = *whole.local == '\0' && *whole.domain == '\0';
        out = nobody ? strdup("") : find_meaning(&whole, mailbox, host);
    }
    free(stripped);
    address_free(&whole);
    return out;
}

char *address_meaning(const char *raw, const char *resolved, const char *host)
{
    struct address mailbox;
    if (address_parse(resolved, &mailbox) != STATUS_OK) {
        return NULL;
    }
    bool whole = address_is_null(raw) || *mailbox.local == '\0' || *mailbox.domain != '\0';
    char *out = whole ? strdup(resolved) : find_domain(raw, mailbox.local, host);
    address_free(&mailbox);
    return out;
}
