/*
 * Messages taken apart. GMime reads what is intricate: parameters of a content type, transfer
 * encodings, character sets, mailboxes, each of bounded length. The structure of a message is
 * walked by core/parts.c instead of GMime's parser, for that one makes objects of everything first,
 * and recurses: measured, a message of 1 MiB took it 280 MB with parts of 5 octets, and more than a
 * minute with half a million addresses in a returned To:.
 *
 * Every part's text is searched as its header says that it is encoded; then all of the body once
 * more as it stands, and as it would be if it were quoted-printable or base64, because what comes
 * back has often lost the header or the boundary that would tell. Each buffer is freed before the
 * next text is read: there are never more than two, neither much larger than the message, but for
 * small ones of what was packed. All of it goes from one budget; once that is used up, the rest is
 * not searched.
 *
 * Nothing is shared between calls. GMime's own tables are filled by mime_init.
 */
#include "content/mime.h"

#include <gmime/gmime.h>
#include <iconv.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address.h"
#include "batv/bounce_class.h"
#include "batv/bounce_text.h"
#include "batv/disguise.h"
#include "batv/fields.h"
#include "batv/message_id.h"
#include "batv/parts.h"
#include "batv/unpack.h"
#include "content/inflate.h"

enum {
    VALUE_ROOM = 1000, /* octets of a Content- field that are looked at */
    TYPE_ROOM = 100,
    CONVERT_ERRORS = 1000,
    DECODED_OCTETS = 2, /* that are decoded in a step */
    CONVERT_STEPS = 4,  /* for an octet */
    PARSE_STEPS = 16,   /* for an octet that GMime parses */
    OWN_ID_STEPS = 100,
    UU_STEPS = 40,
    UNPACKED_MAX = 64 * 1024, /* octets of what is packed: a header stands at the beginning */
    UNPACKED_FACTOR = 8,      /* of all that is unpacked, to the message's octets */
    UNPACKED_FILES = 16,
    UNPACK_STEPS = 1000,
    NEST_MAX = 2,         /* signed messages in one another */
    ADDRESS_PIECE = 1000, /* octets of a mailbox */
    ADDRESS_PIECES = 256,
    ADDRESSES_MAX = 64,
    GROUP_DEPTH = 4
};

/* Characters that mean nothing but themselves wherever they stand. */
#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_"

/* What a part's header says. */
struct description {
    char type[TYPE_ROOM]; /* "text/plain", in lower case */
    char report_type[TYPE_ROOM];
    char charset[TYPE_ROOM];
    char file_name[VALUE_ROOM];
    char boundary[VALUE_ROOM];
    GMimeContentEncoding encoding;
};

struct reading {
    struct bounce_reader reader;
    struct bounce_signs signs;
    struct parts parts;
    char *boundaries[PARTS_DEPTH]; /* of the multiparts that are open */
    const struct gaps *gaps;       /* in the message; NULL: none */
    const char *start;             /* of it */
    size_t length;
    size_t gaps_passed;
    bool opened;     /* the first text has been seen */
    bool whole;      /* all of the body has been searched as it stands */
    size_t unpacked; /* octets that may still be unpacked */
    unsigned nested; /* signed messages around what is read */
    bool no_memory;
};

/* ------------------------------------------------------------------ buffers */

/* Text that had to be decoded. Owned. */
struct buffer {
    char *text;
    size_t length;
};

static bool buffer_make(struct reading *reading, struct buffer *buffer, size_t room)
{
    buffer->length = 0;
    buffer->text = malloc(room + 1);
    reading->no_memory = reading->no_memory || buffer->text == NULL;
    return buffer->text != NULL;
}

static void buffer_free(struct buffer *buffer)
{
    free(buffer->text);
    *buffer = (struct buffer){NULL, 0};
}

static struct octets buffer_octets(const struct buffer *buffer)
{
    return (struct octets){buffer->text, buffer->length};
}

static bool decode(struct reading *reading, GMimeContentEncoding encoding, struct octets text,
                   struct buffer *out)
{
    GMimeEncoding state;
    budget_spend(reading->reader.budget, text.length / DECODED_OCTETS);
    g_mime_encoding_init_decode(&state, encoding);
    if (!buffer_make(reading, out, g_mime_encoding_outlen(&state, text.length))) {
        return false;
    }
    out->length = g_mime_encoding_flush(&state, text.start, text.length, out->text);
    return true;
}

/* Into UTF-8, up to where it is clearly something else. False where that cannot be done, or there
 * is no memory. */
static bool convert(struct reading *reading, const char *charset, struct octets text,
                    struct buffer *out)
{
    budget_spend(reading->reader.budget, CONVERT_STEPS * text.length);
    iconv_t converter = g_mime_iconv_open("UTF-8", charset);
    if (converter == (iconv_t)-1) {
        return false;
    }
    size_t room = text.length + text.length / 2; /* three octets for two */
    if (buffer_make(reading, out, room)) {
        char *to = out->text;
        union {
            const char *in;
            char *plain; /* iconv's type; it changes nothing */
        } from = {text.start};
        size_t left = text.length;
        for (unsigned errors = 0;
             errors < CONVERT_ERRORS && left > 0 && room > 0 &&
             iconv(converter, &from.plain, &left, &to, &room) == (size_t)-1 && left > 0;
             errors++) {
            from.plain++;
            left--;
        }
        out->length = (size_t)(to - out->text);
    }
    g_mime_iconv_close(converter);
    return out->text != NULL;
}

/* Without NULs: text in two or four octets a character is then readable, whatever it says. */
static bool drop_nuls(struct reading *reading, struct octets text, struct buffer *out)
{
    budget_spend(reading->reader.budget, text.length / DECODED_OCTETS);
    if (!buffer_make(reading, out, text.length)) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.start[i] != '\0') {
            out->text[out->length++] = text.start[i];
        }
    }
    return true;
}

/* ---------------------------------------------------------------- searching */

static bool is_used_up(const struct reading *reading)
{
    return budget_used_up(reading->reader.budget);
}

static void search_guessed(struct reading *reading, struct octets text, const char *where)
{
    struct buffer buffer = {NULL, 0};
    budget_spend(reading->reader.budget, text.length / DECODED_OCTETS);
    if (quoted_printable_seen(text) && buffer_make(reading, &buffer, text.length)) {
        buffer.length = quoted_printable_guess(text, buffer.text);
        bounce_scan_text(&reading->reader, buffer_octets(&buffer), where);
    }
    buffer_free(&buffer);
}

static void search_ebcdic(struct reading *reading, struct octets text, const char *where)
{
    static const char *const pages[] = {"IBM037", "IBM273"}; /* of two minds about the @ */
    for (size_t i = 0; ebcdic_seen(text) && i < sizeof pages / sizeof pages[0]; i++) {
        struct buffer buffer = {NULL, 0};
        if (convert(reading, pages[i], text, &buffer)) {
            bounce_scan_text(&reading->reader, buffer_octets(&buffer), where);
        }
        buffer_free(&buffer);
    }
}

/* A file of an archive, or all of a compressed one. */
static void search_file(struct reading *reading, struct octets data, bool raw, const char *where)
{
    struct buffer buffer = {NULL, 0};
    size_t room = reading->unpacked < UNPACKED_MAX ? reading->unpacked : UNPACKED_MAX;
    budget_spend(reading->reader.budget, UNPACK_STEPS);
    if (room == 0 || !buffer_make(reading, &buffer, room)) {
        return;
    }
    enum status status = inflate_begin_of(data, raw, buffer.text, room, &buffer.length);
    reading->no_memory = reading->no_memory || status == STATUS_NO_MEMORY;
    reading->unpacked -= buffer.length;
    budget_spend(reading->reader.budget, buffer.length / DECODED_OCTETS);
    bounce_scan_text(&reading->reader, buffer_octets(&buffer), where);
    search_guessed(reading, buffer_octets(&buffer), where);
    buffer_free(&buffer);
}

static void search_packed(struct reading *reading, struct octets text, const char *where)
{
    struct octets data;
    bool packed;
    if (gzip_seen(text)) {
        search_file(reading, text, false, where);
    }
    if (!zip_seen(text)) {
        return;
    }
    budget_spend(reading->reader.budget, text.length / DECODED_OCTETS);
    for (unsigned i = 0;
         i < UNPACKED_FILES && !is_used_up(reading) && zip_next(&text, &data, &packed); i++) {
        if (packed) { /* what is not is found as it stands */
            search_file(reading, data, true, where);
        }
    }
}

/* What was decoded because of its look, which may be packed. */
static void search_decoded(struct reading *reading, struct octets text, const char *where)
{
    bounce_scan_text(&reading->reader, text, where);
    search_guessed(reading, text, where);
    search_ebcdic(reading, text, where);
    search_packed(reading, text, where);
}

static void search_base64(struct reading *reading, struct octets text, const char *where)
{
    struct octets lines;
    budget_spend(reading->reader.budget, text.length / DECODED_OCTETS);
    while (!is_used_up(reading) && base64_next(&text, &lines)) {
        struct buffer buffer = {NULL, 0};
        if (decode(reading, GMIME_CONTENT_ENCODING_BASE64, lines, &buffer)) {
            search_decoded(reading, buffer_octets(&buffer), where);
        }
        buffer_free(&buffer);
    }
}

static void search_uuencoded(struct reading *reading, struct octets text, const char *where)
{
    size_t marks;
    budget_spend(reading->reader.budget, text.length / DECODED_OCTETS);
    while (!is_used_up(reading) && uuencoded_next(&text, &marks)) {
        struct buffer buffer = {NULL, 0};
        struct octets ahead = text;
        size_t room = uuencoded_lines(&ahead, marks, NULL);
        budget_spend(reading->reader.budget, UU_STEPS + room);
        if (room > 0 && buffer_make(reading, &buffer, room)) {
            buffer.length = uuencoded_lines(&text, marks, buffer.text);
            search_decoded(reading, buffer_octets(&buffer), where);
        }
        buffer_free(&buffer);
    }
}

/* Text as it stands, and as it would be without the encodings that it seems to have. */
static void search(struct reading *reading, struct octets text, const char *where)
{
    bounce_scan_text(&reading->reader, text, where);
    if (!is_used_up(reading)) {
        search_guessed(reading, text, where);
        search_base64(reading, text, where);
        search_uuencoded(reading, text, where);
        search_ebcdic(reading, text, where);
    }
}

static bool has_nuls(struct octets text)
{
    return text.length > 0 && memchr(text.start, '\0', text.length) != NULL;
}

static void search_raw(struct reading *reading, struct octets text)
{
    struct buffer plain = {NULL, 0};
    if (has_nuls(text) && drop_nuls(reading, text, &plain)) {
        text = buffer_octets(&plain);
    }
    search(reading, text, "raw text");
    buffer_free(&plain);
}

/* -------------------------------------------------------------------- parts */

static void copy_lower(const char *text, char out[static TYPE_ROOM])
{
    size_t i = 0;
    for (; text != NULL && text[i] != '\0' && i + 1 < TYPE_ROOM; i++) {
        out[i] = ascii_lower(text[i]);
    }
    out[i] = '\0';
}

static void copy_text(const char *text, char out[static VALUE_ROOM])
{
    out[0] = '\0';
    if (text != NULL) {
        size_t length = strnlen(text, VALUE_ROOM - 1);
        memcpy(out, text, length);
        out[length] = '\0';
    }
}

/* A type without parameters or anything odd: there is nothing intricate in it. */
static bool is_bare_type(const char *value)
{
    size_t type = strspn(value, WORD ".");
    size_t subtype = value[type] == '/' ? strspn(value + type + 1, WORD ".") : 0;
    return type > 0 && subtype > 0 && value[type + 1 + subtype] == '\0';
}

static void describe_type(const char *value, struct description *out)
{
    if (is_bare_type(value)) {
        copy_lower(value, out->type);
        return;
    }
    GMimeContentType *type = g_mime_content_type_parse(NULL, value);
    char *name = g_mime_content_type_get_mime_type(type);
    copy_lower(name, out->type);
    copy_lower(g_mime_content_type_get_parameter(type, "report-type"), out->report_type);
    copy_lower(g_mime_content_type_get_parameter(type, "charset"), out->charset);
    copy_text(g_mime_content_type_get_parameter(type, "boundary"), out->boundary);
    if (out->file_name[0] == '\0') {
        copy_text(g_mime_content_type_get_parameter(type, "name"), out->file_name);
    }
    g_free(name);
    g_object_unref(type);
}

static void describe_disposition(const char *value, struct description *out)
{
    GMimeContentDisposition *disposition = g_mime_content_disposition_parse(NULL, value);
    const char *name = g_mime_content_disposition_get_parameter(disposition, "filename");
    if (name != NULL) {
        copy_text(name, out->file_name);
    }
    g_object_unref(disposition);
}

static void describe(const struct part *part, struct budget *budget, struct description *out)
{
    char value[VALUE_ROOM];
    struct octets header = part->header;
    struct field field;
    bool typed = false;
    *out = (struct description){.encoding = GMIME_CONTENT_ENCODING_DEFAULT};
    while (!budget_used_up(budget) && field_next(&header, &field)) {
        if (!octets_begin(field.name, "Content-")) {
            continue;
        }
        field_unfold(field.value, value, sizeof value);
        budget_spend(budget, PARSE_STEPS * strlen(value));
        if (octets_equal(field.name, "Content-Type") && !typed) {
            describe_type(value, out);
            typed = true;
        } else if (octets_equal(field.name, "Content-Disposition")) {
            describe_disposition(value, out);
        } else if (octets_equal(field.name, "Content-Transfer-Encoding")) {
            value[strcspn(value, " \t;(")] = '\0';
            out->encoding = g_mime_content_encoding_from_string(value);
        }
    }
    if (!typed) {
        copy_lower(part->in_digest ? "message/rfc822" : "text/plain", out->type);
    }
}

static bool is_encoded(const struct description *description)
{
    return description->encoding == GMIME_CONTENT_ENCODING_BASE64 ||
           description->encoding == GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE;
}

/* Character sets in which ASCII does not stand for itself, or not always. Where it only stands
 * among NULs, they are dropped instead, whatever the header says. */
static bool is_foreign_charset(const char *charset)
{
    static const char *const prefixes[] = {
        "utf-7", "utf7", "unicode-1-1-utf-7", "ebcdic", "ibm037", "cp037", "ibm273", "cp273",
        "ibm500", "cp500", "ibm1047", "cp1047", "ibm1141", "cp1141",
        /* in these a character of ASCII may be the second half of another */
        "iso-2022-", "shift", "sjis", "x-sjis", "cp932", "windows-31j", "gb", "big5", "hz"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(charset, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_message(const char *type)
{
    static const char *const types[] = {"message/rfc822", "message/rfc2822", "message/global",
                                        "message/news"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(type, types[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The header of one, as a part of its own. */
static bool is_message_header(const char *type)
{
    return strcmp(type, "text/rfc822-headers") == 0 || strcmp(type, "message/global-headers") == 0;
}

static const char *place_name(const struct part *part, const struct description *description)
{
    if (part->in_message || is_message_header(description->type) || is_message(description->type)) {
        return "returned message";
    }
    return strstr(description->type, "-status") != NULL ||
                   strstr(description->type, "disposition-notification") != NULL ||
                   strstr(description->type, "feedback-report") != NULL
               ? "report"
               : "text";
}

/* What the content of a part says of the message's class. */
static void judge_text(struct reading *reading, const struct part *part,
                       const struct description *description, struct octets text)
{
    struct bounce_part signs = {description->type, description->report_type, description->file_name,
                                part->in_message};
    budget_spend(reading->reader.budget, text.length / DECODED_OCTETS);
    if (!reading->opened && !part->in_message) {
        bounce_signs_opening(&reading->signs, text);
        reading->opened = true;
    }
    if (is_message(description->type) || is_message_header(description->type)) {
        bounce_signs_returned(&reading->signs, text);
    }
    bounce_signs_part(&reading->signs, &signs, text);
}

/* Octets that mean something as they are; everything else is text. */
static bool is_binary(const char *type)
{
    return strncmp(type, "application/", 12) == 0 && strcmp(type, "application/ics") != 0 &&
           strcmp(type, "application/xml") != 0 && strcmp(type, "application/tlsrpt+json") != 0;
}

/* What a reading within a reading puts aside. */
struct nest {
    struct parts parts;
    char *boundaries[PARTS_DEPTH];
    const struct gaps *gaps;
    bool whole;
};

static void take_part(struct reading *reading, const struct part *part);

static void free_boundaries(struct reading *reading)
{
    for (size_t i = 0; i < PARTS_DEPTH; i++) {
        free(reading->boundaries[i]);
        reading->boundaries[i] = NULL;
    }
}

/* What came, with the encoding and the character set undone that the header names: in made, if that
 * is something else. True in *converted: it was in another character set. */
static struct octets undo(struct reading *reading, const struct description *description,
                          struct octets came, struct buffer *made, bool *converted)
{
    struct octets text = came;
    struct buffer other = {NULL, 0};
    if (is_encoded(description) && decode(reading, description->encoding, text, made)) {
        text = buffer_octets(made);
    }
    *converted = is_foreign_charset(description->charset) &&
                 convert(reading, description->charset, text, &other);
    if (*converted) {
        buffer_free(made);
        *made = other;
        text = buffer_octets(made);
    }
    return text;
}

/* The gaps up to here. Those in the content of a returned message are as good as none. What was
 * unpacked has none. */
static void pass_gaps(struct reading *reading, const char *to, bool in_returned)
{
    const struct gaps *gaps = reading->gaps;
    struct bounce *bounce = reading->reader.bounce;
    uintptr_t place = (uintptr_t)to - (uintptr_t)reading->start;
    while (gaps != NULL && place <= reading->length && reading->gaps_passed < gaps->count &&
           gaps->at[reading->gaps_passed] <= place) {
        bounce->unsearched = bounce->unsearched || !in_returned;
        reading->gaps_passed++;
    }
}

/* The message in a signed one, as if it stood in place of that. */
static void read_nested(struct reading *reading, const struct part *outer, struct octets message)
{
    struct nest *nest = malloc(sizeof *nest);
    struct part part;
    reading->no_memory = reading->no_memory || nest == NULL;
    if (nest == NULL) {
        return;
    }
    nest->parts = reading->parts;
    nest->whole = reading->whole;
    nest->gaps = reading->gaps;
    reading->gaps = NULL;
    memcpy(nest->boundaries, reading->boundaries, sizeof nest->boundaries);
    memset(reading->boundaries, 0, sizeof reading->boundaries);
    parts_start(&reading->parts, message, reading->reader.budget);
    reading->parts.count = nest->parts.count;
    reading->parts.messages = outer->in_message;
    reading->nested++;
    while (parts_next(&reading->parts, &part)) {
        take_part(reading, &part);
    }
    reading->nested--;
    free_boundaries(reading);
    memcpy(reading->boundaries, nest->boundaries, sizeof nest->boundaries);
    nest->parts.count = reading->parts.count;
    reading->parts = nest->parts;
    reading->whole = nest->whole;
    reading->gaps = nest->gaps;
    free(nest);
}

/* Opaque signed messages (RFC 8551 section 3.5.2), which may be of pieces, and compressed ones. */
static void read_signed(struct reading *reading, const struct part *part, struct octets text)
{
    enum signed_kind kind = signed_seen(text);
    size_t room = text.length < UNPACKED_MAX ? text.length : UNPACKED_MAX;
    struct buffer content = {NULL, 0};
    struct buffer inflated = {NULL, 0};
    if (kind == SIGNED_NOT || reading->nested == NEST_MAX ||
        !buffer_make(reading, &content, room)) {
        return;
    }
    budget_spend(reading->reader.budget, UNPACK_STEPS + room);
    content.length = signed_content(text, content.text, room);
    room = reading->unpacked < UNPACKED_MAX ? reading->unpacked : UNPACKED_MAX;
    if (kind == SIGNED_PLAIN) {
        read_nested(reading, part, buffer_octets(&content));
    } else if (room > 0 && buffer_make(reading, &inflated, room)) {
        enum status status =
            inflate_begin_of(buffer_octets(&content), false, inflated.text, room, &inflated.length);
        reading->no_memory = reading->no_memory || status == STATUS_NO_MEMORY;
        reading->unpacked -= inflated.length;
        read_nested(reading, part, buffer_octets(&inflated));
    }
    buffer_free(&inflated);
    buffer_free(&content);
}

static void take_leaf(struct reading *reading, const struct part *part,
                      const struct description *description)
{
    pass_gaps(reading, reading->parts.rest.start - 1, false);
    struct octets came = parts_leaf(&reading->parts);
    pass_gaps(reading, reading->parts.rest.start, part->in_message);
    struct buffer made = {NULL, 0};
    struct buffer plain = {NULL, 0};
    bool converted;
    struct octets text = undo(reading, description, came, &made, &converted);
    bool binary = is_binary(description->type);
    reading->whole = part->depth == 0 && text.start == came.start;
    if (binary) {
        judge_text(reading, part, description, text);
    }
    search_packed(reading, text, place_name(part, description));
    read_signed(reading, part, text);
    if (has_nuls(text) && drop_nuls(reading, text, &plain)) {
        buffer_free(&made);
        text = buffer_octets(&plain);
    }
    if (!binary) {
        judge_text(reading, part, description, text);
    }
    if (converted) {
        bounce_scan_text(&reading->reader, text, place_name(part, description));
    } else {
        search(reading, text, place_name(part, description));
    }
    buffer_free(&plain);
    buffer_free(&made);
}

static bool is_multipart(const struct description *description)
{
    return strncmp(description->type, "multipart/", 10) == 0;
}

/* What the first delimiter near the beginning says, where the header does not; "": nothing. NULL:
 * no memory. */
static char *guess_boundary(struct octets content)
{
    enum { LINES = 100, BOUNDARY_MAX = 70 };
    struct octets line;
    for (unsigned i = 0; i < LINES && line_next(&content, &line); i++) {
        if (line.length > 2 && line.length <= BOUNDARY_MAX + 2 && octets_begin(line, "--")) {
            return strndup(line.start + 2, line.length - 2);
        }
    }
    return strdup("");
}

/* False: it has to be taken as a leaf. */
static bool enter_multipart(struct reading *reading, const struct description *description)
{
    unsigned level = reading->parts.depth;
    if (!is_multipart(description) || level == PARTS_DEPTH) {
        return false;
    }
    char *boundary = description->boundary[0] != '\0' ? strdup(description->boundary)
                                                      : guess_boundary(reading->parts.rest);
    if (boundary == NULL) {
        reading->no_memory = true;
        return false;
    }
    free(reading->boundaries[level]);
    reading->boundaries[level] = boundary;
    return parts_enter_multipart(&reading->parts, octets_of(boundary),
                                 strcmp(description->type, "multipart/digest") == 0);
}

static void take_part(struct reading *reading, const struct part *part)
{
    struct description description;
    describe(part, reading->reader.budget, &description);
    struct bounce_part signs = {description.type, description.report_type, description.file_name,
                                part->in_message};
    if (part->of_message && part->depth > 0) {
        bounce_signs_returned(&reading->signs, part->header);
    }
    if (part->depth > 0) {
        bounce_scan_text(&reading->reader, part->header, place_name(part, &description));
    }
    bool returns = is_message(description.type) && !is_encoded(&description);
    if (part->depth >= PARTS_DEPTH && (returns || is_multipart(&description))) {
        reading->reader.bounce->limits[BOUNCE_LIMIT_DEPTH] = true;
    }
    if (enter_multipart(reading, &description) ||
        (returns && parts_enter_message(&reading->parts))) {
        bounce_signs_part(&reading->signs, &signs, (struct octets){NULL, 0});
    } else {
        take_leaf(reading, part, &description);
    }
}

/* ------------------------------------------------------------- the own header */

/* Some programs encode a long Message-ID as if it were text (RFC 2047). */
static void scan_encoded(struct reading *reading, const struct field *field)
{
    char value[VALUE_ROOM];
    struct octets encoded = field->value;
    if (octets_find(encoded, "=?") == NULL) {
        return;
    }
    field_unfold(encoded, value, sizeof value);
    budget_spend(reading->reader.budget, PARSE_STEPS * strlen(value));
    char *text = g_mime_utils_header_decode_text(NULL, value);
    struct field decoded = {field->name, octets_of(text)};
    if (octets_equal(field->name, "Subject")) {
        bounce_signs_field(&reading->signs, &decoded);
    }
    bounce_scan_field(&reading->reader, &decoded);
    g_free(text);
}

/* What the search needs to know of the message's header. */
static void take_header(struct reading *reading, struct octets header)
{
    struct field field;
    while (!is_used_up(reading) && field_next(&header, &field)) {
        budget_spend(reading->reader.budget, field.value.length);
        bounce_signs_field(&reading->signs, &field);
        bounce_scan_field(&reading->reader, &field);
        scan_encoded(reading, &field);
    }
}

/* Forgets the Message-IDs of the message itself that stand below surer only; the first one is its
 * own_id. */
static void drop_own_ids(struct reading *reading, struct octets header, enum bounce_rank surer)
{
    struct bounce *bounce = reading->reader.bounce;
    struct field field;
    while (field_next(&header, &field)) {
        char *id = NULL;
        if (!octets_equal(field.name, "Message-ID")) {
            continue;
        }
        budget_spend(reading->reader.budget, OWN_ID_STEPS);
        enum status status = message_id_clean(field.value.start, field.value.length, &id);
        reading->no_memory = reading->no_memory || status == STATUS_NO_MEMORY;
        if (status == STATUS_OK) {
            bounce_drop_id(&reading->reader, id, surer);
        }
        if (bounce->own_id == NULL) {
            bounce->own_id = id;
        } else {
            free(id);
        }
    }
}

/* The line that a mailbox puts before a message. */
static void skip_mailbox_line(struct octets *message)
{
    struct octets line;
    while (octets_begin(*message, "From ") || octets_begin(*message, ">From ")) {
        line_next(message, &line);
    }
}

/* Where the reading ended before the message did. */
static void note_limits(struct reading *reading)
{
    struct bounce *bounce = reading->reader.bounce;
    const struct gaps *gaps = reading->gaps;
    bool dropped = gaps != NULL && (gaps->count > 0 || gaps->at_end);
    bounce->limits[BOUNCE_LIMIT_BODY] = dropped;
    bounce->limits[BOUNCE_LIMIT_PARTS] =
        reading->parts.count == PARTS_MAX && reading->parts.rest.length > 0;
    bounce->limits[BOUNCE_LIMIT_STEPS] = is_used_up(reading);
    bounce->unsearched = bounce->unsearched || is_used_up(reading) ||
                         (dropped && (gaps->at_end || reading->gaps_passed < gaps->count ||
                                      bounce->named_count == 0));
}

static void read_message(struct reading *reading, struct octets message)
{
    struct octets header = {message.start, 0};
    struct part part;
    skip_mailbox_line(&message);
    parts_start(&reading->parts, message, reading->reader.budget);
    while (parts_next(&reading->parts, &part)) {
        if (part.depth == 0) {
            header = part.header;
            take_header(reading, header);
            drop_own_ids(reading, header, BOUNCE_RANKS);
            message.start += header.length;
            message.length -= header.length;
        }
        take_part(reading, &part);
    }
    if (!reading->whole) {
        search_raw(reading, message);
    }
    /* An own Message-ID in the content has to be that of the returned copy. */
    drop_own_ids(reading, header, BOUNCE_LABELLED);
    bounce_reader_end(&reading->reader);
    note_limits(reading);
    reading->reader.bounce->class = bounce_signs_class(&reading->signs);
}

enum status mime_read_skimmed(const char *octets, size_t length, const struct gaps *gaps,
                              struct budget *budget, struct bounce **out)
{
    struct reading *reading = calloc(1, sizeof *reading);
    struct bounce *bounce = bounce_new();
    enum status status = STATUS_NO_MEMORY;
    *out = NULL;
    if (reading != NULL && bounce != NULL) {
        bounce_reader_start(&reading->reader, bounce, budget);
        reading->gaps = gaps;
        reading->start = octets;
        reading->length = length;
        reading->unpacked = UNPACKED_FACTOR * length;
        read_message(reading, (struct octets){octets, length});
        free_boundaries(reading);
        if (!reading->no_memory && !reading->reader.no_memory) {
            status = STATUS_OK;
            *out = bounce;
            bounce = NULL;
        }
    }
    bounce_free(bounce);
    free(reading);
    return status;
}

enum status mime_read_bounce(const char *octets, size_t length, struct budget *budget,
                             struct bounce **out)
{
    return mime_read_skimmed(octets, length, NULL, budget, out);
}

/* ---------------------------------------------------------------- addresses */

struct taking {
    bool (*take)(void *context, const char *address);
    void *context;
    size_t left;
    size_t pieces;
};

/* False: no more are wanted. */
static bool take_address(struct taking *taking, const char *text)
{
    if (text == NULL || text[0] == '\0') {
        return true;
    }
    taking->left--;
    return taking->take(taking->context, text) && taking->left > 0;
}

static bool take_mailbox(struct taking *taking, InternetAddress *address)
{
    return take_address(taking,
                        internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(address)));
}

/* The mailboxes of a list, also those in its groups. */
static bool take_list(struct taking *taking, InternetAddressList *list)
{
    struct {
        InternetAddressList *list;
        int next;
    } open[GROUP_DEPTH] = {{list, 0}};
    size_t depth = 1;
    while (depth > 0) {
        InternetAddressList *inner = open[depth - 1].list;
        if (open[depth - 1].next >= internet_address_list_length(inner)) {
            depth--;
            continue;
        }
        InternetAddress *address = internet_address_list_get_address(inner, open[depth - 1].next++);
        if (INTERNET_ADDRESS_IS_GROUP(address) && depth < GROUP_DEPTH) {
            open[depth].list = internet_address_group_get_members(INTERNET_ADDRESS_GROUP(address));
            open[depth++].next = 0;
        } else if (INTERNET_ADDRESS_IS_MAILBOX(address) && !take_mailbox(taking, address)) {
            return false;
        }
    }
    return true;
}

/* The octets up to the next comma that is in no quotes, comment or brackets. */
static size_t piece_length(struct octets value)
{
    unsigned comments = 0;
    bool quoted = false;
    for (size_t i = 0; i < value.length; i++) {
        char c = value.start[i];
        if (c == '\\') {
            i++;
        } else if (quoted || (c == '"' && comments == 0)) {
            quoted = quoted != (c == '"');
        } else if (c == '(') {
            comments++;
        } else if (c == ')' && comments > 0) {
            comments--;
        } else if (c == ',' && comments == 0) {
            return i;
        }
    }
    return value.length;
}

/* The octets of words with a dot between each two; 0: text begins with something else. */
static size_t dotted_length(const char *text)
{
    size_t length = 0;
    for (size_t word; (word = strspn(text + length, WORD)) > 0; length++) {
        length += word;
        if (text[length] != '.') {
            return length;
        }
    }
    return 0;
}

/* The address in "alice@example.com" or "Alice <alice@example.com>", cut off within text. Nearly
 * all are like that, and need no parser. NULL: this one does; it decodes A-labels, too. */
static char *plain_address(char *text)
{
    size_t name = strspn(text, WORD " ");
    bool bracketed = text[name] == '<';
    char *address = bracketed ? text + name + 1 : text;
    size_t local = dotted_length(address);
    size_t domain = local > 0 && address[local] == '@' ? dotted_length(address + local + 1) : 0;
    char *end = address + local + 1 + domain;
    if (domain == 0 || strcmp(end, bracketed ? ">" : "") != 0 ||
        octets_find(octets_of(address), "xn--") != NULL) {
        return NULL;
    }
    *end = '\0';
    return address;
}

/* GMime takes time quadratic in the number of mailboxes, so it is given one at a time. */
static bool take_piece(struct taking *taking, struct octets piece)
{
    char text[ADDRESS_PIECE];
    if (octets_trim(piece).length == 0) {
        return true;
    }
    field_unfold(piece, text, sizeof text);
    const char *plain = plain_address(text);
    InternetAddressList *list = plain == NULL ? internet_address_list_parse(NULL, text) : NULL;
    bool more = plain == NULL || take_address(taking, plain);
    if (list != NULL) {
        more = take_list(taking, list);
        g_object_unref(list);
    }
    return --taking->pieces > 0 && more;
}

void mime_addresses(const char *value, bool (*take)(void *context, const char *address),
                    void *context)
{
    struct taking taking = {take, context, ADDRESSES_MAX, ADDRESS_PIECES};
    struct octets rest = octets_of(value);
    while (rest.length > 0) {
        size_t length = piece_length(rest);
        if (!take_piece(&taking, (struct octets){rest.start, length})) {
            return;
        }
        length += length < rest.length;
        rest.start += length;
        rest.length -= length;
    }
}

static bool ignore_address(void *context, const char *address)
{
    (void)context;
    return address != NULL;
}

/* GMime makes its classes at their first use, so each is used once before there are threads. */
void mime_init(void)
{
    static const char message[] =
        "Content-Type: multipart/mixed; boundary=b\nContent-Disposition: inline\n\n--b\n\nx\n";
    struct bounce *bounce;
    struct budget budget = budget_of(sizeof message);
    g_mime_init();
    mime_addresses("a@example.com, G: b@example.com;", ignore_address, NULL);
    if (mime_read_bounce(message, sizeof message - 1, &budget, &bounce) == STATUS_OK) {
        bounce_free(bounce);
    }
}
