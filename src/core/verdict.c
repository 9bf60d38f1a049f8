/*
 * Many recipients, one reply. Two tables: what an action makes of its recipient, and what two
 * dispositions make together; the second is associative and commutative, so folding it over all
 * recipients gives the same in any order. Pure.
 */
#include "batv/verdict.h"

#include <assert.h>

static const struct effect_of_action {
    enum disposition disposition;
    bool quarantine;
    bool mark;
} effects[ACTION_COUNT] = {
    [ACTION_ACCEPT] = {DISPOSITION_KEEP, false, false},
    [ACTION_LOG] = {DISPOSITION_KEEP, false, false},
    [ACTION_MARK] = {DISPOSITION_KEEP, false, true},
    [ACTION_QUARANTINE] = {DISPOSITION_KEEP, true, false},
    [ACTION_TEMPFAIL] = {DISPOSITION_TEMPFAIL, false, false},
    [ACTION_REJECT] = {DISPOSITION_REJECT, false, false},
    [ACTION_DISCARD] = {DISPOSITION_DISCARD, false, false},
};

#define K DISPOSITION_KEEP
#define T DISPOSITION_TEMPFAIL
#define R DISPOSITION_REJECT
#define D DISPOSITION_DISCARD
static const enum disposition combined[4][4] = {
    /*        K  T  R  D */
    [K] = {K, T, K, K},
    [T] = {T, T, T, T},
    [R] = {K, T, R, R},
    [D] = {K, T, R, D},
};
#undef K
#undef T
#undef R
#undef D

bool action_keeps(enum action action)
{
    assert(action >= 0 && action < ACTION_COUNT);
    return effects[action].disposition == DISPOSITION_KEEP;
}

void verdict_combine(const enum action actions[], size_t count, struct outcome *out)
{
    *out = (struct outcome){DISPOSITION_KEEP, false, false};
    for (size_t i = 0; i < count; i++) {
        assert(actions[i] >= 0 && actions[i] < ACTION_COUNT);
        const struct effect_of_action *effect = &effects[actions[i]];
        out->disposition =
            i == 0 ? effect->disposition : combined[out->disposition][effect->disposition];
        out->quarantine = out->quarantine || effect->quarantine;
        out->mark = out->mark || effect->mark;
    }
    if (out->disposition != DISPOSITION_KEEP) {
        out->quarantine = false;
        out->mark = false;
    }
}
