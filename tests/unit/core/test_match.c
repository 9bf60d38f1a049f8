/*
 * The configuration's lists by tables, by comparison with a slow and obvious answer on random
 * input, at the size for which they are made, and against input made to be slow.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batv/address.h"
#include "batv/match.h"
#include "fixture.h"

#define ENTRIES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Both NULL, or the same text. */
static void same_text(const char *found, const char *expected, const char *what)
{
    bool same =
        found == NULL || expected == NULL ? found == expected : strcmp(found, expected) == 0;
    ck_assert_msg(same, "%s: found %s, expected %s", what, found == NULL ? "nothing" : found,
                  expected == NULL ? "nothing" : expected);
}

/* ------------------------------------------------------------- addresses */

static const struct {
    const char *text;
    const char *expected; /* as IPv6; NULL: no address */
} ips[] = {
    {"192.0.2.1", "::ffff:192.0.2.1"},
    {"::1", "::1"},
    {"2001:DB8::25", "2001:db8::25"},
    {"IPv6:2001:db8::25", "2001:db8::25"},
    {"ipv6:::1", "::1"},
    {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
    {"IPv6:::ffff:192.0.2.1", "::ffff:192.0.2.1"},
    {"IPv6:192.0.2.1", NULL},
    {"IPv6:", NULL},
    {"", NULL},
    {"192.0.2", NULL},
    {"192.0.2.256", NULL},
    {"192.0.2.1.", NULL},
    {" 192.0.2.1", NULL},
    {"192.0.2.01", NULL},
    {"0x7f.1", NULL},
    {"2130706433", NULL},
    {"fe80::1%eth0", NULL},
    {"[::1]", NULL},
    {"2001:db8:::1", NULL},
    {"localhost", NULL},
};

START_TEST(test_ip_parse)
{
    struct ip ip;
    char text[INET6_ADDRSTRLEN] = "";
    bool ok = ip_parse(ips[_i].text, &ip);
    if (ok) {
        inet_ntop(AF_INET6, ip.octets, text, sizeof text);
    }
    same_text(ok ? text : NULL, ips[_i].expected, ips[_i].text);
}
END_TEST

START_TEST(test_ip_is_loopback)
{
    static const struct {
        const char *text;
        bool loopback;
    } rows[] = {
        {"127.0.0.1", true},  {"127.255.255.255", true},
        {"::1", true},        {"::ffff:127.0.0.1", true},
        {"128.0.0.1", false}, {"::2", false},
        {"::", false},        {"::7f00:1", false},
        {"10.0.0.1", false},  {"7f00::", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct ip ip;
        ck_assert(ip_parse(rows[i].text, &ip));
        ck_assert_msg(ip_is_loopback(&ip) == rows[i].loopback, "%s", rows[i].text);
    }
}
END_TEST

/* -------------------------------------------------------------- networks */

static const char *const some_networks[] = {
    "192.0.2.0/24",  "192.0.2.128/25",  "192.0.2.200", "10.0.0.0/8",  "198.51.100.7/32",
    "2001:db8::/32", "2001:db8:1::/48", "::1",         "[fe80::]/10", NULL,
};

static const struct {
    const char *ip;
    const char *entry;
} network_matches[] = {
    {"192.0.2.1", "192.0.2.0/24"},
    {"192.0.2.127", "192.0.2.0/24"},
    {"192.0.2.128", "192.0.2.128/25"},
    {"192.0.2.200", "192.0.2.200"},
    {"192.0.2.201", "192.0.2.128/25"},
    {"192.0.3.0", NULL},
    {"192.0.1.255", NULL},
    {"10.255.255.255", "10.0.0.0/8"},
    {"11.0.0.0", NULL},
    {"198.51.100.7", "198.51.100.7/32"},
    {"198.51.100.6", NULL},
    {"2001:db8::1", "2001:db8::/32"},
    {"2001:db8:1::1", "2001:db8:1::/48"},
    {"2001:db9::1", NULL},
    {"::1", "::1"},
    {"::2", NULL},
    {"febf::1", "[fe80::]/10"},
    {"::ffff:192.0.2.1", "192.0.2.0/24"},
};

START_TEST(test_network_match)
{
    struct network_list *list = networks_of(some_networks);
    struct ip ip;
    ck_assert(ip_parse(network_matches[_i].ip, &ip));
    same_text(network_list_match(list, &ip), network_matches[_i].entry, network_matches[_i].ip);
    ck_assert_ptr_null(network_list_match(NULL, &ip));
    network_list_free(list);
}
END_TEST

START_TEST(test_every_address_of_one_family)
{
    static const struct {
        const char *network, *ip;
        bool holds;
    } rows[] = {
        {"0.0.0.0/0", "192.0.2.1", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "::", true},
        {"::/0", "192.0.2.1", false},
        {"::ffff:0:0/96", "192.0.2.1", true},
        {"::ffff:192.0.2.0/120", "192.0.2.1", true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct network_list *list = NETWORKS(rows[i].network);
        struct ip ip;
        ck_assert(ip_parse(rows[i].ip, &ip));
        ck_assert_msg((network_list_match(list, &ip) != NULL) == rows[i].holds, "%s in %s",
                      rows[i].ip, rows[i].network);
        network_list_free(list);
    }
}
END_TEST

static const char *const bad_networks[] = {
    "",
    "x",
    "192.0.2.1/24",
    "192.0.2.0/33",
    "192.0.2.0/",
    "192.0.2.0/-1",
    "192.0.2.0/+8",
    "192.0.2.0/ 8",
    "192.0.2.0/24x",
    "192.0.2.0/0000000000000000000024",
    "192.0.2.0/4294967320",
    "192.0.2.0/24/24",
    "192.0.2.0/255.255.255.0",
    "/24",
    "192.0.2/24",
    "[192.0.2.0]/24",
    "[::1/128]",
    "[]/0",
    "[",
    "]",
    "2001:db8::1/32",
    "2001:db8::/129",
    "1.0.0.0/0",
    "::1/0",
    "mx.example.org",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/8",
};

START_TEST(test_bad_networks)
{
    const char *const entries[] = {"192.0.2.0/24", bad_networks[_i], "x"};
    struct network_list *list = NULL;
    size_t bad = 0;
    ck_assert_msg(network_list_new(entries, 3, &list, &bad) == STATUS_INVALID, "%s",
                  bad_networks[_i]);
    ck_assert_uint_eq(bad, 1);
    ck_assert_ptr_null(list);
}
END_TEST

static const struct {
    const char *const *entries;
    const char *network;
    bool covered;
} covers[] = {
    {ENTRIES("10.0.0.0/8"), "10.0.0.0/8", true},
    {ENTRIES("10.0.0.0/8"), "10.1.0.0/16", true},
    {ENTRIES("10.0.0.0/8"), "10.1.2.3", true},
    {ENTRIES("10.0.0.0/8"), "10.0.0.0/7", false},
    {ENTRIES("10.0.0.0/9", "10.128.0.0/9"), "10.0.0.0/8", true},
    {ENTRIES("10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/10"), "10.0.0.0/8", true},
    {ENTRIES("10.0.0.0/9", "10.128.0.0/10"), "10.0.0.0/8", false},
    {ENTRIES("10.128.0.0/9"), "10.0.0.0/8", false},
    {ENTRIES("192.0.2.0", "192.0.2.1"), "192.0.2.0/31", true},
    {ENTRIES("192.0.2.0", "192.0.2.1"), "192.0.2.0/30", false},
    {ENTRIES("0.0.0.0/1", "128.0.0.0/1"), "0.0.0.0/0", true},
    {ENTRIES("0.0.0.0/0"), "255.255.255.255", true},
    {ENTRIES("::/0"), "0.0.0.0/0", false},
    {ENTRIES("::/0"), "::/0", true},
    {ENTRIES("::/1", "8000::/1"), "::/0", true},
    {ENTRIES("::/1"), "::/0", false},
    {ENTRIES("::1"), "[::1]/128", true},
    {ENTRIES("fe80::/10"), "[fe80::]/64", true},
    {ENTRIES("10.0.0.0/8"), "10.0.0.1/8", false},
    {ENTRIES("10.0.0.0/8"), "hash:/etc/postfix/networks", false},
    {ENTRIES("10.0.0.0/8"), "", false},
};

START_TEST(test_network_covers)
{
    struct network_list *list = networks_of(covers[_i].entries);
    ck_assert_msg(network_list_covers(list, covers[_i].network) == covers[_i].covered, "%s",
                  covers[_i].network);
    ck_assert(!network_list_covers(NULL, covers[_i].network));
    network_list_free(list);
}
END_TEST

enum { RANDOM_NETWORKS = 200, RANDOM_LOOKUPS = 20000 };

struct v4 {
    uint32_t base;
    unsigned prefix; /* at least 1 */
};

/* The prefix length of the narrowest network that holds ip, found one by one; 0: none. */
static unsigned slow_network(const struct v4 *networks, uint32_t ip)
{
    unsigned best = 0;
    for (size_t i = 0; i < RANDOM_NETWORKS; i++) {
        unsigned prefix = networks[i].prefix;
        if ((ip ^ networks[i].base) >> (32 - prefix) == 0 && prefix > best) {
            best = prefix;
        }
    }
    return best;
}

START_TEST(test_networks_as_one_by_one)
{
    struct chance chance = {20778};
    struct v4 networks[RANDOM_NETWORKS];
    char entries[RANDOM_NETWORKS][32];
    const char *pointers[RANDOM_NETWORKS + 1] = {NULL};
    for (size_t i = 0; i < RANDOM_NETWORKS; i++) {
        unsigned prefix = (unsigned)(1 + chance_below(&chance, 32));
        uint32_t base = (chance_next(&chance) & 0x0F0F00FFU) & (UINT32_MAX << (32 - prefix));
        networks[i] = (struct v4){base, prefix};
        snprintf(entries[i], sizeof entries[i], "%u.%u.%u.%u/%u", base >> 24, (base >> 16) & 255,
                 (base >> 8) & 255, base & 255, prefix);
        pointers[i] = entries[i];
    }
    struct network_list *list = networks_of(pointers);
    for (size_t i = 0; i < RANDOM_LOOKUPS; i++) {
        uint32_t number = chance_next(&chance) & 0x0F0F00FFU;
        struct ip ip = {{[10] = 0xFF, [11] = 0xFF}};
        for (unsigned octet = 0; octet < 4; octet++) {
            ip.octets[12 + octet] = (uint8_t)(number >> (24 - 8 * octet));
        }
        const char *found = network_list_match(list, &ip);
        unsigned long prefix = found == NULL ? 0 : strtoul(strchr(found, '/') + 1, NULL, 10);
        ck_assert_uint_eq(prefix, slow_network(networks, number));
    }
    network_list_free(list);
}
END_TEST

/* -------------------------------------------------------------- patterns */

static const struct {
    const char *name;
    const char *const *entries;
    const char *plain;
    const char *entry;
} pattern_matches[] = {
    {"exact", ENTRIES("a@b.test", "alice@example.com"), "alice@example.com", "alice@example.com"},
    {"exact, in another case", ENTRIES("Alice@EXAMPLE.com"), "aLICE@example.com",
     "Alice@EXAMPLE.com"},
    {"a prefix is not enough", ENTRIES("alice@example.co"), "alice@example.com", NULL},
    {"nor is it the other way", ENTRIES("alice@example.com"), "alice@example.co", NULL},
    {"all of a domain", ENTRIES("*@example.com"), "bob@example.com", "*@example.com"},
    {"not of its subdomains", ENTRIES("*@example.com"), "bob@mx.example.com", NULL},
    {"nor of what ends like it", ENTRIES("*@example.com"), "bob@anexample.com", NULL},
    {"all subdomains", ENTRIES("*@*.example.com"), "bob@a.b.example.com", "*@*.example.com"},
    {"not the domain itself", ENTRIES("*@*.example.com"), "bob@example.com", NULL},
    {"the nearest parent", ENTRIES("*@*.com", "*@*.example.com"), "bob@mx.example.com",
     "*@*.example.com"},
    {"a local part everywhere", ENTRIES("postmaster@*"), "Postmaster@example.com", "postmaster@*"},
    {"a wildcard within", ENTRIES("b*b@ex*.com"), "bob@example.com", "b*b@ex*.com"},
    {"a wildcard for nothing", ENTRIES("bob*@example.com"), "bob@example.com", "bob*@example.com"},
    {"= is nothing special", ENTRIES("SRS0=*@*"), "SRS0=x=y=a.test=b@example.com", "SRS0=*@*"},
    {"nor is +", ENTRIES("SRS0+*@*"), "srs0+x@example.com", "SRS0+*@*"},
    {"nor are . ? [ and \\", ENTRIES("a.b@*", "a?b@*", "a[xb]@*", "a\\*@*"), "axb@example.com",
     NULL},
    {"no @ in the pattern: no domain", ENTRIES("mailer-daemon"), "MAILER-DAEMON", "mailer-daemon"},
    {"so not with one", ENTRIES("mailer-daemon"), "mailer-daemon@example.com", NULL},
    {"* without @ is no address with one", ENTRIES("*", "mailer*"), "mailer-daemon@example.com",
     NULL},
    {"but any without", ENTRIES("*"), "mailer-daemon", "*"},
    {"*@* is no address without one", ENTRIES("*@*"), "mailer-daemon", NULL},
    {"but any with one", ENTRIES("*@*"), "a@b", "*@*"},
    {"the last @ separates", ENTRIES("*@example.com"), "a@b@example.com", "*@example.com"},
    {"also in the pattern", ENTRIES("*@b@example.com"), "a@b@example.com", "*@b@example.com"},
    {"blanks within", ENTRIES("a b@example.com"), "a b@example.com", "a b@example.com"},
    {"a domain of other letters",
     ENTRIES("*@b\xc3\xbc"
             "cher.example"),
     "a@xn--bcher-kva.example",
     "*@b\xc3\xbc"
     "cher.example"},
    {"below it",
     ENTRIES("*@*.B\xc3\x9c"
             "CHER.example"),
     "a@mx.xn--bcher-kva.example",
     "*@*.B\xc3\x9c"
     "CHER.example"},
    {"with a wildcard in another label",
     ENTRIES("a@b\xc3\xbc"
             "cher.*"),
     "a@xn--bcher-kva.example",
     "a@b\xc3\xbc"
     "cher.*"},
    {"a local part of other letters", ENTRIES("\u00fc@example.com"), "\u00fc@example.com",
     "\u00fc@example.com"},
    {"in capitals", ENTRIES("\u00dc@example.com"), "\u00fc@example.com", "\u00dc@example.com"},
    {"in two parts", ENTRIES("u\u0308*@b\u00fccher.example"), "\u00fc1@xn--bcher-kva.example",
     "u\u0308*@b\u00fccher.example"},
    {"a letter that becomes two, and wildcards", ENTRIES("*STRA\u1e9eE*@*"),
     "haupt-strasse-7@example.com", "*STRA\u1e9eE*@*"},
    {"no @ in the pattern, other letters", ENTRIES("\u00d6*"), "\u00f6l", "\u00d6*"},
    {"a mark belongs to its letter", ENTRIES("u*@*"), "\u00fc@example.com", NULL},
    {"a local part in another encoding", ENTRIES("J\xfcRGEN@*"), "j\xfcrgen@example.com",
     "J\xfcRGEN@*"},
    {"octets that are no UTF-8", ENTRIES("*@\xff.example"), "a@\xff.example", "*@\xff.example"},
    {"an empty address", ENTRIES("*@*", "a"), "", NULL},
    {"an address that is only @", ENTRIES("*@*"), "@", "*@*"},
    {"the end of a pattern", ENTRIES("a@b*"), "a@b", "a@b*"},
    {"several wildcards", ENTRIES("**a**@**"), "a@", "**a**@**"},
    {"no entries", ENTRIES(NULL), "a@b", NULL},
};

START_TEST(test_pattern_match)
{
    struct pattern_list *list = patterns_of(pattern_matches[_i].entries);
    same_text(pattern_list_match(list, pattern_matches[_i].plain), pattern_matches[_i].entry,
              pattern_matches[_i].name);
    pattern_list_free(list);
}
END_TEST

START_TEST(test_bad_patterns)
{
    static const char *const rows[] = {"",      " a@b",   "a@b ", "<a@b>", "a\nb@c",
                                       "a@b\r", "\x7f@b", "\x01", "<>",    "a\tb@c"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *const entries[] = {"a@b", "c", rows[i]};
        struct pattern_list *list = NULL;
        size_t bad = 0;
        ck_assert_msg(pattern_list_new(entries, 3, &list, &bad) == STATUS_INVALID, "%s", rows[i]);
        ck_assert_uint_eq(bad, 2);
        ck_assert_ptr_null(list);
    }
}
END_TEST

static const struct {
    const char *host;
    const char *entry;
} pattern_hosts[] = {
    {"lists.example.net", "*@lists.example.net"},
    {"mx.lists.example.net", "*@lists.example.net"},
    {"mx.lists.example.net.", "*@lists.example.net"},
    {"MX.Lists.Example.NET", "*@lists.example.net"},
    {"example.net", NULL},
    {"alists.example.net", NULL},
    {"example.org", "*@*.example.org"},
    {"mx.example.org", "*@*.example.org"},
    {"mx.example.edu", NULL},
    {"mx.example.com", NULL},
    {"", NULL},
    {".", NULL},
    {"..", NULL},
};

START_TEST(test_pattern_hosts)
{
    struct pattern_list *list =
        PATTERNS("*@lists.example.net", "*@*.example.org", "bob@example.edu", "*@mx*.example.com");
    same_text(pattern_list_match_host(list, pattern_hosts[_i].host), pattern_hosts[_i].entry,
              pattern_hosts[_i].host);
    ck_assert_ptr_null(pattern_list_match_host(list, NULL));
    ck_assert_ptr_null(pattern_list_match_host(NULL, "example.org"));
    ck_assert_ptr_null(pattern_list_match(NULL, "a@example.org"));
    pattern_list_free(list);
}
END_TEST

/* What a wildcard means, said in the plainest way. */
static bool slow_fits(const char *pattern, const char *text)
{
    if (*pattern == '*') {
        return slow_fits(pattern + 1, text) || (*text != '\0' && slow_fits(pattern, text + 1));
    }
    if (*pattern == '\0' || *text == '\0') {
        return *pattern == *text;
    }
    return *pattern == *text && slow_fits(pattern + 1, text + 1);
}

START_TEST(test_patterns_as_one_by_one)
{
    struct chance chance = {4711};
    for (int i = 0; i < 50000; i++) {
        char pattern[10], plain[12];
        chance_text(&chance, "ab.*@*", pattern, 1 + chance_below(&chance, 8));
        chance_text(&chance, "aab.@", plain, chance_below(&chance, 11));
        bool expected = (strchr(pattern, '@') != NULL) == (strchr(plain, '@') != NULL) &&
                        slow_fits(pattern, plain);
        struct pattern_list *list = PATTERNS(pattern);
        bool found = pattern_list_match(list, plain) != NULL;
        pattern_list_free(list);
        ck_assert_msg(found == expected, "%s and %s: %d", pattern, plain, found);
    }
}
END_TEST

/* What a list of patterns answers, found one by one: an address, then all of a domain, then all
 * below the nearest domain, then what fits of the others; the first in the list of each. Patterns
 * and text are in lower case. */
static const char *slow_pattern(const char *const *patterns, size_t count, const char *plain)
{
    const char *at = strrchr(plain, '@');
    const char *best = NULL;
    size_t best_rank = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const char *pattern = patterns[i];
        const char *domain = strncmp(pattern, "*@*.", 4) == 0 ? pattern + 4
                             : strncmp(pattern, "*@", 2) == 0 ? pattern + 2
                                                              : "";
        bool whole = domain[0] != '\0' && strpbrk(domain, "*@") == NULL;
        size_t rank = 1000;
        if (strchr(pattern, '*') == NULL) {
            rank = 0;
        } else if (whole) {
            /* the longer, the nearer */
            rank = domain == pattern + 2 ? 1 : 900 - strlen(domain);
        }
        bool comparable = (strchr(pattern, '@') != NULL) == (at != NULL);
        if (rank < best_rank && comparable && slow_fits(pattern, plain)) {
            best = pattern;
            best_rank = rank;
        }
    }
    return best;
}

/* A pattern of few letters, so that many fit, in several shapes. */
static void chance_pattern(struct chance *chance, char *out)
{
    static const char *const shapes[] = {"#",   "#@#", "*@#",  "*@*.#",  "#*@#",  "#*@*", "*#@#",
                                         "#*#", "*#*", "*@*#", "#*#@#*", "*@#@#", "#@*.#"};
    const char *shape = shapes[chance_below(chance, COUNT_OF(shapes))];
    for (; *shape != '\0'; shape++) {
        if (*shape == '#') {
            size_t length = 1 + chance_below(chance, 3);
            chance_text(chance, "aab.\xfc", out, length);
            out += length;
        } else {
            *out++ = *shape;
        }
    }
    *out = '\0';
}

START_TEST(test_lists_of_patterns_as_one_by_one)
{
    enum { LISTS = 3000, LONGEST = 60, TEXTS = 60 };
    struct chance chance = {20779};
    size_t found = 0;
    for (int i = 0; i < LISTS; i++) {
        char patterns[LONGEST][32];
        const char *pointers[LONGEST + 1] = {NULL};
        size_t count = 1 + chance_below(&chance, LONGEST);
        for (size_t n = 0; n < count; n++) {
            chance_pattern(&chance, patterns[n]);
            pointers[n] = patterns[n];
        }
        struct pattern_list *list = patterns_of(pointers);
        for (int n = 0; n < TEXTS; n++) {
            char plain[12];
            chance_text(&chance, "aab.@\xfc", plain, chance_below(&chance, 11));
            const char *expected = slow_pattern(pointers, count, plain);
            const char *answer = pattern_list_match(list, plain);
            bool same =
                expected == NULL ? answer == NULL : answer != NULL && strcmp(answer, expected) == 0;
            if (!same) {
                ck_abort_msg("%s: found %s, expected %s", plain, answer, expected);
            }
            found += answer != NULL;
        }
        pattern_list_free(list);
    }
    /* Else nothing was compared. */
    ck_assert_uint_gt(found, (size_t)LISTS * TEXTS / 10);
    ck_assert_uint_lt(found, (size_t)LISTS * TEXTS * 9 / 10);
}
END_TEST

START_TEST(test_the_first_of_equal_entries_answers)
{
    struct pattern_list *patterns =
        PATTERNS("b@c", "A@b", "a@B", "*@D", "*@d", "*@*.E", "*@*.e", "X*@y", "x*@Y", "x*@y");
    struct host_list *hosts = HOSTS("A.test", "a.TEST", "*.B.test", "*.b.TEST", "a.test");
    same_text(pattern_list_match(patterns, "a@b"), "A@b", "address");
    same_text(pattern_list_match(patterns, "a@d"), "*@D", "domain");
    same_text(pattern_list_match(patterns, "a@a.e"), "*@*.E", "subdomains");
    same_text(pattern_list_match(patterns, "xx@y"), "X*@y", "wildcard");
    same_text(pattern_list_match_host(patterns, "d"), "*@D", "host");
    same_text(host_list_match(hosts, "a.test"), "A.test", "host");
    same_text(host_list_match(hosts, "a.b.test"), "*.B.test", "host below");
    pattern_list_free(patterns);
    host_list_free(hosts);
}
END_TEST

/* A matcher that tries every way for every wildcard would not end in the life of the machine. */
START_TEST(test_patterns_made_to_be_slow)
{
    char pattern[256] = "", plain[2048];
    for (size_t i = 0; i + 4 < sizeof pattern; i += 2) {
        memcpy(pattern + i, "*a", 3);
    }
    memcpy(pattern + strlen(pattern), "b@", 3);
    memset(plain, 'a', sizeof plain);
    plain[sizeof plain - 2] = '@';
    plain[sizeof plain - 1] = '\0';
    struct pattern_list *list = PATTERNS(pattern);
    for (int i = 0; i < 20; i++) {
        ck_assert_ptr_null(pattern_list_match(list, plain));
    }
    pattern_list_free(list);
}
END_TEST

/* ----------------------------------------------------------------- hosts */

static const struct {
    const char *host;
    const char *entry;
} host_matches[] = {
    {"mx.example.org", "mx.example.org"},
    {"MX.EXAMPLE.ORG.", "mx.example.org"},
    {"example.org", NULL},
    {"a.mx.example.org", NULL},
    {"a.example.net", "*.Example.NET"},
    {"a.b.example.net", "*.b.example.net"},
    {"a.c.example.net", "*.Example.NET"},
    {"example.net", NULL},
    {"xexample.net", NULL},
    {"xn--bcher-kva.example", "b\xc3\xbc"
                              "cher.example"},
    {"", NULL},
    {".", NULL},
    {"unknown", NULL},
};

START_TEST(test_host_match)
{
    struct host_list *list = HOSTS("mx.example.org", "*.Example.NET", "*.b.example.net",
                                   "b\xc3\xbc"
                                   "cher.example");
    same_text(host_list_match(list, host_matches[_i].host), host_matches[_i].entry,
              host_matches[_i].host);
    ck_assert_ptr_null(host_list_match(list, NULL));
    ck_assert_ptr_null(host_list_match(NULL, "mx.example.org"));
    host_list_free(list);
}
END_TEST

START_TEST(test_bad_hosts)
{
    static const char *const rows[] = {
        "",
        "*",
        "*.",
        "a..b",
        ".a",
        "a.",
        "a b",
        "*.*.a",
        "a*.b",
        "192.0.2.1",
        "192.0.2.0/24",
        "::1",
        "[::1]",
        "a@b",
        "a\xff"
        "b",
        "*.192.0.2.1",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *const entries[] = {"a.example", rows[i]};
        struct host_list *list = NULL;
        size_t bad = 0;
        ck_assert_msg(host_list_new(entries, 2, &list, &bad) == STATUS_INVALID, "%s", rows[i]);
        ck_assert_uint_eq(bad, 1);
        ck_assert_ptr_null(list);
    }
}
END_TEST

/* --------------------------------------------------------------- domains */

static const struct {
    const char *domain;
    long index;
} domain_finds[] = {
    {"example.com", 0},
    {"mx.example.com", 1},
    {"a.mx.example.com", 1},
    {"sub.example.com", 2},
    {"a.sub.example.com", 3},
    {"b.a.sub.example.com", 3},
    {"example.net", -1},
    {"a.example.net", 4},
    {"anexample.com", -1},
    {".example.com", -1},
    {"com", -1},
    {"", -1},
    {".", -1},
    {"EXAMPLE.com", 0},
    {"a..example.net", 4},
};

START_TEST(test_domain_find)
{
    static const char *const entries[] = {"example.com", ".example.com", "sub.example.com",
                                          ".sub.example.com", ".example.net"};
    struct domain_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(domain_list_new(entries, COUNT_OF(entries), &list, &bad), STATUS_OK);
    long found = domain_list_find(list, domain_finds[_i].domain);
    ck_assert_msg(found == domain_finds[_i].index, "%s: %ld", domain_finds[_i].domain, found);
    ck_assert_int_eq(domain_list_find(NULL, "example.com"), -1);
    domain_list_free(list);
}
END_TEST

/* An address literal may be a domain of ours, however its address is written. */
START_TEST(test_literals_are_domains)
{
    static const char *const written[] = {"[192.0.2.1]", "[IPv6:2001:DB8:0::1]"};
    static const char *const others[] = {"[192.0.2.1]", "[ipv6:2001:db8:0:0::1]", "[192.0.2.2]",
                                         "192.0.2.1"};
    static const long found[] = {0, 1, -1, -1};
    char *keys[] = {address_domain_key(written[0]), address_domain_key(written[1])};
    const char *const entries[] = {keys[0], keys[1]};
    struct domain_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(domain_list_new(entries, COUNT_OF(entries), &list, &bad), STATUS_OK);
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        char *ascii = address_domain_ascii(others[i]);
        ck_assert_int_eq(domain_list_find(list, ascii), found[i]);
        free(ascii);
    }
    domain_list_free(list);
    free(keys[0]);
    free(keys[1]);
}
END_TEST

START_TEST(test_domains_given_twice)
{
    static const char *const entries[] = {"c.test", "b.test", ".b.test", "b.test", "c.test"};
    struct domain_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(domain_list_new(entries, COUNT_OF(entries), &list, &bad), STATUS_CONFLICT);
    ck_assert_uint_eq(bad, 3);
    ck_assert_ptr_null(list);
    static const char *const others[] = {"b.test", "c.test", "c.test", "b.test"};
    ck_assert_int_eq(domain_list_new(others, COUNT_OF(others), &list, &bad), STATUS_CONFLICT);
    ck_assert_uint_eq(bad, 2);
}
END_TEST

/* RFC 1035 section 2.3.4: 253 octets as it is written. */
START_TEST(test_names_may_be_long_but_not_too_long)
{
    char name[256] = "";
    while (strlen(name) < 250) {
        strncat(name, "abcdefghi.", sizeof name - strlen(name) - 1);
    }
    strncat(name, "com", sizeof name - strlen(name) - 1);
    ck_assert_uint_eq(strlen(name), 253);
    const char *const entries[] = {name};
    struct domain_list *domains = NULL;
    struct host_list *hosts = NULL;
    size_t bad = 0;
    ck_assert_int_eq(domain_list_new(entries, 1, &domains, &bad), STATUS_OK);
    ck_assert_int_eq(domain_list_find(domains, name), 0);
    ck_assert_int_eq(host_list_new(entries, 1, &hosts, &bad), STATUS_OK);
    ck_assert_str_eq(host_list_match(hosts, name), name);
    domain_list_free(domains);
    host_list_free(hosts);
    strncat(name, "m", sizeof name - strlen(name) - 1);
    ck_assert_int_eq(domain_list_new(entries, 1, &domains, &bad), STATUS_INVALID);
    ck_assert_int_eq(host_list_new(entries, 1, &hosts, &bad), STATUS_INVALID);
}
END_TEST

START_TEST(test_bad_domains)
{
    static const char *const rows[] = {
        "",    ".",           "..a", "a..b",          "a.",    "*.a",        " ",           "a b",
        "a@b", "b\xc3\xbc.a", "a/b", "[192.0.2.300]", "[::1]", "[192.0.2.1", ".[192.0.2.1]"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *const entries[] = {"a.example", rows[i], "a.example"};
        struct domain_list *list = NULL;
        size_t bad = 0;
        ck_assert_msg(domain_list_new(entries, 3, &list, &bad) == STATUS_INVALID, "%s", rows[i]);
        ck_assert_uint_eq(bad, 1);
        ck_assert_ptr_null(list);
    }
}
END_TEST

/* ----------------------------------------------------------- long lists */

enum { MANY = 100000 };

/* MANY strings, printed from a format with one %d. */
static char **many(const char *format)
{
    char **texts = calloc(MANY + 1, sizeof *texts);
    ck_assert_ptr_nonnull(texts);
    for (int i = 0; i < MANY; i++) {
        const char *place = strstr(format, "%d");
        ck_assert_int_gt(
            asprintf(&texts[i], "%.*s%d%s", (int)(place - format), format, i, place + 2), 0);
    }
    return texts;
}

static void many_free(char **texts)
{
    for (int i = 0; i < MANY; i++) {
        free(texts[i]);
    }
    free(texts);
}

/* Entries one by one would be 10^10 comparisons for each row: minutes, and the test's time is
 * short. */
START_TEST(test_a_hundred_thousand_patterns)
{
    static const struct {
        const char *entries, *plains;
    } rows[] = {
        {"user%d@example.com", "USER%d@example.com"},
        {"*@d%d.example", "anybody@d%d.example"},
        {"*@*.d%d.example", "anybody@a.b.c.d%d.example"},
        {"user-%d-*x@*", "user-%d-x@example.com"},
        {"*-%d-user@example.com", "any-%d-user@example.com"},
        {"user*@d%d.example", "user-x@d%d.example"},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        char **entries = many(rows[row].entries);
        char **plains = many(rows[row].plains);
        struct pattern_list *list = NULL;
        size_t bad = 0;
        ck_assert_int_eq(pattern_list_new((const char *const *)entries, MANY, &list, &bad),
                         STATUS_OK);
        for (int i = 0; i < MANY; i++) {
            ck_assert_str_eq(pattern_list_match(list, plains[i]), entries[i]);
        }
        ck_assert_ptr_null(pattern_list_match(list, "nobody@nowhere.test"));
        pattern_list_free(list);
        many_free(entries);
        many_free(plains);
    }
}
END_TEST

START_TEST(test_a_hundred_thousand_domains)
{
    char **entries = many("d%d.example");
    char **names = many("d%d.EXAMPLE");
    struct domain_list *domains = NULL;
    struct host_list *hosts = NULL;
    size_t bad = 0;
    ck_assert_int_eq(domain_list_new((const char *const *)entries, MANY, &domains, &bad),
                     STATUS_OK);
    ck_assert_int_eq(host_list_new((const char *const *)entries, MANY, &hosts, &bad), STATUS_OK);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(domain_list_find(domains, entries[i]), i);
        ck_assert_str_eq(host_list_match(hosts, names[i]), entries[i]);
    }
    domain_list_free(domains);
    host_list_free(hosts);
    many_free(entries);
    many_free(names);
}
END_TEST

START_TEST(test_a_hundred_thousand_networks)
{
    char **entries = calloc(MANY, sizeof *entries);
    struct network_list *list = NULL;
    size_t bad = 0;
    ck_assert_ptr_nonnull(entries);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_gt(asprintf(&entries[i], "10.%d.%d.%d", i >> 16, (i >> 8) & 255, i & 255), 0);
    }
    ck_assert_int_eq(network_list_new((const char *const *)entries, MANY, &list, &bad), STATUS_OK);
    for (int i = 0; i < MANY; i++) {
        struct ip ip;
        ck_assert(ip_parse(entries[i], &ip));
        ck_assert_str_eq(network_list_match(list, &ip), entries[i]);
    }
    ck_assert(network_list_covers(list, "10.0.0.0/16"));
    ck_assert(!network_list_covers(list, "10.0.0.0/15"));
    network_list_free(list);
    many_free(entries);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("match");
    TCase *addresses = tcase_create("addresses");
    tcase_add_loop_test(addresses, test_ip_parse, 0, COUNT_OF(ips));
    tcase_add_test(addresses, test_ip_is_loopback);
    suite_add_tcase(suite, addresses);

    TCase *networks = tcase_create("networks");
    tcase_add_loop_test(networks, test_network_match, 0, COUNT_OF(network_matches));
    tcase_add_test(networks, test_every_address_of_one_family);
    tcase_add_loop_test(networks, test_bad_networks, 0, COUNT_OF(bad_networks));
    tcase_add_loop_test(networks, test_network_covers, 0, COUNT_OF(covers));
    tcase_add_test(networks, test_networks_as_one_by_one);
    suite_add_tcase(suite, networks);

    TCase *patterns = tcase_create("patterns");
    tcase_add_loop_test(patterns, test_pattern_match, 0, COUNT_OF(pattern_matches));
    tcase_add_test(patterns, test_bad_patterns);
    tcase_add_loop_test(patterns, test_pattern_hosts, 0, COUNT_OF(pattern_hosts));
    tcase_add_test(patterns, test_patterns_as_one_by_one);
    tcase_add_test(patterns, test_lists_of_patterns_as_one_by_one);
    tcase_add_test(patterns, test_the_first_of_equal_entries_answers);
    tcase_add_test(patterns, test_patterns_made_to_be_slow);
    suite_add_tcase(suite, patterns);

    TCase *names = tcase_create("hosts and domains");
    tcase_add_loop_test(names, test_host_match, 0, COUNT_OF(host_matches));
    tcase_add_test(names, test_bad_hosts);
    tcase_add_loop_test(names, test_domain_find, 0, COUNT_OF(domain_finds));
    tcase_add_test(names, test_domains_given_twice);
    tcase_add_test(names, test_literals_are_domains);
    tcase_add_test(names, test_names_may_be_long_but_not_too_long);
    tcase_add_test(names, test_bad_domains);
    suite_add_tcase(suite, names);

    TCase *large = tcase_create("long lists");
    tcase_set_timeout(large, 20);
    tcase_add_test(large, test_a_hundred_thousand_patterns);
    tcase_add_test(large, test_a_hundred_thousand_domains);
    tcase_add_test(large, test_a_hundred_thousand_networks);
    suite_add_tcase(suite, large);
    return suite_run(suite);
}
