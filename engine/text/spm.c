/* spm.c - see spm.h.
 *
 * The symbols of a word are a linked list over its bytes; the concatenation of two neighbours is
 * then one run of bytes, and looking it up needs no copy.  The heap holds every merge that was
 * possible once; one that has become impossible is recognised when it comes up, because its left
 * symbol then has another rank. */
#include "text/spm.h"

#include "text/codepoint.h"
#include "text/heap.h"
#include "text/words.h"
#include "text/wordtable.h"

#include <errno.h>
#include <stdlib.h>

enum { NO_SYMBOL = -1, HEAP_MAX = 2 * WORDS_PIECE_BYTES_MAX };
#define RANK_NEVER UINT32_MAX

struct spm {
    const struct vocabulary *vocabulary;
    struct wordtable words;
    int32_t byte_ids[256]; /* the unknown token for a byte without one */
    bool separate;         /* words_are_separate() */
};

struct spm_symbol {
    uint32_t begin, length; /* in the word; length 0: merged into the left one */
    int32_t id;             /* what it was merged to; VOCABULARY_NONE: one character */
    int32_t whole;          /* what it and the next one would be merged to */
    uint32_t rank;          /* of that: low is merged first */
    int32_t previous, next;
};

/* One word that is being merged: the list, and a binary heap of rank << 32 | left symbol. */
struct word {
    const struct spm *spm;
    const char *bytes;
    struct spm_symbol *symbols;
    struct heap heap;
};

/* A byte may also stand for itself as a token of one character (ASCII). */
static void fill_byte_ids(struct spm *spm)
{
    const struct vocabulary *vocabulary = spm->vocabulary;
    for (int byte = 0; byte < 256; byte++) {
        char character = (char)byte;
        int32_t id = wordtable_find(&spm->words, (struct text){&character, 1});
        spm->byte_ids[byte] = id == VOCABULARY_NONE ? vocabulary->unknown : id;
    }
    for (int32_t id = 0; id < vocabulary->token_count; id++) {
        int byte =
            vocabulary->kinds[id] == TOKEN_BYTE ? words_byte(vocabulary_token(vocabulary, id)) : -1;
        if (byte >= 0)
            spm->byte_ids[byte] = id;
    }
}

int spm_open(const struct vocabulary *vocabulary, struct spm **out)
{
    struct spm *spm = memory_try(1, sizeof *spm);
    *out = NULL;
    if (!spm || wordtable_open(vocabulary, &spm->words)) {
        free(spm);
        return -ENOMEM;
    }
    spm->vocabulary = vocabulary;
    spm->separate = words_are_separate(vocabulary);
    fill_byte_ids(spm);
    *out = spm;
    return 0;
}

void spm_close(struct spm *spm)
{
    if (!spm)
        return;
    wordtable_close(&spm->words);
    free(spm);
}

size_t spm_bytes(const struct spm *spm)
{
    return sizeof *spm + slots_bytes(spm->words.slots.bits);
}

void spm_scratch_free(struct spm_scratch *scratch)
{
    buffer_free(&scratch->escaped);
    free(scratch->symbols);
    free(scratch->heap);
    *scratch = (struct spm_scratch){0};
}

/* The token of this string that merging may produce, or VOCABULARY_NONE. */
static int32_t find(const struct spm *spm, struct text string)
{
    if (string.length > SPM_TOKEN_BYTES_MAX)
        return VOCABULARY_NONE;
    int32_t id = wordtable_find(&spm->words, string);
    return id != VOCABULARY_NONE && spm->vocabulary->kinds[id] == TOKEN_BYTE ? VOCABULARY_NONE : id;
}

/* Ranks order like scores turned around: the bits of floats, as integers, order like the floats
 * once the negative ones are mirrored.  No finite score gets RANK_NEVER. */
static uint32_t rank_of(float score)
{
    uint32_t bits;
    float no_negative_zero = score + 0.0f;
    memcpy(&bits, &no_negative_zero, sizeof bits);
    return bits & 0x80000000u ? bits : ~bits & 0x7FFFFFFFu;
}

/* Look up what a symbol and its right neighbour would become; into the heap if it is a token. */
static void offer(struct word *word, int32_t left)
{
    struct spm_symbol *symbol = &word->symbols[left];
    symbol->rank = RANK_NEVER;
    if (symbol->next == NO_SYMBOL)
        return;
    size_t length = (size_t)symbol->length + word->symbols[symbol->next].length;
    symbol->whole = find(word->spm, (struct text){word->bytes + symbol->begin, length});
    if (symbol->whole == VOCABULARY_NONE)
        return;
    symbol->rank = rank_of(word->spm->vocabulary->scores[symbol->whole]);
    heap_push(&word->heap, (uint64_t)symbol->rank << 32 | (uint32_t)left);
}

static void merge_right(struct word *word, int32_t left)
{
    struct spm_symbol *symbol = &word->symbols[left];
    struct spm_symbol *right = &word->symbols[symbol->next];
    symbol->id = symbol->whole;
    symbol->length += right->length;
    symbol->next = right->next;
    right->rank = RANK_NEVER; /* what the heap still has of it is void */
    if (symbol->next != NO_SYMBOL)
        word->symbols[symbol->next].previous = left;
    offer(word, left);
    if (symbol->previous != NO_SYMBOL)
        offer(word, symbol->previous);
}

/* One symbol for each character, and for each byte that is part of none.  Returns their count. */
static int32_t split(struct text text, struct spm_symbol *symbols)
{
    int32_t count = 0, point;
    for (size_t at = 0; at < text.length; count++) {
        size_t length = codepoint_at(text, at, &point);
        symbols[count] = (struct spm_symbol){.begin = (uint32_t)at,
                                             .length = (uint32_t)length,
                                             .id = VOCABULARY_NONE,
                                             .rank = RANK_NEVER,
                                             .previous = count - 1,
                                             .next = count + 1};
        at += length;
    }
    symbols[count - 1].next = NO_SYMBOL;
    return count;
}

static int append_symbol(const struct word *word, const struct spm_symbol *symbol,
                         struct tokens *out)
{
    struct text text = {word->bytes + symbol->begin, symbol->length};
    int32_t id = symbol->id == VOCABULARY_NONE ? find(word->spm, text) : symbol->id;
    if (id != VOCABULARY_NONE)
        return tokens_append(out, id);
    int status = 0;
    for (size_t i = 0; i < text.length && !status; i++) {
        id = word->spm->byte_ids[(unsigned char)text.bytes[i]];
        status = id == VOCABULARY_NONE ? 0 : tokens_append(out, id);
    }
    return status;
}

/* At most length - 1 merges are offered at first; each one done takes one out and offers two. */
static int reserve(struct spm_scratch *scratch, size_t length)
{
    int status = memory_grow((void **)&scratch->symbols, &scratch->symbol_capacity, length,
                             sizeof *scratch->symbols, WORDS_PIECE_BYTES_MAX);
    if (!status)
        status = memory_grow((void **)&scratch->heap, &scratch->heap_capacity, 2 * length,
                             sizeof *scratch->heap, HEAP_MAX);
    return status;
}

/* `text` is not empty. */
static int encode_word(const struct spm *spm, struct text text, struct spm_scratch *scratch,
                       struct tokens *out)
{
    int status = reserve(scratch, text.length);
    if (status)
        return status;
    struct word word = {spm, text.bytes, scratch->symbols, {scratch->heap, 0}};
    int32_t count = split(text, word.symbols);
    for (int32_t i = 0; i < count; i++)
        offer(&word, i);
    while (word.heap.count) {
        uint64_t item = heap_pop(&word.heap);
        int32_t left = (int32_t)(uint32_t)item;
        if (word.symbols[left].rank == (uint32_t)(item >> 32))
            merge_right(&word, left);
    }
    for (int32_t i = 0; i != NO_SYMBOL && !status; i = word.symbols[i].next)
        status = append_symbol(&word, &word.symbols[i], out);
    return status;
}

/* The text with U+2581 for each space, and one before it. */
static int escape(struct text text, bool prefix, struct buffer *out)
{
    out->length = 0;
    out->limit = (text.length + 1) * WORDS_SPACE_BYTES;
    int status = prefix ? buffer_append(out, WORDS_SPACE, WORDS_SPACE_BYTES) : 0;
    for (size_t at = 0; at < text.length && !status;) {
        const char *space = memchr(text.bytes + at, ' ', text.length - at);
        size_t end = space ? (size_t)(space - text.bytes) : text.length;
        status = buffer_append(out, text.bytes + at, end - at);
        if (!status && space)
            status = buffer_append(out, WORDS_SPACE, WORDS_SPACE_BYTES);
        at = end + 1;
    }
    return status;
}

int spm_encode(const struct spm *spm, struct text text, struct spm_scratch *scratch,
               struct tokens *out)
{
    if (text.length == 0)
        return 0;
    int status = escape(text, spm->vocabulary->add_space_prefix, &scratch->escaped);
    struct text escaped = buffer_text(&scratch->escaped);
    for (size_t at = 0; at < escaped.length && !status;) {
        size_t end = words_end(escaped, at, spm->separate);
        status = encode_word(spm, (struct text){escaped.bytes + at, end - at}, scratch, out);
        at = end;
    }
    return status;
}
