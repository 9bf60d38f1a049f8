/*
 * The resolver against a real name server on a loopback address: nsd, installed or unpacked below
 * build/. Each test makes its own; the server is one for all. Port 53 takes root.
 */
#include "dns/resolver.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../suite.h"

enum { PATH = 256, TIMEOUT_MS = 5000 };

static char folder[] = "/tmp/batv-resolver.XXXXXX";
static char server[] = "127.53.255.255"; /* room for any */
static char resolv_conf[PATH], silent_conf[PATH], hosts[PATH];
static pid_t nsd;
static struct resolver *resolver;

static const char zone[] = "$ORIGIN test.\n$TTL 60\n@ SOA ns root 1 60 60 60 1\n@ NS ns\n"
                           "ns A 127.0.0.1\n"
                           "two MX 20 b.two\ntwo MX 10 a.two\na.two A 192.0.2.1\n"
                           "b.two A 192.0.2.2\nb.two AAAA 2001:db8::2\n"
                           "none A 192.0.2.3\nnull MX 0 .\nnull A 192.0.2.4\n"
                           "alias CNAME two\n"
                           "same MX 1 a.two\nsame MX 2 a.two\nsame MX 3 a.two\n";

static void write_file(char path[static PATH], const char *name, const char *text)
{
    snprintf(path, PATH, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static bool is_free(const char *address)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    inet_pton(AF_INET, address, &at.sin_addr);
    bool bound = bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return bound;
}

static const char *program(void)
{
    return access("/usr/sbin/nsd", X_OK) == 0 ? "/usr/sbin/nsd" : "build/nsd-root/usr/sbin/nsd";
}

static void start_server(void)
{
    char conf[PATH], path[PATH], text[2048];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (unsigned i = 0; i < 200; i++) {
        unsigned number = (unsigned)getpid() + 7 * i;
        snprintf(server, sizeof server, "127.53.%u.%u", number / 250 % 250, number % 250 + 1);
        if (is_free(server)) {
            break;
        }
    }
    write_file(path, "zone", zone);
    snprintf(text, sizeof text,
             "server:\n ip-address: %s\n port: 53\n username: \"\"\n database: \"\"\n"
             " server-count: 1\n zonesdir: \"%s\"\n pidfile: \"%s/pid\"\n xfrdfile: \"%s/xfrd\"\n"
             " xfrdir: \"%s\"\n zonelistfile: \"%s/zones\"\n logfile: \"%s/log\"\n"
             "remote-control:\n control-enable: no\nzone:\n name: test.\n zonefile: \"zone\"\n"
             "zone:\n name: broken.\n zonefile: \"missing\"\n",
             server, folder, folder, folder, folder, folder, folder);
    write_file(conf, "conf", text);
    snprintf(text, sizeof text, "nameserver %s\n", server);
    write_file(resolv_conf, "resolv.conf", text);
    write_file(silent_conf, "silent.conf", "nameserver 127.53.255.254\n");
    write_file(hosts, "hosts",
               "127.0.0.1 localhost\n192.0.2.9 only-here.test\n198.51.100.1 two.test\n");
    nsd = fork();
    if (nsd == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDERR_FILENO);
        execl(program(), "nsd", "-d", "-c", conf, (char *)NULL);
        _exit(127);
    }
}

static void stop_server(void)
{
    static const char *const names[] = {"zone", "conf", "resolv.conf", "silent.conf", "hosts",
                                        "pid",  "xfrd", "zones",       "log"};
    kill(nsd, SIGTERM);
    waitpid(nsd, NULL, 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[PATH];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* The answer as text: addresses in their order of text, then the trouble. */
static void ask(const char *name, bool mx, unsigned timeout_ms, char *out, size_t size)
{
    struct resolver_question question = {name, mx};
    struct resolver_answer answer;
    char addresses[8][INET6_ADDRSTRLEN];
    size_t used = 0;
    resolver_ask(resolver, &question, 1, timeout_ms, &answer);
    ck_assert_uint_le(answer.count, 8);
    for (size_t i = 0; i < answer.count; i++) {
        const uint8_t *octets = answer.addresses[i].octets;
        inet_ntop(AF_INET6, octets, addresses[i], sizeof addresses[i]);
    }
    qsort(addresses, answer.count, sizeof *addresses, (int (*)(const void *, const void *))strcmp);
    out[0] = '\0';
    for (size_t i = 0; i < answer.count; i++) {
        used += (size_t)snprintf(out + used, size - used, "%s ", addresses[i]);
    }
    snprintf(out + used, size - used, "%s", answer.trouble != NULL ? answer.trouble : ".");
    resolver_answers_free(&answer, 1);
}

/* The first question waits for nsd to be there. */
static void setup(void)
{
    char out[512] = "";
    static const struct timespec moment = {.tv_nsec = 50000000};
    for (int i = 0; i < 200 && strcmp(out, "::ffff:192.0.2.3 .") != 0; i++) {
        resolver_free(resolver);
        resolver = resolver_new(resolv_conf, hosts);
        ck_assert_ptr_nonnull(resolver);
        ask("none.test", false, 100, out, sizeof out);
        if (strcmp(out, "::ffff:192.0.2.3 .") != 0) {
            nanosleep(&moment, NULL);
        }
    }
    ck_assert_str_eq(out, "::ffff:192.0.2.3 .");
}

static void teardown(void)
{
    resolver_free(resolver);
    resolver = NULL;
}

static const struct {
    const char *name;
    bool mx;
    const char *expected;
} answers[] = {
    {"two.test", true, "2001:db8::2 ::ffff:192.0.2.1 ::ffff:192.0.2.2 ."},
    {"two.test", false, "::ffff:198.51.100.1 ."},
    {"alias.test", true, "2001:db8::2 ::ffff:192.0.2.1 ::ffff:192.0.2.2 ."},
    {"same.test", true, "::ffff:192.0.2.1 ."},
    {"none.test", true, "::ffff:192.0.2.3 ."},
    {"null.test", true, "."},
    {"null.test", false, "::ffff:192.0.2.4 ."},
    {"gone.test", true, "."},
    {"gone.test", false, "."},
    {"only-here.test", false, "::ffff:192.0.2.9 ."},
    {"broken", true, "SERVFAIL"},
    {"broken", false, "SERVFAIL"},
    {"no..name", true, "syntax error"},
};

START_TEST(test_answer)
{
    char out[512];
    ask(answers[_i].name, answers[_i].mx, TIMEOUT_MS, out, sizeof out);
    ck_assert_str_eq(out, answers[_i].expected);
}
END_TEST

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

START_TEST(test_silent_server)
{
    struct resolver_question questions[] = {{"a.test", true}, {"b.test", true}, {"c.test", false}};
    struct resolver_answer got[3];
    struct resolver *silent = resolver_new(silent_conf, hosts);
    double begun = seconds();
    resolver_ask(silent, questions, 3, 300, got);
    ck_assert_double_lt(seconds() - begun, 2);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(got[i].count, 0);
        ck_assert_str_eq(got[i].trouble, "no answer in time");
    }
    resolver_answers_free(got, 3);
    begun = seconds();
    resolver_free(silent);
    ck_assert_double_lt(seconds() - begun, 2);
}
END_TEST

/* More than there is room for: the rest is said to be missing at once. */
START_TEST(test_too_many)
{
    enum { COUNT = 5000 };
    static struct resolver_question questions[COUNT];
    static struct resolver_answer got[COUNT];
    static char names[COUNT][16];
    struct resolver *silent = resolver_new(silent_conf, hosts);
    size_t refused = 0;
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "n%zu.test", i);
        questions[i] = (struct resolver_question){names[i], true};
    }
    /* What waits goes with its asker; what runs does not, as soon as the thread is there for it. */
    for (int turn = 0; turn < 100 && refused != COUNT - 4096 + 256; turn++) {
        resolver_ask(silent, questions, COUNT, 100, got);
        refused = 0;
        for (size_t i = 0; i < COUNT; i++) {
            ck_assert_ptr_nonnull(got[i].trouble);
            refused += strcmp(got[i].trouble, "too many lookups at a time") == 0;
        }
        ck_assert_uint_ge(refused, COUNT - 4096);
        resolver_answers_free(got, COUNT);
    }
    ck_assert_uint_eq(refused, COUNT - 4096 + 256);
    resolver_free(silent);
}
END_TEST

START_TEST(test_no_resolv_conf)
{
    char path[PATH], out[512];
    snprintf(path, sizeof path, "%s/nothing", folder);
    resolver_free(resolver);
    resolver = resolver_new(path, hosts);
    ask("two.test", true, TIMEOUT_MS, out, sizeof out);
    ck_assert_str_eq(out, "cannot read resolv.conf");
    /* It comes into being. */
    char text[64];
    snprintf(text, sizeof text, "nameserver %s\n", server);
    write_file(path, "nothing", text);
    double begun = seconds();
    do {
        ask("none.test", true, TIMEOUT_MS, out, sizeof out);
    } while (strcmp(out, "cannot read resolv.conf") == 0 && seconds() - begun < 10);
    unlink(path);
    ck_assert_str_eq(out, "::ffff:192.0.2.3 .");
}
END_TEST

/* What libunbound talks to its thread through: a fault that it cannot mend. */
static void break_pipes(void)
{
    unsigned broken = 0;
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++) {
        int domain = 0;
        socklen_t size = sizeof domain;
        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX) {
            ck_assert_int_eq(shutdown(fd, SHUT_RDWR), 0);
            broken++;
        }
    }
    ck_assert_uint_gt(broken, 0);
}

/* Whoever asks is told at once, and is answered again when there is a new one. */
START_TEST(test_lost_library)
{
    char out[512];
    double begun = seconds();
    break_pipes();
    do {
        ask("none.test", false, TIMEOUT_MS, out, sizeof out);
        ck_assert_str_ne(out, "no answer in time");
    } while (strcmp(out, "::ffff:192.0.2.3 .") != 0 && seconds() - begun < 10);
    ck_assert_str_eq(out, "::ffff:192.0.2.3 .");
}
END_TEST

static void *keep_asking(void *argument)
{
    unsigned timeout_ms = *(unsigned *)argument;
    for (int i = 0; i < 60; i++) {
        struct resolver_question questions[] = {
            {"two.test", true}, {"none.test", true}, {"null.test", true}, {"alias.test", false}};
        struct resolver_answer got[4];
        resolver_ask(resolver, questions, 4, timeout_ms, got);
        if (timeout_ms > 1000) {
            ck_assert_uint_eq(got[0].count, 3);
            ck_assert_uint_eq(got[1].count, 1);
            ck_assert_uint_eq(got[2].count, 0);
        }
        resolver_answers_free(got, 4);
    }
    return NULL;
}

/* Some go before their answers come, which then find nobody. */
START_TEST(test_many_askers)
{
    enum { ASKERS = 8 };
    static unsigned timeouts[ASKERS] = {TIMEOUT_MS, 0, TIMEOUT_MS, 1, TIMEOUT_MS, 0, 2, 1};
    pthread_t threads[ASKERS];
    for (size_t i = 0; i < ASKERS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_asking, &timeouts[i]), 0);
    }
    for (size_t i = 0; i < ASKERS; i++) {
        pthread_join(threads[i], NULL);
    }
}
END_TEST

static void *ask_silent(void *silent)
{
    struct resolver_question question = {"a.test", true};
    struct resolver_answer got;
    resolver_ask(silent, &question, 1, 30000, &got);
    ck_assert_ptr_nonnull(got.trouble);
    resolver_answers_free(&got, 1);
    return NULL;
}

START_TEST(test_stop)
{
    struct resolver *silent = resolver_new(silent_conf, hosts);
    static const struct timespec moment = {.tv_nsec = 100000000};
    pthread_t asker;
    double begun = seconds();
    pthread_create(&asker, NULL, ask_silent, silent);
    nanosleep(&moment, NULL);
    resolver_stop(silent);
    pthread_join(asker, NULL);
    ask_silent(silent); /* and nobody waits who comes later */
    resolver_free(silent);
    ck_assert_double_lt(seconds() - begun, 5);
}
END_TEST

START_TEST(test_never_asked)
{
    resolver_free(resolver_new(NULL, NULL));
    resolver_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resolver");
    TCase *tcase = tcase_create("resolver");
    if (geteuid() != 0 || access(program(), X_OK) != 0) {
        fputs("test_resolver: needs root for port 53, and nsd ('make deps')\n", stderr);
        return 77; /* where only the unit tests run, that is no failure */
    }
    tcase_add_unchecked_fixture(tcase, start_server, stop_server);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_answer, 0, sizeof answers / sizeof *answers);
    tcase_add_test(tcase, test_silent_server);
    tcase_add_test(tcase, test_too_many);
    tcase_add_test(tcase, test_no_resolv_conf);
    tcase_add_test(tcase, test_lost_library);
    tcase_add_test(tcase, test_many_askers);
    tcase_add_test(tcase, test_stop);
    tcase_add_test(tcase, test_never_asked);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
