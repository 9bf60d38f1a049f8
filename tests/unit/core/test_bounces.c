/*
 * Bounces whose content is not read, as tables of conversations (see conversation.h): by their
 * tag, and by the lists that accept them.
 */
#include "sites.h"

static void sent_untagged(struct site *site)
{
    site->answers[FACT_UNTAGGABLE] = ANSWER_YES;
}

static void no_restore(struct site *site)
{
    site->settings->restore = false;
}

static void do_not_exclude(struct site *site)
{
    site->settings->exclude_authenticated = false;
    site->settings->exclude_mail_servers = false;
}

static void exclude_relay_by_network(struct site *site)
{
    network_list_free(site->settings->exclude_networks);
    site->settings->exclude_networks = NETWORKS("10.9.9.0/24");
}

static void exclude_relay_by_name(struct site *site)
{
    host_list_free(site->settings->exclude_hosts);
    site->settings->exclude_hosts = HOSTS("*.partner.test");
}

static void reject_example_net(struct site *site)
{
    site->settings->domain[EXAMPLE_NET].action = ACTION_REJECT;
}

static void revoke(struct site *site, bool compromised)
{
    uint8_t octets[SECRET_SIZE] = {0};
    struct key_policy policy = keys_weekly(LIFETIME);
    ck_assert_int_eq(
        ring_revoke(site->ring, &policy, 1, now_of_site() - 60, compromised, octets, NULL),
        STATUS_OK);
}

static void revoke_key_1(struct site *site)
{
    revoke(site, false);
}

static void forget_key_1(struct site *site)
{
    revoke(site, false);
    site->settings->keys.retain_days = 0;
}

static void compromise_key_1(struct site *site)
{
    revoke(site, true);
}

/* Every proof is there, and nobody asks for it. */
static void prove_without_evidence(struct site *site)
{
    for (size_t i = 0; i < FACT_COUNT; i++) {
        site->answers[i] = i != FACT_UNTAGGABLE ? ANSWER_YES : ANSWER_NO;
    }
}

static void journal_is_young_evidence_off(struct site *site)
{
    journal_is_young(site);
    site->settings->evidence.enabled = false;
}

static void only_logs(struct site *site)
{
    site->settings->may_mark = false;
}

static void patterns_without_evidence(struct site *site)
{
    pattern_matches(site);
    site->settings->evidence.enabled = false;
}

/* clang-format off */
static const struct conversation bounces[] = {
    {.name = "a genuine bounce", .who = OUTSIDE, .sender = "<>", .recipients = {"<{0 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "genuine, by a former key", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{-7 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{-7 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{-7 " ALICE "}")
         NULL_SENDER},
    {.name = "genuine, subaddress", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 +alice@example.net}>"},
     .expected =
         HEADERS
         "remove <{0 +alice@example.net}>\n"
         "add alice@example.net\n"
         "accept\n"
         VALID("{0 +alice@example.net}")
         NULL_SENDER},
    {.name = "genuine, with a VERP extension, which stays", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 list-1@example.com~+x-y=z=other.test}>"},
     .expected =
         HEADERS
         "remove <{0 list-1@example.com~+x-y=z=other.test}>\n"
         "add list-1+x-y=z=other.test@example.com\n"
         "accept\n"
         VALID("{0 list-1@example.com~+x-y=z=other.test}")
         NULL_SENDER},
    {.name = "genuine, subaddress with a VERP extension", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 +list@example.net~=far=other.test}>"},
     .expected =
         HEADERS
         "remove <{0 +list@example.net~=far=other.test}>\n"
         "add list=far=other.test@example.net\n"
         "accept\n"
         VALID("{0 +list@example.net~=far=other.test}")
         NULL_SENDER},
    {.name = "VERP of several recipients, by one tag", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 list@example.com~-a=other.test}>", "<{0 list@example.com~-b=other.test}>"},
     .expected =
         HEADERS
         "remove <{0 list@example.com~-a=other.test}>\n"
         "remove <{0 list@example.com~-b=other.test}>\n"
         "add list-a=other.test@example.com\n"
         "add list-b=other.test@example.com\n"
         "accept\n"
         VALID("{0 list@example.com~-a=other.test}")
         VALID("{0 list@example.com~-b=other.test}")
         NULL_SENDER},
    {.name = "genuine, U-labels", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 alice@xn--bcher-kva.example}>"},
     .expected =
         HEADERS
         "remove <{0 alice@xn--bcher-kva.example}>\n"
         "add alice@xn--bcher-kva.example\n"
         "accept\n"
         VALID("{0 alice@xn--bcher-kva.example}")
         NULL_SENDER},
    {.name = "NOTIFY and ORCPT go with the recipient, nothing else does", .who = OUTSIDE,
     .sender = "<>",
     .recipients = {"<{0 " ALICE "}>|NOTIFY=SUCCESS,FAILURE|X=Y|ORCPT=rfc822;a+2Bb@other.test",
                    "<{0 carol@example.com}>|orcpt=rfc822;c@x.test|notify=never",
                    "<{0 dave@example.com}>|X=Y"},
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "remove <{0 carol@example.com}>\n"
         "remove <{0 dave@example.com}>\n"
         "add " ALICE " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@other.test\n"
         "add carol@example.com orcpt=rfc822;c@x.test notify=never\n"
         "add dave@example.com\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         VALID("{0 carol@example.com}")
         VALID("{0 dave@example.com}")
         NULL_SENDER},
    {.name = "genuine, by mailer-daemon", .who = OUTSIDE, .sender = "<MAILER-DAEMON@other.test>",
     .recipients = {"<{0 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         "verify client=" OUT " from=<MAILER-DAEMON@other.test> rcpt=<{0 " ALICE
         "}> result=valid action=accept rule=tag\n"},
    {.name = "bad signature, by mailer-daemon", .who = OUTSIDE,
     .sender = "<mailer-daemon@other.test>", .recipients = {"<{bad " ALICE "}>"},
     .expected =
         HEADERS
         "reject 550 5.1.1 " WRITE_TO(ALICE)
         "verify client=" OUT " from=<mailer-daemon@other.test> rcpt=<{bad " ALICE
         "}> result=bad-signature class=- proof=none action=reject rule=tag-unauthentic\n"},
    {.name = "bad signature, by mailer-daemon, while the domain waits", .who = OUTSIDE,
     .sender = "<mailer-daemon@other.test>", .recipients = {"<{bad a@example.net}>"},
     .expected =
         HEADERS
         "tempfail 451 4.1.1 " WRITE_OR_WAIT("a@example.net")
         "verify client=" OUT " from=<mailer-daemon@other.test> rcpt=<{bad a@example.net"
         "}> result=bad-signature class=- proof=none action=tempfail rule=tag-unauthentic\n"},
    {.name = "bad signature, by mailer-daemon, proven", .who = OUTSIDE,
     .prepare = prove_by_journal, .sender = "<mailer-daemon@other.test>",
     .recipients = {"<{bad " ALICE "}>"},
     .expected =
         "wants headers, body, end\n"
         "accept\n"
         "verify client=" OUT " from=<mailer-daemon@other.test> rcpt=<{bad " ALICE
         "}> result=bad-signature class=dsn proof=journal action=accept rule=evidence.journal\n"},
    {.name = "a genuine bounce is not restored with restore = false",
     .who = OUTSIDE, .prepare = no_restore, .sender = "<>",
     .recipients = {"<{0 " ALICE "}>"},
     .expected =
         HEADERS
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "a missing tag", .who = OUTSIDE, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")},
    {.name = "missing, a null sender without brackets", .who = OUTSIDE, .sender = "",
     .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")},
    {.name = "missing, by mailer-daemon without a domain", .who = OUTSIDE,
     .sender = "<mailer-daemon>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         "verify client=" OUT " from=<mailer-daemon> rcpt=<" ALICE
         "> result=missing class=- proof=none action=reject rule=verify.action\n"},
    {.name = "missing, by a mailer-daemon with somebody's tag", .who = OUTSIDE,
     .sender = "<prvs=1234abcdef=mailer-daemon@other.test>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         "verify client=" OUT " from=<prvs=1234abcdef=mailer-daemon@other.test> rcpt=<" ALICE
         "> result=missing class=- proof=none action=reject rule=verify.action\n"},
    {.name = "a bad signature", .who = OUTSIDE, .sender = "<>", .recipients = {"<{bad " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{bad " ALICE "}", "bad-signature", "reject rule=verify.action")},
    {.name = "an unknown key", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{unknown " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{unknown " ALICE "}", "unknown-key", "reject rule=verify.action")},
    {.name = "a malformed tag", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<prvs=3785=" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("prvs=3785=" ALICE, "malformed", "reject rule=verify.action")},
    {.name = "a foreign tag", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<btv1==785a1b2c3d4==" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("btv1==785a1b2c3d4==" ALICE, "foreign", "reject rule=verify.action")},
    {.name = "a key that was over weeks ago", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{-14 " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{-14 " ALICE "}", "unknown-key", "reject rule=verify.action")},
    {.name = "a tag that expired lately",
     .who = OUTSIDE, .sender = "<>", .recipients = {"<{-9 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{-9 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         BOUNCE("{-9 " ALICE "}", "expired", "log rule=verify.expired")
         NULL_SENDER},
    {.name = "an expired tag in a domain that rejects late bounces", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{-9 a@reject.example}>"},
     .expected =
         HEADERS
         TOO_LATE
         BOUNCE("{-9 a@reject.example}", "expired", "reject rule=verify.expired")},
    {.name = "an expired tag in a domain that accepts late bounces", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{-9 a@late.example}>"},
     .expected =
         HEADERS
         "remove <{-9 a@late.example}>\n"
         "add a@late.example\n"
         "accept\n"
         BOUNCE("{-9 a@late.example}", "expired", "log rule=verify.expired")
         NULL_SENDER},
    {.name = "a missing tag in a domain that waits", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<alice@example.net>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("alice@example.net", "missing", "log would=reject rule=auto.warm-up")
         NULL_SENDER},
    {.name = "verify.action = reject waits for nothing", .who = OUTSIDE,
     .prepare = reject_example_net, .sender = "<>", .recipients = {"<alice@example.net>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("alice@example.net", "missing", "reject rule=verify.action")},
    {.name = "auto logs by a wrong clock", .who = OUTSIDE, .prepare = clock_wrong, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE(ALICE, "missing", "log would=reject rule=auto.warm-up")
         NULL_SENDER},
    {.name = "a pause rejects nothing", .who = OUTSIDE, .prepare = pause_verifying, .sender = "<>",
     .recipients = {"<" ALICE ">", "<a@discard.example>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE(ALICE, "missing", "log would=reject rule=pause")
         BOUNCE("a@discard.example", "missing", "log would=discard rule=pause")
         NULL_SENDER},
    {.name = "a domain that does not sign", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<alice@off.example>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "a domain that does not sign, valid", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 alice@off.example}>"},
     .expected =
         HEADERS
         "remove <{0 alice@off.example}>\n"
         "add alice@off.example\n"
         "accept\n"
         VALID("{0 alice@off.example}")
         NULL_SENDER},
    {.name = "verify.action = log",
     .who = OUTSIDE, .sender = "<>", .recipients = {"<a@log.example>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("a@log.example", "missing", "log rule=verify.action")
         NULL_SENDER},
    {.name = "verify.action = quarantine", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<a@quarantine.example>"},
     .expected =
         HEADERS
         "quarantine\n"
         "accept\n"
         BOUNCE("a@quarantine.example", "missing", "quarantine rule=verify.action")
         NULL_SENDER},
    {.name = "verify.action = tempfail",
     .who = OUTSIDE, .sender = "<>", .recipients = {"<a@tempfail.example>"},
     .expected =
         HEADERS
         LATER
         BOUNCE("a@tempfail.example", "missing", "tempfail rule=verify.action")},
    {.name = "verify.action = discard",
     .who = OUTSIDE, .sender = "<>", .recipients = {"<a@discard.example>"},
     .expected =
         HEADERS
         "discard\n"
         BOUNCE("a@discard.example", "missing", "discard rule=verify.action")},
    {.name = "verify.action = mark",
     .who = OUTSIDE, .sender = "<>", .recipients = {"<a@mark.example>"},
     .expected =
         HEADERS
         "header X-Batv-Result: missing; class=-; proof=none; rcpt=<a@mark.example>\n"
         "accept\n"
         BOUNCE("a@mark.example", "missing", "mark rule=verify.action")
         NULL_SENDER},
    {.name = "verify.action = mark: copies of the result from outside go, the last first",
     .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{bad a@mark.example}>"}, .marks = 3,
     .expected =
         HEADERS
         "remove header X-Batv-Result 3\n"
         "remove header X-Batv-Result 2\n"
         "remove header X-Batv-Result 1\n"
         "header X-Batv-Result: bad-signature; class=-; proof=none; rcpt=<a@mark.example>\n"
         "accept\n"
         BOUNCE("{bad a@mark.example}", "bad-signature", "mark rule=verify.action")
         NULL_SENDER},
    {.name = "copies of the result from outside stay where nothing marks",
     .who = OUTSIDE, .prepare = only_logs,
     .sender = "<>", .recipients = {"<abuse@example.com>"}, .marks = 3,
     .expected =
         "wants end\n"
         "accept\n"
         "verify client=" OUT " from=<> rcpt=<abuse@example.com> result=missing class=- proof=none "
         "action=accept rule=exclude.recipients:abuse@*\n"
         NULL_SENDER},
    {.name = "copies of the result from outside go from a genuine bounce too",
     .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 " ALICE "}>"}, .marks = 2,
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "remove header X-Batv-Result 2\n"
         "remove header X-Batv-Result 1\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "no proof is asked for while evidence is off",
     .who = OUTSIDE, .prepare = prove_without_evidence,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")},
    {.name = "a young journal does not matter while evidence is off", .who = OUTSIDE,
     .prepare = journal_is_young_evidence_off, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")},
    {.name = "no pattern is asked for while evidence is off",
     .who = OUTSIDE, .prepare = patterns_without_evidence,
     .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "a bounce for other domains only", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<" BOB ">", "<carol@other.test>"},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS(OUT, "", BOB)
         NOT_OURS(OUT, "", "carol@other.test")
         NULL_SENDER},
};
/* clang-format on */

START_TEST(test_bounces)
{
    check_conversation(&bounces[_i]);
}
END_TEST

/* clang-format off */
static const struct conversation exclusions[] = {
    {.name = "a local process", .who = LOCAL, .sender = "", .recipients = {ALICE},
     .expected =
         EXCLUDED("localhost[127.0.0.1]", ALICE, "local")
         "sign-skip from=<> reason=null-sender\n"},
    {.name = "an authenticated client", .who = OUTSIDE, .user = "carol", .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED(OUT, ALICE, "exclude.authenticated")
         "sign-skip from=<> reason=null-sender\n"},
    {.name = "an authenticated client is not excluded by the settings",
     .who = OUTSIDE, .user = "carol",
     .prepare = do_not_exclude, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")},
    {.name = "a mail server of ours", .who = MAIL_SERVER, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("mail.example.com[198.51.100.5]", ALICE, "exclude.mail_servers:198.51.100.0/24")
         NULL_SENDER},
    {.name = "a mail server of ours is not excluded by the settings",
     .who = MAIL_SERVER, .prepare = do_not_exclude,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         "verify client=mail.example.com[198.51.100.5] from=<> rcpt=<" ALICE
         "> result=missing class=- proof=none action=reject rule=verify.action\n"},
    {.name = "an excluded network",
     .who = EXCLUDED_NETWORK, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("unknown[203.0.113.7]", ALICE, "exclude.networks:203.0.113.0/24")
         NULL_SENDER},
    {.name = "an excluded host",
     .who = EXCLUDED_HOST, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("mx.partner.test[192.0.2.77]", ALICE, "exclude.hosts:mx.partner.test")
         NULL_SENDER},
    {.name = "a relay, for the lists of our own hosts and of domains that we do not sign to",
     .who = RELAY, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         "verify client=gateway.partner.test[10.9.9.9] from=<> rcpt=<" ALICE
         "> result=missing class=- proof=none action=reject rule=verify.action\n"},
    {.name = "a relay, in an excluded network", .who = RELAY, .prepare = exclude_relay_by_network,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("gateway.partner.test[10.9.9.9]", ALICE, "exclude.networks:10.9.9.0/24")
         NULL_SENDER},
    {.name = "a relay, an excluded host", .who = RELAY, .prepare = exclude_relay_by_name,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("gateway.partner.test[10.9.9.9]", ALICE, "exclude.hosts:*.partner.test")
         NULL_SENDER},
    {.name = "an excluded recipient", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<PostMaster@example.com>"},
     .expected =
         EXCLUDED(OUT, "PostMaster@example.com", "exclude.recipients:postmaster@*")
         NULL_SENDER},
    {.name = "an excluded recipient behind a forged tag", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{bad abuse@example.com}>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("{bad abuse@example.com}", "bad-signature",
                "accept rule=exclude.recipients:abuse@*")
         NULL_SENDER},
    {.name = "an excluded SRS recipient", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<srs0=HHH=TT=other.test=bob@example.com>"},
     .expected =
         EXCLUDED(OUT, "srs0=HHH=TT=other.test=bob@example.com", "exclude.recipients:SRS0=*@*")
         NULL_SENDER},
    {.name = "a host that we do not sign to", .who = LIST_HOST, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("out.lists.test[192.0.2.78]", ALICE, "exclude_sign.recipients:*@lists.test")
         NULL_SENDER},
    {.name = "an address that is too long to tag",
     .who = OUTSIDE, .prepare = sent_untagged, .sender = "<>",
     .recipients = {"<x" L48 "@example.com>"},
     .expected =
         EXCLUDED(OUT, "x" L48 "@example.com", "untaggable")
         NULL_SENDER},
    {.name = "an address that is just short enough to tag", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<" L48 "@example.com>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(L48 "@example.com", "missing", "reject rule=verify.action")},
    {.name = "a revoked key", .who = OUTSIDE, .prepare = revoke_key_1, .sender = "<>",
     .recipients = {"<{-8 " ALICE "}>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("{-8 " ALICE "}", "unknown-key", "log rule=key-gone")
         NULL_SENDER},
    {.name = "a revoked key, a day that it never signed for", .who = OUTSIDE,
     .prepare = revoke_key_1, .sender = "<>", .recipients = {"<prvs=1500abcdef=" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("prvs=1500abcdef=" ALICE, "unknown-key", "reject rule=verify.action")},
    {.name = "a revoked key, where keys are forgotten at once", .who = OUTSIDE,
     .prepare = forget_key_1, .sender = "<>", .recipients = {"<{-8 " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{-8 " ALICE "}", "unknown-key", "reject rule=verify.action")},
    {.name = "a compromised key", .who = OUTSIDE, .prepare = compromise_key_1, .sender = "<>",
     .recipients = {"<{-8 " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{-8 " ALICE "}", "unknown-key", "reject rule=verify.action")},
    {.name = "an excluded recipient excludes no other", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<" ALICE ">", "<abuse@example.com>"},
     .expected =
         HEADERS
         "remove <" ALICE ">\n"
         "accept\n"
         BOUNCE(ALICE, "missing", "reject applied=removed rule=verify.action")
         BOUNCE("abuse@example.com", "missing", "accept rule=exclude.recipients:abuse@*")
         NULL_SENDER},
};
/* clang-format on */

START_TEST(test_exclusions)
{
    check_conversation(&exclusions[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bounces");
    add_table(suite, "bounces", test_bounces, COUNT_OF(bounces));
    add_table(suite, "exclusions", test_exclusions, COUNT_OF(exclusions));
    return suite_run(suite);
}
