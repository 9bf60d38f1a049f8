/* The site of the conversations, and the runner that writes down what comes of one. */
#include "conversation.h"

/* ---------------------------------------------------------------- the site */

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

time_t now_of_site(void)
{
    return noon_of(TODAY);
}

/* A year older than anything here, so that "not in the journal" means not sent. */
static time_t journal_birth_of_site(void)
{
    return noon_of(TODAY - 365);
}

void add_evidence_secret(struct ring *ring, unsigned seed)
{
    uint8_t octets[SECRET_SIZE];
    memset(octets, (int)seed, sizeof octets);
    ck_assert_int_eq(ring_rotate_evidence(ring, octets), STATUS_OK);
}

/* A ring with nothing but this evidence secret. */
static struct ring *evidence_ring(unsigned seed)
{
    struct ring *ring = ring_new();
    ck_assert_ptr_nonnull(ring);
    add_evidence_secret(ring, seed);
    return ring;
}

struct ring *site_ring(void)
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
    ring_domain_tag_seen(ring, "example.com", noon_of(TODAY - 20));
    add_evidence_secret(ring, FORMER_SECRET);
    add_evidence_secret(ring, PRESENT_SECRET);
    ring->generation = 12;
    return ring;
}

struct site *site_make(void)
{
    struct site *site = calloc(1, sizeof *site);
    struct settings *settings = settings_for(site_domains, COUNT_OF(site_domains));
    settings->internal_networks = NETWORKS("10.0.0.0/8", "127.0.0.0/8", "::1");
    settings->mail_servers = NETWORKS("198.51.100.0/24", "10.0.0.0/8");
    settings->relays = NETWORKS("10.9.9.9");
    settings->exclude_networks = NETWORKS("203.0.113.0/24");
    settings->exclude_hosts = HOSTS("mx.partner.test");
    settings->exclude_recipients = PATTERNS("postmaster@*", "abuse@*", "SRS0=*@*", "SRS1=*@*");
    settings->exclude_sign_senders = PATTERNS("nosign@*");
    settings->exclude_sign_recipients =
        PATTERNS("*@lists.test", "*@*.unsigned.test", "*@*.partner.test", "one@x.test");
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
    site->former = evidence_ring(FORMER_SECRET);
    site->forger = evidence_ring(FORGED_SECRET);
    site->snapshot =
        (struct snapshot){.settings = settings, .ring = site->ring, .proven = settings->relays};
    site->mailer = "smtp";
    return site;
}

void site_evidence(struct site *site)
{
    site->settings->evidence = (struct evidence_policy){.enabled = true,
                                                        .header = true,
                                                        .tag_in_body = true,
                                                        .journal = true,
                                                        .max_body = 1048576,
                                                        .retain_days = 30};
    site->snapshot.journal_birth = journal_birth_of_site();
    site->class = BOUNCE_DSN;
    site->names_message_id = true;
}

void site_free(struct site *site)
{
    settings_free(site->settings);
    ring_free(site->ring);
    ring_free(site->newer);
    ring_free(site->all);
    ring_free(site->former);
    ring_free(site->forger);
    free(site);
}

/* ----------------------------------------------------------------- clients */

struct client client_of(enum who who)
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
        [NO_SIGN_NETWORK_NAMED] = {"scanner.example.com", "10.5.1.2", 40001},
    };
    struct client client = {
        .name = clients[who].name, .address = clients[who].address, .server = "mx.example.com"};
    bool has_address = client.address != NULL;
    ck_assert(!has_address || ip_parse(client.address, &client.ip));
    client.local = client_is_local(client.name, has_address ? &client.ip : NULL, clients[who].port);
    return client;
}

/* -------------------------------------------------------------------- text */

void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->out + text->used, TEXT - text->used, format, arguments);
    va_end(arguments);
    text->used += (size_t)length;
    ck_assert_uint_lt(text->used, TEXT);
}

void add_tagged(struct text *text, const struct site *site, const char *when, const char *plain)
{
    enum tag_syntax syntax = *plain == '+' ? TAG_SUBADDRESS : TAG_PREFIX;
    struct address address;
    size_t length = strcspn(plain, "~");
    const char *extension = plain + length + (plain[length] == '~');
    char *bare = strndup(plain, length);
    ck_assert_int_eq(address_parse(bare + (*plain == '+'), &address), STATUS_OK);
    free(bare);
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
    const char *at = strrchr(tagged, '@');
    at -= at[-1] == '"';
    text_add(text, "%.*s%s%s", (int)(at - tagged), tagged, extension, at);
    free(tagged);
    address_free(&address);
}

const struct nonces site_nonces = {.evidence = {0x5a, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xff},
                                   .id = {0xc0, [15] = 0x0d}};

/* False: when is no word of evidence's. "evidence:ID" has the nonce of that Message-ID. */
static bool add_evidence(struct text *text, const struct site *site, const char *when,
                         const char *addresses)
{
    static const char word[] = "evidence";
    const struct ring *ring = strncmp(when, word, sizeof word - 1) == 0 ? site->all
                              : strcmp(when, "former") == 0             ? site->former
                              : strcmp(when, "forged") == 0             ? site->forger
                                                                        : NULL;
    if (ring == NULL) {
        return false;
    }
    int days = ring == site->all ? (int)strtol(when + sizeof word - 1, NULL, 10) : 0;
    uint8_t nonce[EVIDENCE_NONCE];
    memcpy(nonce, site_nonces.evidence, sizeof nonce);
    if (ring == site->all && when[sizeof word - 1] == ':') {
        ck_assert_int_eq(evidence_nonce(ring, 0, when + sizeof word, nonce), STATUS_OK);
    }
    char *copy = strdup(addresses);
    const char *list[EVIDENCE_ADDRESSES];
    size_t count = 0;
    for (char *rest = copy; rest != NULL;) {
        ck_assert_uint_lt(count, COUNT_OF(list));
        list[count++] = strsep(&rest, ",");
    }
    char *value = NULL;
    ck_assert_int_eq(evidence_format(ring, list, count, nonce, noon_of(TODAY + days), &value),
                     STATUS_OK);
    text_add(text, "%s", value);
    free(value);
    free(copy);
    return true;
}

void expand(struct text *text, const struct site *site, const char *from)
{
    while (*from != '\0') {
        size_t literal = strcspn(from, "{");
        text_add(text, "%.*s", (int)literal, from);
        from += literal;
        if (*from == '{') {
            const char *space = strchr(from, ' ');
            const char *end = strchr(from, '}');
            ck_assert(space != NULL && end != NULL && space < end);
            char *when = strndup(from + 1, (size_t)(space - from - 1));
            char *plain = strndup(space + 1, (size_t)(end - space - 1));
            if (!add_evidence(text, site, when, plain)) {
                add_tagged(text, site, when, plain);
            }
            free(when);
            free(plain);
            from = end + 1;
        }
    }
}

/* ------------------------------------------------------------ conversations */

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

void give_mail(struct transaction *t, const char *sender, const char *user)
{
    transaction_mail(t, &(struct mail_event){.sender = sender, .user = user});
}

void give_rcpt(struct transaction *t, const char *recipient)
{
    transaction_rcpt(t, &(struct rcpt_event){.recipient = recipient, .now = now_of_site()});
}

void give_field(struct transaction *t, const char *name, const char *value)
{
    transaction_header(t, &(struct header_event){.name = name, .value = value});
}

void give_answer_field(struct transaction *t, const char *name, const char *address)
{
    transaction_header(t, &(struct header_event){name, address, &address, 1});
}

void give_end(struct transaction *t)
{
    transaction_end(t, &(struct end_event){.now = now_of_site()});
}

void give_answer(struct transaction *t, const struct question *question, enum answer answer)
{
    transaction_answer(t, question, &(struct finding){.answer = answer});
}

const struct reply *reply_to_recipient(struct transaction *t)
{
    struct question question;
    while (transaction_asks(t, &question)) {
        give_answer(t, &question, ANSWER_NO);
    }
    return transaction_reply(t);
}

void give_recipient(struct transaction *t, const struct site *site, const char *raw,
                    struct text *text)
{
    struct text expanded = {.used = 0};
    const char *arguments[8] = {NULL};
    size_t count = 0;

    expand(&expanded, site, raw);
    char *rest = expanded.out;
    const char *address = strsep(&rest, "|");
    while (rest != NULL) {
        ck_assert_uint_lt(count, COUNT_OF(arguments) - 1);
        arguments[count++] = strsep(&rest, "|");
    }
    transaction_rcpt(t, &(struct rcpt_event){.recipient = address,
                                             .mailer = site->mailer,
                                             .arguments = count > 0 ? arguments : NULL,
                                             .now = now_of_site()});
    if (site->renews && site->settings->reject_at_rcpt && transaction_doubtful(t)) {
        transaction_renew(t, site->newer);
    }
    const struct reply *reply = reply_to_recipient(t);
    if (reply->kind != REPLY_CONTINUE) {
        text_add(text, "rcpt ");
        add_reply(text, reply);
    }
}

static void add_wants(struct text *text, const struct transaction *t)
{
    static const char *const wants[] = {
        "nothing", "headers",      "body",      "headers, body",
        "end",     "headers, end", "body, end", "headers, body, end"};
    ck_assert_uint_lt(transaction_wants(t), COUNT_OF(wants));
    text_add(text, "wants %s\n", wants[transaction_wants(t)]);
}

void give_header(struct transaction *t, const struct site *site, const char *line)
{
    struct text expanded = {.used = 0};
    expand(&expanded, site, line);
    char *colon = strstr(expanded.out, ": ");
    ck_assert_ptr_nonnull(colon);
    *colon = '\0';
    give_field(t, expanded.out, colon + 2);
}

void give_headers(struct transaction *t, const struct conversation *c, const struct site *site)
{
    if ((transaction_wants(t) & WANT_HEADERS) == 0) {
        return;
    }
    give_field(t, "Received", "");
    for (unsigned i = 0; i < c->marks; i++) {
        give_field(t, i % 2 == 0 ? "X-Batv-Result" : "x-batv-result", "");
        give_field(t, "X-Batv-Results", "");
        give_field(t, "Batv-Result", "");
    }
    for (size_t i = 0; i < COUNT_OF(c->headers) && c->headers[i] != NULL; i++) {
        give_header(t, site, c->headers[i]);
    }
    for (size_t i = 0; i < COUNT_OF(c->answers) && c->answers[i] != NULL; i++) {
        struct text expanded = {.used = 0};
        expand(&expanded, site, c->answers[i]);
        bool from = strncmp(expanded.out, "From ", 5) == 0;
        ck_assert(transaction_reads_header(t));
        give_answer_field(t, from ? "From" : "Reply-To", expanded.out + (from ? 5 : 0));
    }
}

void answer(struct transaction *t, const struct site *site, const struct question *question)
{
    struct finding finding = {.answer = site->answers[question->fact]};
    bool searched = finding.answer != ANSWER_OVERLOADED && finding.answer != ANSWER_UNAVAILABLE;
    if (fact_row(question->fact)->reads && searched) {
        finding.read = true;
        finding.class = site->class;
        finding.names_message_id = site->names_message_id;
    }
    if (question->fact == FACT_RCPT_NETWORK && finding.answer == ANSWER_YES) {
        finding.entry = "192.0.2.0/24";
        finding.recipient = site->network_recipient;
    }
    transaction_answer(t, question, &finding);
}

void decide(struct transaction *t, const struct site *site)
{
    bool has_nonces = transaction_goes_out(t) && !site->no_nonce;
    const struct end_event end = {has_nonces ? &site_nonces : NULL, now_of_site()};
    struct question question;
    bool asks = false;
    bool wants_body = (transaction_wants(t) & WANT_BODY) != 0;
    transaction_end(t, &end);
    if (site->renews && transaction_doubtful(t)) {
        transaction_renew(t, site->newer);
    }
    while (transaction_asks(t, &question)) {
        answer(t, site, &question);
        asks = asks || fact_row(question.fact)->reads;
    }
    ck_assert(asks == wants_body || site->renews || transaction_failed(t));
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
        case EFFECT_APPEND_HEADER:
            text_add(text, "append header %s: %s\n", e->name, e->value);
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

/* "out ADDRESS,ADDRESS id=ID recipients=N owners=ADDRESS,ADDRESS", of the addresses with evidence
 * and of the owners of lists, if any; nothing where the message does not go out. */
static void add_outgoing(struct text *text, const struct transaction *t)
{
    const struct outgoing *outgoing = transaction_outgoing(t);
    if (outgoing == NULL) {
        return;
    }
    text_add(text, "out ");
    for (size_t i = 0; i < outgoing->proven; i++) {
        text_add(text, "%s%s", i > 0 ? "," : "", outgoing->addresses[i]);
    }
    text_add(text, "%s id=%s recipients=%zu%s", outgoing->proven == 0 ? "-" : "",
             outgoing->message_id != NULL ? outgoing->message_id : "-", outgoing->recipients,
             outgoing->journaled ? "" : " not-journaled");
    for (size_t i = 0; i < outgoing->owner_count; i++) {
        text_add(text, "%s%s", i > 0 ? "," : " owners=", outgoing->owners[i]);
    }
    text_add(text, "\n");
}

struct transaction *hold(const struct conversation *c, const struct site *site,
                         const struct client *client, struct text *text)
{
    struct text sender = {.used = 0};
    struct transaction *t = transaction_new(&site->snapshot, client);
    ck_assert_ptr_nonnull(t);
    expand(&sender, site, c->sender);
    give_mail(t, sender.out, c->user);
    for (size_t i = 0; i < COUNT_OF(c->recipients) && c->recipients[i] != NULL; i++) {
        give_recipient(t, site, c->recipients[i], text);
    }
    add_wants(text, t);
    give_headers(t, c, site);
    decide(t, site);
    add_effects(text, t);
    add_reply(text, transaction_reply(t));
    add_decisions(text, t);
    add_outgoing(text, t);
    return t;
}

void check_conversation(const struct conversation *c)
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
