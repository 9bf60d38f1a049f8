/*
 * Whole messages, as conversations: who connects, what MAIL and RCPT say, and everything that comes
 * of it as text, a line each: what is still wanted, refusals at RCPT, effects in their order, the
 * reply, and the log lines. After the tables, random conversations, of which only what must hold
 * for all is checked.
 *
 * In the tables {WHEN ADDRESS} stands for the address with a tag: {0 a@b} made today, {-1 a@b}
 * yesterday, {bad a@b} with a wrong MAC, {unknown a@b} by a key that nobody has, {next a@b} by a
 * key that only the newer ring has; a + before ADDRESS asks for subaddress syntax.
 */
#include <stdarg.h>

#include "fixture.h"

#include "batv/transaction.h"

/* ---------------------------------------------------------------- the site */

/* In the order of site_domains' entries that the tests change. */
enum { EXAMPLE_COM, EXAMPLE_NET };

static const struct domain site_domains[] = {
    {"example.com", true, TAG_PREFIX, ACTION_AUTO, ACTION_FOLLOW, ACTION_AUTO},
    {"example.net", true, TAG_SUBADDRESS, ACTION_AUTO, ACTION_FOLLOW, ACTION_AUTO},
    {"log.example", true, TAG_PREFIX, ACTION_LOG, ACTION_FOLLOW, ACTION_AUTO},
    {"mark.example", true, TAG_PREFIX, ACTION_MARK, ACTION_FOLLOW, ACTION_AUTO},
    {"quarantine.example", true, TAG_PREFIX, ACTION_QUARANTINE, ACTION_FOLLOW, ACTION_AUTO},
    {"tempfail.example", true, TAG_PREFIX, ACTION_TEMPFAIL, ACTION_FOLLOW, ACTION_AUTO},
    {"reject.example", true, TAG_PREFIX, ACTION_REJECT, ACTION_FOLLOW, ACTION_AUTO},
    {"discard.example", true, TAG_PREFIX, ACTION_DISCARD, ACTION_FOLLOW, ACTION_AUTO},
    {"off.example", false, TAG_PREFIX, ACTION_REJECT, ACTION_FOLLOW, ACTION_AUTO},
    {"late.example", true, TAG_PREFIX, ACTION_REJECT, ACTION_LOG, ACTION_LOG},
    {".sub.example", true, TAG_PREFIX, ACTION_REJECT, ACTION_FOLLOW, ACTION_AUTO},
    {"xn--bcher-kva.example", true, TAG_PREFIX, ACTION_REJECT, ACTION_FOLLOW, ACTION_AUTO},
};

enum { NEWER_DAYS = 30 };

/* Keys: 0 is over, 1 retained (its last signing day is six days ago), 2 signs. example.com has
 * signed for a month, example.net since yesterday. */
struct site {
    struct settings *settings;
    struct ring *ring;
    struct ring *newer; /* one rotation further on; its key 3 signs */
    struct ring *all;   /* as ring, and never changed: what tags are made with */
    struct snapshot snapshot;
    enum answer answers[FACT_COUNT];
    bool renews; /* the newer ring is looked at before the end */
};

static time_t now_of_site(void)
{
    return noon_of(TODAY);
}

static struct ring *site_ring(void)
{
    static const int turns[] = {-40, -13, -6};
    struct key_policy policy = keys_weekly(LIFETIME);
    struct ring *ring = ring_new();
    for (unsigned i = 0; i < COUNT_OF(turns); i++) {
        ring_turn(ring, &policy, noon_of(TODAY + turns[i]), i);
    }
    bool changed;
    ring_domain_add(ring, "example.com", noon_of(TODAY - 30), &changed);
    ring_domain_add(ring, "example.net", noon_of(TODAY - 1), &changed);
    ring->generation = 12;
    return ring;
}

static struct site *site_make(void)
{
    struct site *site = calloc(1, sizeof *site);
    struct settings *settings = settings_for(site_domains, COUNT_OF(site_domains));
    settings->internal_networks = NETWORKS("10.0.0.0/8", "127.0.0.0/8", "::1");
    settings->mail_servers = NETWORKS("198.51.100.0/24", "10.0.0.0/8");
    settings->relays = NETWORKS("10.9.9.9");
    settings->exclude_networks = NETWORKS("203.0.113.0/24", "10.9.9.0/24");
    settings->exclude_hosts = HOSTS("*.partner.test");
    settings->exclude_recipients = PATTERNS("postmaster@*", "abuse@*", "SRS0=*@*", "SRS1=*@*");
    settings->exclude_sign_senders = PATTERNS("nosign@*");
    settings->exclude_sign_recipients = PATTERNS("*@lists.test", "*@*.unsigned.test", "one@x.test");
    settings->exclude_sign_networks = NETWORKS("10.5.0.0/16");
    settings->exclude_sign_hosts = HOSTS("printer.example.com");
    site->settings = settings;

    struct key_policy policy = keys_weekly(LIFETIME);
    site->ring = site_ring();
    site->all = ring_copy(site->ring);
    site->newer = ring_copy(site->ring);
    ring_turn(site->newer, &policy, now_of_site() - 60, 77);
    for (size_t i = 0; i < FACT_COUNT; i++) {
        site->answers[i] = ANSWER_NO;
    }
    site->snapshot = (struct snapshot){.settings = settings, .ring = site->ring};
    return site;
}

static void site_free(struct site *site)
{
    settings_free(site->settings);
    ring_free(site->ring);
    ring_free(site->newer);
    ring_free(site->all);
    free(site);
}

static void reject_at_rcpt(struct site *site)
{
    site->settings->reject_at_rcpt = true;
}

static void no_restore(struct site *site)
{
    site->settings->restore = false;
}

static void pause(struct site *site)
{
    site->snapshot.paused = true;
}

static void clock_wrong(struct site *site)
{
    site->snapshot.clock_wrong = true;
}

static void do_not_exclude(struct site *site)
{
    site->settings->exclude_authenticated = false;
    site->settings->exclude_mail_servers = false;
}

static void no_bounce_senders(struct site *site)
{
    pattern_list_free(site->settings->bounce_senders);
    site->settings->bounce_senders = NULL;
}

static void reject_example_net(struct site *site)
{
    site->settings->rules[EXAMPLE_NET].action = ACTION_REJECT;
}

static void revoke(struct site *site, bool compromised)
{
    uint8_t octets[SECRET_SIZE] = {0};
    struct key_policy policy = keys_weekly(LIFETIME);
    ck_assert_int_eq(
        ring_revoke(site->ring, &policy, 1, now_of_site() - 60, compromised, octets, NULL),
        STATUS_OK);
}

static void revoke_key_1(struct site *site)
{
    revoke(site, false);
}

static void compromise_key_1(struct site *site)
{
    revoke(site, true);
}

static void renew(struct site *site)
{
    site->renews = true;
}

static void renew_at_rcpt(struct site *site)
{
    site->renews = true;
    site->settings->reject_at_rcpt = true;
}

static void forged_rejects(struct site *site)
{
    site->settings->rules[EXAMPLE_NET].forged = ACTION_REJECT;
}

static void prove_by_journal(struct site *site)
{
    site->answers[FACT_JOURNAL] = ANSWER_YES;
}

static void journal_is_away(struct site *site)
{
    site->answers[FACT_JOURNAL] = ANSWER_UNAVAILABLE;
}

static void no_keys(struct site *site)
{
    ring_free(site->ring);
    site->ring = ring_new();
    site->snapshot.ring = site->ring;
}

static void no_keys_accept(struct site *site)
{
    no_keys(site);
    site->settings->on_error = ACTION_ACCEPT;
}

static void no_keys_at_rcpt(struct site *site)
{
    no_keys(site);
    site->settings->reject_at_rcpt = true;
}

/* ----------------------------------------------------------------- clients */

enum who {
    OUTSIDE,
    INSIDE,
    LOCAL,
    SENDMAIL_BS,
    RELAY,
    MAIL_SERVER,
    EXCLUDED_NETWORK,
    EXCLUDED_HOST,
    LIST_HOST,
    NO_SIGN_NETWORK,
    NO_SIGN_HOST,
    WHO_COUNT
};

static struct client client_of(enum who who)
{
    static const struct {
        const char *name, *address;
        unsigned port;
    } clients[WHO_COUNT] = {
        [OUTSIDE] = {"mx.other.test", "192.0.2.9", 40001},
        [INSIDE] = {"pc.example.com", "10.1.2.3", 40001},
        [LOCAL] = {"localhost", "127.0.0.1", 0},
        [SENDMAIL_BS] = {"localhost", NULL, 0},
        [RELAY] = {"gateway.partner.test", "10.9.9.9", 40001},
        [MAIL_SERVER] = {"mail.example.com", "198.51.100.5", 40001},
        [EXCLUDED_NETWORK] = {NULL, "203.0.113.7", 40001},
        [EXCLUDED_HOST] = {"mx.partner.test", "192.0.2.77", 40001},
        [LIST_HOST] = {"out.lists.test", "192.0.2.78", 40001},
        [NO_SIGN_NETWORK] = {NULL, "10.5.1.1", 40001},
        [NO_SIGN_HOST] = {"Printer.Example.Com", "10.1.2.4", 40001},
    };
    struct client client = {.name = clients[who].name, .address = clients[who].address};
    bool has_address = client.address != NULL;
    ck_assert(!has_address || ip_parse(client.address, &client.ip));
    client.local = client_is_local(client.name, has_address ? &client.ip : NULL, clients[who].port);
    return client;
}

/* -------------------------------------------------------------------- text */

enum { TEXT = 32768 };

struct text {
    char out[TEXT];
    size_t used;
};

static void text_add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->out + text->used, TEXT - text->used, format, arguments);
    va_end(arguments);
    text->used += (size_t)length;
    ck_assert_uint_lt(text->used, TEXT);
}

static void add_tagged(struct text *text, const struct site *site, const char *when,
                       const char *plain)
{
    enum tag_syntax syntax = *plain == '+' ? TAG_SUBADDRESS : TAG_PREFIX;
    struct address address;
    ck_assert_int_eq(address_parse(plain + (*plain == '+'), &address), STATUS_OK);
    int days = (int)strtol(when, NULL, 10);
    const struct ring *ring = strcmp(when, "next") == 0 ? site->newer : site->all;
    char *tagged = NULL;
    int key;
    int64_t expires;
    ck_assert_int_eq(
        tag_sign(ring, &address, syntax, LIFETIME, noon_of(TODAY + days), &tagged, &key, &expires),
        STATUS_OK);
    char *tag = strstr(tagged, "prvs=") + strlen("prvs=");
    if (strcmp(when, "bad") == 0) {
        tag[9] = tag[9] == '0' ? '1' : '0';
    } else if (strcmp(when, "unknown") == 0) {
        tag[0] = '9';
    }
    text_add(text, "%s", tagged);
    free(tagged);
    address_free(&address);
}

/* Copies from, with every {WHEN ADDRESS} replaced. */
static void expand(struct text *text, const struct site *site, const char *from)
{
    while (*from != '\0') {
        size_t literal = strcspn(from, "{");
        text_add(text, "%.*s", (int)literal, from);
        from += literal;
        if (*from == '{') {
            char when[20];
            char plain[300];
            int length = 0;
            ck_assert_int_eq(sscanf(from, "{%19s %299[^}]}%n", when, plain, &length), 2);
            add_tagged(text, site, when, plain);
            from += length;
        }
    }
}

/* ------------------------------------------------------------ conversations */

struct conversation {
    const char *name;
    enum who who;
    const char *user;
    void (*prepare)(struct site *site);
    const char *sender;
    const char *recipients[6]; /* ESMTP arguments follow behind | */
    const char *expected;
    unsigned marks; /* result headers that the message brings along */
};

static void add_reply(struct text *text, const struct reply *reply)
{
    static const char *const kinds[] = {
        [REPLY_CONTINUE] = "continue", [REPLY_ACCEPT] = "accept",   [REPLY_TEMPFAIL] = "tempfail",
        [REPLY_REJECT] = "reject",     [REPLY_DISCARD] = "discard",
    };
    text_add(text, "%s", kinds[reply->kind]);
    if (reply->code != NULL) {
        text_add(text, " %s %s %s", reply->code, reply->enhanced, reply->text);
    }
    text_add(text, "\n");
}

/* RCPT: "address|NOTIFY=NEVER|ORCPT=..." */
static void give_recipient(struct transaction *t, const struct site *site, const char *raw,
                           struct text *text)
{
    struct text expanded = {.used = 0};
    const char *arguments[8] = {NULL};
    size_t count = 0;
    char *rest = NULL;
    expand(&expanded, site, raw);
    char *address = strtok_r(expanded.out, "|", &rest);
    for (char *word; (word = strtok_r(NULL, "|", &rest)) != NULL;) {
        arguments[count++] = word;
    }
    transaction_rcpt(t, address, count > 0 ? arguments : NULL, now_of_site());
    if (site->renews && site->settings->reject_at_rcpt && transaction_doubtful(t)) {
        transaction_renew(t, site->newer, now_of_site());
    }
    struct reply reply;
    transaction_rcpt_reply(t, now_of_site(), &reply);
    if (reply.kind != REPLY_CONTINUE) {
        text_add(text, "rcpt ");
        add_reply(text, &reply);
    }
}

static void give_headers(struct transaction *t, unsigned marks, struct text *text)
{
    static const char *const wants[] = {"nothing", "headers", "end", "headers, end"};
    text_add(text, "wants %s\n", wants[transaction_wants(t)]);
    if ((transaction_wants(t) & WANT_HEADERS) == 0) {
        return;
    }
    transaction_header(t, "Received");
    for (unsigned i = 0; i < marks; i++) {
        transaction_header(t, i % 2 == 0 ? "X-Batv-Result" : "x-batv-result");
        transaction_header(t, "X-Batv-Results");
        transaction_header(t, "Batv-Result");
    }
}

static void decide(struct transaction *t, const struct site *site)
{
    enum fact need;
    size_t recipient;
    if (site->renews && transaction_doubtful(t)) {
        transaction_renew(t, site->newer, now_of_site());
    }
    while (transaction_end(t, now_of_site(), &need, &recipient) == POLICY_NEEDS) {
        transaction_answer(t, recipient, need, site->answers[need]);
    }
}

static void add_effects(struct text *text, const struct transaction *t)
{
    size_t count = 0;
    const struct effect *effects = transaction_effects(t, &count);
    for (size_t i = 0; i < count; i++) {
        const struct effect *e = &effects[i];
        switch (e->kind) {
        case EFFECT_CHANGE_SENDER:
            text_add(text, "sender %s\n", e->value);
            break;
        case EFFECT_REMOVE_RECIPIENT:
            text_add(text, "remove %s\n", e->value);
            break;
        case EFFECT_ADD_RECIPIENT:
            text_add(text, "add %s%s%s\n", e->value, e->arguments != NULL ? " " : "",
                     e->arguments != NULL ? e->arguments : "");
            break;
        case EFFECT_REMOVE_HEADER:
            text_add(text, "remove header %s %u\n", e->name, e->index);
            break;
        case EFFECT_ADD_HEADER:
            text_add(text, "header %s: %s\n", e->name, e->value);
            break;
        case EFFECT_QUARANTINE:
            text_add(text, "quarantine\n");
            ck_assert_uint_gt(strlen(e->value), 0);
            break;
        }
    }
}

/* Less the queue id, and less the ring where it is the one that the message began with. */
static void add_decisions(struct text *text, const struct transaction *t)
{
    size_t count = 0;
    const struct decision *decisions = transaction_decisions(t, &count);
    for (size_t i = 0; i < count; i++) {
        char line[DECISION_LINE];
        decision_format(&decisions[i], line, sizeof line);
        char *end = strstr(line, " ring=12");
        if (end != NULL) {
            *end = '\0';
        }
        ck_assert_int_eq(strncmp(line, "NOQUEUE: ", 9), 0);
        text_add(text, "%s%s\n", decisions[i].debug ? "debug " : "", line + 9);
    }
}

static struct transaction *hold(const struct conversation *c, const struct site *site,
                                const struct client *client, struct text *text)
{
    struct text sender = {.used = 0};
    struct transaction *t = transaction_new(&site->snapshot, client);
    ck_assert_ptr_nonnull(t);
    expand(&sender, site, c->sender);
    transaction_mail(t, sender.out, c->user);
    for (size_t i = 0; i < COUNT_OF(c->recipients) && c->recipients[i] != NULL; i++) {
        give_recipient(t, site, c->recipients[i], text);
    }
    give_headers(t, c->marks, text);
    decide(t, site);
    add_effects(text, t);
    add_reply(text, transaction_reply(t));
    add_decisions(text, t);
    return t;
}

static void check_conversation(const struct conversation *c)
{
    struct site *site = site_make();
    struct client client = client_of(c->who);
    if (c->prepare != NULL) {
        c->prepare(site);
    }
    static struct text text;
    static struct text expected;
    text = (struct text){.used = 0};
    expected = (struct text){.used = 0};
    expand(&expected, site, c->expected);
    struct transaction *t = hold(c, site, &client, &text);
    ck_assert_msg(strcmp(text.out, expected.out) == 0, "%s:\n%s\nexpected:\n%s", c->name, text.out,
                  expected.out);
    transaction_free(t);
    site_free(site);
}

/* ---------------------------------------------------------------- signing */

#define NOT_OURS(client, from, rcpt)                                                               \
    "debug verify client=" client " from=<" from "> rcpt=<" rcpt                                   \
    "> result=not-ours action=accept rule=not-ours\n"
#define IN    "pc.example.com[10.1.2.3]"
#define OUT   "mx.other.test[192.0.2.9]"
#define ALICE "alice@example.com"
#define BOB   "bob@other.test"
#define L48   "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuv"
#define BUECHER                                                                                    \
    "b\xc3\xbc"                                                                                    \
    "cher.example"
#define BUECHER_QUOTED "b\\xC3\\xBCcher.example"

#define SIGNED(client, from, rcpt)                                                                 \
    "wants end\n"                                                                                  \
    "sender {0 " from "}\n"                                                                        \
    "accept\n" NOT_OURS(client, from, rcpt) "sign from=<" from "> tagged=<{0 " from                \
                                            "}> key=2 expires=2026-11-28\n"
#define SKIPPED(client, from, rcpt, reason)                                                        \
    "wants end\n"                                                                                  \
    "accept\n" NOT_OURS(client, from, rcpt) "sign-skip from=<" from "> reason=" reason "\n"

static const struct conversation signing[] = {
    {"from an internal network",
     INSIDE,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<" BOB ">"},
     SIGNED(IN, ALICE, BOB),
     0},
    {"authenticated, from anywhere",
     OUTSIDE,
     "alice",
     NULL,
     "<" ALICE ">",
     {"<" BOB ">"},
     SIGNED(OUT, ALICE, BOB),
     0},
    {"sendmail(1): without brackets",
     LOCAL,
     NULL,
     NULL,
     ALICE,
     {BOB},
     SIGNED("localhost[127.0.0.1]", ALICE, BOB),
     0},
    {"Sendmail -bs",
     SENDMAIL_BS,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<" BOB ">"},
     SIGNED("localhost[local]", ALICE, BOB),
     0},
    {"authenticated through a relay",
     RELAY,
     "alice",
     NULL,
     "<" ALICE ">",
     {"<" BOB ">"},
     SIGNED("gateway.partner.test[10.9.9.9]", ALICE, BOB),
     0},
    {"subaddress syntax",
     INSIDE,
     NULL,
     NULL,
     "<alice@example.net>",
     {"<" BOB ">"},
     "wants end\n"
     "sender {0 +alice@example.net}\n"
     "accept\n" NOT_OURS(IN, "alice@example.net",
                         BOB) "sign from=<alice@example.net> tagged=<{0 +alice@example.net}> key=2 "
                              "expires=2026-11-28\n",
     0},
    {"a subdomain",
     INSIDE,
     NULL,
     NULL,
     "<Alice@Any.Sub.Example>",
     {"<" BOB ">"},
     SIGNED(IN, "Alice@Any.Sub.Example", BOB),
     0},
    {"quoted as a whole",
     INSIDE,
     NULL,
     NULL,
     "<\"a b\"@example.com>",
     {"<" BOB ">"},
     "wants end\n"
     "sender {0 \"a b\"@example.com}\n"
     "accept\n"
     "debug verify client=" IN " from=\"<\\\"a b\\\"@example.com>\" rcpt=<" BOB
     "> result=not-ours action=accept rule=not-ours\n"
     "sign from=\"<\\\"a b\\\"@example.com>\" "
     "tagged=\"<\\\"prvs=2785d58bcc=a b\\\"@example.com>\" key=2 expires=2026-11-28\n",
     0},
    {"U-labels",
     INSIDE,
     NULL,
     NULL,
     "<alice@" BUECHER ">",
     {"<" BOB ">"},
     "wants end\n"
     "sender {0 alice@" BUECHER "}\n"
     "accept\n"
     "debug verify client=" IN " from=\"<alice@" BUECHER_QUOTED ">\" rcpt=<" BOB
     "> result=not-ours action=accept rule=not-ours\n"
     "sign from=\"<alice@" BUECHER_QUOTED ">\" tagged=\"<prvs=27851ada35=alice@" BUECHER_QUOTED
     ">\" key=2 expires=2026-11-28\n",
     0},
    {"to one of our own, who is named without a tag",
     INSIDE,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<carol@example.com>"},
     "wants end\n"
     "sender {0 " ALICE "}\n"
     "accept\n"
     "debug verify client=" IN " from=<" ALICE "> rcpt=<carol@example.com> result=missing "
     "action=accept rule=ordinary\n"
     "sign from=<" ALICE "> tagged=<{0 " ALICE "}> key=2 expires=2026-11-28\n",
     0},
    {"48 octets",
     INSIDE,
     NULL,
     NULL,
     "<" L48 "@example.com>",
     {"<" BOB ">"},
     SIGNED(IN, L48 "@example.com", BOB),
     0},
    {"49 octets",
     INSIDE,
     NULL,
     NULL,
     "<x" L48 "@example.com>",
     {"<" BOB ">"},
     SKIPPED(IN, "x" L48 "@example.com", BOB, "too-long"),
     0},

    {"another domain",
     INSIDE,
     NULL,
     NULL,
     "<carol@third.test>",
     {"<" BOB ">"},
     "wants nothing\naccept\n" NOT_OURS(IN, "carol@third.test", BOB),
     0},
    {"the domain above a subdomain's",
     INSIDE,
     NULL,
     NULL,
     "<carol@sub.example>",
     {"<" BOB ">"},
     "wants nothing\naccept\n" NOT_OURS(IN, "carol@sub.example", BOB),
     0},
    {"no domain",
     INSIDE,
     NULL,
     NULL,
     "<alice>",
     {"<" BOB ">"},
     "wants nothing\naccept\n" NOT_OURS(IN, "alice", BOB),
     0},
    {"a domain that does not sign",
     INSIDE,
     NULL,
     NULL,
     "<alice@off.example>",
     {"<" BOB ">"},
     "wants nothing\naccept\n" NOT_OURS(IN, "alice@off.example", BOB),
     0},
    {"a null sender",
     INSIDE,
     NULL,
     NULL,
     "<>",
     {"<" BOB ">"},
     "wants nothing\naccept\n" NOT_OURS(IN, "", BOB) "sign-skip from=<> reason=null-sender\n",
     0},
    {"a null sender without brackets",
     LOCAL,
     NULL,
     NULL,
     "",
     {BOB},
     "wants nothing\naccept\n" NOT_OURS("localhost[127.0.0.1]", "",
                                        BOB) "sign-skip from=<> reason=null-sender\n",
     0},
    {"mailer-daemon",
     INSIDE,
     NULL,
     NULL,
     "<MAILER-DAEMON@example.com>",
     {"<" BOB ">"},
     "wants nothing\naccept\n" NOT_OURS(
         IN, "MAILER-DAEMON@example.com",
         BOB) "sign-skip from=<MAILER-DAEMON@example.com> reason=mailer-daemon\n",
     0},
    {"mailer-daemon, no bounce sender by the settings",
     INSIDE,
     NULL,
     no_bounce_senders,
     "<mailer-daemon@example.com>",
     {"<" BOB ">"},
     SKIPPED(IN, "mailer-daemon@example.com", BOB, "mailer-daemon"),
     0},
    {"mailer-daemon with a tag",
     INSIDE,
     NULL,
     NULL,
     "<{0 mailer-daemon@example.com}>",
     {"<" BOB ">"},
     "wants nothing\naccept\n" NOT_OURS(
         IN, "{0 mailer-daemon@example.com}",
         BOB) "sign-skip from=<{0 mailer-daemon@example.com}> reason=mailer-daemon\n",
     0},
    {"outside mail in our name to us",
     OUTSIDE,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<carol@example.com>"},
     "wants nothing\n"
     "accept\n"
     "debug verify client=" OUT " from=<" ALICE "> rcpt=<carol@example.com> result=missing "
     "action=accept rule=ordinary\n"
     "sign-skip from=<" ALICE "> reason=not-a-submission\n",
     0},

    {"tagged today",
     INSIDE,
     NULL,
     NULL,
     "<{0 " ALICE "}>",
     {"<" BOB ">"},
     SKIPPED(IN, "{0 " ALICE "}", BOB, "already-tagged"),
     0},
    {"tagged today, subaddress",
     INSIDE,
     NULL,
     NULL,
     "<{0 +" ALICE "}>",
     {"<" BOB ">"},
     SKIPPED(IN, "{0 +" ALICE "}", BOB, "already-tagged"),
     0},
    {"requeued: tagged yesterday",
     INSIDE,
     NULL,
     NULL,
     "<{-1 " ALICE "}>",
     {"<" BOB ">"},
     "wants end\n"
     "sender {0 " ALICE "}\n"
     "accept\n" NOT_OURS(IN, "{-1 " ALICE "}", BOB) "sign from=<{-1 " ALICE "}> tagged=<{0 " ALICE
                                                    "}> key=2 expires=2026-11-28\n",
     0},
    {"requeued: by a former key, expired",
     INSIDE,
     NULL,
     NULL,
     "<{-10 " ALICE "}>",
     {"<" BOB ">"},
     "wants end\n"
     "sender {0 " ALICE "}\n"
     "accept\n" NOT_OURS(IN, "{-10 " ALICE "}", BOB) "sign from=<{-10 " ALICE "}> tagged=<{0 " ALICE
                                                     "}> key=2 expires=2026-11-28\n",
     0},
    {"requeued: the syntax has changed since",
     INSIDE,
     NULL,
     NULL,
     "<{-1 alice@example.net}>",
     {"<" BOB ">"},
     "wants end\n"
     "sender {0 +alice@example.net}\n"
     "accept\n" NOT_OURS(
         IN, "{-1 alice@example.net}",
         BOB) "sign from=<{-1 alice@example.net}> tagged=<{0 +alice@example.net}> key=2 "
              "expires=2026-11-28\n",
     0},
    {"requeued: now excluded",
     INSIDE,
     NULL,
     NULL,
     "<{-1 nosign@example.com}>",
     {"<" BOB ">"},
     SKIPPED(IN, "{-1 nosign@example.com}", BOB, "exclude_sign.senders:nosign@*"),
     0},
    {"a tag that we did not make",
     INSIDE,
     NULL,
     NULL,
     "<{bad " ALICE "}>",
     {"<" BOB ">"},
     SKIPPED(IN, "{bad " ALICE "}", BOB, "already-tagged"),
     0},
    {"a tag by a key that nobody has",
     INSIDE,
     NULL,
     NULL,
     "<{unknown " ALICE "}>",
     {"<" BOB ">"},
     SKIPPED(IN, "{unknown " ALICE "}", BOB, "already-tagged"),
     0},
    {"Cisco's tag",
     INSIDE,
     NULL,
     NULL,
     "<prvs=785a1b2c3=" ALICE ">",
     {"<" BOB ">"},
     SKIPPED(IN, "prvs=785a1b2c3=" ALICE, BOB, "already-tagged"),
     0},
    {"the old drafts' tag",
     INSIDE,
     NULL,
     NULL,
     "<prvs=alice/3785a1b2c3@example.com>",
     {"<" BOB ">"},
     SKIPPED(IN, "prvs=alice/3785a1b2c3@example.com", BOB, "already-tagged"),
     0},
    {"malformed",
     INSIDE,
     NULL,
     NULL,
     "<prvs=x@example.com>",
     {"<" BOB ">"},
     SKIPPED(IN, "prvs=x@example.com", BOB, "already-tagged"),
     0},
    {"Barracuda's tag",
     INSIDE,
     NULL,
     NULL,
     "<btv1==785a1b2c3d4==" ALICE ">",
     {"<" BOB ">"},
     SKIPPED(IN, "btv1==785a1b2c3d4==" ALICE, BOB, "already-tagged"),
     0},
    {"SparkPost's tag",
     INSIDE,
     NULL,
     NULL,
     "<msprvs1=20785a=" ALICE ">",
     {"<" BOB ">"},
     SKIPPED(IN, "msprvs1=20785a=" ALICE, BOB, "already-tagged"),
     0},
    {"SRS",
     INSIDE,
     NULL,
     NULL,
     "<SRS0=HHH=TT=other.test=bob@example.com>",
     {"<" BOB ">"},
     SKIPPED(IN, "SRS0=HHH=TT=other.test=bob@example.com", BOB, "already-tagged"),
     0},
    {"SRS with +",
     INSIDE,
     NULL,
     NULL,
     "<srs1+HHH=x@example.com>",
     {"<" BOB ">"},
     SKIPPED(IN, "srs1+HHH=x@example.com", BOB, "already-tagged"),
     0},

    {"excluded by sender",
     INSIDE,
     NULL,
     NULL,
     "<NoSign@example.com>",
     {"<" BOB ">"},
     SKIPPED(IN, "NoSign@example.com", BOB, "exclude_sign.senders:nosign@*"),
     0},
    {"excluded by recipient",
     INSIDE,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<Some@Lists.Test>"},
     SKIPPED(IN, ALICE, "Some@Lists.Test", "exclude_sign.recipients:*@lists.test"),
     0},
    {"excluded by one recipient for all",
     INSIDE,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<" BOB ">", "<l@deep.unsigned.test>", "<carol@third.test>"},
     "wants end\n"
     "accept\n" NOT_OURS(IN, ALICE, BOB) NOT_OURS(IN, ALICE, "l@deep.unsigned.test") NOT_OURS(
         IN, ALICE, "carol@third.test") "sign-skip from=<" ALICE
                                        "> reason=exclude_sign.recipients:*@*.unsigned.test "
                                        "rcpt=<l@deep.unsigned.test> "
                                        "recipients=3\n",
     0},
    {"the domain above is not excluded",
     INSIDE,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<l@unsigned.test>"},
     SIGNED(IN, ALICE, "l@unsigned.test"),
     0},
    {"excluded by the client's network",
     NO_SIGN_NETWORK,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<" BOB ">"},
     SKIPPED("unknown[10.5.1.1]", ALICE, BOB, "exclude_sign.clients:10.5.0.0/16"),
     0},
    {"excluded by the client's name",
     NO_SIGN_HOST,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<" BOB ">"},
     SKIPPED("Printer.Example.Com[10.1.2.4]", ALICE, BOB,
             "exclude_sign.clients:printer.example.com"),
     0},
    {"senders come before recipients",
     NO_SIGN_NETWORK,
     NULL,
     NULL,
     "<nosign@example.com>",
     {"<some@lists.test>"},
     SKIPPED("unknown[10.5.1.1]", "nosign@example.com", "some@lists.test",
             "exclude_sign.senders:nosign@*"),
     0},
    {"recipients come before clients",
     NO_SIGN_NETWORK,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<some@lists.test>"},
     SKIPPED("unknown[10.5.1.1]", ALICE, "some@lists.test", "exclude_sign.recipients:*@lists.test"),
     0},
    {"pausing verification does not pause signing",
     INSIDE,
     NULL,
     pause,
     "<" ALICE ">",
     {"<" BOB ">"},
     SIGNED(IN, ALICE, BOB),
     0},
};

START_TEST(test_signing)
{
    check_conversation(&signing[_i]);
}
END_TEST

/* -------------------------------------------------------- relayed unsigned */

#define NO_SUBMISSION(from) "sign-skip from=<" from "> reason=not-a-submission\n"

static const struct conversation relayed[] = {
    {"by a relay",
     RELAY,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<" BOB ">"},
     "wants nothing\n"
     "accept\n" NOT_OURS("gateway.partner.test[10.9.9.9]", ALICE, BOB)
         NO_SUBMISSION(ALICE) "relayed-unsigned client=gateway.partner.test[10.9.9.9] from=<" ALICE
                              "> rcpt=<" BOB ">\n",
     0},
    {"by anybody whom the MTA lets relay; one line a message",
     OUTSIDE,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<" ALICE ">", "<" BOB ">", "<carol@third.test>"},
     "wants nothing\n"
     "accept\n"
     "debug verify client=" OUT " from=<" ALICE "> rcpt=<" ALICE "> result=missing action=accept "
     "rule=ordinary\n" NOT_OURS(OUT, ALICE, BOB) NOT_OURS(OUT, ALICE, "carol@third.test")
         NO_SUBMISSION(ALICE) "relayed-unsigned client=" OUT " from=<" ALICE "> rcpt=<" BOB ">\n",
     0},
    {"a filter hands in again what we signed",
     RELAY,
     NULL,
     NULL,
     "<{0 " ALICE "}>",
     {"<" BOB ">"},
     "wants nothing\n"
     "accept\n" NOT_OURS("gateway.partner.test[10.9.9.9]", "{0 " ALICE "}", BOB)
         NO_SUBMISSION("{0 " ALICE "}"),
     0},
    {"in the name of a domain that does not sign",
     RELAY,
     NULL,
     NULL,
     "<alice@off.example>",
     {"<" BOB ">"},
     "wants nothing\n"
     "accept\n" NOT_OURS("gateway.partner.test[10.9.9.9]", "alice@off.example", BOB),
     0},
    {"bounces are nobody's",
     RELAY,
     NULL,
     NULL,
     "<mailer-daemon@example.com>",
     {"<" BOB ">"},
     "wants nothing\n"
     "accept\n" NOT_OURS("gateway.partner.test[10.9.9.9]", "mailer-daemon@example.com", BOB)
         NO_SUBMISSION("mailer-daemon@example.com"),
     0},
};

START_TEST(test_relayed)
{
    check_conversation(&relayed[_i]);
}
END_TEST

/* ---------------------------------------------------------------- bounces */

#define NULL_SENDER "debug sign-skip from=<> reason=null-sender\n"
#define BOUNCE(rcpt, result, action_and_rule)                                                      \
    "verify client=" OUT " from=<> rcpt=<" rcpt "> result=" result                                 \
    " class=- proof=none action=" action_and_rule "\n"
#define VALID(rcpt)                                                                                \
    "verify client=" OUT " from=<> rcpt=<" rcpt "> result=valid action=accept rule=tag\n"
#define REFUSED "reject 550 5.7.1 not a bounce of mail from here\n"
#define LATER   "tempfail 451 4.7.1 not a bounce of mail from here\n"
#define HEADERS "wants headers, end\n"
#define EXCLUDED(client, rcpt, rule)                                                               \
    HEADERS "accept\nverify client=" client " from=<> rcpt=<" rcpt                                 \
            "> result=missing class=- proof=none action=accept rule=" rule "\n"

static const struct conversation bounces[] = {
    {"genuine",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 " ALICE "}>"},
     HEADERS "remove <{0 " ALICE "}>\n"
             "add " ALICE "\n"
             "accept\n" VALID("{0 " ALICE "}") NULL_SENDER,
     0},
    {"genuine, by a former key",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{-7 " ALICE "}>"},
     HEADERS "remove <{-7 " ALICE "}>\n"
             "add " ALICE "\n"
             "accept\n" VALID("{-7 " ALICE "}") NULL_SENDER,
     0},
    {"genuine, subaddress",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 +alice@example.net}>"},
     HEADERS "remove <{0 +alice@example.net}>\n"
             "add alice@example.net\n"
             "accept\n" VALID("{0 +alice@example.net}") NULL_SENDER,
     0},
    {"genuine, U-labels",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 alice@xn--bcher-kva.example}>"},
     HEADERS "remove <{0 alice@xn--bcher-kva.example}>\n"
             "add alice@xn--bcher-kva.example\n"
             "accept\n" VALID("{0 alice@xn--bcher-kva.example}") NULL_SENDER,
     0},
    {"NOTIFY and ORCPT go with the recipient, nothing else does",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 " ALICE "}>|NOTIFY=SUCCESS,FAILURE|X=Y|ORCPT=rfc822;a+2Bb@other.test",
      "<{0 carol@example.com}>|orcpt=rfc822;c@x.test|notify=never", "<{0 dave@example.com}>|X=Y"},
     HEADERS "remove <{0 " ALICE "}>\n"
             "remove <{0 carol@example.com}>\n"
             "remove <{0 dave@example.com}>\n"
             "add " ALICE " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@other.test\n"
             "add carol@example.com orcpt=rfc822;c@x.test notify=never\n"
             "add dave@example.com\n"
             "accept\n" VALID("{0 " ALICE "}") VALID("{0 carol@example.com}")
                 VALID("{0 dave@example.com}") NULL_SENDER,
     0},
    {"genuine, by mailer-daemon",
     OUTSIDE,
     NULL,
     NULL,
     "<MAILER-DAEMON@other.test>",
     {"<{0 " ALICE "}>"},
     HEADERS "remove <{0 " ALICE "}>\n"
             "add " ALICE "\n"
             "accept\n"
             "verify client=" OUT " from=<MAILER-DAEMON@other.test> rcpt=<{0 " ALICE
             "}> result=valid action=accept rule=tag\n",
     0},
    {"without restoring",
     OUTSIDE,
     NULL,
     no_restore,
     "<>",
     {"<{0 " ALICE "}>"},
     HEADERS "accept\n" VALID("{0 " ALICE "}") NULL_SENDER,
     0},

    {"missing",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<" ALICE ">"},
     HEADERS REFUSED BOUNCE(ALICE, "missing", "reject rule=verify.action"),
     0},
    {"missing, a null sender without brackets",
     OUTSIDE,
     NULL,
     NULL,
     "",
     {"<" ALICE ">"},
     HEADERS REFUSED BOUNCE(ALICE, "missing", "reject rule=verify.action"),
     0},
    {"missing, by mailer-daemon without a domain",
     OUTSIDE,
     NULL,
     NULL,
     "<mailer-daemon>",
     {"<" ALICE ">"},
     HEADERS REFUSED "verify client=" OUT " from=<mailer-daemon> rcpt=<" ALICE
                     "> result=missing class=- proof=none action=reject rule=verify.action\n",
     0},
    {"missing, by a mailer-daemon with somebody's tag",
     OUTSIDE,
     NULL,
     NULL,
     "<prvs=1234abcdef=mailer-daemon@other.test>",
     {"<" ALICE ">"},
     HEADERS REFUSED "verify client=" OUT
                     " from=<prvs=1234abcdef=mailer-daemon@other.test> rcpt=<" ALICE
                     "> result=missing class=- proof=none action=reject rule=verify.action\n",
     0},
    {"bad signature",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{bad " ALICE "}>"},
     HEADERS REFUSED BOUNCE("{bad " ALICE "}", "bad-signature", "reject rule=verify.action"),
     0},
    {"unknown key",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{unknown " ALICE "}>"},
     HEADERS REFUSED BOUNCE("{unknown " ALICE "}", "unknown-key", "reject rule=verify.action"),
     0},
    {"malformed",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<prvs=3785a1b2c=" ALICE "x>"},
     HEADERS REFUSED BOUNCE("prvs=3785a1b2c=" ALICE "x", "malformed", "reject rule=verify.action"),
     0},
    {"foreign",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<btv1==785a1b2c3d4==" ALICE ">"},
     HEADERS REFUSED BOUNCE("btv1==785a1b2c3d4==" ALICE, "foreign", "reject rule=verify.action"),
     0},
    {"a key that was over weeks ago",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{-14 " ALICE "}>"},
     HEADERS REFUSED BOUNCE("{-14 " ALICE "}", "unknown-key", "reject rule=verify.action"),
     0},
    {"expired lately",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{-9 " ALICE "}>"},
     HEADERS "remove <{-9 " ALICE "}>\n"
             "add " ALICE "\n"
             "accept\n" BOUNCE("{-9 " ALICE "}", "expired", "log rule=verify.expired") NULL_SENDER,
     0},
    {"expired, which this domain refuses",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{-9 a@reject.example}>"},
     HEADERS REFUSED BOUNCE("{-9 a@reject.example}", "expired", "reject rule=verify.expired"),
     0},
    {"expired, which this domain lets in",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{-9 a@late.example}>"},
     HEADERS "remove <{-9 a@late.example}>\n"
             "add a@late.example\n"
             "accept\n" BOUNCE("{-9 a@late.example}", "expired", "log rule=verify.expired")
                 NULL_SENDER,
     0},
    {"a domain that waits",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<alice@example.net>"},
     HEADERS "accept\n" BOUNCE("alice@example.net", "missing", "log would=reject rule=auto.warm-up")
         NULL_SENDER,
     0},
    {"a domain that says reject waits for nothing",
     OUTSIDE,
     NULL,
     reject_example_net,
     "<>",
     {"<alice@example.net>"},
     HEADERS REFUSED BOUNCE("alice@example.net", "missing", "reject rule=verify.action"),
     0},
    {"a wrong clock",
     OUTSIDE,
     NULL,
     clock_wrong,
     "<>",
     {"<" ALICE ">"},
     HEADERS "accept\n" BOUNCE(ALICE, "missing", "log would=reject rule=auto.warm-up") NULL_SENDER,
     0},
    {"pause",
     OUTSIDE,
     NULL,
     pause,
     "<>",
     {"<" ALICE ">", "<a@discard.example>"},
     HEADERS "accept\n" BOUNCE(ALICE, "missing", "log would=reject rule=pause")
         BOUNCE("a@discard.example", "missing", "log would=discard rule=pause") NULL_SENDER,
     0},
    {"a domain that does not sign",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<alice@off.example>"},
     HEADERS "accept\n" BOUNCE("alice@off.example", "missing", "log rule=sign.enabled") NULL_SENDER,
     0},
    {"a domain that does not sign, valid",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 alice@off.example}>"},
     HEADERS "remove <{0 alice@off.example}>\n"
             "add alice@off.example\n"
             "accept\n" VALID("{0 alice@off.example}") NULL_SENDER,
     0},
    {"log",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<a@log.example>"},
     HEADERS "accept\n" BOUNCE("a@log.example", "missing", "log rule=verify.action") NULL_SENDER,
     0},
    {"quarantine",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<a@quarantine.example>"},
     HEADERS "quarantine\n"
             "accept\n" BOUNCE("a@quarantine.example", "missing", "quarantine rule=verify.action")
                 NULL_SENDER,
     0},
    {"tempfail",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<a@tempfail.example>"},
     HEADERS LATER BOUNCE("a@tempfail.example", "missing", "tempfail rule=verify.action"),
     0},
    {"discard",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<a@discard.example>"},
     HEADERS "discard\n" BOUNCE("a@discard.example", "missing", "discard rule=verify.action"),
     0},
    {"mark",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<a@mark.example>"},
     HEADERS "header X-Batv-Result: missing; class=-; proof=none; rcpt=<a@mark.example>\n"
             "accept\n" BOUNCE("a@mark.example", "missing", "mark rule=verify.action") NULL_SENDER,
     0},
    {"mark: copies from outside go, the last first",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{bad a@mark.example}>"},
     HEADERS "remove header X-Batv-Result 3\n"
             "remove header X-Batv-Result 2\n"
             "remove header X-Batv-Result 1\n"
             "header X-Batv-Result: bad-signature; class=-; proof=none; rcpt=<a@mark.example>\n"
             "accept\n" BOUNCE("{bad a@mark.example}", "bad-signature", "mark rule=verify.action")
                 NULL_SENDER,
     3},
    {"copies from outside go from a genuine bounce too",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 " ALICE "}>"},
     HEADERS "remove <{0 " ALICE "}>\n"
             "add " ALICE "\n"
             "remove header X-Batv-Result 2\n"
             "remove header X-Batv-Result 1\n"
             "accept\n" VALID("{0 " ALICE "}") NULL_SENDER,
     2},
    {"proven",
     OUTSIDE,
     NULL,
     prove_by_journal,
     "<>",
     {"<" ALICE ">"},
     HEADERS
     "accept\nverify client=" OUT " from=<> rcpt=<" ALICE
     "> result=missing class=- proof=journal action=accept rule=evidence.journal\n" NULL_SENDER,
     0},
    {"a proof that cannot be had",
     OUTSIDE,
     NULL,
     journal_is_away,
     "<>",
     {"<" ALICE ">"},
     HEADERS "accept\n" BOUNCE(ALICE, "missing", "log would=reject rule=evidence.journal")
         NULL_SENDER,
     0},
    {"for other domains only",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<" BOB ">", "<alice>"},
     "wants nothing\naccept\n" NOT_OURS(OUT, "", BOB) NOT_OURS(OUT, "", "alice") NULL_SENDER,
     0},
};

START_TEST(test_bounces)
{
    check_conversation(&bounces[_i]);
}
END_TEST

static const struct conversation exclusions[] = {
    {"a local process",
     LOCAL,
     NULL,
     NULL,
     "",
     {ALICE},
     EXCLUDED("localhost[127.0.0.1]", ALICE, "local") "sign-skip from=<> reason=null-sender\n",
     0},
    {"authenticated",
     OUTSIDE,
     "carol",
     NULL,
     "<>",
     {"<" ALICE ">"},
     EXCLUDED(OUT, ALICE, "exclude.authenticated") "sign-skip from=<> reason=null-sender\n",
     0},
    {"authenticated, not excluded",
     OUTSIDE,
     "carol",
     do_not_exclude,
     "<>",
     {"<" ALICE ">"},
     HEADERS REFUSED BOUNCE(ALICE, "missing", "reject rule=verify.action"),
     0},
    {"a mail server of ours",
     MAIL_SERVER,
     NULL,
     NULL,
     "<>",
     {"<" ALICE ">"},
     EXCLUDED("mail.example.com[198.51.100.5]", ALICE, "exclude.mail_servers:198.51.100.0/24")
         NULL_SENDER,
     0},
    {"a mail server of ours, not excluded",
     MAIL_SERVER,
     NULL,
     do_not_exclude,
     "<>",
     {"<" ALICE ">"},
     HEADERS REFUSED "verify client=mail.example.com[198.51.100.5] from=<> rcpt=<" ALICE
                     "> result=missing class=- proof=none action=reject rule=verify.action\n",
     0},
    {"a network",
     EXCLUDED_NETWORK,
     NULL,
     NULL,
     "<>",
     {"<" ALICE ">"},
     EXCLUDED("unknown[203.0.113.7]", ALICE, "exclude.networks:203.0.113.0/24") NULL_SENDER,
     0},
    {"a host",
     EXCLUDED_HOST,
     NULL,
     NULL,
     "<>",
     {"<" ALICE ">"},
     EXCLUDED("mx.partner.test[192.0.2.77]", ALICE, "exclude.hosts:*.partner.test") NULL_SENDER,
     0},
    {"a relay, for all the lists that it is in",
     RELAY,
     NULL,
     NULL,
     "<>",
     {"<" ALICE ">"},
     HEADERS REFUSED "verify client=gateway.partner.test[10.9.9.9] from=<> rcpt=<" ALICE
                     "> result=missing class=- proof=none action=reject rule=verify.action\n",
     0},
    {"a recipient",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<PostMaster@example.com>"},
     EXCLUDED(OUT, "PostMaster@example.com", "exclude.recipients:postmaster@*") NULL_SENDER,
     0},
    {"a recipient behind a forged tag",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{bad abuse@example.com}>"},
     HEADERS "accept\n" BOUNCE("{bad abuse@example.com}", "bad-signature",
                               "accept rule=exclude.recipients:abuse@*") NULL_SENDER,
     0},
    {"an SRS recipient",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<srs0=HHH=TT=other.test=bob@example.com>"},
     EXCLUDED(OUT, "srs0=HHH=TT=other.test=bob@example.com", "exclude.recipients:SRS0=*@*")
         NULL_SENDER,
     0},
    {"a host that we do not sign to",
     LIST_HOST,
     NULL,
     NULL,
     "<>",
     {"<" ALICE ">"},
     EXCLUDED("out.lists.test[192.0.2.78]", ALICE, "exclude_sign.recipients:*@lists.test")
         NULL_SENDER,
     0},
    {"untaggable",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<x" L48 "@example.com>"},
     EXCLUDED(OUT, "x" L48 "@example.com", "untaggable") NULL_SENDER,
     0},
    {"just taggable",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<" L48 "@example.com>"},
     HEADERS REFUSED BOUNCE(L48 "@example.com", "missing", "reject rule=verify.action"),
     0},
    {"a revoked key",
     OUTSIDE,
     NULL,
     revoke_key_1,
     "<>",
     {"<{-8 " ALICE "}>"},
     HEADERS "accept\n" BOUNCE("{-8 " ALICE "}", "unknown-key", "log rule=key-gone") NULL_SENDER,
     0},
    {"a compromised key",
     OUTSIDE,
     NULL,
     compromise_key_1,
     "<>",
     {"<{-8 " ALICE "}>"},
     HEADERS REFUSED BOUNCE("{-8 " ALICE "}", "unknown-key", "reject rule=verify.action"),
     0},
    {"one recipient only",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<" ALICE ">", "<abuse@example.com>"},
     HEADERS "remove <" ALICE ">\n"
             "accept\n" BOUNCE(ALICE, "missing", "reject applied=removed rule=verify.action")
                 BOUNCE("abuse@example.com", "missing", "accept rule=exclude.recipients:abuse@*")
                     NULL_SENDER,
     0},
};

START_TEST(test_exclusions)
{
    check_conversation(&exclusions[_i]);
}
END_TEST

/* ------------------------------------------------------ several recipients */

static const struct conversation several[] = {
    {"valid and missing",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<carol@example.com>", "<{0 " ALICE "}>|NOTIFY=NEVER"},
     HEADERS
     "remove <carol@example.com>\n"
     "remove <{0 " ALICE "}>\n"
     "add " ALICE " NOTIFY=NEVER\n"
     "accept\n" BOUNCE("carol@example.com", "missing", "reject applied=removed rule=verify.action")
         VALID("{0 " ALICE "}") NULL_SENDER,
     0},
    {"valid and deferred: nothing is changed",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 " ALICE "}>", "<a@tempfail.example>", "<a@reject.example>"},
     HEADERS LATER
     "verify client=" OUT " from=<> rcpt=<{0 " ALICE
     "}> result=valid action=accept applied=tempfail rule=tag\n" BOUNCE(
         "a@tempfail.example", "missing", "tempfail rule=verify.action")
         BOUNCE("a@reject.example", "missing", "reject applied=tempfail rule=verify.action"),
     0},
    {"all refused",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<" ALICE ">", "<{bad carol@example.com}>"},
     HEADERS REFUSED BOUNCE(ALICE, "missing", "reject rule=verify.action")
         BOUNCE("{bad carol@example.com}", "bad-signature", "reject rule=verify.action"),
     0},
    {"refused and discarded",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<a@discard.example>", "<a@reject.example>"},
     HEADERS REFUSED BOUNCE("a@discard.example", "missing",
                            "discard applied=reject rule=verify.action")
         BOUNCE("a@reject.example", "missing", "reject rule=verify.action"),
     0},
    {"logged and discarded",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<a@discard.example>", "<a@log.example>"},
     HEADERS
     "remove <a@discard.example>\n"
     "accept\n" BOUNCE("a@discard.example", "missing", "discard applied=removed rule=verify.action")
         BOUNCE("a@log.example", "missing", "log rule=verify.action") NULL_SENDER,
     0},
    {"held and refused",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<a@quarantine.example>", "<a@reject.example>"},
     HEADERS "remove <a@reject.example>\n"
             "quarantine\n"
             "accept\n" BOUNCE("a@quarantine.example", "missing", "quarantine rule=verify.action")
                 BOUNCE("a@reject.example", "missing", "reject applied=removed rule=verify.action")
                     NULL_SENDER,
     0},
    {"all that can be done at once, in its order",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<a@mark.example>", "<{0 " ALICE "}>", "<a@reject.example>", "<{bad b@mark.example}>",
      "<a@quarantine.example>", "<" BOB ">"},
     HEADERS "remove <{0 " ALICE "}>\n"
             "remove <a@reject.example>\n"
             "add " ALICE "\n"
             "remove header X-Batv-Result 2\n"
             "remove header X-Batv-Result 1\n"
             "header X-Batv-Result: missing; class=-; proof=none; rcpt=<a@mark.example>,\n"
             "\tbad-signature; class=-; proof=none; rcpt=<b@mark.example>\n"
             "quarantine\n"
             "accept\n" BOUNCE("a@mark.example", "missing", "mark rule=verify.action")
                 VALID("{0 " ALICE "}") BOUNCE("a@reject.example", "missing",
                                               "reject applied=removed rule=verify.action")
                     BOUNCE("{bad b@mark.example}", "bad-signature", "mark rule=verify.action")
                         BOUNCE("a@quarantine.example", "missing", "quarantine rule=verify.action")
                             NOT_OURS(OUT, "", BOB) NULL_SENDER,
     2},
    {"a mailbox with and without its tag, the plain one kept",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 a@log.example}>|NOTIFY=NEVER", "<a@log.example>"},
     HEADERS "remove <{0 a@log.example}>\n"
             "accept\n" VALID("{0 a@log.example}")
                 BOUNCE("a@log.example", "missing", "log rule=verify.action") NULL_SENDER,
     0},
    {"the same, the other way round and in another case",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<a@LOG.Example>", "<{0 a@log.example}>"},
     HEADERS "remove <{0 a@log.example}>\n"
             "accept\n" BOUNCE("a@LOG.Example", "missing", "log rule=verify.action")
                 VALID("{0 a@log.example}") NULL_SENDER,
     0},
    {"a mailbox with and without its tag, the plain one refused",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<" ALICE ">", "<{0 " ALICE "}>"},
     HEADERS "remove <" ALICE ">\n"
             "remove <{0 " ALICE "}>\n"
             "add " ALICE "\n"
             "accept\n" BOUNCE(ALICE, "missing", "reject applied=removed rule=verify.action")
                 VALID("{0 " ALICE "}") NULL_SENDER,
     0},
    {"two tags of a mailbox",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 " ALICE "}>", "<{-2 " ALICE "}>"},
     HEADERS "remove <{0 " ALICE "}>\n"
             "remove <{-2 " ALICE "}>\n"
             "add " ALICE "\n"
             "accept\n" VALID("{0 " ALICE "}") VALID("{-2 " ALICE "}") NULL_SENDER,
     0},
    {"two tags of a mailbox, and itself",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 a@log.example}>", "<{-2 a@log.example}>", "<a@log.example>"},
     HEADERS "remove <{0 a@log.example}>\n"
             "remove <{-2 a@log.example}>\n"
             "accept\n" VALID("{0 a@log.example}") VALID("{-2 a@log.example}")
                 BOUNCE("a@log.example", "missing", "log rule=verify.action") NULL_SENDER,
     0},
    {"both syntaxes of a tag",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 " ALICE "}>", "<{0 +" ALICE "}>"},
     HEADERS "remove <{0 " ALICE "}>\n"
             "remove <{0 +" ALICE "}>\n"
             "add " ALICE "\n"
             "accept\n" VALID("{0 " ALICE "}") VALID("{0 +" ALICE "}") NULL_SENDER,
     0},
    {"the same local part in two domains",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{0 a@log.example}>", "<{0 a@mark.example}>"},
     HEADERS "remove <{0 a@log.example}>\n"
             "remove <{0 a@mark.example}>\n"
             "add a@log.example\n"
             "add a@mark.example\n"
             "accept\n" VALID("{0 a@log.example}") VALID("{0 a@mark.example}") NULL_SENDER,
     0},
};

START_TEST(test_several)
{
    check_conversation(&several[_i]);
}
END_TEST

/* ---------------------------------------------------------- ordinary mail */

#define WRITE_TO(plain)                                                                            \
    "this address carries a signature that was not made here; write to <" plain "> instead\n"
#define ORDINARY(rcpt, rest)                                                                       \
    "verify client=" OUT " from=<" BOB "> rcpt=<" rcpt "> result=" rest "\n"

static const struct conversation ordinary[] = {
    {"plain",
     OUTSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<" ALICE ">", "<carol@example.net>"},
     "wants nothing\n"
     "accept\n"
     "debug " ORDINARY(ALICE, "missing action=accept rule=ordinary") "debug " ORDINARY(
         "carol@example.net", "missing action=accept rule=ordinary"),
     3},
    {"to a valid tag",
     OUTSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{0 " ALICE "}>|NOTIFY=NEVER"},
     "wants end\n"
     "remove <{0 " ALICE "}>\n"
     "add " ALICE " NOTIFY=NEVER\n"
     "accept\n" ORDINARY("{0 " ALICE "}", "valid action=accept rule=tag"),
     0},
    {"to an expired tag",
     OUTSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{-9 a@reject.example}>"},
     "wants end\n"
     "remove <{-9 a@reject.example}>\n"
     "add a@reject.example\n"
     "accept\n" ORDINARY("{-9 a@reject.example}", "expired action=accept rule=ordinary"),
     0},
    {"to a forged tag",
     OUTSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{bad nobody@example.com}>"},
     "wants end\n"
     "reject 550 5.1.1 " WRITE_TO("nobody@example.com")
         ORDINARY("{bad nobody@example.com}", "bad-signature action=reject rule=tag-unauthentic"),
     0},
    {"to a tag by a key that nobody has",
     OUTSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{unknown \"no body\"@reject.example}>"},
     "wants end\n"
     "reject 550 5.1.1 " WRITE_TO("\"no body\"@reject.example") "verify client=" OUT " from=<" BOB
                                                                "> rcpt=\"<\\\"prvs=9785698bb6=no "
                                                                "body\\\"@reject.example>\" "
                                                                "result=unknown-key action=reject "
                                                                "rule=tag-unauthentic\n",
     0},
    {"to a forged tag while the domain waits",
     OUTSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{bad nobody@example.net}>"},
     "wants end\n"
     "tempfail 451 4.1.1 " WRITE_TO("nobody@example.net")
         ORDINARY("{bad nobody@example.net}", "bad-signature action=tempfail rule=tag-unauthentic"),
     0},
    {"to a forged tag of a domain that only logs",
     OUTSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{bad nobody@log.example}>"},
     "wants end\n"
     "tempfail 451 4.1.1 " WRITE_TO("nobody@log.example")
         ORDINARY("{bad nobody@log.example}", "bad-signature action=tempfail rule=tag-unauthentic"),
     0},
    {"to a forged tag, which waits for nothing",
     OUTSIDE,
     NULL,
     forged_rejects,
     "<" BOB ">",
     {"<{bad nobody@example.net}>"},
     "wants end\n"
     "reject 550 5.1.1 " WRITE_TO("nobody@example.net")
         ORDINARY("{bad nobody@example.net}", "bad-signature action=reject rule=tag-unauthentic"),
     0},
    {"to a forged tag, which is only logged",
     OUTSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{bad nobody@late.example}>"},
     "wants end\n"
     "accept\n" ORDINARY("{bad nobody@late.example}",
                         "bad-signature action=log rule=tag-unauthentic"),
     0},
    {"to a forged tag, through a mail server",
     MAIL_SERVER,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{bad nobody@example.com}>"},
     "wants end\n"
     "reject 550 5.1.1 " WRITE_TO(
         "nobody@example.com") "verify client=mail.example.com[198.51.100.5] from=<" BOB
                               "> rcpt=<{bad nobody@example.com}> result=bad-signature "
                               "action=reject "
                               "rule=tag-unauthentic\n",
     0},
    {"to a forged tag, through a relay",
     RELAY,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{bad nobody@example.com}>"},
     "wants end\n"
     "reject 550 5.1.1 " WRITE_TO(
         "nobody@example.com") "verify client=gateway.partner.test[10.9.9.9] from=<" BOB
                               "> rcpt=<{bad nobody@example.com}> result=bad-signature "
                               "action=reject "
                               "rule=tag-unauthentic\n",
     0},
    {"a submission to a forged tag",
     INSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{bad nobody@example.com}>"},
     "wants end\n"
     "accept\n"
     "verify client=" IN " from=<" BOB "> rcpt=<{bad nobody@example.com}> result=bad-signature "
     "action=accept rule=ordinary\n",
     0},
    {"a local process to a forged tag",
     LOCAL,
     NULL,
     NULL,
     BOB,
     {"{bad nobody@example.com}"},
     "wants end\n"
     "accept\n"
     "verify client=localhost[127.0.0.1] from=<" BOB
     "> rcpt=<{bad nobody@example.com}> result=bad-signature action=accept rule=ordinary\n",
     0},
    {"a submission to a valid tag",
     INSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{0 " ALICE "}>"},
     "wants end\n"
     "remove <{0 " ALICE "}>\n"
     "add " ALICE "\n"
     "accept\n"
     "verify client=" IN " from=<" BOB "> rcpt=<{0 " ALICE "}> result=valid action=accept "
     "rule=tag\n",
     0},
    {"to a forged tag in subaddress syntax: the MTA's tables answer",
     OUTSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{bad +nobody@example.com}>"},
     "wants end\n"
     "accept\n" ORDINARY("{bad +nobody@example.com}", "bad-signature action=accept rule=ordinary"),
     0},
    {"to a malformed and to a foreign tag",
     OUTSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<prvs=x@example.com>", "<prvs=785a1b2c3=alice@example.com>"},
     "wants nothing\n"
     "accept\n" ORDINARY("prvs=x@example.com", "malformed action=accept rule=ordinary")
         ORDINARY("prvs=785a1b2c3=alice@example.com", "foreign action=accept rule=ordinary"),
     0},
    {"to a forged tag and to somebody else",
     OUTSIDE,
     NULL,
     NULL,
     "<" BOB ">",
     {"<{bad nobody@example.com}>", "<" ALICE ">", "<{0 carol@example.com}>"},
     "wants end\n"
     "remove <{bad nobody@example.com}>\n"
     "remove <{0 carol@example.com}>\n"
     "add carol@example.com\n"
     "accept\n" ORDINARY("{bad nobody@example.com}", "bad-signature action=reject applied=removed "
                                                     "rule=tag-unauthentic") "debug " ORDINARY(
         ALICE, "missing action=accept rule=ordinary")
         ORDINARY("{0 carol@example.com}", "valid action=accept rule=tag"),
     0},
    {"a submission by one of ours to a tag of ours",
     INSIDE,
     NULL,
     NULL,
     "<" ALICE ">",
     {"<{0 carol@example.com}>"},
     "wants end\n"
     "sender {0 " ALICE "}\n"
     "remove <{0 carol@example.com}>\n"
     "add carol@example.com\n"
     "accept\n"
     "verify client=" IN " from=<" ALICE "> rcpt=<{0 carol@example.com}> result=valid "
     "action=accept rule=tag\n"
     "sign from=<" ALICE "> tagged=<{0 " ALICE "}> key=2 expires=2026-11-28\n",
     0},
};

START_TEST(test_ordinary)
{
    check_conversation(&ordinary[_i]);
}
END_TEST

/* ---------------------------------------------------------- judged at RCPT */

static const struct conversation at_rcpt[] = {
    {"each by itself",
     OUTSIDE,
     NULL,
     reject_at_rcpt,
     "<>",
     {"<" ALICE ">", "<{0 carol@example.com}>", "<a@tempfail.example>", "<a@discard.example>",
      "<a@mark.example>", "<" BOB ">"},
     "rcpt " REFUSED "rcpt " LATER HEADERS "remove <{0 carol@example.com}>\n"
     "remove <a@discard.example>\n"
     "add carol@example.com\n"
     "header X-Batv-Result: missing; class=-; proof=none; rcpt=<a@mark.example>\n"
     "accept\n" BOUNCE(ALICE, "missing", "reject rule=verify.action")
         BOUNCE("a@tempfail.example", "missing", "tempfail rule=verify.action")
             VALID("{0 carol@example.com}") BOUNCE("a@discard.example", "missing",
                                                   "discard applied=removed rule=verify.action")
                 BOUNCE("a@mark.example", "missing", "mark rule=verify.action")
                     NOT_OURS(OUT, "", BOB) NULL_SENDER,
     0},
    {"no proof is asked for",
     OUTSIDE,
     NULL,
     reject_at_rcpt,
     "<>",
     {"<" ALICE ">"},
     "rcpt " REFUSED HEADERS "accept\n" BOUNCE(ALICE, "missing", "reject rule=verify.action")
         NULL_SENDER,
     0},
    {"a forged tag of an ordinary message",
     OUTSIDE,
     NULL,
     reject_at_rcpt,
     "<" BOB ">",
     {"<{bad nobody@example.com}>", "<{bad nobody@example.net}>", "<" ALICE ">"},
     "rcpt reject 550 5.1.1 " WRITE_TO("nobody@example.com") "rcpt tempfail 451 4.1.1 " WRITE_TO(
         "nobody@example.net") "wants end\n"
                               "accept\n" ORDINARY("{bad nobody@example.com}", "bad-signature "
                                                                               "action=reject "
                                                                               "rule=tag-"
                                                                               "unauthentic") ORDINARY(
                                   "{bad nobody@example.net}", "bad-signature action=tempfail "
                                                               "rule=tag-unauthentic") "debug"
                                                                                       " " ORDINARY(ALICE,
                                                                                                    "missing action=accept rule=ordinary"),
     0},
    {"all but one discarded",
     OUTSIDE,
     NULL,
     reject_at_rcpt,
     "<>",
     {"<a@discard.example>", "<a@reject.example>"},
     "rcpt " REFUSED HEADERS
     "discard\n" BOUNCE("a@reject.example", "missing", "reject rule=verify.action")
         BOUNCE("a@discard.example", "missing", "discard rule=verify.action"),
     0},
    {"a mailbox with its tag, whose plain recipient was refused",
     OUTSIDE,
     NULL,
     reject_at_rcpt,
     "<>",
     {"<" ALICE ">", "<{0 " ALICE "}>"},
     "rcpt " REFUSED HEADERS "remove <{0 " ALICE "}>\n"
     "add " ALICE "\n"
     "accept\n" BOUNCE(ALICE, "missing", "reject rule=verify.action") VALID("{0 " ALICE "}")
         NULL_SENDER,
     0},
    {"a submission is signed all the same",
     INSIDE,
     NULL,
     reject_at_rcpt,
     "<" ALICE ">",
     {"<" BOB ">"},
     SIGNED(IN, ALICE, BOB),
     0},
    {"pause",
     OUTSIDE,
     NULL,
     reject_at_rcpt,
     "<>",
     {"<alice@example.net>"},
     HEADERS "accept\n" BOUNCE("alice@example.net", "missing", "log would=reject rule=auto.warm-up")
         NULL_SENDER,
     0},
};

START_TEST(test_at_rcpt)
{
    check_conversation(&at_rcpt[_i]);
}
END_TEST

/* ------------------------------------------------------------- a newer ring */

static const struct conversation newer[] = {
    {"without it",
     OUTSIDE,
     NULL,
     NULL,
     "<>",
     {"<{next " ALICE "}>"},
     HEADERS REFUSED BOUNCE("{next " ALICE "}", "unknown-key", "reject rule=verify.action"),
     0},
    {"it knows the key",
     OUTSIDE,
     NULL,
     renew,
     "<>",
     {"<{next " ALICE "}>"},
     HEADERS "remove <{next " ALICE "}>\n"
             "add " ALICE "\n"
             "accept\n"
             "verify client=" OUT " from=<> rcpt=<{next " ALICE
             "}> result=valid action=accept rule=tag ring=13\n" NULL_SENDER,
     0},
    {"it knows the key, ordinary mail",
     OUTSIDE,
     NULL,
     renew,
     "<" BOB ">",
     {"<{next " ALICE "}>"},
     "wants end\n"
     "remove <{next " ALICE "}>\n"
     "add " ALICE "\n"
     "accept\n" ORDINARY("{next " ALICE "}", "valid action=accept rule=tag ring=13"),
     0},
    {"it knows no more",
     OUTSIDE,
     NULL,
     renew,
     "<>",
     {"<{bad " ALICE "}>", "<{0 " ALICE "}>"},
     HEADERS "remove <{bad " ALICE "}>\n"
             "remove <{0 " ALICE "}>\n"
             "add " ALICE "\n"
             "accept\n" BOUNCE("{bad " ALICE "}", "bad-signature",
                               "reject applied=removed rule=verify.action ring=13")
                 VALID("{0 " ALICE "}") NULL_SENDER,
     0},
    {"at RCPT",
     OUTSIDE,
     NULL,
     renew_at_rcpt,
     "<>",
     {"<{next " ALICE "}>", "<a@log.example>"},
     HEADERS "remove <{next " ALICE "}>\n"
             "add " ALICE "\n"
             "accept\n"
             "verify client=" OUT " from=<> rcpt=<{next " ALICE
             "}> result=valid action=accept rule=tag ring=13\n" BOUNCE(
                 "a@log.example", "missing", "log rule=verify.action ring=13") NULL_SENDER,
     0},
    {"signing stays with the message's ring",
     INSIDE,
     NULL,
     renew,
     "<" ALICE ">",
     {"<{next carol@example.com}>"},
     "wants end\n"
     "sender {0 " ALICE "}\n"
     "remove <{next carol@example.com}>\n"
     "add carol@example.com\n"
     "accept\n"
     "verify client=" IN " from=<" ALICE "> rcpt=<{next carol@example.com}> result=valid "
     "action=accept rule=tag ring=13\n"
     "sign from=<" ALICE "> tagged=<{0 " ALICE "}> key=2 expires=2026-11-28\n",
     0},
};

START_TEST(test_newer_ring)
{
    check_conversation(&newer[_i]);
}
END_TEST

/* What was judged at RCPT is judged again when a newer ring shows it otherwise. */
START_TEST(test_newer_ring_after_rcpt)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    site->settings->reject_at_rcpt = true;
    struct transaction *t = transaction_new(&site->snapshot, &client);
    transaction_mail(t, "<>", NULL);
    give_recipient(t, site, "<{next a@log.example}>", &text);
    ck_assert_str_eq(text.out, "");
    transaction_renew(t, site->newer, now_of_site());
    decide(t, site);
    size_t count;
    const struct decision *decisions = transaction_decisions(t, &count);
    ck_assert_int_eq(decisions[0].result, RESULT_VALID);
    ck_assert_str_eq(decisions[0].verdict.rule, "tag");
    transaction_effects(t, &count);
    ck_assert_uint_eq(count, 2);
    transaction_free(t);
    site_free(site);
}
END_TEST

static const struct {
    const char *name;
    const char *sender, *recipient;
    bool doubtful;
} doubts[] = {
    {"plain ordinary mail", "<" BOB ">", "<" ALICE ">", false},
    {"ordinary, valid", "<" BOB ">", "<{0 " ALICE "}>", false},
    {"ordinary, forged", "<" BOB ">", "<{bad " ALICE "}>", true},
    {"ordinary, unknown key", "<" BOB ">", "<{unknown " ALICE "}>", true},
    {"ordinary, expired", "<" BOB ">", "<{-9 " ALICE "}>", true},
    {"ordinary, foreign", "<" BOB ">", "<btv1==1==" ALICE ">", false},
    {"not ours", "<>", "<" BOB ">", false},
    {"bounce, valid", "<>", "<{0 " ALICE "}>", false},
    {"bounce, missing", "<>", "<" ALICE ">", true},
    {"bounce, forged", "<>", "<{bad " ALICE "}>", true},
    {"bounce, unknown key", "<>", "<{unknown " ALICE "}>", true},
    {"bounce, expired", "<>", "<{-9 " ALICE "}>", true},
};

START_TEST(test_doubtful)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    struct transaction *t = transaction_new(&site->snapshot, &client);
    transaction_mail(t, doubts[_i].sender, NULL);
    ck_assert(!transaction_doubtful(t));
    give_recipient(t, site, doubts[_i].recipient, &text);
    ck_assert_msg(transaction_doubtful(t) == doubts[_i].doubtful, "%s", doubts[_i].name);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* ------------------------------------------------------------------ errors */

static const struct conversation errors[] = {
    {"no key to sign with",
     INSIDE,
     NULL,
     no_keys,
     "<" ALICE ">",
     {"<" BOB ">"},
     "wants end\n"
     "tempfail 451 4.3.0 mail filter error, try again later\n",
     0},
    {"no key to sign with, on_error = accept",
     INSIDE,
     NULL,
     no_keys_accept,
     "<" ALICE ">",
     {"<" BOB ">"},
     "wants end\n"
     "accept\n",
     0},
    {"what was refused at RCPT stays in the log",
     INSIDE,
     NULL,
     no_keys_at_rcpt,
     "<" ALICE ">",
     {"<a@reject.example>", "<" BOB ">"},
     "wants end\n"
     "tempfail 451 4.3.0 mail filter error, try again later\n",
     0},
};

START_TEST(test_errors)
{
    check_conversation(&errors[_i]);
}
END_TEST

START_TEST(test_reply_on_error)
{
    struct site *site = site_make();
    struct reply reply;
    reply_on_error(site->settings, &reply);
    ck_assert_int_eq(reply.kind, REPLY_TEMPFAIL);
    ck_assert_str_eq(reply.code, "451");
    ck_assert_int_eq(reply.enhanced[0], '4');
    site->settings->on_error = ACTION_ACCEPT;
    reply_on_error(site->settings, &reply);
    ck_assert_int_eq(reply.kind, REPLY_ACCEPT);
    ck_assert_ptr_null(reply.code);
    site_free(site);
}
END_TEST

START_TEST(test_aborted_anywhere)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    transaction_free(NULL);
    transaction_free(transaction_new(&site->snapshot, &client));
    struct transaction *t = transaction_new(&site->snapshot, &client);
    transaction_mail(t, "<>", NULL);
    ck_assert(!transaction_failed(t));
    transaction_free(t);
    t = transaction_new(&site->snapshot, &client);
    transaction_mail(t, "<>", NULL);
    give_recipient(t, site, "<{0 " ALICE "}>", &text);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* Facts are asked recipient by recipient, and only of those that need one. */
START_TEST(test_questions)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    static const char *const recipients[] = {"<" ALICE ">", "<{0 bob@example.com}>",
                                             "<abuse@example.com>", "<" BOB ">",
                                             "<{bad carol@example.com}>"};
    static const struct {
        size_t recipient;
        enum fact fact;
        enum answer answer;
    } questions[] = {
        {0, FACT_TAG_IN_BODY, ANSWER_NO}, {0, FACT_HEADER, ANSWER_YES},
        {4, FACT_TAG_IN_BODY, ANSWER_NO}, {4, FACT_HEADER, ANSWER_UNAVAILABLE},
        {4, FACT_JOURNAL, ANSWER_NO},     {4, FACT_PATTERN, ANSWER_NO},
    };
    static const char *const rules[] = {"evidence.header", "tag", "exclude.recipients", "not-ours",
                                        "evidence.header"};
    struct transaction *t = transaction_new(&site->snapshot, &client);
    transaction_mail(t, "<>", NULL);
    for (size_t i = 0; i < COUNT_OF(recipients); i++) {
        give_recipient(t, site, recipients[i], &text);
    }
    enum fact need;
    size_t recipient;
    for (size_t i = 0; i < COUNT_OF(questions); i++) {
        ck_assert_int_eq(transaction_end(t, now_of_site(), &need, &recipient), POLICY_NEEDS);
        ck_assert_uint_eq(recipient, questions[i].recipient);
        ck_assert_int_eq(need, questions[i].fact);
        transaction_answer(t, recipient, need, questions[i].answer);
    }
    ck_assert_int_eq(transaction_end(t, now_of_site(), &need, &recipient), POLICY_DECIDED);
    size_t count;
    const struct decision *decisions = transaction_decisions(t, &count);
    ck_assert_uint_ge(count, COUNT_OF(rules));
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        ck_assert_str_eq(decisions[i].verdict.rule, rules[i]);
    }
    transaction_free(t);
    site_free(site);
}
END_TEST

/* ------------------------------------------------------------------ chance */

enum { MOST = 12 };

/* A message that came about by chance, and what has become of each recipient. */
struct chat {
    char recipients[MOST][400]; /* as given, with brackets */
    bool refused[MOST];         /* at RCPT */
    size_t count;
    struct transaction *t;
};

static void random_recipient(struct chance *chance, const struct site *site, char out[400])
{
    static const char *const shapes[] = {"%s",           "{0 %s}",    "{-1 %s}",
                                         "{-9 %s}",      "{bad %s}",  "{0 +%s}",
                                         "{unknown %s}", "{next %s}", "{bad +%s}"};
    static const char *const locals[] = {"alice", "Alice", "\"a b\"", "postmaster", "l=1=b"};
    static const char *const others[] = {BOB,     "x@lists.test",           "prvs=x@example.com",
                                         "alice", "btv1==1==a@log.example", "SRS0=a@example.com"};
    char plain[200];
    char shaped[260];
    struct text text = {.used = 0};
    if (chance_below(chance, 6) == 0) {
        snprintf(shaped, sizeof shaped, "%s", others[chance_below(chance, COUNT_OF(others))]);
    } else {
        const char *domain = site_domains[chance_below(chance, COUNT_OF(site_domains))].name;
        snprintf(plain, sizeof plain, "%s@%s%s", locals[chance_below(chance, COUNT_OF(locals))],
                 *domain == '.' ? "any" : "", domain);
        const char *shape = shapes[chance_below(chance, COUNT_OF(shapes))];
        const char *place = strchr(shape, '%');
        snprintf(shaped, sizeof shaped, "%.*s%s%s", (int)(place - shape), shape, plain, place + 2);
    }
    expand(&text, site, shaped);
    snprintf(out, 400, "<%s>", text.out);
}

static void hold_chat(struct chat *chat, struct chance *chance, const struct site *site,
                      const struct client *client)
{
    static const char *const senders[] = {"<>", "<>", "<" BOB ">", "<" ALICE ">",
                                          "<mailer-daemon@other.test>"};
    chat->t = transaction_new(&site->snapshot, client);
    transaction_mail(chat->t, senders[chance_below(chance, COUNT_OF(senders))],
                     chance_below(chance, 5) == 0 ? "user" : NULL);
    chat->count = 1 + chance_below(chance, MOST);
    for (size_t i = 0; i < chat->count; i++) {
        struct reply reply;
        random_recipient(chance, site, chat->recipients[i]);
        transaction_rcpt(chat->t, chat->recipients[i], NULL, now_of_site());
        transaction_rcpt_reply(chat->t, now_of_site(), &reply);
        chat->refused[i] = reply.kind != REPLY_CONTINUE;
        ck_assert(reply.kind == REPLY_CONTINUE || reply.kind == REPLY_REJECT ||
                  reply.kind == REPLY_TEMPFAIL);
    }
    for (unsigned i = 0; i < 3 && (transaction_wants(chat->t) & WANT_HEADERS) != 0; i++) {
        transaction_header(chat->t, "X-Batv-Result");
    }
    decide(chat->t, site);
}

/* Effects stand in this order of kinds, copies of the header from the last to the first. */
static void check_order(const struct effect *effects, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const struct effect *e = &effects[i];
        ck_assert_int_ge(e->kind, effects[i - 1].kind);
        ck_assert(e->kind != EFFECT_CHANGE_SENDER && e->kind != EFFECT_QUARANTINE + 1);
        ck_assert(e->kind != EFFECT_REMOVE_HEADER || effects[i - 1].kind != e->kind ||
                  e->index + 1 == effects[i - 1].index);
    }
    ck_assert_int_lt(EFFECT_REMOVE_RECIPIENT, EFFECT_ADD_RECIPIENT);
    ck_assert_int_lt(EFFECT_REMOVE_HEADER, EFFECT_ADD_HEADER);
}

static bool is_removed(const struct effect *effects, size_t count, const char *raw)
{
    for (size_t i = 0; i < count; i++) {
        if (effects[i].kind == EFFECT_REMOVE_RECIPIENT && strcmp(effects[i].value, raw) == 0) {
            return true;
        }
    }
    return false;
}

/* The mailbox that a recipient means: without an authentic tag, in one spelling. */
static char *mailbox_of(const struct site *site, const char *raw, enum result *result)
{
    struct address address;
    struct tag_check check;
    char *local = NULL;
    ck_assert_int_eq(address_parse(raw, &address), STATUS_OK);
    ck_assert_int_eq(tag_verify(site->ring, &address, LIFETIME, now_of_site(), &check, &local),
                     STATUS_OK);
    *result =
        settings_rules(site->settings, address.ascii) != NULL ? check.result : RESULT_NOT_OURS;
    char *mailbox = address_plain(local, address.ascii);
    free(local);
    address_free(&address);
    return mailbox;
}

/* How often a mailbox is delivered to, after the effects, by an MTA that takes any tag off. */
static size_t deliveries(const struct chat *chat, const struct site *site,
                         const struct effect *effects, size_t count, const char *mailbox)
{
    size_t times = 0;
    enum result result;
    for (size_t i = 0; i < chat->count; i++) {
        const char *raw = chat->recipients[i];
        bool repeated = false; /* an MTA knows a recipient once */
        for (size_t j = 0; j < i; j++) {
            repeated = repeated || (!chat->refused[j] && strcmp(chat->recipients[j], raw) == 0);
        }
        char *own = mailbox_of(site, raw, &result);
        times += !chat->refused[i] && !repeated && !is_removed(effects, count, raw) &&
                 strcmp(own, mailbox) == 0;
        free(own);
    }
    for (size_t i = 0; i < count; i++) {
        if (effects[i].kind == EFFECT_ADD_RECIPIENT) {
            char *own = mailbox_of(site, effects[i].value, &result);
            times += strcmp(own, mailbox) == 0;
            free(own);
        }
    }
    return times;
}

/* The record of the index-th recipient. Those refused at RCPT come first, then the others. */
static const struct decision *record_of(const struct chat *chat, size_t index)
{
    size_t count;
    const struct decision *decisions = transaction_decisions(chat->t, &count);
    size_t place = 0;
    for (size_t i = 0; i < chat->count; i++) {
        place += chat->refused[i] && (!chat->refused[index] || i < index);
        place += !chat->refused[i] && !chat->refused[index] && i < index;
    }
    ck_assert_uint_lt(place, count);
    ck_assert_int_eq(decisions[place].kind, DECISION_VERIFY);
    size_t length = strlen(chat->recipients[index]);
    ck_assert_uint_eq(strlen(decisions[place].recipient), length - 2);
    ck_assert_int_eq(strncmp(decisions[place].recipient, chat->recipients[index] + 1, length - 2),
                     0);
    return &decisions[place];
}

static void check_recipient(const struct chat *chat, const struct site *site, size_t index,
                            const struct effect *effects, size_t count)
{
    enum result result;
    const struct decision *d = record_of(chat, index);
    char *mailbox = mailbox_of(site, chat->recipients[index], &result);
    bool authentic = result == RESULT_VALID || result == RESULT_EXPIRED;
    bool keeps = action_keeps(d->verdict.action);
    bool accepted = transaction_reply(chat->t)->kind == REPLY_ACCEPT;
    ck_assert_int_eq(d->result, result);
    if (chat->refused[index]) {
        ck_assert(!keeps);
    } else if (accepted && !keeps) {
        ck_assert(is_removed(effects, count, chat->recipients[index]));
        ck_assert_str_eq(d->applied, "removed");
    } else if (accepted && authentic) {
        bool restores = site->settings->restore;
        ck_assert_int_eq(is_removed(effects, count, chat->recipients[index]), restores);
        ck_assert_msg(deliveries(chat, site, effects, count, mailbox) >= 1, "%s is lost", mailbox);
    } else if (accepted) {
        ck_assert(!is_removed(effects, count, chat->recipients[index]));
    }
    if (result == RESULT_VALID && d->verdict.action != ACTION_ACCEPT) {
        ck_abort_msg("a valid tag and %s", action_name(d->verdict.action));
    }
    free(mailbox);
}

/* A mailbox that is added is a recipient by nothing else that stays, unless by a tag of its own
 * that is not ours to take off. */
static void check_added(const struct chat *chat, const struct site *site,
                        const struct effect *effects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (effects[i].kind != EFFECT_ADD_RECIPIENT) {
            continue;
        }
        enum result result;
        char *mailbox = mailbox_of(site, effects[i].value, &result);
        ck_assert_int_eq(result, RESULT_MISSING);
        size_t times = deliveries(chat, site, effects, count, mailbox);
        ck_assert_msg(times == 1, "%s: %zu copies", mailbox, times);
        free(mailbox);
    }
}

START_TEST(test_random_conversations)
{
    struct chance chance = {(uint64_t)_i + 1};
    static struct chat chat;
    for (int i = 0; i < 300; i++) {
        struct site *site = site_make();
        struct client client = client_of((enum who)chance_below(&chance, WHO_COUNT));
        site->settings->reject_at_rcpt = chance_below(&chance, 4) == 0;
        site->settings->restore = chance_below(&chance, 8) != 0;
        site->snapshot.paused = chance_below(&chance, 8) == 0;
        for (size_t f = 0; f < FACT_COUNT; f++) {
            size_t kind = chance_below(&chance, 20);
            site->answers[f] = kind == 0 ? ANSWER_YES : kind == 1 ? ANSWER_UNAVAILABLE : ANSWER_NO;
        }
        hold_chat(&chat, &chance, site, &client);
        ck_assert(!transaction_failed(chat.t));
        size_t count;
        const struct effect *effects = transaction_effects(chat.t, &count);
        const struct reply *reply = transaction_reply(chat.t);
        ck_assert(reply->kind != REPLY_CONTINUE);
        ck_assert(reply->kind == REPLY_ACCEPT || count == 0);
        ck_assert(!site->snapshot.paused || reply->kind == REPLY_ACCEPT);
        ck_assert(!client.local || reply->kind == REPLY_ACCEPT);
        ck_assert(transaction_wants(chat.t) != 0 || count == 0);
        check_order(effects, count);
        for (size_t r = 0; r < chat.count; r++) {
            check_recipient(&chat, site, r, effects, count);
        }
        check_added(&chat, site, effects, count);
        transaction_free(chat.t);
        site_free(site);
    }
}
END_TEST

/* Addresses from the network are anything. */
START_TEST(test_random_octets)
{
    static const char *const alphabets[] = {NULL, "prvs=0123456789abc+@.\"", "<@:>\\\"=a ,"};
    struct chance chance = {99};
    struct site *site = site_make();
    for (int i = 0; i < 5000; i++) {
        struct client client = client_of((enum who)chance_below(&chance, WHO_COUNT));
        struct transaction *t = transaction_new(&site->snapshot, &client);
        char raw[3][160];
        for (size_t k = 0; k < COUNT_OF(raw); k++) {
            const char *alphabet = alphabets[chance_below(&chance, COUNT_OF(alphabets))];
            chance_text(&chance, alphabet, raw[k], chance_below(&chance, 100));
            strcat(raw[k], chance_below(&chance, 2) == 0 ? "@example.com" : "@mark.example>");
        }
        transaction_mail(t, chance_below(&chance, 2) == 0 ? "<>" : raw[0], raw[1]);
        transaction_rcpt(t, raw[1], (const char *const[]){raw[0], raw[2], NULL}, now_of_site());
        transaction_rcpt(t, raw[2], NULL, now_of_site());
        decide(t, site);
        ck_assert(!transaction_failed(t));
        size_t count;
        const struct decision *decisions = transaction_decisions(t, &count);
        for (size_t k = 0; k < count; k++) {
            char line[DECISION_LINE];
            decision_format(&decisions[k], line, sizeof line);
            ck_assert_ptr_null(strpbrk(line, "\r\n"));
        }
        const struct effect *effects = transaction_effects(t, &count);
        for (size_t k = 0; k < count; k++) {
            const char *value = effects[k].value != NULL ? effects[k].value : "";
            if (effects[k].kind == EFFECT_ADD_HEADER) { /* folding is the only line break in it */
                const char *end = strpbrk(value, "\r\n");
                ck_assert(end == NULL || (end[0] == '\n' && end[1] == '\t'));
            }
        }
        ck_assert_ptr_null(strpbrk(transaction_reply(t)->text, "\r\n"));
        transaction_free(t);
    }
    site_free(site);
}
END_TEST

static void add_table(Suite *suite, const char *name, const TTest *test, size_t count)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test, 0, (int)count);
    suite_add_tcase(suite, tcase);
}

int main(void)
{
    Suite *suite = suite_create("transaction");
    add_table(suite, "signing", test_signing, COUNT_OF(signing));
    add_table(suite, "relayed unsigned", test_relayed, COUNT_OF(relayed));
    add_table(suite, "bounces", test_bounces, COUNT_OF(bounces));
    add_table(suite, "exclusions", test_exclusions, COUNT_OF(exclusions));
    add_table(suite, "several recipients", test_several, COUNT_OF(several));
    add_table(suite, "ordinary mail", test_ordinary, COUNT_OF(ordinary));
    add_table(suite, "judged at RCPT", test_at_rcpt, COUNT_OF(at_rcpt));
    add_table(suite, "a newer ring", test_newer_ring, COUNT_OF(newer));
    add_table(suite, "doubts", test_doubtful, COUNT_OF(doubts));
    add_table(suite, "errors", test_errors, COUNT_OF(errors));
    add_table(suite, "chance", test_random_conversations, 10);

    TCase *tcase = tcase_create("events");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_newer_ring_after_rcpt);
    tcase_add_test(tcase, test_reply_on_error);
    tcase_add_test(tcase, test_aborted_anywhere);
    tcase_add_test(tcase, test_questions);
    tcase_add_test(tcase, test_random_octets);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
