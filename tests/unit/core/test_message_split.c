/* Messages in files: the fields and the body that an MTA would make of them. */
#include "fixture.h"

#include "batv/message_split.h"

static char taken[1000];

static void take(void *context, const char *name, const char *value)
{
    size_t used = strlen(taken);
    (void)context;
    snprintf(taken + used, sizeof taken - used, "[%s|%s]", name, value);
}

static const struct {
    const char *name, *text, *fields, *body;
} messages[] = {
    {"plain", "A: b\nC:d\n\nbody\n", "[A|b][C|d]", "body\n"},
    {"CRLF", "A: b\r\nC: d\r\n\r\nbody\r\n", "[A|b][C|d]", "body\r\n"},
    {"CR", "A: b\rC: d\r\rbody\r", "[A|b][C|d]", "body\r"},
    {"folded", "A: b\n c\r\n\td\nE:\n f\n\nx", "[A|b\n c\n\td][E|\n f]", "x"},
    {"a mailbox's line", "From x Mon\nA: b\n\nx", "[A|b]", "x"},
    {"a quoted one", ">From x Mon\nA: b\n\nx", "[A|b]", "x"},
    {"a mailbox's line with CR", "From x Mon\rA: b\r\rx", "[A|b]", "x"},
    {"empty lines before", "\n\r\n  \t\nA: b\n\nx", "[A|b]", "x"},
    {"a byte order mark",
     "\xef\xbb\xbf"
     "A: b\n\nx",
     "[A|b]", "x"},
    {"all of them", "\n\xef\xbb\xbf\nFrom x\n\nA: b\n\nx", "[A|b]", "x"},
    {"no header", "no field\nA: b\n", "", "no field\nA: b\n"},
    {"a line that is no field ends it", "A: b\nno field\nC: d\n", "[A|b]", "no field\nC: d\n"},
    {"no body", "A: b\n", "[A|b]", ""},
    {"nothing", "", "", ""},
    {"blank", " \n\n", "", ""},
    {"empty values", "A:\nB: \nC:\n \n\nx", "[A|][B|][C|\n ]", "x"},
};

START_TEST(test_message)
{
    size_t length = strlen(messages[_i].text);
    char *text = malloc(length + (length == 0));
    struct octets body;
    memcpy(text, messages[_i].text, length);
    taken[0] = '\0';
    ck_assert_int_eq(message_split((struct octets){text, length}, take, NULL, &body), STATUS_OK);
    ck_assert_msg(strcmp(taken, messages[_i].fields) == 0, "%s: %s", messages[_i].name, taken);
    ck_assert_msg(body.length == strlen(messages[_i].body) &&
                      memcmp(body.start, messages[_i].body, body.length) == 0,
                  "%s: %.*s", messages[_i].name, (int)body.length, body.start);
    free(text);
}
END_TEST

START_TEST(test_nuls)
{
    static const char text[] = "A: b\0c\n\nx\0y";
    struct octets body;
    taken[0] = '\0';
    message_split((struct octets){text, sizeof text - 1}, take, NULL, &body);
    ck_assert_str_eq(taken, "[A|b c]");
    ck_assert_uint_eq(body.length, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("message split");
    TCase *tcase = tcase_create("message split");
    tcase_add_loop_test(tcase, test_message, 0, COUNT_OF(messages));
    tcase_add_test(tcase, test_nuls);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
