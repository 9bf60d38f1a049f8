/* Message-IDs in the one form in which they are compared: what of a field's value is left, and that
 * whatever strangers send is read once and within its bounds. */
#include "fixture.h"

#include "batv/message_id.h"

static const struct {
    const char *name;
    const char *value;
    const char *id; /* NULL: nothing is left */
} values[] = {
    {"as it should be", "<a.1@example.com>", "a.1@example.com"},
    {"with space around", " \t<a@example.com> \r\n", "a@example.com"},
    {"folded before", "\r\n <a@example.com>", "a@example.com"},
    {"folded within", "<a.very.long.one.\r\n\tthat.went.on@example\n .com>",
     "a.very.long.one.that.went.on@example.com"},
    {"space within", "< a @ b >", "a@b"},
    {"case stays", "<AbC@Example.COM>", "AbC@Example.COM"},
    {"so do other octets", "<a!\"\\\xc3\xbc\x01@[::1]>", "a!\"\\\xc3\xbc\x01@[::1]"},
    {"brackets twice", "<<a@b>>", "a@b"},
    {"brackets twice, with space", "< \t<\r\n a@b> >", "a@b"},
    {"a comment before", "(by hand) <a@b>", "a@b"},
    {"a comment behind", "<a@b> (by hand)", "a@b"},
    {"the first of two", "<a@b> <c@d>", "a@b"},
    {"the first of two without space", "<a@b><c@d>", "a@b"},
    {"no closing bracket", "<a@b", "a@b"},
    {"no closing bracket, and another", "<a@b <c@d>", "a@b<c@d"},
    {"a closing bracket before", "x> <a@b>", "a@b"},
    {"no opening bracket", "a@b>", "a@b>"},
    {"no brackets", "a@b", "a@b"},
    {"no brackets, several words", " a b\r\n\tc ", "abc"},
    {"no at", "<20261122>", "20261122"},
    {"empty", "", NULL},
    {"blank", " \t\r\n ", NULL},
    {"empty brackets", "<>", NULL},
    {"blank brackets", "< \r\n\t >", NULL},
    {"empty brackets before others", "<> <a@b>", NULL},
    {"nothing but brackets", "<<<", NULL},
    {"an end only", ">", ">"},
};

START_TEST(test_value)
{
    const char *value = values[_i].value;
    /* Exactly as much memory as there is value: whoever reads on is told by the sanitizer. */
    size_t length = strlen(value);
    char *octets = malloc(length + (length == 0));
    char *id = NULL;
    memcpy(octets, value, length);
    enum status status = message_id_clean(octets, length, &id);
    if (values[_i].id == NULL) {
        ck_assert_msg(status == STATUS_NOT_FOUND, "%s: %s", values[_i].name, id);
        ck_assert_ptr_null(id);
    } else {
        ck_assert_int_eq(status, STATUS_OK);
        ck_assert_msg(strcmp(id, values[_i].id) == 0, "%s: %s, expected %s", values[_i].name, id,
                      values[_i].id);
    }
    free(id);
    free(octets);
}
END_TEST

/* What is in one form already stays in it. */
START_TEST(test_twice)
{
    char *again = NULL;
    if (values[_i].id == NULL) {
        return;
    }
    ck_assert_int_eq(message_id_clean(values[_i].id, strlen(values[_i].id), &again), STATUS_OK);
    if (strchr(values[_i].id, '<') == NULL) {
        ck_assert_str_eq(again, values[_i].id);
    }
    free(again);
}
END_TEST

/* length counts, not an end of string. */
START_TEST(test_length)
{
    static const char with_nul[] = "<a\0b@c>";
    char *id = NULL;
    ck_assert_int_eq(message_id_clean("<a@b>", 3, &id), STATUS_OK);
    ck_assert_str_eq(id, "a@");
    free(id);
    ck_assert_int_eq(message_id_clean("<a@b>", 1, &id), STATUS_NOT_FOUND);
    ck_assert_int_eq(message_id_clean("<a@b>", 0, &id), STATUS_NOT_FOUND);
    ck_assert_int_eq(message_id_clean(with_nul, sizeof with_nul - 1, &id), STATUS_OK);
    ck_assert_str_eq(id, "ab@c");
    free(id);
}
END_TEST

START_TEST(test_random_octets)
{
    static const char *const alphabets[] = {NULL, "<> \r\n\tab@", "<>", " \t<a"};
    struct chance chance = {17};
    for (int i = 0; i < 20000; i++) {
        char text[65];
        size_t length = chance_below(&chance, sizeof text);
        chance_text(&chance, alphabets[chance_below(&chance, COUNT_OF(alphabets))], text, length);
        char *octets = malloc(length + (length == 0));
        char *id = NULL;
        memcpy(octets, text, length);
        enum status status = message_id_clean(octets, length, &id);
        REQUIRE(status == STATUS_OK || status == STATUS_NOT_FOUND);
        REQUIRE((status == STATUS_OK) == (id != NULL));
        if (id != NULL) {
            REQUIRE(*id != '\0' && strlen(id) <= length && strpbrk(id, " \t\r\n") == NULL);
            REQUIRE(*id != '<');
            REQUIRE(strchr(text, '<') == NULL || strchr(id, '>') == NULL);
        }
        free(id);
        free(octets);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("message-id");
    TCase *tcase = tcase_create("message-id");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_value, 0, (int)COUNT_OF(values));
    tcase_add_loop_test(tcase, test_twice, 0, (int)COUNT_OF(values));
    tcase_add_test(tcase, test_length);
    tcase_add_test(tcase, test_random_octets);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
