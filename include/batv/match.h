/*
 * The configuration's lists: patterns of addresses, networks, host names, domains. Immutable once
 * built, shared by threads. Every match answers the entry as it was written, for the log; NULL:
 * none. A list may be NULL, which is empty.
 */
#ifndef BATV_MATCH_H
#define BATV_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/budget.h"
#include "batv/ip.h"
#include "batv/status.h"

/* `*` stands for any octets, also none; against the whole plain address, folded as that is; a
 * pattern without @ is matched against addresses without a domain. */
struct pattern_list;
/* STATUS_INVALID: *bad is the index of the entry that is no pattern. */
enum status pattern_list_new(const char *const entries[], size_t count, struct pattern_list **out,
                             size_t *bad);
void pattern_list_free(struct pattern_list *list);
/* plain as address_fold makes it. */
const char *pattern_list_match(const struct pattern_list *list, const char *plain);
/* The entry *@DOM or *@*.DOM whose DOM the verified host name is, or is below. */
const char *pattern_list_match_host(const struct pattern_list *list, const char *host);

/* CIDR: 192.0.2.0/24, 2001:db8::/32, a bare address is itself. Host bits must be zero. */
struct network_list;
enum status network_list_new(const char *const entries[], size_t count, struct network_list **out,
                             size_t *bad);
void network_list_free(struct network_list *list);
bool network_list_is_empty(const struct network_list *list);
const char *network_list_match(const struct network_list *list, const struct ip *ip);
/* True where every address of the network lies in one of list's. False also for what is no network.
 */
bool network_list_covers(const struct network_list *list, const char *network);

/* Host names: mx.example.org, *.example.org (every name below it, not itself). Without case. */
struct host_list;
enum status host_list_new(const char *const entries[], size_t count, struct host_list **out,
                          size_t *bad);
void host_list_free(struct host_list *list);
const char *host_list_match(const struct host_list *list, const char *host);

/* Regular expressions (PCRE2) that Message-IDs are matched against, without brackets; unanchored,
 * without case. Bounded in what a match may cost. */
struct regex_list;
/* STATUS_INVALID: *bad is the index of the entry that is no expression. An empty list: *out is
 * NULL. */
enum status regex_list_new(const char *const entries[], size_t count, struct regex_list **out,
                           size_t *bad);
void regex_list_free(struct regex_list *list);
/* Goes from the bounce's budget: once that is used up, nothing matches. *status, unless status is
 * NULL: STATUS_NO_MEMORY where it is not known for want of that. */
const char *regex_list_match(const struct regex_list *list, const char *text, struct budget *budget,
                             enum status *status);

/* One of the lists above by its kind. out: where the pointer to such a list goes. */
enum list_kind { PATTERN_LIST, NETWORK_LIST, HOST_LIST, REGEX_LIST };
enum status list_new(enum list_kind kind, const char *const entries[], size_t count, void *out,
                     size_t *bad);
/* STATUS_INVALID: it is no entry of such a list. */
enum status list_check(enum list_kind kind, const char *entry);

/* Domains: example.com, .example.com (every subdomain, not itself), [192.0.2.1] (an address
 * literal), as address_domain_ascii makes them. */
struct domain_list;
/* STATUS_CONFLICT: *bad repeats an earlier entry. */
enum status domain_list_new(const char *const entries[], size_t count, struct domain_list **out,
                            size_t *bad);
void domain_list_free(struct domain_list *list);
/* The index, in entries, of the entry for this domain, the longest first; -1: none. */
long domain_list_find(const struct domain_list *list, const char *ascii);
/* The index of the entry that is name itself, with its leading dot; -1: none. */
long domain_list_entry(const struct domain_list *list, const char *name);

#endif
