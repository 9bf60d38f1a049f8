/*
 * The BATV tag (draft-levine-smtp-batv-01): prvs=KDDDSSSSSS=local@domain, or with subaddress syntax
 * local+prvs=KDDDSSSSSS@domain. K is the key's slot, DDD the day on which the address expires
 * modulo 1000, SSSSSS the first three octets of a MAC over K, DDD and the address. An MTA may have
 * appended a VERP extension (batv/verp.h) to the local part since.
 */
#ifndef BATV_TAG_H
#define BATV_TAG_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "batv/address.h"
#include "batv/ring.h"

enum {
    TAG_MAC_OCTETS = 3,
    TAG_ADDED = 16 /* octets that a tag adds to a local part: prvs=KDDDSSSSSS= */
};

enum tag_syntax { TAG_PREFIX, TAG_SUBADDRESS };

enum tag_form {
    TAG_FORM_NONE,      /* an ordinary local part */
    TAG_FORM_TAG,       /* of our form, by whomever it was made */
    TAG_FORM_MALFORMED, /* begins like ours and is not */
    TAG_FORM_FOREIGN    /* a tag as other products make it */
};

/* A local part taken apart; plain points into it. */
struct tag {
    enum tag_form form;
    enum tag_syntax syntax;
    unsigned key;        /* K */
    unsigned day;        /* DDD */
    char mac[7];         /* SSSSSS in lower case */
    const char *plain;   /* the original local part, not NUL-terminated in subaddress syntax; for */
    size_t plain_length; /* malformed and SRS-wrapped tags all of it */
    const char *extension; /* the VERP extension behind a tag in subaddress syntax, "": none; in
                              prefix syntax it is a part of plain, and only the MAC shows which */
};

/* Looks at a local part (without quoting), from the left at fixed width. */
void tag_split(const char *local, struct tag *out);

/* The local part behind a tag, whoever made it, else all of it. NULL: no memory. The caller frees.
 */
char *tag_plain(const char *local);

/* Who has made an address of this form for what he forwards. */
enum forwarder {
    FORWARDER_NONE,
    FORWARDER_SRS,       /* SRS0 or SRS1 with =, + or - behind */
    FORWARDER_MICROSOFT, /* +SRS= in it */
    FORWARDER_GOOGLE     /* +caf_ in it */
};
enum forwarder tag_forwarder(const char *local);

/* True where a sender of this form must not be signed: a tag of anybody's, or a forwarder's form.
 */
bool tag_is_rewritten(const char *local);

enum result {
    RESULT_NOT_OURS,
    RESULT_VALID,
    RESULT_EXPIRED,
    RESULT_BAD_SIGNATURE,
    RESULT_UNKNOWN_KEY,
    RESULT_MALFORMED,
    RESULT_MISSING,
    RESULT_FOREIGN,
    RESULT_COUNT
};
/* "valid", "bad-signature", ... */
const char *result_name(enum result result);

struct tag_check {
    enum result result;
    enum tag_syntax syntax; /* of a tag of our form */
    int key;                /* K, or -1 where there is no tag of our form */
    unsigned day;           /* DDD, where there is a key */
    int days;               /* until the expiry day, negative once past; for valid and expired */
    int64_t expires;        /* that day; for valid and expired */
    size_t extension;       /* octets at the end of the plain local part that are a VERP extension,
                               so that the MAC does not cover them; for valid and expired */
    bool internal_error;    /* the MAC could not be computed: the result stands for nothing */
};

/* Judges an address of ours. lifetime_days is the configuration's: the signing key may already be
 * used with it before the ring says so. *plain becomes the local part without its tag (all of it
 * where there is none that we take off), allocated. STATUS_NO_MEMORY. */
enum status tag_verify(const struct ring *ring, const struct address *address,
                       unsigned lifetime_days, time_t now, struct tag_check *out, char **plain);

/* True of a tag that none of our keys made, in the form that the MTA's map takes off. The map makes
 * every such address look existing, and hides the plain address from the MTA's own tables. */
bool tag_is_unauthentic(const struct tag_check *check);

/* Signs with the ring's active key. *tagged becomes the address as it goes over the wire,
 * allocated. STATUS_INVALID: the tagged address would be too long. STATUS_NOT_FOUND: no key signs.
 */
enum status tag_sign(const struct ring *ring, const struct address *address, enum tag_syntax syntax,
                     unsigned lifetime_days, time_t now, char **tagged, int *key, int64_t *expires);

/* True where the address with a tag would exceed what SMTP allows, so that it is never signed. */
bool tag_would_not_fit(const char *local, const char *domain);

#endif
