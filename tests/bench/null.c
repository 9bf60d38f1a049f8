/*
 * The yardstick: a filter on the same libmilter that decides nothing. The command line gives it the
 * steps and actions to negotiate and the replies to give, in the form in which `load` prints those
 * of the filter that it is compared with (R:c/T:c/E:e/E:c: continue at RCPT and DATA, at the end of
 * the message a change of sender, then continue). What is left between the two is the cost of
 * deciding.
 *
 * One configuration, set before the first thread and only read after. SIGTERM ends it as libmilter
 * ends, within 5 s; it keeps nothing that SIGKILL could spoil.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CHANGES_MAX = 16, CONN_MAX = 256, STACK = 512 * 1024, BACKLOG = 4096 };

struct settings {
    const char *conn;
    bool own_socket;
    unsigned long actions;
    unsigned long steps;
    char *macros[SMFIM_LAST + 1];
    char verdict[128];         /* by the letter of the stage, 0: continue */
    char changes[CHANGES_MAX]; /* letters, in order */
    char *sender;
    char *removed;
    char *added;
    char *header_name;
    char *header_value;
};

static char default_sender[] = "prvs=0000000000=alice@example.com";
static char default_recipient[] = "alice@example.com";
static char code[] = "550";
static char extended_code[] = "5.7.1";
static char text[] = "This bounce answers no message that was sent from here";
static char default_name[] = "X-Bench";
static char default_value[] = "yes";

static struct settings set = {
    .sender = default_sender,
    .removed = default_recipient,
    .added = default_recipient,
    .header_name = default_name,
    .header_value = default_value,
};

static sfsistat verdict_of(SMFICTX *ctx, char letter)
{
    switch (letter) {
    case SMFIR_ACCEPT:
        return SMFIS_ACCEPT;
    case SMFIR_SKIP:
        return SMFIS_SKIP;
    case SMFIR_DISCARD:
        return SMFIS_DISCARD;
    case SMFIR_TEMPFAIL:
        return SMFIS_TEMPFAIL;
    case SMFIR_REPLYCODE:
        smfi_setreply(ctx, code, extended_code, text);
        return SMFIS_REJECT;
    case SMFIR_REJECT:
        return SMFIS_REJECT;
    default:
        return SMFIS_CONTINUE;
    }
}

static sfsistat answer(SMFICTX *ctx, char stage, unsigned long unanswered)
{
    if (set.steps & unanswered)
        return SMFIS_NOREPLY;
    return verdict_of(ctx, set.verdict[(unsigned char)stage]);
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
    (void)host;
    (void)address;
    return answer(ctx, SMFIC_CONNECT, SMFIP_NR_CONN);
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
    (void)name;
    return answer(ctx, SMFIC_HELO, SMFIP_NR_HELO);
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
    (void)arguments;
    return answer(ctx, SMFIC_MAIL, SMFIP_NR_MAIL);
}

static sfsistat on_rcpt(SMFICTX *ctx, char **arguments)
{
    (void)arguments;
    return answer(ctx, SMFIC_RCPT, SMFIP_NR_RCPT);
}

static sfsistat on_data(SMFICTX *ctx)
{
    return answer(ctx, SMFIC_DATA, SMFIP_NR_DATA);
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
    (void)name;
    (void)value;
    return answer(ctx, SMFIC_HEADER, SMFIP_NR_HDR);
}

static sfsistat on_eoh(SMFICTX *ctx)
{
    return answer(ctx, SMFIC_EOH, SMFIP_NR_EOH);
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *data, size_t size)
{
    (void)data;
    (void)size;
    return answer(ctx, SMFIC_BODY, SMFIP_NR_BODY);
}

static int change_apply(SMFICTX *ctx, char letter)
{
    switch (letter) {
    case SMFIR_CHGFROM:
        return smfi_chgfrom(ctx, set.sender, NULL);
    case SMFIR_DELRCPT:
        return smfi_delrcpt(ctx, set.removed);
    case SMFIR_ADDRCPT:
        return smfi_addrcpt(ctx, set.added);
    case SMFIR_ADDRCPT_PAR:
        return smfi_addrcpt_par(ctx, set.added, NULL);
    case SMFIR_ADDHEADER:
        return smfi_addheader(ctx, set.header_name, set.header_value);
    case SMFIR_INSHEADER:
        return smfi_insheader(ctx, 0, set.header_name, set.header_value);
    case SMFIR_CHGHEADER:
        return smfi_chgheader(ctx, set.header_name, 1, NULL);
    case SMFIR_QUARANTINE:
        return smfi_quarantine(ctx, set.header_value);
    default:
        return MI_FAILURE;
    }
}

static sfsistat on_eom(SMFICTX *ctx)
{
    for (const char *c = set.changes; *c != '\0'; c++)
        if (change_apply(ctx, *c) != MI_SUCCESS)
            return SMFIS_TEMPFAIL;
    return verdict_of(ctx, set.verdict[SMFIC_BODYEOB]);
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
                             unsigned long f2, unsigned long f3, unsigned long *wanted_actions,
                             unsigned long *wanted_steps, unsigned long *wanted_f2,
                             unsigned long *wanted_f3)
{
    (void)f2;
    (void)f3;
    *wanted_actions = set.actions & actions;
    *wanted_steps = set.steps & steps;
    *wanted_f2 = *wanted_f3 = 0;
    for (int place = 0; place <= SMFIM_LAST; place++)
        if (set.macros[place] != NULL)
            smfi_setsymlist(ctx, place, set.macros[place]);
    return SMFIS_CONTINUE;
}

/* ---- the socket ---- */

static int listen_unix(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof un.sun_path)
        errx(2, "%s: too long for a socket", path);
    memcpy(un.sun_path, path, strlen(path));
    if (fd < 0 || bind(fd, (const struct sockaddr *)&un, sizeof un) != 0)
        err(1, "%s", path);
    return fd;
}

/* Nagle's algorithm is off for what is accepted here, which libmilter itself never asks for. */
static int listen_inet(unsigned long port, const char *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (inet_pton(AF_INET, address, &in.sin_addr) != 1)
        errx(2, "%s: an IPv4 address is expected", address);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&in, sizeof in) != 0)
        err(1, "%s port %lu", address, port);
    return fd;
}

static void socket_make(char conn[static CONN_MAX])
{
    const char *name = set.conn;
    char *at = NULL;
    int fd;

    if (strncmp(name, "unix:", 5) == 0)
        fd = listen_unix(name + 5);
    else if (strncmp(name, "inet:", 5) == 0 && strtoul(name + 5, &at, 10) != 0 && *at == '@')
        fd = listen_inet(strtoul(name + 5, NULL, 10), at + 1);
    else
        errx(2, "%s: unix:PATH or inet:PORT@ADDRESS is expected", name);
    if (listen(fd, BACKLOG) != 0)
        err(1, "%s", name);
    snprintf(conn, CONN_MAX, "fd:%d", fd);
}

/* ---- options ---- */

static void usage(void)
{
    fprintf(stderr,
            "usage: null -s unix:PATH|inet:PORT@ADDRESS [-o] [-a ACTIONS] [-p STEPS] [-r REPLIES]\n"
            "            [-m PLACE=MACROS]... [-f SENDER] [-d RECIPIENT] [-i RECIPIENT]\n"
            "            [-h HEADER]\n"
            "-a, -p  masks in hexadecimal, as load prints them\n"
            "-r      replies as load prints them; without, every one is to continue\n"
            "-m      ask for these macros at the place of this number (SMFIM_*)\n"
            "-f      the sender that E:e sets; -d, -i: the recipients of E:- and of E:2, E:+\n"
            "-h      the header field of E:h, E:i and E:m, with name, colon, space and value\n"
            "-o      listen here, with TCP_NODELAY, and hand the socket to libmilter\n");
    exit(2);
}

static unsigned long parse_mask(const char *value)
{
    char *end;
    unsigned long mask;

    errno = 0;
    mask = strtoul(value, &end, 16);
    if (errno != 0 || end == value || *end != '\0' || mask > 0xffffffff)
        errx(2, "%s: a mask in hexadecimal is expected", value);
    return mask;
}

static void parse_replies(const char *replies)
{
    size_t changes = 0;

    for (const char *r = replies; *r != '\0'; r += 3, r += *r == '/') {
        if (strchr("CHMRTLNBE", r[0]) == NULL || r[1] != ':' || r[2] == '\0' ||
            (r[3] != '/' && r[3] != '\0'))
            errx(2, "%s: replies as load prints them are expected", replies);
        if (strchr("-+2himqe", r[2]) == NULL)
            set.verdict[(unsigned char)r[0]] = r[2];
        else if (r[0] == SMFIC_BODYEOB && changes + 1 < CHANGES_MAX)
            set.changes[changes++] = r[2];
        else
            errx(2, "%s: no place for the change '%c'", replies, r[2]);
    }
}

static void parse_macros(char *value)
{
    if (value[0] < '0' || value[0] > '0' + SMFIM_LAST || value[1] != '=')
        errx(2, "%s: a place from 0 to %d, '=' and names are expected", value, SMFIM_LAST);
    set.macros[value[0] - '0'] = value + 2;
}

static void parse_header(char *value)
{
    char *colon = strstr(value, ": ");

    if (colon == NULL)
        errx(2, "%s: a header field is expected", value);
    *colon = '\0';
    set.header_name = value;
    set.header_value = colon + 2;
}

static void parse_option(int option, char *value)
{
    switch (option) {
    case 's':
        set.conn = value;
        break;
    case 'o':
        set.own_socket = true;
        break;
    case 'a':
        set.actions = parse_mask(value);
        break;
    case 'p':
        set.steps = parse_mask(value);
        break;
    case 'r':
        parse_replies(value);
        break;
    case 'm':
        parse_macros(value);
        break;
    case 'f':
        set.sender = value;
        break;
    case 'd':
        set.removed = value;
        break;
    case 'i':
        set.added = value;
        break;
    case 'h':
        parse_header(value);
        break;
    default:
        usage();
    }
}

static void filter_register(void)
{
    static char name[] = "null";
    struct smfiDesc filter = {
        .xxfi_name = name,
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = set.actions,
        .xxfi_connect = on_connect,
        .xxfi_helo = on_helo,
        .xxfi_envfrom = on_mail,
        .xxfi_envrcpt = on_rcpt,
        .xxfi_data = on_data,
        .xxfi_header = on_header,
        .xxfi_eoh = on_eoh,
        .xxfi_body = on_body,
        .xxfi_eom = on_eom,
        .xxfi_negotiate = on_negotiate,
    };

    if (smfi_register(filter) != MI_SUCCESS)
        errx(1, "libmilter takes no filter");
}

/* Small stacks, as any filter has that is to serve a thousand connections. */
static void stacks_set(void)
{
    pthread_attr_t attributes;

    if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, STACK) != 0 ||
        pthread_setattr_default_np(&attributes) != 0)
        errx(1, "the size of stacks cannot be set");
    pthread_attr_destroy(&attributes);
}

int main(int argc, char **argv)
{
    char conn[CONN_MAX];

    for (int option; (option = getopt(argc, argv, "s:oa:p:r:m:f:d:i:h:")) != -1;)
        parse_option(option, optarg);
    if (optind != argc || set.conn == NULL)
        usage();
    stacks_set();
    filter_register();
    if (set.own_socket)
        socket_make(conn);
    else
        snprintf(conn, sizeof conn, "%s", set.conn);
    if (smfi_setconn(conn) != MI_SUCCESS || smfi_main() != MI_SUCCESS)
        errx(1, "%s: libmilter cannot serve it", set.conn);
    return 0;
}
