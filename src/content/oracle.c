/* The loop between the question machine and whoever knows. No state; a row brings its own. */
#include "content/oracle.h"

enum answer oracle_ask(const struct oracle_set *oracles, enum fact fact,
                       const struct question *question)
{
    const struct oracle *oracle = &oracles->by_fact[fact];
    enum answer answer = oracle->ask != NULL ? oracle->ask(oracle->self, question) : ANSWER_NO;
    bool lacks = fact == FACT_CLASS || answer == ANSWER_NO || answer == ANSWER_EXHAUSTED;
    /* What was not searched to its end may hold what the answer lacks. */
    return lacks && question->content != NULL && !content_searched(question->content)
               ? ANSWER_OVERLOADED
               : answer;
}

void oracle_decide(const struct oracle_set *oracles, struct transaction *transaction,
                   struct content *content, struct claims *claims, time_t now)
{
    enum fact need;
    struct question question = {transaction, 0, content, claims, now};
    while (transaction_end(transaction, now, &need, &question.recipient) == POLICY_NEEDS) {
        transaction_answer(transaction, question.recipient, need,
                           oracle_ask(oracles, need, &question));
    }
}

void oracle_decide_rcpt(const struct oracle_set *oracles, struct transaction *transaction,
                        time_t now, struct reply *reply)
{
    enum fact need;
    struct question question = {transaction, 0, NULL, NULL, now};
    while (transaction_rcpt_needs(transaction, &need, &question.recipient)) {
        transaction_answer(transaction, question.recipient, need,
                           oracle_ask(oracles, need, &question));
    }
    transaction_rcpt_reply(transaction, reply);
}
