/*
 * Envelope addresses (RFC 5321 section 4.1.2) as an MTA hands them to a milter: <a@b>, a@b, <user>,
 * with a source route, quoted, empty. Nothing is refused for being odd.
 */
#ifndef BATV_ADDRESS_H
#define BATV_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/status.h"

enum {
    ADDRESS_LOCAL_MAX =
        64,           /* RFC 5321 section 4.5.3.1.1, octets in the form that goes over the wire */
    ADDRESS_MAX = 254 /* RFC 5321 section 4.5.3.1.3, less the angle brackets */
};

/* Owned strings, never NULL after a successful parse. */
struct address {
    char *local;  /* without quoting, in the case in which it came */
    char *domain; /* as it came, less a final dot; "" where there was none */
    char *ascii;  /* the domain as A-labels in lower case (RFC 5890), the form that is compared */
};

/* Takes raw apart into out. Fails for want of memory only; out is then empty. */
enum status address_parse(const char *raw, struct address *out);
void address_free(struct address *address);

/* True for the null sender: "", "<>". */
bool address_is_null(const char *raw);

/* True for [192.0.2.1], [IPv6:2001:db8::1]. */
bool address_is_literal(const char *domain);

/* The domain as A-labels in lower case; octets that are no UTF-8 stay. An address literal (RFC 5321
 * section 4.1.3) in the one form that its address has. NULL: no memory. The caller frees. */
char *address_domain_ascii(const char *domain);

/* An entry of `domains` in the same form, with its leading dot. NULL: no memory. The caller frees.
 */
char *address_domain_key(const char *name);

/* local@domain as it goes over the wire, the local part quoted as a whole where it must be; only
 * the local part where domain is "". NULL: no memory. The caller frees. */
char *address_format(const char *local, const char *domain);

/* Octets of the local part as address_format writes it. */
size_t address_local_length(const char *local);

/* raw as it came, less its angle brackets. NULL: no memory. The caller frees. */
char *address_text(const char *raw);

/* local@ascii without quoting, in the case in which it came (address_fold.h: for comparing). NULL:
 * no memory. The caller frees. */
char *address_plain(const char *local, const char *ascii);

/* ASCII only, whatever the locale. Local parts are compared as address_fold.h makes them. */
static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}
bool ascii_equal(const char *a, const char *b);
bool ascii_only(const char *text, size_t length);

#endif
