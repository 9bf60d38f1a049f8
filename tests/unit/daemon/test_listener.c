/* The listening socket in a folder of somebody else's, who changes it meanwhile. As root only. */
#include "daemon/listener.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../suite.h"

enum { OTHER = 65534, TRIES = 50000, SECONDS = 3 };

static char place[64];

static void make_place(void)
{
    snprintf(place, sizeof place, "/tmp/batv-listener-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(place));
    ck_assert_int_eq(chmod(place, 0755), 0);
    ck_assert_int_eq(chdir(place), 0);
    ck_assert_int_eq(mkdir("run", 0755), 0);
    int fd = open("roots", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert(chown("run", OTHER, OTHER) == 0);
}

static void remove_place(void)
{
    static const char *const names[] = {"run/link", "run/milter.sock.new", "run/milter.sock",
                                        "roots"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unlink(names[i]);
    }
    rmdir("run");
    ck_assert_int_eq(chdir("/"), 0);
    rmdir(place);
}

/* Puts a link to root's file where the new socket is, again and again. */
static void swap_for_ever(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir("run") != 0 || setgid(OTHER) != 0 || setuid(OTHER) != 0) {
        _exit(1);
    }
    for (;;) {
        struct stat st;
        if (lstat("milter.sock.new", &st) == 0 && S_ISSOCK(st.st_mode) &&
            symlink("../roots", "link") == 0) {
            (void)rename("link", "milter.sock.new");
        }
    }
}

static void listen_once(const struct config *config)
{
    struct listener listener;
    struct reason why;
    if (listener_open(config, OTHER, &listener, &why) == STATUS_OK) {
        listener_close(&listener);
    }
}

START_TEST(test_no_file_that_is_linked_in_is_given_away)
{
    struct stat st;
    char listen[128];
    if (geteuid() != 0) {
        return;
    }
    make_place();
    snprintf(listen, sizeof listen, "unix:%s/run/milter.sock", place);
    struct config config = {.listen = listen, .listen_mode = 0666};
    pid_t swapper = fork();
    ck_assert_int_ge(swapper, 0);
    if (swapper == 0) {
        swap_for_ever();
    }
    time_t end = time(NULL) + SECONDS;
    for (int i = 0; i < TRIES && time(NULL) < end; i++) {
        listen_once(&config);
        ck_assert_int_eq(stat("roots", &st), 0);
        ck_assert_uint_eq(st.st_uid, 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
    }
    kill(swapper, SIGKILL);
    waitpid(swapper, NULL, 0);
    remove_place();
}
END_TEST

START_TEST(test_the_folders_owner_binds)
{
    struct stat st;
    struct listener listener;
    struct reason why;
    char listen[128];
    if (geteuid() != 0) {
        return;
    }
    make_place();
    snprintf(listen, sizeof listen, "unix:%s/run/milter.sock", place);
    struct config config = {.listen = listen, .listen_mode = 0620};
    ck_assert_int_eq(listener_open(&config, 1, &listener, &why), STATUS_OK);
    ck_assert_int_eq(lstat("run/milter.sock", &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_uid, 1);
    ck_assert_uint_eq(st.st_mode & 07777, 0620);
    ck_assert_int_ne(lstat("run/milter.sock.new", &st), 0);
    ck_assert_uint_eq(geteuid(), 0);
    listener_close(&listener);
    ck_assert_int_ne(lstat("run/milter.sock", &st), 0);
    remove_place();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listener");
    TCase *tcase = tcase_create("folder of somebody else's");
    tcase_set_timeout(tcase, 10 * SECONDS);
    tcase_add_test(tcase, test_no_file_that_is_linked_in_is_given_away);
    tcase_add_test(tcase, test_the_folders_owner_binds);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
