/*
 * The stack of every thread, ours and libmilter's: a thousand sessions must not reserve gigabytes.
 * A build with the thread sanitizer sets more, since that keeps its own state there.
 */
#ifndef BASE_STACK_H
#define BASE_STACK_H

#ifndef STACK_SIZE
#define STACK_SIZE (512 * 1024)
#endif

#endif
