/*
 * The JSON emitter against what it has to write, octet by octet: layout, escapes, every kind of
 * text that is not UTF-8, and the octets in hexadecimal beside it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "ctl/json.h"

/* A document that is written to memory. */
static struct json json;
static char *text;
static size_t length;

static void begin(void)
{
    FILE *out = open_memstream(&text, &length);
    ck_assert_ptr_nonnull(out);
    json_begin(&json, out);
}

static void end_and_expect(const char *expected)
{
    json_end(&json);
    fclose(json.out);
    ck_assert_str_eq(text, expected);
    free(text);
}

static const struct {
    const char *name;
    const char *value;
    const char *expected; /* the members after "v": */
} texts[] = {
    {"null", NULL, "null"},
    {"empty", "", "\"\""},
    {"plain", "alice@example.com", "\"alice@example.com\""},
    {"quotes and backslash", "\"a\\b\"@x", "\"\\\"a\\\\b\\\"@x\""},
    {"control characters", "\x01\t\n\r\x1f\x7f", "\"\\u0001\\u0009\\u000a\\u000d\\u001f\\u007f\""},
    {"control characters above ASCII", "\xc2\x80\xc2\x9f\xc2\xa0", "\"\\u0080\\u009f\xc2\xa0\""},
    {"two, three, four octets", "\xc3\xbc\xe2\x82\xac\xf0\x9f\x93\xa7",
     "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x93\xa7\""},
    {"the ends of UTF-8's ranges", "\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf",
     "\"\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\""},
    {"U+FFFD itself", "\xef\xbf\xbd", "\"\xef\xbf\xbd\""},
    {"Latin-1", "m\xfcller", "\"m\xef\xbf\xbdller\", \"raw\": \"6dfc6c6c6572\""},
    {"a lone continuation", "\x80", "\"\xef\xbf\xbd\", \"raw\": \"80\""},
    {"cut short at the end", "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\", \"raw\": \"e282\""},
    {"cut short before ASCII", "\xf0\x9f\x93x",
     "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\", \"raw\": \"f09f9378\""},
    {"longer than need be", "\xc0\xaf\xe0\x9f\xbf",
     "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\", \"raw\": \"c0afe09fbf\""},
    {"a surrogate", "\xed\xa0\x80",
     "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\", \"raw\": \"eda080\""},
    {"beyond U+10FFFF", "\xf4\x90\x80\x80",
     "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\", \"raw\": \"f4908080\""},
    {"never in UTF-8", "\xff\xfe", "\"\xef\xbf\xbd\xef\xbf\xbd\", \"raw\": \"fffe\""},
};

START_TEST(test_text)
{
    char expected[512];
    snprintf(expected, sizeof expected, "[\n  {\"v\": %s}\n]\n", texts[_i].expected);
    begin();
    json_open_array(&json, NULL);
    json_open_object(&json, NULL);
    json_text(&json, "v", texts[_i].value);
    json_close(&json);
    json_close(&json);
    end_and_expect(expected);
}
END_TEST

START_TEST(test_raw_is_the_first_of_an_object_and_named_for_the_others)
{
    begin();
    json_open_array(&json, NULL);
    for (int i = 0; i < 2; i++) {
        json_open_object(&json, NULL);
        json_text(&json, "a", "\xff");
        json_text(&json, "b", "good");
        json_text(&json, "c", "\xfe");
        json_close(&json);
    }
    json_close(&json);
    end_and_expect("[\n"
                   "  {\"a\": \"\xef\xbf\xbd\", \"raw\": \"ff\", \"b\": \"good\", "
                   "\"c\": \"\xef\xbf\xbd\", \"c_raw\": \"fe\"},\n"
                   "  {\"a\": \"\xef\xbf\xbd\", \"raw\": \"ff\", \"b\": \"good\", "
                   "\"c\": \"\xef\xbf\xbd\", \"c_raw\": \"fe\"}\n"
                   "]\n");
}
END_TEST

START_TEST(test_nothing_in_it)
{
    begin();
    json_open_array(&json, NULL);
    json_close(&json);
    end_and_expect("[]\n");
    begin();
    json_open_object(&json, NULL);
    json_open_array(&json, "a");
    json_close(&json);
    json_open_object(&json, "o");
    json_close(&json);
    json_close(&json);
    end_and_expect("{\n  \"a\": [],\n  \"o\": {}\n}\n");
}
END_TEST

START_TEST(test_all_kinds_of_values)
{
    begin();
    json_open_object(&json, NULL);
    json_null(&json, "null");
    json_bool(&json, "yes", true);
    json_bool(&json, "no", false);
    json_number(&json, "least", INT64_MIN);
    json_unsigned(&json, "most", UINT64_MAX);
    json_day(&json, "day", 20785);
    json_time(&json, "time", 20785 * 86400L + 43200);
    json_open_array(&json, "list");
    json_number(&json, NULL, -1);
    json_text(&json, NULL, "x");
    json_text(&json, NULL, "\xff"); /* an element has no place beside it */
    json_close(&json);
    json_close(&json);
    end_and_expect("{\n"
                   "  \"null\": null,\n"
                   "  \"yes\": true,\n"
                   "  \"no\": false,\n"
                   "  \"least\": -9223372036854775808,\n"
                   "  \"most\": 18446744073709551615,\n"
                   "  \"day\": \"2026-11-28\",\n"
                   "  \"time\": \"2026-11-28T12:00:00Z\",\n"
                   "  \"list\": [-1, \"x\", \"\xef\xbf\xbd\"]\n"
                   "}\n");
}
END_TEST

START_TEST(test_names_are_escaped_too)
{
    begin();
    json_open_object(&json, NULL);
    json_number(&json, "a\"\\\n\xff", 1);
    json_close(&json);
    end_and_expect("{\n  \"a\\\"\\\\\\u000a\xef\xbf\xbd\": 1\n}\n");
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tcase = tcase_create("json");
    tcase_add_loop_test(tcase, test_text, 0, COUNT(texts));
    tcase_add_test(tcase, test_raw_is_the_first_of_an_object_and_named_for_the_others);
    tcase_add_test(tcase, test_nothing_in_it);
    tcase_add_test(tcase, test_all_kinds_of_values);
    tcase_add_test(tcase, test_names_are_escaped_too);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
