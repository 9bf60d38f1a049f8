/*
 * The map. A domain is matched as A-labels and, where that is another text, as U-labels too:
 * Postfix looks an address up in the form in which it came. Few domains get a line each, to be
 * read; many are put together into lines of moderate length, because each line costs every cleanup
 * process memory: with 5000 domains a line each takes four times as much. Postfix tries line after
 * line, so very many are parted by what they begin with, each part within an `if` of its own: of
 * 100,000 domains a look-up tries some dozens of lines in place of thousands. Nothing is used that
 * regexp: tables do not know too. Pure.
 */
#include "mta/postfix_map.h"

#include <stdlib.h>
#include <string.h>

#include "batv/address_unicode.h"

enum {
    LINES_OF_ONE = 20,
    LINE_OCTETS = 1000,
    LEAF_OCTETS = 8000, /* so much is not parted any more */
    PART_OCTETS = 400   /* less is not worth an `if` */
};

/* What all lines begin with: a tag of our form, in front of a local part that may be quoted. */
#define TAG "prvs=[0-9]{4}[0-9A-Fa-f]{6}="

static const char heading[] =
    "# batvd in Postfix: this map removes the tag from recipients in our domains. Without it\n"
    "# Postfix rejects them as unknown before it asks the milter. `batvctl mta postfix` makes it\n"
    "# for your configuration: make it again when you add or remove a domain.\n"
    "#\n"
    "# The `if` skips the list for all other recipients. The `\"?` is for quoted local parts, "
    "which\n"
    "# Postfix looks up as written; $1 restores the opening quote.\n"
    "#\n"
    "# Only for envelope recipients (recipient_canonical_maps, see main.cf). To test it:\n"
    "#     postmap -q prvs=0000000000=postmaster@DOMAIN pcre:/etc/postfix/batv.pcre\n"
    "\n";

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
    items = reallocarray(line->items, line->length + room, sizeof *items);
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

/* What has to be matched: domains as A-labels and as U-labels. Own their texts. */
struct forms {
    char **items;
    size_t count;
};

static bool forms_add(struct forms *forms, const char *dot, const char *domain)
{
    char *form = NULL;
    if (asprintf(&form, "%s%s", dot, domain) < 0) {
        return false;
    }
    forms->items[forms->count++] = form;
    return true;
}

static bool forms_add_domain(struct forms *forms, const char *ascii)
{
    if (!is_fit(ascii)) {
        return true;
    }
    /* The dot in front of subdomains is no label. */
    const char *dot = ascii[0] == '.' ? "." : "";
    const char *name = ascii + strlen(dot);
    char *unicode = address_domain_unicode(name);
    bool done = unicode != NULL && forms_add(forms, dot, name) &&
                (strcmp(unicode, name) == 0 || forms_add(forms, dot, unicode));
    free(unicode);
    return done;
}

static bool forms_make(struct forms *forms, const char *const domains[], size_t count)
{
    forms->items = calloc(2 * count + 1, sizeof *forms->items);
    bool done = forms->items != NULL;
    for (size_t i = 0; i < count && done; i++) {
        done = forms_add_domain(forms, domains[i]);
    }
    return done;
}

static void forms_free(struct forms *forms)
{
    for (size_t i = 0; i < forms->count; i++) {
        free(forms->items[i]);
    }
    free(forms->items);
}

/* About what they take in the map. */
static size_t forms_octets(char *const forms[], size_t count)
{
    size_t octets = 0;
    for (size_t i = 0; i < count; i++) {
        octets += strlen(forms[i]) + 4;
    }
    return octets;
}

static int form_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_all(struct line *line, char *const forms[], size_t count)
{
    bool done = true;
    for (size_t i = 0; i < count && done; i++) {
        done = add(line, forms[i]);
    }
    return done;
}

/* How many of the forms, which are sorted, have the same octet at depth as the first. Those that
 * are no ASCII stay together: a character must not be cut in two. */
static size_t run_length(char *const forms[], size_t count, size_t depth)
{
    unsigned char first = (unsigned char)forms[0][depth];
    size_t length = 1;
    while (length < count) {
        unsigned char next = (unsigned char)forms[length][depth];
        if (next != first && (next < 0x80 || first < 0x80)) {
            break;
        }
        length++;
    }
    return length;
}

/* False: no memory. Domains in front of which the dot stands begin behind any other. */
static bool open_if(FILE *out, const char *form, size_t length)
{
    char *begin = strndup(form, length);
    char *escaped = malloc(2 * length + 1);
    bool done = begin != NULL && escaped != NULL;
    if (done) {
        escape(begin, escaped);
        fprintf(out, "if /%s%s[^@]*$/\n", form[0] == '.' ? "" : "@", escaped);
    }
    free(begin);
    free(escaped);
    return done;
}

/* Prints forms that are sorted and have the same depth octets in front. */
static bool print_part(struct line *line, char *const forms[], size_t count, size_t depth)
{
    bool leaf = forms_octets(forms, count) <= LEAF_OCTETS;
    while (!leaf && run_length(forms, count, depth) == count) {
        leaf = (unsigned char)forms[0][depth] >= 0x80 || forms[0][depth] == '\0';
        depth++;
    }
    if (leaf) {
        return add_all(line, forms, count);
    }
    bool done = true;
    for (size_t start = 0, length = 0; start < count && done; start += length) {
        char *const *run = forms + start;
        length = run_length(run, count - start, depth);
        bool ascii = (unsigned char)run[0][depth] < 0x80;
        if (!ascii || forms_octets(run, length) < PART_OCTETS) {
            done = add_all(line, run, length);
            continue;
        }
        flush(line);
        done = open_if(line->out, run[0], depth + 1) && print_part(line, run, length, depth + 1);
        flush(line);
        fputs("endif\n", line->out);
    }
    return done;
}

bool postfix_map_print(const char *const domains[], size_t count, FILE *out)
{
    struct line line = {.out = out, .limit = count > LINES_OF_ONE ? LINE_OCTETS : 0};
    struct forms forms = {.items = NULL};
    fputs(heading, out);
    if (count == 0) {
        fputs("# No domains are configured.\n", out);
    }
    fputs("if /^\"?" TAG "/\n", out);
    bool done = forms_make(&forms, domains, count);
    if (done && forms_octets(forms.items, forms.count) > LEAF_OCTETS) {
        qsort(forms.items, forms.count, sizeof *forms.items, form_compare);
    }
    done = done && print_part(&line, forms.items, forms.count, 0);
    flush(&line);
    fputs("endif\n", out);
    forms_free(&forms);
    free(line.items);
    return done;
}

char *postfix_map_text(const struct settings *settings)
{
    const char **domains = calloc(settings->domain_count + 1, sizeof *domains);
    char *text = NULL;
    size_t length;
    FILE *out = domains != NULL ? open_memstream(&text, &length) : NULL;
    for (size_t i = 0; out != NULL && i < settings->domain_count; i++) {
        domains[i] = settings->domain[i].name;
    }
    bool done = out != NULL && postfix_map_print(domains, settings->domain_count, out);
    if (out != NULL && (fclose(out) != 0 || !done)) {
        free(text);
        text = NULL;
    }
    free(domains);
    return text;
}
