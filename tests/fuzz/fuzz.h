/*
 * What the fuzz targets share: the check that ends a run as a finding, an input that is eaten from
 * the front, and a watch on the time for each octet. An input that is used up goes on as zeros, so
 * every input means something.
 */
#ifndef BATV_FUZZ_H
#define BATV_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* An input that takes long for its length is a finding. That is CPU time, and a hundred times what
 * an octet of a bounce may take: a sanitizer is at work. What is quadratic shows all the same. */
enum { WATCH_MICROSECONDS = 2000000, WATCH_MICROSECONDS_PER_OCTET = 30 };

static inline uint64_t watch_start(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline void watch_end(uint64_t start, size_t octets)
{
    require(watch_start() - start <
            WATCH_MICROSECONDS + WATCH_MICROSECONDS_PER_OCTET * (uint64_t)octets);
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct input {
    const uint8_t *at, *end;
};

static inline bool input_over(const struct input *input)
{
    return input->at == input->end;
}

static inline uint8_t take_octet(struct input *input)
{
    return input_over(input) ? 0 : *input->at++;
}

static inline unsigned take_number(struct input *input)
{
    unsigned high = take_octet(input);
    return high << 8 | take_octet(input);
}

/* 0 to limit - 1; limit at most 256. */
static inline unsigned take_below(struct input *input, size_t limit)
{
    return take_octet(input) % (unsigned)limit;
}

static inline bool take_bit(struct input *input)
{
    return (take_octet(input) & 1) != 0;
}

/* Of memory that is exactly as long, so that the sanitizer sees who reads on. NULs become `x`. */
static inline char *text_of(const uint8_t *octets, size_t length)
{
    char *text = malloc(length + 1);
    require(text != NULL);
    for (size_t i = 0; i < length; i++) {
        text[i] = octets[i] == 0 ? 'x' : (char)octets[i];
    }
    text[length] = '\0';
    return text;
}

/* The rest of the input. The caller frees. */
static inline char *take_rest(struct input *input)
{
    char *text = text_of(input->at, (size_t)(input->end - input->at));
    input->at = input->end;
    return text;
}

/* At most limit octets, of as many as an octet says; the caller frees. */
static inline char *take_text(struct input *input, size_t limit)
{
    size_t length = take_octet(input);
    size_t left = (size_t)(input->end - input->at);
    length = length < limit ? length : limit;
    length = length < left ? length : left;
    char *text = text_of(input->at, length);
    input->at += length;
    return text;
}

static inline bool has_letters(const char *text, char first, char last)
{
    for (; *text != '\0'; text++) {
        if (*text >= first && *text <= last) {
            return true;
        }
    }
    return false;
}

#endif
