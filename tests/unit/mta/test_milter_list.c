/*
 * batvd in Postfix's lists of milters: its former address gives way to the present one, and no
 * other milter is touched. The addresses are real: some answer, some do not.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../suite.h"
#include "base/words.h"
#include "daemon/listeners.h"
#include "mta/milter_address.h"
#include "mta/milter_list.h"

static char folder[] = "/tmp/batv-milters-XXXXXX";
static struct formers *formers;
static int answering;

/* The text with @ for the folder; one of four buffers in turn. */
static const char *at(const char *text)
{
    static char buffers[4][1024];
    static unsigned turn;
    char *out = buffers[turn++ % 4];
    size_t used = 0;
    for (; *text != '\0'; text++) {
        used += (size_t)snprintf(out + used, 1024 - used, "%.*s", *text == '@' ? 64 : 1,
                                 *text == '@' ? folder : text);
    }
    out[used] = '\0';
    return out;
}

static void listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    answering = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_ge(answering, 0);
    ck_assert_int_eq(bind(answering, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(answering, 1), 0);
}

/* batvd listened at old.sock and busy.sock, and listens at new.sock now. Somebody answers at
 * busy.sock. */
static void setup(void)
{
    struct reason why;
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(mkdir(at("@/batvd"), 0700), 0);
    listen_at(at("@/busy.sock"));
    ck_assert_int_eq(listeners_note(folder, at("unix:@/old.sock"), &why), STATUS_OK);
    ck_assert_int_eq(listeners_note(folder, at("unix:@/busy.sock"), &why), STATUS_OK);
    char listen[100];
    snprintf(listen, sizeof listen, "unix:%s/new.sock", folder);
    static char kept[100];
    strcpy(kept, listen);
    const struct config config = {.listen = kept, .state_dir = folder};
    formers = formers_new(&config, NULL);
    ck_assert_ptr_nonnull(formers);
}

static void teardown(void)
{
    formers_free(formers);
    close(answering);
    (void)unlink(at("@/busy.sock"));
    (void)unlink(at("@/listeners"));
    (void)rmdir(at("@/batvd"));
    ck_assert_int_eq(rmdir(folder), 0);
}

static const struct {
    const char *raw, *expanded; /* NULL: the same */
    const char *expected;
    bool named, own_action;
} lists[] = {
    {"", NULL, "unix:@/new.sock", false, false},
    {"inet:h:1", NULL, "inet:h:1, unix:@/new.sock", false, false},
    {"inet:h:1 ,unix:/x", NULL, "inet:h:1 ,unix:/x, unix:@/new.sock", false, false},
    {"unix:@/new.sock", NULL, "unix:@/new.sock", false, false},
    {"unix:@/new.sock  inet:h:1", NULL, "unix:@/new.sock  inet:h:1", false, false},
    /* the former address, in its place */
    {"unix:@/old.sock", NULL, "unix:@/new.sock", false, false},
    {"inet:h:1 unix:@/old.sock,  inet:h:2", NULL, "inet:h:1 unix:@/new.sock,  inet:h:2", false,
     false},
    {"unix:@/old.sock, unix:@/new.sock", NULL, "unix:@/new.sock", false, false},
    {"inet:h:1, unix:@/new.sock, unix:@/old.sock inet:h:2", NULL,
     "inet:h:1, unix:@/new.sock inet:h:2", false, false},
    {"unix:@/old.sock unix:@/old.sock", NULL, "unix:@/new.sock", false, false},
    {"{ unix:@/old.sock, connect_timeout=3s }", NULL, "{ unix:@/new.sock, connect_timeout=3s }",
     false, false},
    {"local:@/old.sock", NULL, "unix:@/new.sock", false, false},
    /* by its name */
    {"unix:@/batvd/milter.sock", NULL, "unix:@/new.sock", false, false},
    {"unix:@/batvd.sock", NULL, "unix:@/new.sock", false, false},
    {"unix:@/batvd2/milter.sock", NULL, "unix:@/batvd2/milter.sock, unix:@/new.sock", false, false},
    {"unix:@/nobody.sock", NULL, "unix:@/nobody.sock, unix:@/new.sock", false, false},
    /* somebody else is there now */
    {"unix:@/busy.sock", NULL, "unix:@/busy.sock, unix:@/new.sock", false, false},
    /* by a $name */
    {"$batv", "unix:@/new.sock", "$batv", false, false},
    {"inet:h:1 $batv", "inet:h:1 unix:@/old.sock", "inet:h:1 unix:@/new.sock", false, false},
    {"$more unix:@/old.sock", "inet:h:1 unix:@/old.sock", "$more unix:@/new.sock", false, false},
    {"$more", "inet:h:1", "$more, unix:@/new.sock", false, false},
    /* $smtpd_milters stands for batvd */
    {"$smtpd_milters", NULL, "$smtpd_milters", true, false},
    {"$smtpd_milters, unix:@/old.sock inet:h:2", NULL, "$smtpd_milters inet:h:2", true, false},
    /* an action of its own */
    {"inet:h:1", NULL, "inet:h:1, { unix:@/new.sock, default_action=tempfail }", false, true},
    {"unix:@/new.sock inet:h:1", NULL, "{ unix:@/new.sock, default_action=tempfail } inet:h:1",
     false, true},
    {"{ unix:@/old.sock, default_action=accept, connect_timeout=3s }", NULL,
     "{ unix:@/new.sock, connect_timeout=3s, default_action=tempfail }", false, false},
    {"{ unix:@/new.sock, default_action=shutdown } inet:h:1", NULL,
     "{ unix:@/new.sock, default_action=shutdown } inet:h:1", false, true},
    {"{unix:@/new.sock,default_action=Reject}", NULL,
     "{ unix:@/new.sock, default_action=tempfail }", false, false},
    {"$batv inet:h:1", "unix:@/new.sock inet:h:1",
     "{ unix:@/new.sock, default_action=tempfail } inet:h:1", false, true},
};

START_TEST(test_batvd_in_a_list)
{
    const char *raw = at(lists[_i].raw);
    const char *expanded = lists[_i].expanded != NULL ? at(lists[_i].expanded) : raw;
    const struct milter_list_place place = {at("unix:@/new.sock"), "/q", formers, lists[_i].named,
                                            lists[_i].own_action};
    char *list = milter_list_with_ours(raw, expanded, &place);
    ck_assert_str_eq(list, at(lists[_i].expected));
    if (strchr(list, '$') == NULL) {
        char *again = milter_list_with_ours(list, list, &place);
        ck_assert_str_eq(again, list);
        free(again);
    }
    free(list);
}
END_TEST

START_TEST(test_other_milters)
{
    const struct milter_list_place place = {at("unix:@/new.sock"), "/q", formers, false, false};
    ck_assert(!milter_list_has_others("", &place));
    ck_assert(!milter_list_has_others(at("unix:@/old.sock { unix:@/new.sock, x=y }"), &place));
    ck_assert(milter_list_has_others(at("unix:@/new.sock, unix:@/busy.sock"), &place));
}
END_TEST

static const struct {
    const char *item, *name, *option, *value, *expected;
} items[] = {
    {"unix:a", NULL, NULL, NULL, "unix:a"},
    {"unix:a", "unix:b", NULL, NULL, "unix:b"},
    {"{ unix:a }", "unix:b", NULL, NULL, "unix:b"},
    {"{unix:a,x=1}", "unix:b", NULL, NULL, "{ unix:b, x=1 }"},
    {"unix:a", NULL, "x", "2", "{ unix:a, x=2 }"},
    {"{ unix:a, x=1, xy=3 }", NULL, "x", "2", "{ unix:a, xy=3, x=2 }"},
};

START_TEST(test_an_item_changed)
{
    char *item =
        milter_item_with(items[_i].item, items[_i].name, items[_i].option, items[_i].value);
    ck_assert_str_eq(item, items[_i].expected);
    free(item);
}
END_TEST

static const struct {
    const char *list, *expected;
} tight[] = {
    {"", ""},
    {"a, b  c", "a,b,c"},
    {"{ unix:a, x=y } inet:h:1", "{unix:a,x=y},inet:h:1"},
    {"{ unix:a, { x = y } }", NULL},
    {"{ unix:a, {x=y} }", "{unix:a,{x=y}}"},
};

START_TEST(test_a_list_without_white_space)
{
    char *list = list_compact(tight[_i].list);
    if (tight[_i].expected == NULL) {
        ck_assert_ptr_null(list);
    } else {
        ck_assert_str_eq(list, tight[_i].expected);
    }
    free(list);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("milter_list");
    TCase *tests = tcase_create("milter_list");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_batvd_in_a_list, 0, COUNT_OF(lists));
    tcase_add_test(tests, test_other_milters);
    tcase_add_loop_test(tests, test_an_item_changed, 0, COUNT_OF(items));
    tcase_add_loop_test(tests, test_a_list_without_white_space, 0, COUNT_OF(tight));
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
