/* The daemon's own oracles, on the files as they are. One thread. */
#include "ctl/witnesses.h"
#include "base/print.h"

#include "content/mime.h"
#include "store/journal.h"

static enum status open_journal(const struct config *config, struct journal **out,
                                struct reason *why)
{
    if (!config->settings->evidence.journal) {
        return journal_open(NULL, 0, 0, out, why);
    }
    return journal_open_reader(config->state_dir, out, why);
}

bool witnesses_call(const struct ctl *ctl, struct witnesses *witnesses, bool content)
{
    struct reason why;
    if (open_journal(ctl->config, &witnesses->returned.journal, &why) != STATUS_OK) {
        print_error("%s", why.text);
    }
    evidence_returned_oracles(&witnesses->returned, content, &witnesses->oracles);
    if (!content) {
        return true;
    }
    witnesses->pool = content_pool_new(ctl->config->evidence_max_memory, 1);
    if (witnesses->pool == NULL) {
        print_error("out of memory");
        return false;
    }
    mime_init();
    return true;
}

bool witnesses_call_network(struct witnesses *witnesses)
{
    witnesses->listener = (struct oracle_listener){lookups_take, &witnesses->lookups};
    witnesses->network = oracle_network_new(&witnesses->listener);
    if (witnesses->network == NULL) {
        print_error("out of memory");
        return false;
    }
    oracle_network_oracle(witnesses->network, &witnesses->oracles);
    return true;
}

void witnesses_dismiss(struct witnesses *witnesses)
{
    oracle_network_free(witnesses->network);
    lookups_free(&witnesses->lookups);
    content_pool_free(witnesses->pool);
    journal_close(witnesses->returned.journal);
}
