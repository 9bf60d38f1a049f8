/*
 * Log lines: to the letter for each kind of decision, and taken apart again by a reader that knows
 * nothing but the contract's rule for values, whatever octets strangers send.
 */
#include "fixture.h"

#include "batv/decision.h"

static const struct client some_client = {.name = "mx.other.test", .address = "192.0.2.9"};
static const struct client nameless = {.address = "2001:db8::9"};
static const struct client without_address = {.name = "localhost", .local = true};

/* ------------------------------------------------------------- the letter */

static const struct {
    const char *name;
    struct decision decision;
    const char *line;
} lines[] = {
    {"sign",
     {.kind = DECISION_SIGN,
      .queue_id = "4XyZ",
      .sender = "alice@example.com",
      .tagged = "prvs=3785a1b2c3=alice@example.com",
      .key = 3,
      .expires = TODAY + 7,
      .recipients = 1,
      .generation = 12},
     "4XyZ: sign from=<alice@example.com> tagged=<prvs=3785a1b2c3=alice@example.com> key=3 "
     "expires=2026-11-28 ring=12"},
    {"sign, before there is a queue id",
     {.kind = DECISION_SIGN,
      .sender = "alice@example.com",
      .tagged = "alice+prvs=0000a1b2c3@example.com",
      .key = 0,
      .expires = WRAP_DAY,
      .generation = UINT64_MAX},
     "NOQUEUE: sign from=<alice@example.com> tagged=<alice+prvs=0000a1b2c3@example.com> key=0 "
     "expires=2027-07-01 ring=18446744073709551615"},
    {"sign-skip by a list",
     {.kind = DECISION_SIGN_SKIP,
      .queue_id = "4XyZ",
      .sender = "alice@example.com",
      .recipient = "l@lists.example.net",
      .recipients = 1,
      .reason = "exclude_sign.recipients",
      .entry = "*@lists.example.net",
      .generation = 12},
     "4XyZ: sign-skip from=<alice@example.com> "
     "reason=exclude_sign.recipients:*@lists.example.net ring=12"},
    {"sign-skip by one recipient of three",
     {.kind = DECISION_SIGN_SKIP,
      .queue_id = "4XyZ",
      .sender = "alice@example.com",
      .recipient = "l@lists.example.net",
      .recipients = 3,
      .reason = "exclude_sign.recipients",
      .entry = "*@lists.example.net",
      .generation = 12},
     "4XyZ: sign-skip from=<alice@example.com> "
     "reason=exclude_sign.recipients:*@lists.example.net rcpt=<l@lists.example.net> recipients=3 "
     "ring=12"},
    {"message-id",
     {.kind = DECISION_MESSAGE_ID,
      .queue_id = "4XyZ",
      .sender = "alice@example.com",
      .message_id = "c0ffee@example.com",
      .generation = 12},
     "4XyZ: message-id from=<alice@example.com> added=<c0ffee@example.com> ring=12"},
    {"sign-skip without a list",
     {.kind = DECISION_SIGN_SKIP,
      .queue_id = "4XyZ",
      .sender = "",
      .recipients = 2,
      .reason = "null-sender",
      .generation = 12},
     "4XyZ: sign-skip from=<> reason=null-sender ring=12"},
    {"verify, refused",
     {.kind = DECISION_VERIFY,
      .queue_id = "4XyZ",
      .client = &some_client,
      .sender = "",
      .recipient = "alice@example.com",
      .recipients = 1,
      .result = RESULT_MISSING,
      .bounce = true,
      .class = BOUNCE_UNREAD,
      .verdict = {.action = ACTION_REJECT,
                  .would = ACTION_REJECT,
                  .rule = "verify.action",
                  .proof = "none"},
      .generation = 12},
     "4XyZ: verify client=mx.other.test[192.0.2.9] from=<> rcpt=<alice@example.com> "
     "result=missing class=- proof=none action=reject rule=verify.action ring=12"},
    {"verify, held back",
     {.kind = DECISION_VERIFY,
      .queue_id = "4XyZ",
      .client = &nameless,
      .sender = "mailer-daemon@other.test",
      .recipient = "prvs=3785a1b2c3=alice@example.com",
      .result = RESULT_BAD_SIGNATURE,
      .bounce = true,
      .class = BOUNCE_UNREAD,
      .verdict =
          {.action = ACTION_LOG, .would = ACTION_REJECT, .rule = "auto.warm-up", .proof = "none"},
      .generation = 12},
     "4XyZ: verify client=unknown[2001:db8::9] from=<mailer-daemon@other.test> "
     "rcpt=<prvs=3785a1b2c3=alice@example.com> result=bad-signature class=- proof=none action=log "
     "would=reject rule=auto.warm-up ring=12"},
    {"verify, removed from a message that is kept",
     {.kind = DECISION_VERIFY,
      .queue_id = "4XyZ",
      .client = &some_client,
      .sender = "",
      .recipient = "alice@example.com",
      .recipients = 2,
      .result = RESULT_EXPIRED,
      .bounce = true,
      .class = BOUNCE_UNREAD,
      .verdict = {.action = ACTION_REJECT,
                  .would = ACTION_REJECT,
                  .rule = "verify.expired",
                  .proof = "none"},
      .applied = "removed",
      .generation = 12},
     "4XyZ: verify client=mx.other.test[192.0.2.9] from=<> rcpt=<alice@example.com> "
     "result=expired class=- proof=none action=reject applied=removed rule=verify.expired ring=12"},
    {"verify, excluded",
     {.kind = DECISION_VERIFY,
      .queue_id = "4XyZ",
      .client = &some_client,
      .sender = "",
      .recipient = "postmaster@example.com",
      .result = RESULT_MISSING,
      .bounce = true,
      .class = BOUNCE_UNREAD,
      .verdict = {.rule = "exclude.recipients",
                  .entry = "postmaster@*",
                  .proof = "none",
                  .would = ACTION_ACCEPT},
      .generation = 12},
     "4XyZ: verify client=mx.other.test[192.0.2.9] from=<> rcpt=<postmaster@example.com> "
     "result=missing class=- proof=none action=accept rule=exclude.recipients:postmaster@* "
     "ring=12"},
    {"verify, by its class",
     {.kind = DECISION_VERIFY,
      .queue_id = "4XyZ",
      .client = &some_client,
      .sender = "",
      .recipient = "alice@example.com",
      .result = RESULT_MISSING,
      .bounce = true,
      .class = BOUNCE_MDN,
      .verdict =
          {.action = ACTION_LOG, .would = ACTION_LOG, .rule = "verify.class.mdn", .proof = "none"},
      .generation = 12},
     "4XyZ: verify client=mx.other.test[192.0.2.9] from=<> rcpt=<alice@example.com> "
     "result=missing class=mdn proof=none action=log rule=verify.class.mdn ring=12"},
    {"verify, proven",
     {.kind = DECISION_VERIFY,
      .queue_id = "4XyZ",
      .client = &some_client,
      .sender = "",
      .recipient = "alice@example.com",
      .result = RESULT_FOREIGN,
      .bounce = true,
      .class = BOUNCE_AUTOREPLY,
      .verdict = {.action = ACTION_ACCEPT,
                  .would = ACTION_ACCEPT,
                  .rule = "evidence.journal",
                  .proof = "journal"},
      .generation = 12},
     "4XyZ: verify client=mx.other.test[192.0.2.9] from=<> rcpt=<alice@example.com> "
     "result=foreign class=autoreply proof=journal action=accept rule=evidence.journal ring=12"},
    {"verify, proven too often",
     {.kind = DECISION_VERIFY,
      .queue_id = "4XyZ",
      .client = &some_client,
      .sender = "",
      .recipient = "alice@example.com",
      .result = RESULT_MISSING,
      .bounce = true,
      .class = BOUNCE_DSN,
      .verdict = {.action = ACTION_REJECT,
                  .would = ACTION_REJECT,
                  .rule = "verify.action",
                  .proof = "exhausted"},
      .generation = 12},
     "4XyZ: verify client=mx.other.test[192.0.2.9] from=<> rcpt=<alice@example.com> "
     "result=missing class=dsn proof=exhausted action=reject rule=verify.action ring=12"},
    {"verify, valid: no proof was needed",
     {.kind = DECISION_VERIFY,
      .queue_id = "4XyZ",
      .client = &without_address,
      .sender = "",
      .recipient = "prvs=3785a1b2c3=alice@example.com",
      .result = RESULT_VALID,
      .bounce = true,
      .class = BOUNCE_UNREAD,
      .verdict = {.rule = "tag"},
      .generation = 12},
     "4XyZ: verify client=localhost[local] from=<> rcpt=<prvs=3785a1b2c3=alice@example.com> "
     "result=valid action=accept rule=tag ring=12"},
    {"verify, ordinary mail",
     {.kind = DECISION_VERIFY,
      .client = &some_client,
      .sender = "bob@other.test",
      .recipient = "prvs=3785a1b2c3=nobody@example.com",
      .result = RESULT_UNKNOWN_KEY,
      .verdict = {.action = ACTION_TEMPFAIL,
                  .would = ACTION_TEMPFAIL,
                  .rule = "tag-unauthentic",
                  .cause = CAUSE_FORGED_TAG},
      .generation = 0},
     "NOQUEUE: verify client=mx.other.test[192.0.2.9] from=<bob@other.test> "
     "rcpt=<prvs=3785a1b2c3=nobody@example.com> result=unknown-key action=tempfail "
     "rule=tag-unauthentic ring=0"},
    {"relayed unsigned",
     {.kind = DECISION_RELAYED_UNSIGNED,
      .queue_id = "4XyZ",
      .client = &some_client,
      .sender = "app@example.com",
      .recipient = "bob@other.test",
      .generation = 12},
     "4XyZ: relayed-unsigned client=mx.other.test[192.0.2.9] from=<app@example.com> "
     "rcpt=<bob@other.test> ring=12"},

    {"a space is quoted",
     {.kind = DECISION_SIGN_SKIP, .sender = "a b!~@b.test", .reason = "too-long"},
     "NOQUEUE: sign-skip from=\"<a b!~@b.test>\" reason=too-long ring=0"},
    {"quotes and backslashes are escaped",
     {.kind = DECISION_SIGN_SKIP, .sender = "\"a\\\"b\"@b.test", .reason = "too-long"},
     "NOQUEUE: sign-skip from=\"<\\\"a\\\\\\\"b\\\"@b.test>\" reason=too-long ring=0"},
    {"control characters",
     {.kind = DECISION_SIGN_SKIP, .sender = "a\r\nb\t\x01\x1f\x7f", .reason = "too-long"},
     "NOQUEUE: sign-skip from=\"<a\\x0D\\x0Ab\\x09\\x01\\x1F\\x7F>\" reason=too-long ring=0"},
    {"octets beyond ASCII",
     {.kind = DECISION_SIGN_SKIP, .sender = "j\xc3\xbcrgen\xff@b.test", .reason = "too-long"},
     "NOQUEUE: sign-skip from=\"<j\\xC3\\xBCrgen\\xFF@b.test>\" reason=too-long ring=0"},
    {"a queue id that would be another line",
     {.kind = DECISION_SIGN_SKIP,
      .queue_id = "4XyZ\nA:sign",
      .sender = "a@b.test",
      .reason = "too-long"},
     "\"4XyZ\\x0AA:sign\": sign-skip from=<a@b.test> reason=too-long ring=0"},
    {"what looks like another field",
     {.kind = DECISION_SIGN_SKIP, .sender = "a> ring=99", .reason = "too-long"},
     "NOQUEUE: sign-skip from=\"<a> ring=99>\" reason=too-long ring=0"},
    {"the ends of what needs no quotes",
     {.kind = DECISION_SIGN_SKIP, .sender = "!~", .reason = "too-long"},
     "NOQUEUE: sign-skip from=<!~> reason=too-long ring=0"},
    {"a list entry with a space",
     {.kind = DECISION_SIGN_SKIP,
      .sender = "a@b.test",
      .reason = "exclude_sign.senders",
      .entry = "a b@*"},
     "NOQUEUE: sign-skip from=<a@b.test> reason=\"exclude_sign.senders:a b@*\" ring=0"},
};

START_TEST(test_line)
{
    char line[DECISION_LINE];
    size_t length = decision_format(&lines[_i].decision, line, sizeof line);
    ck_assert_msg(strcmp(line, lines[_i].line) == 0, "%s:\n%s\nexpected\n%s", lines[_i].name, line,
                  lines[_i].line);
    ck_assert_uint_eq(length, strlen(line));
}
END_TEST

/* The words for classes; "-" where the content was not looked at. */
START_TEST(test_classes)
{
    static const char *const words[] = {"class=dsn ",    "class=mdn ",       "class=calendar ",
                                        "class=report ", "class=autoreply ", "class=other ",
                                        "class=- "};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        char line[DECISION_LINE];
        struct decision decision = {.kind = DECISION_VERIFY,
                                    .client = &some_client,
                                    .sender = "",
                                    .recipient = "",
                                    .bounce = true,
                                    .class = (enum bounce_class)i,
                                    .verdict = {.rule = "local", .proof = "none"}};
        decision_format(&decision, line, sizeof line);
        ck_assert_msg(strstr(line, words[i]) != NULL, "%s: %s", words[i], line);
        decision.bounce = false;
        decision_format(&decision, line, sizeof line);
        ck_assert_ptr_null(strstr(line, "class="));
    }
}
END_TEST

/* Cut anywhere, the line is whole as far as it goes. */
START_TEST(test_small_buffers)
{
    char line[DECISION_LINE];
    for (size_t size = 1; size <= strlen(lines[_i].line) + 2; size++) {
        memset(line, 'Z', sizeof line);
        size_t length = decision_format(&lines[_i].decision, line, size);
        ck_assert_uint_lt(length, size);
        ck_assert_uint_eq(length, strlen(line));
        ck_assert_int_eq(strncmp(line, lines[_i].line, length), 0);
        ck_assert_int_eq(line[size], 'Z');
    }
}
END_TEST

/* -------------------------------------------------------------- a reader */

struct field {
    char name[40];
    char value[1000];
};

static unsigned hex_value(char c)
{
    REQUIRE((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
    return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* A value in double quotes, from behind the first; returns what follows it. */
static const char *read_quoted(const char *text, char *out)
{
    while (*text != '"') {
        REQUIRE(*text >= 0x20 && *text <= 0x7e);
        if (*text != '\\') {
            *out++ = *text++;
        } else if (text[1] == 'x') {
            *out++ = (char)(unsigned char)(hex_value(text[2]) * 16 + hex_value(text[3]));
            text += 4;
        } else {
            REQUIRE(text[1] == '"' || text[1] == '\\');
            *out++ = text[1];
            text += 2;
        }
    }
    *out = '\0';
    return text + 1;
}

static const char *read_bare(const char *text, char *out)
{
    while (*text != '\0' && *text != ' ') {
        REQUIRE(*text >= 0x21 && *text <= 0x7e && *text != '"' && *text != '\\');
        *out++ = *text++;
    }
    *out = '\0';
    return text;
}

/* " name=value" */
static const char *read_field(const char *text, struct field *field)
{
    REQUIRE(*text == ' ');
    text++;
    size_t length = strcspn(text, "=");
    REQUIRE(length < sizeof field->name);
    memcpy(field->name, text, length);
    field->name[length] = '\0';
    REQUIRE(text[length] == '=');
    text += length + 1;
    return *text == '"' ? read_quoted(text + 1, field->value) : read_bare(text, field->value);
}

/* All of a line's fields after its kind. */
static size_t read_line(const char *line, const char *kind, struct field fields[], size_t most)
{
    char head[80];
    size_t count = 0;
    int length = snprintf(head, sizeof head, "NOQUEUE: %s", kind);
    ck_assert_int_eq(strncmp(line, head, (size_t)length), 0);
    line += length;
    while (*line != '\0') {
        ck_assert_uint_lt(count, most);
        line = read_field(line, &fields[count++]);
    }
    return count;
}

static void expect_field(const struct field *field, const char *name, const char *value)
{
    ck_assert_str_eq(field->name, name);
    ck_assert_msg(strcmp(field->value, value) == 0, "%s: %s, expected %s", name, field->value,
                  value);
}

struct taken {
    struct field fields[16];
    size_t count;
};

static void take_field(void *self, const char *name, const char *value)
{
    struct taken *taken = self;
    REQUIRE(taken->count < COUNT_OF(taken->fields));
    struct field *field = &taken->fields[taken->count++];
    snprintf(field->name, sizeof field->name, "%s", name);
    snprintf(field->value, sizeof field->value, "%s", value);
}

/* The values that a reader gets are those of the line, in its order, without the quotes. */
START_TEST(test_a_reader_gets_the_lines_values)
{
    const struct decision *decision = &lines[_i].decision;
    struct taken taken = {.count = 0};
    decision_read(decision, &(struct decision_reader){take_field, &taken});
    const char *line = strstr(lines[_i].line, ": ") + 2;
    size_t event = strcspn(line, " ");
    ck_assert_uint_eq(strlen(decision_event(decision)), event);
    ck_assert_int_eq(strncmp(line, decision_event(decision), event), 0);
    line += event;
    for (size_t i = 0; i < taken.count; i++) {
        struct field field;
        line = read_field(line, &field);
        expect_field(&taken.fields[i], field.name, field.value);
    }
    ck_assert_str_eq(line, "");
}
END_TEST

START_TEST(test_random_octets_are_read_back)
{
    static const char *const alphabets[] = {NULL, "\"\\ x", "a\\x0F\" =<>", "abc@.", "\n\r\t \x7f"};
    struct chance chance = {6};
    for (int i = 0; i < 20000; i++) {
        const char *alphabet = alphabets[chance_below(&chance, COUNT_OF(alphabets))];
        char texts[4][101];
        char wrapped[4][500];
        for (size_t k = 0; k < COUNT_OF(texts); k++) {
            chance_text(&chance, alphabet, texts[k], chance_below(&chance, 100));
            snprintf(wrapped[k], sizeof wrapped[k], k == 0 ? "%s[::1]" : "<%s>", texts[k]);
        }
        snprintf(wrapped[3], sizeof wrapped[3], "exclude.hosts:%s", texts[3]);
        struct client client = {.name = texts[0], .address = "::1"};
        struct decision decision = {.kind = DECISION_VERIFY,
                                    .client = &client,
                                    .sender = texts[1],
                                    .recipient = texts[2],
                                    .result = RESULT_FOREIGN,
                                    .bounce = true,
                                    .class = BOUNCE_UNREAD,
                                    .verdict = {.would = ACTION_ACCEPT,
                                                .rule = "exclude.hosts",
                                                .entry = texts[3],
                                                .proof = "none"},
                                    .generation = (uint64_t)i};
        char line[DECISION_LINE];
        struct field fields[9];
        char number[20];
        snprintf(number, sizeof number, "%d", i);
        decision_format(&decision, line, sizeof line);
        ck_assert_uint_eq(read_line(line, "verify", fields, COUNT_OF(fields)), 9);
        expect_field(&fields[0], "client", wrapped[0]);
        expect_field(&fields[1], "from", wrapped[1]);
        expect_field(&fields[2], "rcpt", wrapped[2]);
        expect_field(&fields[3], "result", "foreign");
        expect_field(&fields[4], "class", "-");
        expect_field(&fields[5], "proof", "none");
        expect_field(&fields[6], "action", "accept");
        expect_field(&fields[7], "rule", wrapped[3]);
        expect_field(&fields[8], "ring", number);
    }
}
END_TEST

/* Absurdly long values, every octet to be escaped: each is cut, and the line still ends as it
 * should. */
START_TEST(test_the_longest_line)
{
    size_t length = 100000;
    char *text = malloc(length + 1);
    memset(text, 0xff, length);
    text[length] = '\0';
    struct client client = {.name = text, .address = text};
    struct decision decision = {.kind = DECISION_VERIFY,
                                .client = &client,
                                .sender = text,
                                .recipient = text,
                                .recipients = SIZE_MAX,
                                .result = RESULT_BAD_SIGNATURE,
                                .bounce = true,
                                .class = BOUNCE_AUTOREPLY,
                                .verdict = {.action = ACTION_QUARANTINE,
                                            .would = ACTION_TEMPFAIL,
                                            .rule = "exclude_sign.recipients",
                                            .entry = text,
                                            .proof = "tag-in-body"},
                                .applied = "tempfail",
                                .generation = UINT64_MAX};
    char line[DECISION_LINE];
    struct field fields[11];
    size_t used = decision_format(&decision, line, sizeof line);
    ck_assert_uint_lt(used, sizeof line - 1);
    ck_assert_uint_eq(read_line(line, "verify", fields, COUNT_OF(fields)), 11);
    expect_field(&fields[10], "ring", "18446744073709551615");
    /* What SMTP allows is never cut. */
    ck_assert_uint_gt(strlen(fields[1].value), 256 + 2);
    ck_assert_uint_gt(strlen(fields[2].value), 256 + 2);

    decision = (struct decision){.kind = DECISION_SIGN_SKIP,
                                 .sender = text,
                                 .recipient = text,
                                 .recipients = SIZE_MAX,
                                 .reason = "exclude_sign.recipients",
                                 .entry = text,
                                 .generation = UINT64_MAX};
    decision_format(&decision, line, sizeof line);
    ck_assert_uint_eq(read_line(line, "sign-skip", fields, COUNT_OF(fields)), 5);
    expect_field(&fields[4], "ring", "18446744073709551615");

    decision = (struct decision){
        .kind = DECISION_SIGN, .sender = text, .tagged = text, .generation = UINT64_MAX};
    decision_format(&decision, line, sizeof line);
    ck_assert_uint_eq(read_line(line, "sign", fields, COUNT_OF(fields)), 5);
    expect_field(&fields[4], "ring", "18446744073709551615");
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decision");
    TCase *tcase = tcase_create("decision");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_line, 0, (int)COUNT_OF(lines));
    tcase_add_loop_test(tcase, test_small_buffers, 0, (int)COUNT_OF(lines));
    tcase_add_test(tcase, test_classes);
    tcase_add_loop_test(tcase, test_a_reader_gets_the_lines_values, 0, (int)COUNT_OF(lines));
    tcase_add_test(tcase, test_random_octets_are_read_back);
    tcase_add_test(tcase, test_the_longest_line);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
