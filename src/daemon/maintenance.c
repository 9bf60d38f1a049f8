/*
 * The maintenance thread sleeps in sigtimedwait(), which also brings SIGUSR1, the reload signal.
 * Jobs fall due by a clock that nobody sets; they get the time of day.
 */
#include "daemon/maintenance.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/stack.h"

enum { TICK_MS = 250, JOBS_MAX = 16 };

struct maintenance {
    const struct job *jobs;
    size_t count;
    void *self;
    int64_t due_ms[JOBS_MAX];
    pthread_t thread;
    atomic_bool ending;
};

void maintenance_block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int64_t steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void run_jobs(struct maintenance *m, bool signalled)
{
    int64_t now_ms = steady_ms();
    for (size_t i = 0; i < m->count && !m->ending; i++) {
        const struct job *job = &m->jobs[i];
        int64_t wait = m->due_ms[i] - now_ms;
        bool due = job->period_ms == 0 ? signalled : wait <= 0 || wait > job->period_ms;
        if (due) {
            m->due_ms[i] = now_ms + job->period_ms;
            job->run(m->self, time(NULL));
        }
    }
}

static void *run(void *argument)
{
    struct maintenance *m = argument;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    const struct timespec tick = {0, TICK_MS * 1000000L};
    while (!m->ending) {
        bool signalled = sigtimedwait(&set, NULL, &tick) == SIGUSR1;
        run_jobs(m, signalled);
    }
    return NULL;
}

struct maintenance *maintenance_start(const struct job jobs[], size_t count, void *self)
{
    struct maintenance *m = calloc(1, sizeof *m);
    if (m == NULL || count > JOBS_MAX) {
        free(m);
        return NULL;
    }
    m->jobs = jobs;
    m->count = count;
    m->self = self;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int error = pthread_create(&m->thread, &attributes, run, m);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        free(m);
        return NULL;
    }
    return m;
}

void maintenance_stop(struct maintenance *m)
{
    if (m == NULL) {
        return;
    }
    m->ending = true;
    pthread_kill(m->thread, SIGUSR1);
    pthread_join(m->thread, NULL);
    free(m);
}
