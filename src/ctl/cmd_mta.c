/*
 * `batvctl mta`: what Postfix or Sendmail needs for the configuration in force. Nothing is changed
 * here: with --part the answer is what goes into a file, without it a script that applies all of
 * it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "base/program.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "mta/former.h"
#include "mta/postfix.h"
#include "mta/postfix_map.h"
#include "mta/postfix_needs.h"
#include "mta/sendmail.h"
#include "mta/sendmail_part.h"

#define DEFAULT_CONFIG BATV_SYSCONFDIR "/batvd/batvd.conf"

struct answer {
    const struct ctl *ctl;
    struct postfix *postfix; /* NULL: none here, or it cannot be asked */
    struct need_site site;
    char *values[NEED_COUNT];
};

static bool find_values(struct answer *answer)
{
    for (int i = 0; i < NEED_COUNT; i++) {
        answer->values[i] = need_value(&answer->site, (enum need)i);
        if (answer->values[i] == NULL) {
            return false;
        }
    }
    return true;
}

static void print_value(const struct answer *answer, enum need need)
{
    printf("%s = %s\n", need_name(need), answer->values[need]);
}

/* Where other maps are set, the classes change for them too. */
static void print_other_maps(const struct answer *answer)
{
    if (strchr(answer->values[NEED_MAPS], ',') != NULL) {
        fputs("# The other maps here now apply to envelope recipients only, not to headers.\n",
              stdout);
    }
}

static bool print_main(const struct answer *answer)
{
    fputs("# batvd in Postfix: settings for /etc/postfix/main.cf. `batvctl mta postfix` prints "
          "them for\n"
          "# your configuration, keeps what is set already, and prints the commands that apply "
          "them.\n"
          "# Afterwards `batvctl check` reports anything that is missing.\n"
          "\n"
          "# Mail by SMTP, and mail by sendmail(1). A path without a leading slash is relative to\n"
          "# Postfix's queue directory, so it works inside and outside a chroot.\n",
          stdout);
    print_value(answer, NEED_MILTERS);
    print_value(answer, NEED_NON_SMTPD);
    fputs("\n"
          "# Defers mail while batvd is away. With \"accept\", mail would go out without a tag, "
          "and its\n"
          "# bounces would be rejected later.\n",
          stdout);
    if (need_has_own_action(&answer->site)) {
        fputs("# The other milters keep this value; batvd has its own action above.\n", stdout);
    }
    print_value(answer, NEED_ACTION);
    fputs("\n"
          "# Makes tagged recipients valid, whichever table has the plain ones. For the envelope "
          "only:\n"
          "# headers hold the tags of others too. Never put it into canonical_maps or\n"
          "# sender_canonical_maps, which would remove the tag from the sender again.\n",
          stdout);
    print_other_maps(answer);
    print_value(answer, NEED_MAPS);
    print_value(answer, NEED_CLASSES);
    return true;
}

static bool print_map(const struct answer *answer)
{
    char *text = postfix_map_text(answer->ctl->config->settings);
    bool done = text != NULL;
    fputs(done ? text : "", stdout);
    free(text);
    return done;
}

/* postconf -e 'NAME = VALUE' ... */
static bool print_postconf(const struct answer *answer, const char *place)
{
    printf("postconf%s -e", place);
    for (int i = 0; i < NEED_COUNT; i++) {
        char *setting = NULL;
        char *quoted = NULL;
        if (asprintf(&setting, "%s = %s", need_name((enum need)i), answer->values[i]) >= 0) {
            quoted = program_quote(setting);
            free(setting);
        }
        if (quoted == NULL) {
            return false;
        }
        printf(" \\\n    %s", quoted);
        free(quoted);
    }
    fputs(" &&\n", stdout);
    return true;
}

/* "" or "-c FILE ", as a shell reads it. NULL: no memory. */
static char *config_option(const struct ctl *ctl)
{
    char *option = NULL;
    if (strcmp(ctl->config_path, DEFAULT_CONFIG) == 0) {
        return strdup("");
    }
    char *quoted = program_quote(ctl->config_path);
    if (quoted == NULL || asprintf(&option, "-c %s ", quoted) < 0) {
        option = NULL;
    }
    free(quoted);
    return option;
}

static bool print_script(const struct answer *answer)
{
    const char *place = answer->postfix != NULL ? postfix_place(answer->postfix) : "";
    char *option = config_option(answer->ctl);
    char *path = program_quote(answer->site.map_path);
    bool usual = strcmp(answer->site.map_path, POSTFIX_MAP_PATH) == 0;
    bool done = option != NULL && path != NULL;
    if (done) {
        printf("# batvd in Postfix: the settings for %s. As root, this applies them:\n"
               "#     batvctl %smta postfix%s%s | sh\n"
               "\n"
               "# The map of recipients. Make it again when you add or remove a domain.\n"
               "cat > %s.new <<'END-OF-MAP' &&\n",
               answer->ctl->config_path, option, usual ? "" : " --map-path ", usual ? "" : path,
               path);
        done = print_map(answer);
        printf("END-OF-MAP\n"
               "chmod 644 %s.new &&\nmv %s.new %s &&\n\n",
               path, path, path);
        print_other_maps(answer);
        done = done && print_postconf(answer, place);
        printf("\npostfix%s reload &&\nbatvctl %scheck\n", place, option);
    }
    free(option);
    free(path);
    return done;
}

static const struct {
    const char *name; /* "": without --part */
    bool (*print)(const struct answer *answer);
} parts[] = {{"", print_script}, {"main", print_main}, {"map", print_map}};

enum { PARTS = sizeof parts / sizeof parts[0] };

/* Not being able to ask Postfix is no reason not to answer: the values for an ordinary one do. */
static void open_postfix(struct answer *answer)
{
    struct reason why = {""};
    if (postfix_open(&answer->postfix, &why) != STATUS_OK) {
        print_error("%s; assuming %s as the queue directory, and no other settings", why.text,
                    need_queue_directory(NULL));
    }
}

static int answer_status(bool done)
{
    if (!done) {
        print_error("out of memory");
    }
    return done ? CTL_YES : CTL_UNABLE;
}

static int mta_postfix(struct ctl *ctl, const char *part, const char *map_path)
{
    struct answer answer = {.ctl = ctl};
    size_t i = 0;
    while (i < PARTS && strcmp(parts[i].name, part) != 0) {
        i++;
    }
    if (i == PARTS) {
        return ctl_usage_error(ctl, "--part: expected main or map");
    }
    map_path = map_path != NULL ? map_path : POSTFIX_MAP_PATH;
    if (map_path[0] != '/' || strpbrk(map_path, " \t\r\n,{}$\"") != NULL) {
        return ctl_usage_error(ctl, "--map-path: expected an absolute path that main.cf can hold");
    }
    open_postfix(&answer);
    struct formers *formers = formers_new(ctl->config, answer.postfix);
    answer.site = (struct need_site){answer.postfix, formers, ctl->config->listen, map_path};
    bool done = formers != NULL && find_values(&answer) && parts[i].print(&answer);
    for (int need = 0; need < NEED_COUNT; need++) {
        free(answer.values[need]);
    }
    formers_free(formers);
    postfix_free(answer.postfix);
    return answer_status(done);
}

/* ---------------------------------------------------------------- Sendmail */

/* sendmail.mc includes our part, so that it can be made anew without touching that file again. */
static bool print_sendmail_script(const struct ctl *ctl, const struct sendmail_wish *wish)
{
    char *option = config_option(ctl);
    bool done = option != NULL;
    if (done) {
        printf(
            "# batvd in Sendmail: the settings for %s. As root, this applies them:\n"
            "#     batvctl %smta sendmail | sh\n"
            "# It includes a file of its own at the end of sendmail.mc, so it is for a Sendmail "
            "whose\n"
            "# sendmail.cf is made from that. For any other: --part mc, --part cf.\n"
            "\n"
            "# The part. Make it again when you add or remove a domain.\n"
            "if grep '^INPUT_MAIL_FILTER(`batvd' " SENDMAIL_FOLDER "/sendmail.mc >/dev/null; then\n"
            "    echo '" SENDMAIL_FOLDER "/sendmail.mc contains the part itself: remove it' >&2\n"
            "    exit 1\n"
            "fi\n"
            "test -f " SENDMAIL_FOLDER "/sendmail.mc &&\n"
            "cat > " SENDMAIL_FOLDER "/batvd.mc.new <<'END-OF-PART' &&\n",
            ctl->config_path, option);
        done = sendmail_print_mc(wish, stdout);
        printf("END-OF-PART\n"
               "chmod 644 " SENDMAIL_FOLDER "/batvd.mc.new &&\n"
               "mv " SENDMAIL_FOLDER "/batvd.mc.new " SENDMAIL_FOLDER "/batvd.mc &&\n"
               "\n"
               "# Once, at the end of sendmail.mc.\n"
               "if ! grep -q '^include(`" SENDMAIL_FOLDER "/batvd\\.mc' " SENDMAIL_FOLDER
               "/sendmail.mc; then\n"
               "    echo 'include(`" SENDMAIL_FOLDER "/batvd.mc'\\'')dnl' >> " SENDMAIL_FOLDER
               "/sendmail.mc\n"
               "fi &&\n"
               "\n"
               "# Debian, Red Hat and the BSDs have a Makefile there that makes sendmail.cf.\n"
               "touch " SENDMAIL_FOLDER "/sendmail.mc &&\n"
               "make -C " SENDMAIL_FOLDER " &&\n"
               "service sendmail restart &&\nbatvctl %scheck\n",
               option);
    }
    free(option);
    return done;
}

static bool print_sendmail(const struct ctl *ctl, const char *part, struct sendmail_wish *wish)
{
    if (strcmp(part, "cf") != 0) {
        return part[0] == '\0' ? print_sendmail_script(ctl, wish) : sendmail_print_mc(wish, stdout);
    }
    struct reason why;
    struct sendmail *sendmail = NULL;
    const char *filters = NULL;
    if (sendmail_open_cf(&sendmail, &why) == STATUS_OK) {
        filters = sendmail_option(sendmail, "InputMailFilters");
    }
    wish->filters = filters != NULL ? filters : "";
    bool done = sendmail_print_cf(wish, stdout);
    sendmail_free(sendmail);
    return done;
}

static int mta_sendmail(struct ctl *ctl, const char *part)
{
    if (part[0] != '\0' && strcmp(part, "mc") != 0 && strcmp(part, "cf") != 0) {
        return ctl_usage_error(ctl, "--part: expected mc or cf");
    }
    char *socket = sendmail_socket(ctl->config->listen);
    if (socket != NULL && !sendmail_can_name(socket)) {
        print_error("%s: listen: Sendmail's configuration cannot hold %s", ctl->config_path,
                    socket);
        free(socket);
        return CTL_UNABLE;
    }
    struct sendmail_wish wish = {ctl->config->listen, ctl->config->settings, ""};
    bool done = socket != NULL && print_sendmail(ctl, part, &wish);
    free(socket);
    return answer_status(done);
}

int cmd_mta(struct ctl *ctl, int argc, char **argv)
{
    const char *part = NULL;
    const char *map_path = NULL;
    const struct argument known[] = {
        {"--part", ARGUMENT_VALUE, NULL, &part},
        {"--map-path", ARGUMENT_VALUE, NULL, &map_path},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    if (!arguments_parse(ctl, known, &argc, argv)) {
        return CTL_UNABLE;
    }
    bool postfix = argc == 2 && strcmp(argv[1], "postfix") == 0;
    if (!postfix && (argc != 2 || strcmp(argv[1], "sendmail") != 0)) {
        return ctl_usage_error(ctl, "expected postfix or sendmail");
    }
    if (ctl->json) {
        return ctl_usage_error(ctl, "mta has no JSON output");
    }
    if (!postfix && map_path != NULL) {
        return ctl_usage_error(ctl, "--map-path: Sendmail needs no map");
    }
    if (part != NULL && part[0] == '\0') {
        return ctl_usage_error(ctl, "--part: expected %s", postfix ? "main or map" : "mc or cf");
    }
    if (ctl->config->settings->domain_count == 0) {
        print_error("%s: no domains: batvd will sign and restore nothing", ctl->config_path);
    }
    part = part != NULL ? part : "";
    return postfix ? mta_postfix(ctl, part, map_path) : mta_sendmail(ctl, part);
}
