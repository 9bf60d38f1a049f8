/*
 * The ranges are Unicode's general categories Cc, Cf, Zl and Zp, with the letters, marks and
 * selectors that show nothing, private use, and the planes in which nothing is assigned. Pure but
 * for the stream.
 */
#include "base/visible.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

size_t utf8_length(const char *text)
{
    static const struct {
        unsigned char from, to;  /* of the first octet */
        unsigned char low, high; /* of the second */
        size_t length;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const unsigned char *octets = (const unsigned char *)text;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (octets[0] < forms[i].from || octets[0] > forms[i].to) {
            continue;
        }
        size_t n = 1;
        if (forms[i].length > 1 && octets[1] >= forms[i].low && octets[1] <= forms[i].high) {
            n = 2;
            while (n < forms[i].length && (octets[n] & 0xc0) == 0x80) {
                n++;
            }
        }
        return n == forms[i].length ? n : 0;
    }
    return 0;
}

static const struct {
    uint32_t from, to;
} hidden[] = {
    {0x0000, 0x001f},   {0x007f, 0x009f},    {0x00ad, 0x00ad},   {0x034f, 0x034f},
    {0x0600, 0x0605},   {0x061c, 0x061c},    {0x06dd, 0x06dd},   {0x070f, 0x070f},
    {0x0890, 0x0891},   {0x08e2, 0x08e2},    {0x115f, 0x1160},   {0x17b4, 0x17b5},
    {0x180b, 0x180f},   {0x200b, 0x200f},    {0x2028, 0x202e},   {0x2060, 0x206f},
    {0x2800, 0x2800},   {0x3164, 0x3164},    {0xe000, 0xf8ff},   {0xfdd0, 0xfdef},
    {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},    {0xffa0, 0xffa0},   {0xfff0, 0xfffb},
    {0x110bd, 0x110bd}, {0x110cd, 0x110cd},  {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a}, {0x323b0, 0x10ffff},
};

static bool is_hidden(const char *text, size_t length)
{
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (unsigned char)text[0] & lead[length];
    for (size_t i = 1; i < length; i++) {
        code = code << 6 | ((unsigned char)text[i] & 0x3f);
    }
    bool found = (code & 0xfffe) == 0xfffe;
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0] && !found; i++) {
        found = code >= hidden[i].from && code <= hidden[i].to;
    }
    return found;
}

void visible_print(FILE *out, const char *text, const char *kept)
{
    while (*text != '\0') {
        size_t length = utf8_length(text);
        bool printable = length > 0 && !is_hidden(text, length);
        length = length > 0 ? length : 1;
        for (size_t i = 0; i < length; i++) {
            if (printable || strchr(kept, text[i]) != NULL) {
                fputc(text[i], out);
            } else {
                fprintf(out, "\\x%02X", (unsigned char)text[i]);
            }
        }
        text += length;
    }
}
