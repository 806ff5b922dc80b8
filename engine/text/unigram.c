/* unigram.c - see unigram.h.
 *
 * Viterbi: best[i] is the best segmentation of the first i bytes of a word.  Going through the
 * characters from the left, every token that starts here (a walk in the trie) may improve the place
 * where it ends.  The way back from the end gives the tokens, last first. */
#include "text/unigram.h"

#include "base/memory.h"
#include "text/codepoint.h"
#include "text/trie.h"
#include "text/words.h"

#include <errno.h>
#include <float.h>
#include <stdlib.h>

struct unigram {
    const struct vocabulary *vocabulary;
    struct trie *trie;
    double unknown_score;
    bool separate;         /* words_are_separate() */
    bool has_bytes;        /* all 256 byte tokens are there */
    int32_t byte_ids[256]; /* or VOCABULARY_NONE */
};

struct unigram_best {
    double score; /* -DBL_MAX: not reached yet */
    int32_t id;   /* of the token that ends here; VOCABULARY_NONE: an uncovered character */
    uint32_t begin;
};

static int fill_trie(struct unigram *unigram)
{
    const struct vocabulary *vocabulary = unigram->vocabulary;
    int status = trie_open(&unigram->trie);
    for (int32_t id = 0; id < vocabulary->token_count && !status; id++) {
        uint8_t kind = vocabulary->kinds[id];
        if (kind != TOKEN_CONTROL && kind != TOKEN_UNKNOWN && kind != TOKEN_BYTE)
            status = trie_insert(unigram->trie, vocabulary_token(vocabulary, id), id);
    }
    return status;
}

static void fill_scores_and_bytes(struct unigram *unigram)
{
    const struct vocabulary *vocabulary = unigram->vocabulary;
    float lowest = FLT_MAX;
    int bytes = 0;
    for (int byte = 0; byte < 256; byte++)
        unigram->byte_ids[byte] = VOCABULARY_NONE;
    for (int32_t id = 0; id < vocabulary->token_count; id++) {
        if (vocabulary->kinds[id] == TOKEN_NORMAL && vocabulary->scores[id] < lowest)
            lowest = vocabulary->scores[id];
        int byte =
            vocabulary->kinds[id] == TOKEN_BYTE ? words_byte(vocabulary_token(vocabulary, id)) : -1;
        if (byte >= 0) {
            bytes += unigram->byte_ids[byte] == VOCABULARY_NONE;
            unigram->byte_ids[byte] = id;
        }
    }
    unigram->has_bytes = bytes == 256;
    unigram->unknown_score = (lowest < FLT_MAX ? lowest : 0) - UNIGRAM_UNKNOWN_PENALTY;
}

int unigram_open(const struct vocabulary *vocabulary, struct unigram **out, struct error *error)
{
    struct unigram *unigram = memory_try(1, sizeof *unigram);
    *out = NULL;
    if (unigram)
        unigram->vocabulary = vocabulary;
    int status = unigram ? fill_trie(unigram) : -ENOMEM;
    if (status) {
        unigram_close(unigram);
        return status == -ENOMEM
                   ? error_set(error, ENOMEM, "no memory for %d tokens", vocabulary->token_count)
                   : error_set(error, ENOEXEC, "the vocabulary is too large");
    }
    fill_scores_and_bytes(unigram);
    unigram->separate = words_are_separate(vocabulary);
    *out = unigram;
    return 0;
}

void unigram_close(struct unigram *unigram)
{
    if (!unigram)
        return;
    trie_close(unigram->trie);
    free(unigram);
}

size_t unigram_bytes(const struct unigram *unigram)
{
    return sizeof *unigram + trie_bytes(unigram->trie);
}

void unigram_scratch_free(struct unigram_scratch *scratch)
{
    free(scratch->best);
    *scratch = (struct unigram_scratch){0};
}

static void improve(struct unigram_best *best, double score, int32_t id, size_t begin)
{
    if (score > best->score)
        *best = (struct unigram_best){score, id, (uint32_t)begin};
}

/* Try every token that starts at `at`, and the uncovered character if no token is just that. */
static void extend(const struct unigram *unigram, struct text word, size_t at, size_t character,
                   struct unigram_best *best)
{
    const struct vocabulary *vocabulary = unigram->vocabulary;
    double score_here = best[at].score;
    bool covered = false;
    int32_t node = TRIE_ROOT;
    for (size_t end = at; end < word.length;) {
        node = trie_step(unigram->trie, node, (unsigned char)word.bytes[end++]);
        if (node == TRIE_NOWHERE)
            break;
        int32_t id = trie_value(unigram->trie, node);
        if (id < 0)
            continue;
        bool defined = vocabulary->kinds[id] == TOKEN_USER_DEFINED;
        improve(&best[end], score_here + (defined ? 0.0 : (double)vocabulary->scores[id]), id, at);
        covered |= end - at == character;
    }
    if (!covered)
        improve(&best[at + character], score_here + unigram->unknown_score, VOCABULARY_NONE, at);
}

/* The segmentation is a chain from the end to the start: turn it round, so that best[i].begin is
 * where the token that starts at i ends, and best[i].id is that token. */
static void turn_round(struct unigram_best *best, size_t length)
{
    size_t at = length, next_end = length;
    int32_t next_id = VOCABULARY_NONE;
    for (;;) {
        struct unigram_best here = best[at];
        best[at].id = next_id;
        best[at].begin = (uint32_t)next_end;
        if (at == 0)
            return;
        next_id = here.id;
        next_end = at;
        at = here.begin;
    }
}

static int append_uncovered(const struct unigram *unigram, struct text text, struct tokens *out)
{
    int32_t unknown = unigram->vocabulary->unknown;
    if (!unigram->has_bytes)
        return unknown == VOCABULARY_NONE ? 0 : tokens_append(out, unknown);
    int status = 0;
    for (size_t i = 0; i < text.length && !status; i++)
        status = tokens_append(out, unigram->byte_ids[(unsigned char)text.bytes[i]]);
    return status;
}

static int append_word(const struct unigram *unigram, struct text word,
                       const struct unigram_best *best, struct tokens *out)
{
    int status = 0;
    for (size_t at = 0, end; at < word.length && !status; at = end) {
        int32_t id = best[at].id;
        end = best[at].begin;
        if (id != VOCABULARY_NONE) {
            status = tokens_append(out, id);
            continue;
        }
        while (end < word.length && best[end].id == VOCABULARY_NONE)
            end = best[end].begin;
        status = append_uncovered(unigram, (struct text){word.bytes + at, end - at}, out);
    }
    return status;
}

/* `word` is not empty. */
static int encode_word(const struct unigram *unigram, struct text word,
                       struct unigram_scratch *scratch, struct tokens *out)
{
    int status = memory_grow((void **)&scratch->best, &scratch->capacity, word.length + 1,
                             sizeof *scratch->best, WORDS_PIECE_BYTES_MAX + 1);
    if (status)
        return status;
    for (size_t i = 0; i <= word.length; i++)
        scratch->best[i] = (struct unigram_best){i ? -DBL_MAX : 0, VOCABULARY_NONE, 0};
    int32_t point;
    for (size_t at = 0, character; at < word.length; at += character) {
        character = codepoint_at(word, at, &point);
        extend(unigram, word, at, character, scratch->best);
    }
    turn_round(scratch->best, word.length);
    return append_word(unigram, word, scratch->best, out);
}

int unigram_encode(const struct unigram *unigram, struct text text, struct unigram_scratch *scratch,
                   struct tokens *out)
{
    int status = 0;
    for (size_t at = 0, end; at < text.length && !status; at = end) {
        end = words_end(text, at, unigram->separate);
        status = encode_word(unigram, (struct text){text.bytes + at, end - at}, scratch, out);
    }
    return status;
}
