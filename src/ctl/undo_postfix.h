/* Taking batvd out of Postfix's settings. */
#ifndef CTL_UNDO_POSTFIX_H
#define CTL_UNDO_POSTFIX_H

#include "ctl/ctl.h"
#include "ctl/setup_record.h"
#include "mta/postfix.h"

/*
 * Takes our milter out of smtpd_milters and non_smtpd_milters and our map out of
 * recipient_canonical_maps, all at once; of the other settings that setup wrote, those that have
 * that value still get their former one. All else stays. Tells what it did, and what is left to do
 * by hand. An exit status: CTL_NO where something is left.
 */
int undo_postfix(const struct ctl *ctl, const struct postfix *postfix,
                 const struct setup_record *record);

/* Prints the commands that take the filter out at once and have Postfix accept mail for tagged
 * addresses from the null sender only. False: no memory. */
bool undo_print_closing(const struct ctl *ctl, const struct postfix *postfix,
                        const struct setup_record *record);

#endif
