/*
 * The reason that goes with a status: a line in a buffer of the caller's. Nothing is held here;
 * any thread may call.
 */
#include "batv/status.h"

#include <stdarg.h>
#include <stdio.h>

void reason_write(struct reason *why, const char *format, ...)
{
    if (why == NULL) {
        return;
    }

    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    if (written < 0) {
        why->text[0] = '\0';
    }

    /* A path or a value from outside may hold anything: a log line stays a line. */
    for (char *c = why->text; *c != '\0'; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' ';
        }
    }
}
