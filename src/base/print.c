/* Words and forms for people. Pure but for the stream. */
#include "base/print.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/visible.h"
#include "batv/day.h"
#include "batv/ip.h"

void print_text(FILE *out, const char *text)
{
    visible_print(out, text, "");
}

void print_format(FILE *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(format, arguments);
    va_end(arguments);
    visible_print(out, text != NULL ? text : "out of memory\n", "\n");
    free(text);
}

void print_ip(FILE *out, const struct ip *ip)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr v6;
    memcpy(&v6, ip->octets, sizeof v6);
    bool v4 = IN6_IS_ADDR_V4MAPPED(&v6);
    (void)inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip->octets + 12 : ip->octets, text, sizeof text);
    fputs(text, out);
}

char *format_text(const char *format, va_list arguments)
{
    char *text = NULL;
    return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

void format_moment(time_t when, char out[static PRINT_TIME])
{
    char text[TIME_TEXT];
    time_format(when, text);
    snprintf(out, PRINT_TIME, "%.10s %.5s UTC", text, text + DAY_TEXT);
}

void format_span(time_t seconds, char out[static PRINT_SPAN])
{
    long long s = seconds > 0 ? (long long)seconds : 0;
    long long days = s / DAY_SECONDS;
    long long hours = s % DAY_SECONDS / 3600;
    long long minutes = s % 3600 / 60;
    if (days > 0) {
        snprintf(out, PRINT_SPAN, "%lld day%s %lld h", days, days == 1 ? "" : "s", hours);
    } else if (hours > 0) {
        snprintf(out, PRINT_SPAN, "%lld h %lld min", hours, minutes);
    } else if (minutes > 0) {
        snprintf(out, PRINT_SPAN, "%lld min", minutes);
    } else {
        snprintf(out, PRINT_SPAN, "%lld s", s);
    }
}

void print_error_list(const char *format, va_list arguments)
{
    fflush(stdout); /* in one file, in the order in which it happened */
    char *text = format_text(format, arguments);
    fputs("batvctl: ", stderr);
    print_text(stderr, text != NULL ? text : "out of memory");
    fputc('\n', stderr);
    free(text);
}

void print_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_error_list(format, arguments);
    va_end(arguments);
}
