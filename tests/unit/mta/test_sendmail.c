/* The reader of sendmail.cf: a file in, options, filters and maps out. No program is asked. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../suite.h"
#include "mta/sendmail.h"

static char path[] = "/tmp/batv-sendmail-cf.XXXXXX";
static struct sendmail *sendmail;

static void setup(void)
{
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(setenv("SENDMAIL_CF", path, 1), 0);
}

static void teardown(void)
{
    sendmail_free(sendmail);
    sendmail = NULL;
    unlink(path);
}

static void open_text(const char *text)
{
    struct reason why = {""};
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_msg(sendmail_open_cf(&sendmail, &why) == STATUS_OK, "%s", why.text);
}

START_TEST(test_options)
{
    open_text("O MaxHops=25\nO  Milter.LogLevel = 9 \nO DaemonPortOptions=Name=MTA\n"
              "O DaemonPortOptions=Name=MSA, Port=587,\n\tM=E\nO Empty=\nOA/etc/aliases\n# O No=1\n"
              "O MaxHops=30");
    ck_assert_str_eq(sendmail_cf(sendmail), path);
    ck_assert_str_eq(sendmail_option(sendmail, "maxhops"), "30");
    ck_assert_str_eq(sendmail_option(sendmail, "Milter.LogLevel"), "9");
    ck_assert_str_eq(sendmail_option(sendmail, "Empty"), "");
    ck_assert_ptr_null(sendmail_option(sendmail, "No"));
    ck_assert_str_eq(sendmail_option_nth(sendmail, "DaemonPortOptions", 0), "Name=MTA");
    ck_assert_str_eq(sendmail_option_nth(sendmail, "DaemonPortOptions", 1),
                     "Name=MSA, Port=587, \tM=E");
    ck_assert_ptr_null(sendmail_option_nth(sendmail, "DaemonPortOptions", 2));
}
END_TEST

START_TEST(test_version_and_maps)
{
    open_text("DZ8.17.1\nDZ9\nKgenerics hash -o /etc/mail/generics\nKmailertable\thash x\n");
    ck_assert_str_eq(sendmail_version(sendmail), "8.17.1");
    ck_assert(sendmail_has_map(sendmail, "generics") && sendmail_has_map(sendmail, "MAILERTABLE"));
    ck_assert(!sendmail_has_map(sendmail, "generic"));
}
END_TEST

static const struct {
    const char *line;
    const char *name, *socket, *flags, *timeouts;
    const char *listen; /* of ours, to which it leads */
    long connect, send;
} filters[] = {
    {"Xbatvd, S=unix:/run/a.sock, F=T, T=C:1m;S:5s;R:1h", "batvd", "unix:/run/a.sock", "T",
     "C:1m;S:5s;R:1h", "unix:/run/a.sock", 60, 5},
    {"Xbatvd,\n  S=/run/a.sock", "batvd", "/run/a.sock", "", "", "unix:/run/a.sock", 300, 10},
    {"Xb, S=inet:8891@127.0.0.1, T=S:2d", "b", "inet:8891@127.0.0.1", "", "S:2d",
     "inet:8891@127.0.0.1", 300, 172800},
    {"Xb, T=, F=, S=", "b", "", "", "", NULL, 300, 10},
    {"X", "", "", "", "", NULL, 300, 10},
    {"Xb, S=inet:@, T=C;S:;:::;C:x", "b", "inet:@", "", "C;S:;:::;C:x", NULL, 0, 0},
};

START_TEST(test_filters)
{
    size_t count;
    open_text(filters[_i].line);
    const struct sendmail_filter *filter = sendmail_filters(sendmail, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(filter->name, filters[_i].name);
    ck_assert_str_eq(filter->socket, filters[_i].socket);
    ck_assert_str_eq(filter->flags, filters[_i].flags);
    ck_assert_str_eq(filter->timeouts, filters[_i].timeouts);
    ck_assert_int_eq(filter_timeout(filter, 'C'), filters[_i].connect);
    ck_assert_int_eq(filter_timeout(filter, 'S'), filters[_i].send);
    ck_assert(filters[_i].listen == NULL || filter_leads(filter, filters[_i].listen));
    ck_assert(!filter_leads(filter, "unix:/run/other.sock"));
}
END_TEST

START_TEST(test_a_filter_in_a_list_of_names)
{
    char name[] = "batvd";
    const struct sendmail_filter filter = {.name = name};
    static const char *const with[] = {"batvd", "a;batvd", "a, BATVD ;b", ";;batvd;"};
    static const char *const without[] = {"", "batv", "batvd2", "a;b", ",;"};
    for (size_t i = 0; i < COUNT_OF(with); i++) {
        ck_assert_msg(filter_is_listed(&filter, with[i]), "%s", with[i]);
    }
    for (size_t i = 0; i < COUNT_OF(without); i++) {
        ck_assert_msg(!filter_is_listed(&filter, without[i]), "%s", without[i]);
    }
}
END_TEST

START_TEST(test_masquerading)
{
    open_text("SMasqHdr=93\nR$*\t$>MasqHdr $1\nSMasqEnv=94\nR$*\t$: $>Other $1\n");
    ck_assert(!sendmail_masquerades(sendmail));
    sendmail_free(sendmail);
    open_text("SMasqEnv=94\nR$*\t$: $>MasqHdr $1\n");
    ck_assert(sendmail_masquerades(sendmail));
}
END_TEST

START_TEST(test_run_as)
{
    uid_t uid;
    gid_t gid;
    open_text("O RunAsUser=12:34\n");
    ck_assert_int_eq(sendmail_run_as(sendmail, &uid, &gid), STATUS_OK);
    ck_assert(uid == 12 && gid == 34);
    sendmail_free(sendmail);
    open_text("O RunAsUser=nobody-of-this-name\n");
    ck_assert_int_eq(sendmail_run_as(sendmail, &uid, &gid), STATUS_NOT_FOUND);
    sendmail_free(sendmail);
    open_text("O RunAsUser=\n");
    ck_assert_int_eq(sendmail_run_as(sendmail, &uid, &gid), STATUS_OK);
    ck_assert(uid == 0 && gid == 0);
}
END_TEST

/* Whatever the file holds, it is read without harm. */
START_TEST(test_hostile_text)
{
    static const char *const texts[] = {"",          "\n\n\n",  " \n \t",        "O",
                                        "O =",       "O =\nX,", "K\nKx\nK \t",   "D\nDZ\nS\nR\nX\n",
                                        "X,,,=,S,S", "\t\tX",   "O \xff=\x01\n", "O a=b=c\nO b\n"};
    open_text(texts[_i]);
    size_t count;
    const struct sendmail_filter *all = sendmail_filters(sendmail, &count);
    for (size_t i = 0; i < count; i++) {
        ck_assert(!filter_leads(&all[i], "unix:/run/a.sock"));
    }
    ck_assert_ptr_null(sendmail_option(sendmail, "MaxHops"));
    ck_assert_str_eq(sendmail_version(sendmail), "");
}
END_TEST

START_TEST(test_no_file)
{
    struct reason why = {""};
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(sendmail_open_cf(&sendmail, &why), STATUS_IO);
    ck_assert_ptr_null(sendmail);
    ck_assert_ptr_nonnull(strstr(why.text, path));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sendmail");
    TCase *tcase = tcase_create("cf");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_options);
    tcase_add_test(tcase, test_version_and_maps);
    tcase_add_loop_test(tcase, test_filters, 0, COUNT_OF(filters));
    tcase_add_test(tcase, test_a_filter_in_a_list_of_names);
    tcase_add_test(tcase, test_masquerading);
    tcase_add_test(tcase, test_run_as);
    tcase_add_loop_test(tcase, test_hostile_text, 0, 12);
    tcase_add_test(tcase, test_no_file);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
