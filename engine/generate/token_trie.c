/* token_trie.c - see token_trie.h.  Sorted tokens are their tree in depth-first order. */
#include "generate/token_trie.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

/* A token while they are sorted. */
struct item {
    uint64_t prefix; /* the first 8 bytes, the first one highest: it decides nearly always */
    struct text bytes;
    int32_t token;
};

struct collection {
    struct item *items; /* [vocabulary] */
    size_t count;
    struct buffer bytes;
};

static int compare_items(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    size_t shared = x->bytes.length < y->bytes.length ? x->bytes.length : y->bytes.length;
    int order = memcmp(x->bytes.bytes, y->bytes.bytes, shared);
    if (order)
        return order;
    if (x->bytes.length != y->bytes.length)
        return x->bytes.length < y->bytes.length ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static uint64_t prefix_of(const char *bytes, size_t length)
{
    uint64_t prefix = 0;
    for (size_t i = 0; i < sizeof prefix; i++)
        prefix = prefix << 8 | (i < length ? (uint8_t)bytes[i] : 0);
    return prefix;
}

/* All tokens with their bytes; afterwards the buffer does not move any more. */
static int collect(const struct tokenizer *tokenizer, int32_t vocabulary,
                   struct collection *collection)
{
    char piece[TOKEN_TRIE_DEPTH_MAX];
    size_t at = 0;
    for (int32_t token = 0; token < vocabulary; token++) {
        long length = tokenizer_decode(tokenizer, token, false, piece, sizeof piece);
        if (length <= 0 || length > TOKEN_TRIE_DEPTH_MAX || tokenizer_is_end(tokenizer, token))
            continue;
        int status = buffer_append(&collection->bytes, piece, (size_t)length);
        if (status)
            return status;
        collection->items[collection->count++] =
            (struct item){prefix_of(piece, (size_t)length), {NULL, (size_t)length}, token};
    }
    for (size_t i = 0; i < collection->count; i++) {
        collection->items[i].bytes.bytes = collection->bytes.bytes + at;
        at += collection->items[i].bytes.length;
    }
    qsort(collection->items, collection->count, sizeof *collection->items, compare_items);
    return 0;
}

static size_t shared_length(struct text a, struct text b)
{
    size_t shortest = a.length < b.length ? a.length : b.length, shared = 0;
    while (shared < shortest && a.bytes[shared] == b.bytes[shared])
        shared++;
    return shared;
}

/* The nodes above the present one stay open until a token leaves their branch. */
static void add_tokens(struct token_trie *trie, const struct collection *collection)
{
    uint32_t open[TOKEN_TRIE_DEPTH_MAX];
    size_t depth = 0;
    struct text previous = {"", 0};
    for (size_t i = 0; i < collection->count; i++) {
        struct text bytes = collection->items[i].bytes;
        size_t shared = shared_length(previous, bytes);
        while (depth > shared) {
            uint32_t closed = open[--depth];
            trie->nodes[closed].skip = (uint32_t)trie->node_count - closed;
        }
        for (; depth < bytes.length; depth++) {
            open[depth] = (uint32_t)trie->node_count;
            trie->nodes[trie->node_count++] = (struct token_trie_node){
                .depth = (uint16_t)(depth + 1),
                .byte = (uint8_t)bytes.bytes[depth],
                .first_token = (int32_t)i,
            };
        }
        trie->nodes[open[depth - 1]].ends = 1;
        trie->tokens[trie->token_count++] = collection->items[i].token;
        previous = bytes;
    }
    while (depth > 0) {
        uint32_t closed = open[--depth];
        trie->nodes[closed].skip = (uint32_t)trie->node_count - closed;
    }
}

static size_t count_nodes(const struct collection *collection)
{
    struct text previous = {"", 0};
    size_t nodes = 0;
    for (size_t i = 0; i < collection->count; i++) {
        struct text bytes = collection->items[i].bytes;
        nodes += bytes.length - shared_length(previous, bytes);
        previous = bytes;
    }
    return nodes;
}

static int make_trie(const struct collection *collection, int32_t vocabulary,
                     struct token_trie **out)
{
    struct token_trie *trie = memory_try(1, sizeof *trie);
    if (!trie)
        return -ENOMEM;
    trie->vocabulary = vocabulary;
    trie->nodes = memory_try(count_nodes(collection), sizeof *trie->nodes);
    trie->tokens = memory_try(collection->count, sizeof *trie->tokens);
    if (!trie->nodes || !trie->tokens) {
        token_trie_close(trie);
        return -ENOMEM;
    }
    add_tokens(trie, collection);
    *out = trie;
    return 0;
}

int token_trie_open(const struct tokenizer *tokenizer, int32_t vocabulary, struct token_trie **out,
                    struct error *error)
{
    int32_t known = tokenizer_vocabulary_size(tokenizer);
    struct collection collection = {.bytes = buffer_new(TOKEN_TRIE_BYTES_MAX)};
    collection.items = memory_try((size_t)known, sizeof *collection.items);
    int status = collection.items
                     ? collect(tokenizer, known < vocabulary ? known : vocabulary, &collection)
                     : -ENOMEM;
    if (!status)
        status = make_trie(&collection, vocabulary, out);
    free(collection.items);
    buffer_free(&collection.bytes);
    if (status == -EMSGSIZE)
        return error_set(error, EMSGSIZE, "the vocabulary has more than %d MiB of text",
                         TOKEN_TRIE_BYTES_MAX >> 20);
    return status ? error_set(error, ENOMEM, "no memory for the tree of tokens") : 0;
}

void token_trie_close(struct token_trie *trie)
{
    if (!trie)
        return;
    free(trie->nodes);
    free(trie->tokens);
    free(trie);
}
