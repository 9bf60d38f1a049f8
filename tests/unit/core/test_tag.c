/*
 * Tags: their forms, vectors that were calculated elsewhere (HMAC-SHA256 by another library,
 * HMAC-SHA1 by Exim's ${prvs} and batv-tools), what changes a tag and what does not, limits, keys
 * and days.
 */
#include "fixture.h"

#include "batv/verp.h"

/* Local parts of 48, 49 and 46 octets; the tag adds 16. */
#define L46 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst"
#define L48 L46 "uv"
#define L49 L46 "uvw"

#define SECRET_OCTETS                                                                              \
    "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16" \
    "\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"

static struct ring *ring_of(enum algorithm algorithm, unsigned slot, unsigned lifetime_days)
{
    bool sha1 = algorithm == ALGORITHM_HMAC_SHA1;
    return ring_with(slot, algorithm, sha1 ? "secret" : SECRET_OCTETS, sha1 ? 6 : 32, lifetime_days,
                     noon_of(TODAY - 100));
}

/* Signs raw; the caller frees. NULL where it is refused. */
static char *sign(const struct ring *ring, const char *raw, enum tag_syntax syntax,
                  unsigned lifetime_days, time_t now)
{
    struct address address;
    char *tagged = NULL;
    int key = -2;
    int64_t expires = 0;
    REQUIRE(address_parse(raw, &address) == STATUS_OK);
    enum status status =
        tag_sign(ring, &address, syntax, lifetime_days, now, &tagged, &key, &expires);
    if (status == STATUS_OK) {
        REQUIRE(key == ring_active(ring, now));
        REQUIRE(expires == day_of(now) + lifetime_days);
    } else {
        REQUIRE(tagged == NULL);
    }
    address_free(&address);
    return tagged;
}

/* Judges raw; *plain, unless it is NULL, is the caller's to free. */
static struct tag_check verify(const struct ring *ring, const char *raw, unsigned lifetime_days,
                               time_t now, char **plain)
{
    struct address address;
    struct tag_check check;
    char *local = NULL;
    REQUIRE(address_parse(raw, &address) == STATUS_OK);
    REQUIRE(tag_verify(ring, &address, lifetime_days, now, &check, &local) == STATUS_OK);
    REQUIRE(local != NULL);
    REQUIRE(!check.internal_error);
    if (plain != NULL) {
        *plain = address_format(local, address.domain);
    }
    free(local);
    address_free(&address);
    return check;
}

/* ----------------------------------------------------------------- forms */

static const struct {
    const char *name;
    const char *local;
    enum tag_form form;
    enum tag_syntax syntax;
    unsigned key, day;
    const char *mac, *plain;
} forms[] = {
    {"ordinary", "alice", TAG_FORM_NONE, TAG_PREFIX, 0, 0, "", "alice"},
    {"empty", "", TAG_FORM_NONE, TAG_PREFIX, 0, 0, "", ""},
    {"ours", "prvs=3785a1b2c3=alice", TAG_FORM_TAG, TAG_PREFIX, 3, 785, "a1b2c3", "alice"},
    {"key 0, day 000", "prvs=0000000000=a", TAG_FORM_TAG, TAG_PREFIX, 0, 0, "000000", "a"},
    {"key 9, day 999", "prvs=9999ffffff=a", TAG_FORM_TAG, TAG_PREFIX, 9, 999, "ffffff", "a"},
    {"in capitals", "PRVS=3785A1B2C3=Alice", TAG_FORM_TAG, TAG_PREFIX, 3, 785, "a1b2c3", "Alice"},
    {"VERP behind it", "prvs=3785a1b2c3=l-1=bob=other.test", TAG_FORM_TAG, TAG_PREFIX, 3, 785,
     "a1b2c3", "l-1=bob=other.test"},
    {"SRS behind it", "prvs=3785a1b2c3=SRS0=HHH=TT=other.test=bob", TAG_FORM_TAG, TAG_PREFIX, 3,
     785, "a1b2c3", "SRS0=HHH=TT=other.test=bob"},
    {"another tag behind it", "prvs=3785a1b2c3=prvs=1234abcdef=bob", TAG_FORM_TAG, TAG_PREFIX, 3,
     785, "a1b2c3", "prvs=1234abcdef=bob"},
    {"local part begins with =", "prvs=3785a1b2c3==alice", TAG_FORM_TAG, TAG_PREFIX, 3, 785,
     "a1b2c3", "=alice"},
    {"local part looks like the old drafts' form", "prvs=1234abcdef=5678abcdef", TAG_FORM_TAG,
     TAG_PREFIX, 1, 234, "abcdef", "5678abcdef"},
    {"a space behind it", "prvs=3785a1b2c3=a b", TAG_FORM_TAG, TAG_PREFIX, 3, 785, "a1b2c3", "a b"},
    {"subaddress", "alice+prvs=3785a1b2c3", TAG_FORM_TAG, TAG_SUBADDRESS, 3, 785, "a1b2c3",
     "alice"},
    {"subaddress in capitals", "Alice+PRVS=3785A1B2C3", TAG_FORM_TAG, TAG_SUBADDRESS, 3, 785,
     "a1b2c3", "Alice"},
    {"subaddress with an extension", "alice+news+prvs=3785a1b2c3", TAG_FORM_TAG, TAG_SUBADDRESS, 3,
     785, "a1b2c3", "alice+news"},
    {"subaddress with = and +", "a=b+c=d+prvs=3785a1b2c3", TAG_FORM_TAG, TAG_SUBADDRESS, 3, 785,
     "a1b2c3", "a=b+c=d"},
    {"subaddress, the last one counts", "a+prvs=1111aaaaaa+prvs=3785a1b2c3", TAG_FORM_TAG,
     TAG_SUBADDRESS, 3, 785, "a1b2c3", "a+prvs=1111aaaaaa"},
    {"VERP behind a subaddress", "l+prvs=3785a1b2c3+far=other.test", TAG_FORM_TAG, TAG_SUBADDRESS,
     3, 785, "a1b2c3", "l+far=other.test"},
    {"VERP with -", "l+prvs=3785a1b2c3-far=other.test", TAG_FORM_TAG, TAG_SUBADDRESS, 3, 785,
     "a1b2c3", "l-far=other.test"},
    {"VERP with =", "l+prvs=3785a1b2c3=far=other.test", TAG_FORM_TAG, TAG_SUBADDRESS, 3, 785,
     "a1b2c3", "l=far=other.test"},
    {"VERP of a recipient with a tag", "l+prvs=3785a1b2c3+bob+prvs=1234abcdef=other.test",
     TAG_FORM_TAG, TAG_SUBADDRESS, 3, 785, "a1b2c3", "l+bob+prvs=1234abcdef=other.test"},
    {"VERP, a user named like SRS", "SRS1+prvs=3785a1b2c3+far=other.test", TAG_FORM_TAG,
     TAG_SUBADDRESS, 3, 785, "a1b2c3", "SRS1+far=other.test"},
    {"prefix before subaddress", "prvs=3785a1b2c3=a+prvs=1234abcdef", TAG_FORM_TAG, TAG_PREFIX, 3,
     785, "a1b2c3", "a+prvs=1234abcdef"},

    {"Cisco", "prvs=785a1b2c3=alice", TAG_FORM_FOREIGN, TAG_PREFIX, 0, 0, "", "alice"},
    {"Cisco, digits only", "prvs=785123456=alice", TAG_FORM_FOREIGN, TAG_PREFIX, 0, 0, "", "alice"},
    {"old draft with =", "prvs=alice=3785a1b2c3", TAG_FORM_FOREIGN, TAG_PREFIX, 0, 0, "", "alice"},
    {"old draft with /", "prvs=alice/3785a1b2c3", TAG_FORM_FOREIGN, TAG_PREFIX, 0, 0, "", "alice"},
    {"Barracuda", "btv1==785a1b2c3d4==alice", TAG_FORM_FOREIGN, TAG_PREFIX, 0, 0, "", "alice"},
    {"Barracuda in capitals", "BTV1==785A1B2C3D4==alice", TAG_FORM_FOREIGN, TAG_PREFIX, 0, 0, "",
     "alice"},
    {"Barracuda, cut short", "btv1==785a1b2c3d4", TAG_FORM_FOREIGN, TAG_PREFIX, 0, 0, "",
     "btv1==785a1b2c3d4"},
    {"SparkPost", "msprvs1=20785aBcD-eF=bounces-12-34=alice", TAG_FORM_FOREIGN, TAG_PREFIX, 0, 0,
     "", "bounces-12-34=alice"},
    {"SparkPost, cut short", "msprvs1=20785aBcD", TAG_FORM_FOREIGN, TAG_PREFIX, 0, 0, "",
     "msprvs1=20785aBcD"},
    {"wrapped by a forwarder", "SRS0=HHH=TT=b.example=prvs=3785a1b2c3=alice", TAG_FORM_FOREIGN,
     TAG_PREFIX, 0, 0, "", "SRS0=HHH=TT=b.example=prvs=3785a1b2c3=alice"},
    {"wrapped twice", "SRS1=HHH=r.test==HHH=TT=b.example=prvs=3785a1b2c3=alice", TAG_FORM_FOREIGN,
     TAG_PREFIX, 0, 0, "", "SRS1=HHH=r.test==HHH=TT=b.example=prvs=3785a1b2c3=alice"},
    {"wrapped by Microsoft 365", "joe+SRS=HHH=TT=b.example=prvs=3785a1b2c3=alice", TAG_FORM_FOREIGN,
     TAG_PREFIX, 0, 0, "", "joe+SRS=HHH=TT=b.example=prvs=3785a1b2c3=alice"},
    {"a subaddress wrapped by Microsoft 365", "joe+SRS=HHH=TT=b.example=alice+prvs=3785a1b2c3",
     TAG_FORM_NONE, TAG_PREFIX, 0, 0, "", "joe+SRS=HHH=TT=b.example=alice+prvs=3785a1b2c3"},
    {"Microsoft's form without a tag", "joe+srs=HHH=TT=b.example=alice", TAG_FORM_NONE, TAG_PREFIX,
     0, 0, "", "joe+srs=HHH=TT=b.example=alice"},
    {"a tag before Microsoft's form", "prvs=3785a1b2c3=joe+SRS=HHH=TT=b.example=alice",
     TAG_FORM_TAG, TAG_PREFIX, 3, 785, "a1b2c3", "joe+SRS=HHH=TT=b.example=alice"},
    {"SRS without a tag", "SRS0=HHH=TT=other.test=bob", TAG_FORM_NONE, TAG_PREFIX, 0, 0, "",
     "SRS0=HHH=TT=other.test=bob"},

    {"prvs= alone", "prvs=", TAG_FORM_MALFORMED, TAG_PREFIX, 0, 0, "", "prvs="},
    {"no local part", "prvs=3785a1b2c3=", TAG_FORM_MALFORMED, TAG_PREFIX, 0, 0, "",
     "prvs=3785a1b2c3="},
    {"no = behind it", "prvs=3785a1b2c3", TAG_FORM_MALFORMED, TAG_PREFIX, 0, 0, "",
     "prvs=3785a1b2c3"},
    {"another sign behind it", "prvs=3785a1b2c3+alice", TAG_FORM_MALFORMED, TAG_PREFIX, 0, 0, "",
     "prvs=3785a1b2c3+alice"},
    {"key is no digit", "prvs=a785a1b2c3=alice", TAG_FORM_MALFORMED, TAG_PREFIX, 0, 0, "",
     "prvs=a785a1b2c3=alice"},
    {"day is no number", "prvs=37f5a1b2c3=alice", TAG_FORM_MALFORMED, TAG_PREFIX, 0, 0, "",
     "prvs=37f5a1b2c3=alice"},
    {"MAC is no hexadecimal", "prvs=3785a1b2cg=alice", TAG_FORM_MALFORMED, TAG_PREFIX, 0, 0, "",
     "prvs=3785a1b2cg=alice"},
    {"too short", "prvs=3785a1b2=alice", TAG_FORM_MALFORMED, TAG_PREFIX, 0, 0, "",
     "prvs=3785a1b2=alice"},
    {"too long", "prvs=3785a1b2c3d=alice", TAG_FORM_MALFORMED, TAG_PREFIX, 0, 0, "",
     "prvs=3785a1b2c3d=alice"},
    {"a sign before the number", "prvs=+785a1b2c3=alice", TAG_FORM_MALFORMED, TAG_PREFIX, 0, 0, "",
     "prvs=+785a1b2c3=alice"},
    {"a space in the number", "prvs=3 85a1b2c3=alice", TAG_FORM_MALFORMED, TAG_PREFIX, 0, 0, "",
     "prvs=3 85a1b2c3=alice"},
    {"subaddress too short", "alice+prvs=3785a1b2c", TAG_FORM_MALFORMED, TAG_SUBADDRESS, 0, 0, "",
     "alice+prvs=3785a1b2c"},
    {"subaddress with more behind it", "alice+prvs=3785a1b2c3x", TAG_FORM_MALFORMED, TAG_SUBADDRESS,
     0, 0, "", "alice+prvs=3785a1b2c3x"},
    {"subaddress with another behind it", "alice+prvs=3785a1b2c3+news", TAG_FORM_MALFORMED,
     TAG_SUBADDRESS, 0, 0, "", "alice+prvs=3785a1b2c3+news"},
    {"subaddress with an extension that is none of VERP's", "alice+prvs=3785a1b2c3+far=other",
     TAG_FORM_MALFORMED, TAG_SUBADDRESS, 0, 0, "", "alice+prvs=3785a1b2c3+far=other"},
    {"subaddress with half of an extension", "alice+prvs=3785a1b2c3=other.test", TAG_FORM_MALFORMED,
     TAG_SUBADDRESS, 0, 0, "", "alice+prvs=3785a1b2c3=other.test"},

    {"prvs without =", "prvs", TAG_FORM_NONE, TAG_PREFIX, 0, 0, "", "prvs"},
    {"prvs in the middle", "aprvs=3785a1b2c3=alice", TAG_FORM_NONE, TAG_PREFIX, 0, 0, "",
     "aprvs=3785a1b2c3=alice"},
    {"prvs with a hyphen", "alice-prvs=3785a1b2c3", TAG_FORM_NONE, TAG_PREFIX, 0, 0, "",
     "alice-prvs=3785a1b2c3"},
    {"btv1 with one =", "btv1=x", TAG_FORM_NONE, TAG_PREFIX, 0, 0, "", "btv1=x"},
    {"a user named like SRS", "SRS1+prvs=3785a1b2c3", TAG_FORM_TAG, TAG_SUBADDRESS, 3, 785,
     "a1b2c3", "SRS1"},
    {"SRS with something like a tag in it", "SRS1+prvs=3785a1b2c3x", TAG_FORM_NONE, TAG_PREFIX, 0,
     0, "", "SRS1+prvs=3785a1b2c3x"},
    {"SRS1 without a sign", "SRS1x", TAG_FORM_NONE, TAG_PREFIX, 0, 0, "", "SRS1x"},
};

START_TEST(test_split)
{
    struct tag tag;
    tag_split(forms[_i].local, &tag);
    ck_assert_msg(tag.form == forms[_i].form, "%s: form %d", forms[_i].name, (int)tag.form);
    char *plain = tag_plain(forms[_i].local);
    ck_assert_msg(strcmp(plain, forms[_i].plain) == 0, "%s: plain %s", forms[_i].name, plain);
    ck_assert_uint_eq(tag.plain_length + strlen(tag.extension), strlen(plain));
    free(plain);
    if (forms[_i].form != TAG_FORM_NONE && forms[_i].form != TAG_FORM_FOREIGN) {
        ck_assert_msg(tag.syntax == forms[_i].syntax, "%s: syntax", forms[_i].name);
    }
    if (forms[_i].form == TAG_FORM_TAG) {
        ck_assert_msg(tag.key == forms[_i].key, "%s: key %u", forms[_i].name, tag.key);
        ck_assert_msg(tag.day == forms[_i].day, "%s: day %u", forms[_i].name, tag.day);
        ck_assert_msg(strcmp(tag.mac, forms[_i].mac) == 0, "%s: MAC %s", forms[_i].name, tag.mac);
    }
}
END_TEST

/* The result of a form; tags of our form are unknown to a ring without keys. Nothing is ever an
 * error. */
START_TEST(test_result_of_a_form)
{
    static const enum result results[] = {
        [TAG_FORM_NONE] = RESULT_MISSING,
        [TAG_FORM_TAG] = RESULT_UNKNOWN_KEY,
        [TAG_FORM_MALFORMED] = RESULT_MALFORMED,
        [TAG_FORM_FOREIGN] = RESULT_FOREIGN,
    };
    bool ours = forms[_i].form == TAG_FORM_TAG;
    struct ring *empty = ring_new();
    char *raw = address_format(forms[_i].local, "example.com");
    char *kept = address_format(ours ? forms[_i].plain : forms[_i].local, "example.com");
    char *plain = NULL;
    struct tag_check check = verify(empty, raw, LIFETIME, noon_of(TODAY), &plain);
    ck_assert_msg(check.result == results[forms[_i].form], "%s: %s", forms[_i].name,
                  result_name(check.result));
    ck_assert_msg(check.key == (ours ? (int)forms[_i].key : -1), "%s: key %d", forms[_i].name,
                  check.key);
    ck_assert_msg(strcmp(plain, kept) == 0, "%s: plain %s", forms[_i].name, plain);
    free(plain);
    free(kept);
    free(raw);
    ring_free(empty);
}
END_TEST

static const struct {
    const char *local;
    bool rewritten;
} senders[] = {
    {"alice", false},
    {"", false},
    {"prvs=3785a1b2c3=alice", true},
    {"PRVS=3785a1b2c3=alice", true},
    {"prvs=whatever", true},
    {"prvs=", true},
    {"prvs", false},
    {"aprvs=3785a1b2c3=alice", false},
    {"alice+prvs=3785a1b2c3", true},
    {"alice+prvs=3785a1b2c3+far=other.test", true},
    {"alice+prvs=3785a1b2c3+news", true},
    {"alice+prvs=3785a1b2c3x", true},
    {"alice+prvs=3785a1b2c", false},
    {"alice+far=other.test", false},
    {"alice+news", false},
    {"btv1==785a1b2c3d4==alice", true},
    {"Btv1==", true},
    {"btv1=alice", false},
    {"btv2==785a1b2c3d4==alice", false},
    {"msprvs1=20785aBcD=alice", true},
    {"MSPRVS1=", true},
    {"msprvs2=20785aBcD=alice", false},
    {"SRS0=HHH=TT=other.test=bob", true},
    {"SRS0+HHH=TT=other.test=bob", true},
    {"SRS0-HHH=TT=other.test=bob", true},
    {"srs1=HHH=r.test==HHH=TT=other.test=bob", true},
    {"Srs1+x", true},
    {"SRS1-x", true},
    {"bob+SRS=HHH=TT=other.test=joe", true},
    {"bounces+SRS=HHH=TT", true},
    {"bob+x+sRs=HHH", true},
    {"bob+SRS=", true},
    {"+SRS=x", true},
    {"bob+caf_=joe=other.test", true},
    {"bob+x+CAF_", true},
    {"bob+SRS", false},
    {"bob-SRS=x", false},
    {"bob+SRSX=x", false},
    {"bob+caf=x", false},
    {"bobcaf_=x", false},
    {"SRS=x", false},
    {"caf_=x", false},
    {"SRS0", false},
    {"SRS0_x", false},
    {"SRS2=x", false},
    {"srs", false},
};

START_TEST(test_is_rewritten)
{
    ck_assert_msg(tag_is_rewritten(senders[_i].local) == senders[_i].rewritten, "%s",
                  senders[_i].local);
}
END_TEST

START_TEST(test_result_names)
{
    ck_assert_str_eq(result_name(RESULT_VALID), "valid");
    ck_assert_str_eq(result_name(RESULT_EXPIRED), "expired");
    ck_assert_str_eq(result_name(RESULT_BAD_SIGNATURE), "bad-signature");
    ck_assert_str_eq(result_name(RESULT_UNKNOWN_KEY), "unknown-key");
    ck_assert_str_eq(result_name(RESULT_MALFORMED), "malformed");
    ck_assert_str_eq(result_name(RESULT_MISSING), "missing");
    ck_assert_str_eq(result_name(RESULT_FOREIGN), "foreign");
    ck_assert_str_eq(result_name(RESULT_NOT_OURS), "not-ours");
    ck_assert_int_eq(RESULT_COUNT, 8);
}
END_TEST

/* --------------------------------------------------------------- vectors */

/* On day 20778 with seven days, unless said otherwise: expires on 785. SHA-1 by the key "secret":
 * the first three are what Exim 4.96 printed, the second of them is batv-tools' as well. */
static const struct {
    const char *name;
    enum algorithm algorithm;
    unsigned slot;
    int64_t today;
    unsigned lifetime;
    const char *raw;
    enum tag_syntax syntax;
    const char *tagged;
} vectors[] = {
    {"Exim", ALGORITHM_HMAC_SHA1, 1, TODAY, 7, "<user@example.com>", TAG_PREFIX,
     "prvs=17851be39f=user@example.com"},
    {"Exim without a number, batv-tools", ALGORITHM_HMAC_SHA1, 0, TODAY, 7, "user@example.com",
     TAG_PREFIX, "prvs=07853508f8=user@example.com"},
    {"Exim keeps case", ALGORITHM_HMAC_SHA1, 1, TODAY, 7, "<User@Example.COM>", TAG_PREFIX,
     "prvs=17853483c7=User@Example.COM"},
    {"SHA-1, U-labels as they came", ALGORITHM_HMAC_SHA1, 1, TODAY, 7,
     "<user@b\303\274cher.example>", TAG_PREFIX, "prvs=1785de864e=user@b\303\274cher.example"},
    {"SHA-1, quoted", ALGORITHM_HMAC_SHA1, 1, TODAY, 7, "<\"a b\"@example.com>", TAG_PREFIX,
     "\"prvs=1785807da2=a b\"@example.com"},

    {"plain", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<alice@example.com>", TAG_PREFIX,
     "prvs=37855a659a=alice@example.com"},
    {"subaddress: the same MAC", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<alice@example.com>",
     TAG_SUBADDRESS, "alice+prvs=37855a659a@example.com"},
    {"key 0, first day after the wrap", ALGORITHM_HMAC_SHA256, 0, WRAP_DAY - 7, 7,
     "<alice@example.com>", TAG_PREFIX, "prvs=0000d70f67=alice@example.com"},
    {"key 9, last day before the wrap", ALGORITHM_HMAC_SHA256, 9, WRAP_DAY - 8, 7,
     "<alice@example.com>", TAG_PREFIX, "prvs=9999907811=alice@example.com"},
    {"sixty days across the wrap", ALGORITHM_HMAC_SHA256, 3, WRAP_DAY - 59, 60,
     "<alice@example.com>", TAG_PREFIX, "prvs=30013e473f=alice@example.com"},
    {"case does not matter, and stays", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<Alice@EXAMPLE.com>",
     TAG_PREFIX, "prvs=37855a659a=Alice@EXAMPLE.com"},
    {"a final dot is no part of the domain", ALGORITHM_HMAC_SHA256, 3, TODAY, 7,
     "<alice@example.com.>", TAG_PREFIX, "prvs=37855a659a=alice@example.com"},
    {"a source route is no part of the address", ALGORITHM_HMAC_SHA256, 3, TODAY, 7,
     "<@relay.example:alice@example.com>", TAG_PREFIX, "prvs=37855a659a=alice@example.com"},
    {"quotes without need", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<\"alice\"@example.com>",
     TAG_PREFIX, "prvs=37855a659a=alice@example.com"},
    {"quoted as a whole", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<\"a b\"@example.com>", TAG_PREFIX,
     "\"prvs=37859237ef=a b\"@example.com"},
    {"quoted as a whole, subaddress", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<\"a b\"@example.com>",
     TAG_SUBADDRESS, "\"a b+prvs=37859237ef\"@example.com"},
    {"escapes are no part of the address", ALGORITHM_HMAC_SHA256, 3, TODAY, 7,
     "<\"a\\\"b\\\\c\"@example.com>", TAG_PREFIX, "\"prvs=37854e3f62=a\\\"b\\\\c\"@example.com"},
    {"VERP", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<list-return-12=bob=other.test@example.com>",
     TAG_PREFIX, "prvs=378580b0fb=list-return-12=bob=other.test@example.com"},
    {"an extension", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<alice+news@example.com>", TAG_PREFIX,
     "prvs=3785a594c6=alice+news@example.com"},
    {"an extension, subaddress", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<alice+news@example.com>",
     TAG_SUBADDRESS, "alice+news+prvs=3785a594c6@example.com"},
    {"A-labels", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<user@xn--bcher-kva.example>", TAG_PREFIX,
     "prvs=3785b26edf=user@xn--bcher-kva.example"},
    {"U-labels: the same tag", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<user@b\303\274cher.example>",
     TAG_PREFIX, "prvs=3785b26edf=user@b\303\274cher.example"},
    {"a letter beyond ASCII", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<j\xc3\xbcrgen@example.com>",
     TAG_PREFIX, "prvs=378594a347=j\xc3\xbcrgen@example.com"},
    {"whose case does not matter either", ALGORITHM_HMAC_SHA256, 3, TODAY, 7,
     "<J\xc3\x9cRGEN@example.com>", TAG_PREFIX, "prvs=378594a347=J\xc3\x9cRGEN@example.com"},
    {"a letter of two parts", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<ju\u0308rgen@example.com>",
     TAG_PREFIX, "prvs=378594a347=ju\u0308rgen@example.com"},
    {"a letter that becomes two", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<stra\u00dfe@example.com>",
     TAG_SUBADDRESS, "stra\u00dfe+prvs=378594ef33@example.com"},
    {"SHA-1, a letter of two parts as it came", ALGORITHM_HMAC_SHA1, 1, TODAY, 7,
     "<ju\u0308rgen@example.com>", TAG_PREFIX, "prvs=178596f67f=ju\u0308rgen@example.com"},
    {"octets that are no UTF-8", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<\xff\xfe@example.com>",
     TAG_PREFIX, "prvs=37855b34a6=\xff\xfe@example.com"},
    {"an address literal", ALGORITHM_HMAC_SHA256, 3, TODAY, 7, "<a@[192.0.2.1]>", TAG_PREFIX,
     "prvs=37858e7def=a@[192.0.2.1]"},
};

START_TEST(test_vector)
{
    time_t now = noon_of(vectors[_i].today);
    struct ring *ring = ring_of(vectors[_i].algorithm, vectors[_i].slot, vectors[_i].lifetime);
    char *tagged = sign(ring, vectors[_i].raw, vectors[_i].syntax, vectors[_i].lifetime, now);
    ck_assert_ptr_nonnull(tagged);
    ck_assert_msg(strcmp(tagged, vectors[_i].tagged) == 0, "%s: %s", vectors[_i].name, tagged);

    struct address address;
    char *plain = NULL;
    ck_assert_int_eq(address_parse(vectors[_i].raw, &address), STATUS_OK);
    char *original = address_format(address.local, address.domain);
    struct tag_check check = verify(ring, tagged, vectors[_i].lifetime, now, &plain);
    ck_assert_msg(check.result == RESULT_VALID, "%s: %s", vectors[_i].name,
                  result_name(check.result));
    ck_assert_int_eq(check.key, (int)vectors[_i].slot);
    ck_assert_int_eq(check.days, (int)vectors[_i].lifetime);
    ck_assert_int_eq(check.expires, vectors[_i].today + vectors[_i].lifetime);
    ck_assert_int_eq(check.syntax, vectors[_i].syntax);
    ck_assert_msg(strcmp(plain, original) == 0, "%s: plain %s", vectors[_i].name, plain);
    free(plain);
    free(original);
    free(tagged);
    address_free(&address);
    ring_free(ring);
}
END_TEST

/* The same tag under another spelling, on day 20778 with the key of the vectors. */
static const struct {
    const char *name;
    enum algorithm algorithm;
    unsigned slot;
    const char *raw;
    enum result result;
    const char *plain;
} spellings[] = {
    {"all in capitals", ALGORITHM_HMAC_SHA256, 3, "<PRVS=37855A659A=ALICE@EXAMPLE.COM>",
     RESULT_VALID, "ALICE@EXAMPLE.COM"},
    {"subaddress in capitals", ALGORITHM_HMAC_SHA256, 3, "<ALICE+PRVS=37855A659A@EXAMPLE.COM>",
     RESULT_VALID, "ALICE@EXAMPLE.COM"},
    {"the other syntax", ALGORITHM_HMAC_SHA256, 3, "<alice+prvs=37855a659a@example.com>",
     RESULT_VALID, "alice@example.com"},
    {"quoted without need", ALGORITHM_HMAC_SHA256, 3, "<\"prvs=37855a659a=alice\"@example.com>",
     RESULT_VALID, "alice@example.com"},
    {"with a source route", ALGORITHM_HMAC_SHA256, 3,
     "<@relay.example:prvs=37855a659a=alice@example.com>", RESULT_VALID, "alice@example.com"},
    {"a final dot", ALGORITHM_HMAC_SHA256, 3, "<prvs=37855a659a=alice@example.com.>", RESULT_VALID,
     "alice@example.com"},
    {"A-labels came as U-labels", ALGORITHM_HMAC_SHA256, 3,
     "<prvs=3785b26edf=user@B\303\234CHER.example>", RESULT_VALID, "user@B\303\234CHER.example"},
    {"A-labels came in capitals", ALGORITHM_HMAC_SHA256, 3,
     "<prvs=3785b26edf=user@XN--BCHER-KVA.EXAMPLE>", RESULT_VALID, "user@XN--BCHER-KVA.EXAMPLE"},
    {"a letter beyond ASCII in capitals", ALGORITHM_HMAC_SHA256, 3,
     "<PRVS=378594A347=J\u00dcRGEN@EXAMPLE.COM>", RESULT_VALID, "J\u00dcRGEN@EXAMPLE.COM"},
    {"in two parts", ALGORITHM_HMAC_SHA256, 3, "<prvs=378594a347=ju\u0308rgen@example.com>",
     RESULT_VALID, "ju\u0308rgen@example.com"},
    {"in two parts and capitals", ALGORITHM_HMAC_SHA256, 3,
     "<prvs=378594a347=JU\u0308RGEN@example.com>", RESULT_VALID, "JU\u0308RGEN@example.com"},
    {"a letter that becomes two in capitals", ALGORITHM_HMAC_SHA256, 3,
     "<STRASSE+PRVS=378594EF33@EXAMPLE.COM>", RESULT_VALID, "STRASSE@EXAMPLE.COM"},
    {"without its mark", ALGORITHM_HMAC_SHA256, 3, "<prvs=378594a347=jurgen@example.com>",
     RESULT_BAD_SIGNATURE, "jurgen@example.com"},
    {"in another encoding", ALGORITHM_HMAC_SHA256, 3, "<prvs=378594a347=j\xfcrgen@example.com>",
     RESULT_BAD_SIGNATURE, "j\xfcrgen@example.com"},
    {"another domain", ALGORITHM_HMAC_SHA256, 3, "<prvs=37855a659a=alice@example.org>",
     RESULT_BAD_SIGNATURE, "alice@example.org"},
    {"no domain", ALGORITHM_HMAC_SHA256, 3, "<prvs=37855a659a=alice>", RESULT_BAD_SIGNATURE,
     "alice"},
    {"another key's number", ALGORITHM_HMAC_SHA256, 3, "<prvs=47855a659a=alice@example.com>",
     RESULT_UNKNOWN_KEY, "alice@example.com"},
    {"Exim's as it came", ALGORITHM_HMAC_SHA1, 1, "<prvs=17853483c7=User@Example.COM>",
     RESULT_VALID, "User@Example.COM"},
    {"Exim's, hex in capitals", ALGORITHM_HMAC_SHA1, 1, "<prvs=17853483C7=User@Example.COM>",
     RESULT_VALID, "User@Example.COM"},
    {"Exim's, folded on the way", ALGORITHM_HMAC_SHA1, 1, "<prvs=17853483c7=user@example.com>",
     RESULT_BAD_SIGNATURE, "user@example.com"},
    {"Exim's over lower case, in capitals", ALGORITHM_HMAC_SHA1, 1,
     "<PRVS=17851BE39F=USER@EXAMPLE.COM>", RESULT_VALID, "USER@EXAMPLE.COM"},
    {"Exim's over U-labels", ALGORITHM_HMAC_SHA1, 1, "<prvs=1785de864e=user@b\303\274cher.example>",
     RESULT_VALID, "user@b\303\274cher.example"},
    {"Exim's over lower case, beyond ASCII in capitals", ALGORITHM_HMAC_SHA1, 1,
     "<prvs=1785f9cfc0=J\u00dcRGEN@example.com>", RESULT_VALID, "J\u00dcRGEN@example.com"},
    {"and in two parts", ALGORITHM_HMAC_SHA1, 1, "<prvs=1785f9cfc0=ju\u0308rgen@example.com>",
     RESULT_VALID, "ju\u0308rgen@example.com"},
    {"Exim's over two parts, composed", ALGORITHM_HMAC_SHA1, 1,
     "<prvs=178596f67f=j\u00fcrgen@example.com>", RESULT_BAD_SIGNATURE, "j\u00fcrgen@example.com"},
    {"Exim's over two parts as it came", ALGORITHM_HMAC_SHA1, 1,
     "<prvs=178596f67f=ju\u0308rgen@example.com>", RESULT_VALID, "ju\u0308rgen@example.com"},
    {"SHA-1 by a SHA-256 key", ALGORITHM_HMAC_SHA256, 1, "<prvs=17851be39f=user@example.com>",
     RESULT_BAD_SIGNATURE, "user@example.com"},
};

START_TEST(test_spelling)
{
    struct ring *ring = ring_of(spellings[_i].algorithm, spellings[_i].slot, LIFETIME);
    char *plain = NULL;
    struct tag_check check = verify(ring, spellings[_i].raw, LIFETIME, noon_of(TODAY), &plain);
    ck_assert_msg(check.result == spellings[_i].result, "%s: %s", spellings[_i].name,
                  result_name(check.result));
    ck_assert_msg(strcmp(plain, spellings[_i].plain) == 0, "%s: plain %s", spellings[_i].name,
                  plain);
    free(plain);
    ring_free(ring);
}
END_TEST

/* ---------------------------------------------------------------- limits */

/* A domain of exactly length octets. */
static void fill_domain(char *out, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        out[i] = i % 32 == 31 && i + 1 < length ? '.' : 'd';
    }
    out[length] = '\0';
}

static const struct {
    const char *name;
    const char *local;
    size_t domain; /* octets */
    bool fits;
} limits[] = {
    {"48 and 16 make 64", L48, 11, true},
    {"49 and 16 make 65", L49, 11, false},
    {"the quotes count: 46", L46 " ", 11, false},
    {"the quotes count: 44", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqr ", 11, true},
    {"one more", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrs ", 11, true},
    {"escapes count", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq\"\"", 11, false},
    {"254 in all", L48, 254 - 65, true},
    {"255 in all", L48, 255 - 65, false},
    {"254 in all, a short local part", "a", 254 - 18, true},
    {"255 in all, a short local part", "a", 255 - 18, false},
    {"an empty local part", "", 11, false},
    {"no domain", "a", 0, true},
};

START_TEST(test_limit)
{
    char domain[300];
    fill_domain(domain, limits[_i].domain);
    ck_assert_msg(tag_would_not_fit(limits[_i].local, domain) == !limits[_i].fits, "%s",
                  limits[_i].name);

    struct ring *ring = ring_of(ALGORITHM_HMAC_SHA256, 3, LIFETIME);
    struct address address = {strdup(limits[_i].local), strdup(domain), strdup(domain)};
    for (int syntax = TAG_PREFIX; syntax <= TAG_SUBADDRESS; syntax++) {
        char *tagged = NULL;
        int key;
        int64_t expires;
        enum status status = tag_sign(ring, &address, (enum tag_syntax)syntax, LIFETIME,
                                      noon_of(TODAY), &tagged, &key, &expires);
        ck_assert_int_eq(status, limits[_i].fits ? STATUS_OK : STATUS_INVALID);
        if (tagged != NULL) {
            size_t local = strlen(tagged) - strlen(domain) - (*domain != '\0');
            ck_assert_uint_le(local, ADDRESS_LOCAL_MAX);
            ck_assert_uint_le(strlen(tagged), ADDRESS_MAX);
        } else {
            ck_assert(!limits[_i].fits);
        }
        free(tagged);
    }
    address_free(&address);
    ring_free(ring);
}
END_TEST

/* Verifying knows no limit: other programs may have made longer ones with the same key. */
START_TEST(test_long_tags_are_verified)
{
    struct ring *ring = ring_of(ALGORITHM_HMAC_SHA256, 3, LIFETIME);
    size_t length = 50000;
    char *raw = malloc(length + 100);
    int head = snprintf(raw, 100, "prvs=3785000000=");
    memset(raw + head, 'x', length);
    memcpy(raw + head + length, "@example.com", sizeof "@example.com");
    struct tag_check check = verify(ring, raw, LIFETIME, noon_of(TODAY), NULL);
    ck_assert_int_eq(check.result, RESULT_BAD_SIGNATURE);
    free(raw);
    ring_free(ring);
}
END_TEST

/* ------------------------------------------------------ VERP extensions */

static char *append(const char *tagged, const char *extension)
{
    struct address address;
    char *local = NULL;
    REQUIRE(address_parse(tagged, &address) == STATUS_OK);
    REQUIRE(asprintf(&local, "%s%s", address.local, extension) > 0);
    char *out = address_format(local, address.domain);
    free(local);
    address_free(&address);
    return out;
}

static const struct {
    const char *name;
    const char *sender;
    const char *extension;
    enum result prefix, subaddress;
} verps[] = {
    {"by +", "list@example.com", "+far=other.test", RESULT_VALID, RESULT_VALID},
    {"by -", "list@example.com", "-far=other.test", RESULT_VALID, RESULT_VALID},
    {"by =", "list@example.com", "=far=other.test", RESULT_VALID, RESULT_VALID},
    {"a list with -", "list-bounces@example.com", "-far=other.test", RESULT_VALID, RESULT_VALID},
    {"a list with all of them", "a+b-c=d@example.com", "+far=other.test", RESULT_VALID,
     RESULT_VALID},
    {"a recipient with all of them", "list@example.com", "+a+b-c=d=other.test", RESULT_VALID,
     RESULT_VALID},
    {"a recipient that begins with one", "list@example.com", "-=far=other.test", RESULT_VALID,
     RESULT_VALID},
    {"a recipient of another list's VERP", "list@example.com", "=l-1+b=c.test=other.test",
     RESULT_VALID, RESULT_VALID},
    {"a recipient with a tag", "list@example.com", "+prvs=3785a1b2c3=b=other.test", RESULT_VALID,
     RESULT_VALID},
    {"a recipient that must be quoted", "list@example.com", "+a b=other.test", RESULT_VALID,
     RESULT_VALID},
    {"a list that must be quoted", "\"a list\"@example.com", "+far=other.test", RESULT_VALID,
     RESULT_VALID},
    {"a host with -", "list@example.com", "-far=an-other.test", RESULT_VALID, RESULT_VALID},
    {"a host beyond ASCII", "list@b\303\274cher.example", "+j\303\266rg=b\303\274cher.test",
     RESULT_VALID, RESULT_VALID},
    {"the list's own VERP", "list+far=other.test@example.com", "", RESULT_VALID, RESULT_VALID},
    {"VERP of both kinds", "list+far=other.test@example.com", "-far=other.test", RESULT_VALID,
     RESULT_VALID},
    {"capitals", "List@Example.COM", "+Far=Other.TEST", RESULT_VALID, RESULT_VALID},
    {"the eighth cut", "a-1-2-3-4-5-6-7@example.com", "+far=other.test", RESULT_VALID,
     RESULT_VALID},
    {"the ninth cut", "a-1-2-3-4-5-6-7-8@example.com", "+far=other.test", RESULT_BAD_SIGNATURE,
     RESULT_VALID},
    {"no host", "list@example.com", "+far=other", RESULT_BAD_SIGNATURE, RESULT_MALFORMED},
    {"no recipient", "list@example.com", "+far", RESULT_BAD_SIGNATURE, RESULT_MALFORMED},
    {"no mailbox", "list@example.com", "+=other.test", RESULT_BAD_SIGNATURE, RESULT_MALFORMED},
    {"another delimiter", "list@example.com", "#far=other.test", RESULT_BAD_SIGNATURE,
     RESULT_MALFORMED},
    {"no delimiter", "list@example.com", "far=other.test", RESULT_BAD_SIGNATURE, RESULT_MALFORMED},
    {"another delimiter before the host", "list@example.com", "+far-other.test",
     RESULT_BAD_SIGNATURE, RESULT_MALFORMED},
};

static const struct {
    enum algorithm algorithm;
    enum tag_syntax syntax;
} ways[] = {
    {ALGORITHM_HMAC_SHA256, TAG_PREFIX},
    {ALGORITHM_HMAC_SHA256, TAG_SUBADDRESS},
    {ALGORITHM_HMAC_SHA1, TAG_PREFIX},
    {ALGORITHM_HMAC_SHA1, TAG_SUBADDRESS},
};

static void check_verp(size_t row, size_t way)
{
    struct ring *ring = ring_of(ways[way].algorithm, 3, LIFETIME);
    char *tagged = sign(ring, verps[row].sender, ways[way].syntax, LIFETIME, noon_of(TODAY));
    char *returned = append(tagged, verps[row].extension);
    char *kept = append(verps[row].sender, verps[row].extension);
    bool prefix = ways[way].syntax == TAG_PREFIX;
    enum result result = prefix ? verps[row].prefix : verps[row].subaddress;
    char *plain = NULL;
    struct tag_check check = verify(ring, returned, LIFETIME, noon_of(TODAY), &plain);
    ck_assert_msg(check.result == result, "%s, %s: %s", verps[row].name, returned,
                  result_name(check.result));
    if (result == RESULT_VALID) {
        ck_assert_str_eq(plain, kept);
        ck_assert_uint_eq(check.extension, strlen(verps[row].extension));
        ck_assert_int_eq(check.days, LIFETIME);
        ck_assert_int_eq(check.key, 3);
        check = verify(ring, returned, LIFETIME, noon_of(TODAY + LIFETIME + 1), NULL);
        ck_assert_int_eq(check.result, RESULT_EXPIRED);
        ck_assert_uint_eq(check.extension, strlen(verps[row].extension));
    } else {
        ck_assert_uint_eq(check.extension, 0);
    }
    free(plain);
    free(kept);
    free(returned);
    free(tagged);
    ring_free(ring);
}

START_TEST(test_verp)
{
    for (size_t way = 0; way < COUNT_OF(ways); way++) {
        check_verp((size_t)_i, way);
    }
}
END_TEST

/* A tag that is wrong, or names no key, is so with an extension too. */
START_TEST(test_verp_of_a_wrong_tag)
{
    struct ring *ring = ring_of(ALGORITHM_HMAC_SHA256, 3, LIFETIME);
    static const struct {
        const char *raw;
        enum result result;
    } rows[] = {
        {"prvs=37855a659b=alice+far=other.test@example.com", RESULT_BAD_SIGNATURE},
        {"alice+prvs=37855a659b+far=other.test@example.com", RESULT_BAD_SIGNATURE},
        {"prvs=47855a659a=alice+far=other.test@example.com", RESULT_UNKNOWN_KEY},
        {"alice+prvs=47855a659a+far=other.test@example.com", RESULT_UNKNOWN_KEY},
        {"prvs=37855a659a=alicia+far=other.test@example.com", RESULT_BAD_SIGNATURE},
        {"prvs=37855a659a=alice+far=other.test@example.org", RESULT_BAD_SIGNATURE},
        {"prvs=37855a659a=alice+far=other.test@example.com", RESULT_VALID},
        {"PRVS=37855A659A=ALICE+FAR=OTHER.TEST@EXAMPLE.COM", RESULT_VALID},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum result result = verify(ring, rows[i].raw, LIFETIME, noon_of(TODAY), NULL).result;
        ck_assert_msg(result == rows[i].result, "%s: %s", rows[i].raw, result_name(result));
    }
    ring_free(ring);
}
END_TEST

/* By HMAC-SHA1 the MAC is over the address as it came; folded, where a site on the way has. */
START_TEST(test_verp_of_a_tag_that_was_folded)
{
    struct ring *ring = ring_of(ALGORITHM_HMAC_SHA1, 1, LIFETIME);
    static const struct {
        const char *raw;
        enum result result;
    } rows[] = {
        {"prvs=17853483c7=User+Far=other.test@Example.COM", RESULT_VALID},
        {"prvs=17851be39f=user+far=other.test@example.com", RESULT_VALID},
        {"prvs=17851be39f=USER+FAR=OTHER.TEST@EXAMPLE.COM", RESULT_VALID},
        {"prvs=17853483c7=user+far=other.test@example.com", RESULT_BAD_SIGNATURE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum result result = verify(ring, rows[i].raw, LIFETIME, noon_of(TODAY), NULL).result;
        ck_assert_msg(result == rows[i].result, "%s: %s", rows[i].raw, result_name(result));
    }
    ring_free(ring);
}
END_TEST

/* ------------------------------------------------------- many addresses */

static void random_address(struct chance *chance, char *out, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_=+.!#$%&'*/?^`{|}~";
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char *const ends[] = {"example.com", "b\303\274cher.example", "Sub.Example.ORG",
                                       "[192.0.2.1]"};
    char local[60];
    char label[40];
    char domain[80];
    do {
        const char *alphabet = chance_below(chance, 4) == 0 ? NULL : plain;
        chance_text(chance, alphabet, local, 1 + chance_below(chance, 48));
        chance_text(chance, name, label, 1 + chance_below(chance, 20));
        snprintf(domain, sizeof domain, "%s.%s", label, ends[chance_below(chance, 4)]);
    } while (tag_would_not_fit(local, domain) || tag_is_rewritten(local));
    char *written = address_format(local, domain);
    ck_assert_uint_lt(strlen(written), size);
    memcpy(out, written, strlen(written) + 1);
    free(written);
}

START_TEST(test_ten_thousand_addresses)
{
    struct chance chance = {2};
    struct ring *rings[] = {
        ring_of(ALGORITHM_HMAC_SHA256, 3, LIFETIME),
        ring_of(ALGORITHM_HMAC_SHA1, 8, LIFETIME),
    };
    for (int i = 0; i < 10000; i++) {
        char raw[400];
        random_address(&chance, raw, sizeof raw);
        for (int j = 0; j < 4; j++) {
            const struct ring *ring = rings[j / 2];
            enum tag_syntax syntax = j % 2 == 0 ? TAG_PREFIX : TAG_SUBADDRESS;
            char *plain = NULL;
            char *tagged = sign(ring, raw, syntax, LIFETIME, noon_of(TODAY));
            REQUIRE(tagged != NULL);
            struct tag_check check = verify(ring, tagged, LIFETIME, noon_of(TODAY), &plain);
            if (check.result != RESULT_VALID) {
                ck_abort_msg("%s: %s", tagged, result_name(check.result));
            }
            REQUIRE(check.days == LIFETIME);
            REQUIRE(check.syntax == syntax);
            if (strcmp(plain, raw) != 0) {
                ck_abort_msg("%s: plain %s", raw, plain);
            }
            free(plain);
            free(tagged);
        }
    }
    ring_free(rings[0]);
    ring_free(rings[1]);
}
END_TEST

/* A delimiter, a mailbox and a host. */
static void random_extension(struct chance *chance, char *out, size_t size)
{
    static const char octets[] = "abcXYZ09+-=+-=._";
    char mailbox[30];
    char host[20];
    const char *alphabet = chance_below(chance, 4) == 0 ? NULL : octets;
    chance_text(chance, alphabet, mailbox, 1 + chance_below(chance, sizeof mailbox - 2));
    chance_text(chance, "abcXYZ09-", host, 1 + chance_below(chance, sizeof host - 2));
    snprintf(out, size, "%c%s=%s.test", "+-="[chance_below(chance, 3)], mailbox, host);
}

/* What is signed is valid with any extension, unless a cut would be the ninth, and keeps it. */
START_TEST(test_ten_thousand_extensions)
{
    struct chance chance = {6};
    for (int i = 0; i < 10000; i++) {
        char raw[400];
        char extension[80];
        size_t way = chance_below(&chance, COUNT_OF(ways));
        struct address address;
        random_address(&chance, raw, sizeof raw);
        random_extension(&chance, extension, sizeof extension);
        struct ring *ring = ring_of(ways[way].algorithm, 3, LIFETIME);
        char *tagged = sign(ring, raw, ways[way].syntax, LIFETIME, noon_of(TODAY));
        char *returned = append(tagged, extension);
        char *kept = append(raw, extension);
        char *plain = NULL;
        REQUIRE(address_parse(raw, &address) == STATUS_OK);
        size_t cuts = 1;
        for (const char *p = address.local + 1; *p != '\0'; p++) {
            cuts += strchr("+-=", *p) != NULL;
        }
        bool found = ways[way].syntax == TAG_SUBADDRESS || cuts <= VERP_CUTS;
        struct tag_check check = verify(ring, returned, LIFETIME, noon_of(TODAY), &plain);
        if (check.result != (found ? RESULT_VALID : RESULT_BAD_SIGNATURE)) {
            ck_abort_msg("%s: %s", returned, result_name(check.result));
        }
        if (strcmp(plain, kept) != 0 || check.extension != (found ? strlen(extension) : 0)) {
            ck_abort_msg("%s: plain %s, not %s", returned, plain, kept);
        }
        address_free(&address);
        free(plain);
        free(kept);
        free(returned);
        free(tagged);
        ring_free(ring);
    }
}
END_TEST

static bool same_but_for_case(char a, char b)
{
    return a != b && ascii_lower(a) == ascii_lower(b);
}

/* Puts every other octet into every place: nothing but another case may still be valid. Under SHA-1
 * not even that in an address that was signed with capitals, for the tag is over those. */
static void check_every_change(const struct ring *ring, const char *tagged, bool capitals_count)
{
    char raw[400];
    size_t length = strlen(tagged);
    struct tag tag;
    struct address address;
    REQUIRE(address_parse(tagged, &address) == STATUS_OK);
    tag_split(address.local, &tag);
    bool prefix = tag.syntax == TAG_PREFIX;
    size_t head = prefix ? TAG_ADDED : tag.plain_length;
    address_free(&address);

    memcpy(raw, tagged, length + 1);
    for (size_t i = 0; i < length; i++) {
        for (int c = 1; c < 256; c++) {
            raw[i] = (char)(unsigned char)c;
            bool in_tag = prefix ? i < head : i >= head && i < head + TAG_ADDED;
            bool may = raw[i] == tagged[i] ||
                       (same_but_for_case(raw[i], tagged[i]) && (!capitals_count || in_tag));
            enum result result = verify(ring, raw, LIFETIME, noon_of(TODAY), NULL).result;
            if ((result == RESULT_VALID) != may) {
                ck_abort_msg("%s for %s: %s", raw, tagged, result_name(result));
            }
        }
        raw[i] = tagged[i];
    }
}

/* Takes every octet away, and doubles it. */
static void check_every_length(const struct ring *ring, const char *tagged)
{
    char raw[400];
    size_t length = strlen(tagged);
    for (size_t i = 0; i < length; i++) {
        memcpy(raw, tagged, i);
        memcpy(raw + i, tagged + i + 1, length - i);
        enum result result = verify(ring, raw, LIFETIME, noon_of(TODAY), NULL).result;
        if (result == RESULT_VALID) {
            ck_abort_msg("%s for %s", raw, tagged);
        }
        memcpy(raw, tagged, i + 1);
        memcpy(raw + i + 1, tagged + i, length - i + 1);
        result = verify(ring, raw, LIFETIME, noon_of(TODAY), NULL).result;
        if (result == RESULT_VALID) {
            ck_abort_msg("%s for %s", raw, tagged);
        }
    }
}

START_TEST(test_every_single_change_is_refused)
{
    static const char *const samples[] = {
        "alice@example.com",
        "Alice.B@Example.Com",
        "list-1=bob=other.test@example.com",
    };
    for (int sha1 = 0; sha1 < 2; sha1++) {
        struct ring *ring =
            ring_of(sha1 ? ALGORITHM_HMAC_SHA1 : ALGORITHM_HMAC_SHA256, 3, LIFETIME);
        for (size_t i = 0; i < 2 * COUNT_OF(samples); i++) {
            char *tagged = sign(ring, samples[i / 2], i % 2 == 0 ? TAG_PREFIX : TAG_SUBADDRESS,
                                LIFETIME, noon_of(TODAY));
            check_every_change(ring, tagged, sha1 == 1 && strpbrk(samples[i / 2], "ABCE"));
            check_every_length(ring, tagged);
            free(tagged);
        }
        ring_free(ring);
    }
}
END_TEST

/* One change of one octet in each of many addresses, anywhere. */
START_TEST(test_random_changes_are_refused)
{
    struct chance chance = {3};
    struct ring *ring = ring_of(ALGORITHM_HMAC_SHA256, 3, LIFETIME);
    for (int i = 0; i < 10000; i++) {
        char raw[400];
        random_address(&chance, raw, sizeof raw);
        char *tagged = sign(ring, raw, TAG_PREFIX, LIFETIME, noon_of(TODAY));
        struct address address;
        REQUIRE(address_parse(tagged, &address) == STATUS_OK);
        /* In the parts, so that another spelling of the same address is no change. */
        bool in_local = chance_below(&chance, 2) == 0;
        char *part = in_local ? address.local : address.ascii;
        size_t place = chance_below(&chance, strlen(part));
        char before = part[place];
        do {
            chance_text(&chance, NULL, part + place, 0);
            part[place] = (char)(unsigned char)(1 + chance_below(&chance, 255));
        } while (ascii_lower(part[place]) == ascii_lower(before));
        struct tag_check check;
        char *plain = NULL;
        REQUIRE(tag_verify(ring, &address, LIFETIME, noon_of(TODAY), &check, &plain) == STATUS_OK);
        if (check.result == RESULT_VALID || check.result == RESULT_EXPIRED) {
            ck_abort_msg("%s, %s", tagged, address.local);
        }
        free(plain);
        address_free(&address);
        free(tagged);
    }
    ring_free(ring);
}
END_TEST

START_TEST(test_random_octets)
{
    static const char *const alphabets[] = {NULL, "prvs=0123456789abcdef+", "prvs=btv1mSR0+-/@\"\\",
                                            "=+0a"};
    static const char *const starts[] = {
        "",      "prvs=",   "prvs=3785a1b2c3=",  "btv1==", "msprvs1=",
        "SRS0=", "a+prvs=", "a+prvs=3785a1b2c3", "\"prvs="};
    struct chance chance = {4};
    struct ring *ring = ring_of(ALGORITHM_HMAC_SHA256, 3, LIFETIME);
    for (int i = 0; i < 100000; i++) {
        char raw[120];
        const char *start = starts[chance_below(&chance, COUNT_OF(starts))];
        size_t head = strlen(start);
        memcpy(raw, start, head);
        chance_text(&chance, alphabets[chance_below(&chance, COUNT_OF(alphabets))], raw + head,
                    chance_below(&chance, 40));
        char *plain = NULL;
        struct tag_check check = verify(ring, raw, LIFETIME, noon_of(TODAY), &plain);
        REQUIRE(check.result != RESULT_NOT_OURS && check.result < RESULT_COUNT);
        REQUIRE(check.result != RESULT_VALID && check.result != RESULT_EXPIRED);
        REQUIRE(check.key >= -1 && check.key <= 9);
        REQUIRE((check.key >= 0) ==
                (check.result == RESULT_BAD_SIGNATURE || check.result == RESULT_UNKNOWN_KEY));
        tag_is_rewritten(raw);
        free(plain);
    }
    ring_free(ring);
}
END_TEST

/* ------------------------------------------------------------------ keys */

/* Keys of four weeks: 0 signed until three weeks ago and is over, 1 was revoked as compromised, 2
 * was revoked, 3 is retained, 4 signs. A tag of each, made while it signed. */
struct keys {
    struct ring *ring;
    char *tags[5];
};

static struct keys keys_make(void)
{
    struct keys keys = {.ring = ring_new()};
    struct key_policy policy = keys_weekly(LIFETIME);
    static const int turns[] = {-40, -5, -4, -3, -2};
    for (unsigned i = 0; i < COUNT_OF(turns); i++) {
        time_t when = noon_of(TODAY + turns[i]);
        ring_turn(keys.ring, &policy, when, i);
        keys.tags[i] = sign(keys.ring, "<alice@example.com>", TAG_PREFIX, LIFETIME, when + 60);
        ck_assert_ptr_nonnull(keys.tags[i]);
    }
    uint8_t octets[SECRET_SIZE] = {0};
    time_t now = noon_of(TODAY);
    ck_assert_int_eq(ring_revoke(keys.ring, &policy, 1, now, true, octets, NULL), STATUS_OK);
    ck_assert_int_eq(ring_revoke(keys.ring, &policy, 2, now, false, octets, NULL), STATUS_OK);
    return keys;
}

static void keys_free(struct keys *keys)
{
    ring_free(keys->ring);
    for (size_t i = 0; i < COUNT_OF(keys->tags); i++) {
        free(keys->tags[i]);
    }
}

START_TEST(test_keys)
{
    static const struct {
        enum result result;
        int days;
    } expected[] = {
        {RESULT_EXPIRED, -33}, {RESULT_UNKNOWN_KEY, 0}, {RESULT_UNKNOWN_KEY, 0},
        {RESULT_VALID, 4},     {RESULT_VALID, 5},
    };
    struct keys keys = keys_make();
    for (unsigned i = 0; i < COUNT_OF(expected); i++) {
        struct tag_check check = verify(keys.ring, keys.tags[i], LIFETIME, noon_of(TODAY), NULL);
        ck_assert_msg(check.result == expected[i].result, "key %u: %s", i,
                      result_name(check.result));
        ck_assert_int_eq(check.key, (int)i);
        if (check.result == RESULT_VALID || check.result == RESULT_EXPIRED) {
            ck_assert_int_eq(check.days, expected[i].days);
            ck_assert_int_eq(check.expires, TODAY + expected[i].days);
        }
    }
    /* Slots that never held a key. */
    for (int slot = 5; slot < RING_SLOTS; slot++) {
        char raw[60];
        snprintf(raw, sizeof raw, "<prvs=%d785a1b2c3=alice@example.com>", slot);
        struct tag_check check = verify(keys.ring, raw, LIFETIME, noon_of(TODAY), NULL);
        ck_assert_int_eq(check.result, RESULT_UNKNOWN_KEY);
        ck_assert_int_eq(check.key, slot);
    }
    keys_free(&keys);
}
END_TEST

/* K is part of what is signed, and only the key that it names is tried. */
START_TEST(test_only_the_named_key_is_tried)
{
    struct ring *ring = ring_of(ALGORITHM_HMAC_SHA256, 3, LIFETIME);
    struct key_policy policy = keys_weekly(LIFETIME);
    struct secret secret;
    secret_set(&secret, (const uint8_t *)SECRET_OCTETS, 32);
    for (unsigned slot = 0; slot < RING_SLOTS; slot++) {
        enum status status = ring_import(ring, &policy, slot, ALGORITHM_HMAC_SHA256, KEY_RETAINED,
                                         &secret, noon_of(TODAY), NULL);
        ck_assert_int_eq(status, slot == 3 ? STATUS_REFUSED : STATUS_OK);
    }
    char *tagged = sign(ring, "alice@example.com", TAG_PREFIX, LIFETIME, noon_of(TODAY));
    ck_assert_str_eq(tagged, "prvs=37855a659a=alice@example.com");
    for (char k = '0'; k <= '9'; k++) {
        tagged[5] = k;
        enum result result = verify(ring, tagged, LIFETIME, noon_of(TODAY), NULL).result;
        ck_assert_int_eq(result, k == '3' ? RESULT_VALID : RESULT_BAD_SIGNATURE);
    }
    free(tagged);
    ring_free(ring);
}
END_TEST

START_TEST(test_without_a_key_nothing_is_signed)
{
    struct ring *ring = ring_new();
    struct address address;
    char *tagged = NULL;
    int key = 0;
    int64_t expires = 0;
    ck_assert_int_eq(address_parse("alice@example.com", &address), STATUS_OK);
    ck_assert_int_eq(
        tag_sign(ring, &address, TAG_PREFIX, LIFETIME, noon_of(TODAY), &tagged, &key, &expires),
        STATUS_NOT_FOUND);
    ck_assert_ptr_null(tagged);
    address_free(&address);
    ring_free(ring);
}
END_TEST

/* Every key counts with the longest lifetime that it was used with, and one that signs also with
 * the present one, before the ring has heard of it. */
START_TEST(test_lifetime_of_a_key)
{
    struct ring *ring = ring_of(ALGORITHM_HMAC_SHA256, 3, 30);
    char *tagged = sign(ring, "alice@example.com", TAG_PREFIX, 30, noon_of(TODAY));
    ck_assert_int_eq(verify(ring, tagged, 7, noon_of(TODAY), NULL).result, RESULT_VALID);
    ck_assert_int_eq(verify(ring, tagged, 7, noon_of(TODAY - 2), NULL).result, RESULT_EXPIRED);
    free(tagged);

    tagged = sign(ring, "alice@example.com", TAG_PREFIX, 60, noon_of(TODAY));
    ck_assert_int_eq(verify(ring, tagged, 60, noon_of(TODAY), NULL).result, RESULT_VALID);
    ck_assert_int_eq(verify(ring, tagged, 30, noon_of(TODAY), NULL).result, RESULT_EXPIRED);
    ring_raise_lifetime(ring, 60, noon_of(TODAY));
    ck_assert_int_eq(verify(ring, tagged, 30, noon_of(TODAY), NULL).result, RESULT_VALID);
    free(tagged);
    ring_free(ring);
}
END_TEST

/* What only a key that signs may do: count with a lifetime that it has not been used with yet. */
START_TEST(test_lifetime_of_a_key_that_signs_no_more)
{
    struct ring *ring = ring_new();
    struct key_policy policy = keys_weekly(7);
    ring_turn(ring, &policy, noon_of(TODAY - 5), 1);
    char *tagged = sign(ring, "alice@example.com", TAG_PREFIX, 30, noon_of(TODAY));
    ck_assert_int_eq(verify(ring, tagged, 30, noon_of(TODAY), NULL).result, RESULT_VALID);
    ring_turn(ring, &policy, noon_of(TODAY), 2);
    struct tag_check check = verify(ring, tagged, 30, noon_of(TODAY), NULL);
    ck_assert_int_eq(check.result, RESULT_EXPIRED);
    ck_assert_int_eq(check.days, 30 - 1000);
    free(tagged);
    ring_free(ring);
}
END_TEST

/* Another host may sign by it already: its clock is ahead. */
START_TEST(test_pending_key_verifies)
{
    struct ring *ring = ring_new();
    struct key_policy policy = keys_weekly(7);
    uint8_t octets[SECRET_SIZE] = {1};
    time_t now = noon_of(TODAY);
    ring_turn(ring, &policy, noon_of(TODAY - 5), 1);
    ck_assert_int_eq(ring_rotate(ring, &policy, ALGORITHM_HMAC_SHA256, now, 300, octets, NULL),
                     STATUS_OK);
    ck_assert_int_eq(ring_key_state(ring, 1, now), KEY_PENDING);
    char *tagged = sign(ring, "alice@example.com", TAG_PREFIX, 30, now + 300);
    ck_assert_int_eq(tagged[5], '1');
    struct tag_check check = verify(ring, tagged, 30, now, NULL);
    ck_assert_int_eq(check.result, RESULT_VALID);
    ck_assert_int_eq(check.key, 1);
    ck_assert_int_eq(check.days, 30);
    free(tagged);
    ring_free(ring);
}
END_TEST

/* Rotated at midnight, a key's last signing day is the day before; a second later it is the new
 * one. */
START_TEST(test_last_signing_day)
{
    time_t midnight = (time_t)TODAY * DAY_SECONDS;
    for (int second = 0; second < 2; second++) {
        struct ring *ring = ring_new();
        struct key_policy policy = keys_weekly(LIFETIME);
        ring_turn(ring, &policy, noon_of(TODAY - 5), 1);
        char *tagged = sign(ring, "alice@example.com", TAG_PREFIX, LIFETIME, noon_of(TODAY + 1));
        ring_turn(ring, &policy, midnight + second, 2);
        struct tag_check check = verify(ring, tagged, LIFETIME, noon_of(TODAY), NULL);
        ck_assert_int_eq(check.result, second == 0 ? RESULT_EXPIRED : RESULT_VALID);
        free(tagged);
        ring_free(ring);
    }
}
END_TEST

START_TEST(test_key_that_is_forgotten_at_once)
{
    struct ring *ring = ring_new();
    struct key_policy policy = keys_weekly(LIFETIME);
    policy.retain_days = 0;
    ring_turn(ring, &policy, noon_of(TODAY - 5), 1);
    char *tagged = sign(ring, "alice@example.com", TAG_PREFIX, LIFETIME, noon_of(TODAY));
    ring_turn(ring, &policy, noon_of(TODAY), 2);
    ck_assert_int_eq(verify(ring, tagged, LIFETIME, noon_of(TODAY), NULL).result,
                     RESULT_UNKNOWN_KEY);
    free(tagged);
    ring_free(ring);
}
END_TEST

/* ------------------------------------------------------------------ days */

/* Every day of a thousand across the wrap, every lifetime: what is signed is valid from a day
 * before (a clock that is behind, or midnight in between) to its last day, and expired before and
 * after. */
static void check_every_day(unsigned lifetime)
{
    int last = (int)lifetime;
    struct ring *ring =
        ring_with(3, ALGORITHM_HMAC_SHA256, SECRET_OCTETS, 32, lifetime, noon_of(WRAP_DAY - 1000));
    for (int64_t today = WRAP_DAY - 500; today < WRAP_DAY + 500; today++) {
        char *tagged = sign(ring, "alice@example.com", TAG_PREFIX, lifetime, noon_of(today));
        char digits[8];
        snprintf(digits, sizeof digits, "3%03u", day_code(today + last));
        REQUIRE(strncmp(tagged + 5, digits, 4) == 0);

        const struct {
            int after;
            enum result result;
            int days;
        } looks[] = {
            {-2, RESULT_EXPIRED, last + 2 - 1000},
            {-1, RESULT_VALID, last + 1},
            {0, RESULT_VALID, last},
            {last - 1, RESULT_VALID, 1},
            {last, RESULT_VALID, 0},
            {last + 1, RESULT_EXPIRED, -1},
            {last + 2, RESULT_EXPIRED, -2},
            {last + 500, RESULT_EXPIRED, -500},
        };
        for (size_t i = 0; i < COUNT_OF(looks); i++) {
            struct tag_check check =
                verify(ring, tagged, lifetime, noon_of(today + looks[i].after), NULL);
            if (check.result != looks[i].result || check.days != looks[i].days) {
                ck_abort_msg("%s, %d days after day %d: %s, %d days", tagged, looks[i].after,
                             (int)today, result_name(check.result), check.days);
            }
            REQUIRE(check.expires == today + looks[i].after + looks[i].days);
        }
        free(tagged);
    }
    ring_free(ring);
}

START_TEST(test_every_day_and_lifetime)
{
    for (unsigned lifetime = 1; lifetime <= RING_LIFETIME_MAX; lifetime++) {
        check_every_day(lifetime);
    }
}
END_TEST

START_TEST(test_midnight)
{
    struct ring *ring = ring_of(ALGORITHM_HMAC_SHA256, 3, LIFETIME);
    time_t midnight = (time_t)WRAP_DAY * DAY_SECONDS;
    char *before = sign(ring, "alice@example.com", TAG_PREFIX, LIFETIME, midnight - 1);
    char *after = sign(ring, "alice@example.com", TAG_PREFIX, LIFETIME, midnight);
    ck_assert_int_eq(strncmp(before, "prvs=3006", 9), 0);
    ck_assert_int_eq(strncmp(after, "prvs=3007", 9), 0);
    /* A verifier two seconds behind the signer sees a tag of tomorrow. */
    struct tag_check check = verify(ring, after, LIFETIME, midnight - 2, NULL);
    ck_assert_int_eq(check.result, RESULT_VALID);
    ck_assert_int_eq(check.days, LIFETIME + 1);
    time_t end = midnight + (LIFETIME + 1) * DAY_SECONDS;
    ck_assert_int_eq(verify(ring, after, LIFETIME, end - 1, NULL).result, RESULT_VALID);
    ck_assert_int_eq(verify(ring, after, LIFETIME, end, NULL).result, RESULT_EXPIRED);
    free(before);
    free(after);
    ring_free(ring);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("tag");
    TCase *tcase = add_case(suite, "forms");
    tcase_add_loop_test(tcase, test_split, 0, (int)COUNT_OF(forms));
    tcase_add_loop_test(tcase, test_result_of_a_form, 0, (int)COUNT_OF(forms));
    tcase_add_loop_test(tcase, test_is_rewritten, 0, (int)COUNT_OF(senders));
    tcase_add_test(tcase, test_result_names);

    tcase = add_case(suite, "vectors");
    tcase_add_loop_test(tcase, test_vector, 0, (int)COUNT_OF(vectors));
    tcase_add_loop_test(tcase, test_spelling, 0, (int)COUNT_OF(spellings));
    tcase_add_loop_test(tcase, test_limit, 0, (int)COUNT_OF(limits));
    tcase_add_test(tcase, test_long_tags_are_verified);

    tcase = add_case(suite, "VERP");
    tcase_add_loop_test(tcase, test_verp, 0, (int)COUNT_OF(verps));
    tcase_add_test(tcase, test_verp_of_a_wrong_tag);
    tcase_add_test(tcase, test_verp_of_a_tag_that_was_folded);

    tcase = add_case(suite, "many addresses");
    tcase_add_test(tcase, test_ten_thousand_addresses);
    tcase_add_test(tcase, test_ten_thousand_extensions);
    tcase_add_test(tcase, test_every_single_change_is_refused);
    tcase_add_test(tcase, test_random_changes_are_refused);
    tcase_add_test(tcase, test_random_octets);

    tcase = add_case(suite, "keys");
    tcase_add_test(tcase, test_keys);
    tcase_add_test(tcase, test_only_the_named_key_is_tried);
    tcase_add_test(tcase, test_without_a_key_nothing_is_signed);
    tcase_add_test(tcase, test_lifetime_of_a_key);
    tcase_add_test(tcase, test_lifetime_of_a_key_that_signs_no_more);
    tcase_add_test(tcase, test_pending_key_verifies);
    tcase_add_test(tcase, test_last_signing_day);
    tcase_add_test(tcase, test_key_that_is_forgotten_at_once);

    tcase = add_case(suite, "days");
    tcase_add_test(tcase, test_every_day_and_lifetime);
    tcase_add_test(tcase, test_midnight);
    return suite_run(suite);
}
