/* Tables and nothing else. */
#include "daemon/milter_macros.h"

static const struct milter_setting settings[STEP_COUNT] = {
    [STEP_CONNECT] = {"milter_connect_macros", "Milter.macros.connect",
                      "confMILTER_MACROS_CONNECT"},
    [STEP_MAIL] = {"milter_mail_macros", "Milter.macros.envfrom", "confMILTER_MACROS_ENVFROM"},
    [STEP_RCPT] = {"milter_rcpt_macros", "Milter.macros.envrcpt", "confMILTER_MACROS_ENVRCPT"},
    [STEP_DATA] = {"milter_data_macros", "Milter.macros.data", "confMILTER_MACROS_DATA"},
};

static const struct milter_macro macros[] = {
    {"j", NULL, STEP_CONNECT, STEP_CONNECT, true,
     "batvd does not know this host's name: it accepts untagged bounces to mailboxes at that name, "
     "and takes mail that is handed in again for ours"},
    {"{if_name}", NULL, STEP_COUNT, STEP_CONNECT, false,
     "batvd does not notice mail in our name that leaves unsigned"},
    {"{auth_type}", "{auth_authen}", STEP_MAIL, STEP_MAIL, true,
     "batvd does not know which clients have authenticated, and does not sign their mail"},
    {"{mail_addr}", NULL, STEP_MAIL, STEP_MAIL, true,
     "batvd defers mail whose sender is not a plain local@domain"},
    {"{rcpt_addr}", NULL, STEP_RCPT, STEP_RCPT, true,
     "batvd defers recipients that are not a plain local@domain"},
    {"{rcpt_mailer}", NULL, STEP_RCPT, STEP_RCPT, true,
     "batvd accepts untagged bounces to mailboxes without a domain (<alice>)"},
    {"{rcpt_host}", NULL, STEP_RCPT, STEP_RCPT, true,
     "batvd cannot tell mail for other hosts from mail for this one"},
    {"i", NULL, STEP_DATA, STEP_MAIL, false, "log lines have no queue ID"},
};

const struct milter_setting *milter_setting(enum milter_step step)
{
    return &settings[step];
}

const struct milter_macro *milter_macro(size_t index)
{
    return index < sizeof macros / sizeof macros[0] ? &macros[index] : NULL;
}
