/*
 * postconf(1) replaces main.cf as a whole. The former file is kept beside it under a dated name,
 * and put back where postconf fails. One thread.
 */
#include "mta/main_cf.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/draft.h"
#include "base/file.h"
#include "base/print.h"
#include "base/program.h"

/* Behind the name of a file, and before a date: what it was. */
#define COPY ".batvd-"

enum { DATE_TEXT = sizeof "20261122T040335Z", COPIES = 10 };

enum status main_cf_run(const char *name, const char *const arguments[], size_t count,
                        struct reason *why)
{
    struct program_output output = {.out = NULL};
    char *path = program_find(name);
    const char **argv = calloc(count + 2, sizeof *argv);
    enum status status = reason_set(why, STATUS_IO, "%s cannot be found", name);
    if (path != NULL && argv != NULL) {
        argv[0] = path;
        for (size_t i = 0; i < count; i++) {
            argv[i + 1] = arguments[i];
        }
        status = program_run(argv, NULL, &output, why);
    }
    if (status == STATUS_OK && output.exit != 0) {
        const char *line = strstr(output.err, "fatal: ");
        line = line != NULL ? line : output.err;
        status = reason_set(why, STATUS_IO, "%s failed, exit status %d: %.*s", name, output.exit,
                            (int)strcspn(line, "\n"), line);
    }
    program_output_free(&output);
    free(argv);
    free(path);
    return status;
}

char *main_cf_path(const struct postfix *postfix)
{
    char *path = NULL;
    return asprintf(&path, "%s/main.cf", postfix_get(postfix, "config_directory")) < 0 ? NULL
                                                                                       : path;
}

/* Behind the = of a parameter's last line; NULL: it is not set there. */
static const char *find_value(const char *text, const char *name)
{
    size_t length = strlen(name);
    const char *found = NULL;
    for (const char *line = text; *line != '\0';
         line += strcspn(line, "\n"), line += *line == '\n') {
        const char *equals = line + length;
        equals += strncmp(line, name, length) == 0 ? strspn(equals, " \t") : 0;
        if (strncmp(line, name, length) == 0 && *equals == '=') {
            found = equals + 1;
        }
    }
    return found;
}

bool main_cf_sets(const char *text, const char *name)
{
    return find_value(text, name) != NULL;
}

char *main_cf_value(const char *text, const char *name)
{
    const char *value = find_value(text, name);
    if (value == NULL) {
        return NULL;
    }
    const char *end = value + strcspn(value, "\n");
    while (end[0] == '\n' && (end[1] == ' ' || end[1] == '\t')) {
        end += 1 + strcspn(end + 1, "\n");
    }
    return strndup(value, (size_t)(end - value));
}

int main_cf_copies(const struct postfix *postfix, glob_t *out)
{
    char *pattern = NULL;
    *out = (glob_t){.gl_pathc = 0};
    if (asprintf(&pattern, "%s/main.cf" COPY "*", postfix_get(postfix, "config_directory")) < 0) {
        return GLOB_NOSPACE;
    }
    int result = glob(pattern, GLOB_ERR, NULL, out);
    free(pattern);
    return result;
}

bool postfix_runs(void)
{
    static const char *const status[] = {"status"};
    struct reason ignored;
    return main_cf_run("postfix", status, 1, &ignored) == STATUS_OK;
}

bool postfix_reload(const struct postfix *postfix)
{
    static const char *const reload[] = {"reload"};
    struct reason why = {""};
    if (main_cf_run("postfix", reload, 1, &why) != STATUS_OK) {
        print_error("%s", why.text);
        print_error("the settings are written, but not in force: postfix%s reload",
                    postfix_place(postfix));
        return false;
    }
    puts("postfix: reloaded");
    return true;
}

/* After postconf has failed: main.cf as it was, and no copy of it left. */
static bool put_back(const char *main_cf, char **copy)
{
    struct reason why = {""};
    char *former = NULL;
    char *now = NULL;
    enum status status = file_read(*copy, &former, &why);
    if (status == STATUS_OK) {
        status = file_read(main_cf, &now, &why);
    }
    bool changed = status != STATUS_OK || strcmp(former, now) != 0;
    if (former != NULL && changed) {
        status = draft_replace(main_cf, former, 0644, &why);
    }
    if (status != STATUS_OK) {
        print_error("%s", why.text);
        print_error("%s may have changed: restore it from %s", main_cf, *copy);
    } else {
        (void)unlink(*copy);
        free(*copy);
        *copy = NULL;
        print_error("%s is unchanged", main_cf);
    }
    free(former);
    free(now);
    return false;
}

/* postconf OPTION ARGUMENT... */
static enum status run_postconf(const char *option, const char *const arguments[], size_t count,
                                struct reason *why)
{
    const char **all = calloc(count + 1, sizeof *all);
    if (all == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    all[0] = option;
    for (size_t i = 0; i < count; i++) {
        all[i + 1] = arguments[i];
    }
    enum status status = count > 0 ? main_cf_run("postconf", all, count + 1, why) : STATUS_OK;
    free(all);
    return status;
}

char *main_cf_copy_path(const char *file)
{
    char date[DATE_TEXT];
    char *path = NULL;
    time_t now = time(NULL);
    struct tm parts;
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &parts));
    for (int i = 1; path == NULL && i <= COPIES; i++) {
        int done = i == 1 ? asprintf(&path, "%s" COPY "%s", file, date)
                          : asprintf(&path, "%s" COPY "%s-%d", file, date, i);
        if (done < 0) {
            return NULL;
        }
        if (i < COPIES && access(path, F_OK) == 0) { /* of the same second */
            free(path);
            path = NULL;
        }
    }
    return path;
}

bool main_cf_edit(const struct postfix *postfix, const struct main_cf_change *change, char **copy)
{
    struct reason why = {"out of memory"};
    char *main_cf = main_cf_path(postfix);
    bool done = true;
    *copy = main_cf != NULL ? main_cf_copy_path(main_cf) : NULL;
    if (*copy == NULL || file_copy(main_cf, *copy, &why) != STATUS_OK) {
        print_error("%s", why.text);
        print_error("%s is unchanged", main_cf != NULL ? main_cf : "main.cf");
        free(*copy);
        *copy = NULL;
        done = false;
    } else if (run_postconf("-e", change->set, change->set_count, &why) != STATUS_OK ||
               run_postconf("-X", change->drop, change->drop_count, &why) != STATUS_OK) {
        print_error("%s", why.text);
        done = put_back(main_cf, copy);
    }
    free(main_cf);
    return done;
}
