/*
 * The map. A domain is matched as A-labels and, where that is another text, as U-labels too:
 * Postfix looks an address up in the form in which it came. Few domains get a line each, to be
 * read; many are put together into lines of moderate length, because each line costs every cleanup
 * process memory: with 5000 domains a line each takes four times as much. Nothing is used that
 * regexp: tables do not know too. Pure.
 */
#include "ctl/postfix_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address_unicode.h"

enum { LINES_OF_ONE = 20, LINE_OCTETS = 1000 };

/* What all lines begin with: a tag of our form, in front of a local part that may be quoted. */
#define TAG "prvs=[0-9]{4}[0-9A-Fa-f]{6}="

static const char heading[] =
    "# batvd in Postfix: the map that takes the tag off recipients in our domains, so that "
    "Postfix\n"
    "# does not refuse them as unknown before it asks the milter. `batvctl mta postfix` makes it "
    "for\n"
    "# the configuration in force: make it anew when a domain comes or goes.\n"
    "#\n"
    "# The `if` spares all other recipients the list. The `\"?` is for quoted local parts, which\n"
    "# Postfix looks up as they are written; $1 puts the opening quote back.\n"
    "#\n"
    "# Only ever for envelope recipients (recipient_canonical_maps, see main.cf). To try it:\n"
    "#     postmap -q prvs=0000000000=postmaster@DOMAIN pcre:/etc/postfix/batv.pcre\n\n";

/* A line that is being put together. */
struct line {
    FILE *out;
    char *items; /* alternatives, each behind a | */
    size_t length;
    size_t count;
    size_t limit;
};

static size_t escape(const char *text, char *out)
{
    size_t length = 0;
    for (; *text != '\0'; text++) {
        if (strchr("\\^$.[]|()?*+{}/", *text) != NULL) {
            out[length++] = '\\';
        }
        out[length++] = *text;
    }
    out[length] = '\0';
    return length;
}

static void flush(struct line *line)
{
    if (line->count > 0) {
        const char *left = line->count > 1 ? "(" : "";
        const char *right = line->count > 1 ? ")" : "";
        fprintf(line->out, "/^(\"?)" TAG "(.+@%s%s%s)$/  $1$2\n", left, line->items + 1, right);
    }
    line->length = line->count = 0;
}

/* Adds an alternative for a domain as it is to be matched. */
static bool add(struct line *line, const char *domain)
{
    static const char subdomain[] = "[^@]+";
    char *items;
    size_t room = 2 * strlen(domain) + sizeof subdomain + 2;
    if (line->count > 0 && line->length + room > line->limit) {
        flush(line);
    }
    assert(line->length + room > line->length);
    items = realloc(line->items, line->length + room);
    if (items == NULL) {
        return false;
    }
    line->items = items;
    items[line->length++] = '|';
    if (domain[0] == '.') {
        memcpy(items + line->length, subdomain, sizeof subdomain - 1);
        line->length += sizeof subdomain - 1;
    }
    line->length += escape(domain, items + line->length);
    line->count++;
    return true;
}

/* Nothing that could end the line or is no text at all: such a domain has no mail. */
static bool is_fit(const char *domain)
{
    for (const char *p = domain; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7F || *p == '@') {
            return false;
        }
    }
    return domain[0] != '\0';
}

static bool add_domain(struct line *line, const char *ascii)
{
    if (!is_fit(ascii)) {
        return true;
    }
    /* The dot in front of subdomains is no label. */
    size_t dot = ascii[0] == '.';
    char *unicode = address_domain_unicode(ascii + dot);
    char *other = NULL;
    bool done = unicode != NULL && add(line, ascii);
    if (done && strcmp(unicode, ascii + dot) != 0) {
        done = asprintf(&other, "%s%s", dot > 0 ? "." : "", unicode) >= 0;
        other = done ? other : NULL;
        done = done && add(line, other);
    }
    free(other);
    free(unicode);
    return done;
}

bool postfix_map_print(const char *const domains[], size_t count, FILE *out)
{
    struct line line = {.out = out, .limit = count > LINES_OF_ONE ? LINE_OCTETS : 0};
    bool done = true;
    fputs(heading, out);
    if (count == 0) {
        fputs("# No domains are configured.\n", out);
    }
    fputs("if /^\"?" TAG "/\n", out);
    for (size_t i = 0; i < count && done; i++) {
        done = add_domain(&line, domains[i]);
    }
    flush(&line);
    fputs("endif\n", out);
    free(line.items);
    return done;
}
