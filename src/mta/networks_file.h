/* A file of networks, as mynetworks and its kin name one: a list, or a cidr: table. */
#ifndef MTA_NETWORKS_FILE_H
#define MTA_NETWORKS_FILE_H

#include <stdbool.h>

#include "batv/status.h"

/* Calls take with the first word of each line, which it may change, until that answers false.
 * STATUS_NO_MEMORY: it did. Any other: the file cannot be read, and take was not called. */
enum status networks_file_read(const char *path, bool (*take)(void *self, char *item), void *self);

#endif
