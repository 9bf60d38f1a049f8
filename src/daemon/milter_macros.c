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
     "batvd does not know this host's name: forged bounces to mailboxes at it are accepted, and "
     "mail that comes in again is taken for ours"},
    {"{if_name}", NULL, STEP_COUNT, STEP_CONNECT, false,
     "mail in our name that leaves unsigned is not noticed"},
    {"{auth_type}", "{auth_authen}", STEP_MAIL, STEP_MAIL, true,
     "batvd does not hear who has authenticated, and signs nothing of theirs"},
    {"{mail_addr}", NULL, STEP_MAIL, STEP_MAIL, true,
     "mail whose sender is not written as a plain local@domain is deferred"},
    {"{rcpt_addr}", NULL, STEP_RCPT, STEP_RCPT, true,
     "recipients that are not written as a plain local@domain are deferred"},
    {"{rcpt_mailer}", NULL, STEP_RCPT, STEP_RCPT, true,
     "forged bounces to mailboxes without a domain (<alice>) are accepted"},
    {"{rcpt_host}", NULL, STEP_RCPT, STEP_RCPT, true,
     "mail for other hosts is not told from mail for this one"},
    {"i", NULL, STEP_DATA, STEP_MAIL, false, "lines of the log have no queue ID"},
};

const struct milter_setting *milter_setting(enum milter_step step)
{
    return &settings[step];
}

const struct milter_macro *milter_macro(size_t index)
{
    return index < sizeof macros / sizeof macros[0] ? &macros[index] : NULL;
}
