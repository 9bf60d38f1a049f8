/* Postfix's mynetworks as a text: whom it trusts, and whether it trusts everybody. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../suite.h"
#include "mta/postfix_trust.h"
#include "mta/strangers.h"

static const struct {
    const char *list;
    const char *trusted; /* NULL: not asked for */
    const char *others;
    bool strangers;
} lists[] = {
    {"", NULL, "127.0.0.1", false},
    {"127.0.0.0/8 [::1]/128, 192.0.2.0/24", "192.0.2.7", "192.0.3.1", false},
    {"[::1]/128", "::1", "::2", false},
    {"!192.0.2.7, 192.0.2.0/24", "192.0.2.8", "192.0.2.7", false},
    {"192.0.2.0/24, !192.0.2.7", "192.0.2.7", "198.51.100.1", false},
    {"10.0.0.0/8 127.0.0.0/8", "10.1.2.3", "11.1.2.3", false},
    {"100.0.0.0/8", "100.1.2.3", "101.1.2.3", false},
    {"0.0.0.0/0", NULL, "127.0.0.1", true},
    {"0.0.0.0/1 192.0.2.0/24", NULL, "192.0.2.7", true},
    {"[::]/0", NULL, "::1", true},
    {"static:all", NULL, "192.0.2.7", true},
    {"!static:all 10.0.0.0/8", NULL, "10.0.0.1", false},
    /* what cannot be read is left out, and never trusted */
    {"hash:/etc/postfix/networks, 192.0.2.1", "192.0.2.1", "192.0.2.2", false},
    {"!hash:/etc/postfix/networks, 192.0.2.1", NULL, "192.0.2.1", false},
    {"/nowhere/at/all 192.0.2.1", NULL, "192.0.2.1", false},
    {"192.0.2.1/24 10.0.0.0/33 [::1 ] ! {}", NULL, "192.0.2.1", false},
};

START_TEST(test_lists)
{
    struct postfix_trust *trust = postfix_trust_parse(lists[_i].list);
    ck_assert_ptr_nonnull(trust);
    ck_assert_msg(lists[_i].trusted == NULL || postfix_trusts(trust, lists[_i].trusted), "%s",
                  lists[_i].list);
    ck_assert_msg(!postfix_trusts(trust, lists[_i].others), "%s", lists[_i].list);
    ck_assert_msg(postfix_trusts_strangers(trust) == lists[_i].strangers, "%s", lists[_i].list);
    ck_assert(!postfix_trusts(trust, "no address") && !postfix_trusts(trust, ""));
    postfix_trust_free(trust);
}
END_TEST

START_TEST(test_a_file_in_the_list)
{
    char path[] = "/tmp/batv-trust.XXXXXX";
    char list[64];
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    FILE *file = fdopen(fd, "w");
    ck_assert_ptr_nonnull(file);
    fputs("# ours\n192.0.2.0/25 OK\n!198.51.100.7\n198.51.100.0/24\n", file);
    ck_assert_int_eq(fclose(file), 0);
    for (int cidr = 0; cidr < 2; cidr++) {
        snprintf(list, sizeof list, "%s%s", cidr ? "cidr:" : "", path);
        struct postfix_trust *trust = postfix_trust_parse(list);
        ck_assert(postfix_trusts(trust, "192.0.2.1") && postfix_trusts(trust, "198.51.100.8"));
        ck_assert(!postfix_trusts(trust, "198.51.100.7") && !postfix_trusts(trust, "192.0.2.200"));
        postfix_trust_free(trust);
    }
    unlink(path);
}
END_TEST

START_TEST(test_nobody)
{
    ck_assert(!postfix_trusts(NULL, "127.0.0.1") && !postfix_trusts_strangers(NULL));
    ck_assert(!network_list_holds_strangers(NULL));
    postfix_trust_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("postfix_trust");
    TCase *tcase = tcase_create("mynetworks");
    tcase_add_loop_test(tcase, test_lists, 0, COUNT_OF(lists));
    tcase_add_test(tcase, test_a_file_in_the_list);
    tcase_add_test(tcase, test_nobody);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
