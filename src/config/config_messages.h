/* What there is to say of a configuration file: a growing list, in the order of its finding. */
#ifndef CONFIG_CONFIG_MESSAGES_H
#define CONFIG_CONFIG_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum config_level { CONFIG_ERROR, CONFIG_WARNING };

struct config_message {
    enum config_level level;
    char *file;    /* the configuration or a list that it names */
    unsigned line; /* 0: the file as a whole */
    char *text;    /* one line of printable text: what was found, what was expected */
};

/* Starts as all zero. */
struct config_messages {
    struct config_message *items;
    size_t count;
    size_t capacity;
    size_t errors;   /* found in all */
    size_t left_out; /* found and not kept: too many, or no memory */
    bool no_memory;  /* something could not be read or told for want of memory */
};

void config_messages_add(struct config_messages *messages, enum config_level level,
                         const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Each as "FILE:LINE: error: text", "FILE: warning: text". */
void config_messages_print(const struct config_messages *messages, FILE *stream);

/* One of them in that form, without a newline. NULL: no memory. The caller frees. */
char *config_message_format(const struct config_message *message);

/*
 * length octets of a value in double quotes for a message: cut where they are many, control
 * characters as \xHH. Returns out.
 */
enum { CONFIG_QUOTED = 128 };
const char *config_quote(const char *text, size_t length, char out[static CONFIG_QUOTED]);

/* Frees what messages hold and makes them empty. */
void config_messages_free(struct config_messages *messages);

#endif
