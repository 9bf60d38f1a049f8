/*
 * The daemon's report as text, a line an item: `format` first, `end` last, so that a file cut short
 * is noticed. Strings that are not plain printable ASCII stand in double quotes with \", \\ and
 * \xHH. Pure, and inverses of each other, but for items of a later version, which are passed over.
 */
#ifndef STORE_STATUS_TEXT_H
#define STORE_STATUS_TEXT_H

#include <stddef.h>

#include "batv/status.h"
#include "store/status_report.h"

/* The caller frees *octets. STATUS_NO_MEMORY. */
enum status status_format(const struct status_report *report, char **octets, size_t *length);

/* octets need not be NUL-terminated. STATUS_INVALID: why names the line; *out is then
 * empty, as it is with STATUS_NO_MEMORY. */
enum status status_parse(const char *octets, size_t length, struct status_report *out,
                         struct reason *why);

#endif
