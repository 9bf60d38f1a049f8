/* Message-IDs brought into the one form in which they are compared, and made where there is none;
 * whether a signature forbids that. Pure. */
#include "batv/message_id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

enum status message_id_clean(const char *value, size_t length, char **out)
{
    const char *from = value;
    const char *end = value + length;
    const char *open = memchr(value, '<', length);
    if (open != NULL) {
        from = open;
        while (from < end && (*from == '<' || is_space(*from))) {
            from++;
        }
        const char *close = memchr(from, '>', (size_t)(end - from));
        end = close != NULL ? close : end;
    }
    *out = malloc((size_t)(end - from) + 1);
    if (*out == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t used = 0;
    for (const char *p = from; p < end; p++) {
        if (!is_space(*p)) {
            (*out)[used++] = *p;
        }
    }
    (*out)[used] = '\0';
    if (used == 0) {
        free(*out);
        *out = NULL;
        return STATUS_NOT_FOUND;
    }
    return STATUS_OK;
}

bool message_id_is_nameable(const char *value)
{
    return strpbrk(value, "<@") != NULL;
}

/* Atoms with single dots between (RFC 5322 section 3.2.3). */
static bool is_dot_atom(const char *text)
{
    static const char atom[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "!#$%&'*+-/=?^_`{|}~";
    size_t length = strspn(text, atom);
    while (length > 0 && text[length] == '.') {
        text += length + 1;
        length = strspn(text, atom);
    }
    return length > 0 && text[length] == '\0';
}

enum status message_id_make(const uint8_t nonce[static MESSAGE_ID_NONCE], const char *domain,
                            char **out)
{
    enum { DOMAIN_MAX = 255 }; /* octets, RFC 5321 section 4.5.3.1.2 */
    char digits[2 * MESSAGE_ID_NONCE + 1];
    *out = NULL;
    if (strlen(domain) > DOMAIN_MAX || !(is_dot_atom(domain) || address_is_literal(domain))) {
        return STATUS_INVALID;
    }
    for (size_t i = 0; i < MESSAGE_ID_NONCE; i++) {
        snprintf(digits + 2 * i, 3, "%02x", nonce[i]);
    }
    if (asprintf(out, "<%s@%s>", digits, domain) < 0) {
        *out = NULL;
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

/* True where text begins with word, in any case and with white space anywhere in it, and end or
 * another end stands behind it. *at becomes where reading goes on. */
static bool takes_word(const char **at, const char *word, const char *ends)
{
    const char *p = *at;
    bool same = true;
    for (; *p != '\0' && strchr(ends, *p) == NULL; p++) {
        if (is_space(*p)) {
            continue;
        }
        same = same && *word != '\0' && ascii_lower(*p) == ascii_lower(*word);
        word += *word != '\0';
    }
    *at = p;
    return same && *word == '\0';
}

/* Verifiers differ in how strictly they read: what one of them could take for the name counts. */
bool signature_names(const char *value, const char *name)
{
    const char *at = value;
    while (*at != '\0') {
        bool lists_fields = takes_word(&at, "h", "=;");
        while (*at != '\0' && *at != ';') {
            at++; /* behind the = or the : */
            if (takes_word(&at, name, lists_fields ? ":;" : ";") && lists_fields) {
                return true;
            }
        }
        at += *at == ';';
    }
    return false;
}
