/*
 * Texts for patterns of Postfix's tables. Which ones they are is written out here; that they match,
 * and what becomes of those that do not, is the table's business.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "mta/pattern_sample.h"

static const struct {
    const char *line;
    enum pattern_reading reading;
    const char *texts; /* separated by a blank */
} lines[] = {
    {"", PATTERN_NONE, ""},
    {"# /all@/ REJECT", PATTERN_NONE, ""},
    {"  REJECT for the line before", PATTERN_NONE, ""},
    {"if /@example\\.com$/", PATTERN_NONE, ""},
    {"endif", PATTERN_NONE, ""},
    {"/^all@example\\.com$/ REJECT", PATTERN_READ, "all@example.com"},
    {"/^all@example\\.com$/i REJECT", PATTERN_READ, "all@example.com"},
    {"!^all@example\\.com$! REJECT", PATTERN_UNKNOWN, ""},
    {"!/^all@example\\.com$/ REJECT", PATTERN_UNKNOWN, ""},
    {"~^a/b@example\\.com$~ REJECT", PATTERN_READ, "a/b@example.com"},
    {"/^a\\/b@x$/ REJECT", PATTERN_READ, "a/b@x"},
    {"/^all@/ REJECT", PATTERN_READ, "all@"},
    {"/@example\\.com$/ REJECT", PATTERN_READ, "@example.com"},
    {"/^(a|bc|d)@x$/ REJECT", PATTERN_READ, "a@x bc@x d@x"},
    {"/^(?:a|b)(c|d)$/ REJECT", PATTERN_READ, "ac bc ad bd"},
    {"/^all(-list)?@x$/ REJECT", PATTERN_READ, "all-list@x all@x"},
    {"/^all.*@x$/ REJECT", PATTERN_READ, "allx@x all@x"},
    {"/^.+@x$/ REJECT", PATTERN_READ, "x@x"},
    {"/^.+?@x$/ REJECT", PATTERN_READ, "x@x"},
    {"/^a{3}b{2,4}c{0,1}$/ REJECT", PATTERN_READ, "aaabbc aaabb"},
    {"/^[abc]\\d\\w[^x]$/ REJECT", PATTERN_READ, "a0aa"},
    {"/^[]a]$/ REJECT", PATTERN_READ, "]"},
    {"/^[[:alnum:]]+@x$/ REJECT", PATTERN_READ, "a@x"},
    {"/^[^a]$/ REJECT", PATTERN_READ, "x"},
    {"/\\bteam\\b/ REJECT", PATTERN_READ, "team"},
    {"//", PATTERN_READ, ""},
    {"/^a(?=b)/ REJECT", PATTERN_UNKNOWN, ""},
    {"/^(?i)a/ REJECT", PATTERN_UNKNOWN, ""},
    {"/^(a)\\1$/ REJECT", PATTERN_UNKNOWN, ""},
    {"/^a{99}$/ REJECT", PATTERN_UNKNOWN, ""},
    {"/^(a/ REJECT", PATTERN_UNKNOWN, ""},
    {"/^a)/ REJECT", PATTERN_UNKNOWN, ""},
    {"/^[a/ REJECT", PATTERN_UNKNOWN, ""},
    {"/^[/ REJECT", PATTERN_UNKNOWN, ""},
    {"/^a{2/ REJECT", PATTERN_UNKNOWN, ""},
    {"/^a\\", PATTERN_UNKNOWN, ""},
    {"/", PATTERN_UNKNOWN, ""},
    {"/((((((((((a))))))))))/ REJECT", PATTERN_UNKNOWN, ""},
};

START_TEST(test_lines)
{
    struct words words = {.items = NULL};
    char text[2048] = "";
    ck_assert_int_eq(pattern_samples(lines[_i].line, &words), lines[_i].reading);
    for (size_t i = 0; i < words.count; i++) {
        strcat(strcat(text, i > 0 ? " " : ""), words.items[i]);
    }
    words_free(&words);
    ck_assert_msg(strcmp(text, lines[_i].texts) == 0, "%s: %s", lines[_i].line, text);
}
END_TEST

/* However much a pattern stands for, and whatever octets it is made of. */
START_TEST(test_bounds)
{
    static const char *const pieces[] = {"(a|b|c)", "[abc]?", "x{8}",   "(.|..)*", "(",
                                         ")",       "\\",     "{",      "[",       "|",
                                         "\377",    "?",      "a{8}{8}"};
    unsigned state = 1;
    for (int n = 0; n < 20000; n++) {
        char line[600] = "/";
        for (int i = 0; i < 40; i++) {
            state = state * 1103515245 + 12345;
            strcat(line, pieces[(state >> 16) % (n % 2 == 0 ? 4 : 13)]);
        }
        strcat(line, "/ REJECT");
        struct words words = {.items = NULL};
        pattern_samples(line, &words);
        ck_assert_uint_le(words.count, SAMPLES_MAX);
        for (size_t i = 0; i < words.count; i++) {
            ck_assert_uint_lt(strlen(words.items[i]), SAMPLE_OCTETS);
        }
        words_free(&words);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pattern samples");
    TCase *tcase = tcase_create("pattern samples");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_lines, 0, (int)(sizeof lines / sizeof lines[0]));
    tcase_add_test(tcase, test_bounds);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
