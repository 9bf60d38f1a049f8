/*
 * Where lines go: to a syslog daemon of the test's own, on a socket in a folder, which comes and
 * goes; stderr is a file.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "../suite.h"
#include "base/log_target.h"
#include "base/syslog_socket.h"

enum { RETRY_MS = 1000 };

static char folder[] = "/tmp/batv-log.XXXXXX";
static char path[64];
static int listener = -1;

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log", folder);
    char name[80];
    snprintf(name, sizeof name, "%s/stderr", folder);
    int fd = open(name, O_RDWR | O_CREAT | O_APPEND, 0600);
    ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    unlink(name);
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
}

static void daemon_starts(int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    listener = socket(AF_UNIX, type, 0);
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert(type == SOCK_DGRAM || listen(listener, 1) == 0);
}

static void daemon_ends(void)
{
    close(listener);
    unlink(path);
}

static void say(const char *text)
{
    char buffer[LOG_ROOM_BEFORE + 200 + LOG_ROOM_AFTER];
    size_t length = (size_t)snprintf(buffer + LOG_ROOM_BEFORE, 200, "%s", text);
    log_target_write(LOG_INFO, buffer + LOG_ROOM_BEFORE, length, NULL);
}

static void expect(const char *text, const char *pattern)
{
    regex_t compiled;
    ck_assert_int_eq(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(regexec(&compiled, text, 0, NULL, 0) == 0, "%s: %s", text, pattern);
    regfree(&compiled);
}

/* The next line that the daemon gets. */
static void expect_sent(int fd, const char *pattern)
{
    char text[300];
    ssize_t length = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    ck_assert_msg(length >= 0, "%s: nothing came", pattern);
    text[length] = '\0';
    expect(text, pattern);
}

static void expect_nothing_sent(void)
{
    char octet;
    ck_assert_int_eq(recv(listener, &octet, 1, MSG_DONTWAIT), -1);
}

/* All that stderr got since the last time. */
static void expect_stderr(const char *pattern)
{
    static char text[4096];
    static off_t seen;
    ssize_t length = pread(STDERR_FILENO, text, sizeof text - 1, seen);
    ck_assert_int_ge(length, 0);
    seen += length;
    text[length] = '\0';
    expect(text, pattern);
}

static void wait_for_retry(void)
{
    const struct timespec pause = {.tv_sec = RETRY_MS / 1000, .tv_nsec = 50000000};
    nanosleep(&pause, NULL);
}

static void expect_state(const char *place, const char *error, bool since)
{
    struct log_state state;
    log_target_state(&state);
    ck_assert_str_eq(state.place, place);
    expect(state.error, error);
    ck_assert_int_eq(state.since != 0, since);
    ck_assert_uint_eq(state.lost, 0);
}

static void start(void)
{
    log_target_open(LOG_TARGET_SYSLOG, LOG_LOCAL0, path);
}

#define STAMP "[A-Z][a-z]{2} [ 123][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"
#define LOST  "log: syslog accepts no lines \\(/dev/log: [A-Z][a-z ]+\\): they go to standard error"
#define BACK  "log: syslog accepts lines again, those since [-0-9T:]+Z went to standard error$"

START_TEST(test_a_daemon_gets_every_line)
{
    daemon_starts(SOCK_DGRAM);
    start();
    say("one");
    say("two");
    expect_sent(listener, "^<134>" STAMP " batvd\\[[0-9]+\\]: one$");
    expect_sent(listener, "^<134>" STAMP " batvd\\[[0-9]+\\]: two$");
    expect_stderr("^$");
    expect_state("syslog", "^$", false);
    ck_assert(log_target_look());
    ck_assert(!log_target_look());
}
END_TEST

START_TEST(test_no_daemon_at_the_start)
{
    start();
    expect_stderr("^" LOST " until it does\n$");
    say("one");
    say("two");
    expect_stderr("^one\ntwo\n$");
    expect_state("stderr", "^/dev/log: No such file", true);
    ck_assert(log_target_look());
    daemon_starts(SOCK_DGRAM);
    say("too early to look again");
    expect_nothing_sent();
    wait_for_retry();
    say("three");
    expect_sent(listener, "^<132>.*: " BACK);
    expect_sent(listener, ": three$");
    expect_stderr("^too early to look again\nlog: syslog accepts lines again, they now go there");
    expect_state("syslog", "^$", false);
}
END_TEST

START_TEST(test_a_look_finds_it_without_a_line)
{
    start();
    log_target_look();
    wait_for_retry();
    ck_assert(!log_target_look());
    daemon_starts(SOCK_DGRAM);
    wait_for_retry();
    ck_assert(log_target_look());
    expect_sent(listener, BACK);
    expect_state("syslog", "^$", false);
}
END_TEST

START_TEST(test_a_daemon_that_is_started_again_misses_nothing)
{
    daemon_starts(SOCK_DGRAM);
    start();
    say("one");
    daemon_ends();
    daemon_starts(SOCK_DGRAM);
    say("two");
    expect_sent(listener, ": two$");
    expect_stderr("^$");
}
END_TEST

START_TEST(test_a_daemon_that_ends_and_comes_back)
{
    daemon_starts(SOCK_DGRAM);
    start();
    say("one");
    daemon_ends();
    say("two");
    say("three");
    expect_stderr("^" LOST "[^\n]*\ntwo\nthree\n$");
    daemon_starts(SOCK_DGRAM);
    wait_for_retry();
    say("four");
    expect_sent(listener, BACK);
    expect_sent(listener, ": four$");
}
END_TEST

START_TEST(test_a_stream)
{
    daemon_starts(SOCK_STREAM);
    start();
    int probe = accept(listener, NULL, NULL);
    say("one");
    int fd = accept(listener, NULL, NULL);
    char text[100];
    ssize_t length = recv(fd, text, sizeof text, 0);
    ck_assert_int_gt(length, 5);
    ck_assert_int_eq(memcmp(text + length - 6, ": one", 6), 0);
    close(fd);
    say("two");
    fd = accept(listener, NULL, NULL);
    expect_sent(fd, ": two$");
    expect_stderr("^$");
    close(probe);
    close(fd);
}
END_TEST

/* One that hangs holds nobody up for ever. */
START_TEST(test_a_daemon_that_does_not_read)
{
    daemon_starts(SOCK_DGRAM);
    struct syslog_socket *way = syslog_socket_new(path);
    int error = 0;
    for (int i = 0; i < 100000 && error == 0; i++) {
        error = syslog_socket_send(way, LOG_INFO, "line", 4, false);
    }
    ck_assert_int_eq(error, EAGAIN);
    syslog_socket_free(way);
}
END_TEST

START_TEST(test_a_stderr_that_nobody_reads)
{
    int fd = open("/dev/null", O_WRONLY);
    dup2(fd, STDERR_FILENO);
    expect_state("nowhere", "^standard error is /dev/null$", false);
    start();
    expect_state("nowhere", "^/dev/log: No such file", true);
    daemon_starts(SOCK_DGRAM);
    wait_for_retry();
    say("one");
    expect_state("syslog", "^$", false);
}
END_TEST

START_TEST(test_what_stderr_does_not_take_is_counted)
{
    struct log_state state;
    int fd = open("/dev/full", O_WRONLY);
    dup2(fd, STDERR_FILENO);
    say("one");
    say("two");
    log_target_state(&state);
    ck_assert_uint_eq(state.lost, 2);
    ck_assert_str_eq(state.place, "stderr");
}
END_TEST

START_TEST(test_another_target_from_now_on)
{
    start();
    expect_stderr(LOST);
    log_target_open(LOG_TARGET_STDERR, LOG_LOCAL0, path);
    say("one");
    expect_stderr("^one\n$");
    expect_state("stderr", "^$", false);
    daemon_starts(SOCK_DGRAM);
    start();
    start();
    say("two");
    expect_sent(listener, ": two$");
    expect_nothing_sent();
}
END_TEST

START_TEST(test_no_journal)
{
    if (log_target_probe(LOG_TARGET_JOURNALD) == 0) {
        return; /* this machine has one */
    }
    log_target_open(LOG_TARGET_JOURNALD, LOG_MAIL, NULL);
    say("one");
    expect_stderr("^<4>log: journald accepts no lines \\(/run/systemd/journal/socket: No such "
                  "[^\n]*\n<6>one\n$");
    expect_state("stderr", "^/run/systemd/journal/socket: ", true);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_target");
    TCase *tcase = tcase_create("target");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_a_daemon_gets_every_line);
    tcase_add_test(tcase, test_no_daemon_at_the_start);
    tcase_add_test(tcase, test_a_look_finds_it_without_a_line);
    tcase_add_test(tcase, test_a_daemon_that_is_started_again_misses_nothing);
    tcase_add_test(tcase, test_a_daemon_that_ends_and_comes_back);
    tcase_add_test(tcase, test_a_stream);
    tcase_add_test(tcase, test_a_daemon_that_does_not_read);
    tcase_add_test(tcase, test_a_stderr_that_nobody_reads);
    tcase_add_test(tcase, test_what_stderr_does_not_take_is_counted);
    tcase_add_test(tcase, test_another_target_from_now_on);
    tcase_add_test(tcase, test_no_journal);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
