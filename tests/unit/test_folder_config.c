/* test_folder_config.c - the configurations of Hugging Face folders in the words of GGUF, and those
 * that are refused, with a sentence that names the place. */
#include "tests/lib/folder_bench.h"

/* ---- keys ---- */

static void numbers_become_keys_of_the_architecture(void **state)
{
    (void)state;
    struct model model = open_config("{" QWEN2 ",\"head_dim\":24,\"rope_theta\":1000000.0}");
    expect_word(&model, "general.architecture", "qwen2");
    expect_u32(&model, "qwen2.block_count", 1);
    expect_u32(&model, "qwen2.embedding_length", 64);
    expect_u32(&model, "qwen2.feed_forward_length", 128);
    expect_u32(&model, "qwen2.context_length", 256);
    expect_u32(&model, "qwen2.attention.head_count", 4);
    expect_u32(&model, "qwen2.attention.head_count_kv", 2);
    expect_u32(&model, "qwen2.attention.key_length", 24);
    expect_u32(&model, "qwen2.attention.value_length", 24);
    expect_u32(&model, "qwen2.vocab_size", 32);
    expect_f32(&model, "qwen2.attention.layer_norm_rms_epsilon", 1e-6);
    expect_f32(&model, "qwen2.rope.freq_base", 1e6);
    expect_word(&model, "qwen2.rope.scaling.type", "none");
    expect_absent(&model, "inferfs.rope.halves");
    close_model(&model);
}

static void llama_and_mistral_rotate_halves(void **state)
{
    (void)state;
    struct model model = open_config("{" LLAMA "}");
    bool halves = false;
    expect_word(&model, "general.architecture", "llama");
    assert_int_equal(gguf_get_bool(model.gguf, "inferfs.rope.halves", &halves, NULL), 0);
    assert_true(halves);
    expect_absent(&model, "llama.attention.head_count_kv");
    close_model(&model);
    model = open_config("{\"architectures\":[\"MistralForCausalLM\"],\"num_hidden_layers\":1,"
                        "\"hidden_size\":64,\"intermediate_size\":128,"
                        "\"max_position_embeddings\":256,\"num_attention_heads\":4,"
                        "\"head_dim\":null,\"rms_norm_eps\":1e-06,\"vocab_size\":32,"
                        "\"sliding_window\":4096,\"torch_dtype\":\"bfloat16\"}");
    expect_word(&model, "general.architecture", "llama");
    close_model(&model);
}

static void gpt2_has_four_times_its_width(void **state)
{
    (void)state;
    struct model model = open_config("{" GPT2 ",\"n_inner\":null}");
    expect_u32(&model, "gpt2.feed_forward_length", 256);
    expect_u32(&model, "gpt2.context_length", 128);
    expect_f32(&model, "gpt2.attention.layer_norm_epsilon", 1e-5);
    expect_absent(&model, "gpt2.rope.freq_base");
    close_model(&model);
    model = open_config("{" GPT2 ",\"n_inner\":100}");
    expect_u32(&model, "gpt2.feed_forward_length", 100);
    close_model(&model);
}

static void gemma3_fills_in_what_its_configurations_leave_out(void **state)
{
    (void)state;
    struct model model = open_config("{" GEMMA3 ",\"rope_scaling\":{\"factor\":8.0,"
                                     "\"rope_type\":\"linear\"},\"query_pre_attn_scalar\":168}");
    expect_u32(&model, "gemma3.attention.head_count", 8);
    expect_u32(&model, "gemma3.attention.head_count_kv", 4);
    expect_u32(&model, "gemma3.attention.key_length", 256);
    expect_u32(&model, "gemma3.vocab_size", 262208);
    expect_u32(&model, "gemma3.attention.sliding_window", 16);
    expect_u32(&model, "gemma3.attention.sliding_window_pattern", 6);
    expect_f32(&model, "gemma3.attention.scale", 1 / sqrt(168));
    expect_f32(&model, "gemma3.rope.freq_base", 1e6);
    expect_f32(&model, "gemma3.rope.freq_base_swa", 1e4);
    expect_word(&model, "gemma3.rope.scaling.type", "linear");
    expect_f32(&model, "gemma3.rope.scaling.factor", 8);
    close_model(&model);
}

static void gemma3_says_for_each_layer_whether_it_slides(void **state)
{
    (void)state;
    struct model model =
        open_config("{" GEMMA3 ",\"layer_types\":[\"sliding_attention\",\"full_attention\"],"
                    "\"rope_parameters\":{\"full_attention\":{\"rope_theta\":5e5,"
                    "\"rope_type\":\"default\"},\"sliding_attention\":{\"rope_theta\":2e4}}}");
    const struct gguf_value *pattern;
    assert_int_equal(gguf_get_array(model.gguf, "gemma3.attention.sliding_window_pattern",
                                    GGUF_BOOL, &pattern, NULL),
                     0);
    assert_int_equal(pattern->count, 2);
    assert_memory_equal(pattern->data, "\1\0", 2);
    expect_f32(&model, "gemma3.rope.freq_base", 5e5);
    expect_f32(&model, "gemma3.rope.freq_base_swa", 2e4);
    close_model(&model);
}

static void a_model_that_also_sees_is_read_as_its_language_model(void **state)
{
    (void)state;
    struct folder_texts texts = {
        .config = text_of("{\"architectures\":[\"Gemma3ForConditionalGeneration\"],"
                          "\"text_config\":{\"num_hidden_layers\":1,\"hidden_size\":64,"
                          "\"intermediate_size\":128,\"sliding_window\":1024}}")};
    struct safetensors_writer writer = safetensors_writer_new();
    safetensors_writer_tensor(&writer, "language_model.model.embed_tokens.weight", "BF16", 32, 64);
    safetensors_writer_tensor(&writer, "vision_tower.vision_model.post_layernorm.weight", "BF16", 0,
                              8);
    struct model model = open_with(&texts, writer);
    expect_u32(&model, "gemma3.embedding_length", 64);
    assert_int_equal(gguf_tensor_count(model.gguf), 1);
    need(&model, "token_embd.weight");
    close_model(&model);
}

/* ---- rotation ---- */

static void linear_scaling_under_both_of_its_names(void **state)
{
    (void)state;
    static const char *const configs[] = {
        "{" QWEN2 ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.5}}",
        "{" QWEN2 ",\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":2.5,"
        "\"rope_theta\":10000.0}}"};
    for (size_t i = 0; i < 2; i++) {
        struct model model = open_config(configs[i]);
        expect_word(&model, "qwen2.rope.scaling.type", "linear");
        expect_f32(&model, "qwen2.rope.scaling.factor", 2.5);
        close_model(&model);
    }
}

static void yarn_keeps_its_parameters(void **state)
{
    (void)state;
    struct model model =
        open_config("{" QWEN2 ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,"
                    "\"original_max_position_embeddings\":64,\"beta_fast\":16}}");
    expect_word(&model, "qwen2.rope.scaling.type", "yarn");
    expect_f32(&model, "qwen2.rope.scaling.factor", 4);
    expect_u32(&model, "qwen2.rope.scaling.original_context_length", 64);
    expect_f32(&model, "qwen2.rope.scaling.yarn_beta_fast", 16);
    expect_f32(&model, "qwen2.rope.scaling.yarn_beta_slow", 1);
    expect_absent(&model, "qwen2.rope.scaling.yarn_attn_factor");
    close_model(&model);
    model = open_config("{" QWEN2 ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,"
                        "\"attention_factor\":2.0}}");
    expect_u32(&model, "qwen2.rope.scaling.original_context_length", 256);
    expect_f32(&model, "qwen2.rope.scaling.yarn_attn_factor", 2);
    close_model(&model);
}

/* The reference: the ratio of inverse frequencies that transformers 5 computes with and without
 * this scaling. */
static void llama3_divides_frequencies_as_transformers_does(void **state)
{
    (void)state;
    static const double expected[] = {1, 2.4422593, 8, 8, 8, 8, 8, 8};
    struct model model =
        open_config("{" LLAMA ",\"rope_theta\":500000.0,\"rope_scaling\":{\"rope_type\":\"llama3\","
                    "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                    "\"original_max_position_embeddings\":64}}");
    const struct tensor *tensor = need(&model, "rope_freqs.weight");
    const float *divisors = (const void *)tensor->data;
    assert_int_equal(tensor->shape[0], 8);
    for (size_t i = 0; i < 8; i++)
        assert_true(fabs(divisors[i] / expected[i] - 1) < 1e-6);
    expect_word(&model, "llama.rope.scaling.type", "none");
    close_model(&model);
}

static void longrope_lists_become_tensors(void **state)
{
    (void)state;
    struct model model = open_config(
        "{" PHI3 ",\"original_max_position_embeddings\":64,\"rope_scaling\":{\"type\":\"longrope\","
        "\"short_factor\":[1.0,1.5],\"long_factor\":[2,3]}}");
    const float *longer = (const void *)need(&model, "rope_factors_long.weight")->data;
    const float *shorter = (const void *)need(&model, "rope_factors_short.weight")->data;
    assert_true(longer[0] == 2 && longer[1] == 3 && shorter[0] == 1 && shorter[1] == 1.5F);
    expect_u32(&model, "phi3.rope.scaling.original_context_length", 64);
    expect_f32(&model, "phi3.rope.scaling.attn_factor", sqrt(1 + log(4) / log(64)));
    close_model(&model);
}

static void dynamic_scaling_begins_beyond_the_context(void **state)
{
    (void)state;
    struct model model =
        open_config("{" QWEN2 ",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.0}}");
    expect_word(&model, "qwen2.rope.scaling.type", "none");
    expect_u32(&model, "qwen2.context_length", 256);
    close_model(&model);
}

static void a_part_of_each_head_is_rotated(void **state)
{
    (void)state;
    struct model model = open_config("{" LLAMA ",\"partial_rotary_factor\":0.5}");
    expect_u32(&model, "llama.rope.dimension_count", 8);
    close_model(&model);
}

static void refuses_rotations_that_make_no_sense(void **state)
{
    (void)state;
    expect_refused("{" LLAMA ",\"rope_scaling\":{\"type\":\"spiral\"}}",
                   "rope type \"spiral\" is not supported");
    expect_refused("{" LLAMA ",\"rope_scaling\":[]}", "rope_scaling is not an object");
    expect_refused("{" LLAMA ",\"rope_scaling\":{\"type\":7}}", "type is not a string");
    expect_refused("{" LLAMA ",\"rope_theta\":0}", "rope_theta is 0, not above 0");
    expect_refused("{" LLAMA ",\"rope_theta\":-1e4}", "rope_theta is -10000, not above 0");
    expect_refused("{" LLAMA ",\"rope_theta\":1e300}", "rope_theta is 1e+300, too large");
    expect_refused("{" LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":\"2\"}}",
                   "factor is not a number");
    expect_refused("{" LLAMA ",\"rope_scaling\":{\"type\":\"llama3\",\"low_freq_factor\":4}}",
                   "high_freq_factor is 4, not above low_freq_factor 4");
    expect_refused("{" LLAMA ",\"partial_rotary_factor\":1.5}", "partial_rotary_factor is 1.5");
    expect_refused("{" LLAMA ",\"head_dim\":100000}", "head_dim is 100000, not 1 to 4096");
    expect_refused("{" PHI3 ",\"rope_scaling\":{\"type\":\"longrope\",\"long_factor\":[1]}}",
                   "long_factor has 1 items, not 2");
    expect_refused("{" PHI3 ",\"rope_scaling\":{\"type\":\"longrope\",\"long_factor\":[1,0]}}",
                   "long_factor[1] is not a finite number above 0");
    expect_refused("{" QWEN2 ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"mscale\":1}}",
                   "yarn with mscale");
}

/* ---- refused configurations ---- */

static void refuses_what_is_no_configuration(void **state)
{
    (void)state;
    expect_refused("", "config.json is not valid JSON");
    expect_refused("[]", "config.json is not an object");
    expect_refused("{", "config.json is not valid JSON");
    expect_refused("{}", "architectures names no class");
    expect_refused("{\"architectures\":\"LlamaForCausalLM\"}", "architectures names no class");
    expect_refused("{\"architectures\":[7]}", "architectures names no class");
    expect_refused("{\"architectures\":[\"T5Model\"]}", "\"T5Model\" is not supported");
    expect_refused("{\"architectures\":[\"\"]}", "architecture \"\" is not supported");
    expect_refused("{\"architectures\":[\"LlamaForCausalLM LlamaModel\"]}", "is not supported");
    expect_refused("{\"architectures\":[\"MixtralForCausalLM\"]}", "is not supported");
}

static void refuses_numbers_of_another_type_or_range(void **state)
{
    (void)state;
    expect_refused("{\"architectures\":[\"LlamaForCausalLM\"]}", "num_hidden_layers is missing");
    expect_refused("{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":\"2\"}",
                   "num_hidden_layers is not a whole number");
    expect_refused("{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":2.0}",
                   "num_hidden_layers is not a whole number");
    expect_refused("{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":-1}",
                   "num_hidden_layers is -1, not 0 to 2147483647");
    expect_refused("{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":4294967296}",
                   "num_hidden_layers is 4294967296");
    expect_refused("{" GPT2 ",\"n_inner\":0}", "n_inner is 0");
    expect_refused("{" LLAMA ",\"vocab_size\":32}", "duplicate object key");
    expect_refused("{" GEMMA3 ",\"query_pre_attn_scalar\":0}", "query_pre_attn_scalar is 0");
    expect_refused("{" GEMMA3 ",\"layer_types\":[\"round\"]}", "layer_types[0] is neither");
    expect_refused("{" GEMMA3 ",\"text_config\":3}", "text_config is not an object");
    expect_refused("{" LLAMA ",\"tie_word_embeddings\":1}", "neither true nor false");
}

static void refuses_options_that_are_another_computation(void **state)
{
    (void)state;
    expect_refused("{" LLAMA ",\"hidden_act\":\"gelu\"}", "hidden_act \"gelu\" is not supported");
    expect_refused("{" GPT2 ",\"activation_function\":\"relu\"}", "\"relu\" is not supported");
    expect_refused("{" BERT ",\"hidden_act\":\"gelu_new\"}", "\"gelu_new\" is not supported");
    expect_refused("{" BERT ",\"position_embedding_type\":\"relative_key\"}", "relative_key");
    expect_refused("{" BERT ",\"is_decoder\":true}", "is_decoder is true");
    expect_refused("{" GPT2 ",\"scale_attn_weights\":false}", "scale_attn_weights is false");
    expect_refused("{" QWEN2 ",\"use_sliding_window\":true}", "use_sliding_window is true");
}

/* ---- sentence encoders ---- */

static void pooling_and_length_come_from_the_files_beside(void **state)
{
    (void)state;
    struct folder_texts texts = {
        .config = text_of("{" BERT "}"),
        .modules = text_of("[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":\"\"},"
                           "{\"type\":\"sentence_transformers.models.Pooling\"},"
                           "{\"type\":\"sentence_transformers.models.Normalize\"}]"),
        .pooling = text_of("{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}"),
        .sentence = text_of("{\"max_seq_length\":256}"),
    };
    struct model model = open_with(&texts, safetensors_writer_new());
    bool causal = true;
    expect_u32(&model, "bert.pooling_type", 2);
    expect_u32(&model, "inferfs.embedding.tokens_max", 256);
    expect_u32(&model, "tokenizer.ggml.token_type_count", 2);
    assert_int_equal(gguf_get_bool(model.gguf, "bert.attention.causal", &causal, NULL), 0);
    assert_false(causal);
    expect_f32(&model, "bert.attention.layer_norm_epsilon", 1e-12);
    close_model(&model);
    texts.pooling = text_of("{\"pooling_mode\":\"lasttoken\"}");
    texts.sentence = (struct text){0};
    model = open_with(&texts, safetensors_writer_new());
    expect_u32(&model, "bert.pooling_type", 3);
    expect_absent(&model, "inferfs.embedding.tokens_max");
    close_model(&model);
}

static void refuses_steps_that_would_be_left_out(void **state)
{
    (void)state;
    struct folder_texts texts = {.config = text_of("{" BERT "}")};
    texts.modules = text_of("[{\"type\":\"sentence_transformers.models.Dense\"}]");
    expect_texts_refused(&texts, safetensors_writer_new(), "step 0, \"Dense\", is not supported");
    texts.modules = text_of("[7]");
    expect_texts_refused(&texts, safetensors_writer_new(), "step 0, \"?\"");
    texts.modules = text_of("{}");
    expect_texts_refused(&texts, safetensors_writer_new(), "modules.json is not a list");
    texts.modules = text_of("[]");
    texts.pooling = text_of("{\"pooling_mode_max_tokens\":true}");
    expect_texts_refused(&texts, safetensors_writer_new(), "1_Pooling/config.json: only");
    texts.pooling = text_of("{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":true}");
    expect_texts_refused(&texts, safetensors_writer_new(), "1_Pooling/config.json: only");
    texts.pooling = text_of("{}");
    expect_texts_refused(&texts, safetensors_writer_new(), "1_Pooling/config.json: only");
    texts.pooling = (struct text){0};
    texts.sentence = text_of("{\"max_seq_length\":0}");
    expect_texts_refused(&texts, safetensors_writer_new(), "max_seq_length is 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_become_keys_of_the_architecture),
        cmocka_unit_test(llama_and_mistral_rotate_halves),
        cmocka_unit_test(gpt2_has_four_times_its_width),
        cmocka_unit_test(gemma3_fills_in_what_its_configurations_leave_out),
        cmocka_unit_test(gemma3_says_for_each_layer_whether_it_slides),
        cmocka_unit_test(a_model_that_also_sees_is_read_as_its_language_model),
        cmocka_unit_test(linear_scaling_under_both_of_its_names),
        cmocka_unit_test(yarn_keeps_its_parameters),
        cmocka_unit_test(llama3_divides_frequencies_as_transformers_does),
        cmocka_unit_test(longrope_lists_become_tensors),
        cmocka_unit_test(dynamic_scaling_begins_beyond_the_context),
        cmocka_unit_test(a_part_of_each_head_is_rotated),
        cmocka_unit_test(refuses_rotations_that_make_no_sense),
        cmocka_unit_test(refuses_what_is_no_configuration),
        cmocka_unit_test(refuses_numbers_of_another_type_or_range),
        cmocka_unit_test(refuses_options_that_are_another_computation),
        cmocka_unit_test(pooling_and_length_come_from_the_files_beside),
        cmocka_unit_test(refuses_steps_that_would_be_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
