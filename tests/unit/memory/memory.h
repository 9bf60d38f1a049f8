/*
 * Memory, and what the libraries of the core make of it, that runs out at a chosen call.
 *
 * The programs here are linked so that the calls of our own objects come to memory.c (-Wl,--wrap);
 * the libraries keep theirs. A scenario is run with the first of its calls refused, with the
 * second, and so on until it passes untouched; then once more with all calls refused from the n-th
 * on. Each run must end with all memory freed again, and the scenario itself says whether what came
 * of it may be. Only the calls of the scenario's own thread are counted and refused.
 */
#ifndef BATV_TEST_MEMORY_H
#define BATV_TEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* What a run came to. */
enum memory_run {
    MEMORY_DONE,   /* as if nothing had been refused */
    MEMORY_REFUSED /* an error was told, and nothing has been changed */
};

typedef enum memory_run memory_scenario(void *context);

/* Runs the scenario for n = 1, 2, ...; at_least as many calls must be there to be refused. Fails
 * the test where a run leaks, or where the untouched one is refused. */
void memory_runs_out(const char *name, memory_scenario *scenario, void *context, unsigned at_least);

/* Has SQLite's own calls refused too, from now on. Before the first database is opened. */
void memory_serve_sqlite(void);

/* Within a scenario: what stands between is the test's own doing, and is not refused. */
void memory_hold(void);
void memory_go_on(void);

/* Fails the test and says at which call. */
void memory_wrong(const char *what) __attribute__((noreturn));
#define MEMORY_REQUIRE(condition)                                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            memory_wrong(#condition);                                                              \
        }                                                                                          \
    } while (0)

#endif
