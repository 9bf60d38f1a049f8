/*
 * Entries of the journal: keys against codes made by another program, what of a Message-ID counts,
 * and values that nobody else can make or change.
 */
#include "fixture.h"

#include <limits.h>

#include "batv/journal_entry.h"

static struct ring *ring;

static void rotate(unsigned seed)
{
    uint8_t octets[SECRET_SIZE];
    for (size_t i = 0; i < sizeof octets; i++) {
        octets[i] = (uint8_t)(i + seed);
    }
    ck_assert_int_eq(ring_rotate_evidence(ring, octets), STATUS_OK);
}

static void setup(void)
{
    ring = ring_new();
    ck_assert_ptr_nonnull(ring);
    rotate(0);
}

static void teardown(void)
{
    ring_free(ring);
}

static void hex(const uint8_t *octets, size_t length, char *out)
{
    for (size_t i = 0; i < length; i++) {
        snprintf(out + 2 * i, 3, "%02x", octets[i]);
    }
}

/* By Python's hmac, with the secret 00 01 02 ... 1f:
 * hmac.new(secret, b"journal\0" + address + b"\0" + id, "sha256").hexdigest()[:32] */
static const struct {
    const char *address, *id, *key;
} vectors[] = {
    {"alice@example.com", "1234@mail.example.com", "ef1a0b327699b0aa8b2229fc3ffff8bb"},
    {"news@example.org", "x", "445a2351bbb9fc4f0a368fa6dc0c3c09"},
    {"b\xc3\xbcro@xn--bcher-kva.example", "a=b+c/d@[192.0.2.1]",
     "80ccf47a7c232d4afdf94479deb1c7cc"},
};

START_TEST(test_vectors)
{
    uint8_t key[JOURNAL_KEY];
    char text[2 * JOURNAL_KEY + 1];
    ck_assert_int_eq(journal_entry_key(ring, 0, vectors[_i].address, vectors[_i].id, key),
                     STATUS_OK);
    hex(key, sizeof key, text);
    ck_assert_str_eq(text, vectors[_i].key);
}
END_TEST

/* 20808, 1, 26; the code is hmac.new(secret, b"journal-value\0" + key + value[:12], "sha256"). */
START_TEST(test_a_value)
{
    struct journal_entry entry = {.expires = 20808, .used = 1, .allowed = 26};
    uint8_t value[JOURNAL_VALUE];
    char text[2 * JOURNAL_VALUE + 1];
    ck_assert_int_eq(journal_entry_key(ring, 0, vectors[0].address, vectors[0].id, entry.key),
                     STATUS_OK);
    ck_assert_int_eq(journal_entry_pack(ring, 0, &entry, value), STATUS_OK);
    hex(value, sizeof value, text);
    ck_assert_str_eq(text, "00005148000000010000001aa969375c24a036a2cd816590");
    ck_assert_int_eq(journal_entry_day(value), 20808);
}
END_TEST

/* The same ID, however a bounce spells it. */
static const char *const same_ids[] = {
    "<1234@mail.example.com>",    " <1234@mail.example.com>\r\n", "<1234@mail.\r\n\texample.com>",
    "\t1234 @ mail.example.com ", "<<1234@mail.example.com>>",
};

START_TEST(test_what_does_not_count)
{
    uint8_t key[JOURNAL_KEY], other[JOURNAL_KEY];
    ck_assert_int_eq(journal_entry_key(ring, 0, "a@b.example", "1234@mail.example.com", key),
                     STATUS_OK);
    ck_assert_int_eq(journal_entry_key(ring, 0, "a@b.example", same_ids[_i], other), STATUS_OK);
    ck_assert_mem_eq(key, other, sizeof key);
}
END_TEST

/* Address and ID cannot lend each other a character. */
static const struct {
    const char *address, *id;
} others[] = {
    {"a@b.example1", "234@mail.example.com"}, {"a@b.example", "1234@mail.example.co"},
    {"a@b.example", "1234@mail.Example.com"}, {"", "a@b.example1234@mail.example.com"},
    {"1234@mail.example.com", "a@b.example"},
};

START_TEST(test_what_counts)
{
    uint8_t key[JOURNAL_KEY], other[JOURNAL_KEY];
    ck_assert_int_eq(journal_entry_key(ring, 0, "a@b.example", "1234@mail.example.com", key),
                     STATUS_OK);
    ck_assert_int_eq(journal_entry_key(ring, 0, others[_i].address, others[_i].id, other),
                     STATUS_OK);
    ck_assert_mem_ne(key, other, sizeof key);
}
END_TEST

/* A note's name and a Message-ID of the same text are not the same, nor does white space go. */
START_TEST(test_notes)
{
    uint8_t key[JOURNAL_KEY], note[JOURNAL_KEY], other[JOURNAL_KEY];
    ck_assert_int_eq(journal_entry_key(ring, 0, "a@b.example", "x", key), STATUS_OK);
    ck_assert_int_eq(journal_entry_note_key(ring, 0, "a@b.example", "x", note), STATUS_OK);
    ck_assert_mem_ne(key, note, sizeof key);
    ck_assert_int_eq(journal_entry_note_key(ring, 0, "a@b.example", " x", other), STATUS_OK);
    ck_assert_mem_ne(note, other, sizeof key);
    ck_assert_int_eq(journal_entry_note_key(ring, 0, "b@b.example", "x", other), STATUS_OK);
    ck_assert_mem_ne(note, other, sizeof key);
    ck_assert_int_eq(journal_entry_note_key(ring, 1, "a@b.example", "x", other), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(test_no_id)
{
    static const char *const none[] = {"", "<>", " \r\n\t<> "};
    uint8_t key[JOURNAL_KEY];
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        ck_assert_int_eq(journal_entry_key(ring, 0, "a@b.example", none[i], key), STATUS_INVALID);
    }
}
END_TEST

START_TEST(test_secrets)
{
    uint8_t before[JOURNAL_KEY], key[JOURNAL_KEY], value[JOURNAL_VALUE];
    struct journal_entry entry = {.expires = TODAY};
    ck_assert_int_eq(journal_entry_key(ring, 1, "a@b.example", "x", key), STATUS_NOT_FOUND);
    ck_assert_int_eq(journal_entry_pack(ring, 1, &entry, value), STATUS_NOT_FOUND);
    ck_assert_int_eq(journal_entry_unpack(ring, 1, value, &entry), STATUS_NOT_FOUND);
    ck_assert_int_eq(journal_entry_key(ring, 0, "a@b.example", "x", before), STATUS_OK);
    rotate(1);
    ck_assert_int_eq(journal_entry_key(ring, 0, "a@b.example", "x", key), STATUS_OK);
    ck_assert_mem_ne(before, key, sizeof key);
    ck_assert_int_eq(journal_entry_key(ring, 1, "a@b.example", "x", key), STATUS_OK);
    ck_assert_mem_eq(before, key, sizeof key);
}
END_TEST

static const struct journal_entry entries[] = {
    {.expires = TODAY, .used = 0, .allowed = 23},
    {.expires = 0, .used = 0, .allowed = 0},
    {.expires = UINT32_MAX, .used = UINT_MAX, .allowed = UINT_MAX},
};

START_TEST(test_there_and_back)
{
    struct journal_entry entry = entries[_i];
    struct journal_entry back = {.used = 0};
    uint8_t value[JOURNAL_VALUE];
    memset(entry.key, 7, sizeof entry.key);
    memcpy(back.key, entry.key, sizeof back.key);
    ck_assert_int_eq(journal_entry_pack(ring, 0, &entry, value), STATUS_OK);
    ck_assert_int_eq(journal_entry_unpack(ring, 0, value, &back), STATUS_OK);
    ck_assert_int_eq(back.expires, entry.expires);
    ck_assert_uint_eq(back.used, entry.used);
    ck_assert_uint_eq(back.allowed, entry.allowed);
}
END_TEST

START_TEST(test_days_that_cannot_be_stored_become_the_nearest)
{
    struct journal_entry entry = {.expires = -1};
    uint8_t value[JOURNAL_VALUE];
    ck_assert_int_eq(journal_entry_pack(ring, 0, &entry, value), STATUS_OK);
    ck_assert_int_eq(journal_entry_day(value), 0);
    entry.expires = INT64_MAX;
    ck_assert_int_eq(journal_entry_pack(ring, 0, &entry, value), STATUS_OK);
    ck_assert_int_eq(journal_entry_day(value), UINT32_MAX);
}
END_TEST

/* Every bit of it, and of the key it stands under. */
START_TEST(test_a_changed_value_is_none)
{
    struct journal_entry entry = {.expires = TODAY, .used = 3, .allowed = 23};
    struct journal_entry back;
    uint8_t value[JOURNAL_VALUE];
    memset(entry.key, 7, sizeof entry.key);
    ck_assert_int_eq(journal_entry_pack(ring, 0, &entry, value), STATUS_OK);
    for (size_t bit = 0; bit < 8 * (sizeof value + sizeof entry.key); bit++) {
        uint8_t *octet =
            bit < 8 * sizeof value ? &value[bit / 8] : &back.key[bit / 8 - sizeof value];
        back = entry;
        *octet ^= (uint8_t)(1 << bit % 8);
        REQUIRE(journal_entry_unpack(ring, 0, value, &back) == STATUS_INVALID);
        REQUIRE(back.expires == TODAY && back.used == 3);
        *octet ^= (uint8_t)(1 << bit % 8);
    }
    back = entry;
    ck_assert_int_eq(journal_entry_unpack(ring, 0, value, &back), STATUS_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal_entry");
    TCase *tcase = tcase_create("journal_entry");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_vectors, 0, COUNT_OF(vectors));
    tcase_add_test(tcase, test_a_value);
    tcase_add_loop_test(tcase, test_what_does_not_count, 0, COUNT_OF(same_ids));
    tcase_add_loop_test(tcase, test_what_counts, 0, COUNT_OF(others));
    tcase_add_test(tcase, test_notes);
    tcase_add_test(tcase, test_no_id);
    tcase_add_test(tcase, test_secrets);
    tcase_add_loop_test(tcase, test_there_and_back, 0, COUNT_OF(entries));
    tcase_add_test(tcase, test_days_that_cannot_be_stored_become_the_nearest);
    tcase_add_test(tcase, test_a_changed_value_is_none);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
