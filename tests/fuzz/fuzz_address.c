/*
 * Envelope addresses under libFuzzer: the input is one as an MTA gives it. Whatever it is, it has
 * one meaning: written out and read again it is the same, with brackets or without, and so is each
 * of its forms. The form that the MTA delivers to is settled too, with the MTA's word for it (all
 * that stands behind a first NUL) and without.
 */
#include "batv/address.h"

#include "fuzz.h"

#include "batv/address_fold.h"
#include "batv/address_meaning.h"
#include "batv/address_unicode.h"
#include "batv/tag.h"

/* A final dot comes off once: `a@b..` is one that never was of this world. */
static bool ends_with_dot(const char *domain)
{
    size_t length = strlen(domain);
    return length > 0 && domain[length - 1] == '.';
}

static void same_as(const char *raw, const struct address *expected)
{
    struct address address;
    require(address_parse(raw, &address) == STATUS_OK);
    require(strcmp(address.local, expected->local) == 0);
    require(strcmp(address.domain, expected->domain) == 0);
    require(strcmp(address.ascii, expected->ascii) == 0);
    address_free(&address);
}

static void check_written(const struct address *address)
{
    char *text = address_format(address->local, address->domain);
    char *wrapped = NULL;
    require(text != NULL);
    size_t domain = strlen(address->domain);
    require(strlen(text) == address_local_length(address->local) + (domain > 0) + domain);
    if (!ends_with_dot(address->domain)) {
        same_as(text, address);
        require(asprintf(&wrapped, "<%s>", text) > 0);
        same_as(wrapped, address);
        free(wrapped);
        require(asprintf(&wrapped, "<@a.example,@b.example:%s>", text) > 0);
        same_as(wrapped, address);
        free(wrapped);
    }
    free(text);
}

/* The form that is compared is its own form, and has a Unicode form that leads back to it. */
static void check_ascii(const struct address *address)
{
    char *again = address_domain_ascii(address->ascii);
    char *unicode = address_domain_unicode(address->ascii);
    require(again != NULL && strcmp(again, address->ascii) == 0);
    require(!has_letters(again, 'A', 'Z') && unicode != NULL);
    free(again);
    again = address_domain_ascii(unicode);
    require(again != NULL && strcmp(again, address->ascii) == 0);
    free(again);
    free(unicode);
}

static void check_forms(const struct address *address)
{
    char *plain = address_plain(address->local, address->ascii);
    char *folded = address_fold(address->local, address->ascii);
    char *local = address_fold_local(address->local, strlen(address->local));
    require(plain != NULL && folded != NULL && local != NULL);
    char *again = address_fold(local, address->ascii);
    require(again != NULL && strcmp(again, folded) == 0);
    require(strlen(folded) <= ADDRESS_FOLD_GROWTH * strlen(plain));
    require(!ascii_only(plain, strlen(plain)) || strcasecmp(plain, folded) == 0);
    require(!has_letters(folded, 'A', 'Z'));
    free(again);
    free(local);
    free(folded);
    free(plain);
}

/* No octets but letters, digits, single dots within, and one @: nothing to read otherwise. */
static bool is_simple(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (size_t at = 0;; text++) {
        size_t length = strspn(text, letters);
        text += length;
        if (length == 0 || *text == '\0' || (*text == '@' && at > 0)) {
            return length > 0 && *text == '\0' && at == 1;
        }
        at += *text == '@';
        if (*text != '.' && *text != '@') {
            return false;
        }
    }
}

/* It is not longer than what it was read from, and where all of it is plain it means itself. */
static void check_settled(const char *raw, const char *resolved, const char *host)
{
    struct address address;
    size_t length = strlen(raw) + (resolved != NULL ? strlen(resolved) : 0) + 1;
    require(address_settle(raw, resolved, host, &address) == STATUS_OK);
    size_t local = strlen(address.local);
    size_t domain = strlen(address.domain);
    require(local + domain <= length + (host != NULL ? strlen(host) : 0));
    check_ascii(&address);
    check_forms(&address);
    if (is_simple(raw)) {
        same_as(raw, &address);
    }
    char *written = address_format(address.local, address.domain);
    require(written != NULL);
    if (is_simple(written)) {
        struct address again;
        require(address_settle(written, "x@x.example", host, &again) == STATUS_OK);
        require(strcmp(again.local, address.local) == 0);
        require(strcmp(again.domain, address.domain) == 0);
        address_free(&again);
    }
    free(written);
    address_free(&address);
}

static void check_meanings(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t length = nul != NULL ? (size_t)(nul - data) : size;
    char *raw = text_of(data, length);
    char *resolved = nul != NULL ? text_of(nul + 1, size - length - 1) : NULL;
    const char *const words[] = {NULL, "", "alice", "alice@example.com", resolved, raw};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        check_settled(raw, words[i], "mx.example");
        check_settled(raw, words[i], NULL);
    }
    free(resolved);
    free(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    uint64_t start = watch_start();
    struct address address;
    check_meanings(data, size);
    char *raw = take_rest(&input);
    require(address_parse(raw, &address) == STATUS_OK);
    if (address_is_null(raw)) {
        require(*address.local == '\0' && *address.domain == '\0');
    }
    require(strchr(address.domain, '@') == NULL);
    require(strlen(address.local) + strlen(address.domain) <= strlen(raw));
    check_written(&address);
    check_ascii(&address);
    check_forms(&address);
    address_free(&address);
    free(raw);
    watch_end(start, size);
    return 0;
}
