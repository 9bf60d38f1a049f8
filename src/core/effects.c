/*
 * What a decided message asks for: recipients taken out and put in, headers, a quarantine. Values
 * come from strangers, so none reaches a header unseen, and their number is bounded by what the MTA
 * bounds: the recipients.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address.h"
#include "transaction_parts.h"

_Static_assert(EFFECTS_PER_RECIPIENT == RECIPIENT_REMOVALS + 1, "its removals and an addition");

static void effect_add(struct transaction *t, enum effect_kind kind, const char *name,
                       const char *value)
{
    assert(t->effect_count < t->effect_room);
    t->effects[t->effect_count++] = (struct effect){.kind = kind, .name = name, .value = value};
}

/* True for a recipient that is delivered to. */
static bool is_kept(const struct recipient *r)
{
    return r->domain != NULL && !r->refused && action_keeps(r->verdict.action);
}

/* The first recipients for a mailbox, of those that are delivered to; NULL: there is none. */
struct mailbox {
    const struct recipient *tagged; /* with a tag to be taken off */
    const struct recipient *plain;  /* that stays as it came */
};

static void mailbox_add(struct mailbox *mailbox, const struct recipient *r)
{
    const struct recipient **place =
        recipient_is_restorable(r) ? &mailbox->tagged : &mailbox->plain;
    if (is_kept(r) && *place == NULL) {
        *place = r;
    }
}

static bool is_one_mailbox(const struct recipient *a, const struct recipient *b)
{
    return strcmp(a->address.ascii, b->address.ascii) == 0 &&
           strcmp(recipient_local(a), recipient_local(b)) == 0;
}

/* Those of one mailbox together, in the order in which they came. */
static int mailbox_order(const void *a, const void *b)
{
    const struct recipient *const *x = a;
    const struct recipient *const *y = b;
    int order = strcmp((*x)->address.ascii, (*y)->address.ascii);
    if (order == 0) {
        order = strcmp(recipient_local(*x), recipient_local(*y));
    }
    return order != 0 ? order : (*x > *y) - (*x < *y);
}

/* The mailbox of each recipient, by its number; sorted for, since a message may have thousands.
 * NULL: no memory. The caller frees. */
static struct mailbox *mailboxes_find(const struct transaction *t)
{
    const struct recipient **order = calloc(t->count + 1, sizeof(struct recipient *));
    struct mailbox *found = calloc(t->count + 1, sizeof *found);
    if (order == NULL || found == NULL) {
        free(order);
        free(found);
        return NULL;
    }
    for (size_t i = 0; i < t->count; i++) {
        order[i] = &t->recipients[i];
    }
    qsort(order, t->count, sizeof(struct recipient *), mailbox_order);
    for (size_t first = 0, end = 0; first < t->count; first = end) {
        struct mailbox mailbox = {NULL, NULL};
        for (; end < t->count && is_one_mailbox(order[end], order[first]); end++) {
            mailbox_add(&mailbox, order[end]);
        }
        for (size_t i = first; i < end; i++) {
            found[order[i] - t->recipients] = mailbox;
        }
    }
    free(order);
    return found;
}

static void remove_recipient(struct transaction *t, const struct recipient *r)
{
    for (size_t i = 0; i < RECIPIENT_REMOVALS && r->removals[i] != NULL; i++) {
        effect_add(t, EFFECT_REMOVE_RECIPIENT, NULL, r->removals[i]);
    }
}

/* True where the MTA knows r and one that is delivered to by the same name, as Sendmail knows all
 * addresses of a mailbox of its own: what took out r would take out that one too. */
static bool is_another_kept_one(const struct transaction *t, const struct recipient *r)
{
    for (size_t i = 0; r->known != NULL && i < t->count; i++) {
        const struct recipient *other = &t->recipients[i];
        if (!other->refused && action_keeps(other->verdict.action) && other->known != NULL &&
            strcmp(other->known, r->known) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * First all that goes, then all that comes: Sendmail loses the mail in the other order. It takes a
 * tagged and the plain recipient for the same one, Postfix for two. So where both are there, both
 * go, and one comes. A tag that Sendmail takes off itself is left to it: it does not take back a
 * deleted user+extension, and says nothing.
 */
static enum status restore_recipients(struct transaction *t)
{
    bool restore = t->snapshot->settings->restore;
    struct mailbox *mailboxes = mailboxes_find(t);
    if (mailboxes == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        bool keeps = action_keeps(r->verdict.action);
        bool goes = !keeps && !is_another_kept_one(t, r);
        bool comes_back = restore && r->domain != NULL && mailboxes[i].tagged != NULL;
        if (!r->refused && (goes || comes_back)) {
            remove_recipient(t, r);
        }
    }
    for (size_t i = 0; restore && i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        const struct recipient *plain = mailboxes[i].plain;
        if (mailboxes[i].tagged == r) { /* NOTIFY and ORCPT of the plain one, where it is there */
            effect_add(t, EFFECT_ADD_RECIPIENT, NULL, r->restored);
            t->effects[t->effect_count - 1].arguments = (plain != NULL ? plain : r)->arguments;
        }
    }
    free(mailboxes);
    return STATUS_OK;
}

/* "RESULT; class=C; proof=P; rcpt=<plain>", for several recipients separated by ", ". */
static char *format_mark(const struct transaction *t)
{
    enum { MARKS_MAX = 50, MARK_SIZE = 400 };
    size_t size = MARKS_MAX * MARK_SIZE;
    char *out = malloc(size);
    size_t used = 0;
    size_t listed = 0;
    for (size_t i = 0; out != NULL && i < t->count && listed < MARKS_MAX; i++) {
        const struct recipient *r = &t->recipients[i];
        if (r->refused || r->verdict.action != ACTION_MARK) {
            continue;
        }
        char plain[ADDRESS_MAX + 1];
        reply_put_printable(plain, sizeof plain, r->restored);
        used += (size_t)snprintf(out + used, size - used, "%s%s; class=%s; proof=%s; rcpt=<%s>",
                                 listed++ > 0 ? ",\n\t" : "", result_name(r->facts.check.result),
                                 bounce_class_name(t->facts.class),
                                 r->verdict.proof != NULL ? r->verdict.proof : "none", plain);
    }
    return out;
}

/* Removes the first EFFECT_REMOVALS of count header fields of this name, less those to be spared
 * (NULL: none). The highest index first, since each removal renumbers those behind it. */
static void remove_headers(struct transaction *t, const char *name, size_t count,
                           const bool spared[])
{
    size_t end = 0;
    for (size_t found = 0; end < count && found < EFFECT_REMOVALS; end++) {
        found += spared == NULL || !spared[end];
    }
    for (size_t i = end; i > 0; i--) {
        if (spared == NULL || !spared[i - 1]) {
            effect_add(t, EFFECT_REMOVE_HEADER, name, NULL);
            t->effects[t->effect_count - 1].index = (unsigned)i;
        }
    }
}

static void replace_evidence(struct transaction *t)
{
    const struct outgoing *outgoing = &t->outgoing;
    remove_headers(t, EVIDENCE_NAME, outgoing->copy_count, outgoing->authentic);
    if (outgoing->value != NULL) {
        effect_add(t, EFFECT_ADD_HEADER, EVIDENCE_NAME, outgoing->value);
    }
}

/* Fields of that name in which no Message-ID stands make room for ours: one is delivered. */
static void replace_message_id(struct transaction *t)
{
    const struct outgoing *outgoing = &t->outgoing;
    if (outgoing->added_id != NULL) {
        remove_headers(t, MESSAGE_ID_NAME, outgoing->ids, NULL);
        effect_add(t, EFFECT_APPEND_HEADER, MESSAGE_ID_NAME, outgoing->added_id);
    }
}

enum status effects_build(struct transaction *t, const struct outcome *outcome)
{
    const char *mark_header = t->snapshot->settings->mark_header;
    t->effect_room = EFFECTS_FIXED + EFFECTS_PER_RECIPIENT * t->count;
    t->effects = calloc(t->effect_room, sizeof *t->effects);
    if (t->effects == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (t->tagged != NULL) {
        effect_add(t, EFFECT_CHANGE_SENDER, NULL, t->tagged);
    }
    if (restore_recipients(t) != STATUS_OK) {
        return STATUS_NO_MEMORY;
    }
    replace_evidence(t);
    remove_headers(t, mark_header, t->marks, NULL);
    if (outcome->mark) {
        t->mark_value = format_mark(t);
        if (t->mark_value == NULL) {
            return STATUS_NO_MEMORY;
        }
        effect_add(t, EFFECT_ADD_HEADER, mark_header, t->mark_value);
    }
    replace_message_id(t);
    if (outcome->quarantine) {
        effect_add(t, EFFECT_QUARANTINE, NULL, "bounce without a valid BATV tag");
    }
    return STATUS_OK;
}
