/* Words for people about why mail is not signed and what `auto` does. */
#include "ctl/phrases.h"

#include <string.h>

#include "base/print.h"
#include "batv/day.h"

const char *explain_skip(const char *reason)
{
    static const struct {
        const char *reason;
        const char *words;
    } table[] = {
        {"not-ours", "its domain is not in `domains`"},
        {"not-signing", "the configuration says not to sign for its domain"},
        {"not-a-submission", "mail from outside is not signed"},
        {"handed-in-again", "it came from outside, and its sender is its author"},
        {"null-sender", "the null sender has no tag"},
        {"mailer-daemon", "senders of bounces have no tag"},
        {"already-tagged", "it has a tag already, or is an address that a forwarder made"},
        {"too-long", "with a tag it would be longer than SMTP allows"},
        {"exclude_sign.senders", "the configuration excludes the sender"},
        {"exclude_sign.recipients", "the configuration excludes a recipient"},
        {"exclude_sign.recipient_networks",
         "the configuration excludes the network of a recipient"},
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
        fputs("logging: it does not sign", out);
        break;
    case AUTO_NEVER_SIGNED:
        fprintf(out, "logging until %lld days after the first message that is signed (none yet)",
                (long long)wait / DAY_SECONDS);
        break;
    case AUTO_WAITING:
        fprintf(out, "logging until %s (signed first %s)", end, first);
        break;
    case AUTO_RELAYED:
        fprintf(out, "logging until %s: mail in its name left unsigned, last %s", end, first);
        break;
    case AUTO_NO_TAG:
        fputs("logging until a valid tag has come back from outside: send a message from it to an "
              "external address that does not exist",
              out);
        break;
    case AUTO_CLOCK:
        fputs("logging: the clock cannot be trusted", out);
        break;
    }
}
