/* The addresses that were batvd's: what is written down, and how a file of others' is read. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../suite.h"
#include "daemon/listeners.h"

static char folder[] = "/tmp/batv-listeners-XXXXXX";
static char file[64];

static void setup(void)
{
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/listeners", folder);
}

static void teardown(void)
{
    (void)unlink(file);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void note(const char *listen)
{
    struct reason why = {""};
    ck_assert_msg(listeners_note(folder, listen, &why) == STATUS_OK, "%s", why.text);
}

static void put(const char *text)
{
    FILE *out = fopen(file, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_ge(fputs(text, out), 0);
    ck_assert_int_eq(fclose(out), 0);
}

/* The entries, each behind a |. */
static const char *entries(void)
{
    static char joined[LISTENERS_MAX * (LISTENER_TEXT_MAX + 2)];
    char *found[LISTENERS_MAX];
    size_t count = listeners_read(folder, found);
    joined[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        strcat(strcat(joined, "|"), found[i]);
        free(found[i]);
    }
    return joined;
}

START_TEST(test_the_newest_is_last)
{
    ck_assert_str_eq(entries(), "");
    note("unix:/a");
    note("inet:1@h");
    note("inet:1@h");
    ck_assert_str_eq(entries(), "|unix:/a|inet:1@h");
    note("unix:/a");
    ck_assert_str_eq(entries(), "|inet:1@h|unix:/a");
    struct stat info;
    ck_assert_int_eq(stat(file, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0600);
}
END_TEST

START_TEST(test_the_oldest_goes)
{
    char name[32];
    for (int i = 0; i < LISTENERS_MAX + 3; i++) {
        snprintf(name, sizeof name, "unix:/%d", i);
        note(name);
    }
    ck_assert_ptr_nonnull(strstr(entries(), "|unix:/3|unix:/4|"));
    ck_assert_ptr_null(strstr(entries(), "|unix:/2|"));
    snprintf(name, sizeof name, "|unix:/%d", LISTENERS_MAX + 2);
    ck_assert_ptr_nonnull(strstr(entries(), name));
}
END_TEST

START_TEST(test_what_is_no_line_is_not_written)
{
    char longest[LISTENER_TEXT_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    note("unix:/a\nunix:/b");
    note("");
    note(longest);
    ck_assert_str_eq(entries(), "");
    note(longest + 1);
    ck_assert_str_eq(entries() + 1, longest + 1);
}
END_TEST

START_TEST(test_a_file_of_any_content)
{
    put("\n\nunix:/a\n\x01\nunix:/unfinished");
    ck_assert_str_eq(entries(), "|unix:/a");
    put("");
    ck_assert_str_eq(entries(), "");
    FILE *out = fopen(file, "w");
    ck_assert_ptr_nonnull(out);
    for (int i = 0; i < 100000; i++) {
        fprintf(out, "unix:/%d\n", i);
    }
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_ptr_nonnull(strstr(entries(), "|unix:/15"));
    ck_assert_ptr_null(strstr(entries(), "|unix:/16"));
}
END_TEST

START_TEST(test_no_link_and_no_pipe_is_read)
{
    ck_assert_int_eq(symlink("/etc/passwd", file), 0);
    ck_assert_str_eq(entries(), "");
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(mkfifo(file, 0600), 0);
    ck_assert_str_eq(entries(), "");
    note("unix:/a");
    ck_assert_str_eq(entries(), "|unix:/a");
}
END_TEST

START_TEST(test_a_folder_that_is_missing)
{
    struct reason why = {""};
    char *found[LISTENERS_MAX];
    ck_assert_uint_eq(listeners_read("/nonexistent", found), 0);
    ck_assert_int_eq(listeners_note("/nonexistent", "unix:/a", &why), STATUS_IO);
    ck_assert_ptr_nonnull(strstr(why.text, "/nonexistent/listeners"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listeners");
    TCase *tests = tcase_create("listeners");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_the_newest_is_last);
    tcase_add_test(tests, test_the_oldest_goes);
    tcase_add_test(tests, test_what_is_no_line_is_not_written);
    tcase_add_test(tests, test_a_file_of_any_content);
    tcase_add_test(tests, test_no_link_and_no_pipe_is_read);
    tcase_add_test(tests, test_a_folder_that_is_missing);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
