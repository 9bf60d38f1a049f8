/*
 * Owners of lists. Where a list is an alias, LIST, with an alias `owner-LIST` beside it, the MTA
 * sends on what comes to LIST with the owner as envelope sender: owner-LIST itself (Postfix's
 * local(8)), or the one address that owner-LIST stands for, by custom LIST-request (Sendmail). That
 * happens behind every filter, so that sender has no tag, and no header of ours names it. The
 * journal alone can know it.
 *
 * Which recipients are lists is the MTA's secret. So names are made for every recipient of ours,
 * the likely ones of all recipients before the unlikely ones of the first. No state.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address_fold.h"
#include "transaction_parts.h"

/* One name that the owner of a list can have. */
struct form {
    const char *before, *after; /* the list's name */
    char delimiter;             /* of an address extension, which is not part of that; 0: none */
    bool at_host;               /* in the MTA's own domain, else in the list's */
};

static const struct form forms[] = {
    {"owner-", "", 0, false},     {"owner-", "", 0, true},      {"owner-", "", '+', false},
    {"owner-", "", '+', true},    {"", "-request", 0, false},   {"", "-request", 0, true},
    {"", "-request", '+', false}, {"", "-request", '+', true},  {"owner-", "", '-', false},
    {"owner-", "", '-', true},    {"", "-request", '-', false}, {"", "-request", '-', true},
};

static bool is_known(const struct outgoing *outgoing, const char *address)
{
    for (size_t i = 0; i < outgoing->proven; i++) {
        if (strcmp(outgoing->addresses[i], address) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < outgoing->owner_count; i++) {
        if (strcmp(outgoing->owners[i], address) == 0) {
            return true;
        }
    }
    return false;
}

/* Octets of the list's name; 0: this form is none of it. */
static size_t name_length(const char *local, char delimiter)
{
    const char *extension = delimiter != 0 ? strchr(local, delimiter) : local + strlen(local);
    return extension != NULL ? (size_t)(extension - local) : 0;
}

static enum status add_owner(struct outgoing *outgoing, const char *name, size_t length,
                             const struct form *form, const char *domain)
{
    char *local = NULL;
    if (asprintf(&local, "%s%.*s%s", form->before, (int)length, name, form->after) < 0) {
        return STATUS_NO_MEMORY;
    }
    char *address = address_fold(local, domain);
    free(local);
    if (address == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (is_known(outgoing, address)) {
        free(address);
    } else {
        outgoing->owners[outgoing->owner_count++] = address;
    }
    return STATUS_OK;
}

/* The domain of the MTA's own name as evidence knows it: that of one of `domains`, else the first
 * of them. NULL: no memory. The caller frees. */
static char *host_domain(const struct transaction *t)
{
    const struct settings *settings = t->snapshot->settings;
    const char *server = t->client->server;
    char *ascii = server != NULL ? address_domain_ascii(server) : strdup("");
    if (ascii == NULL || settings_domain(settings, ascii) != NULL) {
        return ascii;
    }
    free(ascii);
    return strdup(settings_first(settings)->name);
}

/* This form of all recipients. */
static enum status add_form(struct transaction *t, const struct form *form, const char *host)
{
    struct outgoing *outgoing = &t->outgoing;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        size_t length = recipient_is_kept(r) && r->domain != NULL
                            ? name_length(recipient_local(r), form->delimiter)
                            : 0;
        if (outgoing->owner_count == OUTGOING_OWNERS) {
            break;
        }
        if (length > 0) {
            const char *domain = form->at_host ? host : recipient_domain(r);
            status = add_owner(outgoing, recipient_local(r), length, form, domain);
        }
    }
    return status;
}

static bool has_recipient_of_ours(const struct transaction *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->recipients[i].domain != NULL && recipient_is_kept(&t->recipients[i])) {
            return true;
        }
    }
    return false;
}

enum status outgoing_add_owners(struct transaction *t)
{
    struct outgoing *outgoing = &t->outgoing;
    bool journaled = outgoing->journaled && outgoing->message_id != NULL &&
                     t->snapshot->settings->evidence.journal;
    if (!journaled || !has_recipient_of_ours(t)) {
        return STATUS_OK;
    }
    char *host = host_domain(t);
    outgoing->owners = calloc(OUTGOING_OWNERS, sizeof *outgoing->owners);
    enum status status = host != NULL && outgoing->owners != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    for (size_t i = 0; status == STATUS_OK && i < sizeof forms / sizeof *forms; i++) {
        status = add_form(t, &forms[i], host);
    }
    free(host);
    return status;
}
