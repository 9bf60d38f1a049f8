/* A message in a file, as a mail program or a spool keeps it. */
#ifndef CTL_MESSAGE_FILE_H
#define CTL_MESSAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct message_file {
    char *octets; /* owned; without a byte order mark, empty lines and a mailbox's "From ..." before
                     the header */
    size_t length;
};

/* "-" is stdin. False: the reason is on stderr. */
bool message_file_read(const char *path, struct message_file *out);
void message_file_free(struct message_file *message);

/* The fields of its header, in their order, as a milter is given them: value folded by "\n" and the
 * white space behind it. False: no memory. */
bool message_file_fields(const struct message_file *message,
                         void (*take)(void *context, const char *name, const char *value),
                         void *context);

#endif
