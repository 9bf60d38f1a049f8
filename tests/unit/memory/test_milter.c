/*
 * Whole messages through the daemon, from libmilter's callbacks on down, while memory runs out at
 * each call in turn: configuration, keys, journal and keeper are real, libmilter is played by this
 * file. Whatever is missing, a message of ours goes out signed and with its header or is asked for
 * again, and what is not forged is not refused.
 */
#include <arpa/inet.h>
#include <check.h>
#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "../core/fixture.h"
#include "base/log.h"
#include "content/evidence_returned.h"
#include "content/mime.h"
#include "dns/oracle_network.h"
#include "memory.h"
#include "milter/adapter.h"
#include "store/ring_file.h"

enum { RECORD = 8192, PATH = 160, FIELDS = 8, RCPTS = 3, MIB = 1024 * 1024 };

/* What the filter has answered and changed, a line each. */
struct smfi_str {
    void *private;
    char record[RECORD];
    size_t used;
    bool refused; /* 5xx, or a recipient taken out without being put back */
    bool deferred;
    char rcpt[300];     /* what the MTA says of one with a route; "" of others */
    char sender[300];   /* after the changes */
    char evidence[512]; /* the header's value */
};

struct message {
    const char *name;
    const char *client;
    char sender[300];
    char rcpts[RCPTS][300];
    struct {
        const char *name;
        char value[700];
    } fields[FIELDS];
    char body[3000];
    const char *journalled; /* a Message-ID that ALICE is known to have sent */
    bool rotated;           /* the keys change while the daemon runs */
    bool data_twice;        /* as libmilter lets a peer say */
    bool forged;            /* may be refused; for want of proof it may be let in as well */
};

#define ALICE "alice@example.com"

static struct smfiDesc filter;
static void (*mta)(void); /* what smfi_main plays */

static char folder[64];
static struct adapter adapter_of_run;
static struct evidence_returned returned;
static struct oracle_set oracles;
static struct smfi_str session;

static const char settings_text[] =
    "listen = \"unix:/nonexistent/milter.sock\";\nstate_dir = \"%s\";\non_error = \"%s\";\n"
    "domains = ( \"example.com\", { name = \"off.example\"; sign = false;\n"
    "              message_id_patterns = [ \"^[0-9]+@off\\\\.example$\" ]; } );\n"
    "internal_networks = [ \"10.0.0.0/8\" ];\nverify: { action = \"reject\"; };\n"
    "exclude: { hosts = [ \"*.partner.test\" ]; networks = [ \"203.0.113.0/24\" ]; };\n";

static const char *in_folder(const char *name, char path[static PATH])
{
    snprintf(path, PATH, "%s/%s", folder, name);
    return path;
}

/* ---------------------------------------------------------------------- libmilter */

static void note(SMFICTX *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(SMFICTX *ctx, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(ctx->record + ctx->used, RECORD - ctx->used, format, arguments);
    va_end(arguments);
    ctx->used += (size_t)length;
    if (ctx->used >= RECORD) {
        memory_wrong("the record is full");
    }
}

int smfi_setconn(char *connection)
{
    (void)connection;
    return MI_SUCCESS;
}

int smfi_register(struct smfiDesc description)
{
    filter = description;
    return MI_SUCCESS;
}

int smfi_main(void)
{
    mta();
    return MI_SUCCESS;
}

void *smfi_getpriv(SMFICTX *ctx)
{
    return ctx->private;
}

int smfi_setpriv(SMFICTX *ctx, void *private)
{
    ctx->private = private;
    return MI_SUCCESS;
}

char *smfi_getsymval(SMFICTX *ctx, char *name)
{
    static char id[] = "4XyZ";
    if (strcmp(name, "{rcpt_addr}") == 0 && ctx->rcpt[0] != '\0') {
        return ctx->rcpt;
    }
    return strcmp(name, "i") == 0 ? id : NULL;
}

int smfi_setreply(SMFICTX *ctx, char *code, char *enhanced, char *text)
{
    note(ctx, "reply %s %s %s\n", code, enhanced, text);
    return MI_SUCCESS;
}

int smfi_chgfrom(SMFICTX *ctx, char *address, char *arguments)
{
    (void)arguments;
    snprintf(ctx->sender, sizeof ctx->sender, "%s", address);
    note(ctx, "sender %s\n", address);
    return MI_SUCCESS;
}

int smfi_delrcpt(SMFICTX *ctx, char *address)
{
    note(ctx, "remove %s\n", address);
    return MI_SUCCESS;
}

int smfi_addrcpt(SMFICTX *ctx, char *address)
{
    note(ctx, "add %s\n", address);
    return MI_SUCCESS;
}

int smfi_addrcpt_par(SMFICTX *ctx, char *address, char *arguments)
{
    note(ctx, "add %s %s\n", address, arguments);
    return MI_SUCCESS;
}

int smfi_chgheader(SMFICTX *ctx, char *name, int index, char *value)
{
    note(ctx, "header %s %d %s\n", name, index, value != NULL ? value : "-");
    return MI_SUCCESS;
}

/* Its value is another each time. */
int smfi_insheader(SMFICTX *ctx, int index, char *name, char *value)
{
    snprintf(ctx->evidence, sizeof ctx->evidence, "%s", value);
    note(ctx, "header %d %s %zu\n", index, name, strlen(value));
    return MI_SUCCESS;
}

int smfi_addheader(SMFICTX *ctx, char *name, char *value)
{
    note(ctx, "append header %s %zu\n", name, strlen(value));
    return MI_SUCCESS;
}

int smfi_quarantine(SMFICTX *ctx, char *reason)
{
    note(ctx, "quarantine %s\n", reason);
    return MI_SUCCESS;
}

/* -------------------------------------------------------------------- a message */

/* True: the message goes on. */
static bool goes_on(SMFICTX *ctx, const char *step, sfsistat status)
{
    note(ctx, "%s %d\n", step, status);
    ctx->refused = ctx->refused || status == SMFIS_REJECT;
    ctx->deferred = ctx->deferred || status == SMFIS_TEMPFAIL;
    return status == SMFIS_CONTINUE || status == SMFIS_NOREPLY || status == SMFIS_SKIP;
}

static bool connect_as(SMFICTX *ctx, const char *client)
{
    unsigned long out[4];
    char name[] = "mx.other.test";
    union {
        struct sockaddr_in in;
        _SOCK_ADDR any;
    } address = {.in = {.sin_family = AF_INET, .sin_port = htons(4711)}};
    inet_pton(AF_INET, client, &address.in.sin_addr);
    return goes_on(ctx, "negotiate",
                   filter.xxfi_negotiate(ctx, 0x1ff, 0x1fffff, 0, 0, &out[0], &out[1], &out[2],
                                         &out[3])) &&
           goes_on(ctx, "connect", filter.xxfi_connect(ctx, name, &address.any));
}

static bool envelope(SMFICTX *ctx, const struct message *m)
{
    char *sender[] = {(char *)(uintptr_t)m->sender, NULL};
    bool taken = false;
    if (!goes_on(ctx, "mail", filter.xxfi_envfrom(ctx, sender))) {
        return false;
    }
    for (size_t i = 0; i < RCPTS && m->rcpts[i][0] != '\0'; i++) {
        char arguments[] = "NOTIFY=NEVER";
        char *rcpt[] = {(char *)(uintptr_t)m->rcpts[i], arguments, NULL};
        const char *colon = strchr(m->rcpts[i], ':');
        snprintf(ctx->rcpt, sizeof ctx->rcpt, "%.*s",
                 colon != NULL ? (int)strcspn(colon + 1, ">") : 0, colon != NULL ? colon + 1 : "");
        taken = goes_on(ctx, "rcpt", filter.xxfi_envrcpt(ctx, rcpt)) || taken;
    }
    return taken;
}

static void content(SMFICTX *ctx, const struct message *m)
{
    for (size_t i = 0; i < FIELDS && m->fields[i].name != NULL; i++) {
        if (!goes_on(ctx, "field",
                     filter.xxfi_header(ctx, (char *)(uintptr_t)m->fields[i].name,
                                        (char *)(uintptr_t)m->fields[i].value))) {
            return;
        }
    }
    filter.xxfi_eoh(ctx);
    sfsistat status = filter.xxfi_body(ctx, (unsigned char *)(uintptr_t)m->body, strlen(m->body));
    if (status == SMFIS_CONTINUE || status == SMFIS_SKIP) {
        goes_on(ctx, "end", filter.xxfi_eom(ctx));
    }
}

static void play(SMFICTX *ctx, const struct message *m)
{
    *ctx = (struct smfi_str){.used = 0};
    snprintf(ctx->sender, sizeof ctx->sender, "%s", m->sender);
    if (connect_as(ctx, m->client) && envelope(ctx, m) &&
        goes_on(ctx, "data", filter.xxfi_data(ctx)) &&
        (!m->data_twice || goes_on(ctx, "data", filter.xxfi_data(ctx)))) {
        content(ctx, m);
    }
    filter.xxfi_abort(ctx);
    filter.xxfi_close(ctx);
}

/* ------------------------------------------------------------------------ a run */

static void open_all(void)
{
    char path[PATH];
    struct config *config;
    struct config_messages messages = {0};
    struct reason why;
    ck_assert_int_eq(config_load(in_folder("batvd.conf", path), &config, &messages), STATUS_OK);
    config_messages_free(&messages);
    ck_assert_int_eq(journal_open(NULL, 0, 0, &adapter_of_run.journal, &why), STATUS_OK);
    struct ring_watch *ring;
    ck_assert_msg(ring_watch_new(config->state_dir, &ring, &why) == STATUS_OK, "%s", why.text);
    adapter_of_run.keeper = keeper_new(config, ring, 0);
    ck_assert_ptr_nonnull(adapter_of_run.keeper);
    adapter_of_run.pool = content_pool_new(64 * MIB, 4);
    adapter_of_run.uses = uses_new(adapter_of_run.journal);
    returned = (struct evidence_returned){adapter_of_run.journal};
    evidence_returned_oracles(&returned, true, &oracles);
    adapter_of_run.oracles = &oracles;
}

static void close_all(void)
{
    uses_free(adapter_of_run.uses);
    content_pool_free(adapter_of_run.pool);
    keeper_free(adapter_of_run.keeper);
    journal_close(adapter_of_run.journal);
}

/* The keyring is that of the file NAME; ring_commit would want the right generation. */
static void use_ring(const char *name)
{
    char from[PATH];
    char to[PATH];
    unlink(in_folder("keyring", to));
    ck_assert_int_eq(link(in_folder(name, from), to), 0);
}

static void put_sent(const char *message_id)
{
    struct shared_snapshot *snapshot = keeper_acquire(adapter_of_run.keeper);
    journal_put(adapter_of_run.journal, shared_snapshot_get(snapshot)->ring, ALICE, message_id, 100,
                day_of(time(NULL)) + 10);
    shared_snapshot_release(snapshot);
}

struct expected {
    const struct message *message;
    char record[RECORD];
    bool open; /* on_error = "accept" */
};

/* Everything as it is when the message comes. */
static void prepare(const struct message *m)
{
    use_ring("former");
    open_all();
    if (m->journalled != NULL) {
        put_sent(m->journalled);
    }
    if (m->rotated) {
        use_ring("next");
    }
}

static enum memory_run deliver(void *context)
{
    const struct expected *expected = context;
    const struct message *m = expected->message;
    memory_hold();
    prepare(m);
    memory_go_on();
    play(&session, m);
    memory_hold();
    close_all();
    memory_go_on();
    if (strcmp(session.record, expected->record) == 0) {
        return MEMORY_DONE;
    }
    if (session.refused && !m->forged) {
        memory_wrong(session.record);
    }
    if (!session.deferred && !m->forged && !expected->open) {
        memory_wrong(session.record);
    }
    return MEMORY_REFUSED;
}

static void run_out(const struct message *m, bool open)
{
    struct expected expected = {.message = m, .open = open};
    prepare(m);
    play(&session, m);
    close_all();
    ck_assert_msg(session.refused == m->forged && !session.deferred, "%s: %s", m->name,
                  session.record);
    memcpy(expected.record, session.record, sizeof expected.record);
    memory_runs_out(m->name, deliver, &expected, 20);
}

/* --------------------------------------------------------------------- the site */

static void write_settings(const char *on_error)
{
    char path[PATH];
    FILE *file = fopen(in_folder("batvd.conf", path), "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, settings_text, folder, on_error);
    fclose(file);
}

static void save_ring(const struct ring *ring, const char *name)
{
    char path[PATH];
    char stored[PATH];
    struct reason why;
    struct ring_source *source = ring_source_new(folder);
    ck_assert_msg(ring_commit(source, 0, ring, &why) == STATUS_OK, "%s", why.text);
    ring_source_free(source);
    ck_assert_int_eq(rename(in_folder("keyring", stored), in_folder(name, path)), 0);
}

static void setup(void)
{
    struct key_policy policy = keys_weekly(LIFETIME);
    uint8_t octets[SECRET_SIZE] = {1, 2, 3};
    bool changed;
    strcpy(folder, "/tmp/batv-memory.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    struct ring *ring = ring_new();
    ring_turn(ring, &policy, time(NULL) - DAY_SECONDS, 1);
    ck_assert_int_eq(ring_rotate_evidence(ring, octets), STATUS_OK);
    ck_assert_int_eq(ring_domain_add(ring, "example.com", time(NULL) - DAY_SECONDS, &changed),
                     STATUS_OK);
    save_ring(ring, "former");
    ring_turn(ring, &policy, time(NULL) - 60, 2);
    save_ring(ring, "next");
    use_ring("former");
    ring_free(ring);
    mime_init();
    log_open(LOG_TARGET_STDERR, 0, LOG_EMERG);
    write_settings("tempfail");
}

static void teardown(void)
{
    static const char *const names[] = {"keyring", "keyring.lock", "former", "next", "batvd.conf"};
    char path[PATH];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        unlink(in_folder(names[i], path));
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

static void play_all(void (*script)(void))
{
    struct reason why;
    mta = script;
    adapter_of_run.network = oracle_network_new(NULL);
    ck_assert_ptr_nonnull(adapter_of_run.network);
    ck_assert_int_eq(adapter_run(&adapter_of_run, -1, &why), STATUS_OK);
    oracle_network_free(adapter_of_run.network);
}

/* A DSN to alice; its body says what comes back. */
static struct message bounce(const char *name)
{
    struct message m = {.name = name, .client = "192.0.2.9", .sender = "<>"};
    strcpy(m.rcpts[0], "<" ALICE ">");
    m.fields[0].name = "Content-Type";
    strcpy(m.fields[0].value, "multipart/report; report-type=delivery-status;\n boundary=\"x\"");
    m.fields[1].name = "Message-ID";
    strcpy(m.fields[1].value, "<bounce.1@other.test>");
    return m;
}

static void set_body(struct message *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void set_body(struct message *m, const char *format, ...)
{
    char returned_header[1500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(returned_header, sizeof returned_header, format, arguments);
    va_end(arguments);
    snprintf(
        m->body, sizeof m->body,
        "--x\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\nIt =C3=BCber failed.\r\n"
        "--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n\r\n"
        "Final-Recipient: rfc822; b@other.test\r\nAction: failed\r\n"
        "--x\r\nContent-Type: message/rfc822\r\n\r\n%sSubject: back\r\n\r\nHello.\r\n--x--\r\n",
        returned_header);
}

/* Signs one, so that its sender and header can come back. */
static struct message submission(const char *sender)
{
    struct message m = {.name = "submission",
                        .client = "10.1.2.3",
                        .rcpts = {"<far@other.test>", "<far@m\xc3\xbcller.test>"}};
    snprintf(m.sender, sizeof m.sender, "<%s>", sender);
    m.fields[0].name = "From";
    strcpy(m.fields[0].value, "=?utf-8?q?Al=C3=ACce?= <ALICE@example.com>, b@off.example");
    m.fields[1].name = "Reply-To";
    strcpy(m.fields[1].value, "group: a@example.com, b@example.com;");
    m.fields[2].name = "Message-ID";
    strcpy(m.fields[2].value, "<sent.1@example.com>");
    m.fields[3].name = "X-Batv-Evidence";
    strcpy(m.fields[3].value, "v=1; d=20778; n=0011223344556677; s=00112233445566778899aabb");
    strcpy(m.body, "Hello.\r\n");
    return m;
}

static struct smfi_str signed_message(const char *ring, const char *sender)
{
    struct message m = submission(sender);
    use_ring(ring);
    open_all();
    play(&session, &m);
    close_all();
    ck_assert_ptr_nonnull(strstr(session.sender, "prvs="));
    ck_assert_ptr_nonnull(strstr(session.evidence, "v=1"));
    return session;
}

/* ---------------------------------------------------------------------- the tests */

static void play_submission(void)
{
    struct message m = submission(ALICE);
    run_out(&m, false);
}

static void play_valid(void)
{
    struct smfi_str sent = signed_message("former", ALICE);
    struct message m = bounce("valid bounce");
    snprintf(m.rcpts[0], sizeof m.rcpts[0], "%s", sent.sender);
    strcpy(m.rcpts[1], "<@relay.test:far@other.test>");
    set_body(&m, "From: x@y\r\n");
    run_out(&m, false);
    m.name = "ordinary mail to a tag";
    strcpy(m.sender, "<friend@other.test>");
    run_out(&m, false);
}

/* A letter beyond ASCII, in two parts and in capitals on its way back. */
static void play_letters(void)
{
    struct message m = submission("\u00fcte@example.com");
    m.name = "submission beyond ASCII";
    run_out(&m, false);
    struct smfi_str sent = signed_message("former", "\u00fcte@example.com");
    m = bounce("valid bounce beyond ASCII");
    snprintf(m.rcpts[0], sizeof m.rcpts[0], "%.*sU\u0308TE@example.com",
             (int)(strchr(sent.sender, '=') + sizeof "KDDDSSSSSS=" - sent.sender), sent.sender);
    set_body(&m, "Return-Path: %s\r\n", sent.sender);
    run_out(&m, false);
}

/* The keyring on disk has the key, the one in force does not. */
static void play_rotated(void)
{
    struct smfi_str sent = signed_message("next", ALICE);
    struct message m = bounce("bounce to a tag by a newer key");
    m.rotated = true;
    snprintf(m.rcpts[0], sizeof m.rcpts[0], "%s", sent.sender);
    set_body(&m, "From: x@y\r\n");
    run_out(&m, false);
}

static void play_forged(void)
{
    struct message m = bounce("forged bounce");
    m.forged = true;
    set_body(&m, "Message-ID: <nobody.1@example.com>\r\n");
    run_out(&m, false);
}

static void play_header(void)
{
    struct smfi_str sent = signed_message("former", ALICE);
    struct message m = bounce("bounce with our header");
    set_body(&m, "X-Batv-Evidence: %s\r\n", sent.evidence);
    run_out(&m, false);
}

static void play_tag(void)
{
    struct smfi_str sent = signed_message("former", ALICE);
    struct message m = bounce("bounce with a tag in its body");
    set_body(&m, "Return-Path: %s\r\n", sent.sender);
    run_out(&m, false);
}

static void play_journal(void)
{
    struct message m = bounce("bounce with a Message-ID of ours");
    m.journalled = "sent.2@example.com";
    set_body(&m, "Message-ID: <sent.2@example.com>\r\n");
    run_out(&m, false);
}

static void play_pattern(void)
{
    struct message m = bounce("bounce with a Message-ID of our form");
    strcpy(m.rcpts[0], "<b@off.example>");
    set_body(&m, "Message-ID: <4711@off.example>\r\n");
    run_out(&m, false);
}

static void play_data_twice(void)
{
    struct message m = bounce("forged bounce, DATA twice");
    m.data_twice = m.forged = true;
    set_body(&m, "Message-ID: <nobody.1@example.com>\r\n");
    run_out(&m, false);
}

/* Then what cannot be done is let pass, as the administrator wants it; but nothing is refused. */
static void play_open(void)
{
    struct smfi_str sent = signed_message("former", ALICE);
    struct message m = bounce("valid bounce, on_error = accept");
    snprintf(m.rcpts[0], sizeof m.rcpts[0], "%s", sent.sender);
    run_out(&m, true);
    m = submission(ALICE);
    m.name = "submission, on_error = accept";
    run_out(&m, true);
}

static const struct {
    const char *on_error;
    void (*script)(void);
} scripts[] = {
    {"tempfail", play_submission}, {"tempfail", play_valid},   {"tempfail", play_forged},
    {"tempfail", play_header},     {"tempfail", play_tag},     {"tempfail", play_journal},
    {"tempfail", play_pattern},    {"tempfail", play_rotated}, {"tempfail", play_data_twice},
    {"tempfail", play_letters},    {"accept", play_open},
};

START_TEST(test_a_message_while_memory_runs_out)
{
    write_settings(scripts[_i].on_error);
    play_all(scripts[_i].script);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory/milter");
    TCase *tcase = tcase_create("messages");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_a_message_while_memory_runs_out, 0, COUNT_OF(scripts));
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
