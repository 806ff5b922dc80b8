/* tiny_model.h - makes small models of random weights, and a vocabulary of single bytes.
 *
 * The weights are noise from a seed, so an answer is chaotic: one wrong bit anywhere soon changes
 * its tokens.  The vocabulary has one token for each byte and a few more, so an answer is chaotic
 * bytes too, rarely whole UTF-8 characters.
 *
 * Owns:     nothing; the writer is the caller's.
 * Promise:  out of memory aborts the test program.
 * Threads:  any.
 */
#ifndef TESTS_LIB_TINY_MODEL_H
#define TESTS_LIB_TINY_MODEL_H

#include "base/tensor.h"
#include "tests/lib/gguf_writer.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TINY_MODEL_BYTES = 256,      /* tokens 0..255: the bytes of their number */
    TINY_MODEL_HE = 256,         /* the one merge, "he" */
    TINY_MODEL_END = 257,        /* <|endoftext|>, the eos */
    TINY_MODEL_TURN_START = 258, /* <|im_start|> */
    TINY_MODEL_TURN_END = 259,   /* <|im_end|> */
    TINY_MODEL_VOCABULARY = 260,
};

struct tiny_model {
    const char *architecture;
    enum tensor_type type; /* of the matrices; not the k-quants */
    int32_t layers, width, heads, kv_heads, head_size, hidden, context;
    int32_t window;                /* 0: no key */
    int32_t experts, experts_used; /* 0: none */
    int32_t pooling;               /* of a model that embeds; 0: no key */
    float softcap;                 /* of attention and logits; 0: no keys */
    bool tied;                     /* no output.weight */
    bool fused;                    /* attn_qkv */
    bool single_experts;           /* a tensor for each, as in old files */
    bool odd_expert;               /* the last of the single ones is F32 */
    bool biased;                   /* q, k, v, output, gate, up and down have biases */
    bool chats;                    /* a ChatML template */
    bool ends;                     /* texts to embed end with the eos */
    uint64_t seed;
};

/* A llama: 2 layers, width 64, 4 heads of 16 over 2 kv heads, hidden 160 (96 would be no whole
 * number of anything), context 512.  What another architecture has besides follows from its row in
 * model/family.c. */
struct tiny_model tiny_model_new(enum tensor_type type, uint64_t seed);

/* The parts of a file. */
void tiny_model_keys(const struct tiny_model *model, struct gguf_writer *writer);
void tiny_model_vocabulary(const struct tiny_model *model, struct gguf_writer *writer);
void tiny_model_tensors(const struct tiny_model *model, struct gguf_writer *writer);

/* All of them, to a file.  Returns 0 or -errno. */
int tiny_model_save(const struct tiny_model *model, const char *path);

#endif
