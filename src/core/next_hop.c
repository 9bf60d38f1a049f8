/*
 * Next hops as text. Nothing here is looked up. No state. Whoever wrote the text may be hostile (a
 * recipient's domain) or odd (a transport's argument of an administrator), so what makes no sense
 * is no host, and never an error.
 */
#include "batv/next_hop.h"

#include <string.h>

#include "batv/address.h"

enum { LABEL_MAX = 63 };

/* Letters, digits, - and _ in labels: what needs an escape in DNS's notation is no host. */
static bool is_label(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = ascii_lower(text[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')) {
            return false;
        }
    }
    return length > 0 && length <= LABEL_MAX;
}

static bool take_name(const char *text, size_t length, struct next_hop *out)
{
    if (length > 0 && text[length - 1] == '.') {
        length--;
    }
    if (length == 0 || length >= sizeof out->name) {
        return false;
    }
    for (size_t from = 0; from <= length;) {
        const char *dot = memchr(text + from, '.', length - from);
        size_t label = dot != NULL ? (size_t)(dot - text) - from : length - from;
        if (!is_label(text + from, label)) {
            return false;
        }
        from += label + 1;
    }
    for (size_t i = 0; i < length; i++) {
        out->name[i] = ascii_lower(text[i]);
    }
    out->name[length] = '\0';
    return true;
}

static bool take_literal(const char *text, size_t length, struct next_hop *out)
{
    char address[64];
    if (length >= sizeof address) {
        return false;
    }
    memcpy(address, text, length);
    address[length] = '\0';
    out->literal = ip_parse(address, &out->ip);
    return out->literal;
}

/* The length of what stands in brackets at the start of text, without them; 0: nothing does. */
static size_t bracketed(const char *text, size_t length)
{
    const char *end = length > 0 && text[0] == '[' ? memchr(text, ']', length) : NULL;
    return end != NULL ? (size_t)(end - text) - 1 : 0;
}

bool next_hop_of_domain(const char *domain, struct next_hop *out)
{
    size_t length = strlen(domain);
    size_t inside = bracketed(domain, length);
    *out = (struct next_hop){.mx = true};
    if (domain[0] == '[') {
        return inside + 2 == length && take_literal(domain + 1, inside, out);
    }
    return take_name(domain, length, out);
}

/* One host and what belongs to it: its length; *found where it is one. text has no blanks. */
static size_t take_host(const char *text, size_t length, struct next_hop *out, bool *found)
{
    size_t inside = bracketed(text, length);
    *out = (struct next_hop){.mx = inside == 0};
    if (inside > 0) {
        *found = take_literal(text + 1, inside, out) || take_name(text + 1, inside, out);
        return inside + 2;
    }
    if (take_literal(text, length, out)) {
        *found = true;
        return length;
    }
    const char *colon = memchr(text, ':', length);
    size_t end = colon != NULL ? (size_t)(colon - text) : length;
    *found = take_literal(text, end, out) || take_name(text, end, out);
    return end;
}

/* The length of ":port" or ":service" at the start of text. What has a dot or a bracket is another
 * host. */
static size_t port_length(const char *text, size_t length)
{
    if (length == 0 || text[0] != ':') {
        return 0;
    }
    size_t end = 1;
    while (end < length && text[end] != ':') {
        end++;
    }
    bool host = memchr(text, '.', end) != NULL || memchr(text, '[', end) != NULL;
    return host ? 1 : end;
}

/* A path, or a scheme of Postfix's LMTP in front of a host: how much of text is not the host. */
static size_t prefix_length(const char *text, size_t length)
{
    static const char scheme[] = "inet:";
    if (memchr(text, '/', length) != NULL) {
        return length;
    }
    size_t size = sizeof scheme - 1;
    return length > size && strncmp(text, scheme, size) == 0 ? size : 0;
}

bool next_hop_take(const char **rest, struct next_hop *out)
{
    static const char between[] = " \t,:";
    bool found = false;
    while (!found) {
        const char *text = *rest + strspn(*rest, between);
        if (*text == '\0') {
            *rest = text;
            return false;
        }
        size_t length = strcspn(text, " \t,");
        size_t used = prefix_length(text, length);
        if (used < length) {
            used += take_host(text + used, length - used, out, &found);
            used += port_length(text + used, length - used);
        }
        *rest = text + (used > 0 ? used : 1);
    }
    return true;
}
