/*
 * `batvctl mta postfix`: what Postfix needs for the configuration in force. Nothing is changed
 * here: with --part the answer is what goes into a file, without it a script that applies all of
 * it.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/postfix.h"
#include "ctl/postfix_map.h"
#include "ctl/postfix_needs.h"
#include "ctl/program.h"

#define DEFAULT_CONFIG BATV_SYSCONFDIR "/batvd/batvd.conf"

struct answer {
    const struct ctl *ctl;
    struct postfix *postfix; /* NULL: none here, or it cannot be asked */
    const char *map_path;
    char *values[NEED_COUNT];
};

static bool find_values(struct answer *answer)
{
    for (int i = 0; i < NEED_COUNT; i++) {
        answer->values[i] = need_value(answer->postfix, (enum need)i, answer->ctl->config->listen,
                                       answer->map_path);
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
        fputs(
            "# The other maps here work on envelope recipients only from now on, not on headers.\n",
            stdout);
    }
}

static bool print_main(const struct answer *answer)
{
    fputs("# batvd in Postfix: the part for /etc/postfix/main.cf. `batvctl mta postfix` prints it "
          "for\n"
          "# the configuration in force, keeps what is set there already, and gives the commands "
          "that\n"
          "# apply it. Afterwards `batvctl check` tells whether anything is missing.\n"
          "\n"
          "# Mail that comes by SMTP, and mail by sendmail(1). A path without a slash in front "
          "begins at\n"
          "# Postfix's queue directory, which is right in a chroot and out of it.\n",
          stdout);
    print_value(answer, NEED_MILTERS);
    print_value(answer, NEED_NON_SMTPD);
    fputs(
        "\n"
        "# While batvd is away, clients are to come again later. With \"accept\" mail would leave\n"
        "# without a tag, and its bounces would be refused.\n",
        stdout);
    print_value(answer, NEED_ACTION);
    fputs(
        "\n"
        "# Makes tagged recipients known to Postfix, whichever table knows the plain ones. Of the\n"
        "# envelope only: headers hold the tags of others too. Never put it into canonical_maps "
        "or\n"
        "# sender_canonical_maps: that would take the tag off the sender again.\n",
        stdout);
    print_other_maps(answer);
    print_value(answer, NEED_MAPS);
    print_value(answer, NEED_CLASSES);
    return true;
}

static bool print_map(const struct answer *answer)
{
    const struct settings *settings = answer->ctl->config->settings;
    const char **domains = calloc(settings->rules_count + 1, sizeof *domains);
    if (domains == NULL) {
        return false;
    }
    for (size_t i = 0; i < settings->rules_count; i++) {
        domains[i] = settings->rules[i].name;
    }
    bool done = postfix_map_print(domains, settings->rules_count, stdout);
    free(domains);
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
    char *path = program_quote(answer->map_path);
    bool done = option != NULL && path != NULL;
    if (done) {
        printf("# batvd in Postfix: what it needs, by %s. As root, this applies it:\n"
               "#     batvctl %smta postfix | sh\n"
               "\n"
               "# The map of recipients; to be made anew when a domain comes or goes.\n"
               "cat > %s.new <<'END-OF-MAP' &&\n",
               answer->ctl->config_path, option, path);
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
        ctl_error("%s; taking %s as the queue directory, and nothing as set", why.text,
                  need_queue_directory(NULL));
    }
}

static int print_answer(struct ctl *ctl, const char *map_path, size_t part)
{
    struct answer answer = {.ctl = ctl, .map_path = map_path};
    open_postfix(&answer);
    if (ctl->config->settings->rules_count == 0) {
        ctl_error("%s: no domains: nothing will be signed or restored", ctl->config_path);
    }
    bool done = find_values(&answer) && parts[part].print(&answer);
    if (!done) {
        ctl_error("out of memory");
    }
    for (int i = 0; i < NEED_COUNT; i++) {
        free(answer.values[i]);
    }
    postfix_free(answer.postfix);
    return done ? CTL_YES : CTL_UNABLE;
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
    size_t i = 0;
    if (!arguments_parse(ctl, known, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc != 2 || strcmp(argv[1], "postfix") != 0) {
        return ctl_usage_error(ctl, "for which MTA? expected postfix");
    }
    if (ctl->json) {
        return ctl_usage_error(ctl, "this has no form as JSON");
    }
    while (i < PARTS && strcmp(parts[i].name, part != NULL ? part : "") != 0) {
        i++;
    }
    if (i == PARTS || (part != NULL && part[0] == '\0')) {
        return ctl_usage_error(ctl, "--part: expected main or map");
    }
    map_path = map_path != NULL ? map_path : POSTFIX_MAP_PATH;
    if (map_path[0] != '/' || strpbrk(map_path, " \t\r\n,{}$\"") != NULL) {
        return ctl_usage_error(ctl, "--map-path: expected an absolute path that main.cf can hold");
    }
    return print_answer(ctl, map_path, i);
}
