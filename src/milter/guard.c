/*
 * What libmilter takes on trust. A packet of macros has a step and then names and values, each
 * ended by a NUL: where they are no pairs libmilter reads beyond them, and the process ends. Such a
 * packet ends its session instead. libmilter looks at all others itself.
 *
 * And that a header comes after DATA, and after that its end: else libmilter drops what comes
 * without an answer, for which the MTA waits. Where no header at all comes its end is made up in
 * front of the rest, which is only looked at before it is read; the callback hears of it. Where
 * fields came but not their end the session ends.
 */
#include "milter/guard.h"

#include <dlfcn.h>
#include <libmilter/mfdef.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>

#include "base/log.h"

/* SMFIC_UNKNERR of libmilter's own header: an error that it has no word for. */
enum { UNKNOWN_ERROR = 6 };

typedef char *read_command_fn(int, struct timeval *, char *, size_t *, char *);

/* Whether what comes after the step are pairs of strings, all of them ended; none at all will do.
 */
static bool are_pairs(const char *strings, size_t length)
{
    size_t ends = 0;
    for (size_t i = 0; i < length; i++) {
        ends += strings[i] == '\0';
    }
    return length == 0 || (strings[length - 1] == '\0' && ends % 2 == 0);
}

/* libmilter's own, found once; NULL: there is none. */
static read_command_fn *find_read_command(void)
{
    static _Atomic(read_command_fn *) found;
    read_command_fn *function = found;
    if (function == NULL) {
        void *symbol = dlsym(RTLD_NEXT, "mi_rd_cmd");
        memcpy(&function, &symbol, sizeof function);
        found = function;
    }
    return function;
}

/* Where the message of a session is, as far as it matters. By the socket's number, which one thread
 * uses at a time; sessions beyond the table are not looked after. */
enum place { ELSEWHERE, AFTER_DATA, IN_HEADER };
enum { SOCKETS = 65536 };
static _Atomic uint8_t places[SOCKETS];

static _Thread_local bool made_up;
static _Thread_local unsigned long offered;

unsigned long guard_offered(void)
{
    return offered;
}

/* Version, actions and steps, four octets each. */
static void note_offer(const char *content, size_t length)
{
    enum { STEPS = 8, END = 12 };
    offered = 0;
    for (size_t i = STEPS; content != NULL && length >= END && i < END; i++) {
        offered = offered << 8 | (unsigned char)content[i];
    }
}

bool guard_made_up(void)
{
    return made_up;
}

static enum place place_of(int socket)
{
    return socket >= 0 && socket < SOCKETS
               ? (enum place)atomic_load_explicit(&places[socket], memory_order_relaxed)
               : ELSEWHERE;
}

/* Moves on by a command that has come. */
static void note_command(int socket, char command)
{
    enum place place = command == SMFIC_DATA     ? AFTER_DATA
                       : command == SMFIC_HEADER ? IN_HEADER
                                                 : ELSEWHERE;
    if (command != SMFIC_MACRO && socket >= 0 && socket < SOCKETS && place_of(socket) != place) {
        atomic_store_explicit(&places[socket], (uint8_t)place, memory_order_relaxed);
    }
}

static bool is_content(char command)
{
    return command == SMFIC_BODY || command == SMFIC_BODYEOB;
}

/* The body is about to come after DATA, with no header before it. */
static bool header_is_missing(int socket)
{
    char packet[5]; /* its length and command */
    return place_of(socket) == AFTER_DATA &&
           recv(socket, packet, sizeof packet, MSG_PEEK | MSG_DONTWAIT) == sizeof packet &&
           is_content(packet[4]);
}

char *mi_rd_cmd(int socket, struct timeval *timeout, char *cmd, size_t *length, char *name)
{
    read_command_fn *read_command = find_read_command();
    char *content = NULL;
    *cmd = UNKNOWN_ERROR;
    *length = 0;
    made_up = header_is_missing(socket);
    if (made_up) {
        *cmd = SMFIC_EOH;
        note_command(socket, *cmd);
        return NULL;
    }
    if (read_command != NULL) {
        content = read_command(socket, timeout, cmd, length, name);
    }
    bool ends = place_of(socket) == IN_HEADER && is_content(*cmd);
    bool wrong = content != NULL && *cmd == SMFIC_MACRO && *length > 0 &&
                 !are_pairs(content + 1, *length - 1);
    note_command(socket, *cmd);
    if (*cmd == SMFIC_OPTNEG) {
        note_offer(content, *length);
    }
    if (ends) {
        log_line(LOG_ERR, "error: the MTA agreed to send the end of a message's header, but did "
                          "not: ending its session");
    }
    if (ends || wrong) {
        free(content);
        content = NULL;
        *cmd = UNKNOWN_ERROR;
        *length = 0;
    }
    return content;
}
