/*
 * The content of a bounce on its way in: collected as it comes, up to its bounds, and taken apart
 * once at the end. GMime can only pull, so all of it has to be there first; what all collections
 * and readings may take together is bounded by their pool.
 */
#ifndef CONTENT_CONTENT_H
#define CONTENT_CONTENT_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/bounce.h"
#include "batv/match.h"

/* Shared by all threads. NULL: no memory. */
struct content_pool;
struct content_pool *content_pool_new(size_t max_memory, unsigned parsers);
/* After the last content is gone. */
void content_pool_free(struct content_pool *pool);

/* Of one message by a client, whose address is all zero where it has none; used by one thread at a
 * time. NULL: no memory. */
struct content;
struct content *content_new(struct content_pool *pool, size_t max_body, const struct ip *client);
void content_free(struct content *content);

/* A header field as a milter is given it. Those beyond 256 kB or 1,000 fields are passed over. */
void content_header(struct content *content, const char *name, const char *value);
/* A piece of the body. Of one that is longer than max_body three quarters of that are kept, and of
 * the rest whatever may be of use (batv/skim.h). False: no more of it is wanted. */
bool content_body(struct content *content, const void *octets, size_t length);
/* A whole message as it stands in a file, given as its fields and its body. */
void content_message(struct content *content, const void *octets, size_t length);

enum content_state {
    CONTENT_READ,
    CONTENT_OVERLOADED, /* too much is being read just now */
    CONTENT_FAILED      /* no memory */
};
/* Takes it apart, at the first call; waits for its turn where others do. *out belongs to content,
 * which can take no more afterwards. */
enum content_state content_read(struct content *content, const struct bounce **out);

/* What tells this bounce from others, however often it is tried again: over its header without
 * Received and Return-Path, the body as far as it was collected, and the client's network (/24 or
 * /64). NULL: it could not be made. Belongs to content, which can take no more afterwards. */
const char *content_digest(struct content *content);

/* False: what was not found may stand where a limit ended the reading, the search or the look-ups.
 * Then nothing may be concluded from that. */
bool content_searched(const struct content *content);
/* Whether that limit has been reached so far, with or without such a doubt. */
bool content_reached(const struct content *content, enum bounce_limit limit);

enum content_match {
    CONTENT_MATCH_NO,
    CONTENT_MATCH_YES,
    CONTENT_MATCH_OVERLOADED,
    CONTENT_MATCH_FAILED /* no memory */
};
/* Whether one of the Message-IDs that the content names matches, once it has been read. The same
 * list is asked once; waits for its turn where others do. */
enum content_match content_match(struct content *content, const struct regex_list *list);

/* False once the message has had its share of look-ups: 200 Message-IDs for each of a thousand
 * recipients are no bounce that anybody's server has sent. */
bool content_may_look_up(struct content *content);

#endif
