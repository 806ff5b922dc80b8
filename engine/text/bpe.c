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
#include "text/heap.h"
#include "text/index.h"
#include "text/pretokenizer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SHORT_BYTES = 64,
    CHARACTER_BYTES_MAX = 4,
    WHOLE_TEXT_BYTES_MAX = 512, /* longer tokens are always merged; none is known past 256 */
    NO_SYMBOL = -1,
};

struct bpe {
    const struct pretokenizer_rule *rule;
    struct index *index;    /* that the tables lie in, unless it is the vocabulary's, or NULL */
    struct wordtable words; /* empty unless pieces or characters are looked up */
    struct mergetable merges;
    int32_t byte_ids[256]; /* VOCABULARY_NONE for a byte without a token */
};

/* The id of a symbol is negative where there is no token: VOCABULARY_NONE, or for a character
 * NO_TOKEN minus the place of its first byte in the piece. */
enum { NO_TOKEN = -2 };

struct bpe_symbol {
    int32_t id;
    int32_t rank; /* of merging it with the next one; MERGE_NEVER */
    int32_t previous, next;
};

/* Long-piece state: the list, and a binary heap of rank << 32 | index of the left symbol. */
struct long_piece {
    const struct mergetable *merges;
    struct bpe_symbol *symbols;
    struct heap heap;
};

static bool looks_up_words(const struct pretokenizer_rule *rule)
{
    return rule->ignores_merges || rule->characters;
}

static void fill_byte_ids(struct bpe *bpe, const struct wordtable *words)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        size_t length = bpe->rule->characters
                            ? (size_t)snprintf(name, sizeof name, "<0x%02X>", byte)
                            : bytelevel_encode((unsigned char)byte, name);
        bpe->byte_ids[byte] = wordtable_find(words, (struct text){name, length});
    }
}

static int build(struct bpe *bpe, const struct vocabulary *vocabulary, struct error *error)
{
    if (wordtable_open(vocabulary, &bpe->words))
        return error_set(error, ENOMEM, "no memory for %d tokens", vocabulary->token_count);
    fill_byte_ids(bpe, &bpe->words);
    int status = mergetable_open(vocabulary, &bpe->words, &bpe->merges, error);
    if (!status && !looks_up_words(bpe->rule)) /* only building the merges needed it */
        wordtable_close(&bpe->words);
    return status;
}

int bpe_open(const struct vocabulary *vocabulary, struct bpe **out, struct error *error)
{
    struct bpe *bpe = memory_try(1, sizeof *bpe);
    *out = NULL;
    if (!bpe)
        return error_set(error, ENOMEM, "no memory for the merges");
    bpe->rule = vocabulary->rule;
    struct index_tables tables = {&bpe->words, &bpe->merges, bpe->byte_ids};
    if (vocabulary->index)
        index_use(vocabulary, &tables);
    else
        bpe->index = index_open(vocabulary, &tables);
    if (!vocabulary->index && !bpe->index) {
        int status = build(bpe, vocabulary, error);
        if (status) {
            bpe_close(bpe);
            return status;
        }
        index_save(vocabulary, &tables);
    }
    *out = bpe;
    return 0;
}

void bpe_close(struct bpe *bpe)
{
    if (!bpe)
        return;
    mergetable_close(&bpe->merges);
    wordtable_close(&bpe->words);
    index_close(bpe->index);
    free(bpe);
}

size_t bpe_bytes(const struct bpe *bpe)
{
    return sizeof *bpe + slots_bytes(bpe->words.slots.bits) + slots_bytes(bpe->merges.slots.bits) +
           (size_t)bpe->merges.merge_count * sizeof *bpe->merges.whole;
}

void bpe_scratch_free(struct bpe_scratch *scratch)
{
    free(scratch->symbols);
    free(scratch->heap);
    *scratch = (struct bpe_scratch){0};
}

/* How many bytes the symbol has that starts at `at`. */
static size_t symbol_bytes(const struct bpe *bpe, struct text piece, size_t at)
{
    size_t end = at + 1;
    while (bpe->rule->characters && end < piece.length && end - at < CHARACTER_BYTES_MAX &&
           ((unsigned char)piece.bytes[end] & 0xC0) == 0x80)
        end++;
    return end - at;
}

static int32_t symbol_id(const struct bpe *bpe, struct text piece, size_t at, size_t length)
{
    if (!bpe->rule->characters)
        return bpe->byte_ids[(unsigned char)piece.bytes[at]];
    int32_t id = wordtable_find(&bpe->words, (struct text){piece.bytes + at, length});
    return id == VOCABULARY_NONE ? NO_TOKEN - (int32_t)at : id;
}

static int append(const struct bpe *bpe, struct text piece, int32_t id, struct tokens *out)
{
    if (id >= 0)
        return tokens_append(out, id);
    if (id == VOCABULARY_NONE)
        return 0;
    size_t at = (size_t)(NO_TOKEN - id), end = at + symbol_bytes(bpe, piece, at);
    int status = 0;
    for (; at < end && !status; at++) {
        int32_t byte_id = bpe->byte_ids[(unsigned char)piece.bytes[at]];
        status = byte_id == VOCABULARY_NONE ? 0 : tokens_append(out, byte_id);
    }
    return status;
}

static bool is_newlines(struct text piece)
{
    size_t at = 0;
    while (at < piece.length && piece.bytes[at] == '\n')
        at++;
    return at == piece.length;
}

/* The token that is the piece as a whole, or VOCABULARY_NONE. */
static int32_t find_whole(const struct bpe *bpe, struct text piece)
{
    char text[WHOLE_TEXT_BYTES_MAX];
    size_t length = 0;
    if (!bpe->rule->ignores_merges && !(bpe->rule->whole_lines && is_newlines(piece)))
        return VOCABULARY_NONE;
    if (piece.length > sizeof text / BYTELEVEL_CHARACTER_BYTES_MAX)
        return VOCABULARY_NONE;
    if (bpe->rule->characters)
        return wordtable_find(&bpe->words, piece);
    for (size_t i = 0; i < piece.length; i++)
        length += bytelevel_encode((unsigned char)piece.bytes[i], text + length);
    return wordtable_find(&bpe->words, (struct text){text, length});
}

static int encode_short(const struct bpe *bpe, struct text piece, struct tokens *out)
{
    int32_t ids[SHORT_BYTES];
    int32_t ranks[SHORT_BYTES]; /* ranks[i] is that of joining ids[i] and ids[i + 1] */
    size_t count = 0;
    for (size_t at = 0, length; at < piece.length; at += length) {
        length = symbol_bytes(bpe, piece, at);
        ids[count++] = symbol_id(bpe, piece, at, length);
    }
    for (size_t i = 0; i + 1 < count; i++)
        ranks[i] = mergetable_rank(&bpe->merges, ids[i], ids[i + 1]);
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++)
            if (ranks[i] < ranks[best])
                best = i;
        if (ranks[best] == MERGE_NEVER)
            break;
        ids[best] = mergetable_whole(&bpe->merges, ranks[best]);
        count--;
        memmove(ids + best + 1, ids + best + 2, (count - best - 1) * sizeof *ids);
        memmove(ranks + best, ranks + best + 1, (count - best - 1) * sizeof *ranks);
        if (best > 0)
            ranks[best - 1] = mergetable_rank(&bpe->merges, ids[best - 1], ids[best]);
        if (best + 1 < count)
            ranks[best] = mergetable_rank(&bpe->merges, ids[best], ids[best + 1]);
    }
    int status = 0;
    for (size_t i = 0; i < count && !status; i++)
        status = append(bpe, piece, ids[i], out);
    return status;
}

/* Look up the merge of a symbol and its right neighbour, and put it in the heap if there is one. */
static void offer(struct long_piece *piece, int32_t left)
{
    struct bpe_symbol *symbol = &piece->symbols[left];
    symbol->rank = MERGE_NEVER;
    if (symbol->next == NO_SYMBOL)
        return;
    int32_t right_id = piece->symbols[symbol->next].id;
    symbol->rank = mergetable_rank(piece->merges, symbol->id, right_id);
    if (symbol->rank != MERGE_NEVER)
        heap_push(&piece->heap, (uint64_t)symbol->rank << 32 | (uint32_t)left);
}

static void merge_right(struct long_piece *piece, int32_t left)
{
    struct bpe_symbol *symbol = &piece->symbols[left];
    struct bpe_symbol *right = &piece->symbols[symbol->next];
    symbol->id = mergetable_whole(piece->merges, symbol->rank);
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
    struct long_piece piece = {&bpe->merges, scratch->symbols, {scratch->heap, 0}};
    int32_t count = 0;
    for (size_t at = 0, length; at < text.length; at += length, count++) {
        length = symbol_bytes(bpe, text, at);
        piece.symbols[count] = (struct bpe_symbol){symbol_id(bpe, text, at, length), MERGE_NEVER,
                                                   count - 1, count + 1};
    }
    piece.symbols[count - 1].next = NO_SYMBOL;
    for (int32_t i = 0; i < count - 1; i++)
        offer(&piece, i);
    while (piece.heap.count) {
        uint64_t item = heap_pop(&piece.heap);
        int32_t left = (int32_t)(uint32_t)item, rank = (int32_t)(item >> 32);
        if (piece.symbols[left].rank == rank)
            merge_right(&piece, left);
    }
    for (int32_t i = 0; i != NO_SYMBOL && !status; i = piece.symbols[i].next)
        status = append(bpe, text, piece.symbols[i].id, out);
    return status;
}

/* Of a piece that is too long, what is merged at once: whole symbols. */
static size_t cut_length(const struct bpe *bpe, struct text piece)
{
    size_t length = BPE_PIECE_BYTES_MAX;
    if (piece.length <= length)
        return piece.length;
    while (bpe->rule->characters && length > BPE_PIECE_BYTES_MAX - CHARACTER_BYTES_MAX &&
           ((unsigned char)piece.bytes[length] & 0xC0) == 0x80)
        length--;
    return length;
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
    while (piece.length && !status) {
        size_t length = cut_length(bpe, piece);
        status = encode_long(bpe, (struct text){piece.bytes, length}, scratch, out);
        piece = (struct text){piece.bytes + length, piece.length - length};
    }
    return status;
}
