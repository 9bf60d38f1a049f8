/*
 * The rules. The domains are classes and not part of the expression: a class is looked up by hash,
 * takes any number, and each domain is a line of its own, so no line grows. They are in ruleset 98
 * (LOCAL_RULE_0), the place for local hacks, through which Sendmail takes every recipient before it
 * asks whether there is such a user; adding to it at the end of a .cf is adding to that ruleset.
 * Recipients only are touched: neither headers nor the sender. Pure.
 */
#include "mta/sendmail_part.h"

#include <stdlib.h>
#include <string.h>

#include "base/words.h"
#include "mta/milter_address.h"

#define NAME "batvd"

/* -q keeps the quotes of a quoted local part, -f the case; what both brackets hold is put
 * together. */
static const char map[] = "K" NAME "Tag regex -q -f -s1,2 -d "
                          "^(\"?)[Pp][Rr][Vv][Ss]=[0-9]{4}[0-9A-Fa-f]{6}=(.+)$\n";

static const char rules[] =
    "R$+ < @ $+ >\t\t\t\t\t$: < $(" NAME "Tag $1 $: $) > $1 < @ $2 >\n"
    "R< > $+\t\t\t\t\t\t$: $1\n"
    "R< $+ > $+ < @ $={" NAME "Domain} >\t\t$@ $>parse $1 < @ $3 >\n"
    "R< $+ > $+ < @ $={" NAME "Domain} . >\t\t$@ $>parse $1 < @ $3 . >\n"
    "R< $+ > $+ < @ $+ . $={" NAME "Parent} >\t\t$@ $>parse $1 < @ $3 . $4 >\n"
    "R< $+ > $+ < @ $+ . $={" NAME "Parent} . >\t$@ $>parse $1 < @ $3 . $4 . >\n"
    "R< $+ > $+\t\t\t\t\t$: $2\n";

char *sendmail_socket(const char *listen)
{
    const char *path = listen_path(listen);
    char *host = NULL;
    char *port = NULL;
    char *name = NULL;
    if (path != NULL) {
        return asprintf(&name, "local:%s", path) < 0 ? NULL : name;
    }
    if (!listen_host_port(listen, &host, &port)) {
        return NULL;
    }
    const char *target = listen_reachable(host);
    const char *family = strchr(target, ':') != NULL ? "inet6" : "inet";
    if (asprintf(&name, "%s:%s@%s", family, port, target) < 0) {
        name = NULL;
    }
    free(host);
    free(port);
    return name;
}

bool sendmail_can_name(const char *socket)
{
    return strpbrk(socket, " \t\r\n,`'#$\"") == NULL;
}

/* Of a host name's octets, so nothing that m4 or Sendmail would take for something else. */
static bool is_fit(const char *domain)
{
    static const char octets[] = "abcdefghijklmnopqrstuvwxyz0123456789-._";
    return domain[0] != '\0' && strspn(domain, octets) == strlen(domain);
}

/* A line for each domain. left and right: m4's quotes, since a label may be a word of m4's. */
static void print_domains(const struct sendmail_wish *wish, const char *left, const char *right,
                          FILE *out)
{
    for (size_t i = 0; i < wish->settings->domain_count; i++) {
        const char *domain = wish->settings->domain[i].name;
        bool parent = domain[0] == '.';
        if (is_fit(domain)) {
            fprintf(out, "C{" NAME "%s}%s%s%s\n", parent ? "Parent" : "Domain", left,
                    domain + parent, right);
        }
    }
}

bool sendmail_print_mc(const struct sendmail_wish *wish, FILE *out)
{
    char *socket = sendmail_socket(wish->listen);
    if (socket == NULL) {
        return false;
    }
    fprintf(out,
            "dnl # batvd in Sendmail: the end of /etc/mail/sendmail.mc. `batvctl mta sendmail'\n"
            "dnl # prints it for your configuration, with the commands that apply it: make it\n"
            "dnl # again when you add or remove a domain.\n"
            "dnl #\n"
            "dnl # F=T defers mail while batvd is away. Without it, mail would go out without a\n"
            "dnl # tag, and its bounces would be rejected later.\n"
            "INPUT_MAIL_FILTER(`" NAME "', `S=%s" SENDMAIL_EQUATES "')dnl\n"
            "dnl #\n"
            "dnl # Removes the tag from recipients in these domains, which Sendmail would reject\n"
            "dnl # as unknown users. A parent stands for all its subdomains. TABs separate the\n"
            "dnl # two sides of a rule.\n"
            "LOCAL_CONFIG\n",
            socket);
    print_domains(wish, "`", "'", out);
    fprintf(out, "`%.*s'\nLOCAL_RULE_0\n%sdivert(0)dnl\n", (int)strlen(map) - 1, map, rules);
    free(socket);
    return true;
}

bool sendmail_print_cf(const struct sendmail_wish *wish, FILE *out)
{
    char *socket = sendmail_socket(wish->listen);
    if (socket == NULL) {
        return false;
    }
    bool named = list_has(wish->filters, NAME);
    bool others = !list_is_empty(wish->filters);
    fprintf(out,
            "# batvd in Sendmail: the end of a sendmail.cf that is not made from a sendmail.mc.\n"
            "# `batvctl mta sendmail --part cf` prints it for your configuration: make it again\n"
            "# when you add or remove a domain.\n"
            "\n"
            "# Only the last such line counts, so it names the other filters too.\n"
            "O InputMailFilters=%s%s%s\n"
            "\n"
            "# F=T defers mail while batvd is away. Without it, mail would go out without a tag,\n"
            "# and its bounces would be rejected later.\n"
            "X" NAME ", S=%s" SENDMAIL_EQUATES "\n"
            "\n"
            "# Removes the tag from recipients in these domains, which Sendmail would reject as\n"
            "# unknown users. A parent stands for all its subdomains. TABs separate the two sides\n"
            "# of a rule.\n",
            wish->filters, others && !named ? ", " : "", named ? "" : NAME, socket);
    print_domains(wish, "", "", out);
    fprintf(out, "%sSParseLocal\n%s", map, rules);
    free(socket);
    return true;
}
