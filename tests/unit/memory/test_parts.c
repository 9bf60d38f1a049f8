/*
 * What a daemon and its tool are made of, while memory runs out at each call in turn: lists, rings,
 * the keyring file, the configuration, the journal, a bounce taken apart, status and JSON. An error
 * is told, and what was there before is there still.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "../core/fixture.h"
#include "base/log.h"
#include "batv/address_meaning.h"
#include "batv/evidence.h"
#include "batv/ring_text.h"
#include "config/config.h"
#include "content/mime.h"
#include "ctl/explain.h"
#include "ctl/json.h"
#include "daemon/keeper.h"
#include "daemon/tally.h"
#include "memory.h"
#include "store/journal.h"
#include "store/ring_file.h"
#include "store/status_file.h"
#include "store/status_text.h"

enum { PATH = 160, MIB = 1024 * 1024 };

static char folder[64];

static const char *in_folder(const char *name, char path[static PATH])
{
    snprintf(path, PATH, "%s/%s", folder, name);
    return path;
}

static void put_file(const char *name, const char *text)
{
    char path[PATH];
    FILE *file = fopen(in_folder(name, path), "w");
    MEMORY_REQUIRE(file != NULL);
    MEMORY_REQUIRE(fputs(text, file) >= 0 && fclose(file) == 0);
}

/* Only no memory is an excuse. */
static enum memory_run told(enum status status)
{
    MEMORY_REQUIRE(status == STATUS_OK || status == STATUS_NO_MEMORY || status == STATUS_CRYPTO);
    return status == STATUS_OK ? MEMORY_DONE : MEMORY_REFUSED;
}

/* ----------------------------------------------------------------------- lists */

static enum memory_run make_patterns(void *context)
{
    static const char *const entries[] = {"alice@example.com", "*@lists.test",
                                          "b*\u00c4@m\u00fcll.de", "postmaster"};
    (void)context;
    struct pattern_list *list = NULL;
    size_t bad = 0;
    enum status status = pattern_list_new(entries, COUNT_OF(entries), &list, &bad);
    MEMORY_REQUIRE((status == STATUS_OK) == (list != NULL));
    if (list != NULL) {
        MEMORY_REQUIRE(pattern_list_match(list, "x@lists.test") == NULL ||
                       strcmp(pattern_list_match(list, "x@lists.test"), "*@lists.test") == 0);
        MEMORY_REQUIRE(pattern_list_match(list, "x@other.test") == NULL);
        MEMORY_REQUIRE(pattern_list_match(list, "b\u00e4@xn--mll-hoa.de") != NULL);
    }
    pattern_list_free(list);
    return told(status);
}

static enum memory_run make_networks(void *context)
{
    static const char *const entries[] = {"10.0.0.0/8", "192.0.2.9", "2001:db8::/32"};
    (void)context;
    struct network_list *list = NULL;
    struct ip ip;
    size_t bad = 0;
    enum status status = network_list_new(entries, COUNT_OF(entries), &list, &bad);
    MEMORY_REQUIRE((status == STATUS_OK) == (list != NULL));
    MEMORY_REQUIRE(ip_parse("10.1.2.3", &ip));
    MEMORY_REQUIRE(list == NULL || network_list_match(list, &ip) != NULL);
    network_list_free(list);
    return told(status);
}

static enum memory_run make_hosts(void *context)
{
    static const char *const entries[] = {"mx.partner.test", "*.b\xc3\xbc"
                                                             "cher.test"};
    (void)context;
    struct host_list *list = NULL;
    size_t bad = 0;
    enum status status = host_list_new(entries, COUNT_OF(entries), &list, &bad);
    MEMORY_REQUIRE((status == STATUS_OK) == (list != NULL));
    MEMORY_REQUIRE(list == NULL || host_list_match(list, "mx.partner.test") != NULL);
    host_list_free(list);
    return told(status);
}

static enum memory_run make_regexes(void *context)
{
    static const char *const entries[] = {"^[0-9]+@a$", "@mx[12]\\.test$"};
    (void)context;
    struct regex_list *list = NULL;
    size_t bad = 0;
    enum status matched = STATUS_OK;
    enum status status = regex_list_new(entries, COUNT_OF(entries), &list, &bad);
    MEMORY_REQUIRE((status == STATUS_OK) == (list != NULL));
    if (list != NULL) {
        struct budget budget = budget_of(0);
        bool found = regex_list_match(list, "x@mx2.test", &budget, &matched) != NULL;
        MEMORY_REQUIRE(found || matched == STATUS_NO_MEMORY);
    }
    regex_list_free(list);
    return told(status == STATUS_OK ? matched : status);
}

static enum memory_run make_domains(void *context)
{
    static const char *const entries[] = {"example.com", ".example.org", "a.example.org"};
    (void)context;
    struct domain_list *list = NULL;
    size_t bad = 0;
    enum status status = domain_list_new(entries, COUNT_OF(entries), &list, &bad);
    MEMORY_REQUIRE((status == STATUS_OK) == (list != NULL));
    MEMORY_REQUIRE(list == NULL || domain_list_find(list, "b.example.org") == 1);
    domain_list_free(list);
    return told(status);
}

/* By each of the ways in which an address is settled. */
static enum memory_run settle_addresses(void *context)
{
    static const char *const rows[][2] = {{"<alice@example.com>", NULL},
                                          {"<al\\ice(x)@example.com>", NULL},
                                          {"<alice(x)@example.com>", "alice@example.com"},
                                          {"<alice%example.com@mx.example>", "alice"},
                                          {"<\u00c4%example.com@mx.example>", "\u00e4"},
                                          {"<(x)>", ""}};
    (void)context;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < COUNT_OF(rows); i++) {
        struct address address;
        status = address_settle(rows[i][0], rows[i][1], "mx.example", &address);
        MEMORY_REQUIRE((status == STATUS_OK) == (address.ascii != NULL));
        address_free(&address);
    }
    return told(status);
}

/* ------------------------------------------------------------------------ rings */

static const time_t moment = (time_t)TODAY * DAY_SECONDS;

static char *text_of(const struct ring *ring)
{
    char *text = NULL;
    size_t length = 0;
    MEMORY_REQUIRE(ring_format(ring, &text, &length) == STATUS_OK);
    text[length - 1] = '\0';
    return text;
}

static struct ring *make_ring(void)
{
    struct key_policy policy = keys_weekly(LIFETIME);
    uint8_t octets[SECRET_SIZE] = {7};
    bool changed;
    struct ring *ring = ring_new();
    ring_turn(ring, &policy, moment - 14 * DAY_SECONDS, 1);
    ring_turn(ring, &policy, moment - 7 * DAY_SECONDS, 2);
    ck_assert_int_eq(ring_rotate_evidence(ring, octets), STATUS_OK);
    ck_assert_int_eq(ring_domain_add(ring, "example.com", moment, &changed), STATUS_OK);
    return ring;
}

typedef enum status change_fn(struct ring *ring);

static enum status rotate(struct ring *ring)
{
    struct key_policy policy = keys_weekly(LIFETIME);
    uint8_t octets[SECRET_SIZE] = {9};
    struct reason why;
    return ring_rotate(ring, &policy, policy.algorithm, moment, 0, octets, &why);
}

static enum status drop_key(struct ring *ring)
{
    struct key_policy policy = keys_weekly(LIFETIME);
    uint8_t octets[SECRET_SIZE] = {9};
    struct reason why;
    return ring_revoke(ring, &policy, (unsigned)ring_active(ring, moment), moment, true, octets,
                       &why);
}

static enum status import(struct ring *ring)
{
    struct key_policy policy = keys_weekly(LIFETIME);
    struct secret secret;
    struct reason why;
    secret_set(&secret, (const uint8_t *)"0123456789abcdef0123", 20);
    return ring_import(ring, &policy, 7, ALGORITHM_HMAC_SHA1, KEY_ACTIVE, &secret, moment, &why);
}

static enum status rotate_evidence(struct ring *ring)
{
    uint8_t octets[SECRET_SIZE] = {11};
    return ring_rotate_evidence(ring, octets);
}

static enum status add_domain(struct ring *ring)
{
    bool changed;
    return ring_domain_add(ring, "another.example", moment, &changed);
}

static enum status tidy_ring(struct ring *ring)
{
    ring_raise_lifetime(ring, LIFETIME + 1, moment);
    ring_prune(ring, moment);
    return STATUS_OK;
}

static enum status copy_ring(struct ring *ring)
{
    struct ring *copy = ring_copy(ring);
    if (copy != NULL) {
        memory_hold();
        char *text = text_of(copy);
        char *former = text_of(ring);
        MEMORY_REQUIRE(strcmp(text, former) == 0);
        free(text);
        free(former);
        memory_go_on();
    }
    ring_free(copy);
    return copy != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status there_and_back(struct ring *ring)
{
    char *text = NULL;
    size_t length = 0;
    struct ring *again = NULL;
    struct reason why;
    enum status status = ring_format(ring, &text, &length);
    if (status == STATUS_OK) {
        status = ring_parse(text, length, &again, &why);
        MEMORY_REQUIRE((status == STATUS_OK) == (again != NULL));
        ring_text_free(text, length);
    }
    ring_free(again);
    return status;
}

static const struct {
    const char *name;
    change_fn *change;
    unsigned calls;
} changes[] = {
    {"rotation", rotate, 3},       {"revocation", drop_key, 3},
    {"import", import, 3},         {"new evidence secret", rotate_evidence, 3},
    {"new domain", add_domain, 1}, {"tidying", tidy_ring, 0},
    {"copy", copy_ring, 10},       {"text and back", there_and_back, 10},
};

/* What is refused leaves the ring as it was. */
static enum memory_run change_ring(void *context)
{
    change_fn *change = *(change_fn *const *)context;
    memory_hold();
    struct ring *ring = make_ring();
    char *former = text_of(ring);
    memory_go_on();
    enum status status = change(ring);
    memory_hold();
    char *now = text_of(ring);
    MEMORY_REQUIRE(status == STATUS_OK || strcmp(now, former) == 0);
    free(now);
    free(former);
    ring_free(ring);
    memory_go_on();
    return told(status);
}

static enum status stored_change(void *context, struct ring *ring, bool *changed,
                                 struct reason *why)
{
    (void)context;
    (void)changed;
    (void)why;
    return rotate(ring);
}

static char *read_text(const char *name, char text[static 16384])
{
    char path[PATH];
    FILE *file = fopen(in_folder(name, path), "r");
    MEMORY_REQUIRE(file != NULL);
    size_t length = fread(text, 1, 16383, file);
    text[length] = '\0';
    fclose(file);
    return text;
}

/* The keyring is the old one or the new one, and nothing lies about. */
static enum memory_run change_file(void *context)
{
    static char former[16384];
    static char now[16384];
    char path[PATH];
    struct reason why = {""};
    (void)context;
    memory_hold();
    struct ring *ring = make_ring();
    struct ring_source *source = ring_source_new(folder);
    unlink(in_folder("keyring", path));
    MEMORY_REQUIRE(ring_commit(source, 0, ring, &why) == STATUS_OK);
    ring_source_free(source);
    ring_free(ring);
    read_text("keyring", former);
    memory_go_on();
    source = ring_source_new(folder);
    enum status status =
        source == NULL ? STATUS_NO_MEMORY : ring_change(source, stored_change, NULL, &why);
    ring_source_free(source);
    memory_hold();
    MEMORY_REQUIRE((strcmp(read_text("keyring", now), former) == 0) == (status != STATUS_OK));
    MEMORY_REQUIRE(access(in_folder("keyring.new", path), F_OK) != 0);
    memory_go_on();
    return told(status);
}

/* --------------------------------------------------------------- configuration */

static const char configuration[] =
    "listen = \"inet:8891@127.0.0.1\";\nlisten_group = \"mail\";\nstate_dir = \"%s\";\n"
    "domains = ( \"example.com\", \"B\xc3\xbc"
    "cher.example\",\n"
    "  { name = \"off.example\"; sign = false; message_id_patterns = [ \"^a\" ]; } );\n"
    "internal_networks = [ \"10.0.0.0/8\", \"file:%s/networks\" ];\n"
    "relays = [ \"192.0.2.1\", \"local\" ];\nown_names = [ \"*.example.com\" ];\nbounce_senders = "
    "[ \"daemon@*\" ];\n"
    "exclude: { hosts = [ \"*.partner.test\" ]; recipients = [ \"file:%s/patterns\" ]; };\n"
    "exclude_sign: { clients = [ \"printer.example.com\", \"10.5.0.0/16\" ];\n"
    "  recipients = [ \"*@lists.test\" ]; };\nkeys: { retain_days = 3; };\n"; /* a warning */

static enum memory_run load_config(void *context)
{
    char path[PATH];
    struct config *config = NULL;
    struct config_messages messages = {0};
    (void)context;
    enum status status = config_load(in_folder("batvd.conf", path), &config, &messages);
    MEMORY_REQUIRE((status == STATUS_OK) == (config != NULL));
    if (config != NULL) {
        MEMORY_REQUIRE(config->settings->domain_count == 3);
        MEMORY_REQUIRE(pattern_list_match(config->settings->exclude_recipients, "abuse@x") != NULL);
    }
    for (size_t i = 0; i < messages.count; i++) {
        free(config_message_format(&messages.items[i]));
    }
    config_messages_free(&messages);
    config_free(config);
    return told(status);
}

static void write_configuration(void)
{
    char text[2048];
    snprintf(text, sizeof text, configuration, folder, folder, folder);
    put_file("batvd.conf", text);
    put_file("networks", "# ours\n192.0.2.0/24\n\n2001:db8::/32\n");
    put_file("patterns", "postmaster@*\nabuse@*\n");
}

/* A keeper over it, a reference to its snapshot, and a look at the keyring. */
static enum memory_run make_keeper(void *context)
{
    char path[PATH];
    struct config *config = NULL;
    struct config_messages messages = {0};
    struct ring_watch *ring = NULL;
    struct reason why = {""};
    (void)context;
    memory_hold();
    MEMORY_REQUIRE(config_load(in_folder("batvd.conf", path), &config, &messages) == STATUS_OK);
    config_messages_free(&messages);
    memory_go_on();
    enum status status = ring_watch_new(config->state_dir, &ring, &why);
    MEMORY_REQUIRE((status == STATUS_OK) == (ring != NULL));
    if (ring == NULL) {
        config_free(config);
        return told(status);
    }
    struct keeper *keeper = keeper_new(config, ring, moment);
    if (keeper != NULL) {
        struct shared_snapshot *snapshot = keeper_newest(keeper);
        MEMORY_REQUIRE(snapshot != NULL);
        shared_snapshot_release(snapshot);
    }
    status = keeper != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    keeper_free(keeper);
    return told(status);
}

/* --------------------------------------------------------------------- journal */

static const char id[] = "one@example.com";

static void remove_journal(void)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm",
                                        "journal.db-journal"};
    char path[PATH];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        unlink(in_folder(names[i], path));
    }
}

/* What the journal knows once there is memory again. */
static enum journal_answer look_again(const struct ring *ring)
{
    struct journal *journal = NULL;
    struct reason why;
    char path[PATH];
    MEMORY_REQUIRE(journal_open(folder, MIB, 30, &journal, &why) == STATUS_OK);
    MEMORY_REQUIRE(!journal_trouble(journal, &why));
    MEMORY_REQUIRE(access(in_folder("journal.damaged", path), F_OK) != 0);
    enum journal_answer answer = journal_look(journal, ring, "alice@example.com", id, moment, NULL);
    journal_close(journal);
    return answer;
}

/* Put, found, written, found, used. An entry may be dropped, which is counted; it is never said of
 * one that is there that it is not. */
static enum memory_run use_journal(void *context)
{
    const struct ring *ring = context;
    struct journal *journal = NULL;
    struct journal_stat stat = {.dropped = 0};
    struct reason why = {""};
    memory_hold();
    remove_journal();
    memory_go_on();
    enum status status = journal_open(folder, MIB, 30, &journal, &why);
    if (status != STATUS_OK) {
        return told(status);
    }
    journal_put(journal, ring, "alice@example.com", id, 3, TODAY + 9);
    enum journal_answer first = journal_look(journal, ring, "alice@example.com", id, moment, NULL);
    journal_work(journal, moment);
    enum journal_answer second = journal_look(journal, ring, "alice@example.com", id, moment, NULL);
    memory_hold();
    bool dropped = journal_stat(journal, &stat, &why) != STATUS_OK || stat.dropped > 0;
    bool in_file = !journal_trouble(journal, &why);
    MEMORY_REQUIRE(first != JOURNAL_NO || dropped);
    MEMORY_REQUIRE(second != JOURNAL_NO || dropped);
    journal_work(journal, moment);
    journal_close(journal);
    MEMORY_REQUIRE(!in_file || dropped || look_again(ring) == JOURNAL_YES);
    memory_go_on();
    return in_file && !dropped && first == JOURNAL_YES && second == JOURNAL_YES ? MEMORY_DONE
                                                                                : MEMORY_REFUSED;
}

/* ---------------------------------------------------------------------- bounces */

static const char bounce_text[] =
    "From: mailer-daemon@other.test\r\nMessage-ID: <b.1@other.test>\r\n"
    "In-Reply-To: <one@example.com> <two@example.com>\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/report; report-type=delivery-status; boundary=\"x\"\r\n\r\n"
    "--x\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\n"
    "TWVzc2FnZS1JRDogPHRocmVlQGV4YW1wbGUuY29tPgpwcnZzPTM3ODVhMWIyYzM9YWxpY2VAZXhhbXBsZS5jb20K\r\n"
    "--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n\r\n"
    "Final-Recipient: rfc822; b@other.test\r\nOriginal-Envelope-Id: <four@example.com>\r\n"
    "--x\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "MH8GCyqGSIb3DQEJEAEJoHAwbgIBADAAMGcGCSqGSIb3DQEHAaBaBFh4nHPOzytJzSvRDaks\r\n"
    "SLVSyC3NKcksSCwq0c/NrEhNsVZIyi/NS0ksqrSt4uLS1QUSvqnFxYnpqbqeLlYKNsWZFQ6p\r\n"
    "FYm5BTmpesn5uXYgJbq6XADy0Bwh\r\n"
    "--x\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "UEsDBBQAAAAIAAAAAAB/ELsrIgAAACAAAAABAAAAYfNNLS5OTE/V9XSxUrApTi1LzXNIrUjM\r\n"
    "LchJ1UvOz7XjAgA=\r\n"
    "--x\r\n\r\nbegin 644 a\r\n"
    "@365S<V%G92U)1#H@/&5I9VAT0&5X86UP;&4N8V]M/@H \r\n"
    "`\r\nend\r\n"
    "--x\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <five@example.com>\r\n"
    "X-Batv-Evidence: v=1; d=20778; n=0011223344556677; s=00112233445566778899aabb\r\n"
    "Return-Path: <prvs=3785a1b2c3=alice@example.com>\r\n"
    "Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\nHello.\r\n--y--\r\n--x--\r\n";

static void print_bounce(const struct bounce *bounce, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "%s %s", bounce_class_name(bounce->class),
                                   bounce->own_id != NULL ? bounce->own_id : "-");
    for (size_t i = 0; i < bounce->id_count; i++) {
        used += (size_t)snprintf(out + used, size - used, " %s", bounce->ids[i].text);
    }
    for (size_t i = 0; i < bounce->tag_count; i++) {
        used += (size_t)snprintf(out + used, size - used, " %s", bounce->tags[i].address);
    }
    for (size_t i = 0; i < bounce->evidence_count; i++) {
        used += (size_t)snprintf(out + used, size - used, " %s", bounce->evidence[i]);
    }
    MEMORY_REQUIRE(used < size);
}

/* All of it, or none. */
static enum memory_run read_bounce(void *context)
{
    char text[4096];
    struct bounce *bounce = NULL;
    struct budget budget = budget_of(sizeof bounce_text);
    enum status status = mime_read_bounce(bounce_text, sizeof bounce_text - 1, &budget, &bounce);
    MEMORY_REQUIRE((status == STATUS_OK) == (bounce != NULL));
    if (bounce != NULL) {
        print_bounce(bounce, text, sizeof text);
        MEMORY_REQUIRE(strcmp(text, context) == 0);
    }
    bounce_free(bounce);
    return told(status);
}

/* ------------------------------------------------------------- status and JSON */

static char status_sample[] = "format 1\n";

/* A report with something of each kind, as a daemon makes it. */
static enum memory_run tell_status(void *context)
{
    struct status_report report = {0};
    struct status_report again = {0};
    struct decision decision = {.kind = DECISION_VERIFY, .result = RESULT_BAD_SIGNATURE};
    struct client client = {.address = "192.0.2.9"};
    struct reason why;
    char *text = NULL;
    size_t length = 0;
    (void)context;
    struct tally *tally = tally_new();
    if (tally == NULL) {
        return MEMORY_REFUSED;
    }
    decision.client = &client;
    tally_decision(tally, &decision);
    struct status_row seen = {.domain = "example.com",
                              .client = "192.0.2.1",
                              .name = "other.test",
                              .count = 3,
                              .last = moment};
    struct status_row hosted = {.name = "hosted.test"};
    struct status_row relay = {.name = "192.0.2.1"};
    const struct status_report former = {
        .relayed = {&seen, 1}, .hosted = {&hosted, 1}, .relays = {&relay, 1}};
    tally_restore(tally, &former);
    struct sample *sample = sample_new();
    struct domain_settings domain = {.name = (char[]){"example.com"}};
    struct returned returned = {.domain = &domain, .address = "alice@example.com", .day = 1};
    bool taken = sample != NULL && sample_take(sample, &returned, moment);
    tally_report(tally, &report);
    if (taken) {
        sample_report(sample, &report);
    }
    enum status status =
        taken && !report.failed ? status_format(&report, &text, &length) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        MEMORY_REQUIRE(length > 0 && strncmp(text, status_sample, 6) == 0);
        status = status_parse(text, length, &again, &why);
    }
    free(text);
    status_report_free(&again);
    status_report_free(&report);
    tally_free(tally);
    sample_free(sample);
    return told(status);
}

/* Whatever was refused, the file is whole: the former one or the new. */
static void look_at_status(size_t least)
{
    struct status_report seen;
    struct reason why;
    char path[PATH];
    MEMORY_REQUIRE(status_file_read(folder, &seen, &why) == STATUS_OK);
    MEMORY_REQUIRE(seen.hosted.count >= least && seen.hosted.count <= 2);
    MEMORY_REQUIRE(strcmp(seen.hosted.rows[0].name, "example.com") == 0);
    MEMORY_REQUIRE(access(in_folder("status.new", path), F_OK) != 0);
    status_report_free(&seen);
}

/* The file, written and read again. */
static enum memory_run keep_status(void *context)
{
    struct status_row hosted[] = {{.name = "example.com"}, {.name = "example.org"}};
    struct status_report report = {.hosted = {hosted, 1}};
    struct status_report again;
    struct reason why;
    (void)context;
    memory_hold();
    MEMORY_REQUIRE(status_file_write(folder, &report, &why) == STATUS_OK);
    memory_go_on();
    report.hosted.count = COUNT_OF(hosted);
    enum status status = status_file_write(folder, &report, &why);
    bool written = status == STATUS_OK;
    if (written) {
        status = status_file_read(folder, &again, &why);
    }
    memory_hold();
    if (status == STATUS_IO) { /* fdopen's failure is the system's word */
        MEMORY_REQUIRE(strstr(why.text, strerror(ENOMEM)) != NULL);
        status = STATUS_NO_MEMORY;
    }
    look_at_status(written ? COUNT_OF(hosted) : 1);
    if (status == STATUS_OK) {
        MEMORY_REQUIRE(again.hosted.count == COUNT_OF(hosted));
        MEMORY_REQUIRE(strcmp(again.hosted.rows[1].name, "example.org") == 0);
        status_report_free(&again);
    }
    memory_go_on();
    return told(status);
}

static enum memory_run name_rule(void *context)
{
    (void)context;
    struct verdict verdict = {.rule = "exclude.networks", .entry = "203.0.113.0/24"};
    char *rule = explain_rule(&verdict);
    MEMORY_REQUIRE(rule == NULL || strcmp(rule, "exclude.networks:203.0.113.0/24") == 0);
    free(rule);
    return rule != NULL ? MEMORY_DONE : MEMORY_REFUSED;
}

/* --------------------------------------------------------------------- the tests */

static void setup(void)
{
    bool quick = access("/dev/shm", W_OK | X_OK) == 0; /* thousands of times to the disk */
    strcpy(folder, quick ? "/dev/shm/batv-memory.XXXXXX" : "/tmp/batv-memory.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    mime_init();
    log_open(LOG_TARGET_STDERR, 0, LOG_EMERG);
}

static void teardown(void)
{
    static const char *const names[] = {"keyring",  "keyring.lock", "batvd.conf",    "networks",
                                        "patterns", "status",       "status.domains"};
    char path[PATH];
    remove_journal();
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        unlink(in_folder(names[i], path));
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

static const struct {
    const char *name;
    memory_scenario *scenario;
    unsigned calls;
} parts[] = {
    {"patterns", make_patterns, 3},  {"networks", make_networks, 3},
    {"hosts", make_hosts, 3},        {"expressions", make_regexes, 6},
    {"domains", make_domains, 3},    {"addresses", settle_addresses, 8},
    {"status", tell_status, 8},      {"status file", keep_status, 8},
    {"a rule's name", name_rule, 1},
};

START_TEST(test_parts)
{
    memory_runs_out(parts[_i].name, parts[_i].scenario, NULL, parts[_i].calls);
}
END_TEST

START_TEST(test_changes_of_a_ring)
{
    change_fn *change = changes[_i].change;
    memory_runs_out(changes[_i].name, change_ring, &change, changes[_i].calls);
}
END_TEST

START_TEST(test_the_keyring_file)
{
    memory_runs_out("keyring", change_file, NULL, 20);
}
END_TEST

START_TEST(test_the_configuration)
{
    write_configuration();
    memory_runs_out("configuration", load_config, NULL, 60);
}
END_TEST

START_TEST(test_the_keeper)
{
    struct reason why;
    struct ring *ring = make_ring();
    struct ring_source *source = ring_source_new(folder);
    write_configuration();
    ck_assert_int_eq(ring_commit(source, 0, ring, &why), STATUS_OK);
    ring_source_free(source);
    ring_free(ring);
    memory_runs_out("keeper", make_keeper, NULL, 20);
}
END_TEST

START_TEST(test_the_journal)
{
    struct ring *ring = make_ring();
    memory_serve_sqlite();
    memory_runs_out("journal", use_journal, ring, 1000);
    ring_free(ring);
}
END_TEST

START_TEST(test_a_bounce)
{
    static char text[4096];
    struct bounce *bounce;
    struct budget budget = budget_of(sizeof bounce_text);
    ck_assert_int_eq(mime_read_bounce(bounce_text, sizeof bounce_text - 1, &budget, &bounce),
                     STATUS_OK);
    print_bounce(bounce, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "five@example.com"));
    ck_assert_ptr_nonnull(strstr(text, "six@example.com"));
    ck_assert_ptr_nonnull(strstr(text, "seven@example.com"));
    ck_assert_ptr_nonnull(strstr(text, "eight@example.com"));
    bounce_free(bounce);
    memory_runs_out("bounce", read_bounce, text, 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory/parts");
    TCase *tcase = tcase_create("parts");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_parts, 0, COUNT_OF(parts));
    tcase_add_loop_test(tcase, test_changes_of_a_ring, 0, COUNT_OF(changes));
    tcase_add_test(tcase, test_the_keyring_file);
    tcase_add_test(tcase, test_the_configuration);
    tcase_add_test(tcase, test_the_keeper);
    tcase_add_test(tcase, test_the_journal);
    tcase_add_test(tcase, test_a_bounce);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
