/*
 * Bounces made to harm: each has to be answered within its budget and a second of CPU (a tenth of
 * it, on a quiet machine), in memory of about twice its size, on less than half of a worker's
 * stack, by several threads at once. What is found in them does not matter, unless a test says so.
 *
 * Each test runs in a process of its own, so that its memory can be measured.
 */
#include <check.h>
#include <malloc.h>
#include <pthread.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "../suite.h"
#include "base/stack.h"
#include "content/mime.h"

enum { MIB = 1024 * 1024, THREADS = 8, PAINT = 0xa5 };

/* Sanitizers take their own time, memory and stack. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
#else
enum { SANITIZED = 0 };
#endif

#define HEADER                                                                                     \
    "From: MAILER-DAEMON@mx.example.net\nMessage-ID: <own@mx.example.net>\nMIME-Version: 1.0\n"
#define PARTS HEADER "Content-Type: multipart/mixed; boundary=b\n\n"

/* ------------------------------------------------------------------- texts */

struct text {
    char *octets;
    size_t length, room;
};

static void add(struct text *text, const char *octets, size_t length)
{
    if (text->room - text->length < length) {
        text->room = 2 * text->room + length;
        text->octets = realloc(text->octets, text->room);
        ck_assert_ptr_nonnull(text->octets);
    }
    memcpy(text->octets + text->length, octets, length);
    text->length += length;
}

static void put(struct text *text, const char *piece)
{
    add(text, piece, strlen(piece));
}

static void fill(struct text *text, const char *piece, size_t octets)
{
    for (size_t end = text->length + octets; text->length < end;) {
        put(text, piece);
    }
}

static void put_octets(struct text *text, char octet, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add(text, &octet, 1);
    }
}

static void put_number(struct text *text, const char *before, size_t number, const char *behind)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%zu", number);
    put(text, before);
    put(text, digits);
    put(text, behind);
}

static void put_chance(struct text *text, size_t count)
{
    uint64_t state = 20261122;
    for (size_t i = 0; i < count; i++) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        char octet = (char)(unsigned char)(state >> 40);
        add(text, &octet, 1);
    }
}

/* ------------------------------------------------------------ what is hostile */

static void nested_parts(struct text *text)
{
    put(text, HEADER);
    for (size_t i = 0; i < 3000; i++) {
        put_number(text, "Content-Type: multipart/mixed; boundary=b", i, "\n\n--b");
        put_number(text, "", i, "\n");
    }
    put(text, "\nMessage-ID: <deep@example.com>\n");
}

static void nested_parts_and_boundaries(struct text *text)
{
    nested_parts(text);
    fill(text, "--b\n", MIB);
}

static void nested_messages(struct text *text)
{
    fill(text, HEADER "Content-Type: message/rfc822\n\n", 3000 * 100);
    put(text, "Message-ID: <deep@example.com>\n");
}

static void nested_boundaries_of_blanks(struct text *text)
{
    char blanks[101] = "";
    put(text, HEADER);
    for (size_t i = 0; i < 100; i++) {
        memset(blanks, ' ', i);
        blanks[i] = '\0';
        put(text, "Content-Type: multipart/mixed; boundary=\"");
        put(text, blanks);
        put(text, "x\"\n\n--");
        put(text, blanks);
        put(text, "x\n");
    }
    memset(blanks, ' ', 100);
    for (size_t i = 0; i < MIB / 103; i++) {
        put(text, "--");
        put(text, blanks);
        put(text, "\n");
    }
}

static void nested_groups(struct text *text)
{
    put(text, "From: ");
    fill(text, "a:", MIB / 4);
    put(text, "\n\n");
}

static void thousands_of_parts(struct text *text)
{
    put(text, PARTS);
    fill(text, "--b\n\n", MIB);
}

static void parts_of_parameters(struct text *text)
{
    put(text, PARTS);
    for (size_t i = 0; i < 1000; i++) {
        put(text, "--b\nContent-Type: text/plain");
        fill(text, ";a=b", 1000);
        put(text, "\n\n");
    }
}

static void parts_of_comments(struct text *text)
{
    put(text, PARTS);
    for (size_t i = 0; i < 1000; i++) {
        put(text, "--b\nContent-Type: ");
        put_octets(text, '(', 1000);
        put(text, "\n\n");
    }
}

static void headers_by_the_thousand(struct text *text)
{
    for (size_t i = 0; i < 20000; i++) {
        put_number(text, "X-", i, ": y\n");
    }
    put(text, HEADER "\nMessage-ID: <deep@example.com>\n");
}

static void own_ids_by_the_thousand(struct text *text)
{
    for (size_t i = 0; i < 20000; i++) {
        put_number(text, "Message-ID: <", i, "@mx.example.net>\n");
    }
    put(text, "\nbody\n");
}

static void inner_headers(struct text *text)
{
    put(text, HEADER "Content-Type: message/rfc822\n\n");
    fill(text, "a:\n", MIB);
}

static void inner_addresses(struct text *text)
{
    put(text, HEADER "Content-Type: message/rfc822\n\nTo: ");
    fill(text, "a,", MIB);
}

static void long_header(struct text *text)
{
    put(text, HEADER "Subject: ");
    put_octets(text, 'x', MIB);
}

static void long_references(struct text *text)
{
    put(text, HEADER "References:");
    fill(text, " <a1@example.com>\n", MIB / 4);
    put(text, " <last@example.com>\n\nbody\n");
}

static void encoded_references(struct text *text)
{
    put(text, HEADER);
    for (size_t i = 0; i < 1000; i++) {
        put(text, "References:");
        fill(text, " =?utf-8?q?=3Ca=40b=3E?=", 1000);
        put(text, "\n");
    }
    put(text, "\nbody\n");
}

static void long_from(struct text *text)
{
    put(text, "From: ");
    put_octets(text, ' ', MIB / 8);
    fill(text, "\"(", MIB / 8);
    put(text, "\n\n");
}

static void ids_by_the_thousand(struct text *text)
{
    put(text, HEADER "\n");
    for (size_t i = 0; i < 100000; i++) {
        put_number(text, "Message-ID: <", i, ".a@example.com>\n");
    }
}

static void unlabelled_ids(struct text *text)
{
    put(text, HEADER "\n");
    for (size_t i = 0; i < 100000; i++) {
        put_number(text, "<2026.", i, "@example.com>\n");
    }
    put(text, "Message-ID: <deep@example.com>\n");
}

static void one_line(struct text *text)
{
    put(text, HEADER "\n");
    put_octets(text, 'x', 3 * MIB);
    put(text, " message-id=<deep@example.com>");
}

static void breaks_in_a_list(struct text *text)
{
    put(text, HEADER "\nReferences:\n ");
    fill(text, "<br>", MIB);
}

static void nuls(struct text *text)
{
    put(text, HEADER "\nMessage-ID: <");
    put_octets(text, '\0', MIB);
    put(text, "deep@example.com>\n");
}

static void nuls_only(struct text *text)
{
    put_octets(text, '\0', MIB);
}

static void random_octets(struct text *text)
{
    put_chance(text, MIB);
}

static void random_body(struct text *text)
{
    put(text, HEADER "\n");
    put_chance(text, MIB);
}

static void base64_of_nothing(struct text *text)
{
    put(text, HEADER "Content-Transfer-Encoding: base64\n\n");
    fill(text, "!!!!\n", MIB);
}

static void base64_of_zeros(struct text *text)
{
    put(text, HEADER "Content-Transfer-Encoding: base64\n\n");
    fill(text, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
         MIB);
}

static void base64_lines_apart(struct text *text)
{
    put(text, HEADER "\n");
    fill(text, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n.\n", MIB);
}

static void wide_of_nothing(struct text *text)
{
    put(text, HEADER "Content-Type: text/plain; charset=utf-32\n\n");
    put_octets(text, (char)0xff, MIB);
}

static void utf7_of_nothing(struct text *text)
{
    put(text, HEADER "Content-Type: text/plain; charset=utf-7\n\n");
    fill(text, "+\xff", MIB);
}

static void folded_headers_of_one(struct text *text)
{
    put(text, "Subject:");
    fill(text, "\n x", MIB);
}

static void blanks_before_labels(struct text *text)
{
    put(text, HEADER "\n");
    put_octets(text, ' ', MIB / 2);
    fill(text, "id ", MIB / 2);
}

static void brackets_of_tags(struct text *text)
{
    put(text, HEADER "\n<td>");
    fill(text, "<b &lt;<td>", MIB);
}

/* A file in an archive that comes to 64 kB of labels. */
static const char bomb[] =
    "\x50\x4b\x03\x04\x14\x00\x08\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x78\xed\xc8\xb1\x09\xc0\x20\x10\x00\xc0"
    "\x3e\x53\xb8\x40\x0a\xdb\x20\x21\xab\x28\x79\x24\x85\xd5\xef\x0f\x0e\x92\xbb\xf2"
    "\x56\x64\xf6\x19\xe7\xf7\x5e\xa5\xf5\xfa\x8c\xfb\x58\x4a\x29\xa5\x94\x52\x4a\x29"
    "\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29"
    "\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29"
    "\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29"
    "\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29"
    "\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29"
    "\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29"
    "\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29"
    "\xa5\x94\x52\x4a\x29\xa5\x94\x52\x4a\x29\xa5\xfe\x57\x1b";

static void archive_of_bombs(struct text *text)
{
    put(text, HEADER "Content-Type: application/zip\n\n");
    for (size_t end = text->length + MIB; text->length < end;) {
        add(text, bomb, sizeof bomb - 1);
    }
}

static void archive_of_nothing(struct text *text)
{
    put(text, HEADER "\nPK\x03\x04");
    put_octets(text, 'P', MIB);
}

static void archives_by_the_thousand(struct text *text)
{
    put(text, PARTS);
    for (size_t i = 0; i < 1000; i++) {
        put(text, "--b\n\n");
        add(text, bomb, sizeof bomb - 1);
        put(text, "\n");
    }
}

static void put_signed(struct text *text)
{
    put(text, "Content-Type: application/pkcs7-mime\n\n"
              "\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\x24\x80");
}

static void signed_pieces(struct text *text)
{
    put(text, HEADER);
    put_signed(text);
    fill(text,
         "\x04\x01\n\x04\x01:\x04\x01"
         "a",
         MIB);
}

static void signed_in_signed(struct text *text)
{
    put(text, HEADER);
    for (size_t i = 0; i < 10000; i++) {
        put_signed(text);
        put(text, "\x04\x84\x7f\xff\xff\xff");
    }
    put(text, "\nMessage-ID: <deep@example.com>\n");
}

static void signed_by_the_thousand(struct text *text)
{
    put(text, PARTS);
    for (size_t i = 0; i < 1000; i++) {
        put(text, "--b\n");
        put_signed(text);
        fill(text, "\x04\x05id: <", 900);
        put(text, "\n");
    }
}

/* The body is one piece again and again. */
static const struct {
    const char *name, *piece;
} repeated[] = {
    {"<", "<"},
    {"&lt;", "&lt;"},
    {"&", "&"},
    {"&#1;", "&#1;"},
    {"&#1; behind evidence", "x-batv-evidence:&#1;"},
    {"comments behind id", "id(((("},
    {"a comment behind id", "id("},
    {"a comment behind label", "message-id: ("},
    {"&#", "&#6"},
    {"backslash", "\\"},
    {"label", "message-id"},
    {"label:", "message-id: "},
    {"label<", "message-id<"},
    {"label: <", "message-id: <"},
    {"label&lt;", "message-id&lt;"},
    {"label@", "message-id@"},
    {"label and break", "message-id:\n "},
    {"label and words", "message-id is was of the value header "},
    {"label and colons", "message-id::::::::::::::::::::::::::::::::::::::"},
    {"label and tags", "message-id<b message-id message-id message-id message-id message-id>"},
    {"quoted label", "> message-id:\n"},
    {"short lines of labels", "message-id message-id message-id message-id\n"},
    {"id", "id: "},
    {"short lines of ids", "id: 1234 id: 1234 id: 1234 id: 1234\n"},
    {"ids without end", "id:1234"},
    {"references", "References: "},
    {"lines of references", "References:\n"},
    {"endless references", "References: <a1@b> <a2@b> <a3@b>\n "},
    {"references in bold", "\n<b>References</b>: x"},
    {"endless references in bold", "\n <b>References</b>: <a1@b>"},
    {"many gaps", "References:\n <b> <b> <b> <b> "},
    {"in-reply-to", "\nIn-Reply-To: x x x x x x x x x x x x x x x x x"},
    {"tag", "prvs=1234abcdef="},
    {"quoted tag", "\"prvs=1234abcdef="},
    {"subaddress", "a+prvs=1234abcdef@"},
    {"short subaddress", "=+prvs=1234abcdef@b"},
    {"evidence", "X-Batv-Evidence:"},
    {"evidence cut off", "X-Batv-Evidence: v=1; d=20778; n=0011223344556677; s="},
    {"soft breaks", "=\n"},
    {"encoded brackets", "=3D=3C="},
    {"equals signs", "=  \t "},
    {"CR", "\r"},
    {"LF", "\n"},
    {"blanks", " "},
    {"quotes", "\n>>>>>>>>>>>>"},
    {"dashes", "--"},
    {"colons", ":"},
    {"tags", "<b>"},
    {"breaks", "<br>"},
    {"open tags", "<b "},
    {"comments", "<!-- "},
    {"comments that begin in one another", "<!--<!"},
    {"declarations", "<!"},
    {"unknown tags", "<x y=z>"},
    {"open unknown tags", "<x "},
    {"elements", "<MessageId>"},
    {"open elements", "<MessageId "},
    {"closed elements", "</MessageId>"},
    {"at signs", "@"},
    {"short addresses", "a@b "},
    {"addresses in one another", "a@b@"},
    {"addresses at the beginning of lines", "\n1@b"},
    {"wrapped ones", "20261122.7F3A91C02@\n"},
    {"ones by their look", "20261122.7F3A91C02@mail.example.com "},
    {"marks before them", "=/=/=/=/1@b"},
    {"foreign labels", "\xd0\x98: a@b "},
    {"foreign text", "\xd0\x98"},
    {"wide brackets", "\xef\xbc\x9c"},
    {"wide at signs", "\xef\xbc\xa0"},
    {"of no width", "\xe2\x80\x8b"},
    {"of no width in an address", "a\xe2\x80\x8b@\xe2\x80\x8b"},
    {"beginnings of uuencode", "begin 644 x\n"},
    {"short uuencode", "begin 644 x\n#86)C\n"},
    {"quoted uuencode", "> begin 644 x\n> M\n"},
    {"short lines of base64", "AAAAAAAAAA\n"},
    {"lines of base64 of two lengths", "AAAAAAAAAA\nAAAAAAAAA\n"},
    {"quoted base64", "> > > AAAAAAAAAAAAAAA\n"},
    {"EBCDIC", "\xd4\x85\xa2\xa2\x81\x87\x85\x60\xc9\xc4\x7a\x40\x4c"},
    {"percent", "%"},
    {"at signs in a link", "%40"},
    {"at signs in a link in a link", "%2540"},
    {"brackets in a link", "%3C1%40a%3E"},
    {"plain text", "The quick brown fox jumps over the lazy dog, more or less.\n"},
};

/* -------------------------------------------------------------- measuring */

static struct text text;
static const char *wanted;    /* a Message-ID that has to be found all the same */
static struct bounce *bounce; /* the answer, with measuring over */
static struct budget budget;
static double seconds;

static void start(void)
{
    text = (struct text){.room = 1};
    text.octets = malloc(1);
    ck_assert_ptr_nonnull(text.octets);
    wanted = NULL;
    mime_init();
}

static void stop(void)
{
    free(text.octets);
}

static double limit(void)
{
    const char *multiplier = getenv("CK_TIMEOUT_MULTIPLIER");
    return multiplier != NULL ? atof(multiplier) : 1;
}

static void *read_it(void *unused)
{
    (void)unused;
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    budget = budget_of(text.length);
    enum status status = mime_read_bounce(text.octets, text.length, &budget, &bounce);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    return status == STATUS_OK ? bounce : NULL;
}

/* Reads in a thread with exactly the stack of a worker, which is painted before. Answers how much
 * of it was used. */
static size_t read_on_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    void *answer = NULL;
    unsigned char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    ck_assert_ptr_ne(stack, MAP_FAILED);
    memset(stack, PAINT, STACK_SIZE);
    pthread_attr_init(&attributes);
    ck_assert_int_eq(pthread_attr_setstack(&attributes, stack, STACK_SIZE), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, read_it, NULL), 0);
    pthread_join(thread, &answer);
    pthread_attr_destroy(&attributes);
    ck_assert_ptr_nonnull(answer);
    size_t untouched = 0;
    while (untouched < STACK_SIZE && stack[untouched] == PAINT) {
        untouched++;
    }
    munmap(stack, STACK_SIZE);
    return STACK_SIZE - untouched;
}

static size_t memory_peak(void)
{
    char line[128];
    size_t kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "re");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            kilobytes = strtoul(line + 6, NULL, 10);
        }
    }
    fclose(file);
    return 1024 * kilobytes;
}

/* A first reading, of a small bounce with all that there is: what the libraries need at their first
 * use is not this bounce's. */
static void warm_up(void)
{
    static const char small[] =
        PARTS "--b\nContent-Type: text/plain; charset=utf-7\n"
              "Content-Transfer-Encoding: quoted-printable\n\nx=3D\n--b\n"
              "Content-Transfer-Encoding: base64\nContent-Disposition: inline; filename=x\n\n"
              "eA==\n--b--\n";
    struct bounce *answer = NULL;
    struct budget few = budget_of(sizeof small);
    ck_assert_int_eq(mime_read_bounce(small, sizeof small - 1, &few, &answer), STATUS_OK);
    bounce_free(answer);
}

/* Forgets the peak so far. */
static void reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");
    if (file != NULL) {
        fputs("5", file);
        fclose(file);
    }
}

static void assert_harmless(const char *name)
{
    warm_up();
    reset_peak();
    size_t before = memory_peak();
    size_t stack = read_on_stack();
    size_t memory = memory_peak() - before;
    ck_assert_msg(seconds < limit(), "%s: %.2f s", name, seconds);
    if (!SANITIZED) {
        ck_assert_msg(stack < STACK_SIZE / 2, "%s: %zu octets of stack", name, stack);
        ck_assert_msg(memory < 5 * text.length / 2 + MIB / 2, "%s: %zu octets for %zu", name,
                      memory, text.length);
    }
    ck_assert_msg(!budget_used_up(&budget), "%s: %zu steps for %zu octets", name,
                  budget_spent(&budget), text.length);
    bool found = wanted == NULL;
    for (size_t i = 0; i < bounce->named_count && !found; i++) {
        found = strcmp(bounce->ids[i].text, wanted) == 0;
    }
    ck_assert_msg(found, "%s: %s was not found", name, wanted);
    bounce_free(bounce);
}

#define HOSTILE(what, id)                                                                          \
    START_TEST(what##_##test)                                                                      \
    {                                                                                              \
        what(&text);                                                                               \
        wanted = id;                                                                               \
        assert_harmless(#what);                                                                    \
    }                                                                                              \
    END_TEST

HOSTILE(nested_parts, "deep@example.com")
HOSTILE(nested_parts_and_boundaries, "deep@example.com")
HOSTILE(nested_messages, "deep@example.com")
HOSTILE(nested_boundaries_of_blanks, NULL)
HOSTILE(nested_groups, NULL)
HOSTILE(thousands_of_parts, NULL)
HOSTILE(parts_of_parameters, NULL)
HOSTILE(parts_of_comments, NULL)
HOSTILE(headers_by_the_thousand, "deep@example.com")
HOSTILE(own_ids_by_the_thousand, NULL)
HOSTILE(inner_headers, NULL)
HOSTILE(inner_addresses, NULL)
HOSTILE(long_header, NULL)
HOSTILE(long_references, "last@example.com")
HOSTILE(encoded_references, NULL)
HOSTILE(long_from, NULL)
HOSTILE(ids_by_the_thousand, "0.a@example.com")
HOSTILE(unlabelled_ids, "deep@example.com")
HOSTILE(one_line, "deep@example.com")
HOSTILE(breaks_in_a_list, NULL)
HOSTILE(nuls, "deep@example.com")
HOSTILE(nuls_only, NULL)
HOSTILE(random_octets, NULL)
HOSTILE(random_body, NULL)
HOSTILE(base64_of_nothing, NULL)
HOSTILE(base64_of_zeros, NULL)
HOSTILE(base64_lines_apart, NULL)
HOSTILE(wide_of_nothing, NULL)
HOSTILE(utf7_of_nothing, NULL)
HOSTILE(folded_headers_of_one, NULL)
HOSTILE(blanks_before_labels, NULL)
HOSTILE(brackets_of_tags, NULL)
HOSTILE(archive_of_bombs, NULL)
HOSTILE(archive_of_nothing, NULL)
HOSTILE(archives_by_the_thousand, NULL)
HOSTILE(signed_pieces, NULL)
HOSTILE(signed_in_signed, "deep@example.com")
HOSTILE(signed_by_the_thousand, NULL)

START_TEST(one_piece_again_and_again)
{
    put(&text, HEADER "\n");
    fill(&text, repeated[_i].piece, MIB);
    assert_harmless(repeated[_i].name);
}
END_TEST

START_TEST(the_piece_in_every_encoding)
{
    put(&text, HEADER "Content-Transfer-Encoding: quoted-printable\n"
                      "Content-Type: text/plain; charset=utf-7\n\n");
    fill(&text, repeated[_i].piece, MIB);
    assert_harmless(repeated[_i].name);
}
END_TEST

/* --------------------------------------------------------------- addresses */

static bool count_address(void *context, const char *address)
{
    size_t *count = context;
    ck_assert_ptr_nonnull(address);
    (*count)++;
    return true;
}

static const char *const long_values[] = {"a@b,",   "a,", "a ",   "a:",      ",",   "\"",
                                          "(",      "<",  "<a@b", "\\,",     "a;,", "G:a@b;",
                                          "=?u?q?", "@",  ")",    "\"a\"@b,"};

START_TEST(long_address_field)
{
    size_t count = 0;
    struct timespec from, to;
    fill(&text, long_values[_i], MIB / 4);
    add(&text, "", 1);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    mime_addresses(text.octets, count_address, &count);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    ck_assert_uint_le(count, 64);
    double used = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    ck_assert_msg(used < limit() / 2, "%s: %.2f s", long_values[_i], used);
}
END_TEST

/* ----------------------------------------------------------------- threads */

static void *read_many(void *unused)
{
    (void)unused;
    size_t addresses = 0;
    for (size_t i = 0; i < 50; i++) {
        struct bounce *answer = NULL;
        struct budget own = budget_of(text.length);
        if (mime_read_bounce(text.octets, text.length, &own, &answer) != STATUS_OK ||
            answer->class != BOUNCE_DSN || answer->named_count < 3) {
            bounce_free(answer);
            return NULL;
        }
        bounce_free(answer);
        mime_addresses("A <a@example.com>, G: b@example.com, c@example.com;", count_address,
                       &addresses);
    }
    return addresses == 150 ? &text : NULL;
}

START_TEST(many_threads_at_once)
{
    put(&text, PARTS "--b\nContent-Type: text/plain; charset=utf-16be\n"
                     "Content-Transfer-Encoding: base64\n\n"
                     "AE0AZQBzAHMAYQBnAGUALQBJAEQAOgAgADwAMgBAAHgAPg==\n"
                     "--b\nContent-Type: message/rfc822\nContent-Disposition: attachment; "
                     "filename*=utf-8''x%20y\n\nMessage-ID: <1@x>\n\n"
                     "--b\nContent-Transfer-Encoding: quoted-printable\n\nMessage-ID: =3C3@x=3E\n"
                     "--b--\n");
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], &attributes, read_many, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *answer = NULL;
        pthread_join(threads[i], &answer);
        ck_assert_ptr_nonnull(answer);
    }
    pthread_attr_destroy(&attributes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mime_hostile");
    TCase *hostile = tcase_create("hostile");
    tcase_add_checked_fixture(hostile, start, stop);
    tcase_set_timeout(hostile, 30);
    tcase_add_test(hostile, nested_parts_test);
    tcase_add_test(hostile, nested_parts_and_boundaries_test);
    tcase_add_test(hostile, nested_messages_test);
    tcase_add_test(hostile, nested_boundaries_of_blanks_test);
    tcase_add_test(hostile, nested_groups_test);
    tcase_add_test(hostile, thousands_of_parts_test);
    tcase_add_test(hostile, parts_of_parameters_test);
    tcase_add_test(hostile, parts_of_comments_test);
    tcase_add_test(hostile, headers_by_the_thousand_test);
    tcase_add_test(hostile, own_ids_by_the_thousand_test);
    tcase_add_test(hostile, inner_headers_test);
    tcase_add_test(hostile, inner_addresses_test);
    tcase_add_test(hostile, long_header_test);
    tcase_add_test(hostile, long_references_test);
    tcase_add_test(hostile, encoded_references_test);
    tcase_add_test(hostile, long_from_test);
    tcase_add_test(hostile, ids_by_the_thousand_test);
    tcase_add_test(hostile, unlabelled_ids_test);
    tcase_add_test(hostile, one_line_test);
    tcase_add_test(hostile, breaks_in_a_list_test);
    tcase_add_test(hostile, nuls_test);
    tcase_add_test(hostile, nuls_only_test);
    tcase_add_test(hostile, random_octets_test);
    tcase_add_test(hostile, random_body_test);
    tcase_add_test(hostile, base64_of_nothing_test);
    tcase_add_test(hostile, base64_of_zeros_test);
    tcase_add_test(hostile, base64_lines_apart_test);
    tcase_add_test(hostile, wide_of_nothing_test);
    tcase_add_test(hostile, utf7_of_nothing_test);
    tcase_add_test(hostile, folded_headers_of_one_test);
    tcase_add_test(hostile, blanks_before_labels_test);
    tcase_add_test(hostile, brackets_of_tags_test);
    tcase_add_test(hostile, archive_of_bombs_test);
    tcase_add_test(hostile, archive_of_nothing_test);
    tcase_add_test(hostile, archives_by_the_thousand_test);
    tcase_add_test(hostile, signed_pieces_test);
    tcase_add_test(hostile, signed_in_signed_test);
    tcase_add_test(hostile, signed_by_the_thousand_test);
    tcase_add_loop_test(hostile, one_piece_again_and_again, 0,
                        sizeof repeated / sizeof repeated[0]);
    tcase_add_loop_test(hostile, the_piece_in_every_encoding, 0,
                        sizeof repeated / sizeof repeated[0]);
    tcase_add_loop_test(hostile, long_address_field, 0, sizeof long_values / sizeof long_values[0]);
    suite_add_tcase(suite, hostile);

    TCase *threads = tcase_create("threads");
    tcase_add_checked_fixture(threads, start, stop);
    tcase_set_timeout(threads, 30);
    tcase_add_test(threads, many_threads_at_once);
    suite_add_tcase(suite, threads);
    return suite_run(suite);
}
