/*
 * The copy writes its answer into a pipe and ends without a word to anybody else: no exit handlers,
 * no sanitizer's report, no core, which would hold the secrets that were in memory, and nothing on
 * stderr, where LMDB speaks before it gives up.
 */
#include "store/journal_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

enum { FAULT_EXIT = 3 };

struct answer {
    enum status status;
    struct reason why;
};

/* Faults end the process, and nothing else disturbs it. */
static void set_signals(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        signal(faults[i], SIG_DFL);
        sigaddset(&set, faults[i]);
    }
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void hush(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) {
        dup2(nowhere, STDERR_FILENO);
        close(nowhere);
    }
}

static void run_child(journal_child_fn *work, void *context, void *result, size_t size, int fd)
{
    struct answer answer = {.why = {""}};
    set_signals();
    hush();
    answer.status = work(context, result, &answer.why);
    bool told = file_write_all(fd, &answer, sizeof answer) && file_write_all(fd, result, size);
    _exit(told ? 0 : FAULT_EXIT);
}

static enum status judge_end(int status, unsigned seconds, struct reason *why)
{
    if (!WIFSIGNALED(status)) {
        return reason_set(why, STATUS_INVALID, "looking at it has ended a process");
    }
    switch (WTERMSIG(status)) {
    case SIGALRM:
        return reason_set(why, STATUS_IO, "looking at it took more than %u seconds", seconds);
    case SIGKILL:
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
        return reason_set(why, STATUS_IO, "the process that looked at it was killed");
    default:
        return reason_set(why, STATUS_INVALID, "looking at it has ended a process by signal %d",
                          WTERMSIG(status));
    }
}

enum status journal_child_run(journal_child_fn *work, void *context, void *result, size_t size,
                              unsigned seconds, struct reason *why)
{
    int ends[2];
    struct answer answer;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return reason_set(why, STATUS_IO, "cannot make a pipe: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        alarm(seconds);
        run_child(work, context, result, size, ends[1]);
    }
    int error = errno;
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return reason_set(why, STATUS_IO, "cannot start a process: %s", strerror(error));
    }
    bool told = file_read_all(ends[0], &answer, sizeof answer) == (ssize_t)sizeof answer &&
                file_read_all(ends[0], result, size) == (ssize_t)size;
    close(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!told) {
        return judge_end(status, seconds, why);
    }
    return reason_set(why, answer.status, "%s", answer.why.text);
}
