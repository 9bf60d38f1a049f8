/*
 * A filter of lines that sees each octet once. Each beginning of a part gets a share of the room
 * that is left, so that however many parts there are, there is room for the next one's beginning.
 * No state but the caller's.
 */
#include "batv/skim.h"

#include <assert.h>
#include <string.h>

enum {
    HEAD_MAX = 16 * 1024,  /* octets of a part's beginning */
    HEAD_SHARE = 32,       /* and of the room that is left, one part in so many */
    LONG_LINE = 16 * 1024, /* octets that are kept of one that is a field */
    NO_LINE = 64 * 1024    /* what is longer is no text: SMTP allows 998 */
};

static size_t head_share(const struct skim *skim)
{
    size_t share = (skim->limit - skim->length) / HEAD_SHARE;
    return share < HEAD_MAX ? share : HEAD_MAX;
}

void skim_start(struct skim *skim, char *out, size_t length, size_t limit)
{
    assert(length <= limit);
    *skim = (struct skim){.out = out, .length = length, .limit = limit};
    skim->head = head_share(skim);
}

static void note_gap(struct skim *skim)
{
    struct gaps *gaps = &skim->gaps;
    if (gaps->count > 0 && gaps->at[gaps->count - 1] == skim->length) {
        return;
    }
    gaps->count += gaps->count < SKIM_GAPS;
    gaps->at[gaps->count - 1] = skim->length;
}

static void end_early(struct skim *skim)
{
    skim->full = true;
    skim->gaps.at_end = true;
    note_gap(skim);
}

static void keep(struct skim *skim, const char *octets, size_t length)
{
    size_t room = skim->limit - skim->length;
    size_t taken = length < room ? length : room;
    memmove(skim->out + skim->length, octets, taken);
    skim->length += taken;
    skim->head -= taken < skim->head ? taken : skim->head;
    if (taken < length) {
        end_early(skim);
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* "Name:", perhaps quoted or indented. */
static bool is_field(struct octets line)
{
    size_t i = 0;
    while (i < line.length && (is_blank(line.start[i]) || strchr(">|", line.start[i]) != NULL)) {
        i++;
    }
    size_t name = i;
    while (i < line.length && line.start[i] > ' ' && line.start[i] < 0x7f && line.start[i] != ':') {
        i++;
    }
    bool named = i > name;
    while (i < line.length && is_blank(line.start[i])) {
        i++;
    }
    return named && i < line.length && line.start[i] == ':';
}

static bool is_boundary(struct octets line)
{
    return line.length > 2 && memcmp(line.start, "--", 2) == 0;
}

static bool is_of_use(struct skim *skim, struct octets line)
{
    bool goes_on = skim->in_field && (line.length == 0 || is_blank(line.start[0]));
    skim->in_field = line.length > 0 && (goes_on || is_field(line));
    return skim->in_field || goes_on ||
           (line.length > 0 && memchr(line.start, '@', line.length) != NULL);
}

/* Of a line that is decided. */
static void keep_some(struct skim *skim, const char *octets, size_t length)
{
    size_t kept = !skim->keeps ? 0 : length < skim->left ? length : skim->left;
    skim->left -= kept;
    if (kept > 0) {
        keep(skim, octets, kept);
    }
    if (kept < length) {
        note_gap(skim);
    }
}

/* By the beginning that stands in skim->line. */
static void decide(struct skim *skim)
{
    struct octets line = {skim->line, skim->used};
    bool of_use = is_of_use(skim, line);
    if (is_boundary(line)) {
        skim->head = head_share(skim);
        of_use = true;
    }
    skim->decided = true;
    skim->keeps = of_use || skim->head > 0;
    skim->left = of_use ? LONG_LINE : skim->head;
    keep_some(skim, skim->line, skim->used);
}

/* Octets of one line, without its end. */
static void take(struct skim *skim, const char *octets, size_t length)
{
    skim->came += length;
    if (!skim->decided) {
        size_t room = SKIM_LINE - skim->used;
        size_t taken = length < room ? length : room;
        memcpy(skim->line + skim->used, octets, taken);
        skim->used += taken;
        octets += taken;
        length -= taken;
        if (skim->used == SKIM_LINE) {
            decide(skim);
        }
    }
    keep_some(skim, octets, length);
    if (skim->came > NO_LINE) {
        end_early(skim);
    }
}

static void end_line(struct skim *skim, const char *octets, size_t length)
{
    if (!skim->decided) {
        decide(skim);
    }
    if (skim->keeps) {
        keep(skim, octets, length);
    } else {
        note_gap(skim);
    }
    skim->kept = skim->keeps;
    skim->decided = false;
    skim->used = 0;
    skim->came = 0;
}

/* The octets before the first CR or LF. */
static size_t line_length(struct octets text)
{
    size_t length = 0;
    while (length < text.length && text.start[length] != '\n' && text.start[length] != '\r') {
        length++;
    }
    return length;
}

static void pass(struct octets *text, size_t length)
{
    text->start += length;
    text->length -= length;
}

/* The LF behind a CR that was a line's end: it belongs to that. */
static void take_feed(struct skim *skim, struct octets *piece)
{
    if (skim->behind_back && piece->start[0] == '\n') {
        if (skim->kept) {
            keep(skim, piece->start, 1);
        }
        pass(piece, 1);
    }
    skim->behind_back = false;
}

bool skim_add(struct skim *skim, struct octets piece)
{
    while (piece.length > 0 && !skim->full) {
        take_feed(skim, &piece);
        size_t length = line_length(piece);
        take(skim, piece.start, length);
        pass(&piece, length);
        if (piece.length > 0) {
            skim->behind_back = piece.start[0] == '\r';
            end_line(skim, piece.start, 1);
            pass(&piece, 1);
        }
    }
    return !skim->full;
}

void skim_end(struct skim *skim)
{
    if (!skim->decided && skim->used > 0 && !skim->full) {
        decide(skim);
    }
    skim->used = 0;
}
