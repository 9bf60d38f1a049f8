/*
 * Claims by many threads at a time: what they prove together is what an entry allows, and a bounce
 * that comes several times at once is counted once. What bounces claim is told by
 * test_evidence_returned.c.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "../core/fixture.h"
#include "base/stack.h"
#include "store/uses.h"

#define ADDRESS "alice@example.com"
#define NOTE    "message:0123456789abcdef"

enum { THREADS = 8, ROUNDS = 60, ALLOWED = 100 };

static struct ring *ring;
static struct journal *journal;
static struct uses *uses;
static time_t now;

static void setup(void)
{
    struct reason why;
    struct secret current;
    struct secret none = {.length = 0};
    now = noon_of(TODAY);
    ring = ring_new();
    ck_assert(secret_from_hex("0123456789abcdef0123456789abcdef", 32, &current));
    ck_assert_int_eq(ring_set_evidence(ring, &current, &none), STATUS_OK);
    ck_assert_int_eq(journal_open(NULL, 0, 0, &journal, &why), STATUS_OK);
    uses = uses_new(journal);
    ck_assert_ptr_nonnull(uses);
}

static void teardown(void)
{
    uses_free(uses);
    journal_close(journal);
    ring_free(ring);
}

struct crowd {
    bool same; /* the same bounce each time */
    bool put;  /* the note by which it is counted is there before */
    atomic_uint begun, yes, accepted, overloaded, exhausted;
};

/* Every third is let in by nobody. */
static void *work(void *context)
{
    struct crowd *crowd = context;
    const struct proof proof = {
        .ring = ring, .address = ADDRESS, .name = NOTE, .allowed = ALLOWED, .expires = TODAY + 30};
    for (int i = 0; i < ROUNDS; i++) {
        struct claims claims = {.uses = uses};
        char digest[24];
        unsigned number = atomic_fetch_add(&crowd->begun, 1);
        snprintf(digest, sizeof digest, "%u", crowd->same ? 0 : number);
        enum answer answer = claims_add(&claims, &proof, digest, now);
        bool accepted = answer == ANSWER_YES && number % 3 != 0;
        atomic_fetch_add(&crowd->yes, answer == ANSWER_YES);
        atomic_fetch_add(&crowd->accepted, accepted);
        atomic_fetch_add(&crowd->overloaded, answer == ANSWER_OVERLOADED);
        atomic_fetch_add(&crowd->exhausted, answer == ANSWER_EXHAUSTED);
        claims_settle(&claims, accepted, now);
    }
    return NULL;
}

static void run_crowd(struct crowd *crowd)
{
    pthread_t threads[THREADS];
    if (crowd->put) {
        journal_note_put(journal, ring, ADDRESS, NOTE, ALLOWED, TODAY + 30);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(atomic_load(&crowd->yes) + atomic_load(&crowd->overloaded) +
                          atomic_load(&crowd->exhausted),
                      THREADS * ROUNDS);
}

static unsigned used(void)
{
    struct journal_entry entry = {.used = 0};
    ck_assert_int_ne(journal_note_look(journal, ring, ADDRESS, NOTE, now, &entry), JOURNAL_NO);
    return entry.used;
}

START_TEST(test_no_more_than_allowed)
{
    struct crowd crowd = {.put = _i != 0};
    run_crowd(&crowd);
    ck_assert_uint_eq(atomic_load(&crowd.accepted), ALLOWED);
    ck_assert_uint_eq(used(), ALLOWED);
}
END_TEST

START_TEST(test_one_bounce_is_one_use)
{
    struct crowd crowd = {.same = true, .put = _i != 0};
    run_crowd(&crowd);
    /* A hundred tries more are free, each beyond is a use; of those that run at the moment when
     * the free ones end, each thread may have had one more. */
    unsigned accepted = atomic_load(&crowd.accepted);
    ck_assert_uint_ge(accepted, ALLOWED + 100);
    ck_assert_uint_le(accepted, ALLOWED + 100 + THREADS);
    ck_assert_uint_eq(used(), ALLOWED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("uses");
    TCase *tcase = tcase_create("uses");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_no_more_than_allowed, 0, 2);
    tcase_add_loop_test(tcase, test_one_bounce_is_one_use, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
