/*
 * Received fields under libFuzzer. Whatever stands in one, a host's name fits its place and has no
 * blank, and reading takes time by the length: the input, repeated to 8 KiB, stays within the
 * 0.3 s for a MiB that anything from outside may cost (with room for the sanitizers). And a client
 * that calls itself by the input hides nothing of what Postfix and Exim say of it; one that is not
 * neutered hides the host only from the first reading.
 */
#include <time.h>

#include "batv/received.h"
#include "fuzz.h"

enum { LONG = 8 * 1024 };

static const double long_seconds = 0.3 * LONG / (1024 * 1024) * 5;

static void check_form(const struct received *seen)
{
    require(memchr(seen->by, '\0', sizeof seen->by) != NULL);
    require(strpbrk(seen->by, " \t\r\n();") == NULL);
    require(seen->from == RECEIVED_LOCAL || seen->from == RECEIVED_ADDRESS ||
            seen->from == RECEIVED_UNREADABLE);
}

static double seconds_of_thread(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* begin, then text over and over. */
static void check_time(const char *begin, const char *text)
{
    size_t length = strlen(text);
    size_t used = strlen(begin);
    char *value = malloc(used + LONG + length + 1);
    struct received seen;
    require(value != NULL);
    memcpy(value, begin, used + 1);
    while (length > 0 && used < LONG) {
        memcpy(value + used, text, length + 1);
        used += length;
    }
    double before = seconds_of_thread();
    received_read(value, &seen);
    require(seconds_of_thread() - before < long_seconds);
    check_form(&seen);
    free(value);
}

/* As MTAs do with what a client says: no blanks, nothing that begins or ends anything. */
static char *neutered(const char *text)
{
    char *name = strdup(text);
    require(name != NULL);
    name[strlen(name) < 500 ? strlen(name) : 500] = '\0';
    for (char *p = name; *p != '\0'; p++) {
        bool plain = *p > ' ' && *p < 0x7f && strchr("<>()\\\";@", *p) == NULL;
        *p = plain ? *p : '?';
    }
    return name;
}

static void check_hop(const char *before, const char *name, const char *behind)
{
    char value[1200];
    struct received seen;
    struct ip address;
    require(ip_parse("192.0.2.9", &address));
    snprintf(value, sizeof value, "%s%s%s", before, name, behind);
    received_read(value, &seen);
    require(strcmp(seen.by, "mx.example.com") == 0);
    require(!seen.authenticated && !seen.fetched);
    require(seen.from == RECEIVED_ADDRESS);
    require(memcmp(&seen.ip, &address, sizeof address) == 0);
}

/* Whatever a client calls itself and writes to, the field's own host is among those behind a `by`.
 */
static void check_found(const char *text)
{
    char value[1200];
    char host[RECEIVED_HOST];
    const char *at = value;
    bool found = false;
    snprintf(
        value, sizeof value,
        "from %.400s (unknown [192.0.2.9]) by mx.example.com (Postfix) with ESMTP for <%.400s>",
        text, text);
    while (!found && received_next_host(&at, host)) {
        require(memchr(host, '\0', sizeof host) != NULL);
        found = strcmp(host, "mx.example.com") == 0;
    }
    require(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    struct received seen;
    char *text = take_rest(&input);
    received_read(text, &seen);
    check_form(&seen);
    check_time("", text);
    check_time("from a (", text);
    check_time("from a by b ", text);
    check_found(text);
    char *name = neutered(text);
    if (*name != '\0') {
        check_hop("from ", name,
                  " (unknown [192.0.2.9]) (using TLSv1.3) by mx.example.com (Postfix) with ESMTPS");
        check_hop("from [192.0.2.9] (helo=", name, ") by mx.example.com with esmtp (Exim 4.96)");
    }
    free(name);
    free(text);
    return 0;
}
