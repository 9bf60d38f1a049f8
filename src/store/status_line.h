/* The daemon's report in one line, for `systemctl status`. */
#ifndef STORE_STATUS_LINE_H
#define STORE_STATUS_LINE_H

#include <stddef.h>

#include "store/status_report.h"

/* Enough for the longest; one that does not fit is cut. */
enum { STATUS_LINE = 1024 };

/* What is wrong first, then what batvd is doing. Always terminated. */
void status_line(const struct status_report *report, char *out, size_t size);

#endif
