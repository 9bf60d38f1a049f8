/*
 * The administrator's tool: the table of its commands, and what happens before one is called. The
 * configuration is read with the rights that batvctl was started with, since it may be readable by
 * root only; after that batvctl becomes the owner of the state folder, for commands that touch it.
 *
 * One thread. Memory is freed at the end, so that a leak is seen.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/descriptors.h"
#include "base/print.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "daemon/owner.h"
#include "daemon/privileges.h"

#define DEFAULT_CONFIG BATV_SYSCONFDIR "/batvd/batvd.conf"

enum { KEYS = CTL_STATE | CTL_KEYS, ROUGH = CTL_STATE | CTL_ROUGH, GO_ON = -1 };

/*
 * Shells complete by this table too, as --help prints it (see conf/completion): words in lower case
 * stand for themselves, with | between alternatives, K is a key's number and FILE a file's name.
 */
static const struct command commands[] = {
    {"key", "init", "make a keyring with a first key", cmd_key_init, KEYS},
    {"key", "list", "show the keys, without their secrets", cmd_key_list, KEYS},
    {"key", "rotate [--algorithm hmac-sha256|hmac-sha1] [--activate-in SECONDS] [--evidence]",
     "make a new key", cmd_key_rotate, KEYS},
    {"key", "revoke K [--compromised]", "drop a key at once", cmd_key_revoke, KEYS},
    {"key", "export K [--force]", "write a key's secret as hex to stdout", cmd_key_export, KEYS},
    {"key", "import K --algorithm hmac-sha256|hmac-sha1 [--state pending|active|retained]",
     "take a key's secret as hex from stdin", cmd_key_import, KEYS},
    {"sign", "ADDRESS...", "tag addresses", cmd_sign, KEYS},
    {"verify", "ADDRESS...", "verify the tags of addresses", cmd_verify, KEYS},
    {"explain", "--client IP [--client-name N] [--auth USER] --from S --rcpt R... [--message FILE]",
     "show how batvd would treat a message, and by which rule", cmd_explain, 0},
    {"inspect", "FILE", "parse a bounce and show what proves that its original was yours",
     cmd_inspect, 0},
    {"check", "[--quiet]", "check configuration, keys, socket and the MTA's settings", cmd_check,
     0},
    {"health", "[--ready]", "say in one line whether the daemon serves; --ready: and could restart",
     cmd_health, CTL_KEYS},
    {"status", "[--watch]", "show the state of the daemon", cmd_status, ROUGH | CTL_KEYS},
    {"journal", "stat", "show the size and age of the journal of sent messages", cmd_journal_stat,
     KEYS},
    {"journal", "lookup ADDRESS MESSAGE-ID",
     "show whether a message was sent; the last second may be missing", cmd_journal_lookup, KEYS},
    {"journal", "expire", "remove expired entries, as batvd does by itself", cmd_journal_expire,
     KEYS},
    {"pause", "", "reject nothing from now on; signing continues", cmd_pause, ROUGH},
    {"resume", "", "end a pause", cmd_resume, ROUGH},
    {"setup", "DOMAIN... [--apply] | --undo",
     "create or extend the configuration, print or apply the MTA's settings; or end the use of "
     "batvd",
     cmd_setup, 0},
    {"mta", "postfix [--part main|map] [--map-path FILE]", "print the MTA's settings", cmd_mta,
     CTL_CONFIG},
    {"mta", "sendmail [--part mc|cf]", "the same for Sendmail", cmd_mta, CTL_CONFIG},
    {NULL, NULL, NULL, NULL, 0},
};

#define USAGE "usage: batvctl [-c FILE] [--json] COMMAND ...\n"

static void print_usage(FILE *stream)
{
    fputs(USAGE "\n", stream);
    for (const struct command *c = commands; c->name != NULL; c++) {
        fprintf(stream, "  %s%s%s\n        %s\n", c->name, c->arguments[0] != '\0' ? " " : "",
                c->arguments, c->help);
    }
    fputs("\n"
          "-c FILE    the configuration, " DEFAULT_CONFIG " by default\n"
          "--json     the answer as JSON; also after the command\n"
          "--help     show this; after a command, show its arguments\n"
          "--version  the version\n"
          "Exit status: 0 yes or done, 1 no or refused, 2 could not run. See batvctl(8).\n",
          stream);
}

static int refuse_usage(const char *problem, const char *what)
{
    print_error("%s%s", problem, what);
    fputs(USAGE "`batvctl --help` lists the commands\n", stderr);
    return CTL_UNABLE;
}

static const struct command *find_command(const char *name)
{
    const struct command *c = commands;
    while (c->name != NULL && strcmp(c->name, name) != 0) {
        c++;
    }
    return c->name != NULL ? c : NULL;
}

static bool is_form_of(const struct command *c, const struct command *first)
{
    return c->name != NULL && strcmp(c->name, first->name) == 0;
}

/* The form that word names, where each form of the command has a function of its own. NULL: there
 * is none, which has been said. */
static const struct command *find_form(const struct ctl *ctl, const char *word)
{
    for (const struct command *c = ctl->command; word != NULL && is_form_of(c, ctl->command); c++) {
        size_t length = strcspn(c->arguments, " ");
        if (strncmp(c->arguments, word, length) == 0 && word[length] == '\0') {
            return c;
        }
    }
    if (word == NULL) {
        (void)ctl_usage_error(ctl, "%s: a command is missing", ctl->command->name);
    } else {
        (void)ctl_usage_error(ctl, "%s: unknown command %s", ctl->command->name, word);
    }
    return NULL;
}

/* Takes a flag out wherever it stands before `--`; tells whether it was there. */
static bool take_flag(int *argc, char **argv, const char *flag)
{
    int kept = 1;
    int count = *argc;
    bool ended = false;
    for (int i = 1; i < count; i++) {
        ended = ended || strcmp(argv[i], "--") == 0;
        if (ended || strcmp(argv[i], flag) != 0) {
            argv[kept++] = argv[i];
        }
    }
    argv[kept] = NULL;
    *argc = kept;
    return kept < count;
}

/* What stands before the command, up to *at. GO_ON or an exit status. */
static int read_options(struct ctl *ctl, int argc, char **argv, int *at)
{
    for (*at = 1; *at < argc && argv[*at][0] == '-'; (*at)++) {
        const char *option = argv[*at];
        if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
            print_usage(stdout);
            return CTL_YES;
        }
        if (strcmp(option, "--version") == 0 || strcmp(option, "-V") == 0) {
            puts("batvctl " BATV_VERSION);
            return CTL_YES;
        }
        if (strncmp(option, "-c", 2) != 0) {
            return refuse_usage("unknown option ", option);
        }
        if (option[2] == '\0' && *at + 1 >= argc) {
            return refuse_usage("a file name is missing after ", option);
        }
        ctl->config_path = option[2] != '\0' ? option + 2 : argv[++*at];
    }
    if (*at < argc) {
        return GO_ON;
    }
    print_usage(stderr);
    return CTL_UNABLE;
}

/* What the command's flags ask for. */
static bool prepare(struct ctl *ctl)
{
    unsigned flags = ctl->command->flags;
    if ((flags & (CTL_CONFIG | CTL_STATE)) != 0 &&
        !((flags & CTL_ROUGH) != 0 ? ctl_load_own : ctl_load_config)(ctl)) {
        return false;
    }
    assert((flags & CTL_STATE) == 0 || ctl->config != NULL);
    if ((flags & CTL_STATE) != 0 && !owner_become(ctl->config->state_dir, ctl->config->user)) {
        return false;
    }
    if ((flags & CTL_KEYS) != 0) {
        secret_lock_memory();
        privileges_hide_memory();
    }
    return true;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    int at;
    ctl->json = take_flag(&argc, argv, "--json");
    int status = read_options(ctl, argc, argv, &at);
    if (status != GO_ON) {
        return status;
    }
    ctl->command = find_command(argv[at]);
    if (ctl->command == NULL) {
        return refuse_usage("unknown command ", argv[at]);
    }
    argc -= at;
    if (take_flag(&argc, argv + at, "--help")) {
        ctl_print_usage(ctl, stdout);
        return CTL_YES;
    }
    const struct command *form = ctl->command;
    bool forms = is_form_of(form + 1, form) && form[1].run != form->run;
    if (forms && (form = find_form(ctl, argv[at + 1])) == NULL) {
        return CTL_UNABLE;
    }
    if (!prepare(ctl)) {
        return ctl->rough ? CTL_NO : CTL_UNABLE; /* where it ought to work there is nobody */
    }
    return form->run(ctl, argc - forms, argv + at + forms);
}

/* An answer that could not be written is none. */
static bool flush_answer(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return true;
    }
    print_error("stdout: %s", strerror(errno));
    return false;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.config_path = DEFAULT_CONFIG};
    if (!descriptors_open()) {
        return CTL_UNABLE; /* with nowhere to say it */
    }
    signal(SIGXFSZ, SIG_IGN); /* a file too large is an error like any other */
    int status = run(&ctl, argc, argv);
    ctl_free(&ctl);
    return flush_answer() ? status : CTL_UNABLE;
}
