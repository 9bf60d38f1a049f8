/*
 * Settings in the text of a configuration: changed and added to in place, all else kept.
 */
#include "../suite.h"

#include <stdlib.h>
#include <string.h>

#include "config/config_text.h"

static void is_text(char *out, const char *expected)
{
    ck_assert_ptr_nonnull(out);
    ck_assert_str_eq(out, expected);
    free(out);
}

/* Appending "X" to the list l. */
static const struct {
    const char *text;
    const char *expected;
} lists[] = {
    {"", "l = ( X );\n"},
    {"l = ( );\n", "l = ( X );\n"},
    {"#l = ( );\n", "l = ( X );\n"},
    {"l = ();", "l = ( X );"},
    {"l = ( \"a\" );", "l = ( \"a\", X );"},
    {"l = [\"a\"];", "l = [\"a\", X];"},
    {"l: (\"a\",\"b\")\n", "l: (\"a\",\"b\", X)\n"},
    {"l = ( \"a\", );", "l = ( \"a\", X, );"},
    {"l = ( \"a\" \"b\" );", "l = ( \"a\" \"b\", X );"},
    {"l = ( \"a\" /* one */ );", "l = ( \"a\", X /* one */ );"},
    {"l = ( \"a\" ); # ( ) \"z\"\n", "l = ( \"a\", X ); # ( ) \"z\"\n"},
    {"l = ( { name = \"a\"; } );", "l = ( { name = \"a\"; }, X );"},
    {"l = ( { name = \"a\"; p = [ \"x)\", \"y\" ]; } );",
     "l = ( { name = \"a\"; p = [ \"x)\", \"y\" ]; }, X );"},
    {"l = ( \"a\", \"file:/etc/l\" );", "l = ( \"a\", \"file:/etc/l\", X );"},
    {"l = (\n  \"a\",\n  \"b\"\n);\n", "l = (\n  \"a\",\n  \"b\",\n  X\n);\n"},
    {"l = (\n\t\"a\",\n);\n", "l = (\n\t\"a\",\n\tX,\n);\n"},
    {"l = (\n  \"a\"  # one\n);\n", "l = (\n  \"a\",  # one\n  X\n);\n"},
    {"l = (\n  \"a\" // one\n  // , \"b\"\n);\n",
     "l = (\n  \"a\", // one\n  X\n  // , \"b\"\n);\n"},
    {"l = (\n  \"a\" # one\n  , # two\n);\n", "l = (\n  \"a\" # one\n  , # two\n  X,\n);\n"},
    {"l = ( \"a\",\n      \"b\" );\n", "l = ( \"a\",\n      \"b\", X );\n"},
    {"l = ( \"a\"\n);\n", "l = ( \"a\",\n    X\n);\n"},
    {"l = ( \"a\",\n      { name = \"b\";\n        s = true;\n      } );\n",
     "l = ( \"a\",\n      { name = \"b\";\n        s = true;\n      }, X );\n"},
    {"l =\n(\n  {\n    name = \"b\";\n  }\n)\n", "l =\n(\n  {\n    name = \"b\";\n  },\n  X\n)\n"},
    {"g: { l = ( \"z\" ); };\n/* l = ( ); */\nl = ( \"a\" );",
     "g: { l = ( \"z\" ); };\n/* l = ( ); */\nl = ( \"a\", X );"},
    {"l = ( \"a\\\"),\" );", "l = ( \"a\\\"),\", X );"},
};

START_TEST(test_append)
{
    is_text(config_text_append(lists[_i].text, "l", "X"), lists[_i].expected);
}
END_TEST

/* Setting the member m of the group g to 1. */
static const struct {
    const char *text;
    const char *expected;
} members[] = {
    {"", "g = { m = 1; };\n"},
    {"a = 2;\n", "a = 2;\ng = { m = 1; };\n"},
    {"g: { m = 0; };\n", "g: { m = 1; };\n"},
    {"g = { a = 2; m: \"x\" \"y\", b = 3; }\n", "g = { a = 2; m = 1; b = 3; }\n"},
    {"g = { a = 2; };\n", "g = { a = 2; \nm = 1;\n};\n"},
    {"g:\n{\n  # of m\n  #m = 0;\n\n  #b = 2;\n};\n",
     "g:\n{\n  # of m\n  m = 1;\n\n  #b = 2;\n};\n"},
    {"g: { h: { m = 5; }; m = 0; };", "g: { h: { m = 5; }; m = 1; };"},
    {"m = 0; g = { };\n", "m = 0; g = { \nm = 1;\n};\n"},
};

START_TEST(test_member)
{
    is_text(config_text_set_member(members[_i].text, "g", "m", "1"), members[_i].expected);
}
END_TEST

/* Every m in the list l. */
static const struct {
    const char *text;
    const char *expected;
} within[] = {
    {"", ""},
    {"m = 0; l = ( \"m = 0\" );", "m = 0; l = ( \"m = 0\" );"},
    {"l = ( { name = \"a\"; m = \"x\" \"yz\"; }, { m : 5 }, \"m\" ); m = 0;",
     "l = ( { name = \"a\"; m = 1; }, { m : 1 }, \"m\" ); m = 0;"},
    {"l = ( { # m = 5\n m = 22;\n mm = 3; /* m=4 */ } )",
     "l = ( { # m = 5\n m = 1;\n mm = 3; /* m=4 */ } )"},
};

START_TEST(test_within)
{
    is_text(config_text_set_within(within[_i].text, "l", "m", "1"), within[_i].expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_text");
    TCase *tcase = tcase_create("texts");
    tcase_add_loop_test(tcase, test_append, 0, COUNT_OF(lists));
    tcase_add_loop_test(tcase, test_member, 0, COUNT_OF(members));
    tcase_add_loop_test(tcase, test_within, 0, COUNT_OF(within));
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
