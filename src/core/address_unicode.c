/*
 * The way back from address_domain_ascii, with the same library. No state; the string handed out is
 * allocated and belongs to the caller.
 */
#include "batv/address_unicode.h"

#include <idn2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address.h"

char *address_domain_unicode(const char *ascii)
{
    char *converted = NULL;
    int error = idn2_to_unicode_8z8z(ascii, &converted, 0);
    if (error == IDN2_MALLOC) {
        return NULL;
    }
    char *back = error == IDN2_OK ? address_domain_ascii(converted) : NULL;
    bool leads_back = back != NULL && strcmp(back, ascii) == 0;
    char *out = error == IDN2_OK && back == NULL ? NULL : strdup(leads_back ? converted : ascii);
    free(back);
    if (error == IDN2_OK) {
        idn2_free(converted);
    }
    return out;
}
