/*
 * Folding of addresses. Almost all are ASCII and go no long way; for the others Unicode defines
 * when two texts are canonical caseless matches (chapter 3.13, D145): when NFD(toCasefold(NFD(X)))
 * is the same of both. NFC in place of the last NFD compares alike and is shorter. There is no
 * locale in it: the library is given no language.
 *
 * No state. The only user of libunistring.
 */
#include "batv/address_fold.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#include "batv/address.h"

/* Room for a text and its end. */
static char *fold_ascii(const char *text, size_t length, size_t room)
{
    char *out = malloc(room);
    for (size_t i = 0; out != NULL && i < length; i++) {
        out[i] = ascii_lower(text[i]);
    }
    return out;
}

static bool has_letters_beyond(const char *text, size_t length)
{
    return !ascii_only(text, length) && u8_check((const uint8_t *)text, length) == NULL;
}

/* Text beyond ASCII with room for more behind it; *length becomes the folded text's. */
static char *fold_unicode(const char *text, size_t *length, size_t more)
{
    size_t folded_length = 0;
    uint8_t *folded =
        u8_casefold((const uint8_t *)text, *length, NULL, UNINORM_NFC, NULL, &folded_length);
    char *out = folded != NULL ? realloc(folded, folded_length + more) : NULL;
    if (out == NULL) {
        free(folded);
    }
    *length = folded_length;
    return out;
}

/* The local part and behind it a string, with its end. */
static char *fold_before(const char *local, size_t length, const char *at, const char *domain)
{
    size_t domain_length = strlen(domain);
    size_t more = strlen(at) + domain_length + 1;
    char *out = has_letters_beyond(local, length) ? fold_unicode(local, &length, more)
                                                  : fold_ascii(local, length, length + more);
    if (out != NULL) {
        memcpy(out + length, at, strlen(at));
        memcpy(out + length + strlen(at), domain, domain_length + 1);
    }
    return out;
}

char *address_fold_local(const char *local, size_t length)
{
    return fold_before(local, length, "", "");
}

char *address_fold(const char *local, const char *ascii)
{
    return fold_before(local, strlen(local), *ascii != '\0' ? "@" : "", ascii);
}
