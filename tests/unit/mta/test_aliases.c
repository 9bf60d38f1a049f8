/*
 * Aliases as tables list them and as their source says them, and the owners of lists among them.
 */
#include "../suite.h"

#include <stdio.h>
#include <string.h>

#include "mta/aliases.h"

struct written {
    const char *name;
    bool listing;
    const char *text;
    const char *owners; /* "LIST=VALUE LIST=VALUE" */
};

static const struct written texts[] = {
    {"nothing", false, "", ""},
    {"a list", false, "team: a@b.test\nowner-team: bob\n", "team=bob"},
    {"in any order", false, "owner-team: bob\nteam: a@b.test\n", "team=bob"},
    {"an owner of nothing", false, "owner-team: bob\n", ""},
    {"a list without an owner", false, "team: bob\n", ""},
    {"no name behind it", false, "owner-: bob\n: x\n", ""},
    {"whatever the case", false, "TEAM : x\nOwner-Team\t:bob\n", "team=bob"},
    {"continued", false, "team: x\nowner-team: bob,\n\talice\n", "team=bob, \talice"},
    {"the name alone on its line", false, "team: x\nowner-team:\n  bob \n", "team=bob"},
    {"comments", false, "# owner-x: y\nteam: x\n#\nowner-team: bob\n", "team=bob"},
    {"the last line without an end", false, "team: x\nowner-team: bob", "team=bob"},
    {"carriage returns", false, "team: x\r\nowner-team: bob\r\n", "team=bob"},
    {"quotes", false, "\"a:b\": x\n\"owner-a:b\": bob\n", "a:b=bob"},
    {"a quote that does not end", false, "\"team: x\nowner-team: bob\n", ""},
    {"no colon", false, "team\nowner-team bob\n", ""},
    {"no value", false, "team:\nowner-team:\n", "team="},
    {"twice: the first counts", false, "team: x\nowner-team: bob\nowner-team: joe\n", "team=bob"},
    {"an owner's own owner", false, "a: x\nowner-a: y\nowner-owner-a: z\n", "a=y owner-a=z"},
    {"a listing", true, "team\tx\nowner-team\talice, bob\nYP_LAST_MODIFIED\t1\n@\t@\n",
     "team=alice, bob"},
    {"a listing with further lines", true, "team\tx\nsecond\nowner-team\tbob\n", "team=bob"},
};

static void read_text(struct aliases *aliases, const char *text, bool listing)
{
    char *copy = strdup(text);
    ck_assert_ptr_nonnull(copy);
    ck_assert(listing ? aliases_add_listing(aliases, copy) : aliases_add_source(aliases, copy));
}

static const char *owners_of(const struct aliases *aliases)
{
    static char out[512];
    size_t used = 0;
    size_t at = 0;
    const char *list;
    const struct alias *alias;
    out[0] = '\0';
    while ((alias = aliases_next_owner(aliases, &at, &list)) != NULL) {
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%s=%s", used > 0 ? " " : "",
                                 list, alias->value);
        ck_assert_uint_lt(used, sizeof out);
    }
    return out;
}

START_TEST(test_texts)
{
    const struct written *w = &texts[_i];
    struct aliases aliases = {.items = NULL};
    read_text(&aliases, w->text, w->listing);
    aliases_sort(&aliases);
    ck_assert_msg(strcmp(owners_of(&aliases), w->owners) == 0, "%s: %s", w->name,
                  owners_of(&aliases));
    aliases_free(&aliases);
}
END_TEST

/* A list may stand in one text and its owner in another; of two owners the first text's counts. */
START_TEST(test_several_texts)
{
    struct aliases aliases = {.items = NULL};
    read_text(&aliases, "owner-team\tbob\n", true);
    read_text(&aliases, "team: x\nowner-team: joe\n", false);
    aliases_sort(&aliases);
    ck_assert_str_eq(owners_of(&aliases), "team=bob");
    ck_assert_ptr_nonnull(aliases_find(&aliases, "team"));
    ck_assert_ptr_null(aliases_find(&aliases, "tea"));
    aliases_free(&aliases);
    aliases_sort(&aliases);
    ck_assert_ptr_null(aliases_find(&aliases, "team"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aliases");
    TCase *tcase = tcase_create("texts");
    tcase_add_loop_test(tcase, test_texts, 0, COUNT_OF(texts));
    tcase_add_test(tcase, test_several_texts);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
