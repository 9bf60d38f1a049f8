/* What a VERP extension is, and where a local part can have one. */
#include "fixture.h"

#include "batv/verp.h"

static const struct {
    const char *text;
    bool is;
} extensions[] = {
    {"+far=other.test", true},
    {"-far=other.test", true},
    {"=far=other.test", true},
    {"+far+x-y=z=other.test", true},
    {"++=other.test", true},
    {"+=far=other.test", true},
    {"+a b=other.test", true},
    {"+far=a.b.c.d", true},
    {"+far=other.test.", true},
    {"+far=192.0.2.1", true},
    {"+far=[192.0.2.1]", true},
    {"+far=b\303\274cher.example", true},
    {"", false},
    {"+", false},
    {"far=other.test", false},
    {"#far=other.test", false},
    {"+far", false},
    {"+far=", false},
    {"+far=other", false},
    {"+far=other.", false},
    {"+far=.test", false},
    {"+far=.", false},
    {"+far-other.test", false},
    {"+far+other.test", false},
    {"+=other.test", false},
    {"==other.test", false},
    {"+far=other.test=", false},
    {"+far=other.test=x", false},
    {"+far=other .test", false},
    {"+far=a@other.test", false},
};

START_TEST(test_extension)
{
    ck_assert_msg(verp_is_extension(extensions[_i].text) == extensions[_i].is, "%s",
                  extensions[_i].text);
}
END_TEST

static const struct {
    const char *local;
    const char *left[VERP_CUTS + 1];
} locals[] = {
    {"", {NULL}},
    {"list", {NULL}},
    {"list-bounces", {NULL}},
    {"list+far=other", {NULL}},
    {"list+other.test", {NULL}},
    {"+far=other.test", {NULL}},
    {"far=other.test", {NULL}},
    {"list+=other.test", {NULL}},
    {"list+far=other.test", {"list", NULL}},
    {"list-far=other.test", {"list", NULL}},
    {"list=far=other.test", {"list", NULL}},
    {"list==far=other.test", {"list", "list=", NULL}},
    {"list-bounces+far=other.test", {"list", "list-bounces", NULL}},
    {"list+far=other-site.test", {"list", NULL}},
    {"list+a+b-c=d=other.test", {"list", "list+a", "list+a+b", "list+a+b-c", NULL}},
    {"-list+far=other.test", {"-list", NULL}},
    {"a-1-2-3-4-5-6-7-8=other.test",
     {"a", "a-1", "a-1-2", "a-1-2-3", "a-1-2-3-4", "a-1-2-3-4-5", "a-1-2-3-4-5-6",
      "a-1-2-3-4-5-6-7", NULL}},
    {"a-1-2-3-4-5-6-7-8-9=other.test",
     {"a", "a-1", "a-1-2", "a-1-2-3", "a-1-2-3-4", "a-1-2-3-4-5", "a-1-2-3-4-5-6",
      "a-1-2-3-4-5-6-7", NULL}},
};

START_TEST(test_cuts)
{
    const char *local = locals[_i].local;
    size_t cuts[VERP_CUTS];
    size_t count = verp_cuts(local, cuts);
    for (size_t i = 0; i < count; i++) {
        const char *left = locals[_i].left[i];
        ck_assert_msg(left != NULL, "%s: %zu", local, count);
        ck_assert_msg(cuts[i] == strlen(left) && strncmp(local, left, cuts[i]) == 0, "%s: %.*s",
                      local, (int)cuts[i], local);
        ck_assert_msg(verp_is_extension(local + cuts[i]), "%s", local + cuts[i]);
    }
    ck_assert_msg(locals[_i].left[count] == NULL, "%s: %zu", local, count);
}
END_TEST

/* Cuts are those places, and all of them up to the last that is looked at, where an extension
 * stands. */
START_TEST(test_random_locals)
{
    struct chance chance = {7};
    for (int i = 0; i < 200000; i++) {
        char local[40];
        size_t cuts[VERP_CUTS];
        chance_text(&chance, chance_below(&chance, 2) == 0 ? "a+-=." : "ab+-=.@\" ", local,
                    chance_below(&chance, sizeof local - 1));
        size_t count = verp_cuts(local, cuts);
        size_t expected = 0;
        for (size_t at = 1; at < strlen(local) && expected < VERP_CUTS; at++) {
            if (verp_is_extension(local + at)) {
                REQUIRE(expected < count && cuts[expected] == at);
                expected++;
            }
        }
        REQUIRE(expected == count);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verp");
    TCase *tcase = tcase_create("verp");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_extension, 0, (int)COUNT_OF(extensions));
    tcase_add_loop_test(tcase, test_cuts, 0, (int)COUNT_OF(locals));
    tcase_add_test(tcase, test_random_locals);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
