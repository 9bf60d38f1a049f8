/* Message-IDs (RFC 5322 section 3.6.4) as they are compared: without brackets, white space and
 * folding, otherwise octet by octet. */
#ifndef BATV_MESSAGE_ID_H
#define BATV_MESSAGE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batv/status.h"

#define MESSAGE_ID_NAME "Message-ID"

enum { MESSAGE_ID_NONCE = 16 }; /* octets */

/* The Message-ID in a header field's value: what stands between the first < and the next >, or the
 * whole value where there are none; STATUS_NOT_FOUND: nothing is left. The caller frees *out. */
enum status message_id_clean(const char *value, size_t length, char **out);

/* True for a value by which answers can name the message: with brackets or an @. Other hosts
 * replace any other by one of their own. */
bool message_id_is_nameable(const char *value);

/* A new field's value, <NONCE@DOMAIN>, the nonce in hexadecimal digits. STATUS_INVALID: no domain
 * that can stand there (RFC 5322 section 3.6.4: a dot-atom or a literal). The caller frees *out. */
enum status message_id_make(const uint8_t nonce[static MESSAGE_ID_NONCE], const char *domain,
                            char **out);

/* True where the value of a DKIM-Signature (RFC 6376 section 3.5) or ARC-Message-Signature (RFC
 * 8617) says in its h= that it signs a field of this name: then none may be added or taken out.
 * Takes time linear in value. */
bool signature_names(const char *value, const char *name);

#endif
