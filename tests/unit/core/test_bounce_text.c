/*
 * Text searched: Message-IDs under every label and in every disguise, lists of them, those without
 * a label, tags, evidence headers, and what must not be taken for one.
 */
#include "fixture.h"

#include "batv/bounce_text.h"

static struct bounce *bounce;
static struct budget budget;
static struct bounce_reader reader;

static void setup(void)
{
    bounce = bounce_new();
    ck_assert_ptr_nonnull(bounce);
    budget = budget_of(0);
    bounce_reader_start(&reader, bounce, &budget);
}

static void teardown(void)
{
    bounce_free(bounce);
}

static void search(const char *text)
{
    bounce_scan_text(&reader, octets_of(text), "text");
    bounce_reader_end(&reader);
}

/* What was found, the surest first: "L:id R:id U:id ". */
static void assert_found(const char *name, const char *expected)
{
    static const char ranks[] = {[BOUNCE_UNLABELLED] = 'U',
                                 [BOUNCE_MENTIONED] = 'M',
                                 [BOUNCE_REFERENCE] = 'R',
                                 [BOUNCE_LABELLED] = 'L'};
    char seen[2000] = "";
    size_t used = 0;
    for (size_t i = 0; i < bounce->id_count; i++) {
        used += (size_t)snprintf(seen + used, sizeof seen - used, "%s%c:%s", i > 0 ? " " : "",
                                 ranks[bounce->ids[i].rank], bounce->ids[i].text);
        ck_assert_uint_lt(used, sizeof seen);
    }
    ck_assert_msg(strcmp(seen, expected) == 0, "%s: %s", name, seen);
}

/* ------------------------------------------------------------------- labels */

#define ID    "a.1@example.com"
#define FOUND "L:" ID
#define SAID  "M:" ID

static const struct {
    const char *text, *found;
} labels[] = {
    {"Message-ID: <" ID ">", FOUND},
    {"message-id:<" ID ">\r\n", FOUND},
    {"MESSAGE-ID:\t<" ID ">", FOUND},
    {"Message-Id : <" ID ">", FOUND},
    {"Message-ID: " ID, FOUND},
    {"X: y\nMessage-ID:\n <" ID ">\nSubject: x", FOUND},
    {"X: y\r\nMessage-ID:\r\n\t" ID "\r\nSubject: x", FOUND},
    {"X: y\rMessage-ID:\r <" ID ">\rSubject: x", FOUND},
    {"Message-ID: <a.1@\n example.com>", FOUND},
    {"Message-ID: < a.1 @ example.com >", FOUND},
    {"Message-ID: <<" ID ">>", FOUND},
    {"    Message-id: <" ID ">", FOUND},
    {"> Message-ID: <" ID ">", FOUND},
    {"> > Message-ID:\n> >   <" ID ">", FOUND},
    {">Message-ID: <a.1@\n> example.com>", FOUND},
    {"| Message-ID:\n|  <" ID ">", FOUND},
    {"Message-ID: &lt;" ID "&gt;", FOUND},
    {"Message-ID: &#60;a.1&#64;example.com&#62;", FOUND},
    {"Message-ID: &#x3c;a.1&#x40;example&#46;com&#x3E;", FOUND},
    {"Message-ID: &lt;a.1&commat;example&period;com&gt;", FOUND},
    {"Message-ID:&nbsp;&lt;" ID "&gt;<br>", FOUND},
    {"Message-ID: &lta.1@example.com&gt", FOUND},
    {"Message-ID:&#160;&lt;" ID "&gt;", FOUND},
    {"Message-ID:&#xA0;<" ID ">", FOUND},
    {"Message-ID: " ID "&#160;by", SAID " M:a.1@example.comby"},
    {"Message-ID: <a&#8203;.1@&#173;example&#xad;.com>", FOUND},
    {"<b>Message-ID:</b> &lt;" ID "&gt;<br />", FOUND},
    {"<tr><td>Message-ID</td><td>&lt;" ID "&gt;</td></tr>", FOUND},
    {"<p>Message-ID: <span class=\"x\">&lt;<a href=\"mailto:" ID "\">" ID "</a>&gt;</span>", FOUND},
    {"Message-ID: <a.1<wbr>@example.com>", FOUND},
    {"{\"name\":\"Message-ID\",\"value\":\"<" ID ">\"}", FOUND},
    {"{\"messageId\":\"\\u003c" ID "\\u003e\"}", FOUND},
    {"\"messageId\" : \"" ID "\",", SAID},
    {"with the message-id of " ID " received from", SAID},
    {"The message ID was: " ID ".", SAID},
    {"(message id " ID ")", SAID},
    {"message-id=<" ID ">, relay=x", FOUND},
    {"message_id=" ID ", status=x", SAID},
    {"Message&#45;ID: &lt;" ID "&gt;", FOUND},
    {"Message\xe2\x80\x91ID: <" ID ">", FOUND},
    {"msg-id " ID, SAID},
    {"MsgId: <" ID ">", FOUND},
    {"Message Identifier: <" ID ">", FOUND},
    {"Internet Message ID: <" ID ">", FOUND},
    {"Message-ID: (added by mx) <" ID ">", FOUND},
    {"Original-Message-ID: <" ID ">", FOUND},
    {"X-Original-Message-ID: <" ID ">", FOUND},
    {"Resent-Message-ID: <" ID ">", FOUND},
    /* without a domain */
    {"Message-ID: 20140913142357", "M:20140913142357"},
    {"Message-ID: <20140913142357>", "L:20140913142357"},
    {"> Message-Id: 20140913142357\n", "M:20140913142357"},
    {"X: y\nMessage-ID: 20140913142357", "L:20140913142357"},
    {"X: y\n z\nMessage-ID: 20140913142357\n\nx", "L:20140913142357"},
    {"> Message-Id: 20140913142357\n> X: y", "L:20140913142357"},
    {"> X: y\n> Message-Id: 20140913142357", "L:20140913142357"},
    {"X: y\n\nMessage-Id: 20140913142357", "M:20140913142357"},
    {"Message-ID: a b@example.com", "M:ab@example.com"},
    {"the message-id is 20140913142357", ""},
    {"The message identifier is: 1P1ce6-000Egt-GZ\n", ""},
    /* odd octets belong to it */
    {"Message-ID: <CA=Aa73R9b-3+tiR7u%x$y@mail.example.com>",
     "L:CA=Aa73R9b-3+tiR7u%x$y@mail.example.com"},
    {"Message-ID: <a/b#c!d&e'f*g?h^i_j`k{l|m}n~@x>", "L:a/b#c!d&e'f*g?h^i_j`k{l|m}n~@x"},
    {"Message-ID: <a:b@[192.0.2.1]>", "L:a:b@[192.0.2.1]"},
    {"Message-ID: <\xc3\xa4.1@example.com>", "L:\xc3\xa4.1@example.com"},
    {"Message-ID: <a&amp;b.1@example.com>", "L:a&b.1@example.com"},
    /* and what is none */
    {"", ""},
    {"Message-ID:", ""},
    {"Message-ID: ", ""},
    {"Message-ID: <>", ""},
    {"Message-ID: <\n\n" ID ">", ""},
    {"Message-ID:\nFrom: <alice@example.com>", ""},
    {"Message-ID:\nalice", ""},
    {"Message-ID:\n\n  text " ID, ""},
    {"Message-ID: *************************************<" ID ">", FOUND},
    {"Message-ID: **************************************<" ID ">", ""},
    {"Unknown message-id\nMessage-ID: <" ID ">", FOUND},
    {"Message-Idle: <alice@example.com>", ""},
    {"message-ideal alice@example.com", ""},
    {"the message is alice@example.com", ""},
    {"Message-ID: <abc=\ndef@example.com>", ""},
    {"Message-ID: abc=\r\ndef@example.com", ""},
    {"Message-ID: a.1>\n", "M:a.1"},
    {"Message-ID: <unfinished", ""},
    {"Message-ID: <unfinished\nFrom: <alice@example.com>", ""},
    {"Message-ID: <a.1\x04@example.com>", ""},
    /* a word about another message, a list of fields: none of them names the original */
    {"Message ID: 5B2F-99", "M:5B2F-99"},
    {"X: y\nMessage ID: 5B2F-99\nX: y", "M:5B2F-99"},
    {"Message ID: <5B2F-99>", "M:5B2F-99"},
    {"MessageID: 5B2F-99", "M:5B2F-99"},
    {"Message-ID: none", ""},
    {"Message-ID: <none>", ""},
    {"X: y\nMessage-ID: unknown\nX: y", ""},
    {"Message-ID: alice@example.com is not ours",
     "M:alice@example.com M:alice@example.comisnotours"},
    {"DKIM-Signature: v=1;\n h=from:to:\n message-id:date:subject; bh=x", ""},
    {"DKIM-Signature: v=1;\n h=from:to:\n message-id:date; i=a@b; t=1", ""},
    {"DKIM-Signature: v=1;\n h=from:to:\n\tmessage-id:x-1;\n\tbh=x", "M:x-1"},
    {"X: y\nmessage-id:date:x-1\nFrom: a@b", ""},
    {"h=message-id:in-reply-to:references;\n bh=1@x", ""},
    {"h=from:\n references:in-reply-to:message-id; i=<1@x>", ""},
};

START_TEST(label)
{
    search(labels[_i].text);
    assert_found(labels[_i].text, labels[_i].found);
}
END_TEST

START_TEST(an_id_may_be_long_but_not_too_long)
{
    char text[1100];
    for (size_t length = 995; length <= 997; length++) {
        size_t used = (size_t)snprintf(text, sizeof text, "Message-ID: <");
        memset(text + used, 'x', length);
        memcpy(text + used, "1@", 2);
        memcpy(text + used + length, ">\n", 3);
        teardown();
        setup();
        search(text);
        ck_assert_uint_eq(bounce->id_count, length <= 996);
    }
}
END_TEST

START_TEST(nuls_are_not_seen)
{
    static const char text[] = "M\0essage-ID: \0<a.\0001@exa\0mple.com\0>";
    bounce_scan_text(&reader, (struct octets){text + 2, sizeof text - 3}, "text");
    bounce_reader_end(&reader);
    ck_assert_uint_eq(bounce->named_count, 0); /* but a label is not taken apart */
    static const char whole[] = "Message-ID: \0<a.\0001@exa\0mple.com\0>";
    bounce_scan_text(&reader, (struct octets){whole, sizeof whole - 1}, "text");
    assert_found("NULs", FOUND);
}
END_TEST

START_TEST(where_is_the_label_or_the_place)
{
    search("Message-ID: <1@x>\nOriginal-Message-ID: <2@x>\nX-MS-Parent-Message-Id: <3@x>\n"
           "References: <4@x>\nIn-Reply-To: <5@x>\n\n<a.12345@x>");
    ck_assert_uint_eq(bounce->id_count, 6);
    ck_assert_uint_eq(bounce->named_count, 5);
    static const char *const where[] = {"text",       "Original-Message-ID", "Original-Message-ID",
                                        "References", "In-Reply-To",         "text"};
    for (size_t i = 0; i < COUNT_OF(where); i++) {
        ck_assert_str_eq(bounce->ids[i].where, where[i]);
    }
}
END_TEST

/* -------------------------------------------------------------------- lists */

static const struct {
    const char *text, *found;
} lists[] = {
    {"References: <1@x> <2@x>", "R:1@x R:2@x"},
    {"References: <1@x>\n <2@x>\n\t<3@x>\nSubject: <no@x>", "R:1@x R:2@x R:3@x"},
    {"References:\r\n <1@x>\r\n <2@x>\r\n\r\n<no@x>", "R:1@x R:2@x"},
    {"> References: <1@x>\n>  <2@x>\n> Subject: <no@x>", "R:1@x R:2@x"},
    {"    References: <1@x>\n      <2@x>\n    To: <no@x>", "R:1@x R:2@x"},
    {"References: <1@x>\n<2@x>\nTo: x", "R:1@x R:2@x"},
    {"References: &lt;1@x&gt; &lt;2@x&gt;<br>To: &lt;no@x&gt;", "R:1@x R:2@x"},
    {"References: 1@x 2@x", "M:1@x M:2@x"},
    {"References: alice@example.com", "M:alice@example.com"},
    {"References: <1> <b>", "R:1"},
    {"References: <1@x>,<2@x>", "R:1@x R:2@x"},
    {"In-Reply-To: <1@x>", "R:1@x"},
    {"In-Reply-To: Your message of \"Thu, 29 Apr 2010\" <1@x>", "R:1@x"},
    {"In-Reply-To: <1@x> from alice at 10:00", "R:1@x"},
    {"{\"name\":\"References\",\"value\":\"<1@x> <2@x>\"}", ""},
    {"see the references: <1@x>", ""},
    {"References <1@x>", ""},
    {"References: <unfinished <2@x>", "R:2@x"},
    {"References: <>", ""},
    {"References:", ""},
};

START_TEST(list)
{
    search(lists[_i].text);
    assert_found(lists[_i].text, lists[_i].found);
}
END_TEST

START_TEST(of_long_references_the_last_are_kept)
{
    char text[8000] = "References:";
    size_t used = strlen(text);
    for (size_t i = 0; i < 500; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, " <%zu@x>\n", i);
    }
    search(text);
    ck_assert_uint_eq(bounce->id_count, 40);
    ck_assert_str_eq(bounce->ids[0].text, "460@x");
    ck_assert_str_eq(bounce->ids[39].text, "499@x");
}
END_TEST

static const struct {
    const char *name, *value, *found;
} own_fields[] = {
    {"In-Reply-To", " <1@x>", "L:1@x"},
    {"in-reply-to", "\n\t<1@x>\n <2@x>", "L:1@x L:2@x"},
    {"References", " <1@x>", "R:1@x"},
    {"Original-Message-ID", " <1@x>", "L:1@x"},
    {"X-Original-Message-Id", " 1@x", "L:1@x"},
    {"X-Failed-Message-ID", " <1@x>", "L:1@x"},
    {"Message-ID", " <1@x>", ""},
    {"Resent-Message-ID", " <1@x>", ""},
    {"MessageID", " <1@x>", ""},
    {"resent-message-id", " <1@x>", ""},
    {"X-NNN-Message-ID", " <1@x>", "M:1@x"},
    {"X-Message-Id", " <1@x>", "M:1@x"},
    {"X-NNN-Message-ID", " 4711", "M:4711"},
    {"X-NNN-Message-ID", " none", ""},
    {"X-Riferimento-Message-ID", " <1@x>", "L:1@x"},
    {"X-Orig-MessageID", " <1@x>", "L:1@x"},
    {"X-SOURCE-MESSAGE_ID", " 1@x", "L:1@x"},
    {"X-In-Reply-To-Message-Id", " <1@x>", "L:1@x"},
    {"X-Original-MsgId", "\n <1@x>", "L:1@x"},
    {"X-In-Reply-To", " <1@x>", "L:1@x"},
    {"X-References", " <1@x>\n <2@x>", "R:1@x R:2@x"},
    {"X-Message-ID-Hash", " 4711", ""},
    {"X-Preferences", "", ""},
    {"Received", " from x id <1234567@x>", ""},
    {"X-Batv-Evidence", " v=1; d=20778; n=00112233445566ff; s=00112233445566778899aabb", ""},
    {"Subject", " Message-ID: <1@x> prvs=3785a1b2c3=a@x", ""},
};

START_TEST(own_field)
{
    struct field field = {octets_of(own_fields[_i].name), octets_of(own_fields[_i].value)};
    bounce_scan_field(&reader, &field);
    bounce_reader_end(&reader);
    assert_found(own_fields[_i].name, own_fields[_i].found);
    ck_assert_uint_eq(bounce->tag_count, 0);
    ck_assert_uint_eq(bounce->evidence_count, 0);
}
END_TEST

/* --------------------------------------------------------------- unlabelled */

static const struct {
    const char *text, *found;
} unlabelled[] = {
    {"Nachrichtenkennung: <20261122.a1@example.com>", "U:20261122.a1@example.com"},
    {"Identifiant : &lt;20261122.a1@example.com&gt;", "U:20261122.a1@example.com"},
    {"\\u003c20261122.a1@example.com\\u003e", "U:20261122.a1@example.com"},
    {"Nachrichten-ID: 20261122.a1@example.com", "U:20261122.a1@example.com"},
    {"\xe3\x83\xa1\xe3\x83\xbc\xe3\x83\xabID : 20261122.a1@example.com.",
     "U:20261122.a1@example.com"},
    {"H=x [192.0.2.1] id=20261122.a1@example.com\n",
     "U:id=20261122.a1@example.com U:20261122.a1@example.com"},
    {"Original-Envelope-Id: 20261122.a1@example.com", "U:20261122.a1@example.com"},
    {"ID: alice@example.com", ""},
    {"id 20261122.a1@example.com", "U:20261122.a1@example.com"},
    {"idea: 20261122.a1@example.com", "U:20261122.a1@example.com"},
    {"<Qdmail-longer-name-1@example.com>", "U:Qdmail-longer-name-1@example.com"},
    {"<alice@example.com>", ""},
    {"<alice.2026@example.com", "U:alice.2026@example.com"},
    {"<alice-of-wonderland@example.com>", ""},
    {"<20261122 a1@example.com>", ""},
    {"<mailto:20261122@example.com>", ""},
    {"<20261122.a1>", ""},
    {"<@20261122>", ""},
    {"<20261122@>", ""},
    {"<prvs=3785a1b2c3=alice@example.com>", ""},
    {"<2026\x01"
     "1122@example.com>",
     ""},
    {"<<20261122@example.com>>", "U:20261122@example.com"},
};

START_TEST(without_label)
{
    search(unlabelled[_i].text);
    assert_found(unlabelled[_i].text, unlabelled[_i].found);
}
END_TEST

/* Of a program's make, and of one that is told from an address by its capitals alone. */
#define MADE   "20261122.7F3A91C02@mail.example.com"
#define RANDOM "CwMxQnPbRtZk@mail.example.com"
#define LIKE   "U:" MADE
#define U200B  "\xe2\x80\x8b"

static const struct {
    const char *text, *found;
} looks[] = {
    /* behind words in any language, or none */
    {"Identifiant du message : " MADE, LIKE},
    {"Identifiant du message : " RANDOM "\n", "U:" RANDOM},
    {"Identyfikator wiadomo\xc5\x9b"
     "ci: \"" MADE "\"",
     LIKE},
    {"\xd0\x98\xd0\x94 "
     "\xd1\x81\xd0\xbe\xd0\xbe\xd0\xb1\xd1\x89\xd0\xb5\xd0\xbd\xd0\xb8\xd1\x8f: " MADE,
     LIKE},
    {"\xd0\x98\xd0\x94: <alicebob@mail.example.com>", "U:alicebob@mail.example.com"},
    {"\xd0\x98\xd0\x94: alicebob@mail.example.com\n", "U:alicebob@mail.example.com"},
    {"\xe3\x83\xa1\xe3\x83\xbc\xe3\x83\xab\xef\xbc\xa9\xef\xbc\xa4\xef\xbc\x9a\xef\xbc\x9c" MADE
     "\xef\xbc\x9e",
     LIKE},
    {"\xe3\x83\xa1\xe3\x83\xbc\xe3\x83\xabID\xef\xbc\x9a" MADE "\xe3\x80\x82", LIKE},
    {"\xe3\x80\x8c" MADE "\xe3\x80\x8d", LIKE},
    {"\xe3\x80\x88" RANDOM "\xe3\x80\x89", "U:" RANDOM},
    {"\xc2\xab" MADE "\xc2\xbb", LIKE},
    {"\xc2\xab\xc2\xa0" MADE "\xc2\xa0\xc2\xbb", LIKE},
    {"\xe2\x80\x9e" MADE "\xe2\x80\x9c", LIKE},
    {"'" MADE "'", LIKE},
    {"`" MADE "`", LIKE},
    {"*" MADE "*", LIKE},
    {"(" MADE ")", LIKE},
    {"[" MADE "]", LIKE},
    {"{" MADE "}", LIKE},
    {MADE, LIKE},
    {"of " MADE ", which", LIKE},
    {"of " MADE ".", LIKE},
    {"see " MADE "; then", LIKE},
    {"mid:" MADE, LIKE},
    {"20261122.7F3A91C02&#64;mail.example.com", LIKE},
    {"20261122.7F3A91C02&commat;mail.example.com", LIKE},
    {"20261122.7F3A91C02\xef\xbc\xa0mail.example.com", LIKE},
    {"2026" U200B "1122.7F3A91C02@mail." U200B "example.com", LIKE},
    {"<" RANDOM ">", "U:" RANDOM},
    {"Nachrichten-ID: <" RANDOM ">", "U:" RANDOM},
    {"Nachrichten-ID: <alicebob@mail.example.com>", "U:alicebob@mail.example.com"},
    {"<LNBBLJKPBEHFEDALKOLCEEDIFAA.alice@example.com>",
     "U:LNBBLJKPBEHFEDALKOLCEEDIFAA.alice@example.com"},
    {"<VASs-IZaXqmZao@example.com>", "U:VASs-IZaXqmZao@example.com"},
    {"<20261122.1@[192.0.2.1]>", "U:20261122.1@[192.0.2.1]"},
    {"at 20261122.1@[192.0.2.1], x", "U:20261122.1@[192.0.2.1]"},
    {"id=" MADE "&x=y", "U:id=" MADE " " LIKE},
    {"https://q.test/m/" MADE "/release", LIKE},
    /* people, and what is near */
    {"Final-Recipient: rfc822; <alice@example.com>", ""},
    {"User unknown: <McDonald-OBrien@example.com>", ""},
    {"To: Alice <alice@example.com>, bob@example.com", ""},
    {"mailto:" MADE, ""},
    {"a@b@c, @x, y@, @", ""},
    {"prvs=3785a1b2c3=" RANDOM, ""},
    {"\xd0\x98\xd0\x94 alicebob@mail.example.com", ""},
    {"\xd0\x98\xd0\x94:\nalicebob@mail.example.com", ""},
    /* in links */
    {"?message-id=%3C20261122.7F3A91C02%40mail.example.com%3E\"", LIKE},
    {"?message-id=%3c20261122.7F3A91C02@mail.example.com%3e&x", LIKE},
    {"?message-id=20261122.7F3A91C02%40mail.example.com", LIKE},
    {"/%3Calicebob%40mail.example.com%3E/x", "U:alicebob@mail.example.com"},
    {"?u=https%3A%2F%2Fq.test%2F%3Fid%3D%253C20261122.7F3A91C02%2540mail.example.com%253E", LIKE},
    {"?m=%25253C20261122.7F3A91C02%252540mail.example.com%25253E", LIKE},
    {"?id%3D20261122.7F3A91C02%40mail.example.com", LIKE},
    {"?id=2026%2B1122.7F%40mail.example.com", "U:2026+1122.7F@mail.example.com"},
    {"?to=alice%40example.com", ""},
    {"?x=%40&y=%40%40%40", ""},
    {"20% of 40%, %4", ""},
    /* wrapped */
    {"Das ist <20261122.7F3A\n91C02@mail.example.com> hier", LIKE},
    {"Das ist <20261122.7F3A \n91C02@mail.example.com> hier", LIKE},
    {"> Das ist <20261122.7F3A\n> 91C02@mail.\n> example.com> hier", LIKE},
    {"Das ist <20261122.7F3A 91C02@mail.example.com> hier", "U:91C02@mail.example.com"},
    {"Das ist 20261122.7F3A\n9102@mail.example.com hier",
     "U:9102@mail.example.com U:20261122.7F3A9102@mail.example.com"},
    {"> Das ist 20261122.7F3A\n> 9102@mail.example.com",
     "U:9102@mail.example.com U:20261122.7F3A9102@mail.example.com"},
    {"Das ist 20261122.7F3A \n9102@mail.example.com",
     "U:9102@mail.example.com U:20261122.7F3A9102@mail.example.com"},
    {"Das ist 20261122.7F3A91C02@\nmail.example.com hier", LIKE},
    {"Das ist 20261122.7F3A91C02\n@mail.example.com hier", LIKE},
    {"Das ist 20261122.7F3A91C02@mail.\nexample.com hier", "U:20261122.7F3A91C02@mail " LIKE},
    {"Das ist alice\n9102@mail.example.com", "U:9102@mail.example.com"},
    /* and behind labels */
    {"Message-ID: 20261122.7F3A\n91C02@mail.example.com\nSubject: x", "M:" MADE},
    {"> Message-ID: 20261122.7F3A\n> 91C02@mail.example.com\n> Subject: x", "M:" MADE},
    {"Message-ID:\n20261122.7F3A \n91C02@mail.example.com\n", "M:" MADE},
    {"The message id is 20261122.7F3A\n91C02@mail.example.com.", "M:" MADE},
    {"Message-ID: 20261122\n.7F3A\n91C02@mail.example.com\nSubject: x", "M:" MADE},
    {"Message-ID: 20261122.7F3A91C02@mail.exa\nmple.com\nSubject: x",
     "M:20261122.7F3A91C02@mail.exa M:" MADE},
    {"Message-ID: " MADE "\nwas not delivered", "L:" MADE},
    {"Message-ID: " MADE "\n\nunknown", "L:" MADE},
    {"at 20261122.7F3A91C02@mail.exa\nmple.com\n", "U:20261122.7F3A91C02@mail.exa " LIKE},
    {"20261122&#8203;.7F3A91C02&shy;@mail.example.com", LIKE},
    {"Message-ID: <20261122.7F3A\n91C02@mail.example.com>", "L:" MADE},
};

START_TEST(by_its_look)
{
    search(looks[_i].text);
    assert_found(looks[_i].text, looks[_i].found);
    ck_assert_uint_eq(bounce->named_count, looks[_i].found[0] == 'L');
}
END_TEST

/* ------------------------------------------------------------------- markup */

#define LONG50  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LONG400 LONG50 LONG50 LONG50 LONG50 LONG50 LONG50 LONG50 LONG50

static const struct {
    const char *text, *found;
} markup[] = {
    /* where a line begins */
    {"<p>x</p><br>In-Reply-To: &lt;" ID "&gt;<br>", "R:" ID},
    {"<p>x</p><p>References: &lt;" ID "&gt; &lt;2@x&gt;<br>", "R:" ID " R:2@x"},
    {"<div>x</div><div style=\"" LONG400 "\">Message-ID: " ID "</div>", FOUND},
    {"<tr><td>x</td><td>Message-ID: " ID "</td></tr>", FOUND},
    {"<td>x</td><td><b><i> Message-ID: " ID "</i></b></td>", FOUND},
    {LONG400 "<br>Message-ID: " ID "<br>" LONG400, FOUND},
    {LONG400 "<br/>\tMessage-ID: " ID, FOUND},
    {"x<b>Message-ID: " ID "</b>", SAID},
    {"x <>Message-ID: " ID, SAID},
    {"a > Message-ID: " ID, SAID},
    /* between the two */
    {"Message-ID: <span style=\"" LONG400 "\">&lt;" ID "&gt;</span>", FOUND},
    {"Message-ID: <mark>&lt;" ID "&gt;</mark>", FOUND},
    {"Message-ID: <custom-tag2 x=\"y\">&lt;" ID "&gt;</custom-tag2>", FOUND},
    {"Message-ID: <!-- x -->&lt;" ID "&gt;", FOUND},
    {"Message-ID:<!-- <b>x</b> --> <!--y-->&lt;" ID "&gt;", FOUND},
    {"Message-ID: &lt;a.1<!-- x -->@exam<v:x y='z'>ple</v:x>.com&gt;", FOUND},
    {"Message-ID: <![if !x]>&lt;" ID "&gt;<![endif]>", FOUND},
    {"Message-ID: &#60a.1&#64example.com&#62", FOUND},
    {"Message-ID: &#x3ca.1&#x40example.com&#x3e ", FOUND},
    {"Message-ID: &#0060;a.1&#x00040;example.com&#062;", FOUND},
    {"Message-ID: &amp;lt;" ID "&amp;gt;", FOUND},
    {"Message-ID: &laquo;" ID "&raquo;", FOUND},
    {"Message-ID: &lt;a&zwnj;.1&#8203;@exam&#x200b;ple.com&gt;", FOUND},
    {"Message-ID: &lt;a.1" U200B "@exam\xc2\xad"
     "ple\xe2\x81\xa0.com\xef\xbb\xbf&gt;",
     FOUND},
    {"\xef\xbb\xbfMessage-ID: <" ID ">", FOUND},
    {"Message-ID:\xc2\xa0<" ID ">", FOUND},
    {"Message-ID:\xe3\x80\x80<" ID ">", FOUND},
    {"Message-ID\xef\xbc\x9a\xef\xbc\x9c" ID "\xef\xbc\x9e", FOUND},
    {"Message-ID: \xef\xbc\x9c\xef\xbd\x81\xef\xbc\x8e\xef\xbc\x91\xef\xbc\xa0"
     "example.com\xef\xbc\x9e",
     FOUND},
    {"Message-ID: <\xc3\xa4.1@example.com>", "L:\xc3\xa4.1@example.com"},
    /* elements of XML */
    {"<MessageId>&lt;" ID "&gt;</MessageId>", FOUND},
    {"<MessageId>" ID "</MessageId>", SAID},
    {"<message-id>" ID "</message-id>", SAID},
    {"<ns0:messageID xmlns:ns0=\"urn:x\">\n  &lt;" ID "&gt;\n</ns0:messageID>", FOUND},
    {"<r><OriginalMessageId type='x'><![CDATA[<" ID ">]]></OriginalMessageId></r>", FOUND},
    {"<MessageId><![CDATA[" ID "]]></MessageId>", SAID},
    {"<field name=\"Message-ID\" value=\"&lt;" ID "&gt;\"/>", FOUND},
    {"<mail messageId=\"" ID "\"/>", SAID},
    {"&lt;MessageId&gt;&lt;" ID "&gt;&lt;/MessageId&gt;", FOUND},
    {"<MessageId></MessageId><To>&lt;alice@example.com&gt;</To>", ""},
    {"<MessageId/><To>&lt;alice@example.com&gt;</To>", ""},
    {"<MessageId>" ID "</MessageId><To>&lt;alice@example.com&gt;</To>", SAID},
    /* what looks like a tag */
    {"Message-ID: <abc.1@example.com>", "L:abc.1@example.com"},
    {"Message-ID: <abc x@example.com>", "L:abcx@example.com"},
    {"X: y\nMessage-ID: <ab12cd>", "L:ab12cd"},
    {"Message-ID: <!-- <" ID ">", ""},
};

START_TEST(in_markup)
{
    search(markup[_i].text);
    assert_found(markup[_i].text, markup[_i].found);
}
END_TEST

/* --------------------------------------------------------------------- tags */

#define TAGGED "prvs=3785a1b2c3=alice@example.com"
#define SUB    "alice+prvs=3785a1b2c3@example.com"

static const struct {
    const char *text;
    const char *found[3];
} tags[] = {
    {"Return-Path: <" TAGGED ">", {TAGGED}},
    {"X-Envelope-From: " TAGGED "\n", {TAGGED}},
    {"(envelope-from " TAGGED ")", {TAGGED}},
    {"envelope-from=" TAGGED ";", {TAGGED}},
    {"smtp.mailfrom=" TAGGED " smtp", {TAGGED}},
    {"envelope-from=\"" TAGGED "\";", {TAGGED}},
    {"X-Postfix-Sender: rfc822; " TAGGED, {TAGGED}},
    {"&lt;" TAGGED "&gt;", {TAGGED}},
    {"prvs=3785a1b2c3&#61;alice&#64;example.com", {TAGGED}},
    {"mailto:" TAGGED "?subject=x", {TAGGED}},
    {"From " TAGGED ". Then", {TAGGED}},
    {"PRVS=3785A1B2C3=Alice@Example.COM", {"PRVS=3785A1B2C3=Alice@Example.COM"}},
    {"<prvs=3785a1b2c3=l-1=bob=other.test@example.com>",
     {"prvs=3785a1b2c3=l-1=bob=other.test@example.com"}},
    {"<\"prvs=3785a1b2c3=a b\"@example.com>", {"\"prvs=3785a1b2c3=a b\"@example.com"}},
    {"<" TAGGED "> and <" TAGGED ">", {TAGGED}},
    {"<" SUB ">", {SUB}},
    {"<alice+x+prvs=3785a1b2c3@example.com>", {"alice+x+prvs=3785a1b2c3@example.com"}},
    {"<\"a b+prvs=3785a1b2c3\"@example.com>", {"\"a b+prvs=3785a1b2c3\"@example.com"}},
    {"envelope-from=" SUB " x", {"envelope-from=" SUB, SUB}},
    {"mailto:" SUB, {SUB}},
    {"prvs=3785a1b2c3=alice@xn--bcher-kva.example",
     {"prvs=3785a1b2c3=alice@xn--bcher-kva.example"}},
    {"<alice+prvs=3785a1b2c3+far=other.test@example.com>",
     {"alice+prvs=3785a1b2c3+far=other.test@example.com"}},
    {"<alice+prvs=3785a1b2c3-x-y=z=other.test@example.com>",
     {"alice+prvs=3785a1b2c3-x-y=z=other.test@example.com"}},
    {"<alice+prvs=3785a1b2c3=far=other.test@example.com>",
     {"prvs=3785a1b2c3=far=other.test@example.com",
      "alice+prvs=3785a1b2c3=far=other.test@example.com"}},
    {"<\"a b+prvs=3785a1b2c3+c d=other.test\"@example.com>",
     {"\"a b+prvs=3785a1b2c3+c d=other.test\"@example.com"}},
    {"<alice+prvs=3785a1b2c3+far&#61;other.test@example.com>",
     {"alice+prvs=3785a1b2c3+far=other.test@example.com"}},
    {"<alice+prvs=3785a1b2c3+news@example.com>", {NULL}},
    {"<alice+prvs=3785a1b2c3x@example.com>", {NULL}},
    {"<alice+prvs=3785a1b2c3+far=other.test>", {NULL}},
    {"X-Microsoft-Antispam-PRVS: <20261122x@example.com>", {NULL}},
    {"prvs=785a1b2c3=alice@example.com", {NULL}},
    {"prvs=3785a1b2c=alice@example.com", {NULL}},
    {"prvs=alice=3785a1b2c3@example.com", {NULL}},
    {"prvs=3785a1b2c3=alice", {NULL}},
    {"prvs=3785a1b2c3=alice b@example.com", {NULL}},
    {"prvs=3785a1b2c3=alice@", {NULL}},
    {"+prvs=3785a1b2c3@example.com", {NULL}},
    {"prvs=", {NULL}},
};

START_TEST(tag)
{
    search(tags[_i].text);
    size_t count = 0;
    while (count < COUNT_OF(tags[0].found) && tags[_i].found[count] != NULL) {
        count++;
    }
    ck_assert_msg(bounce->tag_count == count, "%s: %zu", tags[_i].text, bounce->tag_count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(bounce->tags[i].address, tags[_i].found[i]);
        ck_assert_str_eq(bounce->tags[i].where, "text");
    }
}
END_TEST

/* A tag is kept as a string, so what stands behind a NUL in it must not be lost. */
START_TEST(a_nul_cuts_no_tag)
{
    static const char text[] = "X: \"a\0b+prvs=3785a1b2c3\"@example.com";
    bounce_scan_text(&reader, (struct octets){text, sizeof text - 1}, "text");
    ck_assert_uint_eq(bounce->tag_count, 1);
    ck_assert_str_eq(bounce->tags[0].address, "\"ab+prvs=3785a1b2c3\"@example.com");
}
END_TEST

/* What is behind the last tag that is kept is read all the same. */
START_TEST(tags_are_kept_up_to_a_number)
{
    static char text[128 * 2 * BOUNCE_TAGS];
    size_t used = 0;
    for (unsigned i = 0; i < 2 * BOUNCE_TAGS; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "Return-Path: <prvs=3785%06x=alice@example.com>\n", i);
    }
    snprintf(text + used, sizeof text - used, "Message-ID: <" ID ">\n");
    search(text);
    ck_assert_uint_eq(bounce->tag_count, BOUNCE_TAGS);
    ck_assert_str_eq(bounce->tags[0].address, "prvs=3785000000=alice@example.com");
    ck_assert_str_eq(bounce->tags[BOUNCE_TAGS - 1].address, "prvs=3785000031=alice@example.com");
    assert_found("behind many tags", FOUND);
}
END_TEST

/* A local part and a domain are as long as they may be, and no longer. */
START_TEST(an_address_with_a_tag_may_be_long_but_not_too_long)
{
    static const struct {
        int local, domain;
        bool found;
    } lengths[] = {{64, 253, false}, {64, 200, true}, {143, 140, true}, {144, 100, false},
                   {1, 282, true},   {1, 283, false}, {1, 3000, false}};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        char text[4000];
        bounce_free(bounce);
        setup();
        snprintf(text, sizeof text, "<prvs=3785a1b2c3=%0*d@%0*d>", lengths[i].local, 0,
                 lengths[i].domain, 0);
        search(text);
        ck_assert_msg(bounce->tag_count == lengths[i].found, "%d %d", lengths[i].local,
                      lengths[i].domain);
    }
}
END_TEST

/* ----------------------------------------------------------------- evidence */

#define MAC1  "00112233445566778899aabb"
#define MAC2  "ffeeddccbbaa998877665544"
#define HEAD  "v=1; d=20778; n=00112233445566ff; s="
#define VALUE "v=1;d=20778;n=00112233445566ff;s="

static const struct {
    const char *text, *value;
} headers[] = {
    {"X-Batv-Evidence: " HEAD MAC1, VALUE MAC1},
    {"x-batv-evidence:" HEAD MAC1 "," MAC2 "\nSubject: x", VALUE MAC1 "," MAC2},
    {"X-BATV-EVIDENCE: V=1; D=20778; N=00112233445566FF; S=00112233445566778899AABB", VALUE MAC1},
    {"X-Batv-Evidence: v=1; d=20778;\r\n\tn=00112233445566ff;\r\n\ts=" MAC1 ",\r\n\t" MAC2
     "\r\nTo: a",
     VALUE MAC1 "," MAC2},
    {"> X-Batv-Evidence: v=1; d=20778; n=00112233445566ff;\n>  s=" MAC1 ",\n>  " MAC2 "\n> To: a",
     VALUE MAC1 "," MAC2},
    {"    X-Batv-Evidence: " HEAD "\n        " MAC1 "\n    Date: x", VALUE MAC1},
    {"X-Batv-Evidence: v=1; d=20778; n=001122334455\n 66ff; s=0011223344556677\n 8899aabb\nabcdef: "
     "x",
     VALUE MAC1},
    {"<b>X-Batv-Evidence:</b> v=1; d=20778; n=00112233445566ff;<br> s=" MAC1 "<br>abc", VALUE MAC1},
    {"X-Batv-Evidence: v=1;&nbsp;d=20778;&nbsp;n=00112233445566ff; s=" MAC1, VALUE MAC1},
    {"X-Batv-Evidence: v&#61;1; d=20778; n=00112233445566ff; s=" MAC1, VALUE MAC1},
    {"X-Batv-Evidence: " HEAD MAC1 ",001122", VALUE MAC1},
    {"X-Batv-Evidence: " HEAD MAC1 "; x=y", VALUE MAC1},
    {"X-Batv-Evidence: " HEAD "0011", NULL},
    {"X-Batv-Evidence: v=2; d=20778; n=00112233445566ff; s=" MAC1, NULL},
    {"X-Batv-Evidence: d=20778; v=1; n=00112233445566ff; s=" MAC1, NULL},
    {"X-Batv-Evidence: v=1; d=; n=00112233445566ff; s=" MAC1, NULL},
    {"X-Batv-Evidence: v=1; d=123456789; n=00112233445566ff; s=" MAC1, NULL},
    {"X-Batv-Evidence " HEAD MAC1, NULL},
    {"X-Batv-Evidence:", NULL},
    {HEAD MAC1, NULL},
};

START_TEST(header)
{
    search(headers[_i].text);
    ck_assert_msg(bounce->evidence_count == (headers[_i].value != NULL), "%s", headers[_i].text);
    if (headers[_i].value != NULL) {
        ck_assert_str_eq(bounce->evidence[0], headers[_i].value);
    }
}
END_TEST

/* ------------------------------------------------------------------- chance */

/* Pieces that begin something, put together in every order: nothing to find, but nothing read
 * beyond the end either, which the address sanitizer watches. */
START_TEST(pieces_in_any_order)
{
    static const char *const pieces[] = {"Message-ID",
                                         ":",
                                         " ",
                                         "\n",
                                         "\r",
                                         "<",
                                         ">",
                                         "@",
                                         "&lt;",
                                         "&#",
                                         "&",
                                         "\\u003c",
                                         "prvs=",
                                         "3785a1b2c3",
                                         "=",
                                         "+",
                                         "\"",
                                         "X-Batv-Evidence:",
                                         "v=1;",
                                         "d=1;",
                                         "n=0011223344556677;",
                                         "s=" MAC1,
                                         ",",
                                         "References:",
                                         "In-Reply-To:",
                                         "<b",
                                         "</",
                                         "a",
                                         "1234",
                                         "> ",
                                         "is",
                                         "("};
    struct chance chance = {.state = 20261122};
    for (size_t round = 0; round < 20000; round++) {
        char *text = malloc(512);
        ck_assert_ptr_nonnull(text);
        size_t used = 0;
        size_t count = 1 + chance_below(&chance, 16);
        for (size_t i = 0; i < count; i++) {
            const char *piece = pieces[chance_below(&chance, COUNT_OF(pieces))];
            memcpy(text + used, piece, strlen(piece));
            used += strlen(piece);
        }
        char *exact = malloc(used);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, text, used);
        bounce_scan_text(&reader, (struct octets){exact, used}, "text");
        free(exact);
        free(text);
    }
    REQUIRE(!reader.no_memory);
}
END_TEST

/* What begins where the text ends. The address sanitizer sees who reads on. */
START_TEST(at_the_end)
{
    static const char *const texts[] = {"<bMessage-ID>",
                                        "<Message-ID>",
                                        "Message-ID",
                                        "Message-ID:",
                                        "<Message-ID a=\"b\">",
                                        "&lt;Message-ID&gt;",
                                        "References:",
                                        "In-Reply-To:\n",
                                        "References: <a@b.test>\n",
                                        "%40",
                                        "a@",
                                        "prvs=",
                                        "X-Batv-Evidence:",
                                        "id=",
                                        "<"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        for (size_t from = 0; from < strlen(texts[i]); from++) {
            size_t length = strlen(texts[i]) - from;
            char *exact = malloc(length);
            ck_assert_ptr_nonnull(exact);
            memcpy(exact, texts[i] + from, length);
            bounce_scan_text(&reader, (struct octets){exact, length}, "text");
            free(exact);
        }
    }
    ck_assert(!reader.no_memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bounce_text");
    TCase *tests = tcase_create("text");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, label, 0, COUNT_OF(labels));
    tcase_add_test(tests, an_id_may_be_long_but_not_too_long);
    tcase_add_test(tests, nuls_are_not_seen);
    tcase_add_test(tests, where_is_the_label_or_the_place);
    tcase_add_loop_test(tests, list, 0, COUNT_OF(lists));
    tcase_add_test(tests, of_long_references_the_last_are_kept);
    tcase_add_loop_test(tests, own_field, 0, COUNT_OF(own_fields));
    tcase_add_loop_test(tests, without_label, 0, COUNT_OF(unlabelled));
    tcase_add_loop_test(tests, by_its_look, 0, COUNT_OF(looks));
    tcase_add_loop_test(tests, in_markup, 0, COUNT_OF(markup));
    tcase_add_loop_test(tests, tag, 0, COUNT_OF(tags));
    tcase_add_test(tests, a_nul_cuts_no_tag);
    tcase_add_test(tests, tags_are_kept_up_to_a_number);
    tcase_add_test(tests, an_address_with_a_tag_may_be_long_but_not_too_long);
    tcase_add_loop_test(tests, header, 0, COUNT_OF(headers));
    tcase_add_test(tests, at_the_end);
    tcase_add_test(tests, pieces_in_any_order);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
