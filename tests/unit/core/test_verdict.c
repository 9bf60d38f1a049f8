/*
 * How many recipients' verdicts become one reply: every pair, every triple and random larger
 * messages against the three sentences of the contract, told once more by counting.
 */
#include "fixture.h"

#include "batv/verdict.h"

/*
 * 1. Any tempfail: 451, nothing changed.
 * 2. All reject, or reject and discard: 550; all discard: discarded.
 * 3. Otherwise accepted for the kept; a kept quarantine holds it, a kept mark adds the header.
 */
static struct outcome oracle(const enum action actions[], size_t count)
{
    size_t times[ACTION_COUNT] = {0};
    for (size_t i = 0; i < count; i++) {
        times[actions[i]]++;
    }
    if (times[ACTION_TEMPFAIL] > 0) {
        return (struct outcome){DISPOSITION_TEMPFAIL, false, false};
    }
    if (count > 0 && times[ACTION_DISCARD] == count) {
        return (struct outcome){DISPOSITION_DISCARD, false, false};
    }
    if (count > 0 && times[ACTION_REJECT] + times[ACTION_DISCARD] == count) {
        return (struct outcome){DISPOSITION_REJECT, false, false};
    }
    return (struct outcome){DISPOSITION_KEEP, times[ACTION_QUARANTINE] > 0, times[ACTION_MARK] > 0};
}

static void check(const enum action actions[], size_t count)
{
    struct outcome expected = oracle(actions, count);
    struct outcome outcome;
    memset(&outcome, 0xff, sizeof outcome);
    verdict_combine(actions, count, &outcome);
    if (outcome.disposition != expected.disposition || outcome.quarantine != expected.quarantine ||
        outcome.mark != expected.mark) {
        char text[200] = "";
        int used = 0;
        for (size_t i = 0; i < count && i < 8; i++) {
            used +=
                snprintf(text + used, sizeof text - (size_t)used, " %s", action_name(actions[i]));
        }
        ck_abort_msg("%zu verdicts:%s: %d %d %d, expected %d %d %d", count, text,
                     (int)outcome.disposition, outcome.quarantine, outcome.mark,
                     (int)expected.disposition, expected.quarantine, expected.mark);
    }
}

static const struct {
    const char *name;
    enum action actions[3];
    size_t count;
    enum disposition disposition;
} named[] = {
    {"no recipients", {ACTION_ACCEPT}, 0, DISPOSITION_KEEP},
    {"one accepted", {ACTION_ACCEPT}, 1, DISPOSITION_KEEP},
    {"one rejected", {ACTION_REJECT}, 1, DISPOSITION_REJECT},
    {"one discarded", {ACTION_DISCARD}, 1, DISPOSITION_DISCARD},
    {"one deferred", {ACTION_TEMPFAIL}, 1, DISPOSITION_TEMPFAIL},
    {"one of two rejected", {ACTION_REJECT, ACTION_LOG}, 2, DISPOSITION_KEEP},
    {"one of two discarded", {ACTION_ACCEPT, ACTION_DISCARD}, 2, DISPOSITION_KEEP},
    {"rejected and discarded", {ACTION_DISCARD, ACTION_REJECT}, 2, DISPOSITION_REJECT},
    {"deferred wins over rejected", {ACTION_REJECT, ACTION_TEMPFAIL}, 2, DISPOSITION_TEMPFAIL},
    {"deferred wins over accepted", {ACTION_ACCEPT, ACTION_TEMPFAIL}, 2, DISPOSITION_TEMPFAIL},
    {"all three ways out", {ACTION_DISCARD, ACTION_REJECT, ACTION_QUARANTINE}, 3, DISPOSITION_KEEP},
};

START_TEST(test_named)
{
    struct outcome outcome;
    verdict_combine(named[_i].actions, named[_i].count, &outcome);
    ck_assert_msg(outcome.disposition == named[_i].disposition, "%s: %d", named[_i].name,
                  (int)outcome.disposition);
}
END_TEST

START_TEST(test_all_ones_pairs_and_triples)
{
    enum action a[3] = {ACTION_ACCEPT};
    check(a, 0);
    for (int i = 0; i < ACTION_COUNT * ACTION_COUNT * ACTION_COUNT; i++) {
        a[0] = (enum action)(i % ACTION_COUNT);
        a[1] = (enum action)(i / ACTION_COUNT % ACTION_COUNT);
        a[2] = (enum action)(i / ACTION_COUNT / ACTION_COUNT);
        check(a, 1);
        check(a, 2);
        check(a, 3);
    }
}
END_TEST

START_TEST(test_random_messages_in_any_order)
{
    enum { MOST = 50 };
    struct chance chance = {5};
    enum action actions[MOST];
    for (int i = 0; i < 20000; i++) {
        size_t count = 4 + chance_below(&chance, MOST - 3);
        /* Out of few kinds at a time, else hardly a message would be without a tempfail. */
        enum action kinds[3];
        for (size_t k = 0; k < COUNT_OF(kinds); k++) {
            kinds[k] = (enum action)chance_below(&chance, ACTION_COUNT);
        }
        for (size_t k = 0; k < count; k++) {
            actions[k] = kinds[chance_below(&chance, COUNT_OF(kinds))];
        }
        check(actions, count);
        for (size_t k = count - 1; k > 0; k--) {
            size_t other = chance_below(&chance, k + 1);
            enum action swap = actions[k];
            actions[k] = actions[other];
            actions[other] = swap;
        }
        check(actions, count);
    }
}
END_TEST

START_TEST(test_what_keeps_a_recipient)
{
    ck_assert(action_keeps(ACTION_ACCEPT));
    ck_assert(action_keeps(ACTION_LOG));
    ck_assert(action_keeps(ACTION_MARK));
    ck_assert(action_keeps(ACTION_QUARANTINE));
    ck_assert(!action_keeps(ACTION_TEMPFAIL));
    ck_assert(!action_keeps(ACTION_REJECT));
    ck_assert(!action_keeps(ACTION_DISCARD));
    ck_assert_int_eq(ACTION_COUNT, 7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verdict");
    TCase *tcase = tcase_create("verdict");
    tcase_add_loop_test(tcase, test_named, 0, (int)COUNT_OF(named));
    tcase_add_test(tcase, test_all_ones_pairs_and_triples);
    tcase_add_test(tcase, test_random_messages_in_any_order);
    tcase_add_test(tcase, test_what_keeps_a_recipient);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
