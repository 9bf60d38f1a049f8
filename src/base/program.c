/*
 * Running another program. Its stdin is an anonymous file, so that feeding it can never block; its
 * stdout and stderr are pipes that are read together until both are closed. A program that takes
 * too long or says too much is killed. One thread; every descriptor made here is closed here.
 */
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

extern char **environ;

enum { SECONDS_MAX = 30, OUT_MAX = 16 << 20, ERR_MAX = 64 << 10 };

/* One pipe from the program. */
struct stream {
    int fd; /* -1: closed */
    char *text;
    size_t length;
    size_t capacity;
    size_t limit;
};

struct run {
    int input;
    int child_out;
    int child_err;
    struct stream streams[2]; /* stdout, stderr */
    pid_t pid;
};

static char *find_in(const char *folder, size_t length, const char *name)
{
    char *path = NULL;
    if (length == 0 || folder[0] != '/' ||
        asprintf(&path, "%.*s/%s", (int)length, folder, name) < 0) {
        return NULL;
    }
    if (access(path, X_OK) != 0) {
        free(path);
        return NULL;
    }
    return path;
}

char *program_find(const char *name)
{
    static const char fallback[] = "/usr/sbin:/sbin:/usr/local/sbin";
    const char *lists[] = {getenv("PATH"), fallback};
    char *path = NULL;
    for (size_t i = 0; i < 2 && path == NULL; i++) {
        const char *at = lists[i] != NULL ? lists[i] : "";
        while (*at != '\0' && path == NULL) {
            size_t length = strcspn(at, ":");
            path = find_in(at, length, name);
            at += length + (at[length] == ':');
        }
    }
    return path;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static bool open_pipe(struct stream *stream, int *other, size_t limit)
{
    int ends[2];
    stream->limit = limit;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    stream->fd = ends[0];
    *other = ends[1];
    return fcntl(stream->fd, F_SETFL, O_NONBLOCK) == 0;
}

static bool open_all(struct run *run, const char *input)
{
    run->input = memfd_create("input", MFD_CLOEXEC);
    return run->input >= 0 && (input == NULL || file_write_all(run->input, input, strlen(input))) &&
           lseek(run->input, 0, SEEK_SET) == 0 &&
           open_pipe(&run->streams[0], &run->child_out, OUT_MAX) &&
           open_pipe(&run->streams[1], &run->child_err, ERR_MAX);
}

/* 0 or an error number. */
static int spawn(struct run *run, const char *const argv[])
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        return error;
    }
    error = posix_spawn_file_actions_adddup2(&actions, run->input, STDIN_FILENO);
    if (error == 0) {
        error = posix_spawn_file_actions_adddup2(&actions, run->child_out, STDOUT_FILENO);
    }
    if (error == 0) {
        error = posix_spawn_file_actions_adddup2(&actions, run->child_err, STDERR_FILENO);
    }
    if (error == 0) {
        /* POSIX promises that posix_spawn leaves the arguments as they are. */
        union {
            const char *const *in;
            char *const *out;
        } arguments = {.in = argv};
        error = posix_spawn(&run->pid, argv[0], &actions, NULL, arguments.out, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    close_fd(&run->child_out);
    close_fd(&run->child_err);
    return error;
}

static bool stream_grow(struct stream *stream)
{
    size_t capacity = stream->capacity == 0 ? 8192 : 2 * stream->capacity;
    char *text = realloc(stream->text, capacity);
    if (text == NULL) {
        return false;
    }
    stream->text = text;
    stream->capacity = capacity;
    return true;
}

/* Takes what is there. False: it says too much, or there is no memory. */
static bool stream_read(struct stream *stream)
{
    if (stream->length + 1 >= stream->capacity && !stream_grow(stream)) {
        return false;
    }
    ssize_t got =
        read(stream->fd, stream->text + stream->length, stream->capacity - stream->length - 1);
    if (got > 0) {
        stream->length += (size_t)got;
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_fd(&stream->fd);
    }
    return stream->length <= stream->limit;
}

static int milliseconds_until(const struct timespec *end)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long left =
        (long long)(end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
    return left > 0 && left < INT_MAX ? (int)left : 0;
}

/* NULL once the program has closed both pipes, or what was wrong. */
static const char *read_all(struct run *run)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += SECONDS_MAX;
    while (run->streams[0].fd >= 0 || run->streams[1].fd >= 0) {
        struct pollfd wait[2] = {{.fd = run->streams[0].fd, .events = POLLIN},
                                 {.fd = run->streams[1].fd, .events = POLLIN}};
        int left = milliseconds_until(&end);
        int ready = left > 0 ? poll(wait, 2, left) : 0;
        if (ready == 0) {
            return "took too long";
        }
        for (size_t i = 0; ready > 0 && i < 2; i++) {
            if (wait[i].revents != 0 && !stream_read(&run->streams[i])) {
                return "said too much";
            }
        }
    }
    return NULL;
}

/* Its wait status. */
static int reap(struct run *run, bool end)
{
    int status = 0;
    if (end) {
        kill(run->pid, SIGKILL);
    }
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static char *take_text(struct stream *stream)
{
    char *text = stream->text != NULL ? stream->text : calloc(1, 1);
    if (text != NULL) {
        text[stream->length] = '\0';
    }
    stream->text = NULL;
    return text;
}

static enum status collect(struct run *run, const char *name, struct program_output *out,
                           struct reason *why)
{
    const char *wrong = read_all(run);
    int status = reap(run, wrong != NULL);
    if (wrong != NULL) {
        return reason_set(why, STATUS_IO, "%s %s", name, wrong);
    }
    if (!WIFEXITED(status)) {
        return reason_set(why, STATUS_IO, "%s was killed by signal %d", name, WTERMSIG(status));
    }
    out->exit = WEXITSTATUS(status);
    out->out = take_text(&run->streams[0]);
    out->err = take_text(&run->streams[1]);
    if (out->out == NULL || out->err == NULL) {
        program_output_free(out);
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    return STATUS_OK;
}

enum status program_run(const char *const argv[], const char *input, struct program_output *out,
                        struct reason *why)
{
    struct run run = {.input = -1, .child_out = -1, .child_err = -1};
    enum status status = STATUS_IO;
    run.streams[0].fd = run.streams[1].fd = -1;
    *out = (struct program_output){.out = NULL};
    int error = open_all(&run, input) ? spawn(&run, argv) : errno;
    if (error != 0) {
        reason_write(why, "%s cannot be run: %s", argv[0], strerror(error));
    } else {
        status = collect(&run, argv[0], out, why);
    }
    close_fd(&run.input);
    close_fd(&run.child_out);
    close_fd(&run.child_err);
    for (size_t i = 0; i < 2; i++) {
        close_fd(&run.streams[i].fd);
        free(run.streams[i].text);
    }
    return status;
}

char *program_quote(const char *argument)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,";
    size_t length = strlen(argument);
    if (length > 0 && strspn(argument, safe) == length) {
        return strdup(argument);
    }
    char *quoted = malloc(4 * length + 3);
    char *to = quoted;
    if (quoted == NULL) {
        return NULL;
    }
    *to++ = '\'';
    for (; *argument != '\0'; argument++) {
        if (*argument == '\'') {
            memcpy(to, "'\\''", 4);
            to += 4;
        } else {
            *to++ = *argument;
        }
    }
    *to++ = '\'';
    *to = '\0';
    return quoted;
}

void program_output_free(struct program_output *out)
{
    free(out->out);
    free(out->err);
    *out = (struct program_output){.out = NULL};
}
