/*
 * LMDB's format, as its version 0.9 writes it, in the machine's own sizes and byte order. Pages are
 * of one size. Pages 0 and 1 each hold a head (struct meta): the one with the higher transaction
 * number is in force and leads to two trees, that of free pages and that of the other trees' names.
 * A page of a tree begins with a struct page and the offsets of its nodes, which fill it from its
 * end. A node has a key and, in a leaf, a value, or the number of the page that follows.
 *
 * What is told here is not whether the content makes sense but whether LMDB can go about it: each
 * page is reached once, is what it is taken for, and its nodes lie within it side by side and in
 * order; what counts as free is used nowhere. The file is mapped, and nothing beyond its end is
 * looked at; no page is visited twice, so this ends whatever is in there. One thread.
 */
#include "store/journal_pages.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batv/journal_entry.h"

enum {
    VERSION = 1,
    PAGE_MIN = 512,
    PAGE_MAX = 65536,
    DEPTH_MAX = 31,
    UNWRITTEN_MAX = 131072, /* free pages that may be missing at the end of the file */

    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    PAGE_OVERFLOW = 4,
    PAGE_META = 8,

    NODE_BIG = 1, /* the value stands on pages of its own */
    NODE_TREE = 2,

    TREE_FIXED_MAP = 1, /* flags of the tree of free pages */
    TREE_INTEGER_KEYS = 8
};

#define MAGIC   UINT32_C(0xBEEFC0DE)
#define NO_PAGE ((size_t)-1)

struct page {
    size_t number;
    uint16_t pad, flags;
    uint16_t lower, upper; /* where the offsets end, where the nodes begin */
};

struct node {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint16_t low, high;
#else
    uint16_t high, low;
#endif
    uint16_t flags, key_size;
};

struct tree {
    uint32_t pad; /* of the tree of free pages: the size of a page */
    uint16_t flags, depth;
    size_t branches, leaves, overflows, entries, root;
};

struct meta {
    uint32_t magic, version;
    size_t address, map_size;
    struct tree trees[2]; /* of free pages; of names */
    size_t last, transaction;
};

struct octets {
    const uint8_t *at;
    size_t size;
};

struct walk;

/* One tree: what its nodes have to be, and what was found so far. */
struct kind {
    const char *name;
    bool (*leaf)(struct walk *walk, const struct node *node, struct octets key,
                 struct octets value);
    bool numbers; /* keys are the machine's own */
};

struct walk {
    const uint8_t *file;
    size_t size, page_size, last;
    uint8_t *seen; /* a bit a page */
    uint8_t *used; /* an octet for each two of a page */
    const struct kind *kind;
    struct tree found;
    struct tree inner[3]; /* the named trees, in the order of named[] */
    struct reason *why;
};

static bool fault(struct walk *walk, const char *what, size_t page)
{
    reason_write(walk->why, "%s: page %zu: %s", walk->kind != NULL ? walk->kind->name : "file",
                 page, what);
    return false;
}

/* ------------------------------------------------------------------ heads */

static bool is_page_size(size_t size)
{
    return size >= PAGE_MIN && size <= PAGE_MAX && (size & (size - 1)) == 0;
}

static bool is_root(const struct tree *tree, size_t last)
{
    if (tree->root == NO_PAGE) {
        return tree->depth == 0 && tree->entries == 0;
    }
    return tree->root >= 2 && tree->root <= last && tree->depth >= 1 && tree->depth <= DEPTH_MAX;
}

static enum status check_meta(const struct meta *meta, size_t file_size, struct reason *why)
{
    size_t page_size = meta->trees[0].pad;
    const char *what = NULL;
    if (meta->magic != MAGIC || !is_page_size(page_size)) {
        what = "no LMDB file";
    } else if (meta->version != VERSION) {
        return reason_set(why, STATUS_REFUSED, "LMDB format %u", meta->version);
    } else if (meta->last < 1 || meta->last > file_size / page_size + UNWRITTEN_MAX ||
               meta->map_size / page_size <= meta->last || meta->map_size > SIZE_MAX / 4) {
        what = "sizes that cannot be";
    } else if ((meta->trees[0].flags & TREE_FIXED_MAP) != 0 ||
               (meta->trees[0].flags & TREE_INTEGER_KEYS) == 0 || meta->trees[1].flags != 0 ||
               !is_root(&meta->trees[0], meta->last) || !is_root(&meta->trees[1], meta->last)) {
        what = "roots that cannot be";
    }
    return what == NULL ? STATUS_OK : reason_set(why, STATUS_INVALID, "head: %s", what);
}

static bool read_exactly(int fd, void *out, size_t size, size_t from)
{
    ssize_t got;
    do {
        got = pread(fd, out, size, (off_t)from);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)size;
}

static enum status read_meta(int fd, size_t from, size_t file_size, struct meta *out,
                             struct reason *why)
{
    struct page page;
    if (!read_exactly(fd, &page, sizeof page, from) ||
        !read_exactly(fd, out, sizeof *out, from + sizeof page) || page.flags != PAGE_META) {
        return reason_set(why, STATUS_INVALID, "head: missing");
    }
    return check_meta(out, file_size, why);
}

static enum status read_metas(int fd, struct meta out[static 2], size_t *size, struct reason *why)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return reason_set(why, STATUS_IO, "%s", strerror(errno));
    }
    *size = (size_t)info.st_size;
    enum status status = read_meta(fd, 0, *size, &out[0], why);
    if (status == STATUS_OK) {
        status = read_meta(fd, out[0].trees[0].pad, *size, &out[1], why);
    }
    if (status == STATUS_OK && out[0].trees[0].pad != out[1].trees[0].pad) {
        status = reason_set(why, STATUS_INVALID, "head: two sizes of a page");
    }
    return status;
}

enum status journal_pages_check_head(int fd, struct reason *why)
{
    struct meta metas[2];
    size_t size;
    return read_metas(fd, metas, &size, why);
}

/* ------------------------------------------------------------------ pages */

/* Counts a page as reached. False: it was before, or cannot be. */
static bool reach(struct walk *walk, size_t page)
{
    if (page < 2 || page > walk->last) {
        return fault(walk, "no such page", page);
    }
    uint8_t bit = (uint8_t)(1U << page % 8);
    if ((walk->seen[page / 8] & bit) != 0) {
        return fault(walk, "used twice", page);
    }
    walk->seen[page / 8] |= bit;
    return true;
}

/* Reaches count pages that have to be in the file. NULL: told. */
static const uint8_t *open_pages(struct walk *walk, size_t page, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!reach(walk, page + i)) {
            return NULL;
        }
    }
    if (page + count > walk->size / walk->page_size) {
        fault(walk, "beyond the end", page);
        return NULL;
    }
    return walk->file + page * walk->page_size;
}

/* Overflow pages of a value. NULL: told. */
static const uint8_t *open_big(struct walk *walk, struct octets value, size_t size)
{
    size_t number;
    struct page head;
    uint32_t count;
    if (value.size != sizeof number) {
        return NULL;
    }
    memcpy(&number, value.at, sizeof number);
    size_t expected = (sizeof head - 1 + size) / walk->page_size + 1;
    if (number > walk->last || expected > walk->last) {
        fault(walk, "no such page", number);
        return NULL;
    }
    const uint8_t *page = open_pages(walk, number, expected);
    if (page == NULL) {
        return NULL;
    }
    memcpy(&head, page, sizeof head);
    memcpy(&count, page + offsetof(struct page, lower), sizeof count);
    if (head.number != number || head.flags != PAGE_OVERFLOW || count != expected) {
        fault(walk, "is not what it is taken for", number);
        return NULL;
    }
    walk->found.overflows += expected;
    return page + sizeof head;
}

/* ----------------------------------------------------------------- leaves */

static bool is_of_sizes(const struct node *node, struct octets key, struct octets value,
                        size_t key_size, size_t value_size)
{
    return node->flags == 0 && key.size == key_size && value.size == value_size;
}

static bool leaf_entry(struct walk *walk, const struct node *node, struct octets key,
                       struct octets value)
{
    (void)walk;
    return is_of_sizes(node, key, value, JOURNAL_KEY, JOURNAL_VALUE);
}

static bool leaf_order(struct walk *walk, const struct node *node, struct octets key,
                       struct octets value)
{
    (void)walk;
    return is_of_sizes(node, key, value, 8, JOURNAL_KEY + 4);
}

static bool leaf_meta(struct walk *walk, const struct node *node, struct octets key,
                      struct octets value)
{
    (void)walk;
    return is_of_sizes(node, key, value, key.size, 8);
}

/* A list of free pages: how many, then their numbers, the highest first. There may be room left. */
static bool leaf_free(struct walk *walk, const struct node *node, struct octets key,
                      struct octets value)
{
    size_t size = (size_t)node->low | (size_t)node->high << 16;
    const uint8_t *list = value.at;
    size_t count;
    if ((node->flags & ~NODE_BIG) != 0 || key.size != sizeof(size_t) || size < sizeof count) {
        return false;
    }
    if (node->flags == NODE_BIG) {
        list = open_big(walk, value, size);
        if (list == NULL) {
            return false;
        }
    }
    memcpy(&count, list, sizeof count);
    if (count >= size / sizeof(size_t)) {
        return false;
    }
    size_t former = NO_PAGE;
    for (size_t i = 1; i <= count; i++) {
        size_t page;
        memcpy(&page, list + i * sizeof page, sizeof page);
        if (page >= former || !reach(walk, page)) {
            return false;
        }
        former = page;
    }
    return true;
}

static bool leaf_name(struct walk *walk, const struct node *node, struct octets key,
                      struct octets value);

static const struct kind kind_free = {"free pages", leaf_free, true};
static const struct kind kind_names = {"trees", leaf_name, false};
static const struct kind named[3] = {
    {"entries", leaf_entry, false},
    {"order", leaf_order, false},
    {"meta", leaf_meta, false},
};

static bool leaf_name(struct walk *walk, const struct node *node, struct octets key,
                      struct octets value)
{
    if (node->flags != NODE_TREE || value.size != sizeof(struct tree)) {
        return false;
    }
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        if (key.size == strlen(named[i].name) && memcmp(key.at, named[i].name, key.size) == 0) {
            memcpy(&walk->inner[i], value.at, value.size);
            return walk->inner[i].flags == 0 && is_root(&walk->inner[i], walk->last);
        }
    }
    return false;
}

/* ------------------------------------------------------------------ nodes */

static int compare_keys(const struct kind *kind, struct octets a, struct octets b)
{
    if (kind->numbers && a.size == sizeof(size_t) && b.size == sizeof(size_t)) {
        size_t left, right;
        memcpy(&left, a.at, sizeof left);
        memcpy(&right, b.at, sizeof right);
        return left < right ? -1 : left > right;
    }
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.at, b.at, size) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* Takes the place of a node within its page. False: another has it, or it is outside. */
static bool take_place(struct walk *walk, const struct page *head, size_t offset, size_t size)
{
    size += size & 1;
    if (offset % 2 != 0 || offset < head->upper || size > walk->page_size - offset) {
        return false;
    }
    for (size_t i = offset / 2; i < (offset + size) / 2; i++) {
        if (walk->used[i] != 0) {
            return false;
        }
        walk->used[i] = 1;
    }
    return true;
}

/* Node i of a page. False: not within its page. */
static bool read_node(struct walk *walk, const uint8_t *page, const struct page *head, size_t i,
                      struct node *node, struct octets *key, struct octets *value)
{
    uint16_t offset;
    memcpy(&offset, page + sizeof *head + 2 * i, sizeof offset);
    if (offset + sizeof *node > walk->page_size) {
        return false;
    }
    memcpy(node, page + offset, sizeof *node);
    *value = (struct octets){NULL, 0};
    if ((head->flags & PAGE_LEAF) != 0) {
        value->size = (node->flags & NODE_BIG) != 0 ? sizeof(size_t)
                                                    : (size_t)node->low | (size_t)node->high << 16;
    }
    *key = (struct octets){page + offset + sizeof *node, node->key_size};
    value->at = key->at + key->size;
    return take_place(walk, head, offset, sizeof *node + key->size + value->size);
}

static size_t node_page(const struct node *node)
{
    size_t page = (size_t)node->low | (size_t)node->high << 16;
#if SIZE_MAX > UINT32_MAX
    page |= (size_t)node->flags << 32;
#endif
    return page;
}

/* What is written on a page of a tree, at this depth below its root. */
static bool check_page_head(struct walk *walk, size_t number, const struct page *head, bool leaf)
{
    size_t least = leaf || walk->kind == &kind_free ? 1 : 2;
    return head->number == number && head->flags == (leaf ? PAGE_LEAF : PAGE_BRANCH) &&
           head->lower >= sizeof *head + 2 * least && head->lower % 2 == 0 &&
           head->lower <= head->upper && head->upper <= walk->page_size && head->upper % 2 == 0;
}

/* The nodes fill the page from `upper` to its end. */
static bool is_filled(const struct walk *walk, const struct page *head)
{
    return memchr(walk->used + head->upper / 2, 0, (walk->page_size - head->upper) / 2) == NULL;
}

/* The nodes of a page: in order, not below low (unless it is NULL) and below high. */
static bool check_nodes(struct walk *walk, const uint8_t *page, const struct page *head,
                        const struct octets *low, const struct octets *high)
{
    bool leaf = (head->flags & PAGE_LEAF) != 0;
    size_t count = (head->lower - sizeof *head) / 2;
    struct octets former = low != NULL ? *low : (struct octets){NULL, 0};
    memset(walk->used, 0, walk->page_size / 2);
    for (size_t i = 0; i < count; i++) {
        struct node node;
        struct octets key, value;
        if (!read_node(walk, page, head, i, &node, &key, &value)) {
            return false;
        }
        if (leaf || i > 0) { /* the first key of a branch means nothing */
            bool first = i == (leaf ? 0U : 1U);
            int order = first && low == NULL ? 1 : compare_keys(walk->kind, key, former);
            if (order < 0 || (order == 0 && !(first && leaf)) ||
                (high != NULL && compare_keys(walk->kind, key, *high) >= 0)) {
                return false;
            }
            former = key;
        }
        if (leaf && !walk->kind->leaf(walk, &node, key, value)) {
            return false;
        }
    }
    return is_filled(walk, head);
}

/* A node of a branch that has been found good. */
static struct octets branch_node(const uint8_t *page, size_t i, size_t *child)
{
    uint16_t offset;
    struct node node;
    memcpy(&offset, page + sizeof(struct page) + 2 * i, sizeof offset);
    memcpy(&node, page + offset, sizeof node);
    *child = node_page(&node);
    return (struct octets){page + offset + sizeof node, node.key_size};
}

static bool check_page(struct walk *walk, size_t number, unsigned levels, const struct octets *low,
                       const struct octets *high);

/* What is below a branch: each child lies between two of its keys. */
static bool check_children(struct walk *walk, const uint8_t *page, size_t count, unsigned levels,
                           const struct octets *low, const struct octets *high)
{
    for (size_t i = 0; i < count; i++) {
        size_t child, unused;
        struct octets from = branch_node(page, i, &child);
        struct octets until = branch_node(page, i + 1 < count ? i + 1 : i, &unused);
        if (!check_page(walk, child, levels - 1, i > 0 ? &from : low,
                        i + 1 < count ? &until : high)) {
            return false;
        }
    }
    return true;
}

/* A page and all below it. Recursive, no deeper than DEPTH_MAX. */
static bool check_page(struct walk *walk, size_t number, unsigned levels, const struct octets *low,
                       const struct octets *high)
{
    struct page head;
    bool leaf = levels == 1;
    const uint8_t *page = open_pages(walk, number, 1);
    if (page == NULL) {
        return false;
    }
    memcpy(&head, page, sizeof head);
    if (!check_page_head(walk, number, &head, leaf)) {
        return fault(walk, "is not what it is taken for", number);
    }
    walk->why->text[0] = '\0';
    if (!check_nodes(walk, page, &head, low, high)) {
        return walk->why->text[0] != '\0' ? false : fault(walk, "its nodes are broken", number);
    }
    size_t count = (head.lower - sizeof head) / 2;
    walk->found.branches += !leaf;
    walk->found.leaves += leaf;
    walk->found.entries += leaf ? count : 0;
    return leaf || check_children(walk, page, count, levels, low, high);
}

static bool check_tree(struct walk *walk, const struct kind *kind, const struct tree *tree)
{
    walk->kind = kind;
    walk->found = (struct tree){.pad = 0};
    if (tree->root != NO_PAGE && !check_page(walk, tree->root, tree->depth, NULL, NULL)) {
        return false;
    }
    if (walk->found.branches != tree->branches || walk->found.leaves != tree->leaves ||
        walk->found.overflows != tree->overflows || walk->found.entries != tree->entries) {
        return fault(walk, "counts", tree->root);
    }
    return true;
}

/* All trees; that of the free pages last, since it is told by it what is used twice. */
static bool check_trees(struct walk *walk, const struct meta *meta)
{
    struct tree inner[3];
    for (size_t i = 0; i < 3; i++) {
        walk->inner[i].root = NO_PAGE; /* none of that name: an empty one */
    }
    bool good = check_tree(walk, &kind_names, &meta->trees[1]);
    memcpy(inner, walk->inner, sizeof inner);
    for (size_t i = 0; i < 3 && good; i++) {
        good = check_tree(walk, &named[i], &inner[i]);
    }
    return good && check_tree(walk, &kind_free, &meta->trees[0]);
}

/* From the beginning to the end first: trees are read in no order, which a disk does not like. Not
 * where there is nothing but the end: damage can lead to a page far away. */
static void read_ahead(int fd)
{
    enum { CHUNK = 1 << 20, BLOCK = 512 };
    struct stat info;
    if (fstat(fd, &info) != 0 || info.st_blocks < info.st_size / BLOCK / 2) {
        return;
    }
    char *buffer = malloc(CHUNK);
    off_t at = 0;
    ssize_t got = buffer != NULL ? 1 : 0;
    while (got > 0) {
        got = pread(fd, buffer, CHUNK, at);
        at += got;
    }
    free(buffer);
}

enum status journal_pages_check(int fd, uint64_t txnid, struct reason *why)
{
    struct meta metas[2];
    struct walk walk = {.why = why};
    enum status status = read_metas(fd, metas, &walk.size, why);
    if (status != STATUS_OK) {
        return status;
    }
    const struct meta *meta = metas[0].transaction == txnid ? &metas[0] : &metas[1];
    if (meta->transaction != txnid) {
        return reason_set(why, STATUS_NOT_FOUND, "no snapshot %llu", (unsigned long long)txnid);
    }
    read_ahead(fd);
    walk.page_size = meta->trees[0].pad;
    walk.last = meta->last;
    walk.seen = calloc(1, walk.last / 8 + 1);
    walk.used = calloc(1, walk.page_size / 2);
    void *file = mmap(NULL, walk.size, PROT_READ, MAP_SHARED, fd, 0);
    if (walk.seen == NULL || walk.used == NULL || file == MAP_FAILED) {
        status = reason_set(why, STATUS_NO_MEMORY, "out of memory");
    } else {
        walk.file = file;
        status = check_trees(&walk, meta) ? STATUS_OK : STATUS_INVALID;
    }
    if (file != MAP_FAILED) {
        munmap(file, walk.size);
    }
    free(walk.seen);
    free(walk.used);
    return status;
}
