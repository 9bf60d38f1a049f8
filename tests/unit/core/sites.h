/*
 * What several tables of conversations share: what makes the site special, and the texts of
 * clients, log lines and replies.
 */
#ifndef BATV_TEST_SITES_H
#define BATV_TEST_SITES_H

#include "conversation.h"

#define ALICE "alice@example.com"
#define BOB   "bob@other.test"

enum { EXAMPLE_COM, EXAMPLE_NET, MARK_EXAMPLE = 3, OFF_EXAMPLE = 8 }; /* in site_domains */

void pause_verifying(struct site *site);
void clock_wrong(struct site *site);
void prove_by_journal(struct site *site);
void journal_is_young(struct site *site);
void read_as(struct site *site, enum bounce_class class, enum action action);
void receipt_is_logged(struct site *site);
/* off.example knows its Message-IDs by a pattern and has no journal. */
void patterns(struct site *site);
void pattern_matches(struct site *site);

#define NOT_OURS(client, from, rcpt)                                                               \
    "debug verify client=" client " from=<" from "> rcpt=<" rcpt                                   \
    "> result=not-ours action=accept rule=not-ours\n"
#define IN             "pc.example.com[10.1.2.3]"
#define OUT            "mx.other.test[192.0.2.9]"
#define L48            "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuv"
#define BUECHER        "b\303\274cher.example"
#define BUECHER_QUOTED "b\\xC3\\xBCcher.example"
/* Who wrote it matters, unless the client has authenticated. */
#define SIGNED(client, from, rcpt) "wants headers, end\n" SENT_SIGNED(client, from, rcpt)
#define SENT_SIGNED(client, from, rcpt)                                                            \
    "sender {0 " from "}\n"                                                                        \
    "accept\n" NOT_OURS(client, from, rcpt) "sign from=<" from "> tagged=<{0 " from                \
                                            "}> key=2 expires=2026-11-28\n"
#define NO_SUBMISSION(from) "sign-skip from=<" from "> reason=not-a-submission\n"
#define NULL_SENDER         "debug sign-skip from=<> reason=null-sender\n"
#define BOUNCE(rcpt, result, action_and_rule)                                                      \
    "verify client=" OUT " from=<> rcpt=<" rcpt "> result=" result                                 \
    " class=- proof=none action=" action_and_rule "\n"
#define VALID(rcpt)                                                                                \
    "verify client=" OUT " from=<> rcpt=<" rcpt "> result=valid action=accept rule=tag\n"
#define REFUSED "reject 550 5.7.1 not a bounce of mail from here\n"
#define WRITE_TO(plain)                                                                            \
    "this address carries a signature that this site does not know; write to <" plain "> "         \
    "instead\n"
#define WRITE_OR_WAIT(plain)                                                                       \
    "this address carries a signature that this site does not know yet; write to <" plain          \
    "> or try again later\n"
#define LATER "tempfail 451 4.7.1 not a bounce of mail from here\n"
#define TOO_LATE                                                                                   \
    "reject 550 5.7.1 the signature in this address has expired: the bounce arrived too late\n"
#define HEADERS "wants headers, end\n"
#define EXCLUDED(client, rcpt, rule)                                                               \
    HEADERS "accept\nverify client=" client " from=<> rcpt=<" rcpt                                 \
            "> result=missing class=- proof=none action=accept rule=" rule "\n"
#define ORDINARY(rcpt, rest)                                                                       \
    "verify client=" OUT " from=<" BOB "> rcpt=<" rcpt "> result=" rest "\n"

#endif
