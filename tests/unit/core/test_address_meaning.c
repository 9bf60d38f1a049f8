/*
 * The one form of an address: by what Postfix and Sendmail say of it (as both were seen to), and
 * without their word; and random octets, which have a form in linear time.
 */
#include "fixture.h"

#include "batv/address_meaning.h"

#define D "b.example"

/* host is mx.example unless a row has its own. */
static const struct {
    const char *raw, *resolved, *host, *meaning;
} meanings[] = {
    /* An address that stands for itself; the null sender. */
    {"<a@b.example>", "a@b.example", "mx.example", "a@b.example"},
    {"<a@b.example>", "c@d.example", "mx.example", "a@b.example"},
    {"<a%b.example@mx.example>", "a@b.example", "mx.example", "a@b.example"},
    {"<>", "MAILER-DAEMON", "mx.example", ""},
    {"", "", NULL, ""},
    {"<(x)>", "", "mx.example", ""},
    {"<a@b.example>", "", "mx.example", "a@b.example"},
    /* The mailbox of a local mailer. */
    {"<a@b.example>", "a", "mx.example", "a@b.example"},
    {"a@b.example", "a", NULL, "a@b.example"},
    {"<A@B.example.>", "a", "mx.example", "A@B.example"},
    {"<a+x@b.example>", "a+x", "mx.example", "a+x@b.example"},
    {"<a>", "a", "mx.example", "a@mx.example"},
    {"<a>", "a", NULL, "a"},
    {"<@r.example,@s.example:a@b.example>", "a", "mx.example", "a@b.example"},
    {"<\"a b\"@b.example>", "\"a b\"", "mx.example", "\"a b\"@b.example"},
    {"<\"a b\"@b.example>", "a b", "mx.example", "\"a b\"@b.example"},
    /* Comments and blanks. */
    {"<a@(x)b.example>", "a", "mx.example", "a@b.example"},
    {"<a@b.example (x (y\\) z) @c>", "a", "mx.example", "a@b.example"},
    {"<a @ b.example>", "a", "mx.example", "a@b.example"},
    {"<\"a (b\"@b.example>", "\"a (b\"", "mx.example", "\"a (b\"@b.example"},
    {"<\"a\\\"(b\"@b.example>", "a\"(b", "mx.example", "\"a\\\"(b\"@b.example"},
    {"< >", "MAILER-DAEMON", "mx.example", ""},
    {"<(x)>", "MAILER-DAEMON", "mx.example", ""},
    {"<a@b.example", "a", "mx.example", "a@b.example"},
    {"<a@b.example(", "a", "mx.example", "a@b.example"},
    {"<a)@b.example>", "a)", "mx.example", "\"a)\"@b.example"},
    /* Routes. */
    {"<a%b.example>", "a", "mx.example", "a@b.example"},
    {"<a%b.example@mx.example>", "a", "mx.example", "a@b.example"},
    {"<a%b.example@else.example>", "a", "mx.example", "a@b.example"},
    {"<a%b.example%c.example@mx.example>", "a", "mx.example", "a@b.example"},
    {"<a%b.example%c.example>", "a%b.example", "mx.example", "a%b.example@c.example"},
    {"<b.example!a>", "a", "mx.example", "a@b.example"},
    {"<mx.example!b.example!a>", "a", "mx.example", "a@b.example"},
    {"<b.example!a@mx.example>", "a", "mx.example", "a@b.example"},
    {"<\"a@b.example\"@mx.example>", "a", "mx.example", "a@b.example"},
    {"<prvs=1234abcdef=a%b.example>", "a", "mx.example", "prvs=1234abcdef=a@b.example"},
    {"<prvs=1234abcdef=a%b.example@mx.example>", "a", "mx.example", "prvs=1234abcdef=a@b.example"},
    {"<prvs=1234abcdef=a>", "a", "mx.example", "prvs=1234abcdef=a@mx.example"},
    {"<50%off@b.example>", "50%off", "mx.example", "50%off@b.example"},
    /* The MTA says it without case, or composed. */
    {"<A%b.example@else.example>", "a", "mx.example", "A@b.example"},
    {"<\u00c4%b.example@else.example>", "\u00e4", "mx.example", "\u00c4@b.example"},
    {"<A\u0308%B.example@else.example>", "\u00e4", "mx.example", "A\u0308@B.example"},
    {"<else.example!b.example!\u00c4>", "\u00e4", "mx.example", "\u00c4@b.example"},
    {"<prvs=1234abcdef=\u00c4%b.example@else.example>", "\u00e4", "mx.example",
     "prvs=1234abcdef=\u00c4@b.example"},
    {"<\u00c4%b.example@else.example>", "\u00eb", "mx.example", "\u00c4%b.example@else.example"},
    /* A table has made another mailbox of it: what there is of routes is read by the host's name.
     */
    {"<a@b.example>", "box", "mx.example", "a@b.example"},
    {"<a>", "box", "mx.example", "a@mx.example"},
    {"<a%b.example>", "box", "mx.example", "a@b.example"},
    {"<a%b.example@mx.example>", "box", "mx.example", "a@b.example"},
    {"<a%b.example@MX.example>", "box", "mx.example", "a@b.example"},
    {"<50%off@b.example>", "box", "mx.example", "50%off@b.example"},
    {"<50%off@b.example>", "box", NULL, "50%off@b.example"},
    {"<a!b!c%d%e@f.example>", "box", "f.example", "b!c%d%e@a"},
};

/* What Postfix says counts, or what is read where it says nothing: the same mailbox. */
static const struct {
    const char *raw, *meaning;
} spellings[] = {
    {"<(x)alice@" D ">", "alice@" D},
    {"<alice(50 x)@" D ">", "alice@" D},
    {"<alice @" D ">", "alice@" D},
    {"<alice\t@" D ">", "alice@" D},
    {"< alice@" D ">", "alice@" D},
    {"<alice@" D " >", "alice@" D},
    {"<alice@ " D ">", "alice@" D},
    {"<alice@(c)" D ">", "alice@" D},
    {"<alice@" D "(a(b)\\)c)>", "alice@" D},
    {"<al\\ice@" D ">", "alice@" D},
    {"<\\alice@" D ">", "alice@" D},
    {"<\"alice\"@" D ">", "alice@" D},
    {"<\"al\\ice\"@" D ">", "alice@" D},
    {"<ali.\"ce\"@" D ">", "ali.ce@" D},
    {"<\"ali\"ce@" D ">", "alice@" D},
    {"<al\"ic\"e@" D ">", "alice@" D},
    {"<alice . b@" D ">", "alice.b@" D},
    {"<alice\\ @" D ">", "\"alice \"@" D},
    {"<alice..b@" D ">", "\"alice..b\"@" D},
    {"<.alice@" D ">", "\".alice\"@" D},
    {"<alice@" D ".>", "alice@" D},
    {"<alice@" D "@>", "alice@" D},
    {"<alice\\@" D ">", "alice@" D},
    {"<alice@\"" D "\">", "alice@" D},
    {"<alice@\\" D ">", "alice@" D},
    {"<Alice X <alice@" D ">>", "alice@" D},
    {"<<alice@" D ">>", "alice@" D},
    {"<x: alice@" D ";>", "alice@" D},
    {"<x:alice@" D ">", "\"x:alice\"@" D},
    {"<@r.example,@s.example:alice@" D ">", "alice@" D},
    {"<@r.example : (x) alice@" D ">", "alice@" D},
    {"<alice%" D "@mx.example>", "alice@" D},
    {"<alice%" D "@localhost>", "alice@" D},
    {"<alice%" D "@[192.0.2.1]>", "alice@" D},
    {"<alice%" D ">", "alice@" D},
    {"<" D "!alice>", "alice@" D},
    {"<mx.example!" D "!alice>", "alice@" D},
    {"<\"alice@" D "\"@mx.example>", "alice@" D},
    {"<(x)prvs=1234abcdef=alice@" D ">", "prvs=1234abcdef=alice@" D},
    {"< prvs=1234abcdef=alice@" D ">", "prvs=1234abcdef=alice@" D},
    {"<\\prvs=1234abcdef=alice@" D ">", "prvs=1234abcdef=alice@" D},
    {"<p\\rvs=1234abcdef=alice@" D ">", "prvs=1234abcdef=alice@" D},
    {"<\"prvs=1234abcdef=\"alice@" D ">", "prvs=1234abcdef=alice@" D},
    {"<mailer-daemon(x)@" D ">", "mailer-daemon@" D},
    {"<\\mailer-daemon@" D ">", "mailer-daemon@" D},
    {"<mailer-daemon @" D ">", "mailer-daemon@" D},
    {"<alice@[192.0.2.1] >", "alice@[192.0.2.1]"},
    {"<alice@[192.0.2.1>", "alice@[192.0.2.1]"},
    {"<alice@[IPv6:2001:DB8:0::1](x)>", "alice@[IPv6:2001:DB8:0::1]"},
    {"<alice(x)@localhost>", "alice@localhost"},
    {"<alice(x)>", "alice@mx.example"},
    {"<(x)>", ""},
    {"< >", ""},
    {"<(alice@" D ">", ""},
    {"<alice@" D "..>", "alice@" D},
    {"<alice@" D ";>", "alice@" D},
    {"<alice@" D ",>", "alice@" D},
    {"<,alice@" D ">", "alice@" D},
    {"<()\"\"alice@" D ">", "alice@" D},
    {"<alice@\"  " D "\">", "alice@" D},
    {"<alice@\\\"" D "\\\">", "alice@" D},
};

static void check_meaning(const char *raw, const char *resolved, const char *host,
                          const char *expected)
{
    struct address address;
    ck_assert_int_eq(address_settle(raw, resolved, host, &address), STATUS_OK);
    char *meaning = address_format(address.local, address.domain);
    ck_assert_ptr_nonnull(meaning);
    const char *null = *address.local == '\0' && *address.domain == '\0' ? "" : meaning;
    ck_assert_msg(strcmp(null, expected) == 0, "%s by %s: %s", raw,
                  resolved != NULL ? resolved : "nothing", meaning);
    free(meaning);
    address_free(&address);
}

START_TEST(test_meaning)
{
    check_meaning(meanings[_i].raw, meanings[_i].resolved, meanings[_i].host, meanings[_i].meaning);
}
END_TEST

START_TEST(test_reading)
{
    const char *meaning = spellings[_i].meaning;
    check_meaning(spellings[_i].raw, NULL, "mx.example", meaning);
    check_meaning(spellings[_i].raw, meaning, "mx.example", meaning);
}
END_TEST

/* The MTA's word counts where the address does not stand for itself. */
START_TEST(test_macro_wins)
{
    check_meaning("<alice(x)@mx.example>", "carol@c.example", "mx.example", "carol@c.example");
    check_meaning("<mx.example!alice%" D ">", "mx.example!alice@" D, "mx.example",
                  "mx.example!alice@" D);
    check_meaning("<alice%" D "@mx.example>", "\"alice%" D "\"@mx.example", "mx.example",
                  "alice%" D "@mx.example");
    check_meaning("<a b@" D ">", "a.b", "mx.example", "a.b@" D);
    check_meaning("<al\\ice@" D ">", "al\\ice", "mx.example", "alice@" D);
    check_meaning("<alice@[127.0.0.1] >", "alice", "mx.example", "alice@[127.0.0.1]");
}
END_TEST

/* Sendmail's word is what a table of virtual users made of an address that leaves no doubt. */
START_TEST(test_table_of_virtual_users)
{
    check_meaning("<alice(x)@" D ">", "carol@c.example", "mx.example", "alice@" D);
    check_meaning("<prvs=3785a1b2c3=alice @" D ">", "alice@c.example", "mx.example",
                  "prvs=3785a1b2c3=alice@" D);
    check_meaning("<alice%" D "@mx.example>", "carol@c.example", "mx.example", "alice@" D);
    check_meaning("<" D "!alice@" D ">", "carol@c.example", "mx.example", "alice@" D);
}
END_TEST

/* Without the MTA's word: the host of a domain takes out a route that leads to itself. */
START_TEST(test_route_to_itself)
{
    check_meaning("<" D "!alice@" D ">", NULL, "mx.example", "alice@" D);
    check_meaning("<alice%" D "@" D ">", NULL, "mx.example", "alice@" D);
    check_meaning("<alice@" D "@" D ">", NULL, "mx.example", "alice@" D);
    check_meaning("<alice%c.example@" D ">", NULL, "mx.example", "alice%c.example@" D);
    check_meaning("<!alice@" D ">", NULL, "mx.example", "!alice@" D);
}
END_TEST

static const struct {
    const char *domain, *host;
    bool own;
} own_names[] = {
    {"", NULL, true},
    {"localhost", NULL, true},
    {"LOCALHOST", NULL, true},
    {"[192.0.2.1]", NULL, true},
    {"[IPv6:::1]", NULL, true},
    {"mx.example", "mx.example", true},
    {"MX.example", "mx.Example", true},
    {"mx.example", NULL, false},
    {"localhost.example", "mx.example", false},
    {"b.example", "mx.example", false},
};

START_TEST(test_own_names)
{
    char *ascii = address_domain_ascii(own_names[_i].domain);
    struct address address = {.ascii = ascii};
    ck_assert_int_eq(address_names_host(&address, own_names[_i].host), own_names[_i].own);
    free(ascii);
}
END_TEST

START_TEST(test_any_octets_have_a_meaning)
{
    struct chance chance = {1};
    char raw[60], resolved[20];
    for (size_t i = 0; i < 20000; i++) {
        struct address address;
        chance_text(&chance, "ab.@\"\\<>: (,)%!=[];", raw, chance_below(&chance, 40));
        chance_text(&chance, "ab\"%!@\\(", resolved, chance_below(&chance, 4));
        ck_assert_int_eq(
            address_settle(raw, i % 3 == 0 ? NULL : resolved, i % 2 == 0 ? "a.b" : NULL, &address),
            STATUS_OK);
        /* What it has been read as is read as itself. */
        char *written = address_format(address.local, address.domain);
        size_t length = strlen(address.domain);
        if (*address.local != '\0' && strpbrk(address.local, "%!@") == NULL && length > 0 &&
            address.domain[length - 1] != '.' && address.domain[0] != '[' &&
            strpbrk(address.domain, "@\"\\<>: (,)%!=[];") == NULL) {
            check_meaning(written, NULL, NULL, written);
        }
        free(written);
        address_free(&address);
    }
}
END_TEST

/* A million octets of whatever could make a reader go over them again. */
START_TEST(test_takes_linear_time)
{
    enum { LENGTH = 1000000 };
    static const char *const pieces[] = {"(", "a%",     "a!", "@a", "\\", "\"",
                                         "[", "a@b%c!", "<",  ":a", ";"};
    char *raw = malloc(LENGTH + 16);
    size_t piece = strlen(pieces[_i]);
    ck_assert_ptr_nonnull(raw);
    for (size_t used = 0; used < LENGTH; used += piece) {
        memcpy(raw + used, pieces[_i], piece + 1);
    }
    const char *const words[] = {NULL, "alice", "alice@" D, raw};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        struct address address;
        ck_assert_int_eq(address_settle(raw, words[i], "mx.example", &address), STATUS_OK);
        address_free(&address);
    }
    free(raw);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("address_meaning");
    TCase *tcase = tcase_create("address_meaning");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_meaning, 0, (int)COUNT_OF(meanings));
    tcase_add_loop_test(tcase, test_reading, 0, (int)COUNT_OF(spellings));
    tcase_add_test(tcase, test_macro_wins);
    tcase_add_test(tcase, test_table_of_virtual_users);
    tcase_add_test(tcase, test_route_to_itself);
    tcase_add_loop_test(tcase, test_own_names, 0, (int)COUNT_OF(own_names));
    tcase_add_test(tcase, test_any_octets_have_a_meaning);
    tcase_add_loop_test(tcase, test_takes_linear_time, 0, 11);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
