/*
 * A look at a configuration's text before libconfig gets it, for what libconfig 1.5 would take
 * wrongly or refuse without saying why.
 */
#ifndef CONFIG_CONFIG_SCAN_H
#define CONFIG_CONFIG_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/status.h"
#include "config/config_messages.h"

/*
 * text is NUL-terminated and ends with a newline; it is changed in place, the number of a line
 * never. STATUS_OK: libconfig can parse it now; errors may have been reported all the same.
 * STATUS_INVALID: the text has no structure that could be followed to its end, which has been
 * reported.
 */
enum status config_scan(char *text, const char *path, struct config_messages *messages);

/*
 * Finds NAME = "TEXT" in a text of whatever structure; strings and comments are passed over. text
 * is as for config_scan and stays as it is. The string with its quotes is from *start on, of
 * *length octets. The first of several counts, one outside of all groups before others. False:
 * there is none.
 */
bool config_scan_string(char *text, const char *name, const char **start, size_t *length);

#endif
