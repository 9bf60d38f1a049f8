/*
 * The record of what `setup` wrote into Postfix's settings: back and forth, and what is no record.
 */
#include "../suite.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/setup_record.h"

static const char whole[] = "# What `batvctl setup` wrote into Postfix's settings, for `batvctl "
                            "setup --undo` (batvctl(8)).\n"
                            "format 1\n"
                            "folder /etc/post fix\n"
                            "listen unix:/run/batvd/milter.sock\n"
                            "map /etc/postfix/batv.pcre\n"
                            "was smtpd_milters = \n"
                            "set smtpd_milters = unix:batvd/milter.sock\n"
                            "set non_smtpd_milters = $smtpd_milters\n"
                            "was milter_default_action = accept\n"
                            "set milter_default_action = tempfail\n"
                            "last-signed 2026-11-28\n";

static enum status parse(const char *text, struct setup_record *record)
{
    char *copy = strdup(text);
    ck_assert_ptr_nonnull(copy);
    *record = (struct setup_record){.folder = NULL};
    enum status status = setup_record_parse(copy, record);
    free(copy);
    return status;
}

START_TEST(test_back_and_forth)
{
    struct setup_record record;
    ck_assert_int_eq(parse(whole, &record), STATUS_OK);
    ck_assert_str_eq(record.folder, "/etc/post fix");
    ck_assert_str_eq(record.was[NEED_MILTERS], "");
    ck_assert_str_eq(record.set[NEED_ACTION], "tempfail");
    ck_assert_ptr_null(record.was[NEED_NON_SMTPD]);
    ck_assert_ptr_null(record.set[NEED_MAPS]);
    ck_assert_int_eq(record.last_signed, 20785);
    char *text = setup_record_format(&record);
    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, whole);
    free(text);
    setup_record_free(&record);
}
END_TEST

START_TEST(test_empty)
{
    struct setup_record record = {.folder = NULL};
    char *text = setup_record_format(&record);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(parse(text, &record), STATUS_OK);
    ck_assert_ptr_null(record.folder);
    free(text);
    setup_record_free(&record);
}
END_TEST

static const char *const damaged[] = {
    "",
    "# comment\n",
    "folder /etc/postfix\n",
    "format 2\n",
    "format 1\nfolder\n",
    "format 1\nset myhostname = x\n",
    "format 1\nset smtpd_milters\n",
    "format 1\nlast-signed yesterday\n",
    "format 1\nother thing\n",
};

START_TEST(test_damaged)
{
    struct setup_record record;
    ck_assert_msg(parse(damaged[_i], &record) == STATUS_INVALID, "%s", damaged[_i]);
    setup_record_free(&record);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("setup_record");
    TCase *tcase = tcase_create("texts");
    tcase_add_test(tcase, test_back_and_forth);
    tcase_add_test(tcase, test_empty);
    tcase_add_loop_test(tcase, test_damaged, 0, COUNT_OF(damaged));
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
