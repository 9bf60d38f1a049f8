/*
 * When a lost keyring is written back, and what is said of it: each condition by itself, and that
 * the copy can be read as the ring that it was made of.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../suite.h"
#include "base/random.h"
#include "batv/day.h"
#include "batv/ring_text.h"
#include "store/ring_loss.h"

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

static const time_t noon = (time_t)20778 * DAY_SECONDS + DAY_SECONDS / 2;

static const struct {
    struct ring_loss loss;
    uint64_t generation;
    unsigned retain_days;
    bool same_folder;
    time_t now;
    enum ring_back back;
} cases[] = {
    {{RING_MISSING, 1000, 7, 0, {""}}, 7, 9, true, 1000, RING_BACK_WAITS},
    {{RING_MISSING, 1000, 7, 0, {""}}, 7, 9, true, 1059, RING_BACK_WAITS},
    {{RING_MISSING, 1000, 7, 0, {""}}, 7, 9, true, 1060, RING_BACK_DUE},
    {{RING_DAMAGED, 1000, 7, 0, {""}}, 7, 9, true, 1060, RING_BACK_DUE},
    {{RING_DAMAGED, 1000, 3, 0, {""}}, 7, 9, true, 1060, RING_BACK_DUE},
    {{RING_UNREADABLE, 1000, 7, 0, {""}}, 7, 9, true, 1059, RING_BACK_WAITS},
    {{RING_UNREADABLE, 1000, 7, 0, {""}}, 7, 9, true, 1060, RING_BACK_FAILED},
    {{RING_MISSING, 1000, 7, 1120, {""}}, 7, 9, true, 1119, RING_BACK_FAILED},
    {{RING_MISSING, 1000, 7, 1120, {""}}, 7, 9, true, 1120, RING_BACK_DUE},
    {{RING_MISSING, 1000, 8, 0, {""}}, 7, 9, true, 1000, RING_BACK_NEWER},
    {{RING_MISSING, 1000, 8, 0, {""}}, 7, 9, true, 9999, RING_BACK_NEWER},
    {{RING_DAMAGED, 1000, UINT64_MAX, 0, {""}}, 7, 9, true, 9999, RING_BACK_NEWER},
    {{RING_MISSING, 1000, 7, 0, {""}}, 7, 0, true, 9999, RING_BACK_FORGET},
    {{RING_MISSING, 1000, 7, 0, {""}}, 7, 9, false, 9999, RING_BACK_FOLDER},
};

START_TEST(test_conditions)
{
    ck_assert_int_eq(ring_loss_judge(&cases[_i].loss, cases[_i].generation, cases[_i].retain_days,
                                     cases[_i].same_folder, cases[_i].now),
                     cases[_i].back);
}
END_TEST

START_TEST(test_the_time_begins_anew_with_each_change)
{
    struct ring_loss loss = {0};
    ring_loss_note(&loss, RING_THERE, true, 5, 100);
    ring_loss_note(&loss, RING_MISSING, true, 0, 200);
    ck_assert_int_eq(loss.since, 200);
    ring_loss_note(&loss, RING_MISSING, false, 0, 230);
    ck_assert_int_eq(loss.since, 200);
    loss.retry_at = 300;
    ring_loss_note(&loss, RING_DAMAGED, true, 4, 240);
    ck_assert_int_eq(loss.since, 240);
    ck_assert_int_eq(loss.retry_at, 0);
    ck_assert_uint_eq(loss.newest, 5);
    ring_loss_note(&loss, RING_DAMAGED, true, 6, 250);
    ck_assert_int_eq(loss.since, 250);
    ck_assert_uint_eq(loss.newest, 6);
    ring_loss_note(&loss, RING_THERE, true, 3, 260); /* an older one came back from a backup */
    ck_assert_uint_eq(loss.newest, 6);
    ck_assert_int_eq(ring_loss_judge(&loss, 3, 9, true, 9999), RING_BACK_NEWER);
}
END_TEST

START_TEST(test_words_there_and_back)
{
    for (int i = RING_BACK_WAITS; i <= RING_BACK_FAILED; i++) {
        enum ring_back back = RING_BACK_WAITS;
        ck_assert(ring_back_from_name(ring_back_name(RING_MISSING, (enum ring_back)i), &back));
        ck_assert_int_eq(back, i);
    }
    enum ring_back back;
    ck_assert_str_eq(ring_back_name(RING_THERE, RING_BACK_DUE), "");
    ck_assert(!ring_back_from_name("", &back));
}
END_TEST

static struct ring *new_ring(void)
{
    static const struct key_policy policy = {7, 7, 7, 0, ALGORITHM_HMAC_SHA256};
    struct reason why;
    uint8_t octets[SECRET_SIZE];
    struct ring *ring = ring_new();
    ck_assert_int_eq(random_octets(octets, sizeof octets, &why), STATUS_OK);
    ck_assert_int_eq(ring_rotate(ring, &policy, policy.algorithm, noon, 0, octets, &why),
                     STATUS_OK);
    ring->generation = 12;
    return ring;
}

START_TEST(test_the_copy)
{
    struct ring *ring = new_ring();
    struct ring *again = NULL;
    struct ring_copy copy = {.fd = -1};
    struct reason why;
    char path[64], link[RING_COPY_NAME + 64], name[RING_COPY_NAME], text[4096];
    ck_assert(ring_copy_make(&copy, ring, "/var/lib/batvd"));
    int fd = copy.fd;
    ck_assert(ring_copy_make(&copy, ring, "/var/lib/batvd"));
    ck_assert_int_eq(copy.fd, fd);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, link, sizeof link - 1);
    ck_assert_int_gt(length, 0);
    link[length] = '\0';
    ring_copy_name("/var/lib/batvd", name);
    ck_assert_ptr_nonnull(strstr(link, name));
    struct stat info;
    ck_assert_int_eq(fstat(fd, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0400);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    ck_assert_msg(ring_parse(text, size, &again, &why) == STATUS_OK, "%s", why.text);
    ck_assert_uint_eq(again->generation, 12);
    ring_copy_end(&copy);
    ck_assert_int_eq(copy.fd, -1);
    ck_assert_int_ne(fstat(fd, &info), 0);
    ring_copy_end(&copy);
    ring_free(again);
    ring_free(ring);
}
END_TEST

START_TEST(test_no_text_says_key_init_where_it_forgets_keys)
{
    for (int i = RING_BACK_WAITS; i <= RING_BACK_FAILED; i++) {
        struct ring_plight plight = {"/it's mine", RING_DAMAGED, (enum ring_back)i, "why", 12, 3};
        char *text = ring_plight_text(&plight);
        char *command = ring_plight_command(&plight);
        bool waits = i == RING_BACK_WAITS || i == RING_BACK_DUE;
        ck_assert_ptr_nonnull(strstr(text, "do not restart"));
        ck_assert((strstr(text, "key init") != NULL) == (i == RING_BACK_FORGET));
        ck_assert((command == NULL) == waits);
        ck_assert(waits || strstr(command, "/proc/12/fd/3") != NULL);
        free(text);
        free(command);
        plight.fd = -1;
        ck_assert_ptr_null(ring_plight_command(&plight));
    }
    ck_assert_ptr_null(strstr(ring_lost_advice("/nowhere", STATUS_NOT_FOUND, true, 9), "key init"));
    ck_assert_ptr_null(ring_lost_advice("/nowhere", STATUS_REFUSED, true, 9));
    ck_assert_str_eq(ring_lost_advice("/nowhere", STATUS_NOT_FOUND, false, 9),
                     "make one: batvctl key init");
    ck_assert_ptr_nonnull(strstr(ring_lost_advice("/nowhere", STATUS_INVALID, false, 9), "backup"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_loss");
    TCase *tcase = tcase_create("ring_loss");
    tcase_add_loop_test(tcase, test_conditions, 0, COUNT(cases));
    tcase_add_test(tcase, test_the_time_begins_anew_with_each_change);
    tcase_add_test(tcase, test_words_there_and_back);
    tcase_add_test(tcase, test_the_copy);
    tcase_add_test(tcase, test_no_text_says_key_init_where_it_forgets_keys);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
