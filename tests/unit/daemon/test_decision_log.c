/* Decisions as lines of the log: stderr is a file. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "../suite.h"
#include "base/log.h"
#include "daemon/decision_log.h"

static void setup(void)
{
    char name[] = "/tmp/batv-decision-log.XXXXXX";
    int fd = mkstemp(name);
    ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    unlink(name);
}

/* All that stderr got. */
static const char *written(void)
{
    static char text[2 * DECISION_LINE];
    ssize_t length = pread(STDERR_FILENO, text, sizeof text - 1, 0);
    ck_assert_int_ge(length, 0);
    text[length] = '\0';
    return text;
}

static struct decision skip(const char *sender)
{
    return (struct decision){
        .kind = DECISION_SIGN_SKIP, .queue_id = "4XyZ", .sender = sender, .reason = "not-ours"};
}

START_TEST(test_a_decision_is_one_line)
{
    const struct decision decision = skip("a@example.com");
    decision_log(NULL, &decision);
    ck_assert_str_eq(written(), "4XyZ: sign-skip from=<a@example.com> reason=not-ours ring=0\n");
}
END_TEST

/* At every length around the room for a usual line. */
START_TEST(test_a_long_decision_is_one_whole_line)
{
    char address[401];
    char expected[DECISION_LINE + 1];
    bool longer = false;
    bool shorter = false;
    memset(address, 'a', sizeof address);
    address[sizeof address - 1] = '\0';
    for (size_t i = 0; i <= 300; i++) {
        struct decision decision = skip(address);
        decision.entry = address;
        decision.recipients = 2;
        decision.recipient = address + i;
        size_t length = decision_format(&decision, expected, DECISION_LINE);
        memcpy(expected + length, "\n", 2);
        decision_log(NULL, &decision);
        ck_assert_str_eq(written(), expected);
        ck_assert_int_eq(ftruncate(STDERR_FILENO, 0), 0);
        lseek(STDERR_FILENO, 0, SEEK_SET);
        longer = longer || length > 1024;
        shorter = shorter || length < 1023;
    }
    ck_assert(longer && shorter);
}
END_TEST

START_TEST(test_a_recipient_that_another_line_counts_gets_none)
{
    struct decision decision = skip("a@example.com");
    decision.counted = true;
    decision_log(NULL, &decision);
    ck_assert_str_eq(written(), "");
}
END_TEST

START_TEST(test_a_decision_for_debugging_needs_that_level)
{
    struct decision decision = skip("a@example.com");
    decision.debug = true;
    decision_log(NULL, &decision);
    ck_assert_str_eq(written(), "");
    log_open(LOG_TARGET_STDERR, LOG_MAIL, LOG_DEBUG);
    decision_log(NULL, &decision);
    ck_assert_ptr_nonnull(strstr(written(), "4XyZ: sign-skip "));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decision_log");
    TCase *tcase = tcase_create("decision_log");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, test_a_decision_is_one_line);
    tcase_add_test(tcase, test_a_long_decision_is_one_whole_line);
    tcase_add_test(tcase, test_a_recipient_that_another_line_counts_gets_none);
    tcase_add_test(tcase, test_a_decision_for_debugging_needs_that_level);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
