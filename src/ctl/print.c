/* Words and forms for people. Pure but for the stream. */
#include "ctl/print.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "batv/day.h"
#include "io/visible.h"

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

const char *explain_skip(const char *reason)
{
    static const struct {
        const char *reason;
        const char *words;
    } table[] = {
        {"not-ours", "its domain is not in `domains`"},
        {"not-signing", "the configuration says not to sign for its domain"},
        {"not-a-submission", "what does not come from here is not signed"},
        {"handed-in-again", "it came from outside, and its sender is its author"},
        {"null-sender", "the null sender bears no tag"},
        {"mailer-daemon", "senders of bounces bear no tag"},
        {"already-tagged", "it bears a tag already, or is an address that a forwarder made"},
        {"too-long", "with a tag it would be longer than SMTP allows"},
        {"exclude_sign.senders", "the configuration excludes the sender"},
        {"exclude_sign.recipients", "the configuration excludes a recipient"},
        {"exclude_sign.recipient_networks",
         "the configuration excludes where a recipient's mail goes"},
        {"exclude_sign.clients", "the configuration excludes the client"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].reason, reason) == 0) {
            return table[i].words;
        }
    }
    return "";
}

void print_auto(FILE *out, enum auto_state state, time_t until, time_t wait)
{
    char end[PRINT_TIME];
    char first[PRINT_TIME];
    format_moment(until, end);
    format_moment(until - wait, first);
    switch (state) {
    case AUTO_ENFORCES:
        fputs("rejecting", out);
        break;
    case AUTO_NOT_SIGNING:
        fputs("logging: nothing is signed for it", out);
        break;
    case AUTO_NEVER_SIGNED:
        fprintf(out, "logging until %lld days after the first message that is signed (none yet)",
                (long long)wait / DAY_SECONDS);
        break;
    case AUTO_WAITING:
        fprintf(out, "logging until %s (signed first %s)", end, first);
        break;
    case AUTO_RELAYED:
        fprintf(out, "logging until %s: mail in its name was let out unsigned, last %s", end,
                first);
        break;
    case AUTO_NO_TAG:
        fputs("logging until a valid tag has come back from outside: send a message from it to an "
              "address elsewhere that does not exist",
              out);
        break;
    case AUTO_CLOCK:
        fputs("logging: the clock cannot be trusted", out);
        break;
    }
}
