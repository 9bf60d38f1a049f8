/* Next hops as Postfix and Sendmail write them, and recipients' domains. */
#include "batv/next_hop.h"

#include "fixture.h"

/* "name", "name/mx" or "[address]"; hosts with blanks between. */
static void write_hop(const struct next_hop *hop, char *out, size_t size)
{
    size_t used = strlen(out);
    if (hop->literal) {
        ck_assert_str_eq(hop->name, "");
        snprintf(out + used, size - used, "%s[%02x%02x]", used > 0 ? " " : "", hop->ip.octets[14],
                 hop->ip.octets[15]);
    } else {
        snprintf(out + used, size - used, "%s%s%s", used > 0 ? " " : "", hop->name,
                 hop->mx ? "/mx" : "");
    }
}

#define LABEL_63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"
#define NAME_255 LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63
#define NAME_253                                                                                   \
    LABEL_63 "." LABEL_63 "." LABEL_63                                                             \
             ".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffg"

static const struct {
    const char *text, *expected;
} hops[] = {
    /* Postfix */
    {"other.test", "other.test/mx"},
    {"other.test:25", "other.test/mx"},
    {"other.test:submission", "other.test/mx"},
    {"[relay.other.test]", "relay.other.test"},
    {"[relay.other.test]:587", "relay.other.test"},
    {"[192.0.2.5]:25", "[0205]"},
    {"[192.0.2.5]", "[0205]"},
    {"192.0.2.5:25", "[0205]"},
    {"192.0.2.5", "[0205]"},
    {"[2001:db8::a1b2]:25", "[a1b2]"},
    {"[ipv6:2001:db8::a1b2]", "[a1b2]"},
    {"[IPv6:2001:db8::a1b2]:smtp", "[a1b2]"},
    {"2001:db8::a1b2", "[a1b2]"},
    {"[a.test]:25, [b.test]:26", "a.test b.test"},
    {"a.test:25 b.test:26,c.test", "a.test/mx b.test/mx c.test/mx"},
    {"inet:lmtp.test:24", "lmtp.test/mx"},
    {"inet:[192.0.2.5]:24", "[0205]"},
    {"unix:/run/dovecot/lmtp", ""},
    {"unix:/run/dovecot/lmtp.sock a.test", "a.test/mx"},
    {"/var/mail/x.y", ""},
    /* Sendmail */
    {"other.test.", "other.test/mx"},
    {"[relay.test.]", "relay.test"},
    {"a.test:b.test", "a.test/mx b.test/mx"},
    {"a.test:[b.test]:c.test.", "a.test/mx b.test c.test/mx"},
    {"[192.0.2.5]:[192.0.2.6]", "[0205] [0206]"},
    {"localhost", "localhost/mx"},
    /* odd */
    {"Other.TEST", "other.test/mx"},
    {"_a-b.test", "_a-b.test/mx"},
    {"", ""},
    {" ", ""},
    {":", ""},
    {":::", ""},
    {":25", "25/mx"},
    {"[]", ""},
    {"[", ""},
    {"]", ""},
    {"[[a.test]]", ""},
    {"[a.test", ""},
    {"[a b.test]", ""},
    {"..", ""},
    {".", ""},
    {"a..b", ""},
    {".a.test", ""},
    {"a\\.b.test", ""},
    {"b\xc3\xbc"
     "cher.test",
     ""},
    {"a@b.test", ""},
    {"a.test..", ""},
    {"* a.test", "a.test/mx"},
    {LABEL_63 ".test", LABEL_63 ".test/mx"},
    {LABEL_63 "h.test", ""},
    {NAME_253, NAME_253 "/mx"},
    {NAME_253 ".", NAME_253 "/mx"},
    {NAME_255, ""},
};

START_TEST(test_next_hop)
{
    char out[1024] = "";
    struct next_hop hop;
    const char *rest = hops[_i].text;
    for (size_t n = 0; next_hop_take(&rest, &hop); n++) {
        ck_assert_uint_lt(n, 8);
        write_hop(&hop, out, sizeof out);
    }
    ck_assert_str_eq(out, hops[_i].expected);
    ck_assert_int_eq(*rest, '\0');
    ck_assert(!next_hop_take(&rest, &hop));
}
END_TEST

static const struct {
    const char *domain, *expected;
} domains[] = {
    {"other.test", "other.test/mx"},
    {"[192.0.2.5]", "[0205]"},
    {"[ipv6:2001:db8::a1b2]", "[a1b2]"},
    {"[2001:db8::a1b2]", "[a1b2]"},
    {"localhost", "localhost/mx"},
    {"xn--bcher-kva.test", "xn--bcher-kva.test/mx"},
    {"", ""},
    {"[", ""},
    {"[]", ""},
    {"[other.test]", ""},
    {"[192.0.2.5]:25", ""},
    {"[192.0.2.5", ""},
    {"192.0.2.5", "192.0.2.5/mx"},
    {"a b", ""},
    {"a\tb.test", ""},
    {"a.test:25", ""},
    {"a_b.test", "a_b.test/mx"},
    {"\xff.test", ""},
    {"[192.0.2.5]]", ""},
    {"a,b.test", ""},
    {NAME_255, ""},
};

START_TEST(test_domain)
{
    char out[1024] = "";
    struct next_hop hop;
    if (next_hop_of_domain(domains[_i].domain, &hop)) {
        write_hop(&hop, out, sizeof out);
    }
    ck_assert_str_eq(out, domains[_i].expected);
}
END_TEST

/* Whatever it is, it comes to an end, and names have the form that DNS takes. */
START_TEST(test_chance)
{
    static const char alphabet[] = "a1.:[]/, -\\\xc3";
    struct chance chance = {4711};
    for (int i = 0; i < 200000; i++) {
        char text[24];
        struct next_hop hop;
        chance_text(&chance, i % 2 == 0 ? alphabet : NULL, text, chance_below(&chance, 23));
        const char *rest = text;
        const char *end = text + strlen(text);
        while (next_hop_take(&rest, &hop)) {
            REQUIRE(rest <= end);
            REQUIRE(hop.literal == (hop.name[0] == '\0'));
            REQUIRE(strspn(hop.name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") ==
                    strlen(hop.name));
        }
        REQUIRE(rest == end);
        next_hop_of_domain(text, &hop);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("next hops");
    TCase *tcase = tcase_create("next hops");
    tcase_add_loop_test(tcase, test_next_hop, 0, COUNT_OF(hops));
    tcase_add_loop_test(tcase, test_domain, 0, COUNT_OF(domains));
    tcase_add_test(tcase, test_chance);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
