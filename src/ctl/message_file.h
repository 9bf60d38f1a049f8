/* A message in a file, as a mail program or a spool keeps it. */
#ifndef CTL_MESSAGE_FILE_H
#define CTL_MESSAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct message_file {
    char *octets; /* owned */
    size_t length;
};

/* "-" is stdin. False: the reason is on stderr. */
bool message_file_read(const char *path, struct message_file *out);
void message_file_free(struct message_file *message);

#endif
