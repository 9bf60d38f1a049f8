/*
 * The pages of an LMDB file (format 1, all of 0.9), read as octets and believed in nothing: whether
 * everything that LMDB relies upon without a look is as it has to be. LMDB itself is not called.
 */
#ifndef STORE_JOURNAL_PAGES_H
#define STORE_JOURNAL_PAGES_H

#include <stdint.h>

#include "batv/status.h"

/* The two pages that all begins with. STATUS_INVALID: damaged, why says how. STATUS_REFUSED: of a
 * format that is not known here. */
enum status journal_pages_check_head(int fd, struct reason *why);

/* Every page of the snapshot txnid, which must be kept from being written over meanwhile.
 * STATUS_NOT_FOUND: the file does not lead to that snapshot any more, or not yet. */
enum status journal_pages_check(int fd, uint64_t txnid, struct reason *why);

#endif
