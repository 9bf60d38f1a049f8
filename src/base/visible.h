/* Text of whatever origin for a terminal or a page: seen as it stands, or escaped. */
#ifndef BASE_VISIBLE_H
#define BASE_VISIBLE_H

#include <stdio.h>

/* The octets of the UTF-8 character (RFC 3629) that text begins with; 0: it begins with none. */
size_t utf8_length(const char *text);

/* Prints what is printable UTF-8, and each octet of all else as \xHH: control characters, also
 * those of ISO 8859-1; what changes the direction of text, separates lines or is not seen at all;
 * what is no UTF-8. kept: characters of ASCII that are let through all the same, "\n" for lines of
 * ours. */
void visible_print(FILE *out, const char *text, const char *kept);

#endif
