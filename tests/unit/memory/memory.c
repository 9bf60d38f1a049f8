/*
 * The calls that are refused, a wrapper each, and the runs. What a run has been given is kept in a
 * table until it is freed; what libraries allocate is not in it, which the address sanitizer sees.
 * All state is the running thread's.
 */
#include "memory.h"

#include <check.h>
#include <errno.h>
#include <idn2.h>
#include <malloc.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { SLOTS = 1 << 17, RUNS_MAX = 20000 };

struct trial {
    const char *name;
    bool active;    /* calls are counted */
    bool endless;   /* all are refused from then on */
    bool refused;   /* one was */
    unsigned calls; /* so far */
    unsigned at;    /* the call that is refused */
    size_t live;    /* given and not freed */
};

static _Thread_local struct trial trial;
static _Thread_local bool tracks;
static void *slots[SLOTS]; /* used by the running thread only */
static char tombstone;

/* ------------------------------------------------------------------- the table */

static size_t slot_of(const void *pointer)
{
    return (size_t)(((uintptr_t)pointer >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 40) % SLOTS;
}

static void *given(void *pointer)
{
    if (pointer == NULL || !tracks) {
        return pointer;
    }
    size_t i = slot_of(pointer);
    while (slots[i] != NULL && slots[i] != &tombstone) {
        i = (i + 1) % SLOTS;
    }
    slots[i] = pointer;
    trial.live++;
    return pointer;
}

static void taken_back(const void *pointer)
{
    if (pointer == NULL || !tracks) {
        return;
    }
    for (size_t i = slot_of(pointer); slots[i] != NULL; i = (i + 1) % SLOTS) {
        if (slots[i] == pointer) {
            slots[i] = &tombstone;
            trial.live--;
            return;
        }
    }
}

/* --------------------------------------------------------------------- the calls */

/* True: this one is to fail. */
static bool refuse(void)
{
    if (!trial.active) {
        return false;
    }
    trial.calls++;
    bool now = trial.calls == trial.at || (trial.endless && trial.calls > trial.at);
    trial.refused = trial.refused || now;
    if (now) {
        errno = ENOMEM;
    }
    return now;
}

/* The linker's names for what is wrapped and what it wraps; arguments in parentheses. */
#define WRAP(type, name, parameters, arguments, failure, keep)                                     \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return refuse() ? (failure) : keep(__real_##name arguments);                               \
    }

WRAP(void *, malloc, (size_t size), (size), NULL, given)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL, given)
WRAP(char *, strdup, (const char *text), (text), NULL, given)
WRAP(char *, strndup, (const char *text, size_t most), (text, most), NULL, given)
WRAP(char *, realpath, (const char *path, char *out), (path, out), NULL, given)
WRAP(FILE *, open_memstream, (char **text, size_t *length), (text, length), NULL, )
WRAP(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL, )
WRAP(FILE *, fdopen, (int fd, const char *mode), (fd, mode), NULL, )

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    if (refuse()) {
        return NULL;
    }
    taken_back(old);
    return given(__real_realloc(old, size));
}

void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(count, size, &total) ? NULL : __wrap_realloc(old, total);
}

void __real_free(void *pointer);
void __wrap_free(void *pointer);
void __wrap_free(void *pointer)
{
    taken_back(pointer);
    __real_free(pointer);
}

int __real_vasprintf(char **out, const char *format, va_list arguments);
static int print(char **out, const char *format, va_list arguments)
{
    if (refuse()) {
        *out = NULL; /* as glibc; POSIX leaves it open */
        return -1;
    }
    int length = __real_vasprintf(out, format, arguments);
    given(length >= 0 ? *out : NULL);
    return length;
}

/* As our objects call it with and without _FORTIFY_SOURCE. */
int __wrap_vasprintf(char **out, const char *format, va_list arguments);
int __wrap_vasprintf(char **out, const char *format, va_list arguments)
{
    return print(out, format, arguments);
}

int __wrap___vasprintf_chk(char **out, int flag, const char *format, va_list arguments);
int __wrap___vasprintf_chk(char **out, int flag, const char *format, va_list arguments)
{
    (void)flag;
    return print(out, format, arguments);
}

int __wrap_asprintf(char **out, const char *format, ...);
int __wrap_asprintf(char **out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = print(out, format, arguments);
    va_end(arguments);
    return length;
}

int __wrap___asprintf_chk(char **out, int flag, const char *format, ...);
int __wrap___asprintf_chk(char **out, int flag, const char *format, ...)
{
    (void)flag;
    va_list arguments;
    va_start(arguments, format);
    int length = print(out, format, arguments);
    va_end(arguments);
    return length;
}

WRAP(void *, CRYPTO_secure_zalloc, (size_t size, const char *file, int line), (size, file, line),
     NULL, given)

void __real_CRYPTO_secure_clear_free(void *pointer, size_t size, const char *file, int line);
void __wrap_CRYPTO_secure_clear_free(void *pointer, size_t size, const char *file, int line);
void __wrap_CRYPTO_secure_clear_free(void *pointer, size_t size, const char *file, int line)
{
    taken_back(pointer);
    __real_CRYPTO_secure_clear_free(pointer, size, file, line);
}

WRAP(EVP_MD_CTX *, EVP_MD_CTX_new, (void), (), NULL, )
WRAP(int, EVP_MD_CTX_copy_ex, (EVP_MD_CTX * out, const EVP_MD_CTX *in), (out, in), 0, )
WRAP(int, EVP_DigestInit_ex, (EVP_MD_CTX * context, const EVP_MD *type, ENGINE *engine),
     (context, type, engine), 0, )
WRAP(int, EVP_DigestUpdate, (EVP_MD_CTX * context, const void *octets, size_t length),
     (context, octets, length), 0, )
WRAP(int, EVP_DigestFinal_ex, (EVP_MD_CTX * context, unsigned char *out, unsigned *length),
     (context, out, length), 0, )
WRAP(int, EVP_Digest,
     (const void *octets, size_t length, unsigned char *out, unsigned *size, const EVP_MD *type,
      ENGINE *engine),
     (octets, length, out, size, type, engine), 0, )

/* PCRE2 says why. */
pcre2_code *__real_pcre2_compile_8(PCRE2_SPTR pattern, PCRE2_SIZE length, uint32_t options,
                                   int *error, PCRE2_SIZE *where, pcre2_compile_context *context);
pcre2_code *__wrap_pcre2_compile_8(PCRE2_SPTR pattern, PCRE2_SIZE length, uint32_t options,
                                   int *error, PCRE2_SIZE *where, pcre2_compile_context *context);
pcre2_code *__wrap_pcre2_compile_8(PCRE2_SPTR pattern, PCRE2_SIZE length, uint32_t options,
                                   int *error, PCRE2_SIZE *where, pcre2_compile_context *context)
{
    if (refuse()) {
        *error = PCRE2_ERROR_HEAP_FAILED;
        *where = 0;
        return NULL;
    }
    return __real_pcre2_compile_8(pattern, length, options, error, where, context);
}

WRAP(pcre2_compile_context *, pcre2_compile_context_create_8, (pcre2_general_context * general),
     (general), NULL, )
WRAP(pcre2_match_context *, pcre2_match_context_create_8, (pcre2_general_context * general),
     (general), NULL, )
WRAP(pcre2_match_data *, pcre2_match_data_create_8, (uint32_t size, pcre2_general_context *general),
     (size, general), NULL, )
WRAP(int, pcre2_match_8,
     (const pcre2_code *code, PCRE2_SPTR text, PCRE2_SIZE length, PCRE2_SIZE start,
      uint32_t options, pcre2_match_data *data, pcre2_match_context *context),
     (code, text, length, start, options, data, context), PCRE2_ERROR_NOMEMORY, )

WRAP(int, idn2_lookup_u8, (const uint8_t *source, uint8_t **out, int flags), (source, out, flags),
     IDN2_MALLOC, )
WRAP(int, idn2_to_unicode_8z8z, (const char *source, char **out, int flags), (source, out, flags),
     IDN2_MALLOC, )
WRAP(uint8_t *, u8_casefold,
     (const uint8_t *text, size_t length, const char *language, uninorm_t form, uint8_t *room,
      size_t *out_length),
     (text, length, language, form, room, out_length), NULL, given)

/* SQLite allocates by functions that it is given. */
static void *sqlite_malloc(int size)
{
    return __wrap_malloc((size_t)size);
}

static void *sqlite_realloc(void *old, int size)
{
    return __wrap_realloc(old, (size_t)size);
}

static int sqlite_size(void *pointer)
{
    return (int)malloc_usable_size(pointer);
}

static int sqlite_round_up(int size)
{
    return (size + 7) & ~7;
}

static int sqlite_begin(void *context)
{
    (void)context;
    return SQLITE_OK;
}

static void sqlite_end(void *context)
{
    (void)context;
}

void memory_serve_sqlite(void)
{
    static const struct sqlite3_mem_methods methods = {
        sqlite_malloc,   __wrap_free,  sqlite_realloc, sqlite_size,
        sqlite_round_up, sqlite_begin, sqlite_end,     NULL};
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
    ck_assert_int_eq(sqlite3_initialize(), SQLITE_OK);
}

/* ---------------------------------------------------------------------- the runs */

void memory_hold(void)
{
    trial.active = false;
}

void memory_go_on(void)
{
    trial.active = true;
}

void memory_wrong(const char *what)
{
    trial.active = tracks = false;
    ck_abort_msg("%s, call %u refused%s: %s", trial.name, trial.at,
                 trial.endless ? " and all after it" : "", what);
}

/* Which call it was that our code did not survive. */
static void tell_and_die(int number)
{
    char text[256];
    int length = snprintf(text, sizeof text, "%s, call %u refused%s: signal %d\n", trial.name,
                          trial.at, trial.endless ? " and all after it" : "", number);
    if (write(STDERR_FILENO, text, (size_t)length) != length) {
        _exit(1);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static enum memory_run run_once(const char *name, memory_scenario *scenario, void *context,
                                unsigned at, bool endless)
{
    memset(slots, 0, sizeof slots);
    trial = (struct trial){.name = name, .active = true, .endless = endless, .at = at};
    tracks = true;
    enum memory_run run = scenario(context);
    trial.active = tracks = false;
    if (trial.live != 0) {
        memory_wrong("memory is left behind");
    }
    return run;
}

void memory_runs_out(const char *name, memory_scenario *scenario, void *context, unsigned at_least)
{
    signal(SIGSEGV, tell_and_die);
    signal(SIGABRT, tell_and_die);
    for (int endless = 0; endless <= 1; endless++) {
        unsigned at = 1;
        for (; at < RUNS_MAX; at++) {
            enum memory_run run = run_once(name, scenario, context, at, endless != 0);
            if (!trial.refused) {
                ck_assert_msg(run == MEMORY_DONE, "%s is refused where nothing is", name);
                break;
            }
        }
        ck_assert_msg(at > at_least, "%s: only %u calls", name, at - 1);
        ck_assert_msg(at < RUNS_MAX, "%s: more than %u calls", name, at - 1);
    }
    signal(SIGABRT, SIG_DFL);
}
