/*
 * The system's libraries are made for glibc. What they ask of it that musl does not have, for the
 * tests that are linked with musl: the checked forms of functions, which are the functions
 * themselves here, and contexts, of which there are none (OpenSSL's asynchronous jobs, which nobody
 * starts, would have them).
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

int __vfprintf_chk(FILE *stream, int flag, const char *format, va_list arguments);
int __fprintf_chk(FILE *stream, int flag, const char *format, ...);
int __printf_chk(int flag, const char *format, ...);
int __vsnprintf_chk(char *out, size_t size, int flag, size_t room, const char *format,
                    va_list arguments);
int __snprintf_chk(char *out, size_t size, int flag, size_t room, const char *format, ...);
int __isoc23_sscanf(const char *text, const char *format, ...);
void *__memcpy_chk(void *to, const void *from, size_t length, size_t room);
void *__memmove_chk(void *to, const void *from, size_t length, size_t room);
void *__memset_chk(void *to, int octet, size_t length, size_t room);
long __isoc23_strtol(const char *text, char **end, int base);
unsigned long __isoc23_strtoul(const char *text, char **end, int base);
long long __isoc23_strtoll(const char *text, char **end, int base);
unsigned long long __isoc23_strtoull(const char *text, char **end, int base);
long __fdelt_chk(long fd);
_Noreturn void __longjmp_chk(jmp_buf place, int value);
void __pthread_register_cancel(void *buffer);
void __pthread_unregister_cancel(void *buffer);
int getcontext(void *context);
int setcontext(const void *context);
void makecontext(void *context, void (*function)(void), int count, ...);

int __vfprintf_chk(FILE *stream, int flag, const char *format, va_list arguments)
{
    (void)flag;
    return vfprintf(stream, format, arguments);
}

int __fprintf_chk(FILE *stream, int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = __vfprintf_chk(stream, flag, format, arguments);
    va_end(arguments);
    return length;
}

int __printf_chk(int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = __vfprintf_chk(stdout, flag, format, arguments);
    va_end(arguments);
    return length;
}

int __vsnprintf_chk(char *out, size_t size, int flag, size_t room, const char *format,
                    va_list arguments)
{
    (void)flag;
    (void)room;
    return vsnprintf(out, size, format, arguments);
}

int __snprintf_chk(char *out, size_t size, int flag, size_t room, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = __vsnprintf_chk(out, size, flag, room, format, arguments);
    va_end(arguments);
    return length;
}

int __isoc23_sscanf(const char *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int count = vsscanf(text, format, arguments);
    va_end(arguments);
    return count;
}

void *__memcpy_chk(void *to, const void *from, size_t length, size_t room)
{
    (void)room;
    return memcpy(to, from, length);
}

void *__memmove_chk(void *to, const void *from, size_t length, size_t room)
{
    (void)room;
    return memmove(to, from, length);
}

void *__memset_chk(void *to, int octet, size_t length, size_t room)
{
    (void)room;
    return memset(to, octet, length);
}

long __isoc23_strtol(const char *text, char **end, int base)
{
    return strtol(text, end, base);
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base)
{
    return strtoul(text, end, base);
}

long long __isoc23_strtoll(const char *text, char **end, int base)
{
    return strtoll(text, end, base);
}

unsigned long long __isoc23_strtoull(const char *text, char **end, int base)
{
    return strtoull(text, end, base);
}

long __fdelt_chk(long fd)
{
    return fd / (long)(8 * sizeof(long));
}

void __longjmp_chk(jmp_buf place, int value)
{
    longjmp(place, value);
}

void __pthread_register_cancel(void *buffer)
{
    (void)buffer;
}

void __pthread_unregister_cancel(void *buffer)
{
    (void)buffer;
}

int getcontext(void *context)
{
    (void)context;
    return -1;
}

int setcontext(const void *context)
{
    (void)context;
    return -1;
}

void makecontext(void *context, void (*function)(void), int count, ...)
{
    (void)context;
    (void)function;
    (void)count;
    abort();
}
