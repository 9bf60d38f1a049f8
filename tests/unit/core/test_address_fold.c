/*
 * The form in which addresses are compared: local parts of many scripts as people and mail programs
 * write them; every letter there is, and random texts of those that are hard, by what
 * libunistring makes of their case and composition; octets that are no UTF-8.
 */
#include "fixture.h"

#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#include "batv/address_fold.h"

enum { ROOM = 512 };

/* ---------------------------------------------------------------- scripts */

/* All forms of a row are one address. */
static const struct {
    const char *name;
    const char *folded;
    const char *forms[6];
} scripts[] = {
    {"ASCII", "alice+news=x", {"alice+news=x", "ALICE+NEWS=X", "Alice+News=x"}},
    {"no octet", "", {""}},
    {"Latin", "jürgen", {"jürgen", "JÜRGEN", "Jürgen", "ju\u0308rgen", "JU\u0308RGEN"}},
    {"sharp s", "strasse", {"straße", "STRASSE", "STRAẞE", "Strasse"}},
    {"ligatures", "official", {"o\ufb03cial", "OFFICIAL", "official"}},
    {"i with a dot above", "i\u0307zmir", {"İzmir", "I\u0307zmir", "i\u0307zmir"}},
    {"I in no language's way", "istanbul", {"ISTANBUL", "Istanbul", "istanbul"}},
    {"two marks", "nguyễn", {"nguyễn", "NGUYỄN", "nguye\u0302\u0303n", "nguy\u00ea\u0303n"}},
    {"marks in another order",
     "q\u0323\u0307",
     {"q\u0323\u0307", "q\u0307\u0323", "Q\u0307\u0323"}},
    {"a final sigma", "σίσυφοσ", {"σίσυφος", "ΣΊΣΥΦΟΣ", "Σίσυφος", "σι\u0301συφος"}},
    {"an iota below", "ωι", {"ῳ", "ῼ", "ω\u0345", "ΩΙ", "ωι"}},
    {"Cyrillic", "йод", {"йод", "ЙОД", "Йод", "и\u0306од", "И\u0306ОД"}},
    {"Armenian", "եւ", {"և", "ԵՒ", "եւ"}},
    {"Georgian", "ფოსტა", {"ფოსტა", "ᲤᲝᲡᲢᲐ"}},
    {"Cherokee", "Ꮳ", {"Ꮳ", "ꮳ"}},
    {"Deseret", "𐐨", {"𐐨", "𐐀"}},
    {"Hebrew", "ש\u05bc\u05c1", {"ש\u05bc\u05c1", "ש\u05c1\u05bc", "\ufb2c"}},
    {"Japanese", "ポスト", {"ポスト", "ホ\u309aスト"}},
    {"Korean", "한국", {"한국", "\u1112\u1161\u11ab\u1100\u116e\u11a8"}},
    {"Hindi", "डाक", {"डाक"}},
    {"Arabic", "بريد", {"بريد"}},
    {"Chinese", "邮件", {"邮件"}},
    {"a picture", "💌", {"💌"}},
    {"the sign of Kelvin", "k", {"\u212a", "K", "k"}},
    {"the sign of Ångström", "å", {"\u212b", "Å", "å", "a\u030a"}},
};

START_TEST(test_script)
{
    for (size_t i = 0; i < COUNT_OF(scripts[0].forms) && scripts[_i].forms[i] != NULL; i++) {
        const char *form = scripts[_i].forms[i];
        char *folded = address_fold_local(form, strlen(form));
        ck_assert_msg(strcmp(folded, scripts[_i].folded) == 0, "%s: %s: %s", scripts[_i].name, form,
                      folded);
        free(folded);
    }
}
END_TEST

START_TEST(test_address)
{
    static const struct {
        const char *local, *ascii, *folded;
    } rows[] = {
        {"Alice", "example.com", "alice@example.com"},
        {"JÜRGEN", "xn--bcher-kva.example", "jürgen@xn--bcher-kva.example"},
        {"a b\"@", "example.com", "a b\"@@example.com"},
        {"ROOT", "", "root"},
        {"RÜT", "", "rüt"},
        {"", "example.com", "@example.com"},
        {"É", "b\xff.example", "é@b\xff.example"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *folded = address_fold(rows[i].local, rows[i].ascii);
        ck_assert_str_eq(folded, rows[i].folded);
        free(folded);
    }
}
END_TEST

/* What comes after the length is no part of it. */
START_TEST(test_length)
{
    char *folded = address_fold_local("JÜRGEN", 4);
    ck_assert_str_eq(folded, "jür");
    free(folded);
    folded = address_fold_local("JÜRGEN", 1);
    ck_assert_str_eq(folded, "j");
    free(folded);
}
END_TEST

/* ------------------------------------------------------------- properties */

typedef uint8_t *change_fn(const uint8_t *text, size_t length, size_t *out_length);

static uint8_t *lower(const uint8_t *text, size_t length, size_t *out_length)
{
    return u8_tolower(text, length, NULL, NULL, NULL, out_length);
}

static uint8_t *composed(const uint8_t *text, size_t length, size_t *out_length)
{
    return u8_normalize(UNINORM_NFC, text, length, NULL, out_length);
}

static uint8_t *decomposed(const uint8_t *text, size_t length, size_t *out_length)
{
    return u8_normalize(UNINORM_NFD, text, length, NULL, out_length);
}

/* In the order of marks: an iota below becomes a letter, behind which other marks would be its. */
static uint8_t *upper(const uint8_t *text, size_t length, size_t *out_length)
{
    uint8_t *ordered = decomposed(text, length, &length);
    uint8_t *out = u8_toupper(ordered, length, NULL, NULL, NULL, out_length);
    free(ordered);
    return out;
}

static void require_same(const char *text, const char *a, const char *b, const char *what)
{
    ck_assert_msg(strcmp(a, b) == 0, "%s: %s, but %s %s", text, a, b, what);
}

/* text is UTF-8 without dotless i, which in capitals is I. */
static void check_text(const char *text)
{
    static const struct {
        const char *name;
        change_fn *change;
    } changes[] = {{"in capitals", upper},
                   {"in lower case", lower},
                   {"composed", composed},
                   {"decomposed", decomposed}};
    size_t length = strlen(text);
    char *folded = address_fold_local(text, length);
    char *twice = address_fold_local(folded, strlen(folded));
    require_same(text, folded, twice, "folded twice");
    ck_assert_msg(strlen(folded) <= ADDRESS_FOLD_GROWTH * length, "%s grows to %s", text, folded);
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        size_t changed_length = 0;
        uint8_t *changed = changes[i].change((const uint8_t *)text, length, &changed_length);
        char *again = address_fold_local((const char *)changed, changed_length);
        require_same(text, folded, again, changes[i].name);
        free(again);
        free(changed);
    }
    free(twice);
    free(folded);
}

enum { DOTLESS_I = 0x131, LAST_LETTER = 0x323af, LAST = 0x10ffff };

static size_t put_character(uint32_t character, char *out)
{
    int length = u8_uctomb((uint8_t *)out, character, 8);
    size_t used = length < 0 ? 0 : (size_t)length; /* half of a pair (UTF-16) */
    out[used] = '\0';
    return used;
}

START_TEST(test_every_letter)
{
    char text[16];
    for (uint32_t c = 1; c <= LAST_LETTER; c++) {
        if (c != DOTLESS_I && put_character(c, text) > 0) {
            check_text(text);
        }
    }
    char *folded = address_fold_local("ı", strlen("ı"));
    ck_assert_str_eq(folded, "ı");
    free(folded);
}
END_TEST

/* Characters that change with what stands beside them, many of them marks, among any others. */
static uint32_t hard_character(struct chance *chance)
{
    static const uint32_t hard[] = {'a',    'I',    'i',    's',    0xdf,   0x130,  0x149,
                                    0x17f,  0x1c5,  0x1f0,  0x300,  0x301,  0x307,  0x323,
                                    0x327,  0x345,  0x390,  0x3a3,  0x3c2,  0x587,  0x5bc,
                                    0x5c1,  0x93c,  0x1100, 0x1161, 0x11a8, 0x1e9e, 0x1fb7,
                                    0x1fbc, 0x212a, 0x3099, 0xac00, 0xfb03, 0x10400};
    if (chance_below(chance, 4) != 0) {
        return hard[chance_below(chance, COUNT_OF(hard))];
    }
    uint32_t c = 1 + (uint32_t)chance_below(chance, LAST);
    return c == DOTLESS_I ? 'i' : c;
}

START_TEST(test_random_texts)
{
    struct chance chance = {20778};
    char text[ROOM];
    for (int round = 0; round < 20000; round++) {
        size_t used = 0;
        for (size_t n = chance_below(&chance, 12); n > 0; n--) {
            used += put_character(hard_character(&chance), text + used);
        }
        text[used] = '\0';
        check_text(text);
    }
}
END_TEST

/* ----------------------------------------------------------- not all UTF-8 */

/* Another encoding's text, of which some may be UTF-8 by accident: ASCII letters alone. */
START_TEST(test_no_utf8)
{
    static const char *const rows[][2] = {
        {"\xff\xfe", "\xff\xfe"},
        {"J\xdcRGEN", "j\xdcrgen"},
        {"\xc3\x9c and \xdc", "\xc3\x9c and \xdc"},
        {"A\xc3", "a\xc3"},
        {"A\x80", "a\x80"},
        {"\xc0\xc1", "\xc0\xc1"},                 /* longer than need be */
        {"\xed\xa0\x80", "\xed\xa0\x80"},         /* half of a pair */
        {"\xf4\x90\x80\x80", "\xf4\x90\x80\x80"}, /* beyond the last */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *folded = address_fold_local(rows[i][0], strlen(rows[i][0]));
        ck_assert_str_eq(folded, rows[i][1]);
        free(folded);
    }
}
END_TEST

START_TEST(test_random_octets)
{
    struct chance chance = {20779};
    char text[ROOM];
    for (int round = 0; round < 20000; round++) {
        size_t length = chance_below(&chance, 20);
        chance_text(&chance, round % 2 == 0 ? NULL : "aZ\xc3\x9c\xcc\x88", text, length);
        char *folded = address_fold_local(text, length);
        char *twice = address_fold_local(folded, strlen(folded));
        require_same(text, folded, twice, "folded twice");
        bool utf8 = u8_check((const uint8_t *)text, length) == NULL;
        for (size_t i = 0; !utf8 && i <= length; i++) {
            ck_assert_msg(folded[i] == ascii_lower(text[i]), "%s: %s", text, folded);
        }
        free(twice);
        free(folded);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("address_fold");
    TCase *tcase = tcase_create("address_fold");
    tcase_add_loop_test(tcase, test_script, 0, COUNT_OF(scripts));
    tcase_add_test(tcase, test_address);
    tcase_add_test(tcase, test_length);
    tcase_add_test(tcase, test_every_letter);
    tcase_add_test(tcase, test_random_texts);
    tcase_add_test(tcase, test_no_utf8);
    tcase_add_test(tcase, test_random_octets);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
