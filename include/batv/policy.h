/*
 * The question machine: decides for one recipient, or says which fact it needs for that. The caller
 * asks whoever knows, writes the answer into the facts, and calls again. Pure.
 */
#ifndef BATV_POLICY_H
#define BATV_POLICY_H

#include "batv/facts.h"
#include "batv/verdict.h"

enum policy_state { POLICY_NEEDS, POLICY_DECIDED };

/* For a recipient in a domain of ours. *need is set with POLICY_NEEDS, *out with POLICY_DECIDED. */
enum policy_state policy_next(const struct domain_settings *domain,
                              const struct message_facts *message,
                              const struct recipient_facts *recipient, enum fact *need,
                              struct verdict *out);

/* For a recipient in another domain: accepted, unless the message's sender is a ground not to. */
void policy_not_ours(const struct message_facts *message, struct verdict *out);

/* The rules for bounces in the order in which they are tried; NULL after the last. A verdict by
 * "verify.class" bears that name with the class behind it. */
const char *policy_rule(size_t index);
/* The fact that this rule asks for; FACT_COUNT: none. */
enum fact policy_rule_fact(size_t index);

#endif
