/*
 * Envelope addresses. Parsing never refuses: whatever cannot be taken apart is a local part without
 * a domain, which belongs to nobody and is judged by nobody.
 *
 * No state. Every string handed out is allocated and belongs to the caller. The only user of
 * libidn2.
 */
#include "batv/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ascii_equal(const char *a, const char *b)
{
    while (*a != '\0' && ascii_lower(*a) == ascii_lower(*b)) {
        a++;
        b++;
    }
    return ascii_lower(*a) == ascii_lower(*b);
}

bool ascii_only(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* The literal's address as inet_ntop writes it, in brackets. False: domain is no literal. */
static bool literal_format(const char *domain, char *out, size_t size)
{
    static const char tag[] = "ipv6:";
    char address[INET6_ADDRSTRLEN];
    uint8_t octets[sizeof(struct in6_addr)];
    size_t length = strlen(domain);
    size_t i = 0;
    if (length < 3 || length >= size || domain[0] != '[' || domain[length - 1] != ']') {
        return false;
    }
    for (; i < sizeof tag - 1 && ascii_lower(domain[1 + i]) == tag[i]; i++) {
    }
    bool v6 = i == sizeof tag - 1;
    int family = v6 ? AF_INET6 : AF_INET;
    const char *text = domain + 1 + (v6 ? i : 0);
    snprintf(out, size, "%.*s", (int)(domain + length - 1 - text), text);
    if (inet_pton(family, out, octets) != 1 ||
        inet_ntop(family, octets, address, sizeof address) == NULL) {
        return false;
    }
    snprintf(out, size, "[%s%s]", v6 ? tag : "", address);
    return true;
}

enum { LITERAL_ROOM = 64 }; /* more than the longest has octets */

bool address_is_literal(const char *domain)
{
    char text[LITERAL_ROOM];
    return literal_format(domain, text, sizeof text);
}

char *address_domain_ascii(const char *domain)
{
    char literal[LITERAL_ROOM];
    if (domain[0] == '[' && literal_format(domain, literal, sizeof literal)) {
        return strdup(literal);
    }
    if (!ascii_only(domain, strlen(domain))) {
        uint8_t *converted = NULL;
        int error = idn2_lookup_u8((const uint8_t *)domain, &converted,
                                   IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
        if (error == IDN2_OK) {
            char *out = strdup((const char *)converted);
            idn2_free(converted);
            return out;
        }
        if (error == IDN2_MALLOC) {
            return NULL;
        }
    }
    char *out = strdup(domain);
    for (char *p = out; p != NULL && *p != '\0'; p++) {
        *p = ascii_lower(*p);
    }
    return out;
}

char *address_domain_key(const char *name)
{
    bool dot = name[0] == '.';
    char *ascii = address_domain_ascii(name + dot);
    char *key = NULL;
    if (ascii != NULL && asprintf(&key, "%s%s", dot ? "." : "", ascii) < 0) {
        key = NULL;
    }
    free(ascii);
    return key;
}

/* The span of raw that is the address itself: without brackets and source route (RFC 5321
 * section 4.1.2, appendix C: the route is accepted and ignored). */
static const char *strip_envelope(const char *raw, size_t *length)
{
    *length = strlen(raw);
    if (*length > 0 && raw[0] == '<') {
        raw++;
        (*length)--;
        if (*length > 0 && raw[*length - 1] == '>') {
            (*length)--;
        }
    }
    if (*length > 0 && raw[0] == '@') {
        const char *colon = memchr(raw, ':', *length);
        if (colon != NULL) {
            *length -= (size_t)(colon + 1 - raw);
            raw = colon + 1;
        }
    }
    return raw;
}

/* The length of a quoted string at the start of text, with its quotes; 0: there is none. */
static size_t quoted_length(const char *text, size_t length)
{
    if (length == 0 || text[0] != '"') {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if (text[i] == '\\' && i + 1 < length) {
            i++;
        } else if (text[i] == '"') {
            return i + 1;
        }
    }
    return 0;
}

static const char *last_at(const char *text, size_t length)
{
    for (size_t i = length; i > 0; i--) {
        if (text[i - 1] == '@') {
            return text + i - 1;
        }
    }
    return NULL;
}

static char *unquote(const char *text, size_t length)
{
    char *out = malloc(length + 1);
    size_t used = 0;
    for (size_t i = 1; out != NULL && i + 1 < length; i++) {
        if (text[i] == '\\' && i + 2 < length) {
            i++;
        }
        out[used++] = text[i];
    }
    if (out != NULL) {
        out[used] = '\0';
    }
    return out;
}

enum status address_parse(const char *raw, struct address *out)
{
    size_t length = 0;
    const char *text = strip_envelope(raw, &length);

    size_t quoted = quoted_length(text, length);
    const char *at = quoted == length ? NULL : last_at(text, length);
    bool is_quoted = quoted > 0 && (quoted == length || at == text + quoted);
    size_t local_length = at != NULL ? (size_t)(at - text) : length;
    size_t domain_length = at != NULL ? length - local_length - 1 : 0;
    if (domain_length > 0 && at[domain_length] == '.') {
        domain_length--;
    }

    out->local = is_quoted ? unquote(text, local_length) : strndup(text, local_length);
    out->domain = at != NULL ? strndup(at + 1, domain_length) : strdup("");
    out->ascii = out->domain != NULL ? address_domain_ascii(out->domain) : NULL;
    if (out->local == NULL || out->ascii == NULL) {
        address_free(out);
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

void address_free(struct address *address)
{
    free(address->local);
    free(address->domain);
    free(address->ascii);
    *address = (struct address){NULL, NULL, NULL};
}

bool address_is_null(const char *raw)
{
    return raw[0] == '\0' || strcmp(raw, "<>") == 0;
}

/* RFC 5321 section 4.1.2: atext, dots between; octets above ASCII by RFC 6531. */
static bool is_dot_string(const char *local)
{
    static const char specials[] = "!#$%&'*+-/=?^_`{|}~";
    char previous = '.';
    for (const char *p = local; *p != '\0'; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                      (*p >= '0' && *p <= '9') || (unsigned char)*p >= 0x80;
        bool dot = *p == '.' && previous != '.';
        if (!letter && !dot && strchr(specials, *p) == NULL) {
            return false;
        }
        previous = *p;
    }
    return previous != '.';
}

size_t address_local_length(const char *local)
{
    size_t length = 0;
    size_t escapes = 0;
    for (const char *p = local; *p != '\0'; p++, length++) {
        escapes += *p == '"' || *p == '\\';
    }
    return is_dot_string(local) ? length : length + escapes + 2;
}

/* Writes local, quoted where it must be, to out, which has room for address_local_length octets. */
static size_t write_local(char *out, const char *local)
{
    size_t used = 0;
    bool quote = !is_dot_string(local);
    if (quote) {
        out[used++] = '"';
    }
    for (const char *p = local; *p != '\0'; p++) {
        if (quote && (*p == '"' || *p == '\\')) {
            out[used++] = '\\';
        }
        out[used++] = *p;
    }
    if (quote) {
        out[used++] = '"';
    }
    return used;
}

char *address_format(const char *local, const char *domain)
{
    size_t domain_length = strlen(domain);
    char *out = malloc(address_local_length(local) + 1 + domain_length + 1);
    if (out == NULL) {
        return NULL;
    }
    size_t used = write_local(out, local);
    if (domain_length > 0) {
        out[used++] = '@';
    }
    memcpy(out + used, domain, domain_length + 1);
    return out;
}

char *address_text(const char *raw)
{
    size_t length = strlen(raw);
    bool brackets = length >= 2 && raw[0] == '<' && raw[length - 1] == '>';
    return brackets ? strndup(raw + 1, length - 2) : strdup(raw);
}

char *address_plain(const char *local, const char *ascii)
{
    size_t local_length = strlen(local);
    size_t domain_length = strlen(ascii);
    char *out = malloc(local_length + 1 + domain_length + 1);
    if (out == NULL) {
        return NULL;
    }
    memcpy(out, local, local_length + 1);
    if (domain_length > 0) {
        out[local_length++] = '@';
    }
    memcpy(out + local_length, ascii, domain_length + 1);
    return out;
}
