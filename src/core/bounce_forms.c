/*
 * The forms. Each is gone over once, and what does not keep to its form is none; a message that is
 * cut off in it is not worth the risk. No state.
 */
#include "bounce_forms.h"

#include <stdint.h>
#include <string.h>

#include "batv/address.h"

static bool begins_with(struct octets content, const char *octets, size_t length)
{
    return content.length >= length && memcmp(content.start, octets, length) == 0;
}

static struct octets behind(struct octets octets, size_t length)
{
    return (struct octets){octets.start + length, octets.length - length};
}

struct octets form_text(struct octets text)
{
    static const char *const marks[] = {"\xef\xbb\xbf", "\xfe\xff", "\xff\xfe"};
    text = octets_trim(text);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (begins_with(text, marks[i], strlen(marks[i]))) {
            return octets_trim(behind(text, strlen(marks[i])));
        }
    }
    return text;
}

struct octets form_field(struct octets text, const char *name)
{
    while (text.length > 0) {
        const char *before = text.start;
        struct field field;
        struct octets line;
        if (!field_next(&text, &field)) {
            if (text.start == before) {
                line_next(&text, &line);
            }
        } else if (octets_equal(field.name, name) && octets_trim(field.value).length > 0) {
            return octets_trim(field.value);
        }
    }
    return (struct octets){NULL, 0};
}

/* ----------------------------------------------------------------- calendar */

enum { LINE_ROOM = 100 /* octets of a content line that are looked at */ };

/* A content line, unfolded (RFC 5545 section 3.1), cut to the room. False: there are no more. */
static bool take_content_line(struct octets *text, char out[static LINE_ROOM], size_t *length)
{
    struct octets line;
    bool more = line_next(text, &line);
    bool any = more;
    for (*length = 0; more;) {
        size_t room = LINE_ROOM - *length;
        size_t taken = line.length < room ? line.length : room;
        memcpy(out + *length, line.start, taken);
        *length += taken;
        more = text->length > 0 && (text->start[0] == ' ' || text->start[0] == '\t');
        if (more) {
            *text = behind(*text, 1);
            more = line_next(text, &line);
        }
    }
    return any;
}

static bool in_property_name(char c)
{
    c = ascii_lower(c);
    return c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

/* Behind "NAME:" or "NAME;parameters:". False: the line is no property. */
static bool take_property(struct octets line, struct octets *name, struct octets *value)
{
    size_t length = 0;
    bool quoted = false;
    while (length < line.length && in_property_name(line.start[length])) {
        length++;
    }
    *name = (struct octets){line.start, length};
    if (length == 0 || length == line.length ||
        (line.start[length] != ':' && line.start[length] != ';')) {
        return false;
    }
    while (length < line.length && (quoted || line.start[length] != ':')) {
        quoted = quoted != (line.start[length] == '"');
        length++;
    }
    length += length < line.length;
    *value = octets_trim(behind(line, length));
    return true;
}

bool form_is_calendar_answer(struct octets text)
{
    char buffer[LINE_ROOM];
    size_t length;
    unsigned depth = 0;
    unsigned objects = 0;
    bool answers = false;
    text = form_text(text);
    while (take_content_line(&text, buffer, &length)) {
        struct octets line = octets_trim((struct octets){buffer, length});
        struct octets name, value;
        if (line.length == 0) {
            continue;
        }
        if (!take_property(line, &name, &value)) {
            return false;
        }
        bool begins = octets_equal(name, "BEGIN");
        if (depth == 0 && !(begins && octets_equal(value, "VCALENDAR"))) {
            return false;
        }
        depth += begins;
        if (octets_equal(name, "END")) {
            depth--;
            objects += depth == 0 && octets_equal(value, "VCALENDAR");
        } else if (depth == 1 && octets_equal(name, "METHOD")) {
            answers = answers || octets_equal(value, "REPLY") || octets_equal(value, "COUNTER");
        }
    }
    return answers && depth == 0 && objects > 0;
}

/* --------------------------------------------------------------------- TNEF */

enum {
    TNEF_BEGINNING = 6, /* signature and key */
    TNEF_HEAD = 9,      /* level, attribute, length */
    TNEF_CHECKSUM = 2,
    ATTRIBUTE_CLASS = 0x00078008,
    ATTRIBUTE_PROPERTIES = 0x00069003,
    PROPERTY_TAG = 4,   /* type and identifier */
    PROPERTY_HEAD = 12, /* with count and length */
    CLASS_ROOM = 100
};

static uint32_t number_at(const char *octets)
{
    uint32_t number = 0;
    for (size_t i = 4; i > 0; i--) {
        number = number << 8 | (unsigned char)octets[i - 1];
    }
    return number;
}

static enum form_tnef judge_class(struct octets class)
{
    if (octets_begin(class, "IPM.Schedule.Meeting.Resp") ||
        octets_begin(class, "IPM.Microsoft Schedule.MtgResp")) {
        return FORM_TNEF_CALENDAR;
    }
    bool receipt = octets_begin(class, "IPM.Microsoft Mail.Read Receipt") ||
                   (octets_begin(class, "REPORT.") && (octets_find(class, ".IPNRN") != NULL ||
                                                       octets_find(class, ".IPNNRN") != NULL));
    return receipt ? FORM_TNEF_RECEIPT : FORM_TNEF_OTHER;
}

/* PR_MESSAGE_CLASS among the properties, without NULs: it may be in UTF-16. Length 0: it is not
 * there. */
static struct octets find_class(struct octets properties, char out[static CLASS_ROOM])
{
    static const char tags[][PROPERTY_TAG] = {{0x1e, 0x00, 0x1a, 0x00}, {0x1f, 0x00, 0x1a, 0x00}};
    struct octets rest = {NULL, 0};
    for (size_t i = 0; i < 2 && rest.length == 0 && properties.length > 0; i++) {
        const char *at = memmem(properties.start, properties.length, tags[i], PROPERTY_TAG);
        if (at != NULL) {
            rest = behind(properties, (size_t)(at - properties.start));
        }
    }
    if (rest.length < PROPERTY_HEAD) {
        return (struct octets){NULL, 0};
    }
    uint32_t length = number_at(rest.start + 8);
    rest = behind(rest, PROPERTY_HEAD);
    rest.length = length < rest.length ? length : rest.length;
    size_t used = 0;
    for (size_t i = 0; i < rest.length && used < CLASS_ROOM; i++) {
        out[used] = rest.start[i];
        used += rest.start[i] != '\0';
    }
    return (struct octets){out, used};
}

enum form_tnef form_tnef(struct octets content)
{
    enum form_tnef found = FORM_TNEF_OTHER;
    if (!begins_with(content, "\x78\x9f\x3e\x22", 4) || content.length < TNEF_BEGINNING) {
        return found;
    }
    content = behind(content, TNEF_BEGINNING);
    while (content.length > TNEF_HEAD) {
        uint32_t attribute = number_at(content.start + 1);
        uint32_t length = number_at(content.start + 5);
        content = behind(content, TNEF_HEAD);
        if (length > content.length) {
            return found;
        }
        struct octets data = {content.start, length};
        char room[CLASS_ROOM];
        struct octets class = {NULL, 0};
        if (attribute == ATTRIBUTE_CLASS) {
            found = judge_class(data);
        } else if (attribute == ATTRIBUTE_PROPERTIES) {
            class = find_class(data, room);
        }
        if (class.length > 0) {
            return judge_class(class); /* the surer of the two */
        }
        size_t step = content.length - length < TNEF_CHECKSUM ? content.length
                                                              : (size_t)length + TNEF_CHECKSUM;
        content = behind(content, step);
    }
    return found;
}

/* ------------------------------------------------------------------ reports */

static bool is_number(struct octets octets)
{
    for (size_t i = 0; i < octets.length; i++) {
        if (octets.start[i] < '0' || octets.start[i] > '9') {
            return false;
        }
    }
    return octets.length > 0;
}

bool form_is_dmarc_name(const char *name)
{
    struct octets pieces[5] = {{NULL, 0}};
    size_t count = 0;
    const char *dot = strrchr(name, '!');
    dot = dot != NULL ? strchr(dot, '.') : NULL;
    if (dot == NULL || !(ascii_equal(dot, ".xml") || ascii_equal(dot, ".xml.gz") ||
                         ascii_equal(dot, ".gz") || ascii_equal(dot, ".zip"))) {
        return false;
    }
    for (const char *from = name; from <= dot && count < 5;) {
        size_t length = strcspn(from, "!");
        if (from + length > dot) {
            length = (size_t)(dot - from);
        }
        pieces[count++] = (struct octets){from, length};
        from += length + 1;
    }
    return count >= 4 && pieces[0].length > 0 && pieces[1].length > 0 && is_number(pieces[2]) &&
           is_number(pieces[3]);
}

bool form_is_xml(struct octets content)
{
    content = form_text(content);
    return octets_begin(content, "<?xml") || octets_begin(content, "<feedback");
}

bool form_is_archive(struct octets content)
{
    return begins_with(content, "\x1f\x8b", 2) || begins_with(content, "PK\x03\x04", 4);
}

bool form_is_json(struct octets content)
{
    content = form_text(content);
    return content.length > 0 && content.start[0] == '{';
}
