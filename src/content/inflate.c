/* Compressed data (RFC 1950 to 1952) by zlib. Each call has a state of its own. */
#include "content/inflate.h"

#include <limits.h>
#include <zlib.h>

enum {
    BITS_RAW = -15,
    BITS_HEADED = 47 /* zlib or gzip, whichever it is */
};

enum status inflate_begin_of(struct octets data, bool raw, char *out, size_t room, size_t *used)
{
    union {
        const char *in;
        Bytef *plain; /* zlib's type; it changes nothing */
    } from = {data.start};
    z_stream stream = {.next_in = from.plain,
                       .avail_in = data.length < UINT_MAX ? (uInt)data.length : UINT_MAX,
                       .next_out = (Bytef *)out,
                       .avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX};
    *used = 0;
    if (inflateInit2(&stream, raw ? BITS_RAW : BITS_HEADED) != Z_OK) {
        return STATUS_NO_MEMORY;
    }
    int result = inflate(&stream, Z_SYNC_FLUSH);
    *used = stream.total_out;
    inflateEnd(&stream);
    return result == Z_MEM_ERROR ? STATUS_NO_MEMORY : STATUS_OK;
}
