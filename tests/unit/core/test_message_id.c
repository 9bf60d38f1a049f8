/* Message-IDs in the one form in which they are compared: what of a field's value is left, and that
 * whatever strangers send is read once and within its bounds. */
#include "fixture.h"

#include "batv/message_id.h"

static const struct {
    const char *name;
    const char *value;
    const char *id; /* NULL: nothing is left */
} values[] = {
    {"as it should be", "<a.1@example.com>", "a.1@example.com"},
    {"with space around", " \t<a@example.com> \r\n", "a@example.com"},
    {"folded before", "\r\n <a@example.com>", "a@example.com"},
    {"folded within", "<a.very.long.one.\r\n\tthat.went.on@example\n .com>",
     "a.very.long.one.that.went.on@example.com"},
    {"space within", "< a @ b >", "a@b"},
    {"case stays", "<AbC@Example.COM>", "AbC@Example.COM"},
    {"so do other octets", "<a!\"\\\xc3\xbc\x01@[::1]>", "a!\"\\\xc3\xbc\x01@[::1]"},
    {"brackets twice", "<<a@b>>", "a@b"},
    {"brackets twice, with space", "< \t<\r\n a@b> >", "a@b"},
    {"a comment before", "(by hand) <a@b>", "a@b"},
    {"a comment behind", "<a@b> (by hand)", "a@b"},
    {"the first of two", "<a@b> <c@d>", "a@b"},
    {"the first of two without space", "<a@b><c@d>", "a@b"},
    {"no closing bracket", "<a@b", "a@b"},
    {"no closing bracket, and another", "<a@b <c@d>", "a@b<c@d"},
    {"a closing bracket before", "x> <a@b>", "a@b"},
    {"no opening bracket", "a@b>", "a@b>"},
    {"no brackets", "a@b", "a@b"},
    {"no brackets, several words", " a b\r\n\tc ", "abc"},
    {"no at", "<20261122>", "20261122"},
    {"empty", "", NULL},
    {"blank", " \t\r\n ", NULL},
    {"empty brackets", "<>", NULL},
    {"blank brackets", "< \r\n\t >", NULL},
    {"empty brackets before others", "<> <a@b>", NULL},
    {"nothing but brackets", "<<<", NULL},
    {"an end only", ">", ">"},
};

START_TEST(test_value)
{
    const char *value = values[_i].value;
    /* Exactly as much memory as there is value: whoever reads on is told by the sanitizer. */
    size_t length = strlen(value);
    char *octets = malloc(length + (length == 0));
    char *id = NULL;
    memcpy(octets, value, length);
    enum status status = message_id_clean(octets, length, &id);
    if (values[_i].id == NULL) {
        ck_assert_msg(status == STATUS_NOT_FOUND, "%s: %s", values[_i].name, id);
        ck_assert_ptr_null(id);
    } else {
        ck_assert_int_eq(status, STATUS_OK);
        ck_assert_msg(strcmp(id, values[_i].id) == 0, "%s: %s, expected %s", values[_i].name, id,
                      values[_i].id);
    }
    free(id);
    free(octets);
}
END_TEST

/* What is in one form already stays in it. */
START_TEST(test_twice)
{
    char *again = NULL;
    if (values[_i].id == NULL) {
        return;
    }
    ck_assert_int_eq(message_id_clean(values[_i].id, strlen(values[_i].id), &again), STATUS_OK);
    if (strchr(values[_i].id, '<') == NULL) {
        ck_assert_str_eq(again, values[_i].id);
    }
    free(again);
}
END_TEST

/* length counts, not an end of string. */
START_TEST(test_length)
{
    static const char with_nul[] = "<a\0b@c>";
    char *id = NULL;
    ck_assert_int_eq(message_id_clean("<a@b>", 3, &id), STATUS_OK);
    ck_assert_str_eq(id, "a@");
    free(id);
    ck_assert_int_eq(message_id_clean("<a@b>", 1, &id), STATUS_NOT_FOUND);
    ck_assert_int_eq(message_id_clean("<a@b>", 0, &id), STATUS_NOT_FOUND);
    ck_assert_int_eq(message_id_clean(with_nul, sizeof with_nul - 1, &id), STATUS_OK);
    ck_assert_str_eq(id, "ab@c");
    free(id);
}
END_TEST

START_TEST(test_random_octets)
{
    static const char *const alphabets[] = {NULL, "<> \r\n\tab@", "<>", " \t<a"};
    struct chance chance = {17};
    for (int i = 0; i < 20000; i++) {
        char text[65];
        size_t length = chance_below(&chance, sizeof text);
        chance_text(&chance, alphabets[chance_below(&chance, COUNT_OF(alphabets))], text, length);
        char *octets = malloc(length + (length == 0));
        char *id = NULL;
        memcpy(octets, text, length);
        enum status status = message_id_clean(octets, length, &id);
        REQUIRE(status == STATUS_OK || status == STATUS_NOT_FOUND);
        REQUIRE((status == STATUS_OK) == (id != NULL));
        if (id != NULL) {
            REQUIRE(*id != '\0' && strlen(id) <= length && strpbrk(id, " \t\r\n") == NULL);
            REQUIRE(*id != '<');
            REQUIRE(strchr(text, '<') == NULL || strchr(id, '>') == NULL);
        }
        free(id);
        free(octets);
    }
}
END_TEST

static const uint8_t nonce[MESSAGE_ID_NONCE] = {0x00, 0x1f, 0xa0, [15] = 0xff};

static const struct {
    const char *domain;
    bool stands;
} domains[] = {
    {"example.com", true},
    {"xn--bcher-kva.example", true},
    {"a_b.example.com", true},
    {"example", true},
    {"[192.0.2.1]", true},
    {"[IPv6:2001:db8::1]", true},
    {"", false},
    {".example.com", false},
    {"example.com.", false},
    {"a..example.com", false},
    {"a b.example.com", false},
    {"a\r\nb.example.com", false},
    {"a>.example.com", false},
    {"a@example.com", false},
    {"\"a\".example.com", false},
    {"b\xc3\xbc.example", false},
    {"[192.0.2.1", false},
};

START_TEST(test_made)
{
    char *id = NULL;
    enum status status = message_id_make(nonce, domains[_i].domain, &id);
    ck_assert_msg((status == STATUS_OK) == domains[_i].stands, "%s", domains[_i].domain);
    if (status == STATUS_OK) {
        ck_assert_uint_eq(strlen(id), 35 + strlen(domains[_i].domain));
        ck_assert_int_eq(strncmp(id, "<001fa0000000000000000000000000ff@", 34), 0);
        ck_assert_str_eq(strchr(id, '@') + 1 + strlen(domains[_i].domain), ">");
    } else {
        ck_assert_int_eq(status, STATUS_INVALID);
        ck_assert_ptr_null(id);
    }
    free(id);
}
END_TEST

/* No line becomes longer than mail allows. */
START_TEST(test_made_for_a_long_domain)
{
    char domain[257] = "";
    char *id = NULL;
    memset(domain, 'a', 255);
    ck_assert_int_eq(message_id_make(nonce, domain, &id), STATUS_OK);
    free(id);
    domain[255] = 'a';
    ck_assert_int_eq(message_id_make(nonce, domain, &id), STATUS_INVALID);
}
END_TEST

static const struct {
    const char *value;
    bool names;
} signatures[] = {
    {"v=1; a=rsa-sha256; d=example.com; h=from:to:message-id; bh=x; b=y", true},
    {"v=1; h=From:Message-ID:To", true},
    {"h=MESSAGE-ID", true},
    {"h=message-id;", true},
    {"v=1;h=message-id:from;b=y", true},
    {"v=1;\r\n\th=from:to:subject:\r\n\t message-id\r\n\t; b=y", true},
    {"v=1;\n\th = from : Message-Id : to", true},
    {"v=1; h=from:mess\n\tage-id", true},
    {"v=1; \th\t=\tfrom\t:\tmessage-id\t;", true},
    {"v=1; H=from:message-id", true},
    {"v=1; h=from; h=message-id", true},
    {"h=from:message-id:message-id", true},
    {"h==message-id", false},
    {"", false},
    {";;;", false},
    {"h", false},
    {"h=", false},
    {"h=;", false},
    {"h=::", false},
    {"v=1; h=from:to:subject; b=y", false},
    {"v=1; h=from:resent-message-id:message-ids:x-message-id:messageid; b=y", false},
    {"v=1; h=from; z=Message-ID:message-id; b=message-id", false},
    {"v=1; i=message-id; message-id; hh=message-id; xh=message-id; =message-id", false},
    {"v=1; h=from; b=h=message-id", false},
    {"message-id", false},
    {":message-id", false},
    {"h:message-id", false},
    {"h=from message-id", false},
};

START_TEST(test_signature)
{
    ck_assert_msg(signature_names(signatures[_i].value, "Message-ID") == signatures[_i].names, "%s",
                  signatures[_i].value);
}
END_TEST

/* By its parts: of any text, what stands between semicolons is read by itself. */
START_TEST(test_random_signatures)
{
    static const char *const pieces[] = {"h",      "=",          ";",    ":",           " ",
                                         "\r\n\t", "message-id", "mess", "age-id",      "from",
                                         "H",      "x",          "h=",   "h=message-id"};
    struct chance chance = {23};
    for (int i = 0; i < 20000; i++) {
        char text[256] = "";
        char whole[300];
        for (size_t k = chance_below(&chance, 16); k > 0; k--) {
            strcat(text, pieces[chance_below(&chance, COUNT_OF(pieces))]);
        }
        bool names = signature_names(text, "message-id");
        snprintf(whole, sizeof whole, "v=1;%s; b=x", text);
        REQUIRE(signature_names(whole, "MESSAGE-ID") == names);
        snprintf(whole, sizeof whole, "%s;h=message-id", text);
        REQUIRE(signature_names(whole, "message-id"));
    }
}
END_TEST

/* A value of a megabyte is read once. */
START_TEST(test_long_signature)
{
    enum { SIZE = 1 << 20 };
    static const char *const repeated[] = {"h=", ":", ";", "message-i:", "h=message-i;", " ", "hh"};
    char *value = malloc(SIZE + 1);
    for (size_t i = 0; i < COUNT_OF(repeated); i++) {
        size_t length = strlen(repeated[i]);
        for (size_t k = 0; k < SIZE; k++) {
            value[k] = repeated[i][k % length];
        }
        value[SIZE] = '\0';
        ck_assert(!signature_names(value, "message-id"));
    }
    free(value);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("message-id");
    TCase *tcase = tcase_create("message-id");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_value, 0, (int)COUNT_OF(values));
    tcase_add_loop_test(tcase, test_twice, 0, (int)COUNT_OF(values));
    tcase_add_test(tcase, test_length);
    tcase_add_test(tcase, test_random_octets);
    tcase_add_loop_test(tcase, test_made, 0, (int)COUNT_OF(domains));
    tcase_add_test(tcase, test_made_for_a_long_domain);
    tcase_add_loop_test(tcase, test_signature, 0, (int)COUNT_OF(signatures));
    tcase_add_test(tcase, test_random_signatures);
    tcase_add_test(tcase, test_long_signature);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
