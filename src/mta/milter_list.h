/* Lists of milters, as in smtpd_milters, with batvd put in its place. */
#ifndef MTA_MILTER_LIST_H
#define MTA_MILTER_LIST_H

#include <stdbool.h>

#include "mta/former.h"

/* Where a list stands, and how batvd is put into it. */
struct milter_list_place {
    const char *listen;
    const char *queue_directory;
    const struct formers *formers; /* NULL: none are known */
    bool named;                    /* another entry, $smtpd_milters, stands for batvd */
    bool own_action;               /* batvd needs default_action=tempfail of its own */
};

/* Whether a milter's default action defers mail while the milter is away: "tempfail" does, and so
 * does "shutdown", which ends the client's session with 421 as well. */
bool action_defers(const char *action);

/* True where an entry of the list is neither batvd nor was it. */
bool milter_list_has_others(const char *list, const struct milter_list_place *place);

/*
 * The list with batvd in it once, where its former address stood, else at the end. All other
 * entries stay as they are and where they are; so do batvd's own options, but for a default_action
 * that lets mail pass. raw is the list as it stands in the file, expanded the same without $names;
 * where only the latter shows what must be replaced, it is taken. NULL: no memory. The caller
 * frees.
 */
char *milter_list_with_ours(const char *raw, const char *expanded,
                            const struct milter_list_place *place);

#endif
