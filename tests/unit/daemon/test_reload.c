/* A configuration that is read again: what is logged, on stderr, and which one stays. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../suite.h"
#include "daemon/reload.h"

static char path[] = "/tmp/batv-reload.XXXXXX";
static struct config *in_force;

static void write_config(const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
    struct config_messages messages = {0};
    char log[] = "/tmp/batv-reload-log.XXXXXX";
    int fd = mkstemp(log);
    ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    unlink(log);
    close(mkstemp(path));
    write_config("domains = ( \"example.com\" );\n");
    ck_assert_int_eq(config_load(path, &in_force, &messages), STATUS_OK);
    config_messages_free(&messages);
}

static void teardown(void)
{
    config_free(in_force);
    unlink(path);
}

/* Reloads text; the result, or the error, is the caller's. */
static enum status reload(const char *text, struct config **out, char **error)
{
    *out = NULL;
    write_config(text);
    return reload_config(in_force, out, error);
}

/* All that stderr got. */
static const char *logged(void)
{
    static char text[4096];
    ssize_t length = pread(STDERR_FILENO, text, sizeof text - 1, 0);
    ck_assert_int_ge(length, 0);
    text[length] = '\0';
    return text;
}

START_TEST(test_a_good_configuration)
{
    struct config *next;
    char *error;
    ck_assert_int_eq(reload("domains = ( \"example.net\" );\n", &next, &error), STATUS_OK);
    ck_assert_ptr_null(error);
    ck_assert_str_eq(next->settings->domain[0].name, "example.net");
    ck_assert_str_eq(logged(), "");
    config_free(next);
}
END_TEST

START_TEST(test_what_only_a_start_can_change_is_named)
{
    struct config *next;
    char *error;
    ck_assert_int_eq(reload("domains = ( \"example.com\" );\nstate_dir = \"/elsewhere\";\n"
                            "journal: { enabled = false; };\nlog: { level = \"debug\"; };\n",
                            &next, &error),
                     STATUS_OK);
    ck_assert_ptr_nonnull(strstr(logged(), "state_dir has changed"));
    ck_assert_ptr_nonnull(strstr(logged(), "journal.enabled has changed"));
    ck_assert_ptr_null(strstr(logged(), "log.level"));
    config_free(next);
}
END_TEST

START_TEST(test_the_first_error_of_a_bad_one_is_the_answer)
{
    struct config *next;
    char *error;
    ck_assert_int_eq(reload("domains = ( \"example.com\" );\nnonsense = 1;\non_error = \"no\";\n",
                            &next, &error),
                     STATUS_INVALID);
    ck_assert_ptr_null(next);
    ck_assert_ptr_nonnull(strstr(error, "nonsense"));
    ck_assert_ptr_nonnull(strstr(logged(), "nonsense"));
    ck_assert_ptr_nonnull(strstr(logged(), "on_error"));
    free(error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reload");
    TCase *tcase = tcase_create("reload");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_a_good_configuration);
    tcase_add_test(tcase, test_what_only_a_start_can_change_is_named);
    tcase_add_test(tcase, test_the_first_error_of_a_bad_one_is_the_answer);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
