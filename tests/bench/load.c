/*
 * A load generator that talks to a milter as Postfix does, and sees that it gets the answers that
 * the kind of mail calls for: a filter that does not do its work does not count as fast.
 *
 * As Postfix does it negotiates version 6 with everything on offer, waits for no reply where the
 * filter said it sends none, collects packets until a reply has to be waited for, or smtpd hands
 * over to cleanup (after DATA), or 4096 octets are there, and says ABORT after every message and
 * QUIT at the end. The packets themselves are plan.c's.
 *
 * One thread and an epoll set. Once the first connection has negotiated, the packets of a session
 * are ready, so that sending one is a copy with a few blanks filled in. Every connection owns its
 * buffers, the load owns everything else and lives as long as the program. Writing blocks, reading
 * does not. Whatever goes wrong ends the program with status 1.
 *
 * No two messages have the same Message-ID as long as -o says how many there have been before. The
 * evidence headers that a filter adds can be kept in a file, a line "SERIAL VALUE" each, and be
 * shown to it again by bounces.
 */
#include "plan.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 10000,
    CHUNK = 4096, /* Postfix's stream buffer */
    IN_SIZE = 8192,
    OUT_SIZE = 16384,
    REPLIES_MAX = 128,
    ADDED_MAX = 512,
    TAG_SIZE = 16, /* prvs=KDDDSSSSSS= */
    SERIAL_MAX = 999999999,
    STALL_MS = 20000
};

struct connection {
    int fd; /* -1: not in use */
    bool negotiated;
    bool waiting;
    size_t next; /* step */
    char stage;  /* the one whose reply is awaited */
    char skipped;
    unsigned messages; /* begun in this session */
    unsigned serial;   /* of the message */
    uint64_t begun;    /* the message, in nanoseconds */
    struct outcome outcome;
    char replies[REPLIES_MAX];
    char added[ADDED_MAX]; /* value of the header field that the filter added, "": none */
    size_t in_size;
    size_t out_size;
    unsigned char in[IN_SIZE];
    unsigned char out[OUT_SIZE];
};

/* A message that was let out, by which its bounces can be proven. */
struct proof {
    char serial[SERIAL_SIZE];
    char evidence[EVIDENCE_SIZE];
};

struct load {
    struct sockaddr_storage peer;
    socklen_t peer_size;
    unsigned connections;
    unsigned total;
    unsigned per_session;
    double time_limit;
    unsigned first; /* serial */
    bool negotiate_only;
    bool proof_due;        /* with every message that goes out */
    bool headers_ignored;  /* those that the filter changes */
    const char *recipient; /* the one, where there is no file of them */
    pid_t filter;
    FILE *proofs_out; /* NULL: they are not kept */
    struct proof *proof;
    size_t proofs;
    int epoll;
    struct plan plan;
    struct connection *connection;
    unsigned open;
    unsigned sessions;
    unsigned begun;
    unsigned done;
    uint64_t started;
    uint32_t *latency; /* microseconds, one a message */
    size_t latency_room;
    char replies[REPLIES_MAX]; /* of the first message */
    char added[ADDED_MAX];
};

static uint64_t clock_read(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) != 0)
        err(1, "clock_gettime");
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* ---- connections ---- */

static void connection_flush(struct connection *c)
{
    ssize_t n;

    for (size_t sent = 0; sent < c->out_size; sent += (size_t)n) {
        n = send(c->fd, c->out + sent, c->out_size - sent, MSG_NOSIGNAL);
        if (n < 0)
            err(1, "writing to the filter");
    }
    c->out_size = 0;
}

static void connection_put(struct connection *c, const void *data, size_t size)
{
    if (c->out_size + size > OUT_SIZE)
        connection_flush(c);
    if (size > OUT_SIZE)
        errx(1, "a packet of %zu octets", size);
    memcpy(c->out + c->out_size, data, size);
    c->out_size += size;
}

static void connection_command(struct connection *c, char command)
{
    const unsigned char packet[] = {0, 0, 0, 1, (unsigned char)command};

    connection_put(c, packet, sizeof packet);
}

static void connection_negotiate(struct connection *c)
{
    unsigned char packet[17] = {0, 0, 0, 13, SMFIC_OPTNEG};

    put_u32(packet + 5, SMFI_PROT_VERSION);
    put_u32(packet + 9, ACTIONS_OFFERED);
    put_u32(packet + 13, STEPS_OFFERED);
    connection_put(c, packet, sizeof packet);
    connection_flush(c);
}

static void connection_open(struct load *l, struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

    c->fd = socket(l->peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        err(1, "socket");
    if (connect(c->fd, (const struct sockaddr *)&l->peer, l->peer_size) != 0)
        err(1, "connecting to the filter");
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        err(1, "epoll_ctl");
    c->negotiated = false;
    c->waiting = true;
    c->next = 0;
    c->stage = SMFIC_OPTNEG;
    c->skipped = 0;
    c->messages = 0;
    c->in_size = c->out_size = 0;
    l->open++;
    l->sessions++;
    connection_negotiate(c);
}

static void connection_close(struct load *l, struct connection *c)
{
    connection_command(c, SMFIC_QUIT);
    connection_flush(c);
    close(c->fd);
    c->fd = -1;
    l->open--;
}

/* However short the time, one message is sent. */
static bool load_is_over(const struct load *l)
{
    uint64_t limit = (uint64_t)(l->time_limit * 1e9);

    if (l->negotiate_only || (l->total != 0 && l->begun >= l->total))
        return true;
    return limit != 0 && l->begun > 0 && clock_read(CLOCK_MONOTONIC) - l->started >= limit;
}

/* Takes the next message for this connection, if one is left. */
static bool connection_claim(struct load *l, struct connection *c)
{
    if (load_is_over(l))
        return false;
    c->serial = l->first + l->begun++;
    if (c->serial > SERIAL_MAX)
        errx(1, "there are no more serial numbers");
    return true;
}

static void connection_begin_message(struct connection *c, size_t recipients)
{
    c->messages++;
    c->outcome = (struct outcome){.recipients = recipients};
    c->replies[0] = '\0';
    c->added[0] = '\0';
    c->skipped = 0;
    c->begun = clock_read(CLOCK_MONOTONIC);
}

static void serial_format(unsigned serial, char out[static SERIAL_SIZE + 1])
{
    snprintf(out, SERIAL_SIZE + 1, "%0*u", SERIAL_SIZE, serial);
}

static void blank_fill(const struct load *l, const struct connection *c, enum blank_kind kind,
                       unsigned char *out)
{
    const struct proof *proof = l->proofs > 0 ? &l->proof[c->serial % l->proofs] : NULL;
    char serial[SERIAL_SIZE + 1];

    switch (kind) {
    case BLANK_SERIAL:
        serial_format(c->serial, serial);
        memcpy(out, serial, SERIAL_SIZE);
        break;
    case BLANK_RETURNED:
        memcpy(out, proof->serial, SERIAL_SIZE);
        break;
    case BLANK_EVIDENCE:
        memcpy(out, proof->evidence, EVIDENCE_SIZE);
        break;
    }
}

static void connection_put_step(struct load *l, struct connection *c, const struct step *s)
{
    unsigned char *start;

    connection_put(c, s->blob.data, s->blob.size);
    start = c->out + c->out_size - s->blob.size;
    for (size_t i = 0; i < s->blanks; i++)
        blank_fill(l, c, s->blank[i].kind, start + s->blank[i].at);
    if (s->answered || s->handed_over || (l->peer.ss_family == AF_UNIX && c->out_size >= CHUNK))
        connection_flush(c);
}

/* Sends until a reply is due. The end of a message always has one. */
static void connection_advance(struct load *l, struct connection *c)
{
    const struct step *s;

    while (!c->waiting) {
        s = &l->plan.step[c->next];
        if (c->next == l->plan.first_of_message)
            connection_begin_message(c, l->plan.recipient_count);
        c->next++;
        if (s->stage == c->skipped)
            continue;
        connection_put_step(l, c, s);
        c->waiting = s->answered;
        c->stage = s->stage;
    }
}

static void load_note_latency(struct load *l, uint64_t nanoseconds)
{
    if (l->done == l->latency_room) {
        l->latency_room = l->latency_room * 2 + 4096;
        l->latency = reallocarray(l->latency, l->latency_room, sizeof *l->latency);
        if (l->latency == NULL)
            err(1, "memory");
    }
    l->latency[l->done++] = (uint32_t)(nanoseconds / 1000);
}

static void outcome_check(const struct load *l, const struct connection *c)
{
    const struct outcome *o = &c->outcome;
    bool proof_due = l->proof_due && l->plan.kind->login != NULL;

    if (l->plan.kind->right(o) && o->proof == proof_due)
        return;
    errx(1, "%s: expected: %s, %s evidence header; seen: replies %s%s", l->plan.kind->name,
         l->plan.kind->expected, proof_due ? "with an" : "without", c->replies,
         o->spoiled ? ", with a change that is not right" : "");
}

static void proof_keep(struct load *l, const struct connection *c)
{
    char serial[SERIAL_SIZE + 1];

    if (l->proofs_out == NULL || !c->outcome.proof)
        return;
    serial_format(c->serial, serial);
    fprintf(l->proofs_out, "%s %s\n", serial, c->added);
}

static void connection_end_message(struct load *l, struct connection *c, char letter)
{
    c->outcome.letter = letter;
    outcome_check(l, c);
    proof_keep(l, c);
    if (l->done == 0) {
        memcpy(l->replies, c->replies, sizeof l->replies);
        memcpy(l->added, c->added, sizeof l->added);
    }
    load_note_latency(l, clock_read(CLOCK_MONOTONIC) - c->begun);
    connection_command(c, SMFIC_ABORT);
    c->next = l->plan.first_of_message;
    c->waiting = false;
    if (c->messages < l->per_session && connection_claim(l, c))
        return;
    connection_close(l, c);
    if (!load_is_over(l))
        connection_open(l, c);
}

/* ---- replies ---- */

/* Notes stage and reply as "E:c"; repeated ones (a reply for each header) once. */
static void reply_note(struct connection *c, char letter)
{
    const char entry[] = {'/', c->stage, ':', letter, '\0'};
    size_t size = strlen(c->replies);

    if (size >= 3 && strcmp(c->replies + size - 3, entry + 1) == 0)
        return;
    if (size + sizeof entry > sizeof c->replies)
        errx(1, "too many replies to one message: %s", c->replies);
    memcpy(c->replies + size, entry + (size == 0), sizeof entry - (size == 0));
}

/* Whether an address of a packet, in brackets or not, is this one, after a tag or without. */
static bool reply_names(const unsigned char *data, size_t size, const char *tag,
                        const char *address)
{
    size_t length = strnlen((const char *)data, size);
    bool bracketed = length >= 2 && data[0] == '<' && data[length - 1] == '>';
    size_t prefix = *tag == '\0' ? 0 : TAG_SIZE;

    data += bracketed;
    length -= bracketed ? 2 : 0;
    return length == prefix + strlen(address) && memcmp(data, tag, strlen(tag)) == 0 &&
           memcmp(data + prefix, address, strlen(address)) == 0;
}

/* Whether a header field is the evidence header; its value then is kept, unfolded. */
static bool reply_is_proof(struct connection *c, const unsigned char *data, size_t size)
{
    const char *name = (const char *)data;
    const char *value = memchr(name, '\0', size);
    size_t used = 0;

    if (value == NULL || strcmp(name, EVIDENCE_HEADER) != 0)
        return false;
    for (value++; value < name + size && *value != '\0' && used + 1 < sizeof c->added; value++)
        if (*value != '\n' && *value != '\r')
            c->added[used++] = (char)(*value == '\t' ? ' ' : *value);
    c->added[used] = '\0';
    return strncmp(c->added, "v=1; d=", 7) == 0;
}

/* Whether it is the next recipient that is removed, or whose plain form is added. */
static bool reply_is_recipient(const struct load *l, size_t turn, bool plain,
                               const unsigned char *data, size_t size)
{
    const char *recipient;

    if (turn >= l->plan.recipient_count)
        return false;
    recipient = l->plan.recipients[turn];
    if (plain && strncmp(recipient, "prvs=", 5) == 0 && strlen(recipient) > TAG_SIZE)
        recipient += TAG_SIZE;
    return reply_names(data, size, "", recipient);
}

static bool reply_is_of_header(char letter)
{
    return letter == SMFIR_ADDHEADER || letter == SMFIR_INSHEADER || letter == SMFIR_CHGHEADER;
}

/* A change asked for at the end of the message. Returns false if the reply is none. */
static bool reply_is_change(const struct load *l, struct connection *c, char letter,
                            const unsigned char *data, size_t size)
{
    struct outcome *o = &c->outcome;
    bool right;

    if (l->headers_ignored && reply_is_of_header(letter))
        return true;
    switch (letter) {
    case SMFIR_CHGFROM:
        right = !o->tagged && reply_names(data, size, "prvs=", l->plan.kind->sender);
        o->tagged = true;
        break;
    case SMFIR_DELRCPT:
        right = reply_is_recipient(l, o->removed++, false, data, size);
        break;
    case SMFIR_ADDRCPT:
    case SMFIR_ADDRCPT_PAR:
        right = reply_is_recipient(l, o->added++, true, data, size);
        break;
    case SMFIR_ADDHEADER:
        right = !o->proof && reply_is_proof(c, data, size);
        o->proof = true;
        break;
    case SMFIR_INSHEADER: /* its place comes first */
        right = !o->proof && size > 4 && reply_is_proof(c, data + 4, size - 4);
        o->proof = true;
        break;
    case SMFIR_CHGHEADER:
    case SMFIR_QUARANTINE:
    case SMFIR_REPLBODY:
        right = false;
        break;
    default:
        return false;
    }
    o->spoiled = o->spoiled || !right;
    return true;
}

static void reply_to_negotiation(struct load *l, struct connection *c, char letter,
                                 const unsigned char *data, size_t size)
{
    if (letter != SMFIC_OPTNEG)
        errx(1, "reply '%c' to the negotiation", letter);
    plan_negotiated(&l->plan, data, size);
    c->negotiated = true;
    c->waiting = false;
    if (!connection_claim(l, c))
        connection_close(l, c);
}

static void reply_take(struct load *l, struct connection *c, char letter, const unsigned char *data,
                       size_t size)
{
    bool of_session = c->stage == SMFIC_CONNECT || c->stage == SMFIC_HELO;

    if (letter == SMFIR_PROGRESS)
        return;
    if (!of_session)
        reply_note(c, letter);
    if (c->stage == SMFIC_BODYEOB && reply_is_change(l, c, letter, data, size))
        return;
    c->outcome.code = size > 0 ? (char)data[0] : 0;
    switch (letter) {
    case SMFIR_SKIP:
        if (c->stage != SMFIC_BODY && c->stage != SMFIC_HEADER)
            errx(1, "reply 's' to '%c'", c->stage);
        c->skipped = c->stage;
        c->waiting = false;
        return;
    case SMFIR_CONTINUE:
        c->waiting = false;
        if (c->stage == SMFIC_BODYEOB)
            connection_end_message(l, c, letter);
        return;
    case SMFIR_ACCEPT:
    case SMFIR_REJECT:
    case SMFIR_TEMPFAIL:
    case SMFIR_DISCARD:
    case SMFIR_REPLYCODE:
        if (of_session)
            errx(1, "reply '%c' to '%c' ends the session", letter, c->stage);
        connection_end_message(l, c, letter);
        return;
    default:
        errx(1, "reply '%c' to '%c'", letter, c->stage);
    }
}

/* Takes the packets that are there whole, one after the other. */
static void connection_take(struct load *l, struct connection *c)
{
    size_t used = 0;
    unsigned session = l->sessions;
    const unsigned char *packet;
    uint32_t size;

    while (c->in_size - used >= 5) {
        packet = c->in + used;
        size = get_u32(packet);
        if (size < 1 || size + 4 > IN_SIZE)
            errx(1, "a reply of %u octets", size);
        if (c->in_size - used < size + 4)
            break;
        used += size + 4;
        if (!c->waiting)
            errx(1, "reply '%c' where none is due, after '%c'", packet[4], c->stage);
        if (!c->negotiated)
            reply_to_negotiation(l, c, (char)packet[4], packet + 5, size - 1);
        else
            reply_take(l, c, (char)packet[4], packet + 5, size - 1);
        if (c->fd < 0 || l->sessions != session)
            return;
    }
    c->in_size -= used;
    memmove(c->in, c->in + used, c->in_size);
    connection_advance(l, c);
}

static void connection_read(struct load *l, struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_size, IN_SIZE - c->in_size, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        err(1, "reading from the filter");
    if (n == 0)
        errx(1, "the filter closed the connection after '%c'", c->stage);
    c->in_size += (size_t)n;
    connection_take(l, c);
}

/* ---- the run ---- */

static void load_run(struct load *l)
{
    struct epoll_event events[64];
    int n;

    l->started = clock_read(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < l->connections; i++)
        connection_open(l, &l->connection[i]);
    while (l->open > 0) {
        n = epoll_wait(l->epoll, events, sizeof events / sizeof events[0], STALL_MS);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err(1, "epoll_wait");
        if (n == 0)
            errx(1, "no reply for %d s, %u messages done", STALL_MS / 1000, l->done);
        for (int i = 0; i < n; i++)
            connection_read(l, events[i].data.ptr);
    }
}

static int latency_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void load_print_negotiated(const struct load *l)
{
    printf("actions=0x%x steps=0x%x", l->plan.actions, l->plan.steps);
    for (int i = 0; i <= SMFIM_LAST; i++)
        if (l->plan.macros[i] != NULL)
            printf(" macros%d=\"%s\"", i, l->plan.macros[i]);
}

static void load_print(struct load *l, double seconds, double cpu)
{
    if (!l->negotiate_only) {
        qsort(l->latency, l->done, sizeof *l->latency, latency_compare);
        printf("kind=%s connections=%u sessions=%u messages=%u seconds=%.3f rate=%.0f p50_us=%u "
               "p99_us=%u ",
               l->plan.kind->name, l->connections, l->sessions, l->done, seconds, l->done / seconds,
               l->latency[l->done / 2], l->latency[l->done - 1 - l->done / 100]);
        if (l->filter != 0)
            printf("cpu_us=%.2f ", cpu * 1e6 / l->done);
        printf("replies=%s ", l->replies);
        if (l->added[0] != '\0')
            printf("added=\"%s: %s\" ", EVIDENCE_HEADER, l->added);
    }
    load_print_negotiated(l);
    putchar('\n');
}

/* ---- options ---- */

static void usage(void)
{
    fprintf(stderr,
            "usage: load -s unix:PATH|inet:PORT@ADDRESS [-k KIND] [-r RECIPIENT]\n"
            "            [-c CONNECTIONS] [-n MESSAGES] [-t SECONDS] [-m MESSAGES-A-SESSION]\n"
            "            [-o FIRST-SERIAL] [-p PID-OF-THE-FILTER] [-x] [-w FILE] [-e FILE]\n"
            "            [-R FILE] [-y] [-N]\n"
            "kinds:");
    for (size_t i = 0; kind_at(i) != NULL; i++)
        fprintf(stderr, " %s", kind_at(i)->name);
    fprintf(stderr, " (bounce takes the tagged recipient by -r, proven takes -e)\n"
                    "-x  what goes out has to get an evidence header, and without -x none\n"
                    "-w  keep these headers in a file\n"
                    "-e  return the headers in such a file, one after the other\n"
                    "-R  send each message to all the addresses in a file, one a line\n"
                    "-y  whatever header fields the filter adds or changes are its own affair\n"
                    "-N  only negotiate and print the result\n");
    exit(2);
}

static unsigned long parse_number(const char *text, unsigned long min, unsigned long max)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < min || n > max)
        errx(2, "%s: a number from %lu to %lu is expected", text, min, max);
    return n;
}

static double parse_seconds(const char *text)
{
    char *end;
    double n = strtod(text, &end);

    if (end == text || *end != '\0' || !(n > 0 && n < 86400))
        errx(2, "%s: seconds are expected", text);
    return n;
}

static const struct kind *parse_kind(const char *name)
{
    const struct kind *k = kind_find(name);

    if (k == NULL)
        errx(2, "%s: no such kind of message", name);
    return k;
}

static void parse_unix(struct load *l, const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&l->peer;

    if (strlen(path) >= sizeof un->sun_path)
        errx(2, "%s: too long for a socket", path);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, strlen(path) + 1);
    l->peer_size = sizeof *un;
}

static void parse_inet(struct load *l, const char *text)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&l->peer;
    const char *at = strchr(text, '@');
    char port[8] = "";

    if (at == NULL || (size_t)(at - text) >= sizeof port)
        errx(2, "inet:%s: inet:PORT@ADDRESS is expected", text);
    memcpy(port, text, (size_t)(at - text));
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)parse_number(port, 1, 65535));
    if (inet_pton(AF_INET, at + 1, &in->sin_addr) != 1)
        errx(2, "%s: an IPv4 address is expected", at + 1);
    l->peer_size = sizeof *in;
}

static void parse_socket(struct load *l, const char *text)
{
    if (strncmp(text, "unix:", 5) == 0)
        parse_unix(l, text + 5);
    else if (strncmp(text, "inet:", 5) == 0)
        parse_inet(l, text + 5);
    else
        errx(2, "%s: unix:PATH or inet:PORT@ADDRESS is expected", text);
}

static void parse_proof(const char *line, struct proof *out)
{
    if (strspn(line, "0123456789") != SERIAL_SIZE || line[SERIAL_SIZE] != ' ' ||
        strlen(line + SERIAL_SIZE + 1) != EVIDENCE_SIZE + 1)
        errx(1, "%s: no evidence header of the usual length", line);
    memcpy(out->serial, line, SERIAL_SIZE);
    memcpy(out->evidence, line + SERIAL_SIZE + 1, EVIDENCE_SIZE);
}

static void parse_proofs(struct load *l, const char *path)
{
    FILE *f = fopen(path, "r");
    char line[SERIAL_SIZE + 1 + ADDED_MAX + 2];
    size_t room = 0;

    if (f == NULL)
        err(1, "%s", path);
    while (fgets(line, sizeof line, f) != NULL) {
        if (l->proofs == room) {
            room = room * 2 + 256;
            l->proof = reallocarray(l->proof, room, sizeof *l->proof);
            if (l->proof == NULL)
                err(1, "memory");
        }
        parse_proof(line, &l->proof[l->proofs++]);
    }
    if (l->proofs == 0)
        errx(1, "%s: there is nothing in it", path);
    fclose(f);
}

static void parse_recipients(struct load *l, const char *path)
{
    FILE *f = fopen(path, "r");
    char **list = NULL;
    size_t count = 0;
    size_t size;

    if (f == NULL)
        err(1, "%s", path);
    for (ssize_t length;; list[count++][length - 1] = '\0') {
        list = reallocarray(list, count + 1, sizeof *list);
        if (list == NULL)
            err(1, "memory");
        list[count] = NULL;
        size = 0;
        length = getline(&list[count], &size, f);
        if (length <= 0)
            break;
        if (list[count][length - 1] != '\n')
            errx(1, "%s: the last line has no end", path);
    }
    if (count == 0)
        errx(1, "%s: there is nothing in it", path);
    l->plan.recipients = (const char *const *)list;
    l->plan.recipient_count = count;
    fclose(f);
}

static FILE *parse_output(const char *path)
{
    FILE *f = fopen(path, "w");

    if (f == NULL)
        err(1, "%s", path);
    return f;
}

static void parse_option(struct load *l, int option, const char *value)
{
    switch (option) {
    case 's':
        parse_socket(l, value);
        break;
    case 'k':
        l->plan.kind = parse_kind(value);
        break;
    case 'r':
        l->recipient = value;
        break;
    case 'R':
        parse_recipients(l, value);
        break;
    case 'y':
        l->headers_ignored = true;
        break;
    case 'c':
        l->connections = (unsigned)parse_number(value, 1, CONNECTIONS_MAX);
        break;
    case 'n':
        l->total = (unsigned)parse_number(value, 1, 1000000000);
        break;
    case 't':
        l->time_limit = parse_seconds(value);
        break;
    case 'm':
        l->per_session = (unsigned)parse_number(value, 1, 1000000000);
        break;
    case 'o':
        l->first = (unsigned)parse_number(value, 0, SERIAL_MAX);
        break;
    case 'x':
        l->proof_due = true;
        break;
    case 'w':
        l->proofs_out = parse_output(value);
        break;
    case 'e':
        parse_proofs(l, value);
        break;
    case 'p':
        l->filter = (pid_t)parse_number(value, 1, INT_MAX);
        break;
    case 'N':
        l->negotiate_only = true;
        break;
    default:
        usage();
    }
}

/* Without a file of recipients there is one: the kind's, or for a bounce that of -r. */
static void load_settle_recipient(struct load *l)
{
    if (l->plan.kind->recipient != NULL && l->recipient != NULL)
        errx(2, "-r is for the kind bounce");
    if (l->plan.recipient_count > 0)
        return;
    if (l->recipient == NULL)
        l->recipient = l->plan.kind->recipient;
    if (l->recipient == NULL)
        errx(2, "-r RECIPIENT is needed for the kind %s", l->plan.kind->name);
    l->plan.recipients = &l->recipient;
    l->plan.recipient_count = 1;
}

static void load_parse(struct load *l, int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "s:k:r:c:n:t:m:o:p:xw:e:R:yN")) != -1;)
        parse_option(l, option, optarg);
    if (optind != argc || l->peer_size == 0)
        usage();
    load_settle_recipient(l);
    if (l->plan.kind->proven && l->proofs == 0)
        errx(2, "-e FILE is needed for the kind %s", l->plan.kind->name);
    if (l->negotiate_only)
        l->connections = 1;
    else if (l->total == 0 && !(l->time_limit > 0))
        l->total = 10000;
}

static void load_prepare(struct load *l)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->connection = calloc(l->connections, sizeof *l->connection);
    if (l->epoll < 0 || l->connection == NULL)
        err(1, "preparing");
}

int main(int argc, char **argv)
{
    static struct load l = {.connections = 1, .per_session = 100};
    clockid_t filter_clock = 0;
    uint64_t cpu = 0;

    l.plan.kind = kind_at(0);
    load_parse(&l, argc, argv);
    load_prepare(&l);
    if (l.filter != 0 && clock_getcpuclockid(l.filter, &filter_clock) != 0)
        errx(1, "process %ld has no clock", (long)l.filter);
    if (l.filter != 0)
        cpu = clock_read(filter_clock);
    load_run(&l);
    if (l.filter != 0)
        cpu = clock_read(filter_clock) - cpu;
    load_print(&l, (double)(clock_read(CLOCK_MONOTONIC) - l.started) / 1e9, (double)cpu / 1e9);
    if (l.proofs_out != NULL && fclose(l.proofs_out) != 0)
        err(1, "writing evidence headers");
    return 0;
}
