/* What an outgoing message is known by when it comes back: addresses, Message-ID, evidence. */
#ifndef BATV_OUTGOING_H
#define BATV_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batv/evidence.h"
#include "batv/message_id.h"

/* What the message is known by when it comes back. Belongs to the transaction. */
enum {
    OUTGOING_COPIES = 64, /* of the evidence header that are looked at in a submission */
    OUTGOING_OWNERS = 64  /* of lists that are journalled */
};
struct outgoing {
    char *addresses[EVIDENCE_ADDRESSES]; /* as address_fold makes them; the sender's first */
    size_t address_count;
    size_t proven;  /* of them, the first ones: those that get evidence */
    bool journaled; /* strangers chose the Message-ID of one that is not */
    char **owners;  /* whom the MTA makes the sender where a recipient is a list, in the same form
                       and none of the proven ones: journalled, and no more. NULL: none */
    size_t owner_count;
    char *message_id; /* as message_id_clean makes it; NULL: none */
    bool has_id;      /* it is one that answers can name */
    size_t ids;       /* fields of that name that came, whatever stands in them */
    bool id_signed;   /* a signature forbids to add one */
    char *added_id;   /* the field's value that is added; NULL: none */
    uint8_t id_nonce[MESSAGE_ID_NONCE];
    bool has_id_nonce;
    uint8_t nonce[EVIDENCE_NONCE];
    bool has_nonce;
    size_t recipients;             /* that it is let through to */
    char *value;                   /* of the header that is added; NULL: none */
    char *copies[OUTGOING_COPIES]; /* the header as it came with the message; NULL: absurd */
    bool authentic[OUTGOING_COPIES];
    size_t copy_count; /* those that come after are not looked at and stay as they are */
};

#endif
