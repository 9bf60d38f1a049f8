/*
 * The milter protocol under libFuzzer: the input is a site's switches, and then what a peer writes
 * on its connection, to the daemon's real inside under the real libmilter, in this process. Packets
 * are written as given: their lengths are made right, unless the input says otherwise, and it may
 * end anywhere. Whatever comes, what is answered is made of whole packets that the protocol knows,
 * changes come before the answer to the end of a message only, and the connection ends.
 *
 * About once in fifty thousand connections libmilter forgets to look at one until something else
 * happens (its pool of workers misses a wake-up); so another connection is made where nothing has
 * happened for a while.
 */
#include "site.h"

#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { PACKETS = 200, OUT_MAX = 1 << 17, PATIENCE_MS = 1000, PATIENCE = 8 };

static struct sockaddr_un place = {.sun_family = AF_UNIX};
static socklen_t place_length;
static int listening;
static struct adapter the_adapter;
static struct oracle_set oracles;
static struct evidence_returned returned;

static void *run_adapter(void *unused)
{
    struct reason why;
    (void)unused;
    adapter_run(&the_adapter, listening, &why);
    abort();
}

/* An address of its own in the abstract name space. */
static void make_listener(void)
{
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    place_length = sizeof place;
    require(listening >= 0 && bind(listening, (struct sockaddr *)&place, sizeof(sa_family_t)) == 0);
    require(getsockname(listening, (struct sockaddr *)&place, &place_length) == 0);
    require(listen(listening, 16) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    sigset_t signals;
    pthread_t thread;
    (void)argc;
    (void)argv;
    site_make();
    make_listener();
    the_adapter.oracles = &oracles;
    the_adapter.pool = site.pool;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    require(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
    require(pthread_create(&thread, NULL, run_adapter, NULL) == 0);
    return 0;
}

/* ------------------------------------------------------------------- writing */

struct out {
    uint8_t octets[OUT_MAX];
    size_t used;
};

static void put(struct out *out, const void *octets, size_t length)
{
    length = length < OUT_MAX - out->used ? length : OUT_MAX - out->used;
    memcpy(out->octets + out->used, octets, length);
    out->used += length;
}

static void put_packet(struct out *out, char command, const void *octets, size_t length)
{
    uint32_t size = htonl((uint32_t)length + 1);
    put(out, &size, sizeof size);
    put(out, &command, 1);
    put(out, octets, length);
}

/* What every peer begins with. */
static void put_options(struct out *out, uint32_t actions, uint32_t steps)
{
    uint32_t numbers[] = {htonl(SMFI_PROT_VERSION), htonl(actions), htonl(steps)};
    put_packet(out, SMFIC_OPTNEG, numbers, sizeof numbers);
}

/* A line of the input is a packet: its command, its content, in which `\` stands for a NUL. Behind
 * a `=` it is written as it is, without any length. */
static void put_line(struct out *out, const uint8_t *line, size_t length)
{
    uint8_t *copy = malloc(length + 1);
    require(copy != NULL);
    for (size_t i = 0; i < length; i++) {
        copy[i] = line[i] == '\\' ? 0 : line[i] == 0x7f ? '\n' : line[i];
    }
    if (length > 0 && copy[0] == '=') {
        put(out, copy + 1, length - 1);
    } else if (length > 0) {
        put_packet(out, (char)copy[0], copy + 1, length - 1);
    }
    free(copy);
}

static void write_input(struct input *input, struct out *out)
{
    out->used = 0;
    if (take_octet(input) % 8 != 7) {
        put_options(out, 0x1ff, 0x1fffff);
    }
    while (!input_over(input)) {
        size_t left = (size_t)(input->end - input->at);
        const uint8_t *newline = memchr(input->at, '\n', left);
        size_t length = newline != NULL ? (size_t)(newline - input->at) : left;
        put_line(out, input->at, length);
        input->at += length + (newline != NULL);
    }
}

/* ------------------------------------------------------------------- reading */

static const char changes[] = {SMFIR_ADDRCPT,   SMFIR_DELRCPT,   SMFIR_ADDRCPT_PAR, SMFIR_CHGFROM,
                               SMFIR_INSHEADER, SMFIR_CHGHEADER, SMFIR_QUARANTINE,  '\0'};
static const char answers[] = {SMFIR_ACCEPT,   SMFIR_CONTINUE,  SMFIR_DISCARD, SMFIR_REJECT,
                               SMFIR_TEMPFAIL, SMFIR_REPLYCODE, SMFIR_SKIP,    '\0'};

/* Whole packets; after changes comes the answer that they belong to. */
static void check_answers(const uint8_t *octets, size_t used)
{
    bool changed = false;
    size_t at = 0;
    while (at < used) {
        uint32_t size;
        require(used - at > sizeof size);
        memcpy(&size, octets + at, sizeof size);
        size = ntohl(size);
        at += sizeof size;
        require(size > 0 && size <= used - at);
        char kind = (char)octets[at];
        if (strchr(changes, kind) != NULL) {
            changed = true;
            require(octets[at + size - 1] == '\0' && size > 1);
        } else if (kind == SMFIC_OPTNEG) {
            require(!changed && size >= 13);
        } else {
            require(kind != '\0' && strchr(answers, kind) != NULL);
            require(!changed || kind == SMFIR_ACCEPT || kind == SMFIR_TEMPFAIL ||
                    kind == SMFIR_REPLYCODE);
            changed = false;
        }
        at += size;
    }
    require(!changed);
}

static int open_connection(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd >= 0 && connect(fd, (struct sockaddr *)&place, place_length) == 0);
    return fd;
}

/* What can be done now. */
static short await(int fd, short events)
{
    struct pollfd poller = {fd, events, 0};
    for (unsigned i = 0; poll(&poller, 1, PATIENCE_MS) == 0; i++) {
        require(i < PATIENCE);
        close(open_connection());
    }
    return poller.revents;
}

/* Writes as far as the other side reads, reads all that it writes, to the end. */
static void converse(int fd, const struct out *out)
{
    static uint8_t heard[1 << 20];
    size_t written = 0;
    size_t used = 0;
    bool ended = false;
    while (!ended) {
        short can = await(fd, (short)(POLLIN | (written < out->used ? POLLOUT : 0)));
        if (written < out->used && (can & (POLLOUT | POLLHUP)) != 0) {
            ssize_t sent = send(fd, out->octets + written, out->used - written, MSG_DONTWAIT);
            written = sent > 0 ? written + (size_t)sent : out->used;
            if (written == out->used) {
                shutdown(fd, SHUT_WR);
            }
        }
        if ((can & (POLLIN | POLLHUP)) != 0) {
            require(used < sizeof heard);
            ssize_t got = recv(fd, heard + used, sizeof heard - used, MSG_DONTWAIT);
            ended = got == 0 || (got < 0 && (can & POLLIN) == 0);
            used += got > 0 ? (size_t)got : 0;
        }
    }
    check_answers(heard, used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct out out;
    struct input input = {data, data + size};
    uint64_t start = watch_start();
    struct site_state state = {.now = site_noon(0), .random = true};
    site_configure(0, &input);
    site_begin(&state);
    returned = (struct evidence_returned){site.journal};
    evidence_returned_oracles(&returned, true, &oracles);
    the_adapter.journal = site.journal;
    the_adapter.uses = site.uses;
    write_input(&input, &out);
    int fd = open_connection();
    if (out.used == 0) {
        shutdown(fd, SHUT_WR);
    }
    converse(fd, &out);
    close(fd);
    site_end();
    watch_end(start, size);
    return 0;
}
