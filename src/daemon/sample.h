/*
 * Bounces with a valid tag are genuine beyond doubt, so a sample of them shows whether Message-IDs
 * come back as they went out: where they do not, somebody replaces them on the way, and that a
 * bounce names none of ours says nothing. In memory only; a restart begins anew.
 *
 * A mailbox's tag of a day is in the sample once, however many bounces have it: whoever got one
 * message of ours has a valid tag, and may return what he likes.
 */
#ifndef DAEMON_SAMPLE_H
#define DAEMON_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/transaction.h"
#include "content/content.h"
#include "store/journal.h"
#include "store/status_file.h"

/* Of each domain the last that were read, and how many are read in an hour; of domains no more than
 * these, which hold about 1 kB each. */
enum { SAMPLE_SIZE = 100, SAMPLE_DOMAINS = 1000 };

struct sample; /* any thread */
/* NULL: no memory. */
struct sample *sample_new(void);
void sample_free(struct sample *sample);

/* True where this bounce is to be read: it is in the sample from now on. Without memory it is not.
 */
bool sample_take(struct sample *sample, const struct returned *returned, time_t now);
/* What became of it: it names a Message-ID, known or not. Nothing is called for one that names
 * none. */
void sample_put(struct sample *sample, const struct returned *returned, bool known);

/* After a bounce that was taken has been accepted: reads content (NULL: there is none), looks its
 * Message-IDs up without counting a use, and puts the answer. What cannot be read or looked up now
 * is left out. */
void sample_read(struct sample *sample, struct journal *journal, const struct returned *returned,
                 struct content *content, time_t now);

/* How often the answer for any domain (counts_tell_rewriting) has changed. */
uint64_t sample_changes(struct sample *sample);
/* Fills in report's returned. */
void sample_report(struct sample *sample, struct status_report *report);
/* Calls visit for each domain whose Message-IDs are replaced. */
void sample_rewritten(struct sample *sample, void (*visit)(void *context, const char *domain),
                      void *context);

#endif
