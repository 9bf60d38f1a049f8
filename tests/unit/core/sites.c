/* What makes a site special, for tables of conversations. */
#include "sites.h"

void pause_verifying(struct site *site)
{
    site->snapshot.paused = true;
}

void clock_wrong(struct site *site)
{
    site->snapshot.clock_wrong = true;
}

void prove_by_journal(struct site *site)
{
    site_evidence(site);
    site->answers[FACT_JOURNAL] = ANSWER_YES;
}

void journal_is_young(struct site *site)
{
    site_evidence(site);
    site->snapshot.journal_birth = now_of_site() - settings_wait(site->settings) + 1;
}

void read_as(struct site *site, enum bounce_class class, enum action action)
{
    site_evidence(site);
    site->class = class;
    for (size_t i = 0; i < site->settings->domain_count; i++) {
        site->settings->domain[i].classes[class] = action;
    }
}

void receipt_is_logged(struct site *site)
{
    read_as(site, BOUNCE_MDN, ACTION_LOG);
}

void patterns(struct site *site)
{
    site_evidence(site);
    site->settings->evidence.journal = false;
    site->snapshot.journal_birth = 0;
    site->settings->domain[OFF_EXAMPLE].message_ids = REGEXES("@off\\.example$");
}

void pattern_matches(struct site *site)
{
    patterns(site);
    site->answers[FACT_PATTERN] = ANSWER_YES;
}
