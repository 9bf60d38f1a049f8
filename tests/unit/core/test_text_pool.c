/* Copies that stay what and where they are, however many and long they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/text_pool.h"
#include "fixture.h"

START_TEST(test_copies_stay)
{
    enum { COPIES = 20000, LONGEST = 2000000 };
    static const char *copies[COPIES];
    struct text_pool pool = {0};
    struct chance chance = {20779};
    char text[600];
    for (size_t i = 0; i < COPIES; i++) {
        memset(text, 'a' + (int)(i % 26), sizeof text);
        text[chance_below(&chance, sizeof text)] = '\0';
        text[sizeof text - 1] = '\0';
        copies[i] = text_pool_add(&pool, text);
        REQUIRE(copies[i] != NULL && copies[i] != text && strcmp(copies[i], text) == 0);
        text[0] = '\0';
    }
    for (size_t i = 0; i < COPIES; i++) {
        size_t length = strlen(copies[i]);
        char octets[] = {(char)('a' + i % 26), '\0'};
        REQUIRE(length < sizeof text && strspn(copies[i], octets) == length);
    }
    char *large = malloc(LONGEST + 1);
    ck_assert_ptr_nonnull(large);
    memset(large, 'x', LONGEST);
    large[LONGEST] = '\0';
    ck_assert_str_eq(text_pool_add(&pool, large), large);
    ck_assert_str_eq(text_pool_add(&pool, "after it"), "after it");
    free(large);
    text_pool_free(&pool);
    ck_assert_ptr_null(pool.newest);
    ck_assert_str_eq(text_pool_add(&pool, ""), "");
    text_pool_free(&pool);
    text_pool_free(&pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text pool");
    TCase *tcase = tcase_create("copies");
    tcase_add_test(tcase, test_copies_stay);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
