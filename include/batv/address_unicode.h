/* Domains as people write them. */
#ifndef BATV_ADDRESS_UNICODE_H
#define BATV_ADDRESS_UNICODE_H

/* A domain of A-labels with each as U-label (RFC 5890), in UTF-8; as it is where it has none or
 * they cannot be converted, there and back. NULL: no memory. The caller frees. */
char *address_domain_unicode(const char *ascii);

#endif
