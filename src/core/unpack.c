/*
 * Boxes without a key: archives (APPNOTE.TXT sections 4.3.6 to 4.3.9) and signed messages (RFC 5652
 * section 5, in BER). Only as much of them is understood as is needed to get at what is within;
 * what is cut off is taken as far as it goes. No state.
 */
#include "batv/unpack.h"

#include <string.h>

enum {
    ZIP_HEADER = 30,
    ZIP_FLAGS = 6,
    ZIP_METHOD = 8,
    ZIP_SIZE = 18,
    ZIP_NAME = 26,
    ZIP_EXTRA = 28,
    ZIP_ENCRYPTED = 1,
    ZIP_SIZE_BEHIND = 8,
    OID_ROOM = 32, /* octets in which the type of the content stands */
    TAG_SET = 0x31,
    TAG_OCTETS = 0x04,
    TAG_CONTEXT = 0xa0,
    TAG_CONSTRUCTED = 0x20,
    TAG_LONG = 0x1f,
    LENGTH_MAX = 4
};

static const char zip_magic[] = "PK\x03\x04";

static unsigned octet_at(struct octets text, size_t at)
{
    return (unsigned char)text.start[at];
}

static size_t number_at(struct octets text, size_t at, size_t octets)
{
    size_t number = 0;
    for (size_t i = octets; i > 0; i--) {
        number = number << 8 | octet_at(text, at + i - 1);
    }
    return number;
}

static struct octets behind(struct octets text, size_t from)
{
    from = from < text.length ? from : text.length;
    return (struct octets){text.start + from, text.length - from};
}

static bool begins(struct octets text, const char *magic, size_t length)
{
    return text.length >= length && memcmp(text.start, magic, length) == 0;
}

bool zip_seen(struct octets text)
{
    return begins(text, zip_magic, sizeof zip_magic - 1);
}

bool gzip_seen(struct octets text)
{
    return begins(text, "\x1f\x8b\x08", 3);
}

bool zip_next(struct octets *rest, struct octets *data, bool *packed)
{
    while (rest->length >= ZIP_HEADER) {
        if (!zip_seen(*rest)) {
            const char *next = memchr(rest->start + 1, *zip_magic, rest->length - 1);
            *rest = behind(*rest, next != NULL ? (size_t)(next - rest->start) : rest->length);
            continue;
        }
        size_t flags = number_at(*rest, ZIP_FLAGS, 2);
        size_t method = number_at(*rest, ZIP_METHOD, 2);
        size_t size = number_at(*rest, ZIP_SIZE, 4);
        bool known = (flags & ZIP_SIZE_BEHIND) == 0;
        *data = behind(*rest,
                       ZIP_HEADER + number_at(*rest, ZIP_NAME, 2) + number_at(*rest, ZIP_EXTRA, 2));
        *rest = known ? behind(*data, size) : behind(*rest, ZIP_HEADER);
        data->length = known && size < data->length ? size : data->length;
        *packed = method != 0;
        if ((flags & ZIP_ENCRYPTED) == 0 && (method == 0 || method == ZIP_DEFLATED)) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------- signed messages */

static bool has_octets(struct octets text, const char *octets, size_t length)
{
    for (; text.length >= length; text = behind(text, 1)) {
        if (begins(text, octets, length)) {
            return true;
        }
    }
    return false;
}

enum signed_kind signed_seen(struct octets text)
{
    static const char data[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
    static const char compressed[] = "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09";
    struct octets head = {text.start, text.length < OID_ROOM ? text.length : OID_ROOM};
    if (!begins(text, "\x30", 1)) {
        return SIGNED_NOT;
    }
    if (has_octets(head, compressed, sizeof compressed - 1)) {
        return SIGNED_COMPRESSED;
    }
    return has_octets(head, data, sizeof data - 1) ? SIGNED_PLAIN : SIGNED_NOT;
}

/* The head of an element: its length, and that of what is in it, which for one of indefinite length
 * is all the rest. 0: none can be read. */
static size_t read_head(struct octets rest, size_t *content)
{
    if (rest.length < 2 || (octet_at(rest, 0) & TAG_LONG) == TAG_LONG) {
        return 0;
    }
    size_t octets = octet_at(rest, 1) & 0x7f;
    *content = octets;
    if ((octet_at(rest, 1) & 0x80) == 0) {
        return 2;
    }
    if (octets > LENGTH_MAX || rest.length < 2 + octets) {
        return 0;
    }
    *content = octets == 0 ? rest.length - 2 : 0;
    for (size_t i = 0; i < octets; i++) {
        *content = *content << 8 | octet_at(rest, 2 + i);
    }
    return 2 + octets;
}

size_t signed_content(struct octets text, char *out, size_t room)
{
    size_t used = 0;
    size_t content;
    size_t head;
    while (used < room && (head = read_head(text, &content)) > 0) {
        unsigned tag = octet_at(text, 0);
        if (used > 0 && (tag == TAG_SET || (tag & ~1U) == TAG_CONTEXT)) {
            break; /* certificates and signatures */
        }
        text = behind(text, head);
        if ((tag & TAG_CONSTRUCTED) != 0) {
            continue;
        }
        content = content < text.length ? content : text.length;
        if (tag == TAG_OCTETS) {
            size_t taken = content < room - used ? content : room - used;
            memcpy(out + used, text.start, taken);
            used += taken;
        }
        text = behind(text, content);
    }
    return used;
}
