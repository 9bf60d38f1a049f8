/*
 * Before all else of each file that `make coverage` compiles: a process that ends by _exit leaves
 * its counts too. It includes nothing, since a test may give a name of the system's to something
 * else.
 */
#ifndef BATV_TEST_COVERAGE_H
#define BATV_TEST_COVERAGE_H

void __gcov_dump(void);
_Noreturn void _Exit(int status);

__attribute__((unused, noreturn)) static void coverage_exit(int status)
{
    __gcov_dump();
    _Exit(status);
}

#define _exit coverage_exit

#endif
