/*
 * The pure parts under `batvctl mta` and `batvctl check`: Postfix's lists, the names of listeners,
 * the map's text, a shell's words; and the running of other programs within bounds.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "base/program.h"
#include "base/words.h"
#include "mta/milter_address.h"
#include "mta/postfix_map.h"

/* Lists. */

static const struct {
    const char *list;
    const char *items; /* each behind a | */
} lists[] = {
    {"", ""},
    {" ,\t ,", ""},
    {"a", "|a"},
    {"a b,c\td , e", "|a|b|c|d|e"},
    {"{ unix:a, default_action=accept } inet:b:1", "|{ unix:a, default_action=accept }|inet:b:1"},
    {"pipemap:{pcre:/a, inline:{b=c, d=e}},x", "|pipemap:{pcre:/a, inline:{b=c, d=e}}|x"},
    {"a}b {c", "|a}b|{c"},
};

START_TEST(test_words_split)
{
    struct words words = {.items = NULL};
    char joined[200] = "";
    ck_assert(words_split(lists[_i].list, &words));
    for (size_t i = 0; i < words.count; i++) {
        size_t used = strlen(joined);
        snprintf(joined + used, sizeof joined - used, "|%s", words.items[i]);
    }
    ck_assert_str_eq(joined, lists[_i].items);
    ck_assert_int_eq(list_is_empty(lists[_i].list), words.count == 0);
    words_free(&words);
    ck_assert_uint_eq(words.count, 0);
}
END_TEST

START_TEST(test_list_has)
{
    ck_assert(list_has("a, Bounce c", "bounce"));
    ck_assert(!list_has("bounces", "bounce"));
    ck_assert(!list_has("bounce", "bounces"));
    ck_assert(!list_has("{ bounce }", "bounce"));
    ck_assert(!list_has("", "bounce"));
}
END_TEST

static const struct {
    const char *list, *item, *replacement, *separator, *expected;
} changes[] = {
    {"a b, c", "b", NULL, ",", "a,c"}, {"a b, c", "B", "d", " ", "a d c"},
    {"a", "a", NULL, ",", ""},         {"{ a, b } c", "{ a, b }", "a", ", ", "a, c"},
    {"a a", "x", NULL, ", ", "a, a"},  {"", "x", "y", ", ", ""},
};

START_TEST(test_list_with)
{
    char *list = list_with(changes[_i].list, changes[_i].item, changes[_i].replacement,
                           changes[_i].separator);
    ck_assert_str_eq(list, changes[_i].expected);
    free(list);
}
END_TEST

START_TEST(test_listing_is_cut_with_the_number_left_out)
{
    struct listing listing = {.count = 0};
    char item[16];
    for (int i = 0; i < 3; i++) {
        snprintf(item, sizeof item, "%d", i);
        listing_add(&listing, item);
    }
    ck_assert_str_eq(listing_end(&listing), "0, 1, 2");
    for (int i = 3; i < 1000; i++) {
        snprintf(item, sizeof item, "%d", i);
        listing_add(&listing, item);
    }
    const char *text = listing_end(&listing);
    size_t commas = 0;
    for (const char *p = text; *p != '\0'; p++) {
        commas += *p == ',';
    }
    snprintf(item, sizeof item, " %zu more", 1000 - (commas + 1));
    ck_assert_msg(strstr(text, item) != NULL, "%s", text);
    ck_assert_str_eq(listing_end(&listing), text);

    struct listing empty = {.count = 0};
    ck_assert_str_eq(listing_end(&empty), "");
    char long_item[2 * LISTING_TEXT];
    memset(long_item, 'x', sizeof long_item - 1);
    long_item[sizeof long_item - 1] = '\0';
    listing_add(&empty, long_item);
    ck_assert_str_eq(listing_end(&empty), "1 more");
}
END_TEST

/* Names of listeners. */

static const struct {
    const char *listen, *queue, *name;
} names[] = {
    {"unix:/q/batvd/m.sock", "/q", "unix:batvd/m.sock"},
    {"unix:/q/m.sock", "/q//", "unix:m.sock"},
    {"unix:/q//m.sock", "/q", "unix:m.sock"},
    {"unix:/queue/m.sock", "/q", "unix:/queue/m.sock"},
    {"unix:/m.sock", "/", "unix:/m.sock"},
    {"inet:8891@127.0.0.1", "/q", "inet:127.0.0.1:8891"},
    {"inet:8891@0.0.0.0", "/q", "inet:127.0.0.1:8891"},
    {"inet6:8891@::", "/q", "inet:[::1]:8891"},
    {"inet6:8891@2001:db8::1", "/q", "inet:[2001:db8::1]:8891"},
};

START_TEST(test_milter_name)
{
    char *name = milter_name(names[_i].listen, names[_i].queue);
    ck_assert_str_eq(name, names[_i].name);
    ck_assert(milter_name_leads(name, names[_i].listen, names[_i].queue, false));
    free(name);
}
END_TEST

static const struct {
    const char *name, *listen;
    bool chroot, leads;
} leads[] = {
    {"unix:b/m.sock", "unix:/nowhere/b/m.sock", false, true},
    {"unix:b/m.sock", "unix:/nowhere/b/m.sock", true, true},
    {"UNIX:b/m.sock", "unix:/nowhere/b/m.sock", true, true},
    {"local:b/m.sock", "unix:/nowhere/b/m.sock", true, true},
    {"unix:/nowhere/b/m.sock", "unix:/nowhere/b/m.sock", false, true},
    {"unix:/nowhere/b/m.sock", "unix:/nowhere/b/m.sock", true, false},
    {"unix:/b/m.sock", "unix:/nowhere/b/m.sock", true, true},
    {"unix:/tmp/../tmp/m.sock", "unix:/tmp/m.sock", false, true},
    {"unix:b/m.sock", "unix:/nowhere/c/m.sock", false, false},
    {"inet:127.0.0.1:8891", "unix:/nowhere/b/m.sock", false, false},
    {"inet:127.0.0.1:8891", "inet:8891@127.0.0.1", false, true},
    {"inet:127.0.0.1:8892", "inet:8891@127.0.0.1", false, false},
    {"inet:127.0.0.2:8891", "inet:8891@127.0.0.1", false, false},
    {"inet:[::1]:8891", "inet6:8891@::1", false, true},
    {"inet:[::1]:8891", "inet6:8891@::", false, true},
    {"inet:[0:0::1]:8891", "inet6:8891@::1", false, true},
    {"inet:8891", "inet:8891@127.0.0.1", false, false},
    {"inet:127.0.0.1:no-such-service", "inet:8891@127.0.0.1", false, false},
    {"unix:8891@127.0.0.1", "inet:8891@127.0.0.1", false, false},
    {"", "inet:8891@127.0.0.1", false, false},
    {"", "unix:/nowhere/b/m.sock", false, false},
};

START_TEST(test_milter_name_leads)
{
    bool is = milter_name_leads(leads[_i].name, leads[_i].listen, "/nowhere", leads[_i].chroot);
    ck_assert_msg(is == leads[_i].leads, "%s: %s", leads[_i].name, leads[_i].listen);
}
END_TEST

START_TEST(test_milter_items)
{
    static const char item[] = "{ inet:h:1, connect_timeout=3s default_action=accept }";
    char *name = milter_item_name(item);
    char *action = milter_item_option(item, "default_action");
    char *timeout = milter_item_option(item, "connect_timeout");
    char *plain = milter_item_name("inet:h:1");
    ck_assert_str_eq(name, "inet:h:1");
    ck_assert_str_eq(action, "accept");
    ck_assert_str_eq(timeout, "3s");
    ck_assert_str_eq(plain, "inet:h:1");
    ck_assert_ptr_null(milter_item_option(item, "default"));
    ck_assert_ptr_null(milter_item_option("inet:h:1", "default_action"));
    free(name);
    free(action);
    free(timeout);
    free(plain);
    char *found = milter_list_find("inet:x:1, { unix:b/m, default_action=accept }", "unix:/q/b/m",
                                   "/q", true);
    ck_assert_str_eq(found, "{ unix:b/m, default_action=accept }");
    free(found);
    char *empty = milter_item_name("{ }");
    ck_assert_str_eq(empty, "");
    free(empty);
}
END_TEST

/* The map. */

/* The lines of the map for these domains that are no comments. */
static char *map_of(const char *const domains[], size_t count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    ck_assert(postfix_map_print(domains, count, out));
    ck_assert_int_eq(fclose(out), 0);
    const char *domain = strstr(text, "\nif ");
    ck_assert_ptr_nonnull(domain);
    char *lines = strdup(domain + 1);
    free(text);
    return lines;
}

#define TAG     "prvs=[0-9]{4}[0-9A-Fa-f]{6}="
#define IF      "if /^\"?" TAG "/\n"
#define LINE(d) "/^(\"?)" TAG "(.+@" d ")$/  $1$2\n"
#define ENDIF   "endif\n"

static const struct {
    const char *domain, *map;
} maps[] = {
    {"example.com", IF LINE("example\\.com") ENDIF},
    {".example.com", IF LINE("[^@]+\\.example\\.com") ENDIF},
    {"xn--bcher-kva.example", IF LINE("xn--bcher-kva\\.example") LINE("b\xc3\xbc"
                                                                      "cher\\.example") ENDIF},
    {".xn--bcher-kva.example",
     IF LINE("[^@]+\\.xn--bcher-kva\\.example") LINE("[^@]+\\.b\xc3\xbc"
                                                     "cher\\.example") ENDIF},
    {"a/b|c(d.example", IF LINE("a\\/b\\|c\\(d\\.example") ENDIF},
    {"[192.0.2.1]", IF LINE("\\[192\\.0\\.2\\.1\\]") ENDIF},
    {"line\nbreak.example", IF ENDIF},
    {"with blank.example", IF ENDIF},
    {"", IF ENDIF},
};

START_TEST(test_map_of_a_domain)
{
    const char *domain = maps[_i].domain;
    char *map = map_of(&domain, 1);
    ck_assert_str_eq(map, maps[_i].map);
    free(map);
}
END_TEST

START_TEST(test_map_of_many_domains)
{
    enum { MANY = 500 };
    static char names_of_many[MANY][32];
    const char *domains[MANY];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names_of_many[i], sizeof names_of_many[i], "%sd%zu.example", i % 7 == 0 ? "." : "",
                 i);
        domains[i] = names_of_many[i];
    }
    char *few = map_of(domains + 1, 2);
    ck_assert_str_eq(few, IF LINE("d1\\.example") LINE("d2\\.example") ENDIF);
    char *map = map_of(domains, MANY);
    size_t longest = 0;
    for (const char *line = map; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n");
        longest = length > longest ? length : longest;
    }
    ck_assert_uint_gt(longest, 500);
    ck_assert_uint_lt(longest, 1100);
    ck_assert_ptr_nonnull(strstr(map, "=(.+@([^@]+\\.d0\\.example|d1\\.example|"));
    ck_assert_ptr_nonnull(strstr(map, "|d499\\.example))$/  $1$2\nendif\n"));
    free(few);
    free(map);
}
END_TEST

/* Programs. */

static const struct {
    const char *argument, *word;
} quotes[] = {
    {"plain-1.2_x/y:z@%+,", "plain-1.2_x/y:z@%+,"},
    {"", "''"},
    {"a b", "'a b'"},
    {"$x", "'$x'"},
    {"it's", "'it'\\''s'"},
    {"'", "''\\'''"},
    {"~", "'~'"},
};

START_TEST(test_quote)
{
    char *word = program_quote(quotes[_i].argument);
    char *command = NULL;
    struct program_output output;
    ck_assert_str_eq(word, quotes[_i].word);
    ck_assert_int_gt(asprintf(&command, "printf %%s %s", word), 0);
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    ck_assert_int_eq(program_run(argv, NULL, &output, NULL), STATUS_OK);
    ck_assert_str_eq(output.out, quotes[_i].argument);
    program_output_free(&output);
    free(command);
    free(word);
}
END_TEST

START_TEST(test_program_says_and_ends)
{
    const char *const argv[] = {"/bin/sh", "-c", "cat; echo wrong >&2; exit 3", NULL};
    enum { SIZE = 1 << 20 };
    char *input = malloc(SIZE + 1);
    struct program_output output;
    ck_assert_ptr_nonnull(input);
    memset(input, 'x', SIZE);
    input[SIZE] = '\0';
    ck_assert_int_eq(program_run(argv, input, &output, NULL), STATUS_OK);
    ck_assert_int_eq(output.exit, 3);
    ck_assert(strcmp(output.out, input) == 0);
    ck_assert_str_eq(output.err, "wrong\n");
    program_output_free(&output);
    free(input);
}
END_TEST

START_TEST(test_program_fails)
{
    const char *const nowhere[] = {"/nonexistent/program", NULL};
    const char *const endless[] = {"/bin/sh", "-c", "yes", NULL};
    const char *const killed[] = {"/bin/sh", "-c", "kill -9 $$", NULL};
    struct program_output output;
    struct reason why = {""};
    ck_assert_int_eq(program_run(nowhere, NULL, &output, &why), STATUS_IO);
    ck_assert_msg(strstr(why.text, "/nonexistent/program") != NULL, "%s", why.text);
    ck_assert_int_eq(program_run(endless, NULL, &output, &why), STATUS_IO);
    ck_assert_msg(strstr(why.text, "too much") != NULL, "%s", why.text);
    ck_assert_int_eq(program_run(killed, NULL, &output, &why), STATUS_IO);
    ck_assert_msg(strstr(why.text, "signal 9") != NULL, "%s", why.text);
    ck_assert_ptr_null(program_find("no-such-program"));
    char *shell = program_find("sh");
    ck_assert_ptr_nonnull(shell);
    free(shell);
}
END_TEST

#define COUNT(table) (int)(sizeof table / sizeof table[0])

int main(void)
{
    Suite *suite = suite_create("mta");
    TCase *tcase = tcase_create("mta");
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_words_split, 0, COUNT(lists));
    tcase_add_test(tcase, test_list_has);
    tcase_add_loop_test(tcase, test_list_with, 0, COUNT(changes));
    tcase_add_test(tcase, test_listing_is_cut_with_the_number_left_out);
    tcase_add_loop_test(tcase, test_milter_name, 0, COUNT(names));
    tcase_add_loop_test(tcase, test_milter_name_leads, 0, COUNT(leads));
    tcase_add_test(tcase, test_milter_items);
    tcase_add_loop_test(tcase, test_map_of_a_domain, 0, COUNT(maps));
    tcase_add_test(tcase, test_map_of_many_domains);
    tcase_add_loop_test(tcase, test_quote, 0, COUNT(quotes));
    tcase_add_test(tcase, test_program_says_and_ends);
    tcase_add_test(tcase, test_program_fails);
    return suite_run(suite);
}
