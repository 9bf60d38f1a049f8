/* The loop between the question machine and whoever knows. No state; a row brings its own. */
#include "content/oracle.h"

struct finding oracle_ask(const struct oracle_set *oracles, const struct question *question,
                          const struct exhibits *exhibits)
{
    const struct oracle *oracle = &oracles->by_fact[question->fact];
    struct finding finding = {.answer = ANSWER_NO};
    if (oracle->ask != NULL) {
        finding = oracle->ask(oracle->self, question, exhibits);
    }
    bool lacks = question->fact == FACT_CLASS || finding.answer == ANSWER_NO ||
                 finding.answer == ANSWER_EXHAUSTED;
    /* What was not searched to its end may hold what the answer lacks. */
    if (lacks && exhibits->content != NULL && !content_searched(exhibits->content)) {
        finding.answer = ANSWER_OVERLOADED;
    }
    return finding;
}

void oracle_decide(const struct oracle_set *oracles, struct transaction *transaction,
                   const struct exhibits *exhibits)
{
    struct question question;
    while (transaction_asks(transaction, &question)) {
        struct finding finding = oracle_ask(oracles, &question, exhibits);
        transaction_answer(transaction, &question, &finding);
    }
}
