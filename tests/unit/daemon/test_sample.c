/*
 * The sample of genuine bounces: which are read, what is counted of them and for how long, and what
 * a bounce shows. Time is an argument.
 */
#include "../core/conversation.h"

#include "content/evidence_returned.h"
#include "content/mime.h"
#include "daemon/sample.h"

#define ALICE "alice@example.com"

enum { HOUR = 3600, MIB = 1024 * 1024 };

static struct sample *sample;
static const struct domain_settings domain = {.name = (char[]){"example.com"}};

static void setup(void)
{
    sample = sample_new();
    ck_assert_ptr_nonnull(sample);
}

static void teardown(void)
{
    sample_free(sample);
}

/* The bounce to another mailbox for each number. */
static bool take(const struct domain_settings *of, unsigned number, time_t when)
{
    char address[40];
    snprintf(address, sizeof address, "user%u@example.com", number);
    struct returned returned = {.domain = of, .address = address, .day = TODAY};
    return sample_take(sample, &returned, when);
}

static void put(unsigned number, bool known)
{
    char address[40];
    snprintf(address, sizeof address, "user%u@example.com", number);
    struct returned returned = {.domain = &domain, .address = address, .day = TODAY};
    sample_put(sample, &returned, known);
}

/* As "NAMED KNOWN" for the only domain, with "!" where its Message-IDs are replaced. */
static void note(void *context, const char *name)
{
    bool *any = context;
    ck_assert_str_eq(name, "example.com");
    *any = true;
}

static void is_told(const char *expected)
{
    struct status_report report = {0};
    bool rewritten = false;
    char text[64];
    sample_report(sample, &report);
    ck_assert_uint_eq(report.returned.count, 1);
    ck_assert_str_eq(report.returned.rows[0].domain, "example.com");
    sample_rewritten(sample, note, &rewritten);
    snprintf(text, sizeof text, "%u %u%s", (unsigned)report.returned.rows[0].count,
             (unsigned)report.returned.rows[0].known, rewritten ? "!" : "");
    ck_assert_str_eq(text, expected);
    status_report_free(&report);
}

START_TEST(test_a_hundred_an_hour)
{
    time_t now = noon_of(TODAY);
    for (unsigned i = 0; i < SAMPLE_SIZE; i++) {
        ck_assert(take(&domain, i, now + i));
    }
    ck_assert(!take(&domain, 1000, now + HOUR - 1));
    for (unsigned i = 0; i < SAMPLE_SIZE; i++) {
        ck_assert(take(&domain, 1000 + i, now + HOUR));
    }
    ck_assert(!take(&domain, 2000, now + HOUR));
    ck_assert(take(&domain, 2000, now - 1)); /* the clock was put back */
}
END_TEST

START_TEST(test_a_tag_once)
{
    time_t now = noon_of(TODAY);
    struct returned other_day = {
        .domain = &domain, .address = "user0@example.com", .day = TODAY + 1};
    ck_assert(take(&domain, 0, now));
    ck_assert(!take(&domain, 0, now));
    ck_assert(!take(&domain, 0, now + 50 * HOUR));
    ck_assert(sample_take(sample, &other_day, now));
    for (unsigned i = 1; i < SAMPLE_SIZE; i++) {
        ck_assert(take(&domain, i, now + HOUR));
    }
    ck_assert(take(&domain, 0, now + 2 * HOUR)); /* a hundred others have come after it */
}
END_TEST

START_TEST(test_counts_and_state)
{
    time_t now = noon_of(TODAY);
    for (unsigned i = 0; i < 19; i++) {
        ck_assert(take(&domain, i, now));
        put(i, false);
    }
    ck_assert(take(&domain, 19, now)); /* names none */
    is_told("19 0");
    ck_assert_uint_eq(sample_changes(sample), 0);
    put(19, false);
    is_told("20 0!");
    ck_assert_uint_eq(sample_changes(sample), 1);
    put(12345, true); /* is not in it */
    is_told("20 0!");
    for (unsigned i = 100; i < 180; i++) {
        ck_assert(take(&domain, i, now));
        put(i, true);
    }
    is_told("100 80!");
    /* What came first is replaced first. */
    for (unsigned i = 200; i < 210; i++) {
        ck_assert(take(&domain, i, now + HOUR));
        put(i, true);
    }
    is_told("100 90");
    ck_assert_uint_eq(sample_changes(sample), 2);
    ck_assert(take(&domain, 300, now + HOUR));
    is_told("99 90");
    put(0, true); /* has been replaced meanwhile */
    is_told("99 90");
}
END_TEST

START_TEST(test_domains_are_bounded)
{
    char name[40];
    struct domain_settings other = {.name = name};
    for (unsigned i = 0; i < SAMPLE_DOMAINS; i++) {
        snprintf(name, sizeof name, "d%u.example", i);
        ck_assert(take(&other, 1, 0));
    }
    ck_assert(!take(&domain, 1, 0));
    ck_assert(take(&other, 2, 0));
}
END_TEST

/* ------------------------------------------------------------------ reading */

#define RETURNED(fields)                                                                           \
    "From: MAILER-DAEMON@mx.test\nContent-Type: multipart/report; "                                \
    "report-type=delivery-status; boundary=b\n\n--b\n\nx\n--b\n"                                   \
    "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.test\n\n--b\n"                \
    "Content-Type: text/rfc822-headers\n\n" fields "\n--b--\n"

static const struct {
    const char *name, *message, *recipient, *told;
} bounces[] = {
    {"ours", RETURNED("Message-ID: <sent@mail.test>\n"), "{0 " ALICE "}", "1 1"},
    {"ours, all uses gone", RETURNED("Message-ID: <gone@mail.test>\n"), "{0 " ALICE "}", "1 1"},
    {"another's", RETURNED("Message-ID: <sent@mail.test>\n"), "{0 bob@example.com}", "1 0"},
    {"unknown", RETURNED("Message-ID: <new@relay.test>\n"), "{0 " ALICE "}", "1 0"},
    {"one of several", RETURNED("Message-ID: <new@relay.test>\nReferences: <sent@mail.test>\n"),
     "{0 " ALICE "}", "1 1"},
    {"none", RETURNED("Subject: x\n"), "{0 " ALICE "}", "0 0"},
    {"a stranger's message that was handed in",
     RETURNED("Message-ID: <s@else.test>\nX-Batv-Evidence: {evidence " ALICE "}\n"),
     "{0 " ALICE "}", "0 0"},
    {"a header of ours whose message is not noted",
     RETURNED("Message-ID: <s@else.test>\nX-Batv-Evidence: {evidence bob@example.com}\n"),
     "{0 bob@example.com}", "1 0"},
    {"not shown", NULL, "{0 " ALICE "}", "0 0"},
};

static struct journal *make_journal(const struct site *site)
{
    struct reason why;
    struct journal *journal;
    struct text header = {.used = 0};
    char nonce[EVIDENCE_NONCE_HEX];
    char name[EVIDENCE_USE_NAME];
    bool proves = false;
    ck_assert_int_eq(journal_open(NULL, 0, 0, &journal, &why), STATUS_OK);
    journal_put(journal, site->ring, ALICE, "sent@mail.test", 5, TODAY + 30);
    journal_put(journal, site->ring, ALICE, "gone@mail.test", 1, TODAY + 30);
    expand(&header, site, "{evidence " ALICE "}");
    ck_assert_int_eq(
        evidence_check(site->ring, header.out, ALICE, 30, now_of_site(), &proves, nonce),
        STATUS_OK);
    ck_assert(proves);
    evidence_use_name(nonce, false, name);
    journal_note_put(journal, site->ring, ALICE, name, 5, TODAY + 30);
    return journal;
}

START_TEST(test_what_a_bounce_shows)
{
    mime_init();
    struct site *site = site_make();
    site_evidence(site);
    struct journal *journal = make_journal(site);
    struct content_pool *pool = content_pool_new(16 * MIB, 1);
    struct client client = client_of(OUTSIDE);
    struct text refusals = {.used = 0};
    struct text message = {.used = 0};
    struct content *content = NULL;
    struct returned returned;
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_recipient(t, site, bounces[_i].recipient, &refusals);
    ck_assert(transaction_returned(t, &returned));
    ck_assert(sample_take(sample, &returned, now_of_site()));
    if (bounces[_i].message != NULL) {
        content = content_new(pool, MIB, &client.ip);
        expand(&message, site, bounces[_i].message);
        content_message(content, message.out, message.used);
    }
    sample_read(sample, journal, &returned, content, now_of_site());
    is_told(bounces[_i].told);
    struct journal_entry entry;
    ck_assert_int_eq(
        journal_look(journal, site->ring, ALICE, "sent@mail.test", now_of_site(), &entry),
        JOURNAL_YES);
    ck_assert_uint_eq(entry.used, 0);
    content_free(content);
    transaction_free(t);
    content_pool_free(pool);
    journal_close(journal);
    site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample");
    TCase *tcase = tcase_create("sample");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_a_hundred_an_hour);
    tcase_add_test(tcase, test_a_tag_once);
    tcase_add_test(tcase, test_counts_and_state);
    tcase_add_test(tcase, test_domains_are_bounded);
    tcase_add_loop_test(tcase, test_what_a_bounce_shows, 0, COUNT_OF(bounces));
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
