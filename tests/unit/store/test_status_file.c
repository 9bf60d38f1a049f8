/*
 * The daemon's report: through text and back with strings of any octets, what is refused of a
 * damaged one, and the file that is replaced as a whole.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../suite.h"
#include "store/status_file.h"
#include "store/status_text.h"

static char hostile[256];
static const char quotes[] = "a\"b\\c d";
static const char address[] = "2001:db8::1";

static struct status_row relayed[3], hosted[2], relays[1], returned[2], forged[3], guessed[1],
    excluded[2], counters[5];

static void setup(void)
{
    for (int i = 1; i < 256; i++) {
        hostile[i - 1] = (char)i;
    }
    relayed[0] = (struct status_row){.domain = "0.1.0",
                                     .client = address,
                                     .name = "end",
                                     .count = 1,
                                     .last = 1796299200,
                                     .held = 1796299100};
    relayed[1] = (struct status_row){
        .domain = quotes, .client = hostile, .name = hostile, .count = UINT64_MAX};
    relayed[2] =
        (struct status_row){.domain = "", .client = "", .name = "", .last = -1, .held = -1};
    hosted[0] = (struct status_row){.name = "end"};
    hosted[1] = (struct status_row){.name = hostile};
    relays[0] = (struct status_row){.name = address};
    returned[0] = (struct status_row){.domain = "end", .count = 100, .known = 12};
    returned[1] = (struct status_row){.domain = hostile, .count = UINT64_MAX};
    guessed[0] = (struct status_row){.name = hostile, .until = 1796299200};
    excluded[0] = (struct status_row){.name = quotes, .count = UINT64_MAX};
    excluded[1] = (struct status_row){.name = hostile};
    forged[0] = (struct status_row){.client = address, .count = 12, .last = 1796299200};
    forged[1] = (struct status_row){.client = hostile, .count = UINT64_MAX};
    forged[2] = (struct status_row){.client = "", .last = -1};
    for (int i = 0; i < 5; i++) {
        counters[i] =
            (struct status_row){.name = i == 3 ? hostile : "signed", .count = (uint64_t)i};
    }
}

static struct status_report full_report(void)
{
    return (struct status_report){
        .version = "0.1.0",
        .listen = quotes,
        .pid = 4711,
        .started = 1795694400,
        .written = 1795694410,
        .generation = UINT64_MAX,
        .active_key = 9,
        .next_rotation = 1796299200,
        .paused = true,
        .clock_wrong = true,
        .clock_until = 1795700000,
        .journal_waits = 1795000000,
        .loaded = 1795694400,
        .reload_error = hostile,
        .ring_error = "",
        .ring_back = "waits",
        .journal_error = quotes,
        .journal_pending = 262144,
        .log_target = "syslog",
        .log_place = quotes,
        .log_since = 1795694404,
        .log_lost = UINT64_MAX,
        .log_error = hostile,
        .domains_all = 3,
        .domains_logging = 1,
        .bounces_judged = 1000,
        .would_reject = 412,
        .would_reject_since = 1795694406,
        .would_reject_last = 1795694407,
        .bounces_from_servers = UINT64_MAX,
        .bounces_from_one = 17,
        .bounce_client = address,
        .relayed = {relayed, 3},
        .hosted = {hosted, 2},
        .relays = {relays, 1},
        .returned = {returned, 2},
        .forged = {forged, 3},
        .guessed = {guessed, 1},
        .excluded = {excluded, 2},
        .counters = {counters, 5},
    };
}

static void assert_text(const char *a, const char *b)
{
    ck_assert_ptr_nonnull(b);
    ck_assert_str_eq(a != NULL ? a : "", b);
}

static void assert_rows(struct status_rows a, struct status_rows b)
{
    ck_assert_uint_eq(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        assert_text(a.rows[i].domain, b.rows[i].domain);
        assert_text(a.rows[i].client, b.rows[i].client);
        assert_text(a.rows[i].name, b.rows[i].name);
        ck_assert_uint_eq(a.rows[i].count, b.rows[i].count);
        ck_assert_uint_eq(a.rows[i].known, b.rows[i].known);
        ck_assert_int_eq(a.rows[i].last, b.rows[i].last);
        ck_assert_int_eq(a.rows[i].until, b.rows[i].until);
        ck_assert_int_eq(a.rows[i].held, b.rows[i].held);
    }
}

static void assert_equal(const struct status_report *a, const struct status_report *b)
{
    assert_text(a->version, b->version);
    assert_text(a->listen, b->listen);
    ck_assert_int_eq(a->pid, b->pid);
    ck_assert_int_eq(a->started, b->started);
    ck_assert_int_eq(a->written, b->written);
    ck_assert_uint_eq(a->generation, b->generation);
    ck_assert_int_eq(a->active_key, b->active_key);
    ck_assert_int_eq(a->next_rotation, b->next_rotation);
    ck_assert_int_eq(a->paused, b->paused);
    ck_assert_int_eq(a->clock_wrong, b->clock_wrong);
    ck_assert_int_eq(a->clock_until, b->clock_until);
    ck_assert_int_eq(a->journal_waits, b->journal_waits);
    ck_assert_int_eq(a->loaded, b->loaded);
    assert_text(a->reload_error, b->reload_error);
    assert_text(a->ring_error, b->ring_error);
    assert_text(a->ring_back, b->ring_back);
    assert_text(a->journal_error, b->journal_error);
    ck_assert_uint_eq(a->journal_pending, b->journal_pending);
    assert_text(a->log_target, b->log_target);
    assert_text(a->log_place, b->log_place);
    ck_assert_int_eq(a->log_since, b->log_since);
    ck_assert_uint_eq(a->log_lost, b->log_lost);
    assert_text(a->log_error, b->log_error);
    ck_assert_uint_eq(a->domains_all, b->domains_all);
    ck_assert_uint_eq(a->domains_logging, b->domains_logging);
    ck_assert_uint_eq(a->bounces_judged, b->bounces_judged);
    ck_assert_uint_eq(a->bounces_from_servers, b->bounces_from_servers);
    ck_assert_uint_eq(a->bounces_from_one, b->bounces_from_one);
    assert_text(a->bounce_client, b->bounce_client);
    ck_assert_uint_eq(a->would_reject, b->would_reject);
    ck_assert_int_eq(a->would_reject_since, b->would_reject_since);
    ck_assert_int_eq(a->would_reject_last, b->would_reject_last);
    assert_rows(a->relayed, b->relayed);
    assert_rows(a->hosted, b->hosted);
    assert_rows(a->relays, b->relays);
    assert_rows(a->returned, b->returned);
    assert_rows(a->forged, b->forged);
    assert_rows(a->guessed, b->guessed);
    assert_rows(a->excluded, b->excluded);
    assert_rows(a->counters, b->counters);
}

/* ------------------------------------------------------------------- as text */

START_TEST(test_any_octets_come_back)
{
    struct status_report report = full_report();
    struct status_report again;
    struct reason why;
    char *text;
    size_t length;
    ck_assert_int_eq(status_format(&report, &text, &length), STATUS_OK);
    for (size_t i = 0; i < length; i++) {
        ck_assert(text[i] == '\n' || (text[i] >= 0x20 && text[i] <= 0x7e));
    }
    ck_assert_int_eq(status_parse(text, length, &again, &why), STATUS_OK);
    assert_equal(&report, &again);
    status_report_free(&again);
    free(text);
}
END_TEST

START_TEST(test_a_report_of_nothing_comes_back)
{
    struct status_report report = {.active_key = -1};
    struct status_report again;
    struct reason why;
    char *text;
    size_t length;
    ck_assert_int_eq(status_format(&report, &text, &length), STATUS_OK);
    ck_assert_int_eq(status_parse(text, length, &again, &why), STATUS_OK);
    ck_assert_str_eq(again.version, ""); /* no string is NULL, whatever was written */
    ck_assert_int_eq(again.active_key, -1);
    ck_assert_int_eq(again.next_rotation, 0);
    ck_assert_uint_eq(again.relayed.count, 0);
    ck_assert_uint_eq(again.forged.count + again.counters.count, 0);
    status_report_free(&again);
    free(text);
}
END_TEST

START_TEST(test_cut_short_anywhere_is_refused)
{
    struct status_report report = full_report();
    struct status_report again;
    struct reason why;
    char *text;
    size_t length;
    ck_assert_int_eq(status_format(&report, &text, &length), STATUS_OK);
    for (size_t i = 0; i < length; i++) {
        ck_assert_int_eq(status_parse(text, i, &again, &why), STATUS_INVALID);
        ck_assert_ptr_null(again.version);
    }
    free(text);
}
END_TEST

/* Damage may go unnoticed where it makes another value; it never does harm. */
START_TEST(test_every_damaged_octet_is_survived)
{
    static const char damage[] = {'\0', '\n', ' ', '"', '\\', 'x', '-', '9', (char)0xff};
    struct status_report report = full_report();
    char *text;
    size_t length;
    ck_assert_int_eq(status_format(&report, &text, &length), STATUS_OK);
    for (size_t i = 0; i < length; i++) {
        char kept = text[i];
        for (size_t n = 0; n < sizeof damage; n++) {
            struct status_report again;
            struct reason why;
            text[i] = damage[n];
            if (status_parse(text, length, &again, &why) == STATUS_OK) {
                ck_assert_ptr_nonnull(again.version);
            }
            status_report_free(&again);
        }
        text[i] = kept;
    }
    free(text);
}
END_TEST

static const struct {
    const char *name;
    const char *text;
    enum status status;
} documents[] = {
    {"nothing", "", STATUS_INVALID},
    {"the least", "format 1\nend\n", STATUS_OK},
    {"no end", "format 1\n", STATUS_INVALID},
    {"something after the end", "format 1\nend\n\n", STATUS_INVALID},
    {"another format", "format 2\nend\n", STATUS_INVALID},
    {"another file", "generation 1\nend\n", STATUS_INVALID},
    {"an item of a later version", "format 1\nnews 1 \"x\nend\n", STATUS_OK},
    {"an empty line", "format 1\n\nend\n", STATUS_INVALID},
    {"a value too few", "format 1\ncounter x\nend\n", STATUS_INVALID},
    {"a value too many", "format 1\ncounter x 1 2\nend\n", STATUS_INVALID},
    {"a client that tried tags", "format 1\nforged 192.0.2.1 3 -\nend\n", STATUS_OK},
    {"one without a count", "format 1\nforged 192.0.2.1 -\nend\n", STATUS_INVALID},
    {"a space too many", "format 1\npid  1\nend\n", STATUS_INVALID},
    {"a space at the end", "format 1\npid 1 \nend\n", STATUS_INVALID},
    {"no number", "format 1\npid x\nend\n", STATUS_INVALID},
    {"a number too great", "format 1\ncounter x 18446744073709551616\nend\n", STATUS_INVALID},
    {"a key too great", "format 1\nactive-key 99999999999\nend\n", STATUS_INVALID},
    {"no time", "format 1\nstarted yesterday\nend\n", STATUS_INVALID},
    {"neither yes nor no", "format 1\npaused maybe\nend\n", STATUS_INVALID},
    {"an open quote", "format 1\nversion \"x\nend\n", STATUS_INVALID},
    {"text after a quote", "format 1\nversion \"x\"y\nend\n", STATUS_INVALID},
    {"a bad escape", "format 1\nversion \"\\n\"\nend\n", STATUS_INVALID},
    {"a NUL escaped", "format 1\nversion \"\\x00\"\nend\n", STATUS_INVALID},
    {"an escape cut short", "format 1\nversion \"\\x4\"\nend\n", STATUS_INVALID},
    {"the same twice", "format 1\nversion a\nversion b\nend\n", STATUS_OK},
};

START_TEST(test_documents)
{
    struct status_report report;
    struct reason why;
    const char *text = documents[_i].text;
    ck_assert_msg(status_parse(text, strlen(text), &report, &why) == documents[_i].status, "%s",
                  documents[_i].name);
    status_report_free(&report);
}
END_TEST

/* ------------------------------------------------------------------ as a file */

static char folder[64];

static void make_folder(void)
{
    setup();
    snprintf(folder, sizeof folder, "/tmp/test_status_file.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void path_in_folder(const char *name, char out[static 128])
{
    snprintf(out, 128, "%s/%s", folder, name);
}

static void remove_folder(void)
{
    static const char *const names[] = {"status", "status.new"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        path_in_folder(names[i], path);
        (void)unlink(path);
        (void)rmdir(path);
    }
    (void)rmdir(folder);
}

START_TEST(test_the_file_is_replaced_as_a_whole)
{
    struct status_report report = full_report();
    struct status_report again;
    struct reason why;
    char path[128];
    struct stat before;
    struct stat after;
    path_in_folder("status", path);
    ck_assert_int_eq(status_file_read(folder, &again, &why), STATUS_NOT_FOUND);
    ck_assert_int_eq(status_file_write(folder, &report, &why), STATUS_OK);
    ck_assert_int_eq(stat(path, &before), 0);
    ck_assert_int_eq(before.st_mode & 07777, 0600);
    report.pid = 1;
    ck_assert_int_eq(status_file_write(folder, &report, &why), STATUS_OK);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_ne((long)before.st_ino, (long)after.st_ino);
    ck_assert_int_eq(status_file_read(folder, &again, &why), STATUS_OK);
    assert_equal(&report, &again);
    status_report_free(&again);
    path_in_folder("status.new", path);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_a_damaged_file_is_named)
{
    struct status_report report;
    struct reason why;
    char path[128];
    path_in_folder("status", path);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs("format 1\npid x\nend\n", out);
    fclose(out);
    ck_assert_int_eq(status_file_read(folder, &report, &why), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(why.text, path));
    ck_assert_ptr_nonnull(strstr(why.text, "line 2"));
    status_report_free(&report);
}
END_TEST

START_TEST(test_what_cannot_be_written_leaves_the_old_one)
{
    struct status_report report = full_report();
    struct status_report again;
    struct reason why;
    char path[128];
    ck_assert_int_eq(status_file_write(folder, &report, &why), STATUS_OK);
    path_in_folder("status.new", path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    report.pid = 1;
    ck_assert_int_eq(status_file_write(folder, &report, &why), STATUS_IO);
    ck_assert_ptr_nonnull(strstr(why.text, path));
    ck_assert_int_eq(status_file_read(folder, &again, &why), STATUS_OK);
    ck_assert_int_eq(again.pid, 4711);
    status_report_free(&again);
}
END_TEST

START_TEST(test_a_folder_that_is_not_there)
{
    struct status_report report = full_report();
    struct reason why;
    ck_assert_int_eq(status_file_write("/nonexistent/folder", &report, &why), STATUS_IO);
    ck_assert_int_eq(status_file_read("/nonexistent/folder", &report, &why), STATUS_NOT_FOUND);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

int main(void)
{
    Suite *suite = suite_create("status_file");
    TCase *words = tcase_create("text");
    tcase_set_timeout(words, 60);
    tcase_add_checked_fixture(words, setup, NULL);
    tcase_add_test(words, test_any_octets_come_back);
    tcase_add_test(words, test_a_report_of_nothing_comes_back);
    tcase_add_test(words, test_cut_short_anywhere_is_refused);
    tcase_add_test(words, test_every_damaged_octet_is_survived);
    tcase_add_loop_test(words, test_documents, 0, COUNT(documents));
    suite_add_tcase(suite, words);
    TCase *files = tcase_create("file");
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, test_the_file_is_replaced_as_a_whole);
    tcase_add_test(files, test_a_damaged_file_is_named);
    tcase_add_test(files, test_what_cannot_be_written_leaves_the_old_one);
    tcase_add_test(files, test_a_folder_that_is_not_there);
    suite_add_tcase(suite, files);
    return suite_run(suite);
}
