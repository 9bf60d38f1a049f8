/* Message-IDs (RFC 5322 section 3.6.4) as they are compared: without brackets, white space and
 * folding, otherwise octet by octet. */
#ifndef BATV_MESSAGE_ID_H
#define BATV_MESSAGE_ID_H

#include <stddef.h>

#include "batv/status.h"

/* The Message-ID in a header field's value: what stands between the first < and the next >, or the
 * whole value where there are none; STATUS_NOT_FOUND: nothing is left. The caller frees *out. */
enum status message_id_clean(const char *value, size_t length, char **out);

#endif
