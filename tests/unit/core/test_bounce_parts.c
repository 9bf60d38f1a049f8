/*
 * Messages as octets: line ends of every kind, header fields, the walk over the parts of whole and
 * of broken messages, its bounds, and transfer encodings that are guessed.
 */
#include "fixture.h"

#include "batv/disguise.h"
#include "batv/fields.h"
#include "batv/parts.h"

static struct budget budget = {.all = 1000000, .left = 1000000};

static void assert_octets(struct octets octets, const char *expected)
{
    ck_assert_msg(octets.length == strlen(expected) &&
                      memcmp(octets.start, expected, octets.length) == 0,
                  "\"%.*s\" is not \"%s\"", (int)octets.length, octets.start, expected);
}

/* ---------------------------------------------------------- lines and fields */

static const struct {
    const char *text;
    const char *lines[6];
} line_ends[] = {
    {"", {NULL}},
    {"a", {"a", NULL}},
    {"a\nb", {"a", "b", NULL}},
    {"a\r\nb\r\n", {"a", "b", NULL}},
    {"a\rb\r", {"a", "b", NULL}},
    {"a\r\rb", {"a", "", "b", NULL}},
    {"a\n\nb", {"a", "", "b", NULL}},
    {"a\r\r\nb", {"a", "b", NULL}},
    {"a\r\r\r\nb", {"a", "b", NULL}},
    {"a\r\n\r\nb", {"a", "", "b", NULL}},
    {"\n", {"", NULL}},
};

START_TEST(line_end)
{
    struct octets rest = octets_of(line_ends[_i].text);
    struct octets line;
    for (const char *const *expected = line_ends[_i].lines; *expected != NULL; expected++) {
        ck_assert(line_next(&rest, &line));
        assert_octets(line, *expected);
    }
    ck_assert(!line_next(&rest, &line));
}
END_TEST

START_TEST(fields_with_folding_and_their_end)
{
    struct octets rest = octets_of("A: 1\r\nLong :\r\n\tx\r\n y\r\nEmpty:\r\n\r\nbody: x\r\n");
    struct field field;
    ck_assert(field_next(&rest, &field));
    assert_octets(field.name, "A");
    assert_octets(field.value, " 1");
    ck_assert(field_next(&rest, &field));
    assert_octets(field.name, "Long");
    assert_octets(field.value, "\r\n\tx\r\n y");
    ck_assert(field_next(&rest, &field));
    assert_octets(field.name, "Empty");
    assert_octets(field.value, "");
    ck_assert(!field_next(&rest, &field));
    assert_octets(rest, "body: x\r\n");
}
END_TEST

START_TEST(what_is_no_field_ends_the_header)
{
    static const char *const texts[] = {"no field\n", ": no name\n", " folded\n", "a\tb: c\n",
                                        "\x01: x\n"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct octets rest = octets_of(texts[i]);
        struct field field;
        ck_assert(!field_next(&rest, &field));
        assert_octets(rest, texts[i]);
    }
}
END_TEST

START_TEST(a_value_is_unfolded_into_what_there_is_room_for)
{
    char out[8];
    field_unfold(octets_of(" a\r\n b\n"), out, sizeof out);
    ck_assert_str_eq(out, "a b");
    field_unfold(octets_of("0123456789"), out, sizeof out);
    ck_assert_str_eq(out, "0123456");
    field_unfold((struct octets){"a\0b", 3}, out, sizeof out);
    ck_assert_str_eq(out, "a b");
}
END_TEST

/* --------------------------------------------------------------------- parts */

/* Walks over a message and writes what it sees into out: for each part the depth, its marks and
 * its content. The types are: M a multipart, its boundary behind it; R a message; else a leaf. */
static void walk(const char *message, char *out, size_t size)
{
    static struct parts parts;
    struct part part;
    size_t used = 0;
    parts_start(&parts, octets_of(message), &budget);
    out[0] = '\0';
    while (parts_next(&parts, &part)) {
        struct octets header = part.header;
        struct field type = {.value = octets_of("")};
        field_next(&header, &type);
        struct octets kind = octets_trim(type.value);
        used += (size_t)snprintf(out + used, size - used, "[%u%s%s%s", part.depth,
                                 part.of_message ? "h" : "", part.in_message ? "m" : "",
                                 part.in_digest ? "d" : "");
        struct octets boundary = {kind.start + 1, kind.length - (kind.length > 0)};
        bool multipart = kind.length > 0 && (*kind.start == 'M' || *kind.start == 'D');
        if ((multipart && parts_enter_multipart(&parts, boundary, *kind.start == 'D')) ||
            (octets_equal(kind, "R") && parts_enter_message(&parts))) {
            used += (size_t)snprintf(out + used, size - used, "]");
        } else {
            struct octets leaf = parts_leaf(&parts);
            used +=
                (size_t)snprintf(out + used, size - used, ":%.*s]", (int)leaf.length, leaf.start);
        }
        ck_assert_uint_lt(used, size);
    }
}

static const struct {
    const char *name, *message, *seen;
} walks[] = {
    {"no parts", "T: x\n\nbody\nmore\n", "[0h:body\nmore\n]"},
    {"no body", "T: x\n", "[0h:]"},
    {"nothing", "", "[0h:]"},
    {"two parts", "T: Mb\n\npre\n--b\n\none\n--b\nT: x\n\ntwo\n\n--b--\nepilogue\n",
     "[0h][1:one][1:two\n]"},
    {"CRLF", "T: Mb\r\n\r\n--b\r\n\r\none\r\n--b--\r\n", "[0h][1:one]"},
    {"CR", "T: Mb\r\r--b\r\rone\r--b--\r", "[0h][1:one]"},
    {"blanks behind the boundary", "T: Mb\n\n--b  \n\none\n--b-- \n", "[0h][1:one]"},
    {"junk behind the last boundary", "T: Mb\n\n--b\n\none\n--b--junk\nx", "[0h][1:one]"},
    {"no last boundary", "T: Mb\n\n--b\n\none\n", "[0h][1:one\n]"},
    {"no boundary at all", "T: Mb\n\nhello\n", "[0h]"},
    {"boundary is a prefix", "T: Mb\n\n--bx\n\n--b\n\none\n--bx\n--b--\n", "[0h][1:one\n--bx]"},
    {"no empty line", "T: Mb\n\n--b\nT: x\n--b\n\ntwo\n--b--\n", "[0h][1:][1:two]"},
    {"a part of nothing", "T: Mb\n\n--b\n--b\n--b--\n", "[0h][1:][1:]"},
    {"nested", "T: Ma\n\n--a\nT: Mb\n\n--b\n\none\n--b--\n--a\n\ntwo\n--a--\n",
     "[0h][1][2:one][1:two]"},
    {"inner one unfinished", "T: Ma\n\n--a\nT: Mb\n\n--b\n\none\n--a\n\ntwo\n--a--\n",
     "[0h][1][2:one][1:two]"},
    {"outer one ends", "T: Ma\n\n--a\nT: Mb\n\n--b\n\none\n--a--\n--b\n\nno\n", "[0h][1][2:one]"},
    {"message", "T: Ma\n\n--a\nT: R\n\nT: x\n\nhello\n--a\n\ntwo\n--a--\n",
     "[0h][1][2hm:hello][1:two]"},
    {"message of parts", "T: Ma\n\n--a\nT: R\n\nT: Mb\n\n--b\n\none\n--a\n\ntwo\n",
     "[0h][1][2hm][3m:one][1:two\n]"},
    {"message in message", "T: R\n\nT: R\n\nT: x\n\nhello\n", "[0h][1hm][2hm:hello\n]"},
    {"an empty message", "T: Ma\n\n--a\nT: R\n\n--a--\n", "[0h][1][2hm:]"},
    {"digest", "T: Da\n\n--a\n\nT: x\n\n--a--\n", "[0h][1d:T: x\n]"},
    {"same boundary within", "T: Ma\n\n--a\nT: Ma\n\n--a\n\none\n--a--\n--a\n\ntwo\n--a--\n",
     "[0h][1][2:one][1:two]"},
    {"a broken header", "T: Ma\n\n--a\nT: x\njunk\n\nbody\n--a--\n", "[0h][1:junk\n\nbody]"},
};

START_TEST(walked)
{
    char seen[400];
    walk(walks[_i].message, seen, sizeof seen);
    ck_assert_msg(strcmp(seen, walks[_i].seen) == 0, "%s: %s", walks[_i].name, seen);
}
END_TEST

START_TEST(an_empty_boundary_is_none)
{
    struct parts parts;
    struct part part;
    parts_start(&parts, octets_of("T: M\n\n--\n\nx\n"), &budget);
    ck_assert(parts_next(&parts, &part));
    ck_assert(!parts_enter_multipart(&parts, octets_of(""), false));
    assert_octets(parts_leaf(&parts), "--\n\nx\n");
}
END_TEST

START_TEST(depth_and_number_are_bounded)
{
    static struct parts parts;
    static char text[64 * 1024];
    struct part part;
    size_t deepest = 0;
    memset(text, '\n', sizeof text - 1);
    parts_start(&parts, octets_of(text), &budget);
    while (parts_next(&parts, &part) && parts_enter_message(&parts)) {
        deepest = part.depth + 1;
    }
    ck_assert_uint_eq(deepest, PARTS_DEPTH);

    /* Multiparts in one another likewise; the innermost is text. */
    memset(text, '\n', sizeof text - 1);
    for (size_t i = 2; i + 6 < sizeof text; i += 6) {
        memcpy(text + i, "\n--b\n\n", 6);
    }
    parts_start(&parts, octets_of(text), &budget);
    deepest = 0;
    while (parts_next(&parts, &part) && parts_enter_multipart(&parts, octets_of("b"), false)) {
        deepest = part.depth + 1;
    }
    ck_assert_uint_eq(deepest, PARTS_DEPTH);
    assert_octets(parts_leaf(&parts), "");

    for (size_t i = 0; i + 4 < sizeof text; i += 4) {
        memcpy(text + i, "--b\n", 4);
    }
    memcpy(text, "\n\n\n\n", 4);
    parts_start(&parts, octets_of(text), &budget);
    size_t count = 0;
    while (parts_next(&parts, &part)) {
        if (count++ == 0) {
            ck_assert(parts_enter_multipart(&parts, octets_of("b"), false));
        } else {
            parts_leaf(&parts);
        }
    }
    ck_assert_uint_eq(count, PARTS_MAX);
}
END_TEST

/* ----------------------------------------------------------------- disguises */

static const struct {
    const char *text, *guessed; /* NULL: not seen as encoded */
} printable[] = {
    {"plain", NULL},
    {"a=b", NULL},
    {"=Aa is of an ID", NULL},
    {"=AA is no ASCII", NULL},
    {"=41 need not be encoded", NULL},
    {"a=3Db", "a=b"},
    {"=3Ca=40b=3E=0D=0Ac", "<a@b>\r\nc"},
    {"a=\nb=\r\nc=  \nd=\re", "abcde"},
    {"=3D=Aa=41=", "==Aa=41="},
    {"=20=3", " =3"},
    {"=\n", ""},
};

START_TEST(quoted_printable)
{
    struct octets text = octets_of(printable[_i].text);
    char out[64];
    ck_assert_int_eq(quoted_printable_seen(text), printable[_i].guessed != NULL);
    if (printable[_i].guessed != NULL) {
        assert_octets((struct octets){out, quoted_printable_guess(text, out)},
                      printable[_i].guessed);
    }
}
END_TEST

#define FORTY "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVy"

START_TEST(base64_lines_are_found_in_text)
{
    struct octets rest =
        octets_of("short\nQUJD\n" FORTY "\r\n" FORTY "\r\nQQ==\r\n\r\ntext\n" FORTY "==\n");
    struct octets lines;
    ck_assert(base64_next(&rest, &lines));
    assert_octets(lines, FORTY "\r\n" FORTY "\r\nQQ==");
    ck_assert(base64_next(&rest, &lines));
    assert_octets(lines, FORTY "==");
    ck_assert(!base64_next(&rest, &lines));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bounce_parts");
    TCase *tests = tcase_create("fields");
    tcase_add_loop_test(tests, line_end, 0, COUNT_OF(line_ends));
    tcase_add_test(tests, fields_with_folding_and_their_end);
    tcase_add_test(tests, what_is_no_field_ends_the_header);
    tcase_add_test(tests, a_value_is_unfolded_into_what_there_is_room_for);
    suite_add_tcase(suite, tests);

    TCase *walking = tcase_create("parts");
    tcase_add_loop_test(walking, walked, 0, COUNT_OF(walks));
    tcase_add_test(walking, an_empty_boundary_is_none);
    tcase_add_test(walking, depth_and_number_are_bounded);
    suite_add_tcase(suite, walking);

    TCase *disguises = tcase_create("disguises");
    tcase_add_loop_test(disguises, quoted_printable, 0, COUNT_OF(printable));
    tcase_add_test(disguises, base64_lines_are_found_in_text);
    suite_add_tcase(suite, disguises);
    return suite_run(suite);
}
