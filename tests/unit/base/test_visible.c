/* What a terminal is given of text from outside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "base/visible.h"

static void expect(const char *text, const char *kept, const char *expected)
{
    char *seen = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&seen, &length);
    ck_assert_ptr_nonnull(out);
    visible_print(out, text, kept);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_str_eq(seen, expected);
    free(seen);
}

START_TEST(test_table)
{
    static const struct {
        const char *text;
        const char *expected;
    } table[] = {
        {"", ""},
        {"alice@example.com ~", "alice@example.com ~"},
        {"gr\xc3\xbc\xc3\x9f dich \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x93\xa7",
         "gr\xc3\xbc\xc3\x9f dich \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x93\xa7"},
        {"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"}, /* Hebrew stays */
        {"a\nb\tc\x1b[31m\x7f", "a\\x0Ab\\x09c\\x1B[31m\\x7F"},
        {"\x9b"
         "31m\x80\xff",
         "\\x9B31m\\x80\\xFF"},     /* a C1 of 8 bits; no UTF-8 */
        {"\xc2\x9b", "\\xC2\\x9B"}, /* U+009B */
        {"\xc2\x80\xc2\x9f\xc2\xa0", "\\xC2\\x80\\xC2\\x9F\xc2\xa0"},
        {"\xc2\xad", "\\xC2\\xAD"},          /* soft hyphen */
        {"\xe2\x80\xae", "\\xE2\\x80\\xAE"}, /* U+202E */
        {"\xe2\x81\xa6\xe2\x81\xa9", "\\xE2\\x81\\xA6\\xE2\\x81\\xA9"},
        {"\xd8\x9c", "\\xD8\\x9C"}, /* U+061C */
        {"\xe2\x80\x8b\xe2\x80\x8e\xe2\x80\x8f", "\\xE2\\x80\\x8B\\xE2\\x80\\x8E\\xE2\\x80\\x8F"},
        {"\xe2\x80\xa8\xe2\x80\xa9", "\\xE2\\x80\\xA8\\xE2\\x80\\xA9"},
        {"\xef\xbb\xbf", "\\xEF\\xBB\\xBF"}, /* BOM */
        {"\xef\xbf\xbe\xef\xbf\xbd", "\\xEF\\xBF\\xBE\xef\xbf\xbd"},
        {"\xf3\xa0\x81\xa1", "\\xF3\\xA0\\x81\\xA1"},          /* a tag */
        {"\xee\x80\x80", "\\xEE\\x80\\x80"},                   /* private use */
        {"\xf1\x90\x80\x80", "\\xF1\\x90\\x80\\x80"},          /* plane 5 */
        {"\xed\xa0\x80", "\\xED\\xA0\\x80"},                   /* a surrogate */
        {"\xc0\x8a\xe0\x80\x8a", "\\xC0\\x8A\\xE0\\x80\\x8A"}, /* too long for a newline */
        {"\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80"},
        {"\xe2\x80", "\\xE2\\x80"}, /* cut off */
        {"\xf0\x9f\x93x", "\\xF0\\x9F\\x93x"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        expect(table[i].text, "", table[i].expected);
    }
    expect("one\ntwo\tthree", "\n", "one\ntwo\\x09three");
}
END_TEST

/* All that Unicode may have: what comes out is as it went in, or ASCII. */
START_TEST(test_every_character)
{
    static const struct {
        unsigned from, to;
    } never[] = {
        {0x80, 0x9f}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xe0000, 0xe0fff}};
    for (size_t i = 0; i < COUNT_OF(never); i++) {
        for (unsigned code = never[i].from; code <= never[i].to; code++) {
            char text[5] = "";
            char expected[17];
            int length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
            for (int at = length - 1; at > 0; at--) {
                text[at] = (char)(0x80 | (code >> 6 * (length - 1 - at) & 0x3f));
            }
            text[0] = (char)((0xf00 >> length & 0xff) | code >> 6 * (length - 1));
            for (int at = 0; at < length; at++) {
                snprintf(expected + (ptrdiff_t)4 * at, 5, "\\x%02X", (unsigned char)text[at]);
            }
            expect(text, "", expected);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("visible");
    TCase *tcase = tcase_create("text");
    tcase_add_test(tcase, test_table);
    tcase_add_test(tcase, test_every_character);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
