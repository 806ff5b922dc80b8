/* test_model_config.c - hostile and unusual metadata and tensors: each is refused by name. */
#include "model/model.h"
#include "tests/lib/tiny_model.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
    else if (change->type == GGUF_BOOL)
        gguf_writer_bool(writer, change->key, change->value != 0);
    else if (change->type == GGUF_FLOAT32)
        gguf_writer_f32(writer, change->key, (float)change->value);
    else if (change->type != GGUF_ARRAY)
        gguf_writer_integer(writer, change->key, change->type, (int64_t)change->value);
}

/* The good file's keys are llama's; another architecture's have its name in front. */
static const char *renamed(const char *architecture, const char *key, char *text, size_t bytes)
{
    snprintf(text, bytes, "%s%s", architecture, key + strlen("llama"));
    return text;
}

/* Read the configuration of the good file with these changes; their keys are written in full. */
static int read_changed(const char *architecture, size_t count, const struct change *changes,
                        struct model_config *out, struct error *error)
{
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_string(&writer, "general.architecture", text_of(architecture));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        bool changed = false;
        char text[128];
        struct change kept = good[i];
        kept.key = renamed(architecture, good[i].key, text, sizeof text);
        for (size_t j = 0; j < count; j++)
            changed = changed || strcmp(kept.key, changes[j].key) == 0;
        if (!changed)
            put(&writer, &kept);
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
    assert_true(config.rope.interleaved);
    assert_int_equal(config.layers, 2);
    assert_int_equal(config.width, 64);
    assert_int_equal(config.heads, 4);
    assert_int_equal(config.kv_heads, 2);
    assert_int_equal(config.head_size, 16);
    assert_int_equal(config.hidden, 160);
    assert_int_equal(config.vocabulary, 1000);
    assert_int_equal(config.context, 512);
    assert_true(config.epsilon == 1e-5f && config.rope.base == 5e5f && config.rope.factor == 1);
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
    assert_true(config.rope.base == 10000);
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
    assert_true(config.rope.factor == 4);
    assert_int_equal(read_changed("llama", 1, old, &config, NULL), 0);
    assert_true(config.rope.factor == 2);
    assert_int_equal(read_changed("llama", 1, zero, &config, NULL), 0);
    assert_true(config.rope.factor == 1);
    assert_int_equal(read_changed("llama", 2, none, &config, NULL), 0);
    assert_true(config.rope.factor == 1);
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
        {{"llama.rope.dimension_count", GGUF_UINT32, 0, NULL}, " 0"},
        {{"llama.rope.scaling.type", GGUF_STRING, 0, "dynamic"}, "dynamic"},
        {{"llama.rope.scaling.original_context_length", GGUF_UINT32, 0, NULL}, " 0"},
        {{"llama.rope.scaling.attn_factor", GGUF_FLOAT32, 0, NULL}, "0"},
        {{"llama.attention.scale", GGUF_FLOAT32, 0, NULL}, "0"},
        {{"llama.attention.scale", GGUF_FLOAT32, NAN, NULL}, "not a number"},
        {{"llama.attn_logit_softcapping", GGUF_FLOAT32, -1, NULL}, "-1"},
        {{"llama.final_logit_softcapping", GGUF_FLOAT32, INFINITY, NULL}, "infinite"},
        {{"llama.attention.causal", GGUF_UINT32, 1, NULL}, ""},
        {{"llama.attention.causal", GGUF_BOOL, 0, NULL}, "false"},
        {{"llama.pooling_type", GGUF_UINT32, 5, NULL}, "5"},
        {{"llama.pooling_type", GGUF_UINT32, 4, NULL}, "scores pairs"},
        {{"llama.rope.scaling.type", GGUF_UINT32, 1, NULL}, ""},
        {{"llama.rope.scaling.factor", GGUF_FLOAT32, INFINITY, NULL}, "infinite"},
        {{"llama.rope.scaling.factor", GGUF_FLOAT32, -2, NULL}, "-2"},
        {{"llama.attention.layer_norm_rms_epsilon", GGUF_FLOAT32, 0, NULL}, "0"},
        {{"llama.attention.layer_norm_rms_epsilon", GGUF_FLOAT32, INFINITY, NULL}, "infinite"},
        {{"llama.attention.layer_norm_rms_epsilon", GGUF_ARRAY, 0, NULL}, "missing"},
        {{"llama.vocab_size", GGUF_UINT32, 0, NULL}, " 0"},
        {{"llama.vocab_size", GGUF_UINT32, 2e6, NULL}, "2000000"},
        {{"llama.vocab_size", GGUF_ARRAY, 0, NULL}, "missing"},
        {{"llama.expert_count", GGUF_UINT32, 513, NULL}, "513"},
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

/* Values that are wrong in company, or in another architecture. */
static void contradictions_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *architecture;
        struct change changes[2];
        const char *named;
    } cases[] = {
        {"llama", {{"llama.expert_count", GGUF_UINT32, 8, NULL}}, "llama.expert_used_count"},
        {"llama",
         {{"llama.expert_count", GGUF_UINT32, 8, NULL},
          {"llama.expert_used_count", GGUF_UINT32, 9, NULL}},
         "llama.expert_used_count is 9"},
        {"llama",
         {{"llama.expert_count", GGUF_UINT32, 100, NULL},
          {"llama.expert_used_count", GGUF_UINT32, 65, NULL}},
         "llama.expert_used_count is 65"},
        {"qwen2", {{"qwen2.expert_count", GGUF_UINT32, 8, NULL}}, "qwen2.expert_count is 8"},
        {"qwen3moe", {{"qwen3moe.block_count", GGUF_UINT32, 2, NULL}}, "qwen3moe.expert_count"},
        {"qwen2", {{"qwen2.rope.dimension_count", GGUF_UINT32, 15, NULL}}, "dimension_count is 15"},
        {"qwen2", {{"qwen2.rope.dimension_count", GGUF_UINT32, 32, NULL}}, "dimension_count is 32"},
        {"qwen2",
         {{"qwen2.rope.scaling.type", GGUF_STRING, 0, "yarn"},
          {"qwen2.rope.freq_base", GGUF_FLOAT32, 1, NULL}},
         "qwen2.rope.freq_base is 1"},
        {"qwen2",
         {{"qwen2.rope.scaling.type", GGUF_STRING, 0, "yarn"},
          {"qwen2.rope.scaling.yarn_beta_fast", GGUF_FLOAT32, 0, NULL}},
         "qwen2.rope.scaling.yarn_beta_fast is 0"},
        {"gemma3",
         {{"gemma3.attention.sliding_window", GGUF_UINT32, 16, NULL},
          {"gemma3.attention.sliding_window_pattern", GGUF_UINT32, 600, NULL}},
         "sliding_window_pattern is 600"},
        {"gemma3", {{"gemma3.rope.freq_base_swa", GGUF_FLOAT32, -1, NULL}}, "freq_base_swa is -1"},
        {"gpt2", {{"gpt2.block_count", GGUF_UINT32, 2, NULL}}, "gpt2.attention.layer_norm_epsilon"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_config config;
        struct error error = {0};
        size_t count = cases[i].changes[1].key ? 2 : 1;
        int status = read_changed(cases[i].architecture, count, cases[i].changes, &config, &error);
        if (status != -ENOEXEC || !strstr(error.text, cases[i].named))
            fail_msg("%s: %d \"%s\"", cases[i].named, status, error.text);
    }
}

static void lists_of_numbers_by_layer_are_refused(void **state)
{
    (void)state;
    const uint32_t heads[] = {4, 2};
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_string(&writer, "general.architecture", text_of("llama"));
    gguf_writer_array(&writer, "llama.attention.head_count", GGUF_UINT32, 2, heads, sizeof heads);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (strcmp(good[i].key, "llama.attention.head_count") != 0)
            put(&writer, &good[i]);
    struct file file = finish(&writer);
    struct model_config config;
    struct error error = {0};
    assert_int_equal(config_read(file.gguf, &config, &error), -ENOEXEC);
    assert_non_null(strstr(error.text, "llama.attention.head_count"));
    close_file(&file);
}

static void windows_come_from_a_period_or_a_list(void **state)
{
    (void)state;
    const struct change window = {"gemma3.attention.sliding_window", GGUF_UINT32, 16, NULL};
    const struct change layers = {"gemma3.block_count", GGUF_UINT32, 7, NULL};
    const struct change usual[] = {window, layers};
    const struct change none[] = {layers};
    const struct change third[] = {
        window, layers, {"gemma3.attention.sliding_window_pattern", GGUF_UINT32, 3, NULL}};
    struct model_config config;
    assert_int_equal(read_changed("gemma3", 2, usual, &config, NULL), 0);
    assert_int_equal(config.window, 16);
    for (int i = 0; i < 7; i++)
        assert_int_equal(config.windowed[i], i != 5);
    assert_true(config.rope.window_base == 10000 && config.rope.base == 5e5f);
    assert_int_equal(read_changed("gemma3", 3, third, &config, NULL), 0);
    for (int i = 0; i < 7; i++)
        assert_int_equal(config.windowed[i], i != 2 && i != 5);
    assert_int_equal(read_changed("gemma3", 1, none, &config, NULL), 0);
    assert_int_equal(config.window, 0);
    assert_false(config.windowed[0]);
    const struct change vain = {"qwen2.attention.sliding_window", GGUF_UINT32, 16, NULL};
    assert_int_equal(read_changed("qwen2", 1, &vain, &config, NULL), 0);
    assert_int_equal(config.window, 0);
}

/* Also a list that is too short. */
static void a_list_of_windows_has_an_item_for_each_layer(void **state)
{
    (void)state;
    for (uint64_t count = 1; count <= 2; count++) {
        const uint8_t list[] = {0, 1};
        struct tiny_model tiny = tiny_model_new(TENSOR_F32, 1);
        struct gguf_writer writer = gguf_writer_new();
        struct model_config config;
        struct error error = {0};
        tiny.architecture = "gemma3";
        tiny.window = 8;
        tiny_model_keys(&tiny, &writer);
        tiny_model_vocabulary(&tiny, &writer);
        gguf_writer_array(&writer, "gemma3.attention.sliding_window_pattern", GGUF_BOOL, count,
                          list, count);
        struct file file = finish(&writer);
        assert_int_equal(config_read(file.gguf, &config, &error), count == 2 ? 0 : -ENOEXEC);
        if (count == 2)
            assert_true(!config.windowed[0] && config.windowed[1]);
        else
            assert_non_null(strstr(error.text, "has 1 items for 2 layers"));
        close_file(&file);
    }
}

static void magnitudes_follow_the_papers(void **state)
{
    (void)state;
    const struct change yarn[] = {
        {"llama.rope.scaling.type", GGUF_STRING, 0, "yarn"},
        {"llama.rope.scaling.factor", GGUF_FLOAT32, 4, NULL},
        {"llama.rope.scaling.original_context_length", GGUF_UINT32, 128, NULL},
        {"llama.rope.scaling.yarn_log_multiplier", GGUF_FLOAT32, 0.5, NULL},
        {"llama.rope.scaling.yarn_attn_factor", GGUF_FLOAT32, 1.3, NULL},
    };
    const struct change longrope[] = {
        {"llama.rope.scaling.type", GGUF_STRING, 0, "longrope"},
        {"llama.rope.scaling.original_context_length", GGUF_UINT32, 128, NULL},
        {"llama.rope.scaling.attn_factor", GGUF_FLOAT32, 1.2, NULL},
    };
    const float usual = 1 + 0.1f * logf(4);
    struct model_config config;
    assert_int_equal(read_changed("llama", 3, yarn, &config, NULL), 0);
    assert_int_equal(config.rope.scaling, CONFIG_YARN);
    assert_int_equal(config.rope.original, 128);
    assert_true(config.rope.beta_fast == 32 && config.rope.beta_slow == 1);
    assert_float_equal(config.rope.magnitude, usual, 1e-6);
    assert_int_equal(read_changed("llama", 4, yarn, &config, NULL), 0);
    assert_float_equal(config.rope.magnitude, usual / (1 + 0.05f * logf(4)), 1e-6);
    assert_int_equal(read_changed("llama", 5, yarn, &config, NULL), 0);
    assert_float_equal(config.rope.magnitude, 1.3, 1e-6);
    assert_int_equal(read_changed("llama", 2, longrope, &config, NULL), 0);
    assert_float_equal(config.rope.magnitude, sqrt(1 + log(4) / log(128)), 1e-6);
    assert_int_equal(read_changed("llama", 3, longrope, &config, NULL), 0);
    assert_float_equal(config.rope.magnitude, 1.2, 1e-6);
}

static void a_folder_says_how_its_heads_turn(void **state)
{
    (void)state;
    const struct change folder = {"inferfs.rope.halves", GGUF_BOOL, 1, NULL};
    struct model_config config;
    assert_int_equal(read_changed("llama", 1, &folder, &config, NULL), 0);
    assert_false(config.rope.interleaved);
    assert_int_equal(read_changed("qwen3", 0, NULL, &config, NULL), 0);
    assert_false(config.rope.interleaved);
    assert_int_equal(read_changed("smollm3", 0, NULL, &config, NULL), 0);
    assert_true(config.rope.interleaved);
    assert_true(config_turns(&config, 2) && !config_turns(&config, 3));
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
        assert_int_equal(model.embedding.data == model.head.weight.data, i);
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
    assert_null(model.rope_short);
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

/* One of the two lists alone. */
static void longrope_needs_both_lists(void **state)
{
    (void)state;
    const float factors[8] = {1, 1, 2, 4, 8, 8, 8, 8};
    static const char *const names[][2] = {
        {"rope_factors_long.weight", "rope_factors_short.weight"},
        {"rope_factors_short.weight", "rope_factors_long.weight"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct model model;
        struct file file;
        struct error error = {0};
        assert_int_equal(
            open_with(names[i][0], TENSOR_F32, 8, factors, sizeof factors, &model, &file, &error),
            -ENOEXEC);
        assert_non_null(strstr(error.text, names[i][1]));
        close_file(&file);
    }
}

static struct tiny_model tiny_of(const char *architecture)
{
    struct tiny_model tiny = tiny_model_new(TENSOR_F32, 1);
    tiny.architecture = architecture;
    return tiny;
}

static void fused_tensors_are_bound_as_their_parts(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_of("phi3");
    tiny.fused = tiny.biased = true;
    struct file file = tiny_file(&tiny, &tiny);
    struct model model;
    assert_int_equal(model_open(file.gguf, &model, NULL), 0);
    const struct tensor *fused = gguf_tensor(file.gguf, "blk.1.attn_qkv.weight");
    const struct tensor *up = gguf_tensor(file.gguf, "blk.1.ffn_up.weight");
    const struct layer *layer = &model.layers[1];
    const size_t row = 64 * sizeof(float);
    assert_ptr_equal(layer->query.weight.data, fused->data);
    assert_ptr_equal(layer->key.weight.data, fused->data + 64 * row);
    assert_ptr_equal(layer->value.weight.data, fused->data + (64 + 32) * row);
    assert_int_equal(layer->value.weight.rows, 32);
    assert_ptr_equal(layer->value.bias, layer->query.bias + 64 + 32);
    assert_ptr_equal(layer->gate.weight.data, up->data);
    assert_ptr_equal(layer->up.weight.data, up->data + 160 * row);
    assert_int_equal(layer->up.weight.rows, 160);
    model_close(&model);
    close_file(&file);
    struct tiny_model other = tiny;
    other.kv_heads = 4;
    expect_refusal(&tiny, &other, "blk.0.attn_qkv.weight");
}

static void experts_are_bound_stacked_and_single(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_of("llama");
    tiny.experts = 4;
    tiny.experts_used = 2;
    for (int i = 0; i < 2; i++) {
        tiny.single_experts = i;
        struct file file = tiny_file(&tiny, &tiny);
        struct model model;
        assert_int_equal(model_open(file.gguf, &model, NULL), 0);
        const struct tensor *down =
            gguf_tensor(file.gguf, i ? "blk.1.ffn_down.3.weight" : "blk.1.ffn_down_exps.weight");
        const struct matrix *bound = &model.layers[1].experts[3].down;
        assert_ptr_equal(bound->data, down->data + (i ? 0 : 3 * 64 * 160 * sizeof(float)));
        assert_true(bound->rows == 64 && bound->columns == 160);
        assert_int_equal(model.layers[0].router.weight.rows, 4);
        model_close(&model);
        close_file(&file);
    }
    struct tiny_model other = tiny;
    other.type = tiny.type = TENSOR_Q8_0;
    other.odd_expert = true;
    expect_refusal(&other, &other, "blk.0.ffn_gate.3.weight has the type F32, that of the first");
    other = tiny_of("llama");
    other.experts = 3;
    expect_refusal(&tiny, &other, "blk.0.ffn_gate_inp.weight");
    tiny.single_experts = false;
    other = tiny;
    other.hidden = 64;
    expect_refusal(&tiny, &other, "blk.0.ffn_gate_exps.weight");
}

static void the_norms_of_each_family_are_needed(void **state)
{
    (void)state;
    const struct tiny_model llama = tiny_of("llama"), gpt2 = tiny_of("gpt2");
    const struct tiny_model qwen2 = tiny_of("qwen2"), bert = tiny_of("bert");
    const struct tiny_model qwen3 = tiny_of("qwen3"), gemma2 = tiny_of("gemma2");
    expect_refusal(&qwen3, &llama, "blk.0.attn_q_norm.weight is missing");
    expect_refusal(&gemma2, &qwen2, "blk.0.post_attention_norm.weight is missing");
    expect_refusal(&gpt2, &llama, "position_embd.weight is missing");
    expect_refusal(&bert, &gpt2, "token_embd_norm.weight is missing");
}

static void the_context_ends_with_the_learned_positions(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_of("gpt2");
    struct tiny_model tensors = tiny;
    tensors.context = 100;
    struct file file = tiny_file(&tiny, &tensors);
    struct model model;
    assert_int_equal(model_open(file.gguf, &model, NULL), 0);
    assert_int_equal(model.config.context, 100);
    assert_int_equal(model.positions.rows, 100);
    assert_int_equal(model.config.rope.rotated, 0);
    model_close(&model);
    close_file(&file);
}

static void encoders_are_bound_with_what_they_need(void **state)
{
    (void)state;
    static const char *const names[] = {"bert", "nomic-bert"};
    for (size_t i = 0; i < 2; i++) {
        struct tiny_model tiny = tiny_of(names[i]);
        tiny.biased = true;
        struct file file = tiny_file(&tiny, &tiny);
        struct model model;
        assert_int_equal(model_open(file.gguf, &model, NULL), 0);
        assert_false(model.config.causal);
        assert_int_equal(model.token_types.rows, 2);
        assert_int_equal(model.positions.rows, i ? 0 : 512);
        assert_int_equal(model.config.rope.rotated, i ? 16 : 0);
        assert_non_null(model.embedding_norm.bias);
        assert_non_null(model.layers[1].attention_after.bias);
        assert_non_null(model.layers[1].hidden_after.weight);
        assert_null(model.layers[1].attention_norm.weight);
        assert_null(model.output_norm.weight);
        assert_int_equal(model.layers[1].gate.weight.data != NULL, i);
        model_close(&model);
        close_file(&file);
    }
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
        cmocka_unit_test(contradictions_are_refused_by_name),
        cmocka_unit_test(lists_of_numbers_by_layer_are_refused),
        cmocka_unit_test(windows_come_from_a_period_or_a_list),
        cmocka_unit_test(a_list_of_windows_has_an_item_for_each_layer),
        cmocka_unit_test(magnitudes_follow_the_papers),
        cmocka_unit_test(a_folder_says_how_its_heads_turn),
        cmocka_unit_test(a_width_without_heads_of_whole_size_is_refused),
        cmocka_unit_test(an_unknown_architecture_is_refused_by_name),
        cmocka_unit_test(tensors_are_bound_with_and_without_optional_ones),
        cmocka_unit_test(tensors_of_other_shapes_are_refused_by_name),
        cmocka_unit_test(rope_factors_are_read_and_checked),
        cmocka_unit_test(longrope_needs_both_lists),
        cmocka_unit_test(fused_tensors_are_bound_as_their_parts),
        cmocka_unit_test(experts_are_bound_stacked_and_single),
        cmocka_unit_test(the_norms_of_each_family_are_needed),
        cmocka_unit_test(the_context_ends_with_the_learned_positions),
        cmocka_unit_test(encoders_are_bound_with_what_they_need),
        cmocka_unit_test(biases_must_be_floats_of_the_right_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
