/*
 * Bounces, receipts and answers as the programs of this world write them, each with the Message-ID
 * of the original in another place: read_bounce has to find it, and to tell the class. Then the own
 * Message-ID, tags and evidence by where they stand, and addresses in header fields.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "content/mime.h"

#define ID  "20261122101112.4711@example.com"
#define OWN "bounce-1@mx.example.net"

/* The header of a bounce, without what says what it is. */
#define HEADER                                                                                     \
    "Received: from mx.example.net by mx.example.com with ESMTP id 4XyZ; Sun, 22 Nov 2026\n"       \
    "Date: Sun, 22 Nov 2026 10:11:13 +0000\n"                                                      \
    "To: alice@example.com\n"                                                                      \
    "Message-ID: <" OWN ">\n"                                                                      \
    "MIME-Version: 1.0\n"
#define FROM_DAEMON "From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>\n" HEADER
#define FROM_USER   "From: Bob <bob@example.net>\n" HEADER
#define REPORT      "Content-Type: multipart/report; report-type=delivery-status; boundary=\"b/1\"\n\n"
#define MIXED       "Content-Type: multipart/mixed;\n\tboundary=\"----=_b1\"\n\n"

/* The returned message. */
#define ORIGINAL                                                                                   \
    "Return-Path: <alice@example.com>\n"                                                           \
    "Received: by mx.example.com id 4Abc\n"                                                        \
    "From: Alice <alice@example.com>\n"                                                            \
    "To: bob@example.net\n"                                                                        \
    "Subject: hello\n"                                                                             \
    "Message-ID: <" ID ">\n"                                                                       \
    "Date: Sun, 22 Nov 2026 10:11:12 +0000\n"

#define STATUS                                                                                     \
    "Reporting-MTA: dns; mx.example.net\n\n"                                                       \
    "Final-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1\n"

static const struct {
    const char *name;
    const char *text;
    enum bounce_class class;
    const char *id; /* NULL: none is to be found */
} messages[] = {
    {"Postfix",
     FROM_DAEMON REPORT "This is a MIME-encapsulated message.\n\n--b/1\n"
                        "Content-Description: Notification\n\nThis is the mail system.\n\n--b/1\n"
                        "Content-Type: message/delivery-status\n\n" STATUS "\n--b/1\n"
                        "Content-Type: message/rfc822\n\n" ORIGINAL "\nhello\n\n--b/1--\n",
     BOUNCE_DSN, ID},
    {"Postfix, headers only",
     FROM_DAEMON REPORT "--b/1\n\ntext\n\n--b/1\nContent-Type: message/delivery-status\n\n" STATUS
                        "\n--b/1\nContent-Type: text/rfc822-headers\n\n" ORIGINAL "\n--b/1--\n",
     BOUNCE_DSN, ID},
    {"Postfix, SMTPUTF8",
     FROM_USER REPORT "--b/1\nContent-Type: message/global-delivery-status\n\n" STATUS
                      "\n--b/1\nContent-Type: message/global-headers\n\n" ORIGINAL "\n--b/1--\n",
     BOUNCE_DSN, ID},
    {"Sendmail 8",
     FROM_DAEMON REPORT
     "This is a MIME-encapsulated message\n\n--b/1\n\n"
     "   ----- The following addresses had permanent fatal errors -----\n<bob@example.net>\n\n"
     "   ----- Transcript of session follows -----\n550 5.1.1 <bob@example.net>... User unknown\n"
     "\n--b/1\nContent-Type: message/delivery-status\n\n" STATUS "\n--b/1\n"
     "Content-Type: text/rfc822-headers\n\n" ORIGINAL "\n--b/1--\n",
     BOUNCE_DSN, ID},
    {"Sendmail 5",
     FROM_DAEMON "\n   ----- Transcript of session follows -----\n550 bob... User unknown\n\n"
                 "   ----- Unsent message follows -----\n" ORIGINAL "\nhello\n",
     BOUNCE_DSN, ID},
    {"Exim",
     FROM_USER
     "X-Failed-Recipients: bob@example.net\nAuto-Submitted: auto-replied\n\n"
     "This message was created automatically by mail delivery software.\n\n"
     "------ This is a copy of the message, including all the headers. ------\n\n" ORIGINAL
     "\nhello\n",
     BOUNCE_DSN, ID},
    {"qmail",
     FROM_USER "\nHi. This is the qmail-send program at mx.example.net.\n"
               "I'm afraid I wasn't able to deliver your message to the following addresses.\n\n"
               "<bob@example.net>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
               "--- Below this line is a copy of the message.\n\n" ORIGINAL "\nhello\n",
     BOUNCE_DSN, ID},
    {"Courier",
     FROM_DAEMON REPORT
     "--b/1\nContent-Transfer-Encoding: 7bit\n\nThis is a delivery status notification.\n\n--b/1\n"
     "Content-Type: message/delivery-status\nContent-Transfer-Encoding: 7bit\n\n" STATUS
     "\n--b/1\nContent-Type: text/rfc822-headers; charset=us-ascii\n"
     "Content-Transfer-Encoding: 7bit\n\n" ORIGINAL "\n--b/1--\n",
     BOUNCE_DSN, ID},
    {"Exchange 2003",
     FROM_USER REPORT "--b/1\nContent-Type: text/plain; charset=unicode-1-1-utf-7\n\n"
                      "This is an automatically generated Delivery Status Notification.\n\n--b/1\n"
                      "Content-Type: message/delivery-status\n\n" STATUS "\n--b/1\n"
                      "Content-Type: message/rfc822\n\n" ORIGINAL "\n--b/1--\n",
     BOUNCE_DSN, ID},
    {"Exchange 2013 and Microsoft 365, HTML only",
     FROM_USER MIXED
     "------=_b1\nContent-Type: text/html; charset=\"us-ascii\"\n"
     "Content-Transfer-Encoding: quoted-printable\n\n"
     "<html><head></head><body><p><b>Original message headers:</b></p>\n"
     "<pre style=3D\"color:gray\">Received: from x (192.0.2.1) by y with SMTP id 15.20.4; Sun=\n"
     "From: Alice &lt;alice@example.com&gt;\nTo: &lt;bob@example.net&gt;\n"
     "Message-ID: &lt;20261122101112.47=\n11@example.com&gt;\nDate: Sun</pre></body></html>\n"
     "------=_b1--\n",
     BOUNCE_OTHER, ID},
    {"Exchange, HTML in base64", /* <p>Message-ID: &lt;...&gt;</p> */
     FROM_USER MIXED "------=_b1\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\n"
                     "PHA+TWVzc2FnZS1JRDogJmx0OzIwMjYxMTIyMTAxMTEyLjQ3MTFAZXhhbXBsZS5jb20m\n"
                     "Z3Q7PC9wPgo=\n------=_b1--\n",
     BOUNCE_OTHER, ID},
    {"Exchange, out of office",
     FROM_USER "Subject: Automatic reply: hello\nIn-Reply-To: <" ID ">\nReferences: <" ID ">\n"
               "X-MS-Has-Attach:\nX-Auto-Response-Suppress: All\nAuto-Submitted: auto-generated\n"
               "Content-Type: text/plain\n\nI am away.\n",
     BOUNCE_AUTOREPLY, ID},
    {"an answer by a program that encodes all that is long",
     FROM_USER
     "In-Reply-To: =?utf-8?q?=3C20261122101112=2E47?=\n =?utf-8?q?11=40example=2Ecom=3E?=\n"
     "Auto-Submitted: auto-replied\n\nI am away.\n",
     BOUNCE_AUTOREPLY, ID},
    {"vacation",
     FROM_USER "Subject: away\nIn-Reply-To: <" ID ">\nAuto-Submitted: auto-replied (vacation)\n"
               "Precedence: bulk\n\nI am away.\n",
     BOUNCE_AUTOREPLY, ID},
    {"Gmail",
     FROM_DAEMON "X-Failed-Recipients: bob@example.net\n" REPORT
                 "--b/1\nContent-Type: text/plain\n\nAddress not found\n\n--b/1\n"
                 "Content-Type: message/delivery-status\n\nReporting-MTA: dns; googlemail.com\n"
                 "X-Original-Message-ID: <" ID ">\n\n" STATUS "\n--b/1--\n",
     BOUNCE_DSN, ID},
    {"Gmail, old",
     FROM_DAEMON "Content-Type: text/plain; charset=ISO-8859-1\n"
                 "Content-Transfer-Encoding: quoted-printable\n\nDelivery has failed.\n\n"
                 "----- Original message -----\n\nMIME-Version: 1.0\nDate: Sun\n"
                 "Message-ID: <20261122101112.4711=40exampl=\ne.com>\nSubject: hello\n",
     BOUNCE_DSN, ID},
    {"Domino",
     FROM_USER "In-Reply-To: <" ID ">\n" REPORT
               "--b/1\n\nYour message\n\n  Subject: hello\n\nwas not delivered to:\n\n"
               "  bob@example.net\n\n--b/1\nContent-Type: message/delivery-status\n\n" STATUS
               "\n--b/1--\n",
     BOUNCE_DSN, ID},
    {"GroupWise, the message as an attachment", /* From: a@x ... Message-ID: <ID> */
     FROM_USER MIXED
     "------=_b1\nContent-Type: text/plain\n\nThe message that you sent was undeliverable to the "
     "following:\n\tbob (user not found)\n\n------=_b1\n"
     "Content-Type: application/octet-stream; name=\"Mime.822\"\n"
     "Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"Mime.822\"\n\n"
     "RnJvbTogYWxpY2VAZXhhbXBsZS5jb20NClN1YmplY3Q6IGhlbGxvDQpNZXNzYWdlLUlEOiA8MjAy\n"
     "NjExMjIxMDExMTIuNDcxMUBleGFtcGxlLmNvbT4NCg0KaGVsbG8NCg==\n------=_b1--\n",
     BOUNCE_OTHER, ID},
    {"MailEnable",
     FROM_USER "\nMailEnable: Message could not be delivered to some recipients.\n"
               "Message headers follow:\n\nReceived: from x\nMessage-ID: <" ID ">\nDate: Sun\n",
     BOUNCE_OTHER, ID},
    {"IMail",
     "From: Postmaster <postmaster@mx.example.net>\n" HEADER
     "X-Mailer: <SMTP32 v8.22>\n\nUnknown user: bob@example.net\n\nOriginal message follows.\n\n"
     "Received: from x by y\n  (SMTPD32-8.22) id A1\nMessage-ID: <" ID ">\n\nhello\n",
     BOUNCE_DSN, ID},
    {"a gateway to X.400",
     FROM_USER "\nYour message could not be delivered.\n\n   Subject:      hello\n"
               "   Message-Id:   " ID "\n   Recipient:    /C=de/A=x/S=bob/\n"
               "   MTS-Identifier: [/PRMD=X/ADMD= /C=DE/;123]\n",
     BOUNCE_OTHER, ID},
    {"iPlanet Messaging Server",
     FROM_USER REPORT
     "--b/1\n\nThis report relates to a message you sent with the following header fields:\n\n"
     "  Message-id: <" ID ">\n  Date: Sun\n  From: Alice <alice@example.com>\n\n--b/1\n"
     "Content-Type: message/DELIVERY-STATUS\n\nOriginal-envelope-id: 0P96002IN9OKDM10@x\n" STATUS
     "\n--b/1--\n",
     BOUNCE_DSN, ID},
    {"a Japanese mobile carrier", /* the text is in ISO-2022-JP */
     FROM_DAEMON "Content-Type: text/plain; charset=iso-2022-jp\n\n"
                 "\x1b$B0J2<$N%a!<%k\x1b(B\n\n Message-Id : " ID "\n Date: Sun\n",
     BOUNCE_DSN, ID},
    {"a filter's notice in base64, ISO-2022-JP",
     FROM_USER "Content-Type: text/plain; charset=\"ISO-2022-JP\"\n"
               "Content-Transfer-Encoding: base64\n\n"
               "GyRCMEoyPBsoQg0KTWVzc2FnZS1JRDogPDIwMjYxMTIyMTAxMTEyLjQ3MTFAZXhhbXBsZS5jb20+DQo=\n",
     BOUNCE_OTHER, ID},
    {"Amazon SES",
     FROM_DAEMON REPORT "--b/1\n\nAn error occurred.\n\n--b/1\n"
                        "Content-Type: message/delivery-status\n\n" STATUS "\n--b/1\n"
                        "Content-Type: message/rfc822\n\nSubject: x\nMessage-ID: \n <" ID ">\n\n"
                        "--b/1--\n",
     BOUNCE_DSN, ID},
    {"Amazon SNS",
     FROM_USER "\n{\"notificationType\":\"Bounce\",\"mail\":{\"headers\":[{\"name\":\"Message-ID\","
               "\"value\":\"<" ID ">\"}],\"commonHeaders\":{\"subject\":\"x\"}}}\n",
     BOUNCE_OTHER, ID},
    {"Barracuda: headers as an attachment of text",
     FROM_USER MIXED "------=_b1\nContent-Type: text/plain\n\nYour message was blocked.\n\n"
                     "------=_b1\nContent-Type: text/plain; name=\"headers.txt\"\n"
                     "Content-Disposition: attachment; filename=\"headers.txt\"\n"
                     "Content-Transfer-Encoding: quoted-printable\n\nFrom: <alice@example.com>\n"
                     "Message-ID: =3C" ID "=3E\n------=_b1--\n",
     BOUNCE_OTHER, ID},
    {"Mimecast: a message of base64",
     FROM_USER REPORT
     "--b/1\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
     "RnJvbTogYWxpY2VAZXhhbXBsZS5jb20NClN1YmplY3Q6IGhlbGxvDQpNZXNzYWdlLUlEOiA8MjAy\n"
     "NjExMjIxMDExMTIuNDcxMUBleGFtcGxlLmNvbT4NCg0KaGVsbG8NCg==\n--b/1--\n",
     BOUNCE_DSN, ID},
    {"Apache James: the header in text",
     "From: post_master@mx.example.net\n" HEADER MIXED
     "------=_b1\nContent-Type: text/plain\n\nHi. This message could not be delivered.\n\n"
     "Message details:\n  Subject: hello\n  Message-ID: <" ID ">\n------=_b1--\n",
     BOUNCE_OTHER, ID},
    {"OpenSMTPD",
     FROM_DAEMON "\n    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY.\n\n"
                 "    Below is a copy of the original message:\n\n" ORIGINAL "\nhello\n",
     BOUNCE_DSN, ID},
    {"DragonFly", "From: MAILER-DAEMON <>\n" HEADER "\nOriginal headers follow.\n\n" ORIGINAL,
     BOUNCE_DSN, ID},
    {"a person quotes",
     FROM_USER "\nLook what came back:\n\n> Your message was not delivered\n> \n"
               "> > Received: from x\n> > Message-ID:\n> >  <" ID ">\n> > Subject: x\n",
     BOUNCE_OTHER, ID},
    {"an inner part's header", FROM_DAEMON MIXED "------=_b1\nMessage-ID: <" ID ">\n\nx\n",
     BOUNCE_DSN, ID},
    {"MDN, Thunderbird",
     FROM_USER "Subject: Return Receipt (displayed) - hello\nReferences: <" ID ">\n"
               "Content-Type: multipart/report; report-type=disposition-notification;\n"
               " boundary=\"----------mdn1\"\n\n------------mdn1\nContent-Type: text/plain\n\n"
               "This is a Return Receipt.\n\n------------mdn1\n"
               "Content-Type: message/disposition-notification; name=\"MDNPart2.txt\"\n"
               "Content-Disposition: inline\nContent-Transfer-Encoding: 7bit\n\n"
               "Reporting-UA: example.net; Thunderbird\nFinal-Recipient: rfc822;bob@example.net\n"
               "Original-Message-ID: <" ID ">\n"
               "Disposition: manual-action/MDN-sent-manually; displayed\n\n------------mdn1\n"
               "Content-Type: text/rfc822-headers; name=\"MDNPart3.txt\"\n\n" ORIGINAL
               "\n------------mdn1--\n",
     BOUNCE_MDN, ID},
    {"MDN, Exchange, the part in base64", /* Disposition, Final-Recipient, Original-Message-ID */
     FROM_USER
     "X-Auto-Response-Suppress: All\n"
     "Content-Type: Multipart/Report; boundary=m; Report-Type=\"Disposition-Notification\""
     "\n\n--m\n\nread\n--m\nContent-Type: Message/Disposition-Notification\n"
     "Content-Transfer-Encoding: base64\n\n"
     "RmluYWwtcmVjaXBpZW50OiBSRkM4MjI7IGJvYkBleGFtcGxlLm5ldA0KRGlzcG9zaXRpb246IGF1\n"
     "dG9tYXRpYy1hY3Rpb24vTUROLXNlbnQtYXV0b21hdGljYWxseTsgZGlzcGxheWVkDQpPcmlnaW5h\n"
     "bC1NZXNzYWdlLUlEOiA8MjAyNjExMjIxMDExMTIuNDcxMUBleGFtcGxlLmNvbT4NCg==\n--m--\n",
     BOUNCE_MDN, ID},
    {"MDN by its header alone",
     FROM_USER "Content-Type: multipart/report; report-type=disposition-notification; boundary=m\n"
               "\n--m\n\nread\n--m--\n",
     BOUNCE_OTHER, NULL},
    {"MDN as a single part",
     FROM_USER "Content-Type: message/disposition-notification\n\n"
               "Final-Recipient: rfc822; bob@example.net\nDisposition: x; displayed\n",
     BOUNCE_MDN, NULL},
    {"MDN as a single part, and a delivery failure in it",
     FROM_USER "Content-Type: message/disposition-notification\n\nUser unknown\n", BOUNCE_OTHER,
     NULL},
    {"MDN in UTF-16",
     FROM_USER "Content-Type: multipart/mixed; boundary=m\n\n--m\n"
               "Content-Type: message/disposition-notification; charset=utf-16\n"
               "Content-Transfer-Encoding: base64\n\n"
               "//5EAGkAcwBwAG8AcwBpAHQAaQBvAG4AOgAgAHgACgA=\n--m--\n",
     BOUNCE_MDN, NULL},
    {"MDN of a person whose address is postmaster@",
     FROM_DAEMON "Content-Type: multipart/mixed; boundary=m\n\n--m\n"
                 "Content-Type: message/disposition-notification\n\n"
                 "Disposition: manual-action/MDN-sent-manually; displayed\n--m--\n",
     BOUNCE_MDN, NULL},
    {"a Sieve reject",
     FROM_DAEMON "Content-Type: multipart/report; report-type=disposition-notification;\n"
                 " boundary=m\n\n--m\n\nrejected\n--m\n"
                 "Content-Type: message/disposition-notification\n\n"
                 "Disposition: automatic-action/MDN-sent-automatically; deleted\n--m--\n",
     BOUNCE_DSN, NULL},
    {"answer to an invitation",
     FROM_USER "In-Reply-To: <" ID ">\nContent-Type: multipart/alternative; boundary=c\n\n--c\n"
               "Content-Type: text/plain\n\nyes\n--c\n"
               "Content-Type: text/calendar; charset=utf-8; method=REPLY\n"
               "Content-Transfer-Encoding: base64\n\n"
               "QkVHSU46VkNBTEVOREFSDQpNRVRIT0Q6UkVQTFkNClZFUlNJT046Mi4wDQpFTkQ6VkNBTEVOREFS\nDQo="
               "\n--c--\n",
     BOUNCE_CALENDAR, ID},
    {"answer to an invitation by its header alone",
     FROM_USER "Content-Type: text/calendar; method=REPLY\n\n", BOUNCE_OTHER, NULL},
    {"a delivery failure that calls itself an answer to an invitation",
     FROM_USER "Content-Type: text/calendar; METHOD:REPLY\n\n"
               "BEGIN:VCALENDAR\nMETHOD:REPLY\n\nYour message was not delivered.\n",
     BOUNCE_OTHER, NULL},
    {"an answer to an invitation, From postmaster",
     FROM_DAEMON "Content-Type: text/calendar; method=REPLY\n\n"
                 "BEGIN:VCALENDAR\nMETH\n OD:REPLY\nEND:VCALENDAR\n",
     BOUNCE_CALENDAR, NULL},
    {"an invitation",
     FROM_USER "Content-Type: text/calendar; method=REQUEST\n\n"
               "BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR\n",
     BOUNCE_OTHER, NULL},
    {"complaint",
     FROM_USER "Content-Type: multipart/report; report-type=feedback-report; boundary=f\n\n--f\n\n"
               "This is an email abuse report.\n--f\nContent-Type: message/feedback-report\n\n"
               "Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\n--f\n"
               "Content-Type: message/rfc822\n\n" ORIGINAL "\nhello\n--f--\n",
     BOUNCE_REPORT, ID},
    {"complaint about a bounce",
     FROM_USER "Content-Type: multipart/report; report-type=feedback-report; boundary=f\n\n--f\n"
               "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n--f\n"
               "Content-Type: message/rfc822\n\nFrom: MAILER-DAEMON@x\n"
               "Content-Type: multipart/report; report-type=delivery-status; boundary=i\n\n--i\n"
               "Content-Type: message/delivery-status\n\n" STATUS "\n--i--\n--f--\n",
     BOUNCE_REPORT, NULL},
    {"DMARC report",
     FROM_USER "Content-Type: application/zip;\n"
               " name=\"x.example!example.com!1013662812!1013749130.zip\"\n"
               "Content-Transfer-Encoding: base64\n\nUEsDBBQAAAAIAA==\n",
     BOUNCE_REPORT, NULL},
    {"text with the name of a DMARC report",
     FROM_USER "Content-Type: text/html; name=\"a!b!1!2.zip\"\n\n<p>not delivered</p>\n",
     BOUNCE_OTHER, NULL},
    {"text with the type and the name of a DMARC report",
     FROM_USER "Content-Type: application/zip; name=\"a!b!1!2.zip\"\n\nnot delivered\n",
     BOUNCE_OTHER, NULL},
    {"complaint of Outlook.com",
     FROM_USER "Subject: complaint about message from 192.0.2.5\n" MIXED
               "------=_b1\nContent-Type: message/rfc822\n\n"
               "X-HmXmrOriginalRecipient: <carol@outlook.test>\n" ORIGINAL "\n------=_b1--\n",
     BOUNCE_REPORT, ID},
    {"TLS report",
     FROM_USER "Content-Type: multipart/report; report-type=\"tlsrpt\"; boundary=t\n\n--t\n"
               "Content-Type: application/tlsrpt+gzip\nContent-Transfer-Encoding: base64\n\n"
               "H4sIAA==\n--t--\n",
     BOUNCE_REPORT, NULL},
    {"a gateway wraps up a DSN",
     FROM_USER MIXED "------=_b1\nContent-Type: message/rfc822\n\nSubject: x\n" REPORT "--b/1\n"
                     "Content-Type: message/delivery-status\n\n" STATUS "\n--b/1\n"
                     "Content-Type: message/rfc822\n\n" ORIGINAL "\n--b/1--\n------=_b1--\n",
     BOUNCE_DSN, ID},
    /* broken in transport */
    {"the boundary is another",
     FROM_USER MIXED
     "--other\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
     "TWVzc2FnZS1JRDogPDIwMjYxMTIyMTAxMTEyLjQ3MTFAZXhhbXBsZS5jb20+DQo=\n--other--\n",
     BOUNCE_OTHER, ID},
    {"the boundary is missing, quoted-printable",
     FROM_DAEMON
     "Content-Type: multipart/report; report-type=delivery-status\n\n--b/1\n"
     "Content-Type: text/rfc822-headers\nContent-Transfer-Encoding: quoted-printable\n\n"
     "Message-ID: =3C20261122101112=\n.4711=40example.com=3E\n--b/1--\n",
     BOUNCE_DSN, ID},
    {"a second bounce behind the first",
     FROM_DAEMON REPORT "--b/1\n\none\n--b/1--\n\nFrom: x\nContent-Type: text/plain\n\n" ORIGINAL,
     BOUNCE_DSN, ID},
    {"no empty line before the body", FROM_DAEMON "This is not a field.\nMessage-ID: <" ID ">\n",
     BOUNCE_DSN, ID},
    {"no header", "\nMessage-ID: <" ID ">\n", BOUNCE_OTHER, ID},
    {"a part in a digest",
     FROM_USER "Content-Type: multipart/digest; boundary=d\n\n--d\n\n" ORIGINAL
               "Content-Type: text/plain\n\nx\n--d--\n",
     BOUNCE_OTHER, ID},
    {"the ID has an equals sign",
     FROM_DAEMON "\nMessage-ID: <CAByYQsFyrGN=Aa73R9b-3-tiR7uF@mail.example.com>\n", BOUNCE_DSN,
     "CAByYQsFyrGN=Aa73R9b-3-tiR7uF@mail.example.com"},
    {"the ID has an encoded equals sign",
     FROM_DAEMON "Content-Transfer-Encoding: quoted-printable\n\n"
                 "Message-ID: <CAByYQsFyrGN=3DAa73R9b-3-tiR7uF@mail.example.com>\n",
     BOUNCE_DSN, "CAByYQsFyrGN=Aa73R9b-3-tiR7uF@mail.example.com"},
    /* encoded, packed or signed, whatever is said of it */
    {"base64 in short lines",
     FROM_USER "Content-Type: text/plain\n\n"
               "RnJvbTogYWxpY2VAZXhhbXBs\n"
               "ZS5jb20KVG86IGJvYkBleGFt\n"
               "cGxlLm5ldApTdWJqZWN0OiBo\n"
               "ZWxsbwpNZXNzYWdlLUlEOiA8\n"
               "MjAyNjExMjIxMDExMTIuNDcx\n"
               "MUBleGFtcGxlLmNvbT4KCmhl\n"
               "bGxvCg==\n",
     BOUNCE_OTHER, ID},
    {"base64 in lines of no whole groups",
     FROM_USER "Content-Type: text/plain\n\n"
               "RnJvbTogYWxpY2VAZXhhbXBsZS5jb2\n"
               "0KVG86IGJvYkBleGFtcGxlLm5ldApT\n"
               "dWJqZWN0OiBoZWxsbwpNZXNzYWdlLU\n"
               "lEOiA8MjAyNjExMjIxMDExMTIuNDcx\n"
               "MUBleGFtcGxlLmNvbT4KCmhlbGxvCg\n"
               "==\n",
     BOUNCE_OTHER, ID},
    {"base64 behind words",
     FROM_USER "Content-Type: text/plain\n\n"
               "Original\n"
               "Hello\n"
               "RnJvbTogYWxpY2VAZXhhbXBsZS5jb20K\n"
               "VG86IGJvYkBleGFtcGxlLm5ldApTdWJq\n"
               "ZWN0OiBoZWxsbwpNZXNzYWdlLUlEOiA8\n"
               "MjAyNjExMjIxMDExMTIuNDcxMUBleGFt\n"
               "cGxlLmNvbT4KCmhlbGxvCg==\n"
               "Bye\n",
     BOUNCE_OTHER, ID},
    {"base64 that is quoted",
     FROM_USER "Content-Type: text/plain\n\n"
               "> RnJvbTogYWxpY2VAZXhhbXBsZS5jb20KVG86IGJvYkBleGFtcGxlLm5ldApT\n"
               "> dWJqZWN0OiBoZWxsbwpNZXNzYWdlLUlEOiA8MjAyNjExMjIxMDExMTIuNDcx\n"
               "> MUBleGFtcGxlLmNvbT4KCmhlbGxvCg==\n",
     BOUNCE_OTHER, ID},
    {"base64 that is quoted twice, in short lines",
     FROM_USER "Content-Type: text/plain\n\n"
               "> > RnJvbTogYWxpY2VAZXhh\n"
               "> > bXBsZS5jb20KVG86IGJv\n"
               "> > YkBleGFtcGxlLm5ldApT\n"
               "> > dWJqZWN0OiBoZWxsbwpN\n"
               "> > ZXNzYWdlLUlEOiA8MjAy\n"
               "> > NjExMjIxMDExMTIuNDcx\n"
               "> > MUBleGFtcGxlLmNvbT4K\n"
               "> > CmhlbGxvCg==\n",
     BOUNCE_OTHER, ID},
    {"base64 that is indented",
     FROM_USER "Content-Type: text/plain\n\n"
               "    RnJvbTogYWxpY2VAZXhhbXBsZS5jb20KVG86IGJvYkBleGFt\n"
               "    cGxlLm5ldApTdWJqZWN0OiBoZWxsbwpNZXNzYWdlLUlEOiA8\n"
               "    MjAyNjExMjIxMDExMTIuNDcxMUBleGFtcGxlLmNvbT4KCmhl\n"
               "    bGxvCg==\n",
     BOUNCE_OTHER, ID},
    {"uuencode",
     FROM_USER "Content-Type: text/plain\n\n"
               "text\n"
               "begin 644 original.eml\n"
               "M1G)O;3H@86QI8V5 97AA;7!L92YC;VT*5&\\Z(&)O8D!E>&%M<&QE+FYE= I3\n"
               "M=6)J96-T.B!H96QL;PI-97-S86=E+4E$.B \\,C R-C$Q,C(Q,#$Q,3(N-#<Q\n"
               "6,4!E>&%M<&QE+F-O;3X*\"FAE;&QO\"@  \n"
               "`\n"
               "end\n"
               "text\n",
     BOUNCE_OTHER, ID},
    {"uuencode that has lost its blanks",
     FROM_USER "Content-Type: text/plain\n\n"
               "begin 664 x\n"
               "M1G)O;3H@86QI8V5 97AA;7!L92YC;VT*5&\\Z(&)O8D!E>&%M<&QE+FYE= I3\n"
               "M=6)J96-T.B!H96QL;PI-97-S86=E+4E$.B \\,C R-C$Q,C(Q,#$Q,3(N-#<Q\n"
               "6,4!E>&%M<&QE+F-O;3X*\"FAE;&QO\"@\n"
               "end\n",
     BOUNCE_OTHER, ID},
    {"uuencode that is quoted",
     FROM_USER "Content-Type: text/plain\n\n"
               "> begin 600 x.eml\n"
               "> M1G)O;3H@86QI8V5 97AA;7!L92YC;VT*5&\\Z(&)O8D!E>&%M<&QE+FYE= I3\n"
               "> M=6)J96-T.B!H96QL;PI-97-S86=E+4E$.B \\,C R-C$Q,C(Q,#$Q,3(N-#<Q\n"
               "> 6,4!E>&%M<&QE+F-O;3X*\"FAE;&QO\"@  \n"
               "> `\n"
               "> end\n",
     BOUNCE_OTHER, ID},
    {"a second uuencode",
     FROM_USER "Content-Type: text/plain\n\n"
               "begin 644 a\n"
               "#86)C\n"
               "`\n"
               "end\n"
               "begin 644 b\n"
               "M1G)O;3H@86QI8V5 97AA;7!L92YC;VT*5&\\Z(&)O8D!E>&%M<&QE+FYE= I3\n"
               "M=6)J96-T.B!H96QL;PI-97-S86=E+4E$.B \\,C R-C$Q,C(Q,#$Q,3(N-#<Q\n"
               "6,4!E>&%M<&QE+F-O;3X*\"FAE;&QO\"@  \n"
               "`\n"
               "end\n",
     BOUNCE_OTHER, ID},
    {"an archive",
     FROM_USER "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
               "UEsDBBQAAAAIAAAAAACT2cExDgAAAAwAAAAFAAAAYS50eHTLyy/JyMxLV8hILUoFAFBLAwQU\n"
               "AAAACAAAAAAAnp4XDlsAAABwAAAADAAAAG9yaWdpbmFsLmVtbHMrys+1UkjMyUxOdUitSMwt\n"
               "yEnVS87P5QrJt1JIyk+Ci+WllnAFlyZlpSaXWClkpObk5HP5phYXJ6an6nq6WCnYGBkYmRka\n"
               "GhkZGhgCKT0Tc0NDZPPsuLggmgA=\n",
     BOUNCE_OTHER, ID},
    {"an archive whose sizes stand behind its files",
     FROM_USER "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
               "UEsDBBQACAAIAAAAAAAAAAAAAAAAAAAAAAAFAAAAYS50eHTLyy/JyMxLV8hILUoFAFBLBwiT\n"
               "2cExDgAAAAwAAABQSwMEFAAIAAgAAAAAAAAAAAAAAAAAAAAAAAwAAABvcmlnaW5hbC5lbWxz\n"
               "K8rPtVJIzMlMTnVIrUjMLchJ1UvOz+UKybdSSMpPgovlpZZwBZcmZaUml1gpZKTm5ORz+aYW\n"
               "Fyemp+p6ulgp2BgZGJkZGhoZGRoYAik9E3NDQ2Tz7Li4IJoAUEsHCJ6eFw5bAAAAcAAAAA==\n",
     BOUNCE_OTHER, ID},
    {"an archive that is not packed",
     FROM_USER "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
               "UEsDBBQAAAAAAAAAAACenhcOcAAAAHAAAAAMAAAAb3JpZ2luYWwuZW1sRnJvbTogYWxpY2VA\n"
               "ZXhhbXBsZS5jb20KVG86IGJvYkBleGFtcGxlLm5ldApTdWJqZWN0OiBoZWxsbwpNZXNzYWdl\n"
               "LUlEOiA8MjAyNjExMjIxMDExMTIuNDcxMUBleGFtcGxlLmNvbT4KCmhlbGxvCg==\n",
     BOUNCE_OTHER, ID},
    {"an archive that is cut off",
     FROM_USER "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
               "UEsDBBQAAAAIAAAAAAArESXuyQAAALQHAAAMAAAAb3JpZ2luYWwuZW1scyvKz7VSSMzJTE51\n"
               "SK1IzC3ISdVLzs/lCsm3UkjKT4KL5aWWcAWXJmWlJpdYKWSk5uTkc/mmFhcnpqfqerpYKdgY\n"
               "GRiZGRoaGRkaGAIpPRNzQ0Nk8+y4uCCaFJWUVVTV1DU0tbR1dPX0DQyNjE1MzcwtLK2sbWzt\n"
               "7B0cnZxdXN3cPTy9vH18/fwDAoOCQ0LDwiMio6JjYuPiExKTklNS09I=\n",
     BOUNCE_OTHER, ID},
    {"a compressed file",
     FROM_USER "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
               "H4sIAAAAAAACA3Mrys+1UkjMyUxOdUitSMwtyEnVS87P5QrJt1JIyk+Ci+WllnAFlyZlpSaX\n"
               "WClkpObk5HP5phYXJ6an6nq6WCnYGBkYmRkaGhkZGhgCKT0Tc0NDZPPsuLggmgCenhcOcAAA\n"
               "AA==\n",
     BOUNCE_OTHER, ID},
    {"an archive in uuencode",
     FROM_USER "Content-Type: text/plain\n\n"
               "begin 644 a.zip\n"
               "M4$L#!!0    (      \">GA<.6P   '     %    ;RYE;6QS*\\K/M5)(S,E,\n"
               "M3G5(K4C,+<A)U4O.S^4*R;=22,I/@HOEI99P!9<F9:4FEU@I9*3FY.1S^:86\n"
               "D%R>FI^IZNE@IV!@9&)D9&AH9&1H8 BD]$W-#0V3S[+BX()H \n"
               "`\n"
               "end\n",
     BOUNCE_OTHER, ID},
    {"an archive in base64 as text",
     FROM_USER "Content-Type: text/plain\n\n"
               "UEsDBBQAAAAIAAAAAACenhcOWwAAAHAAAAAFAAAAby5lbWxzK8rPtVJIzMlMTnVIrUjMLchJ\n"
               "1UvOz+UKybdSSMpPgovlpZZwBZcmZaUml1gpZKTm5ORz+aYWFyemp+p6ulgp2BgZGJkZGhoZ\n"
               "GRoYAik9E3NDQ2Tz7Li4IJoA\n",
     BOUNCE_OTHER, ID},
    {"a signed receipt of pieces",
     FROM_USER "Content-Type: application/pkcs7-mime; smime-type=signed-data; "
               "name=smime.p7m\nContent-Transfer-Encoding: base64\n\n"
               "MIAGCSqGSIb3DQEHAqCAMIACAQExADCABgkqhkiG9w0BBwGggCSABGRDb250ZW50\n"
               "LVR5cGU6IG11bHRpcGFydC9yZXBvcnQ7IHJlcG9ydC10eXBlPWRpc3Bvc2l0aW9u\n"
               "LW5vdGlmaWNhdGlvbjsgYm91bmRhcnk9cgoKLS1yCgpyZWFkCi0tcgpDb250BGRl\n"
               "bnQtVHlwZTogbWVzc2FnZS9kaXNwb3NpdGlvbi1ub3RpZmljYXRpb24KCkZpbmFs\n"
               "LVJlY2lwaWVudDogcmZjODIyOyBib2JAZXhhbXBsZS5uZXQKT3JpZ2luYWwtTWVz\n"
               "c2FnBGRlLUlEOiA8MjAyNjExMjIxMDExMTIuNDcxMUBleGFtcGxlLmNvbT4KRGlz\n"
               "cG9zaXRpb246IG1hbnVhbC1hY3Rpb24vTUROLXNlbnQtbWFudWFsbHk7IGRpc3Bs\n"
               "YXllZAotLXItBAItCgAAAAAAAKAGBARqdW5rMQAAAAAAAAA=\n",
     BOUNCE_MDN, ID},
    {"a signed receipt of very small pieces",
     FROM_USER "Content-Type: application/pkcs7-mime; smime-type=signed-data; "
               "name=smime.p7m\nContent-Transfer-Encoding: base64\n\n"
               "MIAGCSqGSIb3DQEHAqCAMIACAQExADCABgkqhkiG9w0BBwGggCSABAdDb250ZW50\n"
               "BActVHlwZTogBAdtdWx0aXBhBAdydC9yZXBvBAdydDsgcmVwBAdvcnQtdHlwBAdl\n"
               "PWRpc3BvBAdzaXRpb24tBAdub3RpZmljBAdhdGlvbjsgBAdib3VuZGFyBAd5PXIK\n"
               "Ci0tBAdyCgpyZWFkBAcKLS1yCkNvBAdudGVudC1UBAd5cGU6IG1lBAdzc2FnZS9k\n"
               "BAdpc3Bvc2l0BAdpb24tbm90BAdpZmljYXRpBAdvbgoKRmluBAdhbC1SZWNpBAdw\n"
               "aWVudDogBAdyZmM4MjI7BAcgYm9iQGV4BAdhbXBsZS5uBAdldApPcmlnBAdpbmFs\n"
               "LU1lBAdzc2FnZS1JBAdEOiA8MjAyBAc2MTEyMjEwBAcxMTEyLjQ3BAcxMUBleGFt\n"
               "BAdwbGUuY29tBAc+CkRpc3BvBAdzaXRpb246BAcgbWFudWFsBActYWN0aW9uBAcv\n"
               "TUROLXNlBAdudC1tYW51BAdhbGx5OyBkBAdpc3BsYXllBAdkCi0tci0tBAEKAAAA\n"
               "AAAAoAYEBGp1bmsxAAAAAAAAAA==\n",
     BOUNCE_MDN, ID},
    {"a signed receipt of one piece",
     FROM_USER "Content-Type: application/pkcs7-mime; smime-type=signed-data; "
               "name=smime.p7m\nContent-Transfer-Encoding: base64\n\n"
               "MIIBXwYJKoZIhvcNAQcCoIIBUDCCAUwCAQExADCCAUEGCSqGSIb3DQEHAaCCATIE\n"
               "ggEuQ29udGVudC1UeXBlOiBtdWx0aXBhcnQvcmVwb3J0OyByZXBvcnQtdHlwZT1k\n"
               "aXNwb3NpdGlvbi1ub3RpZmljYXRpb247IGJvdW5kYXJ5PXIKCi0tcgoKcmVhZAot\n"
               "LXIKQ29udGVudC1UeXBlOiBtZXNzYWdlL2Rpc3Bvc2l0aW9uLW5vdGlmaWNhdGlv\n"
               "bgoKRmluYWwtUmVjaXBpZW50OiByZmM4MjI7IGJvYkBleGFtcGxlLm5ldApPcmln\n"
               "aW5hbC1NZXNzYWdlLUlEOiA8MjAyNjExMjIxMDExMTIuNDcxMUBleGFtcGxlLmNv\n"
               "bT4KRGlzcG9zaXRpb246IG1hbnVhbC1hY3Rpb24vTUROLXNlbnQtbWFudWFsbHk7\n"
               "IGRpc3BsYXllZAotLXItLQoxAA==\n",
     BOUNCE_MDN, ID},
    {"a signed receipt of another type",
     FROM_USER "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
               "MIAGCSqGSIb3DQEHAqCAMIACAQExADCABgkqhkiG9w0BBwGggCSABDJDb250ZW50\n"
               "LVR5cGU6IG11bHRpcGFydC9yZXBvcnQ7IHJlcG9ydC10eXBlPWRpc3BvcwQyaXRp\n"
               "b24tbm90aWZpY2F0aW9uOyBib3VuZGFyeT1yCgotLXIKCnJlYWQKLS1yCkNvbnQE\n"
               "MmVudC1UeXBlOiBtZXNzYWdlL2Rpc3Bvc2l0aW9uLW5vdGlmaWNhdGlvbgoKRmlu\n"
               "YWwtBDJSZWNpcGllbnQ6IHJmYzgyMjsgYm9iQGV4YW1wbGUubmV0Ck9yaWdpbmFs\n"
               "LU1lc3NhZwQyZS1JRDogPDIwMjYxMTIyMTAxMTEyLjQ3MTFAZXhhbXBsZS5jb20+\n"
               "CkRpc3Bvc2l0aW8EMm46IG1hbnVhbC1hY3Rpb24vTUROLXNlbnQtbWFudWFsbHk7\n"
               "IGRpc3BsYXllZAotLXItBAItCgAAAAAAAKAGBARqdW5rMQAAAAAAAAA=\n",
     BOUNCE_MDN, ID},
    {"a signed receipt in a signed one",
     FROM_USER "Content-Type: application/pkcs7-mime; smime-type=signed-data; "
               "name=smime.p7m\nContent-Transfer-Encoding: base64\n\n"
               "MIICcAYJKoZIhvcNAQcCoIICYTCCAl0CAQExADCCAlIGCSqGSIb3DQEHAaCCAkME\n"
               "ggI/Q29udGVudC1UeXBlOiBhcHBsaWNhdGlvbi9wa2NzNy1taW1lCkNvbnRlbnQt\n"
               "VHJhbnNmZXItRW5jb2Rpbmc6IGJhc2U2NAoKTUlBR0NTcUdTSWIzRFFFSEFxQ0FN\n"
               "SUFDQVFFeEFEQ0FCZ2txaGtpRzl3MEJCd0dnZ0NTQUJGcERiMjUwWlc1MApMVlI1\n"
               "Y0dVNklHMTFiSFJwY0dGeWRDOXlaWEJ2Y25RN0lISmxjRzl5ZEMxMGVYQmxQV1Jw\n"
               "YzNCdmMybDBhVzl1CkxXNXZkR2xtYVdOaGRHbHZianNnWW05MWJtUmhjbms5Y2dv\n"
               "S0xTMXlDZ3B5WldFRVdtUUtMUzF5Q2tOdmJuUmwKYm5RdFZIbHdaVG9nYldWemMy\n"
               "Rm5aUzlrYVhOd2IzTnBkR2x2YmkxdWIzUnBabWxqWVhScGIyNEtDa1pwYm1GcwpM\n"
               "VkpsWTJsd2FXVnVkRG9nY21aak9ESXlPeUJpYjJKQVpYaGhiWEJzWlFSYUxtNWxk\n"
               "QXBQY21sbmFXNWhiQzFOClpYTnpZV2RsTFVsRU9pQThNakF5TmpFeE1qSXhNREV4\n"
               "TVRJdU5EY3hNVUJsZUdGdGNHeGxMbU52YlQ0S1JHbHoKY0c5emFYUnBiMjQ2SUcx\n"
               "aGJuVmhiQzFoWTNScGIyNHZUVVJPQkNBdGMyVnVkQzF0WVc1MVlXeHNlVHNnWkds\n"
               "egpjR3hoZVdWa0NpMHRjaTB0Q2dBQUFBQUFBS0FHQkFScWRXNXJNUUFBQUFBQUFB\n"
               "QT0xAA==\n",
     BOUNCE_MDN, ID},
    {"a compressed receipt",
     FROM_USER "Content-Type: application/pkcs7-mime; smime-type=compressed-data; "
               "name=smime.p7m\nContent-Transfer-Encoding: base64\n\n"
               "MIH5BgsqhkiG9w0BCRABCaCB6TCB5gIBADAAMIHeBgkqhkiG9w0BBwGggdAEgc14\n"
               "nHVPy2rDMBC86yv0AxtHorTFbkIhppBDEij9gY28CQuyJCQZ4r+vZENLD73s7HNm\n"
               "9uBdJpfhaw7UynGymQPG3EQKPuZOrgi5jHcDp+ATZ/YOnM98Y4O16OTVT27AOO+i\n"
               "EAAlRMJhyQ5/+SklvFPzH5MQH+zQwicZDlzuWhlv5lXrKnF9pweOwdLGURaXyPdl\n"
               "97RywrFv5Zve6meltFZbVWDz9KLUz5Xx4170v8rFDrqpMKCpZXPqz5Cq17Vt505W\n"
               "nxZnWn4BEN/uYGjP\n",
     BOUNCE_MDN, ID},
    {"EBCDIC that nobody told of",
     FROM_USER "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
               "1IWiooGHhWDJxHpATPLw8vbx8fLy8fDx8fHyS/T38fF8haeBlJeThUuDlpRuJQ==\n",
     BOUNCE_OTHER, ID},
    {"EBCDIC of another page",
     FROM_USER "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
               "1IWiooGHhWDJxHpATPLw8vbx8fLy8fDx8fHyS/T38fG1haeBlJeThUuDlpRuJQ==\n",
     BOUNCE_OTHER, ID},
    {"Shift-JIS",
     FROM_USER "Content-Type: text/plain; charset=shift_jis\nContent-Transfer-Encoding: base64\n\n"
               "g4GDYoNagVuDV4JogmMKTWVzc2FnZS1JRIFGgYMyMDI2MTEyMjEwMTExMi40NzExQGV4YW1w\n"
               "bGUuY29tgYQK\n",
     BOUNCE_OTHER, ID},
    {"ISO-2022-JP",
     FROM_USER
     "Content-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: base64\n\n"
     "TWVzc2FnZS1JRBskQiEnIWMbKEIyMDI2MTEyMjEwMTExMi40NzExQGV4YW1wbGUuY29tGyRC\n"
     "IWQbKEIK\n",
     BOUNCE_OTHER, ID},
    {"nothing", "", BOUNCE_OTHER, NULL},
    {"one octet", "x", BOUNCE_OTHER, NULL},
    {"a bounce that names nothing", FROM_DAEMON "\nUser unknown: <alice.2026x@example.net>\n",
     BOUNCE_DSN, NULL},
};

static struct bounce *read_octets(const char *octets, size_t length)
{
    struct bounce *bounce = NULL;
    char *exact = malloc(length + 1); /* so that the address sanitizer sees its end */
    ck_assert_ptr_nonnull(exact);
    exact = realloc(exact, length > 0 ? length : 1);
    memcpy(exact, octets, length);
    struct budget budget = budget_of(length);
    ck_assert_int_eq(mime_read_bounce(exact, length, &budget, &bounce), STATUS_OK);
    ck_assert_ptr_nonnull(bounce);
    free(exact);
    return bounce;
}

static struct bounce *read_text(const char *text)
{
    return read_octets(text, strlen(text));
}

static const struct bounce_id *find(const struct bounce *bounce, const char *id)
{
    for (size_t i = 0; i < bounce->id_count; i++) {
        if (strcmp(bounce->ids[i].text, id) == 0) {
            return &bounce->ids[i];
        }
    }
    return NULL;
}

static void assert_read(const char *name, const char *kind, struct bounce *bounce,
                        enum bounce_class class, const char *id)
{
    ck_assert_msg(bounce->class == class, "%s, %s: %s", name, kind,
                  bounce_class_name(bounce->class));
    if (id != NULL) {
        const struct bounce_id *found = find(bounce, id);
        ck_assert_msg(found != NULL && found->rank >= BOUNCE_REFERENCE, "%s, %s: not found", name,
                      kind);
    } else {
        ck_assert_msg(bounce->named_count == 0, "%s, %s: %s", name, kind, bounce->ids[0].text);
    }
    ck_assert_ptr_null(find(bounce, OWN));
    bounce_free(bounce);
}

/* The text with other line ends. The caller frees. */
static char *with_ends(const char *text, const char *end)
{
    char *out = malloc(2 * strlen(text) + 1);
    size_t used = 0;
    ck_assert_ptr_nonnull(out);
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            memcpy(out + used, end, strlen(end));
            used += strlen(end);
        } else {
            out[used++] = *text;
        }
    }
    out[used] = '\0';
    return out;
}

START_TEST(message)
{
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        char *text = with_ends(messages[_i].text, ends[i]);
        assert_read(messages[_i].name, i == 0 ? "LF" : (i == 1 ? "CRLF" : "CR"), read_text(text),
                    messages[_i].class, messages[_i].id);
        free(text);
    }
}
END_TEST

/* Cut off anywhere, nothing is read beyond the end. */
START_TEST(message_cut_off)
{
    size_t length = strlen(messages[_i].text);
    for (size_t cut = 0; cut < length; cut += 7) {
        bounce_free(read_octets(messages[_i].text, cut));
    }
}
END_TEST

/* Half of the octets are NULs, as of a text in UTF-16 that says nothing of it. */
START_TEST(wide_text)
{
    static const char header[] = FROM_USER "\n";
    static const char text[] = "Message-ID: <" ID ">\n";
    char octets[sizeof header + 2 * sizeof text];
    size_t used = sizeof header - 1;
    memcpy(octets, header, used);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        octets[used++] = text[i];
        octets[used++] = '\0';
    }
    assert_read("wide", "NULs", read_octets(octets, used), BOUNCE_OTHER, ID);
}
END_TEST

START_TEST(foreign_charsets)
{
    /* "Message-ID: <20261122101112.4711@example.com>" in UTF-16 big endian, in base64; the
     * brackets and the at sign in UTF-7; all of it in EBCDIC, quoted-printable. */
    static const char *const texts[] = {
        FROM_USER "Content-Type: text/plain; charset=\"utf-16be\"\n"
                  "Content-Transfer-Encoding: base64\n\n"
                  "AE0AZQBzAHMAYQBnAGUALQBJAEQAOgAgADwAMgAwADIANgAxADEAMgAyADEAMAAxADEAMQAyAC4A\n"
                  "NAA3ADEAMQBAAGUAeABhAG0AcABsAGUALgBjAG8AbQA+\n",
        FROM_USER "Content-Type: text/plain; charset=utf-7\n\n"
                  "Message-ID: +ADw-20261122101112.4711+AEA-example.com+AD4-\n",
        FROM_USER
        "Content-Type: text/plain; charset=IBM037\n"
        "Content-Transfer-Encoding: quoted-printable\n\n"
        "=D4=85=A2=A2=81=87=85=60=C9=C4=7A=40=4C=F2=F0=F2=F6=F1=F1=F2=F2=F1=F0=F1=F1=F1=\n"
        "=F2=4B=F4=F7=F1=F1=7C=85=A7=81=94=97=93=85=4B=83=96=94=6E\n",
        FROM_USER "Content-Type: text/plain; charset=no-such-thing\n\nMessage-ID: <" ID ">\n",
        FROM_USER "Content-Type: text/plain; charset=utf-16-or-so\n\nMessage-ID: <" ID ">\n",
    };
    assert_read("charset", "", read_text(texts[_i]), BOUNCE_OTHER, ID);
}
END_TEST

/* ------------------------------------------------------- whose Message-ID it is */

START_TEST(the_own_id_counts_only_in_the_returned_copy)
{
    struct bounce *bounce = read_text(FROM_DAEMON "In-Reply-To: <" OWN ">\nReferences: <" OWN
                                                  "> <" ID ">\n\n<" OWN ">\n");
    ck_assert_str_eq(bounce->own_id, OWN);
    ck_assert_uint_eq(bounce->id_count, 1);
    ck_assert_str_eq(bounce->ids[0].text, ID);
    bounce_free(bounce);

    static const char *const contents[] = {
        "References: <" OWN ">", "In-Reply-To: <" OWN ">\nReferences: <" OWN ">",
        "Your reference: " OWN, "The message id was: " OWN, "<p>References: &lt;" OWN "&gt;</p>"};
    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        char text[1000];
        snprintf(text, sizeof text, FROM_DAEMON "\nReturned header:\n%s\nSubject: x\n",
                 contents[i]);
        bounce = read_text(text);
        ck_assert_msg(bounce->id_count == 0, "%s", contents[i]);
        bounce_free(bounce);
    }

    bounce = read_text(FROM_DAEMON "\nMessage-ID: <" OWN ">\n");
    ck_assert_str_eq(bounce->own_id, OWN);
    ck_assert_uint_eq(bounce->id_count, 1);
    ck_assert_str_eq(bounce->ids[0].text, OWN);
    ck_assert_str_eq(bounce->ids[0].where, "text");
    bounce_free(bounce);
}
END_TEST

START_TEST(a_second_own_id_is_none_of_the_original)
{
    struct bounce *bounce = read_text("Message-Id: <1.own@x>\nX-Other-Message-ID: <3.own@x>\n"
                                      "Message-ID:\n\t<2.own@x>\nReferences: <2.own@x>\n\nx\n");
    ck_assert_str_eq(bounce->own_id, "1.own@x");
    ck_assert_uint_eq(bounce->id_count, 1);
    ck_assert_str_eq(bounce->ids[0].text, "3.own@x");
    ck_assert_uint_eq(bounce->named_count, 0);
    bounce_free(bounce);
    bounce = read_text("Message-ID: <>\nMessage-ID: 2.own\n\nx\n");
    ck_assert_str_eq(bounce->own_id, "2.own");
    bounce_free(bounce);
    bounce = read_text("From: x\n\nx\n");
    ck_assert_ptr_null(bounce->own_id);
    bounce_free(bounce);
}
END_TEST

START_TEST(a_mailbox_line_is_passed_over)
{
    struct bounce *bounce = read_text("From MAILER-DAEMON Sun Nov 22 10:11:12 2026\n" FROM_USER
                                      "References: <" ID ">\n\nx\n");
    ck_assert_str_eq(bounce->own_id, OWN);
    ck_assert_uint_eq(bounce->named_count, 1);
    bounce_free(bounce);
}
END_TEST

START_TEST(where_is_told)
{
    struct bounce *bounce = read_text(
        FROM_DAEMON "In-Reply-To: <1@x>\n" REPORT
                    "pre Message-ID: <2@x>\n--b/1\n\nMessage-ID: <3@x>\n--b/1\n"
                    "Content-Type: message/delivery-status\n\nMessage-ID: <4@x>\n"
                    "Original-Message-ID: <5@x>\n--b/1\nContent-Type: message/rfc822\n\n"
                    "Message-ID: <6@x>\nReferences: <7@x>\n\nMessage-ID: <8@x>\n--b/1--\n");
    static const struct {
        const char *id, *where;
    } expected[] = {{"1@x", "In-Reply-To"},
                    {"2@x", "raw text"},
                    {"3@x", "text"},
                    {"4@x", "report"},
                    {"5@x", "Original-Message-ID"},
                    {"6@x", "returned message"},
                    {"7@x", "References"},
                    {"8@x", "returned message"}};
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        const struct bounce_id *found = find(bounce, expected[i].id);
        ck_assert_msg(found != NULL && strcmp(found->where, expected[i].where) == 0, "%s",
                      expected[i].id);
    }
    ck_assert_uint_eq(bounce->id_count, COUNT_OF(expected));
    bounce_free(bounce);
}
END_TEST

#define TAG      "prvs=3785a1b2c3=alice@example.com"
#define EVIDENCE "v=1; d=20778; n=00112233445566ff;\n\ts=00112233445566778899aabb"

START_TEST(tags_and_evidence_count_in_the_content_only)
{
    struct bounce *bounce = read_text("Return-Path: <" TAG ">\nTo: <" TAG
                                      ">\nX-Batv-Evidence: " EVIDENCE "\n" HEADER "\ntext\n");
    ck_assert_uint_eq(bounce->tag_count, 0);
    ck_assert_uint_eq(bounce->evidence_count, 0);
    bounce_free(bounce);

    bounce = read_text(FROM_DAEMON REPORT "--b/1\n\ntext\n--b/1\nContent-Type: message/rfc822\n\n"
                                          "Return-Path: <" TAG ">\nX-Batv-Evidence: " EVIDENCE
                                          "\nX-Batv-Evidence: " EVIDENCE "\n\nx\n--b/1--\n");
    ck_assert_uint_eq(bounce->tag_count, 1);
    ck_assert_str_eq(bounce->tags[0].address, TAG);
    ck_assert_str_eq(bounce->tags[0].where, "returned message");
    ck_assert_uint_eq(bounce->evidence_count, 1);
    ck_assert_str_eq(bounce->evidence[0],
                     "v=1;d=20778;n=00112233445566ff;s=00112233445566778899aabb");
    bounce_free(bounce);
}
END_TEST

START_TEST(tags_and_evidence_in_quoted_printable)
{
    struct bounce *bounce = read_text(
        FROM_DAEMON "Content-Transfer-Encoding: quoted-printable\n\n"
                    "Return-Path: <prvs=3D3785a1b2c3=3Dalice@exam=\nple.com>\n"
                    "X-Batv-Evidence: v=3D1; d=3D20778; n=3D00112233445566ff; s=3D001122334455=\n"
                    "66778899aabb\n");
    ck_assert_uint_eq(bounce->tag_count, 1);
    ck_assert_str_eq(bounce->tags[0].address, TAG);
    ck_assert_uint_eq(bounce->evidence_count, 1);
    bounce_free(bounce);
}
END_TEST

/* ---------------------------------------------------------------- addresses */

static const struct {
    const char *value;
    const char *addresses[5];
} values[] = {
    {"alice@example.com", {"alice@example.com"}},
    {"A-B C_D <a.b+c@d-e.example>", {"a.b+c@d-e.example"}},
    {"a@xn--bcher-kva.example",
     {"a@b\xc3\xbc"
      "cher.example"}},
    {"a..b@example.com", {NULL}},
    {".a@example.com", {NULL}},
    {"a.@example.com", {NULL}},
    {"a@example.com.", {"a@example.com"}},
    {"a@example.org <c@example.com>", {"c@example.com"}},
    {"Alice a@example.com", {NULL}},
    {"Alice <a@example.com> x", {"a@example.com", "x"}},
    {"Alice <a@example.com", {"a@example.com"}},
    {"Alice <alice>", {"alice"}},
    {" <alice@example.com>", {"alice@example.com"}},
    {"Alice <alice@example.com>", {"alice@example.com"}},
    {"\"Doe, Alice\" <alice@example.com>, bob@example.net",
     {"alice@example.com", "bob@example.net"}},
    {"alice@example.com (Alice, (nested) x), bob@example.net",
     {"alice@example.com", "bob@example.net"}},
    {"=?utf-8?Q?J=C3=B6rg?= <j@example.com>", {"j@example.com"}},
    {"=?utf-8?Q?a=2C_b?= <j@example.com>", {"j@example.com"}},
    {"Friends: a@example.com, B <b@example.com>;", {"a@example.com", "b@example.com"}},
    {"Friends: a@example.com;, c@example.com", {"a@example.com", "c@example.com"}},
    {"undisclosed-recipients:;", {NULL}},
    {"alice@example.com,\r\n\tbob@example.com", {"alice@example.com", "bob@example.com"}},
    {"<@relay.example.org:alice@example.com>", {"alice@example.com"}},
    {"\"a b\"@example.com", {"\"a b\"@example.com"}},
    {"<prvs=3785a1b2c3=alice@example.com>", {"prvs=3785a1b2c3=alice@example.com"}},
    {"J\xc3\xb6rg <j\xc3\xb6rg@example.com>", {"j\xc3\xb6rg@example.com"}},
    {",,, alice@example.com ,", {"alice@example.com"}},
    {"", {NULL}},
    {" ", {NULL}},
    {"<>", {NULL}},
    {"\"unfinished", {NULL}},
};

struct seen {
    char *addresses[100];
    size_t count;
    size_t most;
};

static bool see(void *context, const char *address)
{
    struct seen *seen = context;
    ck_assert_uint_lt(seen->count, COUNT_OF(seen->addresses));
    seen->addresses[seen->count++] = strdup(address);
    return seen->count < seen->most;
}

static void forget(struct seen *seen)
{
    while (seen->count > 0) {
        free(seen->addresses[--seen->count]);
    }
}

START_TEST(address_field)
{
    struct seen seen = {.most = 100};
    size_t count = 0;
    mime_addresses(values[_i].value, see, &seen);
    while (values[_i].addresses[count] != NULL) {
        ck_assert_msg(count < seen.count, "%s: %zu", values[_i].value, seen.count);
        ck_assert_str_eq(seen.addresses[count], values[_i].addresses[count]);
        count++;
    }
    ck_assert_msg(count == seen.count, "%s: %zu", values[_i].value, seen.count);
    forget(&seen);
}
END_TEST

START_TEST(addresses_stop_when_told)
{
    struct seen seen = {.most = 2};
    mime_addresses("a@x, b@x, G: c@x, d@x;", see, &seen);
    ck_assert_uint_eq(seen.count, 2);
    forget(&seen);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mime");
    TCase *reading = tcase_create("reading");
    mime_init();
    tcase_add_loop_test(reading, message, 0, COUNT_OF(messages));
    tcase_add_loop_test(reading, message_cut_off, 0, COUNT_OF(messages));
    tcase_add_test(reading, wide_text);
    tcase_add_loop_test(reading, foreign_charsets, 0, 5);
    tcase_add_test(reading, the_own_id_counts_only_in_the_returned_copy);
    tcase_add_test(reading, a_second_own_id_is_none_of_the_original);
    tcase_add_test(reading, a_mailbox_line_is_passed_over);
    tcase_add_test(reading, where_is_told);
    tcase_add_test(reading, tags_and_evidence_count_in_the_content_only);
    tcase_add_test(reading, tags_and_evidence_in_quoted_printable);
    suite_add_tcase(suite, reading);

    TCase *addresses = tcase_create("addresses");
    tcase_add_loop_test(addresses, address_field, 0, COUNT_OF(values));
    tcase_add_test(addresses, addresses_stop_when_told);
    suite_add_tcase(suite, addresses);
    return suite_run(suite);
}
