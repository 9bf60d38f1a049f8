/*
 * Postfix's main.cf: what batvd needs in it, and what is set there that spoils its work. Values are
 * those in force, with every $name replaced.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/words.h"
#include "batv/address.h"
#include "check/postfix.h"
#include "mta/milter_address.h"
#include "mta/networks_file.h"
#include "mta/postfix_needs.h"
#include "mta/postfix_trust.h"

enum { COMPARED_MAX = 1000 };

/* What others of these files use too. */

struct need_site check_need_site(const struct check *check)
{
    return (struct need_site){check->postfix, check->formers, check->config->listen,
                              POSTFIX_MAP_PATH};
}

char *mend_need(const struct check *check, int need)
{
    const struct need_site site = check_need_site(check);
    char *value = need_value(&site, (enum need)need);
    char *text = value == NULL ? NULL
                               : postfix_command(check->postfix, "-e", "%s = %s",
                                                 need_name((enum need)need), value);
    free(value);
    return text;
}

char *mend_service_list(const struct check *check, const struct postfix_service *service,
                        const char *parameter, const char *list)
{
    char *tight = list_compact(list);
    char *text = tight != NULL
                     ? postfix_command(check->postfix, "-P", "%s/%s/%s=%s", service->name,
                                       service->type, parameter, tight)
                     : mend_text("in master.cf, below %s %s: -o { %s = %s }, then postfix%s reload",
                                 service->name, service->type, parameter, list,
                                 postfix_place(check->postfix));
    free(tight);
    return text;
}

char *mend_service_milters(const struct check *check, const struct postfix_service *service,
                           const char *parameter)
{
    const struct need_site site = check_need_site(check);
    char *list =
        need_service_milters(&site, postfix_service_get(check->postfix, service, parameter),
                             postfix_service_get(check->postfix, service, need_name(NEED_ACTION)));
    char *text = list != NULL ? mend_service_list(check, service, parameter, list) : NULL;
    free(list);
    return text;
}

char *mend_lists(const struct check *check)
{
    const struct need_site site = check_need_site(check);
    char *smtpd = need_value(&site, NEED_MILTERS);
    char *other = need_value(&site, NEED_NON_SMTPD);
    char *text = NULL;
    if (smtpd == NULL || other == NULL) {
        /* no memory */
    } else if (strcmp(other, postfix_get_raw(check->postfix, need_name(NEED_NON_SMTPD))) == 0) {
        text = mend_need(check, NEED_MILTERS);
    } else if (strcmp(smtpd, postfix_get_raw(check->postfix, need_name(NEED_MILTERS))) == 0) {
        text = mend_need(check, NEED_NON_SMTPD);
    } else {
        text = postfix_command(check->postfix, "-e", "%s = %s\n%s = %s", need_name(NEED_MILTERS),
                               smtpd, need_name(NEED_NON_SMTPD), other);
    }
    free(smtpd);
    free(other);
    return text;
}

char *mend_item(const struct check *check, const char *parameter, const char *item,
                const char *replacement)
{
    const char *raw = postfix_get_raw(check->postfix, parameter);
    if (!list_has(raw, item)) {
        return mend_text(
            "remove %s from the parameters that make up %s in main.cf, then postfix%s reload", item,
            parameter, postfix_place(check->postfix));
    }
    char *list = list_with(raw, item, replacement, ", ");
    char *text =
        list == NULL ? NULL : postfix_command(check->postfix, "-e", "%s = %s", parameter, list);
    free(list);
    return text;
}

char *mend_all(struct check *check)
{
    const char *folder = postfix_get(check->postfix, "config_directory");
    char *path = NULL;
    char *text = NULL;
    if (strcmp(folder, "/etc/postfix") == 0) {
        return mend_text("batvctl -c %s mta postfix | sh", check_conf(check));
    }
    if (asprintf(&path, "%s/batv.pcre", folder) >= 0) {
        text = mend_text("batvctl -c %s mta postfix --map-path %s | sh", check_conf(check),
                         check_word(check, path));
        free(path);
    }
    return text;
}

char *mend_table(struct check *check, const char *table)
{
    static const char *const indexed[] = {"hash:", "btree:", "lmdb:", "cdb:", "dbm:"};
    const char *place = postfix_place(check->postfix);
    for (size_t i = 0; i < sizeof indexed / sizeof indexed[0]; i++) {
        if (strncmp(table, indexed[i], strlen(indexed[i])) == 0) {
            return mend_text("postmap%s %s", place, check_word(check, table));
        }
    }
    return mend_text("postmap%s -q postmaster %s", place, check_word(check, table));
}

char *mend_map(struct check *check, const char *path)
{
    const char *word = check_word(check, path);
    char *keep = access(path, F_OK) == 0 ? mend_text("cp -p %s %s.old && ", word, word)
                                         : mend_text("%s", "");
    char *text = keep == NULL
                     ? NULL
                     : mend_text("%sbatvctl -c %s mta postfix --part map > %s && postfix%s reload",
                                 keep, check_conf(check), word, postfix_place(check->postfix));
    free(keep);
    return text;
}

void check_postfix(struct check *check)
{
    enum status status = postfix_open(&check->postfix, &check->postfix_absent);
    if (status == STATUS_OK) {
        check->formers = formers_new(check->config, check->postfix);
        check->no_memory = check->no_memory || check->formers == NULL;
        check_ok(check, "Postfix %s, configured in %s", postfix_get(check->postfix, "mail_version"),
                 postfix_get(check->postfix, "config_directory"));
    } else if (status == STATUS_NOT_FOUND) {
        check_ok(check, "Postfix is not installed: its settings are not checked");
    } else {
        check->mta_unknown = true;
        check_add(check, CHECK_WARN, mend_text("postfix check"),
                  "Postfix's settings could not be read: %s", check->postfix_absent.text);
    }
}

static bool names_milter(const struct check *check, const char *list)
{
    char *item = milters_find_ours(check, list);
    free(item);
    return item != NULL;
}

/* "not set", or the value in quotes; in a buffer of the caller's. */
static const char *said(const char *value, char *out, size_t size)
{
    if (list_is_empty(value)) {
        return "not set";
    }
    snprintf(out, size, "\"%s\"", value);
    return out;
}

/* The milters. */

void check_smtpd_milters(struct check *check)
{
    char text[300];
    const char *list = postfix_get(check->postfix, "smtpd_milters");
    if (names_milter(check, list)) {
        check_ok(check, "mail by SMTP passes batvd: %s", said(list, text, sizeof text));
    } else if (listeners_ask_by_themselves(check)) {
        check_ok(check,
                 "no service that accepts mail uses main.cf for this, and each names batvd itself");
    } else {
        check_add(check, CHECK_FAIL, mend_need(check, NEED_MILTERS),
                  "mail by SMTP does not pass batvd: smtpd_milters is %s",
                  said(list, text, sizeof text));
    }
}

void check_non_smtpd_milters(struct check *check)
{
    char text[300];
    const char *list = postfix_get(check->postfix, "non_smtpd_milters");
    if (names_milter(check, list)) {
        check_ok(check, "mail by sendmail(1) passes batvd: %s", said(list, text, sizeof text));
    } else {
        const struct need_site site = check_need_site(check);
        char *value = need_value(&site, NEED_NON_SMTPD);
        bool refers =
            value != NULL &&
            strcmp(value, postfix_get_raw(check->postfix, need_name(NEED_NON_SMTPD))) == 0;
        free(value);
        check_add(check, CHECK_FAIL, mend_need(check, refers ? NEED_MILTERS : NEED_NON_SMTPD),
                  "mail by sendmail(1) leaves without a tag, and its bounces will be rejected: "
                  "non_smtpd_milters is %s",
                  said(list, text, sizeof text));
    }
}

void check_milter_maps(struct check *check)
{
    const char *maps = postfix_get(check->postfix, "smtpd_milter_maps");
    if (list_is_empty(maps)) {
        check_ok(check, "not set: no client uses other milters");
    } else {
        check_add(check, CHECK_WARN, postfix_command(check->postfix, "-X", "smtpd_milter_maps"),
                  "clients that smtpd_milter_maps (%s) names may use other milters than batvd",
                  maps);
    }
}

void check_filter_classes(struct check *check)
{
    const char *classes = postfix_get(check->postfix, "internal_mail_filter_classes");
    if (list_is_empty(classes)) {
        check_ok(check, "empty: Postfix's own bounces pass no filter");
    } else {
        check_add(check, list_has(classes, "bounce") ? CHECK_FAIL : CHECK_WARN,
                  postfix_command(check->postfix, "-X", "internal_mail_filter_classes"),
                  "Postfix's own notices pass batvd with their tags already removed: "
                  "internal_mail_filter_classes is \"%s\", expected empty",
                  classes);
    }
}

/* Domains. */

/* A name that stands in the list itself: no table, no file, nothing taken out, no address. */
static bool is_literal(const char *item)
{
    return strpbrk(item, "$:/!*[{") == NULL && item[strspn(item, ".")] != '\0' &&
           strcasecmp(item, "localhost") != 0 && strncasecmp(item, "localhost.", 10) != 0;
}

bool check_is_ours(struct check *check, const char *name)
{
    char *text = mend_text("%s%s", name[0] == '.' ? "batvd-check" : "", name);
    char *ascii = text != NULL ? address_domain_ascii(text) : NULL;
    bool ours = ascii != NULL && settings_domain(check->config->settings, ascii) != NULL;
    check->no_memory = check->no_memory || ascii == NULL;
    free(ascii);
    free(text);
    return ours;
}

static bool is_among(const struct words *words, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(words->items[i], word) == 0) {
            return true;
        }
    }
    return false;
}

/* A domain in which mail arrives and that is not ours. The host's own name is judged all the same.
 */
static void tell_domain(struct check *check, const char *parameter, const char *name)
{
    char *mend = mend_config(check, "add \"%s\" to domains,", name);
    const char *host = postfix_get(check->postfix, "myhostname");
    if (host != NULL && strcasecmp(name, host) == 0) {
        check_add(check, CHECK_WARN, mend,
                  "%s (%s) receives mail, but is in no entry of domains: bounces to it are "
                  "verified as for a domain that does not sign",
                  name, parameter);
        return;
    }
    check_add(check, CHECK_WARN, mend,
              "%s (%s) receives mail, but is in no entry of domains: batvd does not sign its "
              "senders or verify its bounces, and a mailbox that also has an address there "
              "receives backscatter through it",
              name, parameter);
}

/* Tells of the list's domains that are not ours, from the one at index first on; those before it
 * have been told. */
static void take_domains(struct check *check, const char *parameter, const struct words *words,
                         size_t first)
{
    for (size_t i = first; i < words->count; i++) {
        const char *name = words->items[i];
        if (is_literal(name) && !is_among(words, i, name) && !check_is_ours(check, name)) {
            tell_domain(check, parameter, name);
        }
    }
}

/* What local processes send as, cron for one. The value may be the path of a file with the name in
 * its first line, as on Debian. NULL: unknown. */
static char *find_origin(struct check *check)
{
    struct reason why;
    char *text = NULL;
    const char *origin = postfix_get(check->postfix, "myorigin");
    if (origin[0] != '/') {
        text = strdup(origin);
        check->no_memory = check->no_memory || text == NULL;
    } else if (file_read(origin, &text, &why) != STATUS_OK) {
        return NULL;
    }
    if (text != NULL) {
        text[strcspn(text, " \t\r\n")] = '\0';
    }
    return text;
}

/* A letter more, less, another one, or two neighbours swapped; but hosts are often numbered. */
static bool is_a_letter_away(const char *a, const char *b)
{
    size_t m = strlen(a);
    size_t n = strlen(b);
    while (m > 0 && n > 0 && a[0] == b[0]) {
        a++, b++, m--, n--;
    }
    while (m > 0 && n > 0 && a[m - 1] == b[n - 1]) {
        m--, n--;
    }
    bool numbers =
        (m == 0 || isdigit((unsigned char)a[0])) && (n == 0 || isdigit((unsigned char)b[0]));
    bool swapped = m == 2 && n == 2 && a[0] == b[1] && a[1] == b[0];
    return (m <= 1 && n <= 1 && m + n > 0 && !numbers) || swapped;
}

/* The name of Postfix's, itself in no entry of domains, that is a letter away from a domain of ours
 * which Postfix does not name. NULL: none. */
static const char *find_meant(struct check *check, const struct words *names, const char *ours)
{
    const char *meant = NULL;
    bool named = is_among(names, names->count, ours);
    for (size_t i = 0; i < names->count && i < COMPARED_MAX && !named; i++) {
        const char *name = names->items[i];
        char *ascii = is_literal(name) ? address_domain_ascii(name) : NULL;
        named = ascii != NULL && strcmp(ascii, ours) == 0;
        bool alike = ascii != NULL && (ascii[0] == '.') == (ours[0] == '.');
        if (alike && meant == NULL && is_a_letter_away(ascii, ours) &&
            !check_is_ours(check, name)) {
            meant = name;
        }
        free(ascii);
    }
    return named ? NULL : meant;
}

/* Of very many domains none is compared: nobody wrote them by hand. */
static void tell_misspelt(struct check *check, const struct words *names)
{
    const struct settings *settings = check->config->settings;
    for (size_t i = 0; i < settings->domain_count && settings->domain_count <= COMPARED_MAX; i++) {
        const char *ours = settings->domain[i].name;
        const char *meant = find_meant(check, names, ours);
        if (meant != NULL) {
            check_add(check, CHECK_WARN,
                      mend_config(check, "\"%s\" in place of \"%s\" in domains,", meant, ours),
                      "%s in domains differs by a letter from %s, which Postfix names and domains "
                      "does not: is it misspelt?",
                      ours, meant);
        }
    }
}

void check_received(struct check *check)
{
    static const char *const parameters[] = {"mydestination", "virtual_mailbox_domains",
                                             "virtual_alias_domains", "relay_domains"};
    struct words words = {.items = NULL};
    size_t before = check->count;
    if (check->config->settings->domain_count == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        size_t first = words.count;
        if (!words_split(postfix_get(check->postfix, parameters[i]), &words)) {
            check->no_memory = true;
        }
        take_domains(check, parameters[i], &words, first);
    }
    char *origin = find_origin(check);
    if (origin != NULL && origin[0] != '\0' && !words_add(&words, origin)) {
        check->no_memory = true;
    }
    free(origin);
    tell_misspelt(check, &words);
    words_free(&words);
    if (check->count == before) {
        check_ok(check, "every domain that main.cf names as receiving mail is in domains");
    }
}

void check_origin(struct check *check)
{
    const struct settings *settings = check->config->settings;
    char *origin = find_origin(check);
    if (origin == NULL || origin[0] == '\0' || settings->domain_count == 0) {
        check_ok(check, "nothing to compare with domains");
    } else if (check_is_ours(check, origin)) {
        check_ok(check, "this host sends as root@%s, which is in domains", origin);
    } else {
        check_add(check, CHECK_WARN, mend_config(check, "add \"%s\" to domains,", origin),
                  "this host sends as root@%s (myorigin), which is in no entry of domains: that "
                  "mail has no tag, and its bounces are verified by their content only",
                  origin);
    }
    free(origin);
}

/* Networks. */

struct networks {
    struct check *check;
    char *missing; /* in quotes, with commas; NULL: none */
    struct listing unknown;
};

static void take_network(struct networks *networks, char *item)
{
    struct check *check = networks->check;
    const struct settings *settings = check->config->settings;
    postfix_strip_brackets(item);
    if (!network_list_covers(settings->internal_networks, item) &&
        !network_list_covers(settings->relays, item)) {
        char *former = networks->missing;
        networks->missing =
            mend_text("%s%s\"%s\"", former != NULL ? former : "", former != NULL ? ", " : "", item);
        check->no_memory = check->no_memory || networks->missing == NULL;
        free(former);
    }
}

static bool take_item(void *self, char *item)
{
    struct networks *networks = self;
    if (list_check(NETWORK_LIST, item) == STATUS_OK) {
        take_network(networks, item);
    } else if (item[0] != '!') { /* what is taken out makes it less */
        listing_add(&networks->unknown, item);
    }
    return true;
}

static void take_file(struct networks *networks, const char *path)
{
    if (networks_file_read(path, take_item, networks) != STATUS_OK) {
        listing_add(&networks->unknown, path);
    }
}

static bool list_has_strangers(const char *list)
{
    struct postfix_trust *trust = postfix_trust_parse(list);
    bool strangers = trust == NULL || postfix_trusts_strangers(trust);
    postfix_trust_free(trust);
    return strangers;
}

/* mynetworks without the entries that hold strangers, and with this host. Each alone may hold few,
 * as may all of what is in a file: then this host is all that is left. NULL: no memory. */
static char *narrow_networks(const struct words *words)
{
    static const char own[] = "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128";
    char *list = strdup(own);
    for (size_t i = 0; i < words->count && list != NULL; i++) {
        const char *item = words->items[i];
        if (!list_has(own, item) && !list_has_strangers(item)) {
            char *more = mend_text("%s %s", list, item);
            free(list);
            list = more;
        }
    }
    if (list != NULL && list_has_strangers(list)) {
        free(list);
        list = strdup(own);
    }
    return list;
}

static void tell_strangers(struct check *check, const struct words *words)
{
    bool by_style = list_is_empty(postfix_get_raw(check->postfix, "mynetworks"));
    char *list = narrow_networks(words);
    char *mend = NULL;
    if (by_style) {
        mend = postfix_command(check->postfix, "-e", "mynetworks_style = host");
    } else if (list != NULL) {
        mend = postfix_command(check->postfix, "-e", "mynetworks = %s", list);
    }
    check_add(
        check, CHECK_FAIL, mend,
        "Postfix relays mail for everybody: mynetworks contains most of the internet (%s). Never "
        "add that to internal_networks: batvd would sign everybody's mail and accept every bounce",
        postfix_get(check->postfix, "mynetworks"));
    free(list);
}

static void tell_missing(const struct networks *networks)
{
    check_add(networks->check, CHECK_WARN, mend_internal(networks->check, "", networks->missing),
              "%s may send by mynetworks, but is not in internal_networks: mail from there in your "
              "name is not signed",
              networks->missing);
}

static void take_all(struct networks *networks, struct words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        const char *item = words->items[i];
        bool table = strncmp(item, "cidr:/", 6) == 0;
        if (table || item[0] == '/') {
            take_file(networks, table ? item + 5 : item);
        } else {
            take_item(networks, words->items[i]);
        }
    }
}

void check_mynetworks(struct check *check)
{
    struct networks networks = {.check = check};
    struct words words = {.items = NULL};
    const char *list = postfix_get(check->postfix, "mynetworks");
    struct postfix_trust *trust = postfix_trust_new(check->postfix);
    if (trust == NULL || !words_split(list, &words)) {
        check->no_memory = true;
    } else if (postfix_trusts_strangers(trust)) {
        tell_strangers(check, &words);
    } else {
        take_all(&networks, &words);
        if (networks.unknown.count > 0) {
            check_add(check, CHECK_WARN,
                      mend_internal(check, "", "and what is in it, each in quotes"),
                      "mynetworks has entries that cannot be compared with internal_networks: %s",
                      listing_end(&networks.unknown));
        }
        if (networks.missing != NULL) {
            tell_missing(&networks);
        } else if (networks.unknown.count == 0) {
            check_ok(check, "all of mynetworks is in internal_networks: %s", list);
        }
    }
    postfix_trust_free(trust);
    words_free(&words);
    free(networks.missing);
}

/* Rewriting of senders. */

/* True where domain is, or is below, parent. */
static bool is_below(const char *domain, const char *parent)
{
    size_t d = strlen(domain);
    size_t p = strlen(parent);
    return d >= p && strcasecmp(domain + d - p, parent) == 0 &&
           (d == p || domain[d - p - 1] == '.' || domain[d - p] == '.');
}

/* What masquerading makes of a domain, by Postfix's rule: the first entry that fits decides. */
static const char *masqueraded(const struct words *entries, const char *domain)
{
    for (size_t i = 0; i < entries->count; i++) {
        const char *entry = entries->items[i];
        bool except = entry[0] == '!';
        if (is_below(domain, entry + except)) {
            return except ? domain : entry;
        }
    }
    return domain;
}

/* True where an entry hides hosts below one of our domains. */
static bool hides_hosts(const struct check *check, const struct words *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        if (entries->items[i][0] != '!' &&
            settings_domain(check->config->settings, entries->items[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void check_masquerading(struct check *check, const struct words *entries)
{
    const struct settings *settings = check->config->settings;
    struct listing changed = {.count = 0};
    char *command = postfix_command(check->postfix, "-e",
                                    "masquerade_classes = header_sender, header_recipient");
    for (size_t i = 0; i < settings->domain_count; i++) {
        const char *name = settings->domain[i].name;
        if (strcasecmp(masqueraded(entries, name), name) != 0) {
            listing_add(&changed, name);
        }
    }
    if (changed.count > 0) {
        check_add(check, CHECK_FAIL, command,
                  "masquerade_domains changes the sender after batvd has signed it, and no bounce "
                  "will match its tag: %s",
                  listing_end(&changed));
    } else if (hides_hosts(check, entries)) {
        check_add(check, CHECK_WARN, command,
                  "masquerade_domains turns senders on hosts below one of your domains into "
                  "senders in it, after batvd has left them unsigned");
    } else {
        free(command);
        check_ok(check, "masquerade_domains does not change your domains");
    }
}

void check_masquerade(struct check *check)
{
    struct words entries = {.items = NULL};
    const char *domains = postfix_get(check->postfix, "masquerade_domains");
    if (list_is_empty(domains) ||
        !list_has(postfix_get(check->postfix, "masquerade_classes"), "envelope_sender")) {
        check_ok(check, "envelope senders are not masqueraded");
    } else if (!words_split(domains, &entries)) {
        check->no_memory = true;
    } else {
        check_masquerading(check, &entries);
    }
    words_free(&entries);
}

static char *mend_senders(const struct check *check)
{
    static const struct mend_items items = {.standard = "", .added = "\"user@example.com\""};
    return mend_behind("give domains in place of addresses there (@example.com), or exclude these "
                       "senders: ",
                       mend_list(check, "exclude_sign", "senders", &items));
}

void check_sender_maps(struct check *check)
{
    static const char *const parameters[] = {"sender_canonical_maps", "smtp_generic_maps",
                                             "sender_dependent_relayhost_maps",
                                             "sender_dependent_default_transport_maps"};
    bool told = false;
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        const char *maps = postfix_get(check->postfix, parameters[i]);
        if (!list_is_empty(maps)) {
            check_add(check, CHECK_WARN, mend_senders(check),
                      "%s (%s) is queried for the tagged sender: entries for whole addresses no "
                      "longer match, those for @domain do",
                      parameters[i], maps);
            told = true;
        }
    }
    if (!told) {
        check_ok(check, "no table is queried for senders");
    }
}

void check_delimiter(struct check *check)
{
    struct listing domains = {.count = 0};
    const struct settings *settings = check->config->settings;
    const char *delimiter = postfix_get(check->postfix, "recipient_delimiter");
    for (size_t i = 0; i < settings->domain_count; i++) {
        if (settings->domain[i].syntax == TAG_SUBADDRESS) {
            listing_add(&domains, settings->domain[i].name);
        }
    }
    if (domains.count == 0) {
        check_ok(check, "no domain has syntax = \"subaddress\", which alone would need one");
    } else if (strcmp(delimiter, "+") == 0) {
        check_ok(check, "recipient_delimiter is the + that syntax = \"subaddress\" needs");
    } else if (strchr(delimiter, '+') != NULL) {
        const char *names = listing_end(&domains);
        check_add(
            check, CHECK_WARN, mend_config(check, "set syntax = \"prefix\" for %s,", names),
            "Postfix cuts an address at the first of \"%s\" (recipient_delimiter), so that a "
            "bounce to USER+prvs=...@%s does not reach a USER with another of them in its name",
            delimiter, names);
    } else {
        check_add(check, CHECK_FAIL,
                  postfix_command(check->postfix, "-e", "recipient_delimiter = +%s", delimiter),
                  "bounces to USER+prvs=... would be rejected as unknown users: "
                  "recipient_delimiter is \"%s\", "
                  "expected to have +, for %s",
                  delimiter, listing_end(&domains));
    }
}
