/*
 * Envelope addresses: every shape in which an MTA hands one over, as a table, and random octets,
 * which must come back from their own written form.
 */
#include "fixture.h"

#include "batv/address_unicode.h"

/* raw as the MTA gives it; format is what address_format makes of the parts. */
static const struct {
    const char *name;
    const char *raw, *local, *domain, *ascii, *format, *plain;
} addresses[] = {
    {"with brackets", "<a@b.example>", "a", "b.example", "b.example", "a@b.example", "a@b.example"},
    {"without brackets", "a@b.example", "a", "b.example", "b.example", "a@b.example",
     "a@b.example"},
    {"no domain", "<user>", "user", "", "", "user", "user"},
    {"no domain, no brackets", "user", "user", "", "", "user", "user"},
    {"a source route", "<@relay.example:bob@b.example>", "bob", "b.example", "b.example",
     "bob@b.example", "bob@b.example"},
    {"a source route of two", "<@r1.example,@r2.example:bob@b.example>", "bob", "b.example",
     "b.example", "bob@b.example", "bob@b.example"},
    {"a source route without brackets", "@relay.example:bob@b.example", "bob", "b.example",
     "b.example", "bob@b.example", "bob@b.example"},
    {"case stays, but not in the form that is compared", "<Bob@B.Example>", "Bob", "B.Example",
     "b.example", "Bob@B.Example", "Bob@b.example"},
    {"a final dot", "<bob@b.example.>", "bob", "b.example", "b.example", "bob@b.example",
     "bob@b.example"},
    {"quoted", "<\"a b\"@b.example>", "a b", "b.example", "b.example", "\"a b\"@b.example",
     "a b@b.example"},
    {"quoted without need", "<\"ab\"@b.example>", "ab", "b.example", "b.example", "ab@b.example",
     "ab@b.example"},
    {"quoted with @", "<\"a@b\"@b.example>", "a@b", "b.example", "b.example", "\"a@b\"@b.example",
     "a@b@b.example"},
    {"quoted with escapes", "<\"a\\\"b\\\\c\"@b.example>", "a\"b\\c", "b.example", "b.example",
     "\"a\\\"b\\\\c\"@b.example", "a\"b\\c@b.example"},
    {"quoted with an escape without need", "<\"a\\b\"@b.example>", "ab", "b.example", "b.example",
     "ab@b.example", "ab@b.example"},
    {"quoted, no domain", "<\"a b\">", "a b", "", "", "\"a b\"", "a b"},
    {"quoted, after a source route", "<@relay.example:\"a:b\"@b.example>", "a:b", "b.example",
     "b.example", "\"a:b\"@b.example", "a:b@b.example"},
    {"an empty quoted local part", "<\"\"@b.example>", "", "b.example", "b.example",
     "\"\"@b.example", "@b.example"},
    {"a quoted tag", "<\"prvs=3785a1b2c3=a b\"@b.example>", "prvs=3785a1b2c3=a b", "b.example",
     "b.example", "\"prvs=3785a1b2c3=a b\"@b.example", "prvs=3785a1b2c3=a b@b.example"},
    {"VERP", "<list-return-12=bob=other.test@b.example>", "list-return-12=bob=other.test",
     "b.example", "b.example", "list-return-12=bob=other.test@b.example",
     "list-return-12=bob=other.test@b.example"},
    {"every octet that needs no quotes", "<!#$%&'*+-/=?^_`{|}~@b.example>", "!#$%&'*+-/=?^_`{|}~",
     "b.example", "b.example", "!#$%&'*+-/=?^_`{|}~@b.example", "!#$%&'*+-/=?^_`{|}~@b.example"},
    {"U-labels", "<user@b\303\274cher.example>", "user", "b\303\274cher.example",
     "xn--bcher-kva.example", "user@b\303\274cher.example", "user@xn--bcher-kva.example"},
    {"U-labels in capitals", "<user@B\303\234CHER.EXAMPLE>", "user", "B\303\234CHER.EXAMPLE",
     "xn--bcher-kva.example", "user@B\303\234CHER.EXAMPLE", "user@xn--bcher-kva.example"},
    {"A-labels in capitals", "<user@XN--BCHER-KVA.example>", "user", "XN--BCHER-KVA.example",
     "xn--bcher-kva.example", "user@XN--BCHER-KVA.example", "user@xn--bcher-kva.example"},
    {"a local part beyond ASCII", "<j\xc3\xbcrgen@b.example>", "j\xc3\xbcrgen", "b.example",
     "b.example", "j\xc3\xbcrgen@b.example", "j\xc3\xbcrgen@b.example"},
    {"octets that are no UTF-8", "<\xff\xfe@b\xff.Example>", "\xff\xfe", "b\xff.Example",
     "b\xff.example", "\xff\xfe@b\xff.Example", "\xff\xfe@b\xff.example"},
    {"an address literal", "<a@[192.0.2.1]>", "a", "[192.0.2.1]", "[192.0.2.1]", "a@[192.0.2.1]",
     "a@[192.0.2.1]"},
    {"an IPv6 literal", "<a@[IPv6:2001:db8::1]>", "a", "[IPv6:2001:db8::1]", "[ipv6:2001:db8::1]",
     "a@[IPv6:2001:db8::1]", "a@[ipv6:2001:db8::1]"},
    {"a space without quotes", "<a b@b.example>", "a b", "b.example", "b.example",
     "\"a b\"@b.example", "a b@b.example"},
    {"two @: the last counts", "<a@b@c.example>", "a@b", "c.example", "c.example",
     "\"a@b\"@c.example", "a@b@c.example"},
    {"a dot first", "<.a@b.example>", ".a", "b.example", "b.example", "\".a\"@b.example",
     ".a@b.example"},
    {"a dot last", "<a.@b.example>", "a.", "b.example", "b.example", "\"a.\"@b.example",
     "a.@b.example"},
    {"two dots", "<a..b@b.example>", "a..b", "b.example", "b.example", "\"a..b\"@b.example",
     "a..b@b.example"},
    {"a quote that does not end", "<\"a@b.example>", "\"a", "b.example", "b.example",
     "\"\\\"a\"@b.example", "\"a@b.example"},
    {"something after a quoted part", "<\"a\"b@b.example>", "\"a\"b", "b.example", "b.example",
     "\"\\\"a\\\"b\"@b.example", "\"a\"b@b.example"},
    {"two @ after a quoted part", "<\"a\"@b@c.example>", "\"a\"@b", "c.example", "c.example",
     "\"\\\"a\\\"@b\"@c.example", "\"a\"@b@c.example"},
    {"no local part", "<@b.example>", "", "b.example", "b.example", "\"\"@b.example", "@b.example"},
    {"an @ alone", "<@>", "", "", "", "\"\"", ""},
    {"a bracket that does not end", "<a@b.example", "a", "b.example", "b.example", "a@b.example",
     "a@b.example"},
    {"two brackets", "<<a@b.example>>", "<a", "b.example>", "b.example>", "\"<a\"@b.example>",
     "<a@b.example>"},
};

START_TEST(test_parse)
{
    struct address address;
    ck_assert_int_eq(address_parse(addresses[_i].raw, &address), STATUS_OK);
    char *format = address_format(address.local, address.domain);
    char *plain = address_plain(address.local, address.ascii);
    ck_assert_msg(strcmp(address.local, addresses[_i].local) == 0, "%s: local part %s",
                  addresses[_i].name, address.local);
    ck_assert_msg(strcmp(address.domain, addresses[_i].domain) == 0, "%s: domain %s",
                  addresses[_i].name, address.domain);
    ck_assert_msg(strcmp(address.ascii, addresses[_i].ascii) == 0, "%s: A-labels %s",
                  addresses[_i].name, address.ascii);
    ck_assert_msg(strcmp(format, addresses[_i].format) == 0, "%s: written %s", addresses[_i].name,
                  format);
    ck_assert_msg(strcmp(plain, addresses[_i].plain) == 0, "%s: plain %s", addresses[_i].name,
                  plain);
    free(format);
    free(plain);
    address_free(&address);
}
END_TEST

START_TEST(test_null_sender)
{
    ck_assert(address_is_null(""));
    ck_assert(address_is_null("<>"));
    ck_assert(!address_is_null("<"));
    ck_assert(!address_is_null("< >"));
    ck_assert(!address_is_null("<\"\">"));
    ck_assert(!address_is_null("<@>"));
    ck_assert(!address_is_null("a@b.example"));

    struct address address;
    ck_assert_int_eq(address_parse("<>", &address), STATUS_OK);
    ck_assert_str_eq(address.local, "");
    ck_assert_str_eq(address.domain, "");
    ck_assert_str_eq(address.ascii, "");
    address_free(&address);
    ck_assert_ptr_null(address.local);
    address_free(&address);
}
END_TEST

static const struct {
    const char *name;
    const char *domain, *ascii;
} domains[] = {
    {"ASCII", "example.com", "example.com"},
    {"capitals", "EXAMPLE.Com", "example.com"},
    {"none", "", ""},
    {"U-label", "b\303\274cher.example", "xn--bcher-kva.example"},
    {"U-label, composed otherwise", "bu\314\210cher.example", "xn--bcher-kva.example"},
    {"U-label among others", "Mail.B\303\274cher.Example", "mail.xn--bcher-kva.example"},
    {"sharp s is a letter of its own", "fa\xc3\x9f.example", "xn--fa-hia.example"},
    {"no UTF-8", "B\xff.Example", "b\xff.example"},
    {"half a letter", "B\xc3", "b\xc3"},
    {"A-label that means nothing", "XN--AAAAA", "xn--aaaaa"},
    {"underscore", "_Dmarc.Example", "_dmarc.example"},
};

START_TEST(test_domain_ascii)
{
    char *ascii = address_domain_ascii(domains[_i].domain);
    ck_assert_msg(strcmp(ascii, domains[_i].ascii) == 0, "%s: %s", domains[_i].name, ascii);
    free(ascii);
}
END_TEST

static const struct {
    const char *name, *key;
} entries[] = {
    {"Example.com", "example.com"},
    {".Example.com", ".example.com"},
    {".b\303\274cher.example", ".xn--bcher-kva.example"},
    {"b\303\274cher.example", "xn--bcher-kva.example"},
};

START_TEST(test_domain_key)
{
    char *key = address_domain_key(entries[_i].name);
    ck_assert_str_eq(key, entries[_i].key);
    free(key);
}
END_TEST

/* The 64 octets of RFC 5321 are counted as they go over the wire. */
static const struct {
    const char *local;
    size_t length;
} lengths[] = {
    {"", 2}, {"a", 1}, {"a.b", 3}, {"a b", 5}, {"a\"b", 6}, {"a\\b", 6}, {".a", 4}, {"\xc3\xbc", 2},
};

START_TEST(test_local_length)
{
    ck_assert_uint_eq(address_local_length(lengths[_i].local), lengths[_i].length);
}
END_TEST

/* RFC 5321's atext, and what RFC 6531 adds to it: everything above ASCII. */
START_TEST(test_which_octets_need_quotes)
{
    static const char atext[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-/=?^_`{|}~";
    for (int c = 1; c < 256; c++) {
        char local[] = {'a', (char)(unsigned char)c, 'b', '\0'};
        bool bare = c >= 0x80 || c == '.' || strchr(atext, c) != NULL;
        size_t length = bare ? 3 : c == '"' || c == '\\' ? 6 : 5;
        char *written = address_format(local, "");
        ck_assert_uint_eq(address_local_length(local), length);
        ck_assert_uint_eq(strlen(written), length);
        ck_assert_int_eq(written[0] == '"', !bare);
        free(written);
    }
}
END_TEST

START_TEST(test_only_ascii_letters_have_case)
{
    for (int c = -128; c < 256; c++) {
        char expected = c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c;
        ck_assert_int_eq(ascii_lower((char)c), expected);
    }
    ck_assert(ascii_equal("", ""));
    ck_assert(ascii_equal("Mailer-Daemon", "mailer-DAEMON"));
    ck_assert(!ascii_equal("mailer-daemon", "mailer-daemo"));
    ck_assert(!ascii_equal("mailer-daemo", "mailer-daemon"));
    ck_assert(!ascii_equal("\xc3\x9c", "\xc3\xbc"));
    ck_assert(!ascii_equal("[", "{"));
    ck_assert(!ascii_equal("@", "`"));
}
END_TEST

/* What is written out is read back as the same parts, and has the length that was foretold. */
static void check_round_trip(const char *raw)
{
    struct address first;
    struct address second;
    ck_assert_int_eq(address_parse(raw, &first), STATUS_OK);
    char *written = address_format(first.local, first.domain);
    char *local = address_format(first.local, "");
    ck_assert_ptr_nonnull(written);
    ck_assert_ptr_nonnull(local);
    ck_assert_uint_eq(strlen(local), address_local_length(first.local));
    ck_assert_int_eq(strncmp(written, local, strlen(local)), 0);

    ck_assert_int_eq(address_parse(written, &second), STATUS_OK);
    ck_assert_msg(strcmp(first.local, second.local) == 0, "local part of %s: %s, then %s", raw,
                  first.local, second.local);
    ck_assert_msg(strcmp(first.domain, second.domain) == 0, "domain of %s: %s, then %s", raw,
                  first.domain, second.domain);
    ck_assert_str_eq(first.ascii, second.ascii);
    free(written);
    free(local);
    address_free(&first);
    address_free(&second);
}

START_TEST(test_written_form_is_read_back)
{
    struct chance chance = {1};
    static const char *const alphabets[] = {NULL, "ab.@\"\\<>: ,[]", "a@.\"", "<@:>\\\"b"};
    char raw[80];
    for (size_t i = 0; i < 40000; i++) {
        chance_text(&chance, alphabets[i % COUNT_OF(alphabets)], raw, chance_below(&chance, 24));
        if (strstr(raw, "..") == NULL) { /* one final dot only is no part of a domain */
            check_round_trip(raw);
        }
    }
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        check_round_trip(addresses[i].raw);
    }
}
END_TEST

START_TEST(test_unicode_leads_back)
{
    static const struct {
        const char *ascii, *unicode;
    } cases[] = {
        {"xn--bcher-kva.example", "b\303\274cher.example"},
        {"example.com", "example.com"},
        {"xn--aaaaa", "xn--aaaaa"},
        {"xn--bcher--bchea", "xn--bcher--bchea"}, /* can be decoded, and is nobody's A-label */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *unicode = address_domain_unicode(cases[i].ascii);
        ck_assert_str_eq(unicode, cases[i].unicode);
        char *back = address_domain_ascii(unicode);
        ck_assert_str_eq(back, cases[i].ascii);
        free(back);
        free(unicode);
    }
}
END_TEST

START_TEST(test_no_length_is_too_long)
{
    size_t length = 100000;
    char *raw = malloc(length + 1);
    static const char fills[] = "a\"\\@<.\xff\xc3";
    for (size_t i = 0; i < sizeof fills - 1; i++) {
        memset(raw, fills[i], length);
        raw[length] = '\0';
        struct address address;
        ck_assert_int_eq(address_parse(raw, &address), STATUS_OK);
        char *written = address_format(address.local, address.domain);
        ck_assert_ptr_nonnull(written);
        free(written);
        address_free(&address);
    }
    free(raw);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("address");
    TCase *tcase = tcase_create("address");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_parse, 0, (int)COUNT_OF(addresses));
    tcase_add_test(tcase, test_null_sender);
    tcase_add_loop_test(tcase, test_domain_ascii, 0, (int)COUNT_OF(domains));
    tcase_add_loop_test(tcase, test_domain_key, 0, (int)COUNT_OF(entries));
    tcase_add_loop_test(tcase, test_local_length, 0, (int)COUNT_OF(lengths));
    tcase_add_test(tcase, test_which_octets_need_quotes);
    tcase_add_test(tcase, test_only_ascii_letters_have_case);
    tcase_add_test(tcase, test_written_form_is_read_back);
    tcase_add_test(tcase, test_unicode_leads_back);
    tcase_add_test(tcase, test_no_length_is_too_long);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
