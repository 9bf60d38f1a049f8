/* What every test program does alike. All of it in this header: a test links nothing for it. */
#ifndef BATV_TEST_SUITE_H
#define BATV_TEST_SUITE_H

#include <check.h>
#include <stdlib.h>

/* As ck_assert, which sends a note to the parent process each time: too much for what runs a
 * million times. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            ck_abort_msg("%s", #condition);                                                        \
        }                                                                                          \
    } while (0)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Runs what a test program has put into a suite; the program's exit status. */
static inline int suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
