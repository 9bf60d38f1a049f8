/*
 * The content of a bounce as it is collected: the same by fields and pieces as whole, up to its
 * bounds and no further, and within the memory that all collections share, which comes back.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../suite.h"
#include "base/stack.h"
#include "batv/mac.h"
#include "content/content.h"
#include "content/mime.h"

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
    MAX_BODY = MIB,
    PARSERS = 4,
    HEADERS_MAX = 256 * KIB, /* of all fields together */
    FIELDS_MAX = 1000,
    LOOKUPS = 4000
};

#define ORIGINAL "original.1@example.com"

static const struct ip nobody;
static struct content_pool *pool;
static char lines[64 * KIB]; /* nothing but line ends; only read after setup */

static void setup(void)
{
    mime_init();
    memset(lines, '\n', sizeof lines);
    pool = content_pool_new(64 * MIB, PARSERS);
    ck_assert_ptr_nonnull(pool);
}

static void teardown(void)
{
    content_pool_free(pool);
}

static struct content *begin(void)
{
    struct content *content = content_new(pool, MAX_BODY, &nobody);
    ck_assert_ptr_nonnull(content);
    return content;
}

static const struct bounce *read_of(struct content *content)
{
    const struct bounce *bounce = NULL;
    ck_assert_int_eq(content_read(content, &bounce), CONTENT_READ);
    ck_assert_ptr_nonnull(bounce);
    return bounce;
}

static bool names(const struct bounce *bounce, const char *id)
{
    for (size_t i = 0; i < bounce->id_count; i++) {
        if (strcmp(bounce->ids[i].text, id) == 0) {
            return true;
        }
    }
    return false;
}

static bool body_text(struct content *content, const char *text)
{
    return content_body(content, text, strlen(text));
}

/* ------------------------------------------------------------- collecting */

static const char *const fields[][2] = {
    {"From", "Mail Delivery System <MAILER-DAEMON@other.test>"},
    {"Subject", "Undelivered Mail\n\tReturned to Sender"},
    {"Message-ID", "<own@other.test>"},
    {"MIME-Version", "1.0"},
    {"Content-Type", "multipart/report; report-type=delivery-status;\n boundary=\"b\""},
};

static const char body[] = "--b\r\n"
                           "Content-Type: text/plain\r\n"
                           "\r\n"
                           "It could not be delivered.\r\n"
                           "--b\r\n"
                           "Content-Type: message/delivery-status\r\n"
                           "\r\n"
                           "Reporting-MTA: dns; mx.other.test\r\n"
                           "\r\n"
                           "Final-Recipient: rfc822; bob@other.test\r\n"
                           "--b\r\n"
                           "Content-Type: message/rfc822\r\n"
                           "\r\n"
                           "Message-ID: <" ORIGINAL ">\r\n"
                           "X-Batv-Evidence: v=1; d=20779; n=0123456789abcdef;\r\n"
                           "\ts=f18ba6be7f26842fd26fc43b\r\n"
                           "\r\n"
                           "Hello.\r\n"
                           "--b--\r\n";

static void give_fields(struct content *content)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        content_header(content, fields[i][0], fields[i][1]);
    }
}

static void check_report(const struct bounce *bounce)
{
    ck_assert_int_eq(bounce->class, BOUNCE_DSN);
    ck_assert_str_eq(bounce->own_id, "own@other.test");
    ck_assert(names(bounce, ORIGINAL));
    ck_assert_uint_eq(bounce->evidence_count, 1);
}

START_TEST(test_in_pieces)
{
    static const size_t sizes[] = {1, 2, 7, 64, 100, sizeof body - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct content *content = begin();
        give_fields(content);
        for (size_t at = 0; at < sizeof body - 1; at += sizes[i]) {
            size_t left = sizeof body - 1 - at;
            ck_assert(content_body(content, body + at, left < sizes[i] ? left : sizes[i]));
        }
        check_report(read_of(content));
        content_free(content);
    }
}
END_TEST

START_TEST(test_whole)
{
    char text[sizeof body + 1000];
    size_t used = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s: %s\r\n", fields[i][0],
                                 fields[i][1]);
    }
    used += (size_t)snprintf(text + used, sizeof text - used, "\r\n%s", body);
    struct content *content = begin();
    content_message(content, text, used);
    check_report(read_of(content));
    content_free(content);
}
END_TEST

/* Once: what is found stays where it is. */
START_TEST(test_read_twice)
{
    struct content *content = begin();
    give_fields(content);
    body_text(content, body);
    const struct bounce *bounce = read_of(content);
    ck_assert_ptr_eq(read_of(content), bounce);
    check_report(bounce);
    content_free(content);
}
END_TEST

START_TEST(test_nothing_came)
{
    struct content *content = begin();
    const struct bounce *bounce = read_of(content);
    ck_assert_int_eq(bounce->class, BOUNCE_OTHER);
    ck_assert_ptr_null(bounce->own_id);
    ck_assert_uint_eq(bounce->id_count + bounce->tag_count + bounce->evidence_count, 0);
    content_free(content);

    content = begin();
    content_message(content, "", 0);
    ck_assert_uint_eq(read_of(content)->id_count, 0);
    content_free(content);

    content = begin();
    ck_assert(content_body(content, "", 0));
    ck_assert_uint_eq(read_of(content)->id_count, 0);
    content_free(content);
}
END_TEST

START_TEST(test_no_body)
{
    struct content *content = begin();
    content_header(content, "In-Reply-To", "<" ORIGINAL ">");
    content_header(content, "Auto-Submitted", "auto-replied");
    const struct bounce *bounce = read_of(content);
    ck_assert_int_eq(bounce->class, BOUNCE_AUTOREPLY);
    ck_assert(names(bounce, ORIGINAL));
    content_free(content);
}
END_TEST

/* What stands in the body is no field of the header. */
START_TEST(test_body_begins)
{
    struct content *content = begin();
    content_header(content, "Subject", "x");
    body_text(content, "Auto-Submitted: auto-replied\n");
    body_text(content, "X-Failed-Recipients: bob@other.test\n");
    ck_assert_int_eq(read_of(content)->class, BOUNCE_OTHER);
    content_free(content);
}
END_TEST

START_TEST(test_freed_anywhere)
{
    content_free(NULL);
    content_pool_free(NULL);
    content_free(begin());
    struct content *content = begin();
    give_fields(content);
    content_free(content);
    content = begin();
    give_fields(content);
    body_text(content, body);
    content_free(content);
}
END_TEST

/* ----------------------------------------------------------------- bounds */

/* The thousandth field is read, the next one not. */
START_TEST(test_number_of_fields)
{
    for (int more = 0; more < 2; more++) {
        struct content *content = begin();
        for (int i = 0; i < FIELDS_MAX - 1 + more; i++) {
            content_header(content, "X-Field", "x");
        }
        content_header(content, "In-Reply-To", "<" ORIGINAL ">");
        ck_assert_int_eq(names(read_of(content), ORIGINAL), more == 0);
        content_free(content);
    }
}
END_TEST

static void give_long_field(struct content *content, size_t length)
{
    static const char name[] = "X-Long";
    char *value = malloc(length);
    size_t value_length = length - strlen(name) - strlen(": ") - strlen("\n");
    memset(value, 'x', value_length);
    value[value_length] = '\0';
    content_header(content, name, value);
    free(value);
}

/* Octets of all fields together, as they stand in a message. One that would not fit is passed over,
 * a shorter one behind it is not. */
START_TEST(test_length_of_fields)
{
    static const size_t reply_length = sizeof "In-Reply-To: <" ORIGINAL ">\n" - 1;
    for (size_t more = 0; more < 2; more++) {
        struct content *content = begin();
        give_long_field(content, HEADERS_MAX - reply_length + more);
        content_header(content, "In-Reply-To", "<" ORIGINAL ">");
        ck_assert_int_eq(names(read_of(content), ORIGINAL), more == 0);
        content_free(content);

        content = begin();
        give_long_field(content, 1000);
        give_long_field(content, HEADERS_MAX - 999);
        content_header(content, "In-Reply-To", "<" ORIGINAL ">");
        ck_assert(names(read_of(content), ORIGINAL));
        content_free(content);
    }
}
END_TEST

/* A body up to its bound is kept as it is, octet for octet: the last line is the ID's. */
START_TEST(test_length_of_body)
{
    static const char quoted[] = "\nMessage-ID: <" ORIGINAL ">\n";
    for (size_t step = 1000; step <= 65535; step += 64535) {
        struct content *content = begin();
        size_t length = MAX_BODY - sizeof quoted + 1;
        char *text = malloc(step);
        memset(text, '\n', step);
        content_header(content, "Subject", "x");
        for (size_t at = 0; at < length; at += step) {
            size_t left = length - at;
            ck_assert(content_body(content, text, left < step ? left : step));
        }
        ck_assert(content_body(content, quoted, sizeof quoted - 1));
        ck_assert(names(read_of(content), ORIGINAL));
        ck_assert(content_searched(content));
        ck_assert(!content_reached(content, BOUNCE_LIMIT_BODY));
        free(text);
        content_free(content);
    }
}
END_TEST

static void repeat(struct content *content, const char *line, size_t octets)
{
    for (size_t at = 0; at < octets; at += strlen(line)) {
        body_text(content, line);
    }
}

/* Bounces that are too long: filler stands before `before`, between it and `behind`, and behind.
 * The returned message is found where there is one; if it is not, nobody may conclude anything
 * unless only the content of a returned message that is named was dropped. */
static const struct {
    const char *name;
    const char *filler;
    const char *before, *behind;
    bool found, searched;
} long_bodies[] = {
    {"a report before it", "report report report\r\n", "--b\r\nContent-Type: text/plain\r\n\r\n",
     "--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <" ORIGINAL ">\r\n\r\n", true, false},
    {"its text behind it", "text text text text\r\n", "--b\r\n\r\nreport\r\n",
     "--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <other@example.com>\r\n\r\n", false,
     false},
    {"encoded, behind a picture", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\r\n",
     "--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n",
     "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
     "TWVzc2FnZS1JRDogPG9yaWdpbmFsLjFAZXhhbXBsZS5jb20+Cgp4Cg==\r\n",
     true, false},
    {"in the text", "text text text text\r\n", "", "\r\n> Message-ID: <" ORIGINAL ">\r\n", true,
     false},
    {"nowhere", "text text text text\r\n", "", "", false, false},
    {"nothing but fields", "X-A: b\r\n", "", "Message-ID: <" ORIGINAL ">\r\n", false, false},
    {"behind a message", "text text text text\r\n",
     "--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <other@example.com>\r\n\r\n", "",
     false, true},
    {"behind a message without a name", "text text text text\r\n",
     "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n", "", false, false},
    {"behind its attachments", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\r\n",
     "--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <other@example.com>\r\n"
     "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\ntext\r\n--c\r\n"
     "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n",
     "--c\r\nContent-Type: image/png\r\n\r\n", false, true},
};

START_TEST(test_long_bodies)
{
    struct content *content = begin();
    give_fields(content);
    body_text(content, long_bodies[_i].before);
    repeat(content, long_bodies[_i].filler, 2 * MAX_BODY);
    body_text(content, long_bodies[_i].behind);
    repeat(content, long_bodies[_i].filler, MAX_BODY / 2);
    const struct bounce *bounce = read_of(content);
    ck_assert_msg(names(bounce, ORIGINAL) == long_bodies[_i].found, "%s", long_bodies[_i].name);
    ck_assert_msg(content_searched(content) == long_bodies[_i].searched, "%s",
                  long_bodies[_i].name);
    ck_assert(content_reached(content, BOUNCE_LIMIT_BODY));
    content_free(content);
}
END_TEST

/* What can hold nothing of use is not even asked for. */
START_TEST(test_end_of_a_long_body)
{
    struct content *content = begin();
    size_t more = 0;
    while (content_body(content, "Subject: x\r\n", 12)) {
        more++;
    }
    ck_assert_uint_gt(more, MAX_BODY / 12 - 2);
    ck_assert_uint_lt(more, MAX_BODY / 12 + 2);
    ck_assert(!content_body(content, "x", 1));
    content_free(content);

    content = begin();
    char *line = malloc(MAX_BODY);
    memset(line, 'x', MAX_BODY);
    ck_assert(content_body(content, line, MAX_BODY));
    ck_assert(!content_body(content, line, 1));
    read_of(content);
    ck_assert(!content_searched(content));
    free(line);
    content_free(content);
}
END_TEST

START_TEST(test_body_of_its_own_bound)
{
    struct content *content = content_new(pool, 10, &nobody);
    ck_assert(body_text(content, "0123456789"));
    read_of(content);
    ck_assert(content_searched(content));
    content_free(content);

    content = content_new(pool, 10, &nobody);
    ck_assert(!body_text(content, "Message-ID: <" ORIGINAL ">\n"));
    ck_assert(!names(read_of(content), ORIGINAL));
    ck_assert(!content_searched(content));
    content_free(content);
}
END_TEST

/* A file has as much to say as the same message by SMTP. */
START_TEST(test_length_of_file)
{
    static const char head[] = "\nFrom x\nSubject: x\n\n";
    static const char quoted[] = "\nMessage-ID: <" ORIGINAL ">\n";
    size_t most = sizeof head - 1 + MAX_BODY;
    char *text = malloc(most + 10);
    for (size_t more = 0; more < 10; more++) {
        memset(text, '\n', most + more);
        memcpy(text, head, sizeof head - 1);
        memcpy(text + most + more - (sizeof quoted - 1), quoted, sizeof quoted - 1);
        struct content *content = begin();
        content_message(content, text, most + more);
        ck_assert(names(read_of(content), ORIGINAL));
        ck_assert_int_eq(content_searched(content), more == 0);
        content_free(content);
    }
    free(text);
}
END_TEST

START_TEST(test_look_ups)
{
    struct content *content = begin();
    for (int i = 0; i < LOOKUPS; i++) {
        ck_assert(content_may_look_up(content));
    }
    for (int i = 0; i < 10; i++) {
        ck_assert(!content_may_look_up(content));
    }
    content_free(content);
}
END_TEST

/* ------------------------------------------------------------------ memory */

/* A body of this length, all of it empty lines. */
static bool fill(struct content *content, size_t length)
{
    bool more = true;
    for (size_t at = 0; at < length; at += sizeof lines) {
        size_t left = length - at;
        more = content_body(content, lines, left < sizeof lines ? left : sizeof lines);
    }
    return more;
}

static enum content_state state_of(struct content *content)
{
    const struct bounce *bounce;
    enum content_state state = content_read(content, &bounce);
    ck_assert((state == CONTENT_READ) == (bounce != NULL));
    return state;
}

/* A client of its own network for each number. */
static struct ip network(unsigned number)
{
    struct ip ip;
    char text[40];
    snprintf(text, sizeof text, "2001:db8:0:%x::25", number);
    ck_assert(ip_parse(text, &ip));
    return ip;
}

/* Bounces that need all of a pool of a MiB: as long as they can be had, nothing is missing. */
static void check_pool_is_empty(struct content_pool *small)
{
    enum { LARGE = 3, ALL = LARGE + 4 };
    struct content *contents[ALL];
    for (unsigned i = 0; i < ALL; i++) {
        struct ip ip = network(i);
        contents[i] = content_new(small, MAX_BODY, &ip);
        ck_assert(fill(contents[i], i < LARGE ? 240 * KIB : 60 * KIB));
    }
    for (unsigned i = 0; i < ALL; i++) {
        ck_assert_int_eq(state_of(contents[i]), CONTENT_READ);
        content_free(contents[i]);
    }
}

START_TEST(test_too_large_for_the_pool)
{
    struct content_pool *small = content_pool_new(MIB, PARSERS);
    for (int i = 0; i < 3; i++) {
        check_pool_is_empty(small);
        struct content *content = content_new(small, 4 * MIB, &nobody);
        give_fields(content);
        ck_assert(!fill(content, 3 * MIB));
        ck_assert(!body_text(content, body));
        ck_assert_int_eq(state_of(content), CONTENT_OVERLOADED);
        ck_assert_int_eq(state_of(content), CONTENT_OVERLOADED);
        check_pool_is_empty(small); /* what it had it has given back already */
        content_free(content);
        check_pool_is_empty(small);
    }
    content_pool_free(small);
}
END_TEST

/* One that has all there is leaves nothing to others; these stay without even when it is gone,
 * since they lack what came meanwhile. */
START_TEST(test_many_at_once)
{
    struct content_pool *small = content_pool_new(MIB, PARSERS);
    struct content *first = content_new(small, 2 * MIB, &nobody);
    struct content *second = content_new(small, 2 * MIB, &nobody);
    struct content *late = content_new(small, 2 * MIB, &nobody);
    ck_assert(fill(first, 240 * KIB));
    content_header(second, "In-Reply-To", "<" ORIGINAL ">");
    ck_assert(!body_text(second, body));
    content_free(first);
    ck_assert(!body_text(second, body));
    ck_assert_int_eq(state_of(second), CONTENT_OVERLOADED);
    content_header(late, "In-Reply-To", "<" ORIGINAL ">");
    ck_assert(body_text(late, body));
    ck_assert_int_eq(state_of(late), CONTENT_READ);
    content_free(second);
    content_free(late);
    check_pool_is_empty(small);
    content_pool_free(small);
}
END_TEST

/* A network has a quarter, whatever it sends: another's bounce is read meanwhile. */
START_TEST(test_share_of_a_network)
{
    struct content_pool *small = content_pool_new(4 * MIB, PARSERS);
    struct content *held[64];
    unsigned full = 0;
    for (unsigned i = 0; i < 64; i++) {
        struct ip ip = network(7);
        ip.octets[15] = (uint8_t)i; /* a host of it */
        held[i] = content_new(small, MAX_BODY, &ip);
        full += fill(held[i], 200 * KIB);
    }
    ck_assert_uint_eq(full, 4);
    struct ip other = network(8);
    struct content *large = content_new(small, MAX_BODY, &other);
    ck_assert(fill(large, 600 * KIB));
    ck_assert_int_eq(state_of(large), CONTENT_READ);
    content_free(large);
    for (unsigned i = 0; i < 64; i++) {
        content_free(held[i]);
    }
    check_pool_is_empty(small);
    content_pool_free(small);
}
END_TEST

/* However many networks send large ones, a quarter is left to small ones, which may have more. */
START_TEST(test_room_for_small_ones)
{
    enum { LARGE = 12, SMALL = 16 };
    struct content_pool *small = content_pool_new(4 * MIB, PARSERS);
    struct content *held[LARGE + 1 + SMALL];
    for (unsigned i = 0; i < LARGE + 1 + SMALL; i++) {
        struct ip ip = network(i);
        held[i] = content_new(small, MAX_BODY, &ip);
        bool is_small = i > LARGE;
        ck_assert(fill(held[i], is_small ? 60 * KIB : 200 * KIB) == (i != LARGE));
    }
    for (unsigned i = 0; i < LARGE + 1 + SMALL; i++) {
        ck_assert_int_eq(state_of(held[i]), i == LARGE ? CONTENT_OVERLOADED : CONTENT_READ);
        content_free(held[i]);
    }
    for (unsigned i = 0; i < 60; i++) {
        struct ip ip = network(i);
        held[i % SMALL] = content_new(small, MAX_BODY, &ip);
        ck_assert(fill(held[i % SMALL], 60 * KIB));
        if (i % SMALL == SMALL - 1 || i == 59) {
            for (unsigned k = 0; k <= i % SMALL; k++) {
                content_free(held[k]);
            }
        }
    }
    check_pool_is_empty(small);
    content_pool_free(small);
}
END_TEST

START_TEST(test_no_memory_at_all)
{
    struct content_pool *none = content_pool_new(0, PARSERS);
    struct content *content = content_new(none, MAX_BODY, &nobody);
    content_header(content, "Subject", "x");
    ck_assert(!body_text(content, "x"));
    ck_assert_int_eq(state_of(content), CONTENT_OVERLOADED);
    content_free(content);
    content = content_new(none, MAX_BODY, &nobody);
    ck_assert_int_eq(state_of(content), CONTENT_OVERLOADED);
    content_free(content);
    content_pool_free(none);
}
END_TEST

/* ------------------------------------------------------------------ digests */

static void digest_of(const char *client, const char *const header[][2], const char *text,
                      char out[static DIGEST_HEX])
{
    struct ip ip;
    ck_assert(ip_parse(client, &ip));
    struct content *content = content_new(pool, MAX_BODY, &ip);
    ck_assert_ptr_nonnull(content);
    for (size_t i = 0; header[i][0] != NULL; i++) {
        content_header(content, header[i][0], header[i][1]);
    }
    body_text(content, text);
    ck_assert_ptr_nonnull(content_digest(content));
    snprintf(out, DIGEST_HEX, "%s", content_digest(content));
    content_free(content);
}

static const struct {
    const char *client;
    const char *header[4][2];
    const char *text;
    bool same;
} tries[] = {
    {"192.0.2.200", {{"From", "a"}, {"Message-ID", "<1>"}}, "x", true},
    {"192.0.2.1", {{"Received", "now"}, {"From", "a"}, {"Message-ID", "<1>"}}, "x", true},
    {"192.0.2.1", {{"From", "a"}, {"return-path", "<>"}, {"Message-ID", "<1>"}}, "x", true},
    {"192.0.3.1", {{"From", "a"}, {"Message-ID", "<1>"}}, "x", false},
    {"2001:db8::1", {{"From", "a"}, {"Message-ID", "<1>"}}, "x", false},
    {"192.0.2.1", {{"From", "b"}, {"Message-ID", "<1>"}}, "x", false},
    {"192.0.2.1", {{"Message-ID", "<1>"}, {"From", "a"}}, "x", false},
    {"192.0.2.1", {{"From", "a"}, {"Message-ID", "<1>"}}, "y", false},
    {"192.0.2.1", {{"From", "aMessage-ID"}}, "<1>x", false},
};

/* It stays the same on another way through the same network, and changes with all else. */
START_TEST(test_digest)
{
    static const char *const header[][2] = {{"From", "a"}, {"Message-ID", "<1>"}, {NULL, NULL}};
    char first[DIGEST_HEX];
    char other[DIGEST_HEX];
    digest_of("192.0.2.1", header, "x", first);
    digest_of(tries[_i].client, tries[_i].header, tries[_i].text, other);
    ck_assert_int_eq(strcmp(first, other) == 0, tries[_i].same);
}
END_TEST

START_TEST(test_digest_of_ipv6)
{
    static const char *const header[][2] = {{"From", "a"}, {NULL, NULL}};
    char first[DIGEST_HEX];
    char other[DIGEST_HEX];
    digest_of("2001:db8:1:2::1", header, "x", first);
    digest_of("2001:db8:1:2:ffff::2", header, "x", other);
    ck_assert_str_eq(first, other);
    digest_of("2001:db8:1:3::1", header, "x", other);
    ck_assert_str_ne(first, other);
}
END_TEST

/* ----------------------------------------------------------------- threads */

enum { THREADS = 12, ROUNDS = 25, NETWORKS = 5 };

struct crowd {
    struct content_pool *pool;
    atomic_int read, overloaded;
    atomic_uint begun;
};

static void *work(void *context)
{
    struct crowd *crowd = context;
    for (int i = 0; i < ROUNDS; i++) {
        struct ip ip = network(atomic_fetch_add(&crowd->begun, 1) % NETWORKS);
        struct content *content = content_new(crowd->pool, MAX_BODY, &ip);
        const struct bounce *bounce;
        give_fields(content);
        body_text(content, body);
        fill(content, (size_t)(i % 5) * 40 * KIB);
        switch (content_read(content, &bounce)) {
        case CONTENT_READ:
            atomic_fetch_add(&crowd->read, names(bounce, ORIGINAL));
            break;
        case CONTENT_OVERLOADED:
            atomic_fetch_add(&crowd->overloaded, 1);
            break;
        case CONTENT_FAILED:
            break;
        }
        content_free(content);
    }
    return NULL;
}

static void run_crowd(struct crowd *crowd)
{
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], &attributes, work, crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_attr_destroy(&attributes);
}

/* With room for all each waits for its turn, however few may read at a time. */
START_TEST(test_turns)
{
    struct crowd crowd = {.pool = content_pool_new(64 * MIB, (unsigned)_i)};
    run_crowd(&crowd);
    ck_assert_int_eq(atomic_load(&crowd.read), THREADS * ROUNDS);
    content_pool_free(crowd.pool);
}
END_TEST

/* Hostile ones read one at a time, of 1 MiB each and as slow as can be, leave their turns in time
 * for a genuine one that comes after all of them. */
enum { HOSTILE = 8 };

struct hostile {
    struct content_pool *pool;
    const char *piece;
    double seconds;
};

static void *read_hostile(void *context)
{
    struct hostile *hostile = context;
    struct content *content = content_new(hostile->pool, MAX_BODY, &nobody);
    const struct bounce *bounce;
    struct timespec from, to;
    char text[4096];
    size_t length = 0;
    while (length + strlen(hostile->piece) < sizeof text) {
        length += (size_t)sprintf(text + length, "%s", hostile->piece);
    }
    content_header(content, "From", "MAILER-DAEMON@other.test");
    while (content_body(content, text, length)) {
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    enum content_state state = content_read(content, &bounce);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    hostile->seconds =
        (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    content_free(content);
    return state == CONTENT_READ ? context : NULL;
}

START_TEST(test_hostile_ones_take_no_turn_from_a_genuine_one)
{
    static const char *const pieces[HOSTILE] = {
        "&#1;", "id((((", "x-batv-evidence:&#1;", "<b &lt;<td>",
        "id(",  "&#1;",   "x-batv-evidence:&#1;", "prvs=1234abcdef="};
    struct content_pool *narrow = content_pool_new(64 * MIB, 1);
    struct hostile hostile[HOSTILE];
    pthread_t threads[HOSTILE];
    const char *multiplier = getenv("CK_TIMEOUT_MULTIPLIER");
    double patience = multiplier != NULL ? atof(multiplier) : 1;
    for (int i = 0; i < HOSTILE; i++) {
        hostile[i] = (struct hostile){.pool = narrow, .piece = pieces[i]};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_hostile, &hostile[i]), 0);
    }
    struct content *content = content_new(narrow, MAX_BODY, &nobody);
    const struct bounce *bounce;
    give_fields(content);
    body_text(content, body);
    ck_assert_int_eq(content_read(content, &bounce), CONTENT_READ);
    ck_assert(names(bounce, ORIGINAL) && content_searched(content));
    content_free(content);
    for (int i = 0; i < HOSTILE; i++) {
        void *answer = NULL;
        pthread_join(threads[i], &answer);
        ck_assert_msg(answer != NULL, "%s", hostile[i].piece);
        ck_assert_msg(hostile[i].seconds < patience, "%s: %.2f s", hostile[i].piece,
                      hostile[i].seconds);
    }
    content_pool_free(narrow);
}
END_TEST

/* With less, each is read or put off, and in the end all of the room is free again. */
START_TEST(test_crowd)
{
    struct crowd crowd = {.pool = content_pool_new(MIB, 2)};
    run_crowd(&crowd);
    int read = atomic_load(&crowd.read);
    ck_assert_int_gt(read, 0);
    ck_assert_int_eq(read + atomic_load(&crowd.overloaded), THREADS * ROUNDS);
    check_pool_is_empty(crowd.pool);
    content_pool_free(crowd.pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("content");
    TCase *tcase = tcase_create("content");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_in_pieces);
    tcase_add_test(tcase, test_whole);
    tcase_add_test(tcase, test_read_twice);
    tcase_add_test(tcase, test_nothing_came);
    tcase_add_test(tcase, test_no_body);
    tcase_add_test(tcase, test_body_begins);
    tcase_add_test(tcase, test_freed_anywhere);
    tcase_add_test(tcase, test_number_of_fields);
    tcase_add_test(tcase, test_length_of_fields);
    tcase_add_test(tcase, test_length_of_body);
    tcase_add_loop_test(tcase, test_long_bodies, 0, COUNT_OF(long_bodies));
    tcase_add_test(tcase, test_end_of_a_long_body);
    tcase_add_test(tcase, test_body_of_its_own_bound);
    tcase_add_test(tcase, test_length_of_file);
    tcase_add_loop_test(tcase, test_digest, 0, sizeof tries / sizeof tries[0]);
    tcase_add_test(tcase, test_digest_of_ipv6);
    tcase_add_test(tcase, test_look_ups);
    tcase_add_test(tcase, test_too_large_for_the_pool);
    tcase_add_test(tcase, test_many_at_once);
    tcase_add_test(tcase, test_share_of_a_network);
    tcase_add_test(tcase, test_room_for_small_ones);
    tcase_add_test(tcase, test_no_memory_at_all);
    tcase_add_loop_test(tcase, test_turns, 1, 3);
    tcase_add_test(tcase, test_crowd);
    tcase_add_test(tcase, test_hostile_ones_take_no_turn_from_a_genuine_one);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
