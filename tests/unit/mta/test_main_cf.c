/* Whether a text of main.cf sets a parameter, and to what: the last setting counts. */
#include <check.h>
#include <stdlib.h>

#include "../suite.h"
#include "mta/main_cf.h"

static const struct {
    const char *text;
    const char *value; /* NULL: smtpd_milters is not set */
} texts[] = {
    {"", NULL},
    {"\n\n", NULL},
    {"smtpd_milters", NULL},
    {"smtpd_milters x", NULL},
    {"# smtpd_milters = a\n", NULL},
    {" smtpd_milters = a\n", NULL},
    {"non_smtpd_milters = a\nsmtpd_milters2 = b\n", NULL},
    {"smtpd_milters =", ""},
    {"smtpd_milters=a", "a"},
    {"smtpd_milters \t= a\n", " a"},
    {"smtpd_milters = a\nsmtpd_milters = b", " b"},
    {"smtpd_milters = a,\n\tb\n  c\nother = d\n", " a,\n\tb\n  c"},
    {"x = 1\nsmtpd_milters == a\n", "= a"},
};

START_TEST(test_value)
{
    char *value = main_cf_value(texts[_i].text, "smtpd_milters");
    ck_assert(main_cf_sets(texts[_i].text, "smtpd_milters") == (texts[_i].value != NULL));
    ck_assert_pstr_eq(value, texts[_i].value);
    free(value);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("main_cf");
    TCase *tcase = tcase_create("texts");
    tcase_add_loop_test(tcase, test_value, 0, COUNT_OF(texts));
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
