/*
 * A configuration's text made plain for libconfig, of which 1.5 takes some mistakes for values and
 * says of others no more than "syntax error".
 */
#ifndef CONFIG_CONFIG_SCAN_H
#define CONFIG_CONFIG_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/status.h"
#include "config/config_messages.h"

/*
 * *plain becomes a text that libconfig parses, with each setting and entry in its line; the caller
 * frees. In it each name has a * and a number behind it, so that none is there twice; an array [ ]
 * is a list ( ); and a word or number that libconfig would not take, or not as it is meant, is a
 * float: its place in text. STATUS_OK, STATUS_NO_MEMORY (*plain is NULL), or STATUS_INVALID: the
 * structure is broken, which has been reported; *plain has what stands before.
 */
enum status config_scan(const char *text, const char *path, struct config_messages *messages,
                        char **plain);

/*
 * Finds NAME = "TEXT" in a text of whatever structure; strings and comments are passed over. The
 * string with its quotes is from *start on, of *length octets. The first of several counts, one
 * outside of all groups before others. False: there is none.
 */
bool config_scan_string(const char *text, const char *name, const char **start, size_t *length);

#endif
