/*
 * The store of the ring: the file `keyring` in the state folder, replaced as a whole,
 * compare-and-set on the generation. What was stored last is in force; a kill at any instant leaves
 * the old ring or the new one.
 */
#ifndef BATV_STORE_RING_FILE_H
#define BATV_STORE_RING_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/file_stamp.h"
#include "batv/ring.h"
#include "batv/status.h"

/* Where the ring is; never changes, so threads may share it. */
struct ring_source;

/* NULL: no memory. Nothing is looked at yet. */
struct ring_source *ring_source_new(const char *state_dir);
void ring_source_free(struct ring_source *source);
/* The file's path, for messages. */
const char *ring_source_path(const struct ring_source *source);

/*
 * The ring in force; the caller frees it. Reasons name the path.
 *   STATUS_NOT_FOUND  there is no file
 *   STATUS_REFUSED    no regular file, not the process's own, open to group or others, too large
 *   STATUS_INVALID    damaged
 *   STATUS_IO, STATUS_NO_MEMORY, STATUS_CRYPTO
 */
enum status ring_load(struct ring_source *source, struct ring **out, struct reason *why);

/* The same of this state folder, once. */
enum status ring_load_from(const char *state_dir, struct ring **out, struct reason *why);

/*
 * Stores next with the generation expected + 1 in place of the ring of the generation expected; 0
 * means that there must be no file yet, not even a damaged one. STATUS_CONFLICT: another ring is in
 * force, load again. A present file that ring_load refuses is not replaced either: its status.
 * Whatever is not STATUS_OK has left the old file in force; only where the folder could not be
 * synchronised (the reason says so) is the new one in force, though perhaps not after a power cut.
 */
enum status ring_commit(struct ring_source *source, uint64_t expected, const struct ring *next,
                        struct reason *why);

/*
 * Writes the ring, as it is, into the place of a file that is missing or damaged; for who has it in
 * memory. A damaged file is kept as keyring.damaged-TIME, never in place of another, and *aside is
 * that name within the folder, else "". Nothing that somebody else has put there is replaced. A
 * kill at any instant leaves the file as it was, or the ring.
 *   STATUS_CONFLICT  the file is not as *seen any more (see ring_source_changed), or can be read
 *   STATUS_REFUSED   the folder is not the one of that identity, or the damaged file claims to be
 * of a later generation STATUS_IO, STATUS_NO_MEMORY, STATUS_CRYPTO
 */
enum { RING_ASIDE = 64 };
enum status ring_restore(struct ring_source *source, const struct ring *ring,
                         const struct file_stamp *seen, struct file_id folder, time_t now,
                         char aside[static RING_ASIDE], struct reason *why);

/* The generation that the file claims to be of; see ring_text_claim. */
uint64_t ring_source_claim(const struct ring_source *source);

/* Alters a private copy of the ring in force. *changed is true; set it to false, and nothing is
 * stored. May be called again, with a newer ring, when somebody else was faster. */
typedef enum status ring_change_fn(void *context, struct ring *ring, bool *changed,
                                   struct reason *why);

/* Load, change, commit, and again while somebody else is faster. */
enum status ring_change(struct ring_source *source, ring_change_fn *change, void *context,
                        struct reason *why);

/* As file_stamp_renew; *seen is all zero before the first look. */
bool ring_source_changed(struct ring_source *source, struct file_stamp *seen);

#endif
