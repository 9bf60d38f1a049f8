/* Files in full: every octet of them in or out, and on the disk. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "batv/status.h"

/* Reports a failed system call on path: STATUS_IO, "PATH: cannot WHAT: ..."; errno is its. */
enum status file_failed(const char *path, const char *what, struct reason *why);

/* All of the octets. False: errno. */
bool file_write_all(int fd, const void *octets, size_t size);
/* Until there are size octets, or no more: how many; -1: errno. */
ssize_t file_read_all(int fd, void *out, size_t size);

/* Waits until the disk has what was written. False: errno. */
bool file_sync(int fd);
/* The same for what the folder lists; true also where its file system cannot do that. */
bool folder_sync(const char *path);

/* The content of a regular file, NUL-terminated; the caller frees. STATUS_NOT_FOUND: there is none.
 * STATUS_IO: another error, or NUL octets. */
enum status file_read(const char *path, char **text, struct reason *why);

/* Fills fresh, a file of mode 0600 beside path, synchronises it and puts it in path's place. NULL:
 * done. Else the path at which it failed; errno is the call's, and nothing is left of fresh. */
const char *file_replace(const char *path, const char *fresh, const void *octets, size_t size);

/* A copy with owner, mode and times, to a path where nothing is yet. */
enum status file_copy(const char *from, const char *to, struct reason *why);

#endif
