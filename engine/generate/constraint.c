/* constraint.c - see constraint.h.
 *
 * The tree of tokens and the grammar's automaton are walked together; a subtree is skipped at the
 * first byte that may not come.  What may come after a state is the same whenever the state comes
 * back, so its mask is kept. */
#include "generate/constraint.h"

#include "base/memory.h"
#include "generate/grammar.h"
#include "generate/matcher.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct mask {
    int32_t state;   /* MATCHER_DEAD: none */
    int32_t allowed; /* how many tokens */
    uint64_t *bits;  /* [(vocabulary + 63) / 64] */
};

struct constraint {
    const struct tokenizer *tokenizer;
    const struct token_trie *trie;
    struct grammar *grammar;
    struct matcher *matcher;
    int32_t state;
    struct mask *masks; /* [mask_count], by the state's number */
    int32_t mask_count;
    size_t words; /* of a mask */
};

static int compile(enum constraint_kind kind, struct text source, struct grammar **out,
                   struct error *error)
{
    return kind == CONSTRAINT_GRAMMAR ? grammar_parse(source, out, error)
                                      : grammar_from_schema(source, out, error);
}

static int open_masks(struct constraint *constraint, struct error *error)
{
    constraint->words = ((size_t)constraint->trie->vocabulary + 63) / 64;
    size_t most = CONSTRAINT_MASK_BYTES_MAX / (constraint->words * sizeof(uint64_t) + 1);
    constraint->mask_count = most < 1                      ? 1
                             : most > CONSTRAINT_MASKS_MAX ? CONSTRAINT_MASKS_MAX
                                                           : (int32_t)most;
    constraint->masks = memory_try((size_t)constraint->mask_count, sizeof *constraint->masks);
    return constraint->masks ? 0 : error_set(error, ENOMEM, "no memory for a grammar");
}

int constraint_open(enum constraint_kind kind, struct text source,
                    const struct tokenizer *tokenizer, const struct token_trie *trie,
                    struct constraint **out, struct error *error)
{
    struct constraint *constraint = memory_try(1, sizeof *constraint);
    if (!constraint)
        return error_set(error, ENOMEM, "no memory for a grammar");
    constraint->tokenizer = tokenizer;
    constraint->trie = trie;
    int status = compile(kind, source, &constraint->grammar, error);
    if (!status)
        status = matcher_open(constraint->grammar, &constraint->matcher, error);
    if (!status)
        status = open_masks(constraint, error);
    if (status) {
        constraint_close(constraint);
        return status;
    }
    constraint->state = matcher_start(constraint->matcher);
    *out = constraint;
    return 0;
}

void constraint_close(struct constraint *constraint)
{
    if (!constraint)
        return;
    for (int32_t i = 0; constraint->masks && i < constraint->mask_count; i++)
        free(constraint->masks[i].bits);
    free(constraint->masks);
    matcher_close(constraint->matcher);
    grammar_close(constraint->grammar);
    free(constraint);
}

/* ---- masks ---- */

static void allow(struct mask *mask, int32_t token)
{
    mask->bits[token / 64] |= UINT64_C(1) << token % 64;
    mask->allowed++;
}

static void allow_tokens_of(struct constraint *constraint, const struct token_trie_node *node,
                            struct mask *mask)
{
    const struct token_trie *trie = constraint->trie;
    /* The next node was made for the first token that does not end here. */
    size_t next = (size_t)(node - trie->nodes) + 1;
    size_t end =
        next < trie->node_count ? (size_t)trie->nodes[next].first_token : trie->token_count;
    for (size_t i = (size_t)node->first_token; i < end; i++)
        allow(mask, trie->tokens[i]);
}

static int walk(struct constraint *constraint, struct mask *mask, struct error *error)
{
    const struct token_trie *trie = constraint->trie;
    const uint8_t *class_of = constraint->grammar->class_of;
    struct matcher *matcher = constraint->matcher;
    int32_t states[TOKEN_TRIE_DEPTH_MAX + 1];
    states[0] = constraint->state;
    for (size_t i = 0; i < trie->node_count;) {
        const struct token_trie_node *node = &trie->nodes[i];
        int32_t from = states[node->depth - 1];
        int32_t to = matcher_next(matcher, from)[class_of[node->byte]];
        if (to == MATCHER_UNKNOWN)
            to = matcher_step(matcher, from, node->byte, error);
        if (to < 0)
            return to;
        states[node->depth] = to;
        if (to != MATCHER_DEAD && node->ends)
            allow_tokens_of(constraint, node, mask);
        i += to == MATCHER_DEAD ? node->skip : 1;
    }
    return 0;
}

static void allow_ends(struct constraint *constraint, struct mask *mask)
{
    for (int32_t token = 0; token < constraint->trie->vocabulary; token++)
        if (tokenizer_is_end(constraint->tokenizer, token))
            allow(mask, token);
}

static void forget_masks(struct constraint *constraint)
{
    for (int32_t i = 0; i < constraint->mask_count; i++)
        constraint->masks[i].state = MATCHER_DEAD;
}

/* The mask of the present state, computed or found. */
static int find_mask(struct constraint *constraint, struct mask **out, struct error *error)
{
    int status = matcher_trim(constraint->matcher, &constraint->state, error);
    if (status < 0)
        return status;
    if (status > 0)
        forget_masks(constraint);
    struct mask *mask = &constraint->masks[constraint->state % constraint->mask_count];
    *out = mask;
    if (mask->state == constraint->state)
        return 0;
    mask->state = MATCHER_DEAD;
    mask->allowed = 0;
    if (mask->bits)
        memset(mask->bits, 0, constraint->words * sizeof *mask->bits);
    else
        mask->bits = memory_try(constraint->words, sizeof *mask->bits);
    if (!mask->bits)
        return error_set(error, ENOMEM, "no memory for a grammar");
    status = walk(constraint, mask, error);
    if (status)
        return status;
    if (matcher_is_complete(constraint->matcher, constraint->state))
        allow_ends(constraint, mask);
    mask->state = constraint->state;
    return 0;
}

int32_t constraint_mask(struct constraint *constraint, float *logits, int32_t count,
                        struct error *error)
{
    struct mask *mask;
    int status = find_mask(constraint, &mask, error);
    if (status)
        return status;
    if (mask->allowed == 0 && !matcher_is_complete(constraint->matcher, constraint->state))
        return error_set(error, EILSEQ, "the grammar asks for bytes that no token has");
    for (int32_t token = 0; token < count; token++)
        if (token >= constraint->trie->vocabulary || !(mask->bits[token / 64] >> token % 64 & 1))
            logits[token] = -INFINITY;
    return mask->allowed;
}

/* ---- the answer ---- */

int constraint_accept(struct constraint *constraint, int32_t token, struct error *error)
{
    char piece[TOKEN_TRIE_DEPTH_MAX];
    int32_t state = constraint->state;
    if (tokenizer_is_end(constraint->tokenizer, token))
        return matcher_is_complete(constraint->matcher, state)
                   ? 0
                   : error_set(error, EINVAL, "token %d ends what the grammar has not", token);
    long length = tokenizer_decode(constraint->tokenizer, token, false, piece, sizeof piece);
    for (long i = 0; i < length && length <= TOKEN_TRIE_DEPTH_MAX && state > MATCHER_DEAD; i++)
        state = matcher_step(constraint->matcher, state, (uint8_t)piece[i], error);
    if (state < 0)
        return state;
    if (length <= 0 || length > TOKEN_TRIE_DEPTH_MAX || state == MATCHER_DEAD)
        return error_set(error, EINVAL, "token %d is not allowed by the grammar", token);
    constraint->state = state;
    return 0;
}

bool constraint_is_finished(const struct constraint *constraint)
{
    return !matcher_can_go_on(constraint->matcher, constraint->state);
}
