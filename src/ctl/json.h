/*
 * JSON (RFC 8259), written as it comes. Text that is not UTF-8 gets U+FFFD for each wrong octet,
 * and beside it the octets in hexadecimal: "raw" for the first such text of an object, "NAME_raw"
 * for a further one. A name is NULL for the elements of an array and for the outermost value.
 */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum { JSON_DEPTH = 8 };

struct json {
    FILE *out;
    unsigned depth;
    struct {
        char closing; /* '}' or ']' */
        bool filled;
        bool raw; /* "raw" is taken */
    } levels[JSON_DEPTH];
};

/* Starts a document. */
void json_begin(struct json *json, FILE *out);
/* Ends it with a newline. Everything opened must be closed. */
void json_end(struct json *json);

/* A document on stdout that is one array, or nothing where the answer is not wanted as JSON: then
 * NULL, which json_end_list takes too. */
struct json *json_begin_list(struct json *json, bool wanted);
void json_end_list(struct json *json);

void json_open_object(struct json *json, const char *name);
void json_open_array(struct json *json, const char *name);
/* Closes what was opened last. */
void json_close(struct json *json);

void json_null(struct json *json, const char *name);
void json_bool(struct json *json, const char *name, bool value);
void json_number(struct json *json, const char *name, int64_t value);
void json_unsigned(struct json *json, const char *name, uint64_t value);
/* NULL becomes null. */
void json_text(struct json *json, const char *name, const char *value);
/* "2026-11-28" and "2026-11-28T12:00:00Z". */
void json_day(struct json *json, const char *name, int64_t day);
void json_time(struct json *json, const char *name, time_t when);

#endif
