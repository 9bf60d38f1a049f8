/*
 * The files that make up a configuration, as text: read whole, refused where they cannot be one,
 * and for lists of one item a line, taken apart.
 */
#ifndef CONFIG_CONFIG_FILE_H
#define CONFIG_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/status.h"
#include "config/config_messages.h"

/* Where in the configuration a file is named: what cannot be read is reported there. */
struct config_place {
    const char *option; /* in which option; NULL: the file is the configuration itself */
    const char *file;
    unsigned line;
};

/*
 * Reads a regular file of at most limit octets. *text becomes its content with a newline at the end
 * and a NUL after it; the caller frees. Anything else is reported: what cannot be opened or is no
 * such file, NUL octets (STATUS_INVALID), and as a warning that others than the owner may write to
 * it.
 */
enum status config_file_read(const char *path, size_t limit, struct config_place named,
                             struct config_messages *messages, char **text, size_t *length);

/*
 * The next item of a list: one a line, without the white space around it, a comment from a # on
 * that begins a line or follows white space. *at starts at the text and moves on, *line starts at
 * 0. The item is NUL-terminated within the text, which is changed. NULL: no more.
 */
char *config_file_item(char **at, unsigned *line);

#endif
