#include "io/config_rescue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../suite.h"

static char folder[64];
static char path[80];

static void write_config(const char *text)
{
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_ge(fputs(text, out), 0);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/batv-rescue.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/batvd.conf", folder);
}

static void remove_folder(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

#define USUAL "/var/lib/batvd"

static const struct vector {
    const char *text;
    const char *value; /* NULL: the default */
} vectors[] = {
    {"state_dir = \"/a\";\n", "/a"},
    {"state_dir: \"/a\"\n", "/a"},
    {"  state_dir\n=\n\"/a\"", "/a"},
    {"verify: { action = yes; };\nstate_dir = \"/a\";\n", "/a"},
    {"verify: { action = ';\nstate_dir = \"/a\";\n};\n", NULL},
    {"domans = ( \"example.com\" );\nstate_dir = \"/a\";\n", "/a"},
    {"domains = ( \"example.com\";\nstate_dir = \"/a\";\n", NULL}, /* within the bracket */
    {"state_dir = \"/a\";\ndomains = ( \"example.com\";\n", "/a"},
    {"text = \"unended;\nstate_dir = \"/a\";\n", "/a"},
    {"}}; state_dir = \"/a\";\n", "/a"},
    {"# state_dir = \"/b\";\nstate_dir = \"/a\";\n", "/a"},
    {"state_dir = \"/a\"; // state_dir = \"/b\";\n", "/a"},
    {"/* state_dir = \"/b\"; */ state_dir = \"/a\";\n", "/a"},
    {"x = \"state_dir = /b\"; state_dir = \"/a\";\n", "/a"},
    {"x = \"\\\"state_dir = \"; state_dir = \"/a\";\n", "/a"},
    {"store: { state_dir = \"/b\"; };\n", NULL},
    {"my_state_dir = \"/b\";\nstate_dir2 = \"/b\";\n", NULL},
    {"state_dir = \"relative\";\n", NULL}, /* the option does not take it */
    {"state_dir = \"/a;\nlisten = \"unix:/b\";\n", NULL},
    {"state_dir = '/a';\n", NULL},
    {"state_dir = 17;\n", NULL},
    {"state_dir = ", NULL},
    {"state_dir", NULL},
    {"/* state_dir = \"/a\";\n", NULL},
    {"", NULL},
};

START_TEST(test_a_setting_is_found_beside_mistakes)
{
    const struct vector *vector = &vectors[_i];
    char *value = NULL;
    write_config(vector->text);
    bool found = config_rescue(path, "state_dir", &value);
    ck_assert_str_eq(value, vector->value != NULL ? vector->value : USUAL);
    ck_assert_int_eq(found, vector->value != NULL);
    free(value);
}
END_TEST

START_TEST(test_without_a_file_it_is_the_default)
{
    char *value = NULL;
    ck_assert(!config_rescue(path, "listen", &value));
    ck_assert_str_eq(value, "unix:/var/spool/postfix/batvd/milter.sock");
    free(value);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_rescue");
    TCase *core = tcase_create("rescue");
    tcase_add_checked_fixture(core, make_folder, remove_folder);
    tcase_add_loop_test(core, test_a_setting_is_found_beside_mistakes, 0, (int)COUNT_OF(vectors));
    tcase_add_test(core, test_without_a_file_it_is_the_default);
    suite_add_tcase(suite, core);
    return suite_run(suite);
}
