/*
 * The words of every rejection and deferral, one table. An outsider reads them, so each says what
 * is so: a message that could not be verified is not called forged. Octets from strangers do not
 * reach a reply line unseen.
 */
#include <stdio.h>
#include <string.h>

#include "transaction_parts.h"

/* Where an entry has %s, it is the plain address, the answers of the class, the sender, or how many
 * days we know what we sent. */
static const struct {
    const char *permanent; /* enhanced code of a rejection (RFC 3463) */
    const char *temporary; /* of a deferral */
    const char *rejection; /* NULL: verify.text */
    const char *deferral;  /* NULL: as the rejection */
} texts[CAUSE_COUNT] = {
    [CAUSE_UNPROVEN] = {"5.7.1", "4.7.1", NULL, NULL},
    [CAUSE_NO_ANSWER] = {"5.7.1", "4.7.1",
                         "this site accepts mail from the null sender or a mailer-daemon only in "
                         "answer to one of its own messages, shown by its Message-ID or a copy of "
                         "its header; other mail needs a sender address",
                         NULL},
    [CAUSE_UNKNOWN_ID] = {"5.7.1", "4.7.1",
                          "this answer names a message that this site does not know: it was not "
                          "sent from here, or more than %s days ago",
                          NULL},
    [CAUSE_EXPIRED] = {"5.7.1", "4.7.1",
                       "the signature in this address has expired: the bounce arrived too late",
                       NULL},
    [CAUSE_CLASS] =
        {"5.7.1", "4.7.1",
         "this site accepts %s only if they show that they answer one of its own messages", NULL},
    [CAUSE_UNVERIFIED] = {"5.7.1", "4.7.1",
                          "this site cannot verify at present whether it sent the message that "
                          "this bounce returns, try again later",
                          NULL},
    [CAUSE_GUESSING] = {"5.7.1", "4.7.1",
                        "this bounce tries several signatures that this site does not know", NULL},
    [CAUSE_GUESSED_AT] = {"5.7.1", "4.7.1",
                          "too many wrong signatures arrived for this address, so this site defers "
                          "bounces to it; try again later",
                          NULL},
    [CAUSE_FORGED_TAG] =
        {"5.1.1", "4.1.1",
         "this address carries a signature that this site does not know; write to "
         "<%s> instead",
         "this address carries a signature that this site does not know yet; write "
         "to <%s> or try again later"},
    [CAUSE_FORGED_SENDER] =
        {"5.1.0", "4.1.0", "the sender <%s> carries a signature that this site does not know",
         "the sender <%s> carries a signature that this site does not know; try again later"},
};

static const char *const class_answers[BOUNCE_CLASS_COUNT] = {
    [BOUNCE_DSN] = "delivery reports",
    [BOUNCE_MDN] = "read receipts",
    [BOUNCE_CALENDAR] = "answers to invitations",
    [BOUNCE_REPORT] = "complaints and reports",
    [BOUNCE_AUTOREPLY] = "automatic replies",
    [BOUNCE_OTHER] = "messages without a sender",
};

void reply_put_printable(char *out, size_t size, const char *text)
{
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < size; i++) {
        out[i] = text[i] >= 0x20 && text[i] <= 0x7e ? text[i] : '?';
    }
    out[i] = '\0';
}

/* text with word in place of its %s. */
static void fill_in(char *out, size_t size, const char *text, const char *word)
{
    const char *place = strstr(text, "%s");
    if (place == NULL) {
        snprintf(out, size, "%s", text);
    } else {
        snprintf(out, size, "%.*s%s%s", (int)(place - text), text, word, place + 2);
    }
}

/* What stands for %s. */
static void find_word(const struct transaction *t, const struct recipient *r, char *out,
                      size_t size)
{
    switch (r->verdict.cause) {
    case CAUSE_CLASS:
        snprintf(out, size, "%s", class_answers[t->facts.class]);
        break;
    case CAUSE_UNKNOWN_ID:
        snprintf(out, size, "%u", t->snapshot->settings->evidence.retain_days);
        break;
    case CAUSE_FORGED_SENDER:
        reply_put_printable(out, size, t->sender_text);
        break;
    default:
        reply_put_printable(out, size, r->restored != NULL ? r->restored : "");
        break;
    }
}

void reply_refuse(const struct transaction *t, const struct recipient *r, enum reply_kind kind,
                  struct reply *reply)
{
    enum cause cause = r->verdict.cause;
    bool later = kind == REPLY_TEMPFAIL;
    const char *text =
        later && texts[cause].deferral != NULL ? texts[cause].deferral : texts[cause].rejection;
    char word[ADDRESS_MAX + 1];
    find_word(t, r, word, sizeof word);
    *reply = (struct reply){.kind = kind,
                            .code = later ? "451" : "550",
                            .enhanced = later ? texts[cause].temporary : texts[cause].permanent};
    if (text == NULL) {
        reply_put_printable(reply->text, sizeof reply->text, t->snapshot->settings->text);
    } else {
        fill_in(reply->text, sizeof reply->text, text, word);
    }
}

void reply_on_error(const struct settings *settings, struct reply *reply)
{
    *reply = (struct reply){.kind = REPLY_ACCEPT};
    if (settings->on_error != ACTION_ACCEPT) {
        *reply =
            (struct reply){REPLY_TEMPFAIL, "451", "4.3.0", "mail filter error, try again later"};
    }
}
