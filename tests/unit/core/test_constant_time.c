/*
 * What is compared with a MAC or is a secret takes the same number of instructions whatever it is:
 * a forger who may try as often as he likes learns nothing from how long it took, octet by octet.
 * Each piece of work runs in a child that is stepped through, one instruction at a time; the child
 * starts from the same memory each time, so the count is exact. tests/bench/timing measures time
 * itself.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#include "batv/evidence.h"
#include "batv/journal_entry.h"

enum { STEPS_MAX = 5000000 };

typedef void work_fn(void *context);

static void work_as_child(work_fn *work, void *context)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        _exit(1);
    }
    raise(SIGSTOP);
    work(context);
    raise(SIGSTOP);
    _exit(0);
}

/* Instructions from one stop to the next; 0: this process may not step through another. */
static long count_steps(work_fn *work, void *context)
{
    int status = 0;
    long steps = 0;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        work_as_child(work, context);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
        return 0;
    }
    do {
        ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_lt(++steps, STEPS_MAX);
    } while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    ck_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return steps;
}

/* On a busy machine the kernel now and then stops a child once more than it steps. */
enum { AGAIN = 3 };

static long least(long a, long b)
{
    return a < b ? a : b;
}

/* Compares the work on each context with that on the first. */
static void same_steps(const char *name, work_fn *work, void *const contexts[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        work(contexts[i]); /* what is made once only, by libraries, too */
    }
    long first = count_steps(work, contexts[0]);
    for (size_t i = 1; i < count && first > 0; i++) {
        long steps = count_steps(work, contexts[i]);
        for (int again = 0; steps != first && again < AGAIN; again++) {
            first = least(first, count_steps(work, contexts[0]));
            steps = least(steps, count_steps(work, contexts[i]));
        }
        ck_assert_msg(steps == first, "%s: %ld instructions for the first, %ld for number %zu",
                      name, first, steps, i);
    }
}

#define SAME_STEPS(name, work, ...)                                                                \
    same_steps((name), (work), (void *const[]){__VA_ARGS__},                                       \
               COUNT_OF(((void *const[]){__VA_ARGS__})))

/* ------------------------------------------------------------------------- works */

static struct ring *ring;
static volatile bool result;

static void setup(void)
{
    struct key_policy policy = keys_weekly(LIFETIME);
    uint8_t octets[SECRET_SIZE] = {5};
    ring = ring_new();
    ring_turn(ring, &policy, noon_of(TODAY - 1), 1);
    ck_assert_int_eq(ring_rotate_evidence(ring, octets), STATUS_OK);
}

static void teardown(void)
{
    ring_free(ring);
}

static void verify(void *context)
{
    struct tag_check check;
    char *plain = NULL;
    result = tag_verify(ring, context, LIFETIME, noon_of(TODAY), &check, &plain) == STATUS_OK &&
             check.result == RESULT_BAD_SIGNATURE;
    free(plain);
}

/* The address with a right tag, of whose MAC the digit at is another. */
static struct address forged(size_t at)
{
    struct address plain;
    struct address out;
    char *tagged = NULL;
    int key;
    int64_t expires;
    ck_assert_int_eq(address_parse("alice@example.com", &plain), STATUS_OK);
    ck_assert_int_eq(
        tag_sign(ring, &plain, TAG_PREFIX, LIFETIME, noon_of(TODAY), &tagged, &key, &expires),
        STATUS_OK);
    char *digit = strstr(tagged, "prvs=") + strlen("prvs=KDDD") + at;
    *digit = *digit >= 'a' ? (char)(*digit == 'a' ? 'b' : 'a') : (char)(*digit == '0' ? '1' : '0');
    ck_assert_int_eq(address_parse(tagged, &out), STATUS_OK);
    free(tagged);
    address_free(&plain);
    return out;
}

START_TEST(test_a_forged_tag)
{
    struct address forgeries[] = {forged(0), forged(1), forged(3), forged(5)};
    verify(&forgeries[0]);
    ck_assert(result);
    SAME_STEPS("tag", verify, &forgeries[0], &forgeries[1], &forgeries[2], &forgeries[3]);
    for (size_t i = 0; i < COUNT_OF(forgeries); i++) {
        address_free(&forgeries[i]);
    }
}
END_TEST

static void check_evidence(void *context)
{
    char nonce[EVIDENCE_NONCE_HEX];
    bool proves = true;
    result = evidence_check(ring, context, "alice@example.com", 30, noon_of(TODAY), &proves,
                            nonce) == STATUS_OK &&
             !proves;
}

START_TEST(test_a_forged_header)
{
    static const char *const addresses[] = {"alice@example.com"};
    static const uint8_t nonce[EVIDENCE_NONCE] = {1};
    char *values[3];
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        ck_assert_int_eq(evidence_format(ring, addresses, 1, nonce, noon_of(TODAY), &values[i]),
                         STATUS_OK);
        char *digit = strstr(values[i], "s=") + 2 + 11 * i;
        *digit = *digit == '0' ? '1' : '0';
    }
    check_evidence(values[0]);
    ck_assert(result);
    SAME_STEPS("header", check_evidence, values[0], values[1], values[2]);
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        free(values[i]);
    }
}
END_TEST

static void unpack(void *context)
{
    struct journal_entry entry = {.used = 0};
    result = journal_entry_unpack(ring, 0, context, &entry) == STATUS_INVALID;
}

START_TEST(test_a_forged_journal_entry)
{
    struct journal_entry entry = {.expires = TODAY, .allowed = 23};
    uint8_t values[3][JOURNAL_VALUE];
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        ck_assert_int_eq(journal_entry_pack(ring, 0, &entry, values[i]), STATUS_OK);
        values[i][JOURNAL_VALUE - 1 - 5 * i] ^= 0x40;
    }
    unpack(values[0]);
    ck_assert(result);
    SAME_STEPS("journal", unpack, values[0], values[1], values[2]);
}
END_TEST

static void read_and_write(void *context)
{
    struct secret secret;
    char hex[SECRET_HEX];
    result = secret_from_hex(context, strlen(context), &secret);
    secret_to_hex(&secret, hex);
}

START_TEST(test_digits_of_a_secret)
{
    /* In lines of the cache of their own: strlen(3) counts otherwise where a text crosses a page.
     */
    static _Alignas(64) char texts[3][64] = {"00000000000000000000000000000000",
                                             "ffffffffffffffffffffffffffffffff",
                                             "09af09af09af09af09afAF90AF90AF90"};
    SAME_STEPS("digits", read_and_write, texts[0], texts[1], texts[2]);
}
END_TEST

/* As one would write it who does not think of that. */
static void compare_carelessly(void *context)
{
    static const char right[] = "a1b2c3";
    const volatile char *text = context;
    size_t i = 0;
    while (i < 6 && text[i] == right[i]) {
        i++;
    }
    result = i == 6;
}

START_TEST(test_a_careless_comparison_is_noticed)
{
    char first[] = "b1b2c3";
    char last[] = "a1b2c4";
    long steps = count_steps(compare_carelessly, first);
    ck_assert(steps == 0 || steps != count_steps(compare_carelessly, last));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("constant_time");
    TCase *tcase = tcase_create("instructions");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_a_forged_tag);
    tcase_add_test(tcase, test_a_forged_header);
    tcase_add_test(tcase, test_a_forged_journal_entry);
    tcase_add_test(tcase, test_digits_of_a_secret);
    tcase_add_test(tcase, test_a_careless_comparison_is_noticed);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
