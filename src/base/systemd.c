/*
 * The only file that knows libsystemd. It holds nothing: the notify socket is opened for each
 * message, the journal's is the library's, safe for all threads. Questions to systemd go over its
 * own socket, which root may use whether there is a D-Bus or not.
 */
#include "base/systemd.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

/* The journal would otherwise be told this file and line for every entry. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

void systemd_ready(void)
{
    sd_notify(0, "READY=1");
}

/* The time tells systemd from 253 on which READY answers which request to reload. */
void systemd_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
               (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void systemd_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void systemd_status(const char *text)
{
    sd_notifyf(0, "STATUS=%s", text);
}

bool systemd_has_journal(void)
{
    return access(SYSTEMD_JOURNAL_SOCKET, W_OK) == 0;
}

/* Asked each time, because the library reports success where there is no journal. */
int systemd_journal(const struct iovec fields[], size_t count)
{
    return systemd_has_journal() ? -sd_journal_sendv(fields, (int)count) : errno;
}

static const char systemd_name[] = "org.freedesktop.systemd1";
static const char service_interface[] = "org.freedesktop.systemd1.Service";
static const uint64_t answer_time = 5000000; /* microseconds */

/* A connection; NULL: none. */
static sd_bus *systemd_connect(void)
{
    sd_bus *bus = NULL;
    if (access("/run/systemd/private", W_OK) != 0 || sd_bus_new(&bus) < 0) {
        return NULL;
    }
    if (sd_bus_set_address(bus, "unix:path=/run/systemd/private") < 0 || sd_bus_start(bus) < 0 ||
        sd_bus_set_method_call_timeout(bus, answer_time) < 0) {
        sd_bus_unref(bus);
        return NULL;
    }
    return bus;
}

/* A property that is a text, or "" where none fits. */
static void service_text(sd_bus *bus, const char *path, const char *name, char *out, size_t size)
{
    char *text = NULL;
    out[0] = '\0';
    if (sd_bus_get_property_string(bus, systemd_name, path, service_interface, name, NULL, &text) >=
            0 &&
        strlen(text) < size) {
        snprintf(out, size, "%s", text);
    }
    free(text);
}

static void service_texts(sd_bus *bus, const char *path, const char *name, char *out, size_t size)
{
    char **texts = NULL;
    size_t used = 0;
    out[0] = '\0';
    if (sd_bus_get_property_strv(bus, systemd_name, path, service_interface, name, NULL, &texts) <
        0) {
        return;
    }
    for (char **text = texts; text != NULL && *text != NULL; text++) {
        if (strlen(*text) + 2 < size - used) {
            used += (size_t)snprintf(out + used, size - used, "%s:", *text);
        }
        free(*text);
    }
    free(texts);
}

/* SystemCallFilter: whether it lists what is allowed, and the calls, each perhaps with ":ERROR". */
static bool service_denies(sd_bus *bus, const char *path, const char *call)
{
    sd_bus_message *answer = NULL;
    const char *name = NULL;
    int allowed = 0;
    bool listed = false;
    bool known = sd_bus_get_property(bus, systemd_name, path, service_interface, "SystemCallFilter",
                                     NULL, &answer, "(bas)") >= 0 &&
                 sd_bus_message_enter_container(answer, 'r', "bas") > 0 &&
                 sd_bus_message_read(answer, "b", &allowed) > 0 &&
                 sd_bus_message_enter_container(answer, 'a', "s") > 0;
    while (known && sd_bus_message_read(answer, "s", &name) > 0) {
        size_t length = strcspn(name, ":");
        listed = listed || (strlen(call) == length && strncmp(name, call, length) == 0);
    }
    sd_bus_message_unref(answer);
    return known && listed != (allowed != 0);
}

void systemd_unit_find(const char *unit, struct systemd_unit *out)
{
    char *path = NULL;
    uint64_t capabilities = 0;
    *out = (struct systemd_unit){.user = ""};
    sd_bus *bus = systemd_connect();
    if (bus != NULL && sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path) >= 0) {
        service_text(bus, path, "User", out->user, sizeof out->user);
        service_text(bus, path, "Group", out->group, sizeof out->group);
        service_texts(bus, path, "SupplementaryGroups", out->groups, sizeof out->groups);
        service_texts(bus, path, "RuntimeDirectory", out->runtime_folders,
                      sizeof out->runtime_folders);
        (void)sd_bus_get_property_trivial(bus, systemd_name, path, service_interface,
                                          "AmbientCapabilities", NULL, 't', &capabilities);
        out->any_port = (capabilities & 1U << CAP_NET_BIND_SERVICE) != 0;
        out->keeps_groups = service_denies(bus, path, "fchownat");
    }
    free(path);
    sd_bus_flush_close_unref(bus);
}
