/*
 * A conversation of four packets. Nothing is offered that would let the filter leave a reply out,
 * so the answer to CONNECT comes from its callback. The client is of no family: for the filter that
 * is no host, and no mail is ever judged by it. Each wait ends at one deadline.
 */
#include "mta/milter_client.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/connecting.h"
#include "mta/milter_address.h"

enum {
    VERSION = 6,
    ACTIONS = 0x1ff, /* all that version 6 knows */
    STEPS = 0x7f,    /* all may be left out; no reply may */
    PACKET_MAX = 1024
};

struct talk {
    int fd;
    int64_t deadline; /* of clock_ms() */
};

/* Opens talk->fd. 0 or an error number. A socket of this machine whose queue is full says so at
 * once; there is room again soon. */
static int connect_to(struct talk *talk, const struct sockaddr *address, socklen_t length)
{
    static const struct timespec pause = {.tv_nsec = 50000000};
    int error;
    while ((error = connect_until(address, length, talk->deadline, &talk->fd)) == EAGAIN &&
           clock_ms() < talk->deadline) {
        nanosleep(&pause, NULL);
    }
    return error;
}

static enum status connect_unix(struct talk *talk, const char *path, struct reason *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strnlen(path, sizeof address.sun_path - 1));
    int error = connect_to(talk, (const struct sockaddr *)&address, sizeof address);
    return error == 0 ? STATUS_OK : reason_set(why, STATUS_IO, "%s", strerror(error));
}

static enum status connect_inet(struct talk *talk, const char *listen, struct reason *why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char *host;
    char *port;
    if (!listen_host_port(listen, &host, &port)) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    int error = getaddrinfo(listen_reachable(host), port, &hints, &found);
    enum status status = reason_set(why, STATUS_IO, "%s", gai_strerror(error));
    free(host);
    free(port);
    for (const struct addrinfo *at = found; at != NULL && status != STATUS_OK; at = at->ai_next) {
        error = connect_to(talk, at->ai_addr, at->ai_addrlen);
        status = error == 0 ? STATUS_OK : reason_set(why, STATUS_IO, "%s", strerror(error));
    }
    if (found != NULL) {
        freeaddrinfo(found);
    }
    return status;
}

static enum status failed(struct reason *why, const char *step, int error)
{
    return error == ETIMEDOUT
               ? reason_set(why, STATUS_IO, "no reply in time to %s", step)
               : reason_set(why, STATUS_IO, "%s: %s", step,
                            error != 0 ? strerror(error) : "the connection was closed");
}

/* The packets are small and the first ones of their connection: there is room for each as a whole.
 */
static enum status put(struct talk *talk, const char *step, char command, const void *data,
                       uint32_t length, struct reason *why)
{
    unsigned char packet[PACKET_MAX] = {0, 0, (unsigned char)((length + 1) >> 8),
                                        (unsigned char)(length + 1), (unsigned char)command};
    memcpy(packet + 5, data, length);
    ssize_t sent = send(talk->fd, packet, length + 5, MSG_NOSIGNAL);
    return sent == (ssize_t)length + 5 ? STATUS_OK : failed(why, step, sent < 0 ? errno : EIO);
}

static enum status get_octets(struct talk *talk, const char *step, void *out, size_t length,
                              struct reason *why)
{
    for (size_t got = 0; got < length;) {
        int error = wait_until(talk->fd, POLLIN, talk->deadline);
        ssize_t part = error == 0 ? recv(talk->fd, (char *)out + got, length - got, 0) : -1;
        if (part > 0) {
            got += (size_t)part;
        } else if (error != 0 || part == 0 || (errno != EAGAIN && errno != EINTR)) {
            return failed(why, step, error != 0 || part == 0 ? error : errno);
        }
    }
    return STATUS_OK;
}

/* The command of the answer; what else is in it does not matter. */
static enum status get(struct talk *talk, const char *step, char *command, struct reason *why)
{
    unsigned char header[4];
    char content[PACKET_MAX];
    enum status status = get_octets(talk, step, header, sizeof header, why);
    if (status != STATUS_OK) {
        return status;
    }
    size_t length = (size_t)header[2] << 8 | header[3];
    if (header[0] != 0 || header[1] != 0 || length < 1 || length > sizeof content) {
        return reason_set(why, STATUS_IO, "%s: the reply is not a milter's", step);
    }
    status = get_octets(talk, step, content, length, why);
    *command = content[0];
    return status;
}

static void put_number(unsigned char *out, uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (unsigned char)(number >> (24 - 8 * i));
    }
}

static enum status negotiate(struct talk *talk, struct reason *why)
{
    static const char step[] = "negotiation";
    unsigned char offer[12];
    char command = '\0';
    put_number(offer, VERSION);
    put_number(offer + 4, ACTIONS);
    put_number(offer + 8, STEPS);
    enum status status = put(talk, step, 'O', offer, sizeof offer, why);
    if (status == STATUS_OK) {
        status = get(talk, step, &command, why);
    }
    if (status == STATUS_OK && command != 'O') {
        status = reason_set(why, STATUS_IO, "%s: the milter does not support this protocol", step);
    }
    return status;
}

/* The answer may be any: that the session is turned away, too, is said by the callback. */
static enum status name_client(struct talk *talk, struct reason *why)
{
    static const char step[] = "CONNECT";
    static const char macros[] = "Cj\0batvctl"; /* of CONNECT: j, which no MTA leaves out */
    static const char client[] = "batvctl\0U";  /* of an unknown family */
    char command;
    enum status status = put(talk, step, 'D', macros, sizeof macros, why);
    if (status == STATUS_OK) {
        status = put(talk, step, 'C', client, sizeof client - 1, why);
    }
    return status == STATUS_OK ? get(talk, step, &command, why) : status;
}

enum status milter_try(const char *listen, int milliseconds, struct reason *why)
{
    const char *path = listen_path(listen);
    struct talk talk = {.fd = -1, .deadline = clock_ms() + milliseconds};
    struct reason ignored;
    enum status status =
        path != NULL ? connect_unix(&talk, path, why) : connect_inet(&talk, listen, why);
    if (status == STATUS_OK) {
        status = negotiate(&talk, why);
    }
    if (status == STATUS_OK) {
        status = name_client(&talk, why);
    }
    if (status == STATUS_OK) {
        (void)put(&talk, "QUIT", 'Q', "", 0, &ignored);
    }
    if (talk.fd >= 0) {
        close(talk.fd);
    }
    return status;
}
