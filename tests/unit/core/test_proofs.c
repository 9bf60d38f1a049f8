/*
 * Bounces whose content is read, as tables of conversations (see conversation.h): proofs,
 * classes, content that nobody can read; and which questions are asked of whom.
 */
#include "sites.h"

static void prove_by_tag(struct site *site)
{
    site_evidence(site);
    site->answers[FACT_TAG_IN_BODY] = ANSWER_YES;
}

static void prove_by_header(struct site *site)
{
    site_evidence(site);
    site->answers[FACT_HEADER] = ANSWER_YES;
}

static void prove_while_paused(struct site *site)
{
    prove_by_journal(site);
    site->snapshot.paused = true;
}

static void tag_does_not_count(struct site *site)
{
    prove_by_tag(site);
    site->settings->evidence.tag_in_body = false;
}

static void journal_is_off(struct site *site)
{
    prove_by_journal(site);
    site->settings->evidence.journal = false;
}

/* Only what is made; what comes back is looked for as before. */
static void header_is_off(struct site *site)
{
    prove_by_header(site);
    site->settings->evidence.header = false;
}

static void journal_is_used_up(struct site *site)
{
    site_evidence(site);
    site->answers[FACT_JOURNAL] = ANSWER_EXHAUSTED;
}

static void header_is_used_up(struct site *site)
{
    prove_by_journal(site);
    site->answers[FACT_HEADER] = ANSWER_EXHAUSTED;
}

static void journal_is_away(struct site *site)
{
    site_evidence(site);
    site->answers[FACT_JOURNAL] = ANSWER_UNAVAILABLE;
}

static void answer_all(struct site *site, enum answer answer)
{
    site_evidence(site);
    for (size_t i = 0; i < FACT_COUNT; i++) {
        site->answers[i] = answer;
    }
}

static void too_much(struct site *site)
{
    answer_all(site, ANSWER_OVERLOADED);
}

static void cannot_be_read(struct site *site)
{
    answer_all(site, ANSWER_UNAVAILABLE);
}

static void cannot_be_read_errors_accept(struct site *site)
{
    cannot_be_read(site);
    site->settings->on_error = ACTION_ACCEPT;
}

static void names_nothing(struct site *site)
{
    site_evidence(site);
    site->names_message_id = false;
}

static void journal_is_just_old_enough(struct site *site)
{
    site_evidence(site);
    site->snapshot.journal_birth = now_of_site() - settings_wait(site->settings);
}

static void journal_is_young_names_nothing(struct site *site)
{
    journal_is_young(site);
    site->names_message_id = false;
}

static void journal_is_young_and_off(struct site *site)
{
    journal_is_young(site);
    site->settings->evidence.journal = false;
}

static void receipt_is_refused(struct site *site)
{
    read_as(site, BOUNCE_MDN, ACTION_REJECT);
}

static void receipt_is_marked(struct site *site)
{
    read_as(site, BOUNCE_MDN, ACTION_MARK);
}

static void receipt_is_discarded(struct site *site)
{
    read_as(site, BOUNCE_MDN, ACTION_DISCARD);
}

static void receipt_is_proven(struct site *site)
{
    receipt_is_refused(site);
    site->answers[FACT_JOURNAL] = ANSWER_YES;
}

static void calendar_is_logged_not_mdn(struct site *site)
{
    read_as(site, BOUNCE_CALENDAR, ACTION_LOG);
    site->class = BOUNCE_MDN;
}

/* Marks are possible by a class alone. */
static void only_a_class_marks(struct site *site)
{
    receipt_is_logged(site);
    site->settings->domain[MARK_EXAMPLE].action = ACTION_LOG;
    site->settings->domain[OFF_EXAMPLE].classes[BOUNCE_REPORT] = ACTION_MARK;
    site->settings->may_mark = settings_may_mark(site->settings);
}

static void nothing_marks(struct site *site)
{
    site_evidence(site);
    site->settings->domain[MARK_EXAMPLE].action = ACTION_LOG;
    site->settings->may_mark = settings_may_mark(site->settings);
}

static void patterns_and_auto(struct site *site)
{
    patterns(site);
    site->settings->domain[OFF_EXAMPLE].action = ACTION_AUTO;
}

static void patterns_and_no_name(struct site *site)
{
    patterns(site);
    site->names_message_id = false;
}

/* A domain that signs has no use for patterns, whoever puts them there. */
static void patterns_where_tags_are(struct site *site)
{
    pattern_matches(site);
    site->settings->domain[EXAMPLE_COM].message_ids = REGEXES("@example\\.com$");
}

static void receipt_without_ground(struct site *site)
{
    receipt_is_refused(site);
    site->names_message_id = false;
}

static void renew_with_evidence(struct site *site)
{
    site_evidence(site);
    site->renews = true;
}

#define NO_RECEIPTS                                                                                \
    "reject 550 5.7.1 this site accepts read receipts only if they show that they answer one of "  \
    "its own messages\n"
#define NOT_KNOWN                                                                                  \
    "reject 550 5.7.1 this answer names a message that this site does not know: it was not sent "  \
    "from here, or more than 30 days ago\n"
#define UNVERIFIED                                                                                 \
    "tempfail 451 4.7.1 this site cannot verify at present whether it sent the message that this " \
    "bounce returns, try again later\n"
#define CONTENT "wants headers, body, end\n"
#define READ(rcpt, result, class, proof, action_and_rule)                                          \
    "verify client=" OUT " from=<> rcpt=<" rcpt "> result=" result                                 \
    " class=" class " proof=" proof " action=" action_and_rule "\n"
#define DSN(rcpt, result, action_and_rule) READ(rcpt, result, "dsn", "none", action_and_rule)
#define PROVEN(rcpt, result, proof)        READ(rcpt, result, "dsn", proof, "accept rule=evidence." proof)

/* clang-format off */
static const struct conversation evidence[] = {
    {.name = "no proof", .who = OUTSIDE, .prepare = site_evidence, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "no proof, which is logged", .who = OUTSIDE, .prepare = site_evidence,
     .sender = "<mailer-daemon@other.test>", .recipients = {"<a@log.example>"},
     .expected =
         CONTENT
         "accept\n"
         "verify client=" OUT " from=<mailer-daemon@other.test> rcpt=<a@log.example> "
         "result=missing class=dsn proof=none action=log rule=verify.action\n"},
    {.name = "no proof, which is marked", .who = OUTSIDE, .prepare = site_evidence, .sender = "<>",
     .recipients = {"<{bad a@mark.example}>"}, .marks = 1,
     .expected =
         CONTENT
         "remove header X-Batv-Result 1\n"
         "header X-Batv-Result: bad-signature; class=dsn; proof=none; rcpt=<a@mark.example>\n"
         "accept\n"
         DSN("{bad a@mark.example}", "bad-signature", "mark rule=verify.action")
         NULL_SENDER},
    {.name = "a tag in the body", .who = OUTSIDE, .prepare = prove_by_tag, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "tag-in-body")
         NULL_SENDER},
    {.name = "our header", .who = OUTSIDE, .prepare = prove_by_header, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "header")
         NULL_SENDER},
    {.name = "a journalled Message-ID", .who = OUTSIDE, .prepare = prove_by_journal, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "journal")
         NULL_SENDER},
    {.name = "a proof counts whatever the tag is",
     .who = OUTSIDE, .prepare = prove_by_journal, .sender = "<>",
     .recipients = {"<{bad " ALICE "}>", "<{unknown bob@example.com}>", "<prvs=x@example.com>",
                    "<btv1==785a1b2c3d4==a@reject.example>", "<{-9 a@reject.example}>"},
     .expected =
         CONTENT
         "remove <{-9 a@reject.example}>\n"
         "add a@reject.example\n"
         "accept\n"
         PROVEN("{bad " ALICE "}", "bad-signature", "journal")
         PROVEN("{unknown bob@example.com}", "unknown-key", "journal")
         PROVEN("prvs=x@example.com", "malformed", "journal")
         PROVEN("btv1==785a1b2c3d4==a@reject.example", "foreign", "journal")
         PROVEN("{-9 a@reject.example}", "expired", "journal")
         NULL_SENDER},
    {.name = "a proof counts while verification is paused",
     .who = OUTSIDE, .prepare = prove_while_paused,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "journal")
         NULL_SENDER},
    {.name = "a tag in the body does not count", .who = OUTSIDE, .prepare = tag_does_not_count,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "the journal does not count", .who = OUTSIDE, .prepare = journal_is_off,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "the header counts though it is no longer made", .who = OUTSIDE,
     .prepare = header_is_off, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "header")
         NULL_SENDER},
    {.name = "a proof that is used up",
     .who = OUTSIDE, .prepare = journal_is_used_up, .sender = "<>",
     .recipients = {"<" ALICE ">", "<a@reject.example>"},
     .expected =
         CONTENT
         REFUSED
         READ(ALICE, "missing", "dsn", "exhausted", "reject rule=verify.action")
         READ("a@reject.example", "missing", "dsn", "exhausted", "reject rule=verify.action")},
    {.name = "a proof that is used up, in a domain that marks",
     .who = OUTSIDE, .prepare = journal_is_used_up, .sender = "<>",
     .recipients = {"<a@mark.example>"},
     .expected =
         CONTENT
         "header X-Batv-Result: missing; class=dsn; proof=exhausted; rcpt=<a@mark.example>\n"
         "accept\n"
         READ("a@mark.example", "missing", "dsn", "exhausted", "mark rule=verify.action")
         NULL_SENDER},
    {.name = "one proof is used up, another is not", .who = OUTSIDE, .prepare = header_is_used_up,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "journal")
         NULL_SENDER},
    {.name = "a proof that cannot be obtained", .who = OUTSIDE, .prepare = journal_is_away,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         UNVERIFIED
         DSN(ALICE, "missing", "tempfail would=reject rule=evidence.journal")},
    {.name = "too much is being read", .who = OUTSIDE, .prepare = too_much, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         UNVERIFIED
         BOUNCE(ALICE, "missing", "tempfail would=reject rule=evidence.tag-in-body")},
    {.name = "too much is being read, no matter to a domain that logs", .who = OUTSIDE,
     .prepare = too_much, .sender = "<>", .recipients = {"<a@log.example>"},
     .expected =
         CONTENT
         "accept\n"
         BOUNCE("a@log.example", "missing", "log rule=verify.action")
         NULL_SENDER},
    {.name = "nothing can be read", .who = OUTSIDE, .prepare = cannot_be_read, .sender = "<>",
     .recipients = {"<" ALICE ">", "<a@tempfail.example>", "<a@quarantine.example>"},
     .expected =
         CONTENT
         UNVERIFIED
         BOUNCE(ALICE, "missing", "tempfail would=reject rule=evidence.tag-in-body")
         BOUNCE("a@tempfail.example", "missing", "tempfail rule=verify.action")
         BOUNCE("a@quarantine.example", "missing",
                "quarantine applied=tempfail rule=verify.action")},
    {.name = "nothing can be read, and errors accept", .who = OUTSIDE,
     .prepare = cannot_be_read_errors_accept, .sender = "<>",
     .recipients = {"<" ALICE ">", "<a@quarantine.example>"},
     .expected =
         CONTENT
         "quarantine\n"
         "accept\n"
         BOUNCE(ALICE, "missing", "log would=reject rule=evidence.tag-in-body")
         BOUNCE("a@quarantine.example", "missing", "quarantine rule=verify.action")
         NULL_SENDER},
    {.name = "one recipient is proven, the other has its tag",
     .who = OUTSIDE, .prepare = prove_by_journal,
     .sender = "<>", .recipients = {"<{0 " ALICE "}>", "<bob@example.com>"},
     .expected =
         CONTENT
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         PROVEN("bob@example.com", "missing", "journal")
         NULL_SENDER},
    {.name = "one recipient is excluded, the other is not",
     .who = OUTSIDE, .prepare = site_evidence,
     .sender = "<>", .recipients = {"<abuse@example.com>", "<" ALICE ">"},
     .expected =
         CONTENT
         "remove <" ALICE ">\n"
         "accept\n"
         DSN("abuse@example.com", "missing", "accept rule=exclude.recipients:abuse@*")
         DSN(ALICE, "missing", "reject applied=removed rule=verify.action")
         NULL_SENDER},
};

/* Whose fate is certain without the content, so that the body is not even sent. */
static const struct conversation unread[] = {
    {.name = "a valid tag: the content is not read",
     .who = OUTSIDE, .prepare = prove_by_journal, .sender = "<>",
     .recipients = {"<{0 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "a valid tag, where nothing marks", .who = OUTSIDE, .prepare = nothing_marks,
     .sender = "<>", .recipients = {"<{0 " ALICE "}>"}, .marks = 2,
     .expected =
         "wants end\n"
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "no tag, where nothing marks", .who = OUTSIDE, .prepare = nothing_marks,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "a valid tag, where a class marks", .who = OUTSIDE, .prepare = only_a_class_marks,
     .sender = "<>", .recipients = {"<{0 " ALICE "}>"}, .marks = 1,
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "remove header X-Batv-Result 1\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "a local process", .who = LOCAL, .prepare = prove_by_journal, .sender = "",
     .recipients = {ALICE},
     .expected =
         EXCLUDED("localhost[127.0.0.1]", ALICE, "local")
         "sign-skip from=<> reason=null-sender\n"},
    {.name = "a mail server of ours", .who = MAIL_SERVER, .prepare = prove_by_journal,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("mail.example.com[198.51.100.5]", ALICE, "exclude.mail_servers:198.51.100.0/24")
         NULL_SENDER},
    {.name = "a recipient that is excluded", .who = OUTSIDE, .prepare = prove_by_journal,
     .sender = "<>", .recipients = {"<abuse@example.com>"},
     .expected =
         EXCLUDED(OUT, "abuse@example.com", "exclude.recipients:abuse@*")
         NULL_SENDER},
    {.name = "a bounce for other domains only",
     .who = OUTSIDE, .prepare = prove_by_journal, .sender = "<>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS(OUT, "", BOB)
         NULL_SENDER},
    {.name = "ordinary mail", .who = OUTSIDE, .prepare = prove_by_journal, .sender = "<" BOB ">",
     .recipients = {"<" ALICE ">", "<carol@third.test>"},
     .expected =
         "wants nothing\n"
         "accept\n"
         "debug verify client=" OUT " from=<" BOB "> rcpt=<" ALICE "> result=missing "
         "action=accept rule=ordinary\n"
         NOT_OURS(OUT, BOB, "carol@third.test")},
    {.name = "ordinary mail to a tag", .who = OUTSIDE, .prepare = prove_by_journal,
     .sender = "<" BOB ">", .recipients = {"<{bad nobody@example.com}>"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 this address carries a signature that this site does not know; write to "
         "<nobody@example.com> instead\n"
         "verify client=" OUT " from=<" BOB "> rcpt=<{bad nobody@example.com}> "
         "result=bad-signature action=reject rule=tag-unauthentic\n"},
    {.name = "a newer ring knows the tag", .who = OUTSIDE, .prepare = renew_with_evidence,
     .sender = "<>", .recipients = {"<{next " ALICE "}>"},
     .expected =
         CONTENT
         "remove <{next " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         "verify client=" OUT " from=<> rcpt=<{next " ALICE
         "}> result=valid action=accept rule=tag ring=13\n"
         NULL_SENDER},
};

/* verify.class */
static const struct conversation classes[] = {
    {.name = "a class that is logged", .who = OUTSIDE, .prepare = receipt_is_logged, .sender = "<>",
     .recipients = {"<" ALICE ">", "<a@discard.example>"},
     .expected =
         CONTENT
         "accept\n"
         READ(ALICE, "missing", "mdn", "none", "log rule=verify.class.mdn")
         READ("a@discard.example", "missing", "mdn", "none", "log rule=verify.class.mdn")
         NULL_SENDER},
    {.name = "a class that is rejected",
     .who = OUTSIDE, .prepare = receipt_is_refused, .sender = "<>",
     .recipients = {"<a@log.example>", "<alice@example.net>"},
     .expected =
         CONTENT
         NO_RECEIPTS
         READ("a@log.example", "missing", "mdn", "none", "reject rule=verify.class.mdn")
         READ("alice@example.net", "missing", "mdn", "none", "reject rule=verify.class.mdn")},
    {.name = "a class that is discarded",
     .who = OUTSIDE, .prepare = receipt_is_discarded, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "discard\n"
         READ(ALICE, "missing", "mdn", "none", "discard rule=verify.class.mdn")},
    {.name = "a class that is marked", .who = OUTSIDE, .prepare = receipt_is_marked, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "header X-Batv-Result: missing; class=mdn; proof=none; rcpt=<" ALICE ">\n"
         "accept\n"
         READ(ALICE, "missing", "mdn", "none", "mark rule=verify.class.mdn")
         NULL_SENDER},
    {.name = "a proof comes before the class",
     .who = OUTSIDE, .prepare = receipt_is_proven, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         READ(ALICE, "missing", "mdn", "journal", "accept rule=evidence.journal")
         NULL_SENDER},
    {.name = "a class decides for missing, foreign and expired tags only",
     .who = OUTSIDE, .prepare = receipt_is_logged,
     .sender = "<>",
     .recipients = {"<{-9 a@reject.example}>", "<btv1==785a1b2c3d4==" ALICE ">",
                    "<{bad " ALICE "}>", "<{unknown " ALICE "}>", "<prvs=x@example.com>"},
     .expected =
         CONTENT
         "remove <{-9 a@reject.example}>\n"
         "remove <{bad " ALICE "}>\n"
         "remove <{unknown " ALICE "}>\n"
         "remove <prvs=x@example.com>\n"
         "add a@reject.example\n"
         "accept\n"
         READ("{-9 a@reject.example}", "expired", "mdn", "none", "log rule=verify.class.mdn")
         READ("btv1==785a1b2c3d4==" ALICE, "foreign", "mdn", "none", "log rule=verify.class.mdn")
         READ("{bad " ALICE "}", "bad-signature", "mdn", "none",
              "reject applied=removed rule=verify.action")
         READ("{unknown " ALICE "}", "unknown-key", "mdn", "none",
              "reject applied=removed rule=verify.action")
         READ("prvs=x@example.com", "malformed", "mdn", "none",
              "reject applied=removed rule=verify.action")
         NULL_SENDER},
    {.name = "the action of another class does not matter",
     .who = OUTSIDE, .prepare = calendar_is_logged_not_mdn,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         NOT_KNOWN
         READ(ALICE, "missing", "mdn", "none", "reject rule=verify.action")},
    {.name = "a domain that does not sign, where something is missing", .who = OUTSIDE,
     .prepare = receipt_is_refused, .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         NO_RECEIPTS
         READ("alice@off.example", "missing", "mdn", "none", "reject rule=verify.class.mdn")},
    {.name = "a domain that does not sign, where nothing is", .who = OUTSIDE,
     .prepare = receipt_without_ground, .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         READ("alice@off.example", "missing", "mdn", "none", "log rule=sign.enabled")
         NULL_SENDER},
};

/* What stands in for tags, and how long `auto` waits for the journal. */
static const struct conversation grounds[] = {
    {.name = "a young journal holds auto back", .who = OUTSIDE, .prepare = journal_is_young,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         DSN(ALICE, "missing", "log would=reject rule=auto.warm-up")
         NULL_SENDER},
    {.name = "a journal that is just old enough does not hold auto back", .who = OUTSIDE,
     .prepare = journal_is_just_old_enough, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "a young journal does not hold auto back from a bounce that names no message",
     .who = OUTSIDE,
     .prepare = journal_is_young_names_nothing, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "a young journal that is not asked does not hold auto back",
     .who = OUTSIDE, .prepare = journal_is_young_and_off,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "an explicit action waits for no journal", .who = OUTSIDE, .prepare = journal_is_young,
     .sender = "<>", .recipients = {"<a@reject.example>"},
     .expected =
         CONTENT
         REFUSED
         DSN("a@reject.example", "missing", "reject rule=verify.action")},
    {.name = "a domain that does not sign: an old journal does not know the message",
     .who = OUTSIDE,
     .prepare = journal_is_just_old_enough, .sender = "<>",
     .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         REFUSED
         DSN("alice@off.example", "missing", "reject rule=verify.action")},
    {.name = "a domain that does not sign: a young journal does not know the message",
     .who = OUTSIDE, .prepare = journal_is_young,
     .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         DSN("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "a domain that does not sign: the bounce names no message", .who = OUTSIDE,
     .prepare = names_nothing, .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         DSN("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "a domain that does not sign: the journal is not asked", .who = OUTSIDE,
     .prepare = journal_is_off, .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         DSN("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "a domain that does not sign: a tag is judged all the same", .who = OUTSIDE,
     .prepare = names_nothing, .sender = "<>", .recipients = {"<{bad alice@off.example}>"},
     .expected =
         CONTENT
         REFUSED
         DSN("{bad alice@off.example}", "bad-signature", "reject rule=verify.action")},
    {.name = "a pattern matches", .who = OUTSIDE, .prepare = pattern_matches, .sender = "<>",
     .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN("alice@off.example", "missing", "pattern")
         NULL_SENDER},
    {.name = "no pattern matches", .who = OUTSIDE, .prepare = patterns, .sender = "<>",
     .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         REFUSED
         DSN("alice@off.example", "missing", "reject rule=verify.action")},
    {.name = "no pattern could match", .who = OUTSIDE, .prepare = patterns_and_no_name,
     .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         DSN("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "auto never rejects because no pattern matches", .who = OUTSIDE,
     .prepare = patterns_and_auto, .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         DSN("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "patterns of one domain do not count for another",
     .who = OUTSIDE, .prepare = pattern_matches,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "patterns do not count for a domain that signs", .who = OUTSIDE,
     .prepare = patterns_where_tags_are, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
};
/* clang-format on */

START_TEST(test_evidence)
{
    check_conversation(&evidence[_i]);
}
END_TEST

START_TEST(test_unread)
{
    check_conversation(&unread[_i]);
}
END_TEST

START_TEST(test_classes)
{
    check_conversation(&classes[_i]);
}
END_TEST

START_TEST(test_grounds)
{
    check_conversation(&grounds[_i]);
}
END_TEST

/* What a fact is asked about: the mailbox behind the tag, by the newest ring that was looked at. */
static const struct {
    const char *recipient, *resolved;
    const char *address;
    const char *without[3]; /* VERP extensions */
} asked_about[] = {
    {"<" ALICE ">", NULL, ALICE, {NULL}},
    {"<Alice.B@Example.COM>", NULL, "alice.b@example.com", {NULL}},
    {"<{bad Alice@example.com}>", NULL, ALICE, {NULL}},
    {"<{-9 +Alice@example.com}>", NULL, ALICE, {NULL}},
    {"<{unknown \"a B\"@example.com}>", NULL, "a b@example.com", {NULL}},
    {"<prvs=x@example.com>", NULL, "prvs=x@example.com", {NULL}},
    {"<prvs=785a1b2c3=Alice@example.com>",
     NULL,
     ALICE,
     {NULL}}, /* as for what went out from there */
    {"<btv1==785a1b2c3d4==" ALICE ">", NULL, ALICE, {NULL}},
    {"<alice@B\303\274cher.example>", NULL, "alice@xn--bcher-kva.example", {NULL}},
    {"<alice@any.Sub.example>", NULL, "alice@any.sub.example", {NULL}},
    {"<alice>", ALICE, ALICE, {NULL}},
    {"<{bad list-1@example.com~+Far=other.test}>",
     NULL,
     "list-1+far=other.test@example.com",
     {"list@example.com", "list-1@example.com", NULL}},
    {"<{-9 +list-1@example.com~-far=other.test}>",
     NULL,
     "list-1-far=other.test@example.com",
     {"list@example.com", "list-1@example.com", NULL}},
    {"<List=far=other.test@example.com>",
     NULL,
     "list=far=other.test@example.com",
     {"list@example.com", NULL}},
    {"<prvs=785a1b2c3=list=far=other.test@example.com>",
     NULL,
     "list=far=other.test@example.com",
     {"list@example.com", NULL}},
};

static void assert_names(const struct evidence_names *names, int row)
{
    ck_assert_str_eq(names->texts[0], asked_about[row].address);
    for (size_t i = 0; i < COUNT_OF(asked_about[row].without); i++) {
        const char *expected = asked_about[row].without[i];
        const char *found = i + 1 < names->count ? names->texts[i + 1] : NULL;
        ck_assert_pstr_eq(found, expected);
    }
    ck_assert_uint_le(names->count, 1 + COUNT_OF(asked_about[row].without));
}

START_TEST(test_asked)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text raw = {.used = 0};
    struct question asked;
    site_evidence(site);
    expand(&raw, site, asked_about[_i].recipient);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_rcpt(t, "<" BOB ">");
    transaction_rcpt(t, &(struct rcpt_event){.recipient = raw.out,
                                             .resolved = asked_about[_i].resolved,
                                             .now = now_of_site()});
    transaction_question(t, FACT_JOURNAL, 1, &asked);
    assert_names(asked.names, _i);
    ck_assert_ptr_eq(asked.settings, site->settings);
    ck_assert_ptr_eq(asked.domain,
                     settings_domain(site->settings, strchr(asked_about[_i].address, '@') + 1));
    ck_assert_ptr_eq(asked.ring, site->ring);
    ck_assert_uint_eq(asked.recipient, 1);
    ck_assert_int_eq(asked.fact, FACT_JOURNAL);
    ck_assert_int_eq(asked.now, now_of_site());
    transaction_renew(t, site->newer);
    transaction_question(t, FACT_JOURNAL, 1, &asked);
    ck_assert_ptr_eq(asked.ring, site->newer);
    assert_names(asked.names, _i);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* Facts are asked recipient by recipient, and only of those that need one. */
START_TEST(test_questions)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    site_evidence(site);
    site->settings->domain[OFF_EXAMPLE].message_ids = REGEXES("x");
    static const char *const recipients[] = {
        "<" ALICE ">", "<{0 bob@example.com}>",     "<abuse@example.com>",
        "<" BOB ">",   "<{bad carol@example.com}>", "<alice@off.example>"};
    static const struct {
        size_t recipient;
        enum fact fact;
        enum answer answer;
    } questions[] = {
        {0, FACT_TAG_IN_BODY, ANSWER_NO}, {0, FACT_HEADER, ANSWER_YES},
        {4, FACT_TAG_IN_BODY, ANSWER_NO}, {4, FACT_HEADER, ANSWER_UNAVAILABLE},
        {4, FACT_JOURNAL, ANSWER_NO},     {5, FACT_TAG_IN_BODY, ANSWER_NO},
        {5, FACT_HEADER, ANSWER_NO},      {5, FACT_JOURNAL, ANSWER_NO},
        {5, FACT_PATTERN, ANSWER_NO},     {5, FACT_UNTAGGABLE, ANSWER_NO},
        {5, FACT_CLASS, ANSWER_YES},
    };
    static const char *const rules[] = {"evidence.header",    "tag",
                                        "exclude.recipients", "not-ours",
                                        "evidence.header",    "sign.enabled"};
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    for (size_t i = 0; i < COUNT_OF(recipients); i++) {
        give_recipient(t, site, recipients[i], &text);
    }
    struct question question;
    give_end(t);
    for (size_t i = 0; i < COUNT_OF(questions); i++) {
        ck_assert(transaction_asks(t, &question));
        ck_assert_uint_eq(question.recipient, questions[i].recipient);
        ck_assert_int_eq(question.fact, questions[i].fact);
        give_answer(t, &question, questions[i].answer);
    }
    ck_assert(!transaction_asks(t, &question));
    ck_assert(!transaction_asks(t, &question)); /* it is decided once */
    size_t count;
    const struct decision *decisions = transaction_decisions(t, &count);
    ck_assert_uint_ge(count, COUNT_OF(rules));
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        ck_assert_str_eq(decisions[i].verdict.rule, rules[i]);
        const char *domain = strrchr(decisions[i].recipient, '@') + 1;
        ck_assert_ptr_eq(decisions[i].domain, settings_domain(site->settings, domain));
    }
    transaction_free(t);
    site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proofs");
    add_table(suite, "proof from content", test_evidence, COUNT_OF(evidence));
    add_table(suite, "content that is not read", test_unread, COUNT_OF(unread));
    add_table(suite, "classes", test_classes, COUNT_OF(classes));
    add_table(suite, "grounds without tags", test_grounds, COUNT_OF(grounds));
    add_table(suite, "what is asked about", test_asked, COUNT_OF(asked_about));

    TCase *tcase = tcase_create("events");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_questions);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
