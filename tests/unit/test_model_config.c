/* test_model_config.c - hostile and unusual metadata and tensors: each is refused by name. */
#include "model/model.h"
#include "tests/lib/tiny_model.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A file in memory. */
struct file {
    uint8_t *bytes;
    struct gguf *gguf;
};

static struct file finish(struct gguf_writer *writer)
{
    struct file file;
    size_t length;
    struct error error = {0};
    file.bytes = gguf_writer_finish(writer, &length);
    gguf_writer_free(writer);
    if (gguf_open_memory(file.bytes, length, &file.gguf, &error))
        fail_msg("%s", error.text);
    return file;
}

static void close_file(struct file *file)
{
    gguf_close(file->gguf);
    free(file->bytes);
}

/* ---- keys ---- */

/* One key of an otherwise good file, as another value or (type GGUF_ARRAY) left out. */
struct change {
    const char *key;
    enum gguf_type type;
    double value;
    const char *string;
};

static const struct change good[] = {
    {"llama.block_count", GGUF_UINT32, 2, NULL},
    {"llama.embedding_length", GGUF_UINT32, 64, NULL},
    {"llama.feed_forward_length", GGUF_UINT32, 160, NULL},
    {"llama.context_length", GGUF_UINT32, 512, NULL},
    {"llama.attention.head_count", GGUF_UINT32, 4, NULL},
    {"llama.attention.head_count_kv", GGUF_UINT32, 2, NULL},
    {"llama.attention.layer_norm_rms_epsilon", GGUF_FLOAT32, 1e-5, NULL},
    {"llama.rope.freq_base", GGUF_FLOAT32, 5e5, NULL},
    {"llama.vocab_size", GGUF_UINT32, 1000, NULL},
};

static void put(struct gguf_writer *writer, const struct change *change)
{
    if (change->type == GGUF_STRING)
        gguf_writer_string(writer, change->key, text_of(change->string));
    else if (change->type == GGUF_FLOAT32)
        gguf_writer_f32(writer, change->key, (float)change->value);
    else if (change->type != GGUF_ARRAY)
        gguf_writer_integer(writer, change->key, change->type, (int64_t)change->value);
}

/* Read the configuration of the good file with these changes. */
static int read_changed(const char *architecture, size_t count, const struct change *changes,
                        struct model_config *out, struct error *error)
{
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_string(&writer, "general.architecture", text_of(architecture));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        bool changed = false;
        for (size_t j = 0; j < count; j++)
            changed = changed || strcmp(good[i].key, changes[j].key) == 0;
        if (!changed)
            put(&writer, &good[i]);
    }
    for (size_t j = 0; j < count; j++)
        put(&writer, &changes[j]);
    struct file file = finish(&writer);
    int status = config_read(file.gguf, out, error);
    close_file(&file);
    return status;
}

static void a_good_file_gives_its_numbers(void **state)
{
    (void)state;
    struct model_config config;
    assert_int_equal(read_changed("llama", 0, NULL, &config, NULL), 0);
    assert_string_equal(config.family->name, "llama");
    assert_true(config.family->rope_interleaved);
    assert_int_equal(config.layers, 2);
    assert_int_equal(config.width, 64);
    assert_int_equal(config.heads, 4);
    assert_int_equal(config.kv_heads, 2);
    assert_int_equal(config.head_size, 16);
    assert_int_equal(config.hidden, 160);
    assert_int_equal(config.vocabulary, 1000);
    assert_int_equal(config.context, 512);
    assert_true(config.epsilon == 1e-5f && config.rope_base == 5e5f && config.rope_factor == 1);
}

static void missing_keys_take_their_defaults(void **state)
{
    (void)state;
    const struct change left_out[] = {
        {"llama.attention.head_count_kv", GGUF_ARRAY, 0, NULL},
        {"llama.rope.freq_base", GGUF_ARRAY, 0, NULL},
    };
    struct model_config config;
    assert_int_equal(read_changed("llama", 2, left_out, &config, NULL), 0);
    assert_int_equal(config.kv_heads, 4);
    assert_true(config.rope_base == 10000);
}

static void linear_rope_scaling_is_read_under_both_names(void **state)
{
    (void)state;
    const struct change named[] = {{"llama.rope.scaling.type", GGUF_STRING, 0, "linear"},
                                   {"llama.rope.scaling.factor", GGUF_FLOAT32, 4, NULL}};
    const struct change old[] = {{"llama.rope.scale_linear", GGUF_FLOAT32, 2, NULL}};
    const struct change zero[] = {{"llama.rope.scaling.factor", GGUF_FLOAT32, 0, NULL}};
    const struct change none[] = {{"llama.rope.scaling.type", GGUF_STRING, 0, "none"},
                                  {"llama.rope.scaling.factor", GGUF_FLOAT32, 4, NULL}};
    struct model_config config;
    assert_int_equal(read_changed("llama", 2, named, &config, NULL), 0);
    assert_true(config.rope_factor == 4);
    assert_int_equal(read_changed("llama", 1, old, &config, NULL), 0);
    assert_true(config.rope_factor == 2);
    assert_int_equal(read_changed("llama", 1, zero, &config, NULL), 0);
    assert_true(config.rope_factor == 1);
    assert_int_equal(read_changed("llama", 2, none, &config, NULL), 0);
    assert_true(config.rope_factor == 1);
}

static void values_out_of_range_are_refused_with_key_and_value(void **state)
{
    (void)state;
    static const struct {
        struct change change;
        const char *value; /* what the text must say beside the key */
    } cases[] = {
        {{"llama.block_count", GGUF_UINT32, 0, NULL}, " 0"},
        {{"llama.block_count", GGUF_UINT32, 513, NULL}, "513"},
        {{"llama.block_count", GGUF_UINT32, 4294967295.0, NULL}, "4294967295"},
        {{"llama.block_count", GGUF_INT32, -1, NULL}, ""},
        {{"llama.block_count", GGUF_STRING, 0, "2"}, ""},
        {{"llama.block_count", GGUF_ARRAY, 0, NULL}, "missing"},
        {{"llama.embedding_length", GGUF_UINT32, 0, NULL}, " 0"},
        {{"llama.embedding_length", GGUF_UINT32, 1 << 30, NULL}, "1073741824"},
        {{"llama.embedding_length", GGUF_ARRAY, 0, NULL}, "missing"},
        {{"llama.feed_forward_length", GGUF_UINT32, 0, NULL}, " 0"},
        {{"llama.feed_forward_length", GGUF_ARRAY, 0, NULL}, "missing"},
        {{"llama.context_length", GGUF_UINT32, 0, NULL}, " 0"},
        {{"llama.context_length", GGUF_UINT32, 4e9, NULL}, "4000000000"},
        {{"llama.attention.head_count", GGUF_UINT32, 0, NULL}, " 0"},
        {{"llama.attention.head_count", GGUF_UINT32, 2000, NULL}, "2000"},
        {{"llama.attention.head_count_kv", GGUF_UINT32, 0, NULL}, " 0"},
        {{"llama.attention.head_count_kv", GGUF_UINT32, 3, NULL}, "3"},
        {{"llama.attention.head_count_kv", GGUF_UINT32, 8, NULL}, "8"},
        {{"llama.attention.key_length", GGUF_UINT32, 0, NULL}, " 0"},
        {{"llama.attention.key_length", GGUF_UINT32, 15, NULL}, "15"},
        {{"llama.attention.key_length", GGUF_UINT32, 12, NULL}, "12"},
        {{"llama.attention.key_length", GGUF_UINT32, 520, NULL}, "520"},
        {{"llama.attention.value_length", GGUF_UINT32, 32, NULL}, "32"},
        {{"llama.rope.dimension_count", GGUF_UINT32, 8, NULL}, "8"},
        {{"llama.rope.freq_base", GGUF_FLOAT32, 0, NULL}, "0"},
        {{"llama.rope.freq_base", GGUF_FLOAT32, -1, NULL}, "-1"},
        {{"llama.rope.freq_base", GGUF_FLOAT32, NAN, NULL}, "not a number"},
        {{"llama.rope.scaling.type", GGUF_STRING, 0, "yarn"}, "yarn"},
        {{"llama.rope.scaling.type", GGUF_UINT32, 1, NULL}, ""},
        {{"llama.rope.scaling.factor", GGUF_FLOAT32, INFINITY, NULL}, "infinite"},
        {{"llama.rope.scaling.factor", GGUF_FLOAT32, -2, NULL}, "-2"},
        {{"llama.attention.layer_norm_rms_epsilon", GGUF_FLOAT32, 0, NULL}, "0"},
        {{"llama.attention.layer_norm_rms_epsilon", GGUF_FLOAT32, INFINITY, NULL}, "infinite"},
        {{"llama.attention.layer_norm_rms_epsilon", GGUF_ARRAY, 0, NULL}, "missing"},
        {{"llama.vocab_size", GGUF_UINT32, 0, NULL}, " 0"},
        {{"llama.vocab_size", GGUF_UINT32, 2e6, NULL}, "2000000"},
        {{"llama.vocab_size", GGUF_ARRAY, 0, NULL}, "missing"},
        {{"llama.expert_count", GGUF_UINT32, 8, NULL}, "8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_config config;
        struct error error = {0};
        int status = read_changed("llama", 1, &cases[i].change, &config, &error);
        if (status != -ENOEXEC || !strstr(error.text, cases[i].change.key) ||
            !strstr(error.text, cases[i].value))
            fail_msg("%s: %d \"%s\"", cases[i].change.key, status, error.text);
    }
}

static void a_width_without_heads_of_whole_size_is_refused(void **state)
{
    (void)state;
    const struct change narrow[] = {{"llama.embedding_length", GGUF_UINT32, 3, NULL}};
    const struct change odd[] = {{"llama.embedding_length", GGUF_UINT32, 100, NULL}};
    struct model_config config;
    assert_int_equal(read_changed("llama", 1, narrow, &config, NULL), -ENOEXEC);
    assert_int_equal(read_changed("llama", 1, odd, &config, NULL), -ENOEXEC);
}

static void an_unknown_architecture_is_refused_by_name(void **state)
{
    (void)state;
    struct model_config config;
    struct error error;
    assert_int_equal(read_changed("foo", 0, NULL, &config, &error), -ENOEXEC);
    assert_string_equal(error.text, "architecture \"foo\" is not supported");
    struct gguf_writer writer = gguf_writer_new();
    struct file file = finish(&writer);
    assert_int_equal(config_read(file.gguf, &config, &error), -ENOEXEC);
    assert_non_null(strstr(error.text, "general.architecture"));
    close_file(&file);
}

/* ---- tensors ---- */

static struct file tiny_file(const struct tiny_model *model, const struct tiny_model *tensors)
{
    struct gguf_writer writer = gguf_writer_new();
    tiny_model_keys(model, &writer);
    tiny_model_vocabulary(model, &writer);
    tiny_model_tensors(tensors, &writer);
    return finish(&writer);
}

static void expect_refusal(const struct tiny_model *model, const struct tiny_model *tensors,
                           const char *name)
{
    struct file file = tiny_file(model, tensors);
    struct model opened;
    struct error error = {0};
    int status = model_open(file.gguf, &opened, &error);
    if (status != -ENOEXEC || !strstr(error.text, name))
        fail_msg("expected %s: %d \"%s\"", name, status, error.text);
    close_file(&file);
}

static void tensors_are_bound_with_and_without_optional_ones(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 1);
    for (int i = 0; i < 2; i++) {
        tiny.tied = tiny.biased = i;
        struct file file = tiny_file(&tiny, &tiny);
        struct model model;
        assert_int_equal(model_open(file.gguf, &model, NULL), 0);
        assert_int_equal(model.embedding.data == model.head.data, i);
        assert_int_equal(model.layers[1].query.bias != NULL, i);
        assert_int_equal(model.layers[1].down.bias != NULL, i);
        assert_null(model.rope_factors);
        model_close(&model);
        close_file(&file);
    }
}

static void tensors_of_other_shapes_are_refused_by_name(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_F32, 1);
    struct tiny_model other = tiny;
    other.layers = 1;
    expect_refusal(&tiny, &other, "blk.1.attn_norm.weight");
    other = tiny;
    other.hidden = 192;
    expect_refusal(&tiny, &other, "blk.0.ffn_gate.weight");
    other = tiny;
    other.kv_heads = 4;
    expect_refusal(&tiny, &other, "blk.0.attn_k.weight");
    other = tiny;
    other.width = 32;
    expect_refusal(&tiny, &other, "token_embd.weight");
}

/* A good file with one tensor in front that it does not usually have. */
static int open_with(const char *name, uint32_t type, uint64_t items, const void *bytes,
                     size_t length, struct model *out, struct file *file, struct error *error)
{
    const struct tiny_model tiny = tiny_model_new(TENSOR_F32, 1);
    struct gguf_writer writer = gguf_writer_new();
    tiny_model_keys(&tiny, &writer);
    tiny_model_vocabulary(&tiny, &writer);
    gguf_writer_tensor(&writer, name, type, 1, &items, bytes, length);
    tiny_model_tensors(&tiny, &writer);
    *file = finish(&writer);
    return model_open(file->gguf, out, error);
}

static void rope_factors_are_read_and_checked(void **state)
{
    (void)state;
    float factors[8] = {1, 1, 2, 4, 8, 8, 8, 8};
    struct model model;
    struct file file;
    struct error error;
    assert_int_equal(
        open_with("rope_freqs.weight", TENSOR_F32, 8, factors, sizeof factors, &model, &file, NULL),
        0);
    assert_memory_equal(model.rope_factors, factors, sizeof factors);
    model_close(&model);
    close_file(&file);

    factors[3] = 0;
    assert_int_equal(open_with("rope_freqs.weight", TENSOR_F32, 8, factors, sizeof factors, &model,
                               &file, &error),
                     -ENOEXEC);
    assert_non_null(strstr(error.text, "rope_freqs.weight[3]"));
    close_file(&file);
    assert_int_equal(
        open_with("rope_freqs.weight", TENSOR_F32, 4, factors, 16, &model, &file, &error),
        -ENOEXEC);
    close_file(&file);
}

static void biases_must_be_floats_of_the_right_number(void **state)
{
    (void)state;
    const char zeros[64 * 4] = {0};
    struct model model;
    struct file file;
    struct error error;
    assert_int_equal(
        open_with("blk.0.attn_q.bias", TENSOR_F16, 64, zeros, 128, &model, &file, &error),
        -ENOEXEC);
    assert_non_null(strstr(error.text, "blk.0.attn_q.bias"));
    close_file(&file);
    assert_int_equal(
        open_with("blk.0.attn_k.bias", TENSOR_F32, 64, zeros, 256, &model, &file, &error),
        -ENOEXEC);
    assert_non_null(strstr(error.text, "blk.0.attn_k.bias"));
    close_file(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_gives_its_numbers),
        cmocka_unit_test(missing_keys_take_their_defaults),
        cmocka_unit_test(linear_rope_scaling_is_read_under_both_names),
        cmocka_unit_test(values_out_of_range_are_refused_with_key_and_value),
        cmocka_unit_test(a_width_without_heads_of_whole_size_is_refused),
        cmocka_unit_test(an_unknown_architecture_is_refused_by_name),
        cmocka_unit_test(tensors_are_bound_with_and_without_optional_ones),
        cmocka_unit_test(tensors_of_other_shapes_are_refused_by_name),
        cmocka_unit_test(rope_factors_are_read_and_checked),
        cmocka_unit_test(biases_must_be_floats_of_the_right_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
