/*
 * The documents against the table of options: conf/batvd.conf and man/batvd.conf.5 name every
 * option with its default, the manual also range and words, and neither names anything else. Run in
 * the tree's top folder. And the advice from the table for a name that is misspelt.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "batv/policy.h"
#include "config/option_advice.h"

static char *read_file(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s cannot be read: run in the tree's top folder", path);
    ck_assert_int_gt(getdelim(&text, &size, '\0', file), 0);
    ck_assert_int_eq(fclose(file), 0);
    return text;
}

/* text with each run of white space as one space, and none at the ends. */
static char *tidy(const char *text)
{
    char *out = malloc(strlen(text) + 1);
    size_t used = 0;
    ck_assert_ptr_nonnull(out);
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr(" \t\n", *at) == NULL) {
            out[used++] = *at;
        } else if (used > 0 && out[used - 1] != ' ') {
            out[used++] = ' ';
        }
    }
    while (used > 0 && out[used - 1] == ' ') {
        used--;
    }
    out[used] = '\0';
    return out;
}

/* The option's name without its group. */
static const char *short_name(const struct config_option *option)
{
    const char *dot = strrchr(option->path, '.');
    return dot == NULL ? option->path : dot + 1;
}

/* "NAME = DEFAULT;" */
static char *assignment(const struct config_option *option)
{
    char *text = NULL;
    ck_assert_int_gt(asprintf(&text, "%s = %s;", short_name(option), option->standard), 0);
    return text;
}

/* ---------------------------------------------------------------- sample */

/* The next line, without its newline; *at moves on. */
static char *next_line(char **at)
{
    char *line = *at;
    if (*line == '\0') {
        return NULL;
    }
    char *end = strchrnul(line, '\n');
    *at = *end == '\0' ? end : end + 1;
    *end = '\0';
    return line;
}

/* The rest of a value that goes on in the comment's next lines, up to its semicolon. */
static char *whole_value(const char *first, char **at)
{
    char *value = strdup(first);
    ck_assert_ptr_nonnull(value);
    while (value[0] != '\0' && value[strlen(value) - 1] != ';') {
        char *longer = NULL;
        char *line = next_line(at);
        ck_assert_msg(line != NULL, "no ; after %s", value);
        ck_assert_int_gt(asprintf(&longer, "%s %s", value, line + strspn(line, " #")), 0);
        free(value);
        value = longer;
    }
    return value;
}

/* group, which ends with a dot where it is not empty, after a line that may begin or end one. */
static void follow_groups(const char *line, char *group, size_t size)
{
    size_t word = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
    size_t used = strlen(group);
    if (word > 0 && strcmp(line + word, ":") == 0) {
        snprintf(group + used, size - used, "%.*s.", (int)word, line);
    } else if (strcmp(line, "};") == 0) {
        ck_assert_uint_gt(used, 0);
        group[used - 1] = '\0';
        char *dot = strrchr(group, '.');
        group[dot == NULL ? 0 : dot + 1 - group] = '\0';
    }
}

/* Counts, by the option's place in the table, what stands commented out in the sample. */
static void read_sample(char *text, unsigned seen[])
{
    char group[64] = "";
    for (char *line; (line = next_line(&text)) != NULL;) {
        char path[128];
        size_t indent = strspn(line, " ");
        const char *name = line + indent + 1;
        size_t length = strcspn(name, " =");
        follow_groups(line + indent, group, sizeof group);
        if (line[indent] != '#' || length == 0 || strncmp(name + length, " = ", 3) != 0) {
            continue;
        }
        snprintf(path, sizeof path, "%s%.*s", group, (int)length, name);
        const struct config_option *option = option_find(path);
        ck_assert_msg(option != NULL, "the sample has %s, which is no option", path);
        char *value = whole_value(name, &text);
        char *found = tidy(value);
        char *expected = assignment(option);
        ck_assert_msg(strcmp(found, expected) == 0, "the sample has\n%s\ninstead of\n%s", found,
                      expected);
        seen[option - config_options]++;
        free(value);
        free(found);
        free(expected);
    }
}

START_TEST(test_sample_has_every_option)
{
    unsigned seen[OPTIONS_MAX] = {0};
    char *text = read_file("conf/batvd.conf");
    char *whole = strdup(text);
    ck_assert_ptr_nonnull(whole);
    read_sample(text, seen);
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        if (!option_is_member(option)) {
            ck_assert_msg(seen[i] == 1, "the sample has %s %u times", option->path, seen[i]);
            continue;
        }
        /* In the example of a group. */
        char *expected = NULL;
        if (option->standard != NULL) {
            expected = assignment(option);
        } else {
            ck_assert_int_gt(asprintf(&expected, "%s = \"", short_name(option)), 0);
        }
        ck_assert_msg(strstr(whole, expected) != NULL, "the sample lacks %s", expected);
        free(expected);
    }
    free(text);
    free(whole);
}
END_TEST

/* ---------------------------------------------------------------- manual */

/* Replaces all of what by with, which is not longer. */
static void replace(char *text, const char *what, const char *with)
{
    for (char *at = text; (at = strstr(at, what)) != NULL; at += strlen(with)) {
        memmove(at + strlen(with), at + strlen(what), strlen(at + strlen(what)) + 1);
        memcpy(at, with, strlen(with));
    }
}

/* What the manual says under an option's name: from its .It to the next one or to the next heading.
 */
static char *manual_entry(const char *manual, const struct config_option *option)
{
    char *start = NULL;
    ck_assert_int_gt(asprintf(&start, "\n.It Va %s Pq ", option->path), 0);
    const char *at = strstr(manual, start);
    ck_assert_msg(at != NULL, "the manual lacks %s", option->path);
    ck_assert_msg(strstr(at + 1, start) == NULL, "the manual has %s twice", option->path);
    static const char *const ends[] = {"\n.It Va ", "\n.Ss ", "\n.Sh "};
    const char *end = at + strlen(at);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const char *other = strstr(at + 1, ends[i]);
        end = other != NULL && other < end ? other : end;
    }
    char *entry = strndup(at, (size_t)(end - at));
    ck_assert_ptr_nonnull(entry);
    replace(entry, "\n.Dl ", "\n");
    replace(entry, "\\(dq", "\"");
    replace(entry, "\\&", "");
    char *tidied = tidy(entry);
    free(entry);
    free(start);
    return tidied;
}

static bool has_word(const char *entry, const char *word)
{
    static const char *const forms[] = {" Dq %s ", ".Dq %s ", ".It Dq %s ", " Do %s Dc "};
    bool found = word[0] == '\0';
    for (size_t i = 0; i < sizeof forms / sizeof *forms && !found; i++) {
        char *form = NULL;
        const char *place = strstr(forms[i], "%s");
        ck_assert_int_gt(
            asprintf(&form, "%.*s%s%s", (int)(place - forms[i]), forms[i], word, place + 2), 0);
        found = strstr(entry, form) != NULL;
        free(form);
    }
    return found;
}

/* True where the entry says "Takes the words of" an earlier option that has the same. */
static bool refers(const char *entry, const struct config_option *option)
{
    for (size_t i = 0; i < config_option_count && &config_options[i] != option; i++) {
        char *words = NULL;
        ck_assert_int_gt(asprintf(&words, "Takes the words of .Va %s ", config_options[i].path), 0);
        bool found = config_options[i].words == option->words && strstr(entry, words) != NULL;
        free(words);
        if (found) {
            return true;
        }
    }
    return false;
}

START_TEST(test_manual_has_every_option)
{
    char *manual = read_file("man/batvd.conf.5");
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        char *entry = manual_entry(manual, option);
        if (option->standard != NULL) {
            char *expected = assignment(option);
            ck_assert_msg(strstr(entry, expected) != NULL, "the manual lacks %s\n%s", expected,
                          entry);
            free(expected);
        }
        if (option->type == OPTION_INT || option->type == OPTION_SIZE) {
            char range[64];
            snprintf(range, sizeof range, "Pq integer, %lld to %lld ", option->min, option->max);
            ck_assert_msg(strstr(entry, range) != NULL, "the manual lacks %s for %s", range,
                          option->path);
        }
        bool elsewhere = refers(entry, option);
        for (size_t word = 0; option->words != NULL && option->words[word].name != NULL; word++) {
            ck_assert_msg(elsewhere || has_word(entry, option->words[word].name),
                          "the manual lacks the word %s of %s", option->words[word].name,
                          option->path);
        }
        free(entry);
    }
    free(manual);
}
END_TEST

START_TEST(test_manual_has_nothing_else)
{
    static const char start[] = "\n.It Va ";
    char *manual = read_file("man/batvd.conf.5");
    size_t count = 0;
    for (const char *at = manual; (at = strstr(at, start)) != NULL; count++) {
        char path[128];
        at += sizeof start - 1;
        snprintf(path, sizeof path, "%.*s", (int)strcspn(at, " \n"), at);
        ck_assert_msg(option_find(path) != NULL, "the manual has %s, which is no option", path);
    }
    ck_assert_uint_eq(count, config_option_count);
    free(manual);
}
END_TEST

START_TEST(test_manual_has_every_rule)
{
    char *manual = read_file("man/batvd.conf.5");
    for (size_t i = 0; policy_rule(i) != NULL; i++) {
        char *line = NULL;
        ck_assert_int_gt(asprintf(&line, "\n.It Li %s Ta ", policy_rule(i)), 0);
        ck_assert_msg(strstr(manual, line) != NULL, "the manual lacks the rule %s", policy_rule(i));
        free(line);
    }
    free(manual);
}
END_TEST

/* The manual's list of options whose change needs a restart. */
START_TEST(test_manual_has_what_needs_a_restart)
{
    char *manual = read_file("man/batvd.8");
    char *list = strstr(manual, "\nA change of\n");
    ck_assert_ptr_nonnull(list);
    char *end = strstr(list, "\nneeds a restart.\n");
    ck_assert_ptr_nonnull(end);
    *end = '\0';
    size_t listed = 0;
    size_t expected = 0;
    list += strlen("\nA change of\n");
    for (char *word = strtok(list, " ,\n"); word != NULL; word = strtok(NULL, " ,\n")) {
        if (strcmp(word, ".Ic") != 0 && strcmp(word, "or") != 0) {
            const struct config_option *option = option_find(word);
            ck_assert_msg(option != NULL && option->at_start,
                          "a reload changes %s, but the manual says that only a start does", word);
            listed++;
        }
    }
    for (size_t i = 0; i < config_option_count; i++) {
        expected += config_options[i].at_start;
    }
    ck_assert_uint_eq(listed, expected);
    free(manual);
}
END_TEST

/* ----------------------------------------------------------------- table */

static const char *const class_names[BOUNCE_CLASS_COUNT] = {
    [BOUNCE_DSN] = "dsn",
    [BOUNCE_MDN] = "mdn",
    [BOUNCE_CALENDAR] = "calendar",
    [BOUNCE_REPORT] = "report",
    [BOUNCE_AUTOREPLY] = "autoreply",
    [BOUNCE_OTHER] = "other",
};

/* These are the types that option_print has to know. */
START_TEST(test_values_at_the_start)
{
    char *listen = strdup("unix:/a");
    struct raw_config raw = {.listen = listen,
                             .listen_mode = 0600,
                             .journal_enabled = true,
                             .evidence_parsers = 7,
                             .journal_max_size = 8589934592};
    static const struct {
        const char *path, *text;
    } values[] = {
        {"listen", "\"unix:/a\""}, {"listen_mode", "\"0600\""},        {"journal.enabled", "true"},
        {"evidence.parsers", "7"}, {"journal.max_size", "8589934592"},
    };
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        char *text = option_print(option_find(values[i].path), &raw);
        ck_assert_str_eq(text, values[i].text);
        free(text);
    }
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        ck_assert(!option->at_start ||
                  (option->type != OPTION_WORD && option->type != OPTION_LIST &&
                   option->type != OPTION_DOMAINS));
        ck_assert(!option->at_start || !option_is_member(option));
    }
    free(listen);
}
END_TEST

START_TEST(test_table)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        char *expected = option_advice_value(option, NULL);
        ck_assert_ptr_eq(option_find(option->path), option);
        ck_assert_ptr_nonnull(expected);
        ck_assert_uint_gt(strlen(expected), 0);
        ck_assert(!option_is_group(option->path));
        free(expected);
    }
    ck_assert_ptr_null(option_find("verify"));
    ck_assert_ptr_null(option_find(""));
    ck_assert(option_is_group("verify"));
    ck_assert(option_is_group("exclude_sign"));
    ck_assert(!option_is_group("exclude_"));
    ck_assert(option_is_group("verify.class"));
    ck_assert(!option_is_group("class"));
    ck_assert(!option_is_group("domains"));
    ck_assert(option_is_member(option_find("domains.sign")));
    ck_assert(!option_is_member(option_find("domains")));
}
END_TEST

/* ---------------------------------------------------------------- advice */

static const struct {
    const char *group, *name, *advice;
} names[] = {
    /* a letter less, more, another, two swapped; another case */
    {"", "domans", "did you mean domains?"},
    {"", "lissten", "did you mean listen?"},
    {"", "jeurnal", "did you mean journal?"},
    {"", "own_naems", "did you mean own_names?"},
    {"", "Verify", "did you mean verify?"},
    {"verify", "acton", "did you mean verify.action?"},
    {"verify", "clas", "did you mean verify.class?"},
    {"verify.class", "calender", "did you mean verify.class.calendar?"},
    {"domains", "patterns",
     "expected one of name, verify_action, syntax, sign, message_id_patterns"},
    {"domains", "nam", "did you mean domains.name?"},
    /* the nearest wins over the first */
    {"keys", "retaindays", "did you mean keys.retain_days?"},
    {"exclude_sign", "recipient", "did you mean exclude_sign.recipients?"},
    /* in another group */
    {"", "rotate_days", "did you mean keys.rotate_days?"},
    {"", "class", "did you mean verify.class?"},
    {"", "max_sise", "did you mean journal.max_size?"},
    {"sign", "listen", "did you mean listen?"},
    {"domains", "keys", "did you mean keys?"},
    /* nothing like it: five at most */
    {"keys", "x", "expected one of rotate_days, retain_days, algorithm, publish_seconds"},
    {"", "metrics",
     "expected one of listen, listen_mode, listen_group, user, state_dir or another that "
     "batvd.conf(5) lists"},
    {"verify.class", "receipt",
     "expected one of mdn, calendar, report, autoreply, dsn or another that batvd.conf(5) lists"},
    {"sign", "a-name-that-is-longer-than-any-name-of-an-option-is",
     "expected one of enabled, lifetime_days, syntax, add_message_id"},
};

START_TEST(test_the_name_that_was_meant)
{
    char *advice = option_advice_name(names[_i].group, names[_i].name);
    ck_assert_str_eq(advice, names[_i].advice);
    free(advice);
}
END_TEST

/* With one octet wrong each name of five and more leads to itself or to another one as near. */
START_TEST(test_every_name_is_found)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        const char *name = short_name(option);
        char group[64];
        char wrong[64];
        snprintf(group, sizeof group, "%.*s",
                 name > option->path ? (int)(name - option->path - 1) : 0, option->path);
        for (size_t at = 0; strlen(name) >= 5 && at < strlen(name); at++) {
            snprintf(wrong, sizeof wrong, "%s", name);
            wrong[at] = '#';
            char *advice = option_advice_name(group, wrong);
            ck_assert_msg(strncmp(advice, "did you mean ", 13) == 0, "%s: %s", wrong, advice);
            free(advice);
        }
    }
}
END_TEST

/* The same for words, of which an option of them knows each. */
START_TEST(test_every_word_is_found)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_word *words = config_options[i].words;
        for (; words != NULL && words->name != NULL; words++) {
            char wrong[64];
            if (strlen(words->name) < 3) {
                continue;
            }
            snprintf(wrong, sizeof wrong, "%s", words->name);
            wrong[0] = '#';
            char *advice = option_advice_value(&config_options[i], wrong);
            ck_assert_msg(strncmp(advice, "did you mean \"", 14) == 0, "%s: %s", wrong, advice);
            free(advice);
        }
    }
}
END_TEST

/* A class's action stands where the class is looked up. */
START_TEST(test_classes_are_in_their_places)
{
    for (int i = 0; i < BOUNCE_CLASS_COUNT; i++) {
        char path[64];
        snprintf(path, sizeof path, "verify.class.%s", class_names[i]);
        const struct config_option *option = option_find(path);
        ck_assert_msg(option != NULL, "%s", path);
        ck_assert_uint_eq(option->offset,
                          offsetof(struct raw_config, classes) + (size_t)i * sizeof(int));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *documents = tcase_create("documents");
    tcase_add_test(documents, test_sample_has_every_option);
    tcase_add_test(documents, test_manual_has_every_option);
    tcase_add_test(documents, test_manual_has_nothing_else);
    tcase_add_test(documents, test_manual_has_every_rule);
    tcase_add_test(documents, test_manual_has_what_needs_a_restart);
    suite_add_tcase(suite, documents);
    TCase *table = tcase_create("table");
    tcase_add_test(table, test_table);
    tcase_add_test(table, test_values_at_the_start);
    tcase_add_test(table, test_classes_are_in_their_places);
    suite_add_tcase(suite, table);
    TCase *advice = tcase_create("advice");
    tcase_add_loop_test(advice, test_the_name_that_was_meant, 0, COUNT_OF(names));
    tcase_add_test(advice, test_every_name_is_found);
    tcase_add_test(advice, test_every_word_is_found);
    suite_add_tcase(suite, advice);
    return suite_run(suite);
}
