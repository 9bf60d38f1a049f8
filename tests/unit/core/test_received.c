/* Received fields as the programs write them that people use, and as strangers would have them
 * written: the host that got the message, the address it came from, and whether the client had
 * authenticated. */
#include "fixture.h"

#include <arpa/inet.h>
#include <time.h>

#include "batv/address.h"
#include "batv/received.h"

/* from: an address as inet_ntop prints it, "local" or "?". */
struct field {
    const char *name;
    const char *value;
    const char *by;
    const char *from;
    bool authenticated;
    bool fetched;
};

/* clang-format off */
static const struct field writings[] = {
    {"Postfix",
     "from mail.other.test (mx.other.test [192.0.2.9])\n\tby mx.example.com (Postfix) with ESMTP id "
     "4XyZ\n\tfor <alice@example.com>; Sat, 28 Nov 2026 05:00:00 +0000 (UTC)",
     "mx.example.com", "192.0.2.9", false, false},
    {"Postfix, TLS",
     "from mail.other.test (mx.other.test [192.0.2.9])\n\t(using TLSv1.3 with cipher "
     "TLS_AES_256_GCM_SHA384 (256/256 bits)\n\t key-exchange X25519 server-signature RSA-PSS (2048 "
     "bits) server-digest SHA256)\n\t(No client certificate requested)\n\tby mx.example.com "
     "(Postfix) with ESMTPS id 4XyZ\n\tfor <alice@example.com>; Sat, 28 Nov 2026 05:00:00 +0000 (UTC)",
     "mx.example.com", "192.0.2.9", false, false},
    {"Postfix, a client certificate",
     "from h (unknown [192.0.2.9]) (using TLSv1.3 with cipher X (256/256 bits)) (Client CN "
     "\"[127.0.0.1] by with ESMTPSA\", Issuer \"x (y)\" (verified OK)) by mx.example.com (Postfix) "
     "with ESMTPS id 1",
     "mx.example.com", "192.0.2.9", false, false},
    {"Postfix, authenticated",
     "from laptop (dsl.isp.test [203.0.113.5]) (using TLSv1.3 with cipher X (256/256 bits)) "
     "(Client did not present a certificate) (Authenticated sender: alice) by mx.example.com "
     "(Postfix) with ESMTPSA id 4XyZ; Sat, 28 Nov 2026 05:00:00 +0000 (UTC)",
     "mx.example.com", "203.0.113.5", true, false},
    {"Postfix, IPv6",
     "from a.test (a.test [IPv6:2001:db8::9]) by mx.example.com (Postfix) with ESMTP id 1",
     "mx.example.com", "2001:db8::9", false, false},
    {"Postfix, no name",
     "from [10.0.0.7] (unknown [192.0.2.9]) by mx.example.com (Postfix) with ESMTP id 1",
     "mx.example.com", "192.0.2.9", false, false},
    {"Postfix, itself",
     "from localhost (unknown [127.0.0.1]) by mx.example.com (Postfix) with ESMTP id 1",
     "mx.example.com", "127.0.0.1", false, false},
    {"Postfix, a proxy has not said",
     "from a.test (unknown [unknown]) by mx.example.com (Postfix) with ESMTP id 1",
     "mx.example.com", "?", false, false},
    {"Postfix, sendmail(1)",
     "by mx.example.com (Postfix, from userid 33)\n\tid 4XyZ; Sat, 28 Nov 2026 05:00:00 +0000 (UTC)",
     "mx.example.com", "local", false, false},
    {"Postfix, SMTPUTF8",
     "from a.test (a.test [192.0.2.9]) by mx.example.com (Postfix) with UTF8SMTPSA id 1",
     "mx.example.com", "192.0.2.9", true, false},
    {"Sendmail",
     "from mail.other.test (mx.other.test [192.0.2.9])\n\tby mx.example.com (8.17.1.9/8.17.1.9) with "
     "ESMTPS id 4AS500\n\t(version=TLSv1.3 cipher=X bits=256 verify=NO)\n\tfor <alice@example.com>; "
     "Sat, 28 Nov 2026 05:00:00 GMT",
     "mx.example.com", "192.0.2.9", false, false},
    {"Sendmail, may be forged",
     "from a.test (mx.other.test [192.0.2.9] (may be forged)) by mx.example.com (8.17.1/8.17.1) with "
     "SMTP id 1; Sat, 28 Nov 2026 05:00:00 GMT",
     "mx.example.com", "192.0.2.9", false, false},
    {"Sendmail, ident",
     "from a.test (IDENT:root@mx.other.test [192.0.2.9]) by mx.example.com (8.17.1/8.17.1) with "
     "ESMTP id 1",
     "mx.example.com", "192.0.2.9", false, false},
    {"Sendmail, authenticated",
     "from laptop (dsl.isp.test [203.0.113.5]) (authenticated bits=0) by mx.example.com "
     "(8.17.1/8.17.1) with ESMTPSA id 1 (version=TLSv1.3) ; Sat, 28 Nov 2026 05:00:00 GMT",
     "mx.example.com", "203.0.113.5", true, false},
    {"Sendmail, IPv6",
     "from a.test ([IPv6:2001:db8:0:0:0:0:0:9]) by mx.example.com (8.17.1/8.17.1) with ESMTP id 1",
     "mx.example.com", "2001:db8::9", false, false},
    {"Sendmail, sendmail(1)",
     "(from alice@localhost)\n\tby mx.example.com (8.17.1/8.17.1/Submit) id 4AS500; Sat, 28 Nov 2026",
     "mx.example.com", "local", false, false},
    {"Exim",
     "from mx.other.test ([192.0.2.9] helo=mail.other.test)\n\tby mx.example.com with esmtps  (TLS1.3) "
     "tls TLS_AES_256_GCM_SHA384\n\t(Exim 4.96)\n\t(envelope-from <a@other.test>)\n\tid 1r-1; Sat",
     "mx.example.com", "192.0.2.9", false, false},
    {"Exim, no name",
     "from [192.0.2.9] (helo=[127.0.0.1])\n\tby mx.example.com with esmtp (Exim 4.96) id 1r-1",
     "mx.example.com", "192.0.2.9", false, false},
    {"Exim, a port, an ident",
     "from [192.0.2.9] (port=4711 helo=localhost ident=[10.0.0.1]) by mx.example.com with smtp "
     "(Exim 4.96) id 1",
     "mx.example.com", "192.0.2.9", false, false},
    {"Exim, the address alone", "from [192.0.2.9] by mx.example.com with smtp (Exim 4.96) id 1",
     "mx.example.com", "192.0.2.9", false, false},
    {"Exim, with its port", "from a.test ([192.0.2.9]:4711) by mx.example.com with smtp (Exim 4.96) id 1",
     "mx.example.com", "192.0.2.9", false, false},
    {"Exim, authenticated",
     "from dsl.isp.test ([203.0.113.5] helo=laptop) by mx.example.com with esmtpsa (TLS1.3) tls X "
     "(Exim 4.96) (envelope-from <alice@example.com>) id 1",
     "mx.example.com", "203.0.113.5", true, false},
    {"Exim of old, authenticated",
     "from dsl.isp.test ([203.0.113.5] helo=laptop) by mx.example.com with asmtp (Exim 4.30) id 1",
     "mx.example.com", "203.0.113.5", true, false},
    {"Exim, sendmail(1)",
     "from alice by mx.example.com with local (Exim 4.96) (envelope-from <alice@example.com>) id 1",
     "mx.example.com", "local", false, false},
    {"Exim, -bs",
     "from alice by mx.example.com with local-esmtp (Exim 4.96) id 1",
     "mx.example.com", "local", false, false},
    {"qmail",
     "from unknown (HELO mail.other.test) (192.0.2.9)\n  by mx.example.com with SMTP; 28 Nov 2026 "
     "05:00:00 -0000",
     "mx.example.com", "192.0.2.9", false, false},
    {"qmail, a HELO that is the name", "from mx.other.test (192.0.2.9) by mx.example.com with SMTP; 28 "
     "Nov 2026 05:00:00 -0000",
     "mx.example.com", "192.0.2.9", false, false},
    {"qmail, ident",
     "from unknown (HELO x) (root@192.0.2.9) by mx.example.com with ESMTPA; 28 Nov 2026",
     "mx.example.com", "192.0.2.9", true, false},
    {"qmail, by itself", "(qmail 4711 invoked by uid 89); 28 Nov 2026 05:00:00 -0000", "", "local",
     false, false},
    {"Courier",
     "from mail.other.test (mx.other.test [::ffff:192.0.2.9])\n  by mx.example.com with ESMTP; Sat",
     "mx.example.com", "192.0.2.9", false, false},
    {"Exchange, from outside",
     "from mail.other.test (192.0.2.9) by EX01.corp.example.com\n (10.0.0.4) with Microsoft SMTP "
     "Server (version=TLS1_2,\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.1.2507.6 via "
     "Frontend\n Transport; Sat, 28 Nov 2026 05:00:00 +0000",
     "EX01.corp.example.com", "192.0.2.9", false, false},
    {"Exchange, between its servers",
     "from EX02.corp.example.com (10.0.0.5) by EX01.corp.example.com (10.0.0.4) with Microsoft SMTP "
     "Server (TLS) id 15.1.2507.6; Sat, 28 Nov 2026 05:00:00 +0000",
     "EX01.corp.example.com", "10.0.0.5", false, false},
    {"Exchange, its own user",
     "from EX01.corp.example.com ([fe80::55b7:1ed6:8f3a:4b6c]) by\n EX01.corp.example.com "
     "([fe80::55b7:1ed6:8f3a:4b6c%12]) with mapi id\n 15.01.2507.006; Sat, 28 Nov 2026 05:00:00 +0000",
     "EX01.corp.example.com", "fe80::55b7:1ed6:8f3a:4b6c", true, false},
    {"Exchange Online, IPv6",
     "from AM6.prod.test (2603:10a6:20b::12) by DB9.prod.test (2603:10a6:10::8) with HTTPS; Sat",
     "DB9.prod.test", "2603:10a6:20b::12", true, false},
    {"Microsoft's SMTP service",
     "from mail.other.test ([192.0.2.9]) by WEB1 with Microsoft SMTPSVC(6.0.3790.4675);\n\t Sat",
     "WEB1", "192.0.2.9", false, false},
    {"amavis",
     "from mx.example.com ([127.0.0.1])\n\tby localhost (mx.example.com [127.0.0.1]) (amavisd-new, "
     "port 10024)\n\twith ESMTP id rTg4 for <alice@example.com>;\n\tSat, 28 Nov 2026 05:00:00 +0000",
     "localhost", "127.0.0.1", false, false},
    {"amavis, LMTP",
     "from mx.example.com ([10.0.0.4]) by amavis.example.com (amavis.example.com [127.0.0.1]) "
     "(amavis, port 10024) with LMTP id rTg4",
     "amavis.example.com", "10.0.0.4", false, false},
    {"fetchmail",
     "from pop.isp.test [192.0.2.9]\n\tby localhost with POP3 (fetchmail-6.4.37)\n\tfor "
     "<alice@localhost> (single-drop); Sat, 28 Nov 2026 05:00:00 +0000 (UTC)",
     "localhost", "192.0.2.9", false, true},
    {"fetchmail, IMAP, IPv6",
     "from imap.isp.test [2001:db8::9] by mx.example.com with IMAP (fetchmail-6.4.37) for "
     "<alice@localhost> (multi-drop); Sat",
     "mx.example.com", "2001:db8::9", false, true},
    {"fetchmail, no address",
     "from pop.isp.test by localhost with POP3 (fetchmail-6.3.6) for <alice@localhost>; Sat",
     "localhost", "?", false, true},
    {"Zimbra",
     "from mta.example.com (LHLO mta.example.com) (10.0.0.4) by mbox.example.com with LMTP; Sat",
     "mbox.example.com", "10.0.0.4", false, false},
    {"OpenSMTPD",
     "from a.test (mx.other.test [192.0.2.9])\n\tby mx.example.com (OpenSMTPD) with ESMTPS id 1f "
     "(TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO)\n\tfor <alice@example.com>;\n\tSat",
     "mx.example.com", "192.0.2.9", false, false},
    {"OpenSMTPD, sendmail(1)",
     "from localhost (mx.example.com [local]) by mx.example.com (OpenSMTPD) with ESMTPA id 1f",
     "mx.example.com", "?", true, false},
    {"Dovecot's LMTP",
     "from mx.example.com ([127.0.0.1])\n\tby mbox.example.com with LMTP\n\tid qL/x\n\t(envelope-from "
     "<a@other.test>)\n\tfor <alice@example.com>; Sat",
     "mbox.example.com", "127.0.0.1", false, false},
    {"MDaemon", "from a.test (mx.other.test [192.0.2.9]) by mx.example.com (MDaemon PRO v20) with ESMTP id "
     "md50000.msg; Sat",
     "mx.example.com", "192.0.2.9", false, false},
    {"Mailman's list host",
     "from lists.example.com (localhost [127.0.0.1]) by lists.example.com (Postfix) with ESMTP id 1",
     "lists.example.com", "127.0.0.1", false, false},
    {"Roundcube", "from [203.0.113.5] by mx.example.com with HTTP (HTTP/1.1 POST); Sat, 28 Nov 2026",
     "mx.example.com", "203.0.113.5", true, false},
    {"SquirrelMail",
     "from 203.0.113.5 (SquirrelMail authenticated user alice) by mx.example.com with HTTP; Sat",
     "mx.example.com", "?", true, false},
    {"Horde",
     "from dsl.isp.test (dsl.isp.test [203.0.113.5]) by mx.example.com (Horde Framework) with HTTPS",
     "mx.example.com", "203.0.113.5", true, false},
};

static const struct field oddities[] = {
    {"empty", "", "", "local", false, false},
    {"blank", " \r\n\t ", "", "local", false, false},
    {"a date", "; Sat, 28 Nov 2026 05:00:00 +0000", "", "local", false, false},
    {"other words, other case", "FROM a.test (a.test [192.0.2.9]) BY MX.Example.COM WITH esmtpSA", "MX.Example.COM",
     "192.0.2.9", true, false},
    {"folded between all words", "from\n\ta.test\n\t(a.test\n\t[192.0.2.9])\n\tby\n\tmx\n\twith\n\tESMTPA", "mx",
     "192.0.2.9", true, false},
    {"no blanks", "from a.test(a.test [192.0.2.9])by mx(Postfix)with ESMTPA(x)id 1;Sat", "mx", "192.0.2.9",
     true, false},
    {"a dot behind the host", "from a (a [192.0.2.9]) by mx.example.com. with SMTP", "mx.example.com",
     "192.0.2.9", false, false},
    {"the date right behind the host", "from a (a [192.0.2.9]) by mx;Sat", "mx", "192.0.2.9", false, false},
    {"the date right behind the protocol", "from a (a [192.0.2.9]) by mx with ESMTPA;Sat", "mx", "192.0.2.9",
     true, false},
    {"via before with", "from a (a [192.0.2.9]) by mx via TCP with ESMTPA id 1", "mx", "192.0.2.9", true, false},
    {"the id before with", "from a (a [192.0.2.9]) by mx id 1 with ESMTPA", "mx", "192.0.2.9", true, false},
    {"comments everywhere", "(a) from (b [10.0.0.1]) by (c) mx (d) with (e) ESMTPA (f)", "mx", "10.0.0.1",
     true, false},
    {"a comment with the protocol", "from a (a [192.0.2.9]) by mx (with ESMTPA) id 1", "mx", "192.0.2.9",
     false, false},
    {"a comment between", "from a (a [192.0.2.9]) by mx with (ESMTPA) ESMTP id 1", "mx", "192.0.2.9",
     false, false},
    {"a protocol that begins like one", "from a (a [192.0.2.9]) by mx with ESMTPAX", "mx", "192.0.2.9", false,
     false},
    {"no protocol", "from a (a [192.0.2.9]) by mx", "mx", "192.0.2.9", false, false},
    {"with, and no more", "from a (a [192.0.2.9]) by mx with", "mx", "192.0.2.9", false, false},
    {"by, and no more", "from a (a [192.0.2.9]) by", "", "192.0.2.9", false, false},
    {"from, and no more", "from", "", "?", false, false},
    {"a name alone", "from a.test by mx with SMTP", "mx", "?", false, false},
    {"a bare address as the name", "from 127.0.0.1 by mx with SMTP", "mx", "?", false, false},
    {"no such address", "from a (a [192.0.2.300]) by mx with SMTP", "mx", "?", false, false},
    {"an address that goes on", "from a (a [192.0.2.9.]) by mx with SMTP", "mx", "?", false, false},
    {"an address without an end", "from a (a [192.0.2.9) by mx with SMTP", "mx", "?", false, false},
    {"a very long one", "from a (a [IPv6:0000000000000000000000000000000000000000000000000000000000000000"
     "00000000000000000000000000::1]) by mx with SMTP", "mx", "?", false, false},
    {"the same address twice", "from a ([192.0.2.9] [192.0.2.9]) by mx with SMTP", "mx", "192.0.2.9", false,
     false},
    {"two addresses", "from a ([127.0.0.1] [192.0.2.9]) by mx with SMTP", "mx", "?", false, false},
    {"one that cannot be read, and another", "from a ([x] [127.0.0.1]) by mx with SMTP", "mx", "?", false,
     false},
    {"another, and one that cannot be read", "from a ([127.0.0.1] [x]) by mx with SMTP", "mx", "?", false,
     false},
    {"an address within the comment's comment", "from a (b ([127.0.0.1])) by mx with SMTP", "mx", "?", false,
     false},
    {"a remark with none, then one", "from a (x) (b [127.0.0.1]) by mx with SMTP", "mx", "?", false, false},
    {"an IPv4 address as IPv6", "from a (a [::ffff:192.0.2.9]) by mx with SMTP", "mx", "192.0.2.9", false, false},
};

/* What a stranger may call himself, have in his certificate, or write to. */
static const struct field tricks[] = {
    {"HELO by", "from by (unknown [192.0.2.9]) by mx with ESMTP", "mx", "192.0.2.9", false, false},
    {"HELO with", "from with (unknown [192.0.2.9]) by mx with ESMTP", "mx", "192.0.2.9", false, false},
    {"HELO from", "from from (unknown [192.0.2.9]) by mx with ESMTP", "mx", "192.0.2.9", false, false},
    {"HELO [127.0.0.1]", "from [127.0.0.1] (unknown [192.0.2.9]) by mx with ESMTP", "mx", "192.0.2.9", false,
     false},
    {"HELO ;", "from ; (unknown [192.0.2.9]) by mx with ESMTP", "mx", "192.0.2.9", false, false},
    {"HELO a;b", "from a;b (unknown [192.0.2.9]) by mx with ESMTP", "mx", "192.0.2.9", false, false},
    {"HELO ; by, with blanks", "from a ; by other with ESMTPA (unknown [192.0.2.9]) by mx", "other", "?", true,
     false},
    {"HELO (", "from ( (unknown [192.0.2.9]) by mx with ESMTPA", "mx", "?", false, false},
    {"HELO a(", "from a( (unknown [192.0.2.9]) by mx (Postfix) with ESMTPA id 1", "mx", "?", false, false},
    {"HELO )", "from ) (unknown [192.0.2.9]) by mx with ESMTP", "mx", "192.0.2.9", false, false},
    {"HELO \\", "from \\ (unknown [192.0.2.9]) by mx with ESMTP", "mx", "192.0.2.9", false, false},
    {"a backslash in a comment", "from [192.0.2.9] (helo=\\) by mx (Exim 4.96) with esmtpa id 1", "mx", "?",
     false, false},
    {"a recipient with the words in it", "from a (a [192.0.2.9]) by mx for <\"x with ESMTPA \"@d>; Sat",
     "mx", "192.0.2.9", false, false},
    {"a recipient with a parenthesis", "from a (a [192.0.2.9]) by mx with ESMTP id 1 for <\"(\"@d>; Sat", "mx",
     "192.0.2.9", false, false},
    {"qmail, HELO 127.0.0.1", "from unknown (HELO 127.0.0.1) (192.0.2.9) by mx with SMTP", "mx", "192.0.2.9",
     false, false},
    {"a certificate with an address", "from a (unknown [192.0.2.9]) (Client CN \"[127.0.0.1]\" [127.0.0.1]) by mx",
     "mx", "192.0.2.9", false, false},
};
/* clang-format on */

/* Exactly as much memory as there is value: the sanitizer sees who reads on. */
static void read_copy(const char *value, struct received *out)
{
    char *copy = strdup(value);
    ck_assert_ptr_nonnull(copy);
    memset(out, 0x5a, sizeof *out);
    received_read(copy, out);
    free(copy);
}

static void check_field(const struct field *field)
{
    struct received seen;
    struct ip expected;
    char text[INET6_ADDRSTRLEN] = "local";
    read_copy(field->value, &seen);
    ck_assert_msg(strcmp(seen.by, field->by) == 0, "%s: by %s", field->name, seen.by);
    if (seen.from == RECEIVED_UNREADABLE) {
        snprintf(text, sizeof text, "?");
    } else if (seen.from == RECEIVED_ADDRESS) {
        ck_assert_ptr_nonnull(inet_ntop(AF_INET6, seen.ip.octets, text, sizeof text));
    }
    if (ip_parse(field->from, &expected)) {
        bool same =
            seen.from == RECEIVED_ADDRESS && memcmp(&seen.ip, &expected, sizeof expected) == 0;
        ck_assert_msg(same, "%s: from %s", field->name, text);
    } else {
        ck_assert_msg(strcmp(text, field->from) == 0, "%s: from %s", field->name, text);
    }
    ck_assert_msg(seen.authenticated == field->authenticated, "%s: authenticated", field->name);
    ck_assert_msg(seen.fetched == field->fetched, "%s: fetched", field->name);
}

START_TEST(test_writings)
{
    check_field(&writings[_i]);
}
END_TEST

START_TEST(test_oddities)
{
    check_field(&oddities[_i]);
}
END_TEST

START_TEST(test_tricks)
{
    check_field(&tricks[_i]);
}
END_TEST

START_TEST(test_protocols)
{
    static const char *const yes[] = {"ESMTPA",     "ESMTPSA",   "SMTPA",       "LMTPA",
                                      "LMTPSA",     "UTF8SMTPA", "UTF8SMTPSA",  "UTF8LMTPA",
                                      "UTF8LMTPSA", "esmtpa",    "esmtpsa",     "asmtp",
                                      "asmtps",     "HTTP",      "utf8esmtpsa", "mapi"};
    static const char *const no[] = {
        "SMTP",  "ESMTP", "ESMTPS", "LMTP", "LMTPS",     "smtps", "UTF8SMTP", "UTF8SMTPS",
        "BSMTP", "UUCP",  "NNTP",   "A",    "Microsoft", "local", "ESMTPAS",  "ESMTP/A"};
    char value[200];
    struct received seen;
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        snprintf(value, sizeof value, "from a (a [192.0.2.9]) by mx with %s id 1", yes[i]);
        read_copy(value, &seen);
        ck_assert_msg(seen.authenticated, "%s", yes[i]);
    }
    for (size_t i = 0; i < COUNT_OF(no); i++) {
        snprintf(value, sizeof value, "from a (a [192.0.2.9]) by mx with %s id 1", no[i]);
        read_copy(value, &seen);
        ck_assert_msg(!seen.authenticated, "%s", no[i]);
    }
}
END_TEST

/* A host's name that is longer than names are is none of ours. */
START_TEST(test_long_host)
{
    char value[600];
    struct received seen;
    for (int length = RECEIVED_HOST - 2; length <= RECEIVED_HOST; length++) {
        snprintf(value, sizeof value, "by %0*d with SMTP", length, 0);
        read_copy(value, &seen);
        ck_assert_uint_eq(strlen(seen.by), length < RECEIVED_HOST ? (size_t)length : 0);
    }
}
END_TEST

/* Every word behind a `by`, wherever it stands. */
START_TEST(test_next_host)
{
    static const struct {
        const char *value, *hosts;
    } rows[] = {
        {"", ""},
        {"from a (a [192.0.2.9]) with SMTP", ""},
        {"from a (a [192.0.2.9]) by mx.example.com. with SMTP", "mx.example.com"},
        {"from a(by (x [192.0.2.9]) by mx (Postfix)", "x mx"},
        {"from a( (x [192.0.2.9]) by mx for <\"x) by other with\"@d>; by late", "mx other late"},
        {"(by)(BY a)by;b\tBy\r\n c", "BY a b c"},
        {"from baby by by mx", "by mx"},
        {"from by", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char seen[200] = "";
        char host[RECEIVED_HOST];
        const char *at = rows[i].value;
        while (received_next_host(&at, host)) {
            strcat(seen, seen[0] != '\0' ? " " : "");
            strcat(seen, host);
        }
        ck_assert_str_eq(seen, rows[i].hosts);
    }
}
END_TEST

/* For both readings of a field. */
static double seconds_for(const char *piece, size_t length)
{
    struct timespec before, after;
    struct received seen;
    char host[RECEIVED_HOST];
    size_t size = strlen(piece);
    char *value = malloc(length + size + 8);
    ck_assert_ptr_nonnull(value);
    memcpy(value, "from a ", 7);
    for (size_t used = 0; used < length; used += size) {
        memcpy(value + 7 + used, piece, size + 1);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    received_read(value, &seen);
    const char *at = value;
    while (received_next_host(&at, host)) {
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    free(value);
    return (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
}

/* A MiB of whatever may stand in a field takes less than the 0.3 s that reading one may cost. */
START_TEST(test_takes_time_by_its_length)
{
    static const char *const pieces[] = {
        "(",  ")",    "()", "(()", "\\",  "(\\",   " ",     ";",         "[",  "([",
        "x ", "[x] ", "(a", "a) ", "by ", "with ", "((a) ", "(HELO x) ", "(x", "(a [1.2.3.4]) ",
        "@",  "(@"};
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        double seconds = seconds_for(pieces[i], 1024 * 1024);
        ck_assert_msg(seconds < 0.3, "1 MiB of %s: %f s", pieces[i], seconds);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("received");
    add_table(suite, "writings", test_writings, COUNT_OF(writings));
    add_table(suite, "oddities", test_oddities, COUNT_OF(oddities));
    add_table(suite, "tricks", test_tricks, COUNT_OF(tricks));

    TCase *tcase = tcase_create("parts");
    tcase_add_test(tcase, test_protocols);
    tcase_add_test(tcase, test_long_host);
    tcase_add_test(tcase, test_next_host);
    tcase_add_test(tcase, test_takes_time_by_its_length);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
