/*
 * Lists of regular expressions: what matches, what is no expression, and what a match may cost when
 * expression and text are made to be slow.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batv/bounce.h"
#include "batv/match.h"
#include "fixture.h"

/* With a budget of its own. */
static const char *match(const struct regex_list *list, const char *text)
{
    struct budget budget = budget_of(strlen(text));
    return regex_list_match(list, text, &budget, NULL);
}

static struct regex_list *list_of(const char *entry)
{
    struct regex_list *list = NULL;
    size_t bad = 9;
    ck_assert_msg(regex_list_new(&entry, 1, &list, &bad) == STATUS_OK, "%s", entry);
    ck_assert_ptr_nonnull(list);
    return list;
}

/* -------------------------------------------------------------- matching */

static const struct {
    const char *entry, *text;
    bool matches;
} rows[] = {
    {"@mail\\.example\\.com$", "20261122.abc@mail.example.com", true},
    {"@mail\\.example\\.com$", "20261122.abc@mail.example.com.test", false},
    {"@mail\\.example\\.com$", "20261122.abc@mailxexample.com", false},
    {"@mail\\.example\\.com$", "20261122.ABC@Mail.EXAMPLE.com", true}, /* case */
    {"ABC", "xabcx", true},                                            /* anywhere */
    {"^abc", "xabc", false},
    {"^[0-9a-f]{8}\\.[0-9]+@(mx|out)\\.example\\.net$", "0123abcd.77@out.example.net", true},
    {"^[0-9a-f]{8}\\.[0-9]+@(mx|out)\\.example\\.net$", "0123abcd.77@in.example.net", false},
    {"^(.)\\1@", "aa@example.com", true},
    {"^(?!x).*@example\\.com$", "y@example.com", true},
    {"^(?!x).*@example\\.com$", "x@example.com", false},
    {"a$", "a\n", false}, /* the end is the end */
    {"(?-i)ABC", "abc", false},
    {"abc|", "", true},
    {"^.$", "\xff", true}, /* octets */
    {"^\xc3\xa4@", "\xc3\xa4@example.com", true},
    {"\\x40example", "a@example.com", true},
    {"(?C1)abc", "xabcx", true}, /* a callout of its own */
    {"(*LIMIT_MATCH=4000000000)abc", "abc", true},
};

START_TEST(test_rows)
{
    struct regex_list *list = list_of(rows[_i].entry);
    const char *found = match(list, rows[_i].text);
    ck_assert_msg((found != NULL) == rows[_i].matches, "%s: %s", rows[_i].entry, rows[_i].text);
    if (found != NULL) {
        ck_assert_str_eq(found, rows[_i].entry);
    }
    regex_list_free(list);
}
END_TEST

START_TEST(test_the_first_that_matches)
{
    static const char *const entries[] = {"@b$", "@a$", "^x", "^x@a$"};
    struct regex_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(regex_list_new(entries, COUNT_OF(entries), &list, &bad), STATUS_OK);
    ck_assert_str_eq(match(list, "x@a"), "@a$");
    ck_assert_str_eq(match(list, "x@b"), "@b$");
    ck_assert_str_eq(match(list, "x@c"), "^x");
    ck_assert_ptr_null(match(list, "y@c"));
    regex_list_free(list);
}
END_TEST

START_TEST(test_empty_list)
{
    struct regex_list *list = (struct regex_list *)(void *)&list;
    size_t bad = 0;
    ck_assert_int_eq(regex_list_new(NULL, 0, &list, &bad), STATUS_OK);
    ck_assert_ptr_null(list);
    ck_assert_ptr_null(match(list, "a@b"));
    regex_list_free(list);
}
END_TEST

static const char *const invalid[] = {
    "",
    "(",
    ")",
    "[a",
    "a{2,1}",
    "*a",
    "a**b+++",
    "\\",
    "(?<n>a)(?<n>b)",
    "(?P<",
    "\\2(a)",
    "(*UTF)a",
    "(*NONSENSE)a",
    "(?<=a+)b",
    "[[:nonsense:]]",
    "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((a"
    "))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))",
    "(((((((((a{999}){999}){999}){999}){999}){999}){999}){999}){999}",
};

START_TEST(test_invalid)
{
    const char *entries[] = {"a", invalid[_i], "("};
    struct regex_list *list = NULL;
    size_t bad = 9;
    ck_assert_msg(regex_list_new(entries, 3, &list, &bad) == STATUS_INVALID, "%s", invalid[_i]);
    ck_assert_ptr_null(list);
    ck_assert_uint_eq(bad, 1);
}
END_TEST

START_TEST(test_lengths)
{
    enum { ENTRY = 1000 };
    char entry[ENTRY + 2], text[BOUNCE_ID_MAX + 2];
    const char *entries[] = {entry};
    struct regex_list *list = NULL;
    size_t bad = 0;
    memset(entry, 'a', sizeof entry);
    entry[ENTRY + 1] = '\0';
    ck_assert_int_eq(regex_list_new(entries, 1, &list, &bad), STATUS_INVALID);
    entry[ENTRY] = '\0';
    ck_assert_int_eq(regex_list_new(entries, 1, &list, &bad), STATUS_OK);
    regex_list_free(list);

    list = list_of("a$");
    memset(text, 'a', sizeof text);
    text[BOUNCE_ID_MAX + 1] = '\0';
    ck_assert_ptr_null(match(list, text));
    text[BOUNCE_ID_MAX] = '\0';
    ck_assert_ptr_nonnull(match(list, text));
    regex_list_free(list);
}
END_TEST

/* ------------------------------------------------------------------ cost */

/* Expressions as people write them, on the longest Message-ID: they are not given up. */
static const char *const plain[] = {
    "@example\\.com$",
    ".*@example\\.com",
    "^[a-z]+@example\\.com$",
    "^([a-z]+)@example\\.com$",
    "^(?:[a-z]|[0-9]|\\.)+@example\\.com$",
    "^.*@(.*\\.)?example\\.com$",
    "^.+@[^@]+\\.com$",
};

START_TEST(test_plain_ones_are_matched)
{
    char text[BOUNCE_ID_MAX + 1];
    static const char domain[] = "@example.com";
    memset(text, 'a', sizeof text);
    memcpy(text + sizeof text - sizeof domain, domain, sizeof domain);
    struct regex_list *list = list_of(plain[_i]);
    ck_assert_msg(match(list, text) != NULL, "%s", plain[_i]);
    regex_list_free(list);
}
END_TEST

static const char *const slow[] = {
    "(a+)+$",
    "^(a+)+$",
    "(a+)+b$",
    "(a|aa)+$",
    "(a*)*b$",
    "^(a|b|ab)*c$",
    "(.*)(.*)(.*)(.*)(.*)x$",
    "(?=.*a.*b.*c.*d)x",
    "((a{0,50}){0,50}){0,10}b$",
    "(?:[a-z]|[0-9]|\\.)+@nowhere\\.com",
    "(a?){50}a{50}q",
    ".*.*.*.*.*.*=",
    "([a-z]+)*\\d{500}",
    "(?:a|b|[a-c]|.)*[0-9]{400}q",
    "(x*)*(y*)*(z*)*#",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(?:(?=(a+))a)*b$",
    "(?:.|\\n)*\\d(?:.|\\n)*[^a]q",
    "(a*?)*?(a*?)*?c$",
    "(a(?1)?b?)+c$",
    "(*LIMIT_MATCH=4000000000)(*LIMIT_DEPTH=4000000000)(*NO_START_OPT)(a+)+q",
    "(*NO_AUTO_POSSESS)(*NO_START_OPT)a+a+a+a+a+a+b",
};

static double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Texts of one letter with something at the end, of two letters, and of everything. */
static void slow_text(size_t kind, char text[static BOUNCE_ID_MAX + 1])
{
    static const char end[] = "Azqxbc=!09@.comz";
    struct chance chance = {20779};
    switch (kind) {
    case 0:
    case 1:
        memset(text, 'a', BOUNCE_ID_MAX);
        memcpy(text + (kind == 0 ? BOUNCE_ID_MAX - 16 : 0), end, 16);
        break;
    case 2:
        chance_text(&chance, "ab", text, BOUNCE_ID_MAX);
        break;
    case 3:
        chance_text(&chance, "aaaaaaaaaaaaaaaaaaaabcdqxz0=@.#", text, BOUNCE_ID_MAX);
        break;
    default:
        memset(text, 'a', BOUNCE_ID_MAX);
        text[BOUNCE_ID_MAX - 1] = '!';
        break;
    }
    text[BOUNCE_ID_MAX] = '\0';
}

/* A match costs a millisecond or two at most; the slowest machine and a sanitizer get forty. */
START_TEST(test_slow_ones_are_given_up)
{
    struct regex_list *list = list_of(slow[_i]);
    for (size_t kind = 0; kind < 5; kind++) {
        char text[BOUNCE_ID_MAX + 1];
        double best = 1;
        slow_text(kind, text);
        for (int turn = 0; turn < 3; turn++) {
            double start = thread_seconds();
            match(list, text);
            double spent = thread_seconds() - start;
            best = spent < best ? spent : best;
        }
        ck_assert_msg(best < 0.04, "%s, text %zu: %g s", slow[_i], kind, best);
    }
    regex_list_free(list);
}
END_TEST

/* Given up is no match, and the next one begins anew. */
START_TEST(test_given_up_is_no_match)
{
    static const char *const entries[] = {"^(a|aa)+!$", "a!$"};
    char text[BOUNCE_ID_MAX + 1];
    struct regex_list *list = NULL;
    size_t bad = 0;
    slow_text(4, text);
    text[BOUNCE_ID_MAX - 2] = 'b';
    ck_assert_int_eq(regex_list_new(entries, 1, &list, &bad), STATUS_OK);
    ck_assert_ptr_null(match(list, text));
    ck_assert_ptr_nonnull(match(list, "aaaa!"));
    regex_list_free(list);
    text[BOUNCE_ID_MAX - 2] = 'a';
    ck_assert_int_eq(regex_list_new(entries, 2, &list, &bad), STATUS_OK);
    ck_assert_ptr_nonnull(match(list, text));
    regex_list_free(list);
}
END_TEST

/* --------------------------------------------------------------- threads */

static void *match_often(void *list)
{
    for (int i = 0; i < 500; i++) {
        char text[64];
        snprintf(text, sizeof text, "%d.%d@mail.example.com", i, i * i);
        if (match(list, text) == NULL || match(list, text + 1) == NULL ||
            match(list, "x@other.test") != NULL ||
            match(list, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!") != NULL) {
            return list;
        }
    }
    return NULL;
}

START_TEST(test_threads_share_a_list)
{
    static const char *const entries[] = {"^(a+)+$", "^[0-9]*\\.(\\d+)@mail\\.example\\.com$",
                                          "^\\d+@mail"};
    struct regex_list *list = NULL;
    pthread_t threads[8];
    size_t bad = 0;
    ck_assert_int_eq(regex_list_new(entries, COUNT_OF(entries), &list, &bad), STATUS_OK);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, match_often, list), 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *wrong;
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_ptr_null(wrong);
    }
    regex_list_free(list);
}
END_TEST

/* Random expressions and random texts have an answer. */
START_TEST(test_chance)
{
    struct chance chance = {4711};
    size_t good = 0;
    for (int i = 0; i < 3000; i++) {
        char entry[64], text[80];
        const char *entries[] = {entry};
        struct regex_list *list = NULL;
        size_t bad = 0;
        chance_text(&chance, i % 4 == 0 ? NULL : "ab()[]{}*+?|^$.\\1,2dw-=!<:P@", entry,
                    1 + chance_below(&chance, 24));
        chance_text(&chance, i % 2 == 0 ? NULL : "ab12@.", text, 1 + chance_below(&chance, 78));
        if (regex_list_new(entries, 1, &list, &bad) == STATUS_OK) {
            good++;
            const char *found = match(list, text);
            REQUIRE(found == NULL || strcmp(found, entry) == 0);
        }
        regex_list_free(list);
    }
    ck_assert_uint_gt(good, 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("match_regex");
    TCase *matching = tcase_create("matching");
    tcase_add_loop_test(matching, test_rows, 0, COUNT_OF(rows));
    tcase_add_test(matching, test_the_first_that_matches);
    tcase_add_test(matching, test_empty_list);
    tcase_add_loop_test(matching, test_invalid, 0, COUNT_OF(invalid));
    tcase_add_test(matching, test_lengths);
    suite_add_tcase(suite, matching);

    TCase *cost = tcase_create("cost");
    tcase_set_timeout(cost, 20);
    tcase_add_loop_test(cost, test_plain_ones_are_matched, 0, COUNT_OF(plain));
    tcase_add_loop_test(cost, test_slow_ones_are_given_up, 0, COUNT_OF(slow));
    tcase_add_test(cost, test_given_up_is_no_match);
    tcase_add_test(cost, test_threads_share_a_list);
    tcase_add_test(cost, test_chance);
    suite_add_tcase(suite, cost);
    return suite_run(suite);
}
