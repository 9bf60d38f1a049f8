/* Bodies that are too long to be kept: what stays of them, whatever pieces they come in, and where
 * something is missing. */
#include "fixture.h"

#include "batv/skim.h"

enum { LIMIT = 64 * 1024 };

struct kept {
    struct skim skim;
    char out[LIMIT];
};

static struct kept *start(size_t limit)
{
    struct kept *kept = malloc(sizeof *kept);
    ck_assert_ptr_nonnull(kept);
    skim_start(&kept->skim, kept->out, 0, limit);
    kept->skim.head = 0;
    return kept;
}

static void add(struct kept *kept, const char *text, size_t piece)
{
    size_t length = strlen(text);
    for (size_t at = 0; at < length; at += piece) {
        size_t left = length - at;
        skim_add(&kept->skim, (struct octets){text + at, left < piece ? left : piece});
    }
    skim_end(&kept->skim);
}

static const struct {
    const char *name, *text, *kept;
    size_t gaps;
} lines[] = {
    {"text", "nothing\nof any use\n", "", 1},
    {"a field", "Message-ID: <a@b>\n", "Message-ID: <a@b>\n", 0},
    {"a field without its end", "x\nMessage-ID: <a@b>", "Message-ID: <a@b>", 1},
    {"a field before text", "Subject: x\n\ntext\n\ntext\n", "Subject: x\n\n", 1},
    {"a folded field", "References:\n <1>\n\t<2>\ntext\n <3>\n", "References:\n <1>\n\t<2>\n", 1},
    {"a quoted field", "> Subject: x\n>> | Subject : y\n> z\n", "> Subject: x\n>> | Subject : y\n",
     1},
    {"an indented one", "    Subject: x\n    text\ntext\n", "    Subject: x\n    text\n", 1},
    {"no field", ": x\nsome words: x\n\x01: x\n", "", 1},
    {"an address", "text\nas <a@b> says\ntext\n", "as <a@b> says\n", 2},
    {"gaps", "x\na@b\nx\nx\nc@d\nx\n", "a@b\nc@d\n", 3},
    {"other line ends", "x\r\na@b\r\nx\r\nSubject: x\r\n\r\ny\r\n", "a@b\r\nSubject: x\r\n\r\n", 3},
    {"a folded field with other line ends", "A:\r\n b\r\nc\r\n", "A:\r\n b\r\n", 1},
    {"CR alone", "x\ra@b\rx\r", "a@b\r", 2},
    {"boundaries", "x\n--\nx\n--b\n", "--b\n", 1},
};

START_TEST(test_lines)
{
    for (size_t piece = 1; piece < 40; piece++) {
        struct kept *kept = start(16); /* so that no part has a beginning worth mention */
        kept->skim.limit = LIMIT;
        add(kept, lines[_i].text, piece);
        ck_assert_msg(kept->skim.length == strlen(lines[_i].kept) &&
                          memcmp(kept->out, lines[_i].kept, kept->skim.length) == 0,
                      "%s: in pieces of %zu: %.*s", lines[_i].name, piece, (int)kept->skim.length,
                      kept->out);
        ck_assert_msg(kept->skim.gaps.count == lines[_i].gaps, "%s: %zu gaps", lines[_i].name,
                      kept->skim.gaps.count);
        ck_assert(!kept->skim.full && !kept->skim.gaps.at_end);
        free(kept);
    }
}
END_TEST

static void add_lines(struct kept *kept, const char *line, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        skim_add(&kept->skim, octets_of(line));
    }
}

/* Whatever its octets are, and each part has one, however many there are. */
START_TEST(test_the_beginnings_of_parts)
{
    struct kept *kept = start(LIMIT);
    size_t begun = 0;
    for (size_t part = 0; part < 100; part++) {
        skim_add(&kept->skim, octets_of("--b\n"));
        size_t before = kept->skim.length;
        add_lines(kept, "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo\n", 1000);
        begun += kept->skim.length > before;
        ck_assert(!kept->skim.full);
    }
    ck_assert_uint_eq(begun, 100);
    skim_add(&kept->skim, octets_of("Message-ID: <last@example.com>\n"));
    ck_assert_ptr_nonnull(memmem(kept->out, kept->skim.length, "<last@example.com>", 18));
    free(kept);
}
END_TEST

START_TEST(test_room)
{
    struct kept *kept = start(100);
    add_lines(kept, "Subject: x\n", 9);
    ck_assert(!kept->skim.full && !kept->skim.gaps.at_end);
    ck_assert(!skim_add(&kept->skim, octets_of("Subject: x\n")));
    ck_assert(kept->skim.full && kept->skim.gaps.at_end);
    ck_assert_uint_eq(kept->skim.length, 100);
    ck_assert(!skim_add(&kept->skim, octets_of("Subject: x\n")));
    ck_assert_uint_eq(kept->skim.length, 100);
    free(kept);
}
END_TEST

/* A long line is kept up to a bound, and one that is no line of any text ends it all. */
START_TEST(test_long_lines)
{
    struct kept *kept = start(LIMIT);
    add_lines(kept, "References: <a@b>", 1);
    add_lines(kept, " <0123456789@example.com>", 1500);
    add_lines(kept, "\nx\nSubject: y\n", 1);
    ck_assert_uint_gt(kept->skim.length, 16 * 1024);
    ck_assert_uint_lt(kept->skim.length, 18 * 1024);
    ck_assert_ptr_nonnull(memmem(kept->out, kept->skim.length, "\nSubject: y\n", 12));
    ck_assert_uint_eq(kept->skim.gaps.count, 2);
    add_lines(kept, "xxxxxxxxxxxxxxxx", 4097);
    ck_assert(kept->skim.full && kept->skim.gaps.at_end);
    free(kept);
}
END_TEST

/* More gaps than can be told apart. */
START_TEST(test_many_gaps)
{
    struct kept *kept = start(LIMIT);
    add_lines(kept, "x\na@b\n", 5000);
    ck_assert_uint_eq(kept->skim.gaps.count, SKIM_GAPS);
    for (size_t i = 1; i < SKIM_GAPS; i++) {
        ck_assert_uint_lt(kept->skim.gaps.at[i - 1], kept->skim.gaps.at[i]);
    }
    free(kept);
}
END_TEST

/* The octets may lie where they are kept, behind those that have been. */
START_TEST(test_in_place)
{
    char text[] = "whole\nx\nx\nSubject: x\nx\na@b\n";
    struct skim *skim = malloc(sizeof *skim);
    skim_start(skim, text, 6, sizeof text - 1);
    skim->head = 0;
    skim_add(skim, (struct octets){text + 6, sizeof text - 1 - 6});
    skim_end(skim);
    ck_assert_uint_eq(skim->length, strlen("whole\nSubject: x\na@b\n"));
    ck_assert_int_eq(memcmp(text, "whole\nSubject: x\na@b\n", skim->length), 0);
    ck_assert_uint_eq(skim->gaps.at[0], 6);
    free(skim);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("skim");
    TCase *tcase = tcase_create("skim");
    tcase_add_loop_test(tcase, test_lines, 0, COUNT_OF(lines));
    tcase_add_test(tcase, test_the_beginnings_of_parts);
    tcase_add_test(tcase, test_room);
    tcase_add_test(tcase, test_long_lines);
    tcase_add_test(tcase, test_many_gaps);
    tcase_add_test(tcase, test_in_place);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
