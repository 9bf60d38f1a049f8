/*
 * What a part is by its content: answers to invitations, receipts, reports. The header of a part
 * alone, which costs a forger nothing, makes none of it. For bounce_class.c.
 */
#ifndef BOUNCE_FORMS_H
#define BOUNCE_FORMS_H

#include <stdbool.h>

#include "batv/fields.h"

/* The text behind a byte order mark. Where it was UTF-16, its NULs have been dropped before. */
struct octets form_text(struct octets text);

/* The value of the first such field that is not empty; length 0: there is none. */
struct octets form_field(struct octets text, const char *name);

/* An iCalendar object (RFC 5545 section 3.4) and nothing else, whose METHOD is REPLY or COUNTER. */
bool form_is_calendar_answer(struct octets text);

/* What Outlook sends in rich text ([MS-OXTNEF]), by its message class. */
enum form_tnef { FORM_TNEF_OTHER, FORM_TNEF_RECEIPT, FORM_TNEF_CALENDAR };
enum form_tnef form_tnef(struct octets content);

/* receiver!domain!begin!end[!id].xml or .zip and the like (RFC 7489 section 7.2.1.1). */
bool form_is_dmarc_name(const char *name);
/* How the content of these begins. */
bool form_is_xml(struct octets content);
bool form_is_archive(struct octets content); /* gzip or zip */
bool form_is_json(struct octets content);

#endif
