/*
 * The reason that goes with a status stays one line, whole or cut off, whatever is put into it.
 */
#include "fixture.h"

#include "batv/status.h"

START_TEST(test_a_reason_is_one_line)
{
    struct reason why;
    ck_assert_int_eq(reason_set(&why, STATUS_INVALID, "%s: line %d", "/etc/a\nb\r\nc", 7),
                     STATUS_INVALID);
    ck_assert_str_eq(why.text, "/etc/a b  c: line 7");
}
END_TEST

START_TEST(test_a_reason_is_cut_off_where_its_room_ends)
{
    struct reason why;
    char text[2 * sizeof why.text];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    reason_write(&why, "%s", text);
    ck_assert_uint_eq(strlen(why.text), sizeof why.text - 1);
    ck_assert_uint_eq(strspn(why.text, "x"), sizeof why.text - 1);
}
END_TEST

START_TEST(test_nobody_has_to_ask_for_the_reason)
{
    ck_assert_int_eq(reason_set(NULL, STATUS_IO, "%s", "unheard"), STATUS_IO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *tcase = tcase_create("reason");
    tcase_add_test(tcase, test_a_reason_is_one_line);
    tcase_add_test(tcase, test_a_reason_is_cut_off_where_its_room_ends);
    tcase_add_test(tcase, test_nobody_has_to_ask_for_the_reason);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
