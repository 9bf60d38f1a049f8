/*
 * batvctl sign: each address as the daemon would sign it, by the daemon's own rules. It is put
 * through a transaction as the sender of a message by a local process, without recipients.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/print.h"
#include "batv/transaction.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/phrases.h"

/* What came of an address. The strings belong to the transaction or are static. */
struct signing {
    const char *tagged; /* NULL: not signed */
    const char *reason; /* then */
    const char *entry;  /* then, or NULL */
};

/* Without a decision the sender was of no interest: not a domain of ours, or not one that signs. */
static const char *missing_reason(const struct settings *settings, const char *address)
{
    struct address parsed;
    if (address_parse(address, &parsed) != STATUS_OK) {
        return NULL;
    }
    const struct domain_settings *domain = settings_domain(settings, parsed.ascii);
    address_free(&parsed);
    return domain == NULL ? "not-ours" : "not-signing";
}

/* False: an error of our own. */
static bool sign_one(const struct snapshot *snapshot, struct transaction *transaction,
                     const char *address, time_t now, struct signing *out)
{
    const struct mail_event mail = {.sender = address};
    const struct end_event end = {.now = now};
    struct question none; /* no recipients: no questions */
    *out = (struct signing){NULL, NULL, NULL};
    transaction_mail(transaction, &mail);
    transaction_end(transaction, &end);
    (void)transaction_asks(transaction, &none);
    if (transaction_failed(transaction)) {
        return false;
    }
    size_t count;
    const struct decision *decisions = transaction_decisions(transaction, &count);
    if (count == 0) {
        out->reason = missing_reason(snapshot->settings, address);
        return out->reason != NULL;
    }
    out->tagged = decisions[0].kind == DECISION_SIGN ? decisions[0].tagged : NULL;
    out->reason = decisions[0].reason;
    out->entry = decisions[0].entry;
    return true;
}

static void print_signing(struct json *json, const char *address, const struct signing *s)
{
    const char *separator = s->entry != NULL ? ":" : "";
    const char *entry = s->entry != NULL ? s->entry : "";
    char reason[600] = "";
    if (s->tagged == NULL) {
        snprintf(reason, sizeof reason, "%s%s%s", s->reason, separator, entry);
    }
    if (json != NULL) {
        json_open_object(json, NULL);
        json_text(json, "address", address);
        json_text(json, "tagged", s->tagged);
        json_text(json, "reason", s->tagged == NULL ? reason : NULL);
        json_close(json);
    } else if (s->tagged != NULL) {
        print_text(stdout, s->tagged);
        putchar('\n');
    } else {
        fputs("batvctl: ", stderr);
        print_text(stderr, address);
        print_format(stderr, ": %s: %s\n", reason, explain_skip(s->reason));
    }
}

static int sign_all(const struct snapshot *snapshot, char **addresses, struct json *json)
{
    const struct client local = {.local = true};
    time_t now = time(NULL);
    int status = CTL_YES;
    for (char **a = addresses; *a != NULL && status != CTL_UNABLE; a++) {
        struct signing signing;
        struct transaction *transaction = transaction_new(snapshot, &local);
        if (transaction == NULL || !sign_one(snapshot, transaction, *a, now, &signing)) {
            print_error("an address could not be signed: out of memory, or OpenSSL failed");
            status = CTL_UNABLE;
        } else {
            print_signing(json, *a, &signing);
            status = signing.tagged == NULL ? CTL_NO : status;
        }
        transaction_free(transaction);
    }
    return status;
}

int cmd_sign(struct ctl *ctl, int argc, char **argv)
{
    if (!arguments_parse(ctl, NULL, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc < 2) {
        return ctl_usage_error(ctl, "which address?");
    }
    struct ring *ring;
    if (!ctl_load_ring(ctl, &ring)) {
        return CTL_UNABLE;
    }
    int status = CTL_UNABLE;
    struct snapshot snapshot = {.settings = ctl->config->settings, .ring = ring};
    if (ring_active(ring, time(NULL)) == RING_NO_SLOT) {
        print_error("there is no key that signs: `batvctl key rotate` makes one");
    } else {
        struct json json;
        struct json *list = json_begin_list(&json, ctl->json);
        status = sign_all(&snapshot, argv + 1, list);
        json_end_list(list);
    }
    ring_free(ring);
    return status;
}
