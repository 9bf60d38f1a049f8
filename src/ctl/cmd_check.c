/* `batvctl check`: runs the checks and prints what they found, for people or as JSON. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/print.h"
#include "check/check.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/json.h"

static const struct {
    const char *name;
    const char *colour;
} levels[] = {
    [CHECK_OK] = {"ok", "\033[32m"},
    [CHECK_TODO] = {"todo", "\033[36m"},
    [CHECK_WARN] = {"warn", "\033[33m"},
    [CHECK_FAIL] = {"fail", "\033[31m"},
};

static void print_line(const struct finding *finding, bool colour)
{
    printf("%s%-4s%s  %-37s ", colour ? levels[finding->level].colour : "",
           levels[finding->level].name, colour ? "\033[0m" : "", check_name(finding));
    print_text(stdout, finding->text);
    if (finding->mend != NULL) {
        fputs("\n      mend: ", stdout);
        print_text(stdout, finding->mend);
    }
    putchar('\n');
}

static void print_summary(const struct check_counts *counts)
{
    fputs("summary:", stdout);
    for (int level = 0; level < CHECK_LEVELS; level++) {
        printf("%s %zu %s", level > 0 ? "," : "", counts->levels[level], levels[level].name);
    }
    putchar('\n');
}

static void print_lines(const struct check *check, bool quiet, const struct check_counts *counts)
{
    bool colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    size_t row = 0;
    size_t i = 0;
    const struct finding *finding;
    while ((finding = check_next(check, &row, &i, quiet)) != NULL) {
        print_line(finding, colour);
    }
    if (!quiet) {
        print_summary(counts);
    }
}

static void print_json(const struct check *check, bool quiet)
{
    struct json json;
    size_t row = 0;
    size_t i = 0;
    const struct finding *finding;
    json_begin_list(&json, true);
    while ((finding = check_next(check, &row, &i, quiet)) != NULL) {
        json_open_object(&json, NULL);
        json_text(&json, "level", levels[finding->level].name);
        json_text(&json, "name", check_name(finding));
        json_text(&json, "text", finding->text);
        json_text(&json, "mend", finding->mend);
        json_close(&json);
    }
    json_end_list(&json);
}

int check_all(struct ctl *ctl, bool quiet, struct check_counts *counts)
{
    struct check check = {.config_path = ctl->config_path, .now = time(NULL)};
    bool whole = ctl_load_own(ctl);
    if (whole) {
        check.config = ctl->config;
        check.messages = &ctl->messages;
        check.rough = ctl->rough;
        whole = check_run(&check);
    }
    *counts = (struct check_counts){.levels = {0}};
    for (size_t i = 0; i < check.count; i++) {
        counts->levels[check.findings[i].level]++;
    }
    if (ctl->json) {
        print_json(&check, quiet);
    } else {
        print_lines(&check, quiet, counts);
    }
    if (check.no_memory) {
        print_error("out of memory");
        whole = false;
    }
    check_clear(&check);
    return !whole ? CTL_UNABLE : counts->levels[CHECK_FAIL] > 0 ? CTL_NO : CTL_YES;
}

int cmd_check(struct ctl *ctl, int argc, char **argv)
{
    bool quiet = false;
    struct check_counts counts;
    const struct argument known[] = {
        {"--quiet", ARGUMENT_FLAG, &quiet, NULL},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    if (!arguments_parse(ctl, known, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc > 1) {
        return ctl_usage_error(ctl, "%s: unexpected argument", argv[1]);
    }
    return check_all(ctl, quiet, &counts);
}
