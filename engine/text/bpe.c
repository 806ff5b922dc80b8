/* bpe.c - see bpe.h.
 *
 * Words are short: up to SHORT_BYTES the best merge is found by looking at all of them, which needs
 * no memory and no heap.  Longer pieces ("aaaa..." without end) use a list of symbols and a heap of
 * possible merges; a merge that has become impossible stays in the heap and is recognised when it
 * comes up, because its left symbol then has another rank.
 *
 * Source: Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units".
 */
#include "text/bpe.h"

#include "text/bytelevel.h"
#include "text/mergetable.h"

#include <errno.h>
#include <stdlib.h>

enum {
    SHORT_BYTES = 64,
    WHOLE_TEXT_BYTES_MAX = 512, /* longer tokens are always merged; none is known past 256 */
    NO_SYMBOL = -1,
};

struct bpe {
    struct mergetable *merges;
    struct wordtable *words; /* NULL unless whole pieces are looked up */
    int32_t byte_ids[256];   /* VOCABULARY_NONE for a byte without a token */
};

struct bpe_symbol {
    int32_t id;
    int32_t rank; /* of merging it with the next one; MERGE_NEVER */
    int32_t previous, next;
};

/* Long-piece state: the list, and a binary heap of rank << 32 | index of the left symbol. */
struct long_piece {
    const struct mergetable *merges;
    struct bpe_symbol *symbols;
    uint64_t *heap;
    size_t heap_count;
};

static void fill_byte_ids(struct bpe *bpe, const struct wordtable *words)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char character[BYTELEVEL_CHARACTER_BYTES_MAX];
        size_t length = bytelevel_encode((unsigned char)byte, character);
        bpe->byte_ids[byte] = wordtable_find(words, (struct text){character, length});
    }
}

int bpe_open(const struct vocabulary *vocabulary, bool ignores_merges, struct bpe **out,
             struct error *error)
{
    struct bpe *bpe = memory_try(1, sizeof *bpe);
    *out = NULL;
    if (!bpe || wordtable_open(vocabulary, &bpe->words)) {
        free(bpe);
        return error_set(error, ENOMEM, "no memory for %d tokens", vocabulary->token_count);
    }
    fill_byte_ids(bpe, bpe->words);
    int status = mergetable_open(vocabulary, bpe->words, &bpe->merges, error);
    if (!ignores_merges) { /* only building the merges needed it */
        wordtable_close(bpe->words);
        bpe->words = NULL;
    }
    if (status) {
        bpe_close(bpe);
        return status;
    }
    *out = bpe;
    return 0;
}

void bpe_close(struct bpe *bpe)
{
    if (!bpe)
        return;
    mergetable_close(bpe->merges);
    wordtable_close(bpe->words);
    free(bpe);
}

void bpe_scratch_free(struct bpe_scratch *scratch)
{
    free(scratch->symbols);
    free(scratch->heap);
    *scratch = (struct bpe_scratch){0};
}

static int append(struct tokens *out, int32_t id)
{
    return id == VOCABULARY_NONE ? 0 : tokens_append(out, id);
}

/* The token that is the piece as a whole, or VOCABULARY_NONE. */
static int32_t find_whole(const struct bpe *bpe, struct text piece)
{
    char text[WHOLE_TEXT_BYTES_MAX];
    size_t length = 0;
    if (!bpe->words || piece.length > WHOLE_TEXT_BYTES_MAX / BYTELEVEL_CHARACTER_BYTES_MAX)
        return VOCABULARY_NONE;
    for (size_t i = 0; i < piece.length; i++)
        length += bytelevel_encode((unsigned char)piece.bytes[i], text + length);
    return wordtable_find(bpe->words, (struct text){text, length});
}

static int encode_short(const struct bpe *bpe, struct text piece, struct tokens *out)
{
    int32_t ids[SHORT_BYTES];
    struct merge merges[SHORT_BYTES]; /* merges[i] joins ids[i] and ids[i + 1] */
    size_t count = piece.length;
    for (size_t i = 0; i < count; i++)
        ids[i] = bpe->byte_ids[(unsigned char)piece.bytes[i]];
    for (size_t i = 0; i + 1 < count; i++)
        merges[i] = mergetable_find(bpe->merges, ids[i], ids[i + 1]);
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++)
            if (merges[i].rank < merges[best].rank)
                best = i;
        if (merges[best].rank == MERGE_NEVER)
            break;
        ids[best] = merges[best].whole;
        count--;
        memmove(ids + best + 1, ids + best + 2, (count - best - 1) * sizeof *ids);
        memmove(merges + best, merges + best + 1, (count - best - 1) * sizeof *merges);
        if (best > 0)
            merges[best - 1] = mergetable_find(bpe->merges, ids[best - 1], ids[best]);
        if (best + 1 < count)
            merges[best] = mergetable_find(bpe->merges, ids[best], ids[best + 1]);
    }
    int status = 0;
    for (size_t i = 0; i < count && !status; i++)
        status = append(out, ids[i]);
    return status;
}

static void heap_push(struct long_piece *piece, uint64_t item)
{
    uint64_t *heap = piece->heap;
    size_t at = piece->heap_count++;
    for (; at > 0 && heap[(at - 1) / 2] > item; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = item;
}

/* The smallest item; the heap is not empty. */
static uint64_t heap_pop(struct long_piece *piece)
{
    uint64_t *heap = piece->heap, smallest = heap[0];
    uint64_t item = heap[--piece->heap_count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < piece->heap_count) {
        if (child + 1 < piece->heap_count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= item)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = item;
    return smallest;
}

/* Look up the merge of a symbol and its right neighbour, and put it in the heap if there is one. */
static void offer(struct long_piece *piece, int32_t left)
{
    struct bpe_symbol *symbol = &piece->symbols[left];
    symbol->rank = MERGE_NEVER;
    if (symbol->next == NO_SYMBOL)
        return;
    int32_t right_id = piece->symbols[symbol->next].id;
    symbol->rank = mergetable_find(piece->merges, symbol->id, right_id).rank;
    if (symbol->rank != MERGE_NEVER)
        heap_push(piece, (uint64_t)symbol->rank << 32 | (uint32_t)left);
}

static void merge_right(struct long_piece *piece, int32_t left)
{
    struct bpe_symbol *symbol = &piece->symbols[left];
    struct bpe_symbol *right = &piece->symbols[symbol->next];
    symbol->id = mergetable_find(piece->merges, symbol->id, right->id).whole;
    symbol->next = right->next;
    right->rank = MERGE_NEVER; /* what the heap still has of it is void */
    if (symbol->next != NO_SYMBOL)
        piece->symbols[symbol->next].previous = left;
    offer(piece, left);
    if (symbol->previous != NO_SYMBOL)
        offer(piece, symbol->previous);
}

/* At most count - 1 merges are offered at first; each one done takes one out and offers two. */
static int reserve(struct bpe_scratch *scratch, size_t count)
{
    int status = memory_grow((void **)&scratch->symbols, &scratch->symbol_capacity, count,
                             sizeof *scratch->symbols, BPE_PIECE_BYTES_MAX);
    if (!status)
        status = memory_grow((void **)&scratch->heap, &scratch->heap_capacity, 2 * count,
                             sizeof *scratch->heap, 2 * BPE_PIECE_BYTES_MAX);
    return status;
}

static int encode_long(const struct bpe *bpe, struct text text, struct bpe_scratch *scratch,
                       struct tokens *out)
{
    int status = reserve(scratch, text.length);
    if (status)
        return status;
    struct long_piece piece = {bpe->merges, scratch->symbols, scratch->heap, 0};
    int32_t last = (int32_t)text.length - 1;
    for (int32_t i = 0; i <= last; i++)
        piece.symbols[i] = (struct bpe_symbol){bpe->byte_ids[(unsigned char)text.bytes[i]],
                                               MERGE_NEVER, i - 1, i < last ? i + 1 : NO_SYMBOL};
    for (int32_t i = 0; i < last; i++)
        offer(&piece, i);
    while (piece.heap_count) {
        uint64_t item = heap_pop(&piece);
        int32_t left = (int32_t)(uint32_t)item, rank = (int32_t)(item >> 32);
        if (piece.symbols[left].rank == rank)
            merge_right(&piece, left);
    }
    for (int32_t i = 0; i != NO_SYMBOL && !status; i = piece.symbols[i].next)
        status = append(out, piece.symbols[i].id);
    return status;
}

int bpe_encode(const struct bpe *bpe, struct text piece, struct bpe_scratch *scratch,
               struct tokens *out)
{
    int32_t whole = find_whole(bpe, piece);
    if (whole != VOCABULARY_NONE)
        return tokens_append(out, whole);
    if (piece.length <= SHORT_BYTES)
        return encode_short(bpe, piece, out);
    int status = 0;
    for (size_t at = 0; at < piece.length && !status; at += BPE_PIECE_BYTES_MAX) {
        size_t left = piece.length - at;
        size_t length = left < BPE_PIECE_BYTES_MAX ? left : BPE_PIECE_BYTES_MAX;
        status = encode_long(bpe, (struct text){piece.bytes + at, length}, scratch, out);
    }
    return status;
}
