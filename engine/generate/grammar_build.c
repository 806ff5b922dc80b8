/* grammar_build.c - fragments of a network, joined; see grammar_build.h.
 *
 * A counted repetition of more than one node becomes a rule that is called so many times, so counts
 * inside counts add up and never multiply. */
#include "generate/grammar_build.h"

#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void grammar_builder_open(struct grammar_builder *builder, struct error *error)
{
    *builder = (struct grammar_builder){.error = error};
    grammar_node(builder, GRAMMAR_FAIL, 0, 0);
}

void grammar_builder_close(struct grammar_builder *builder)
{
    free(builder->nodes);
    free(builder->rules);
    *builder = (struct grammar_builder){0};
}

int grammar_fail(struct grammar_builder *builder, int code, const char *format, ...)
{
    char sentence[ERROR_TEXT_BYTES];
    va_list arguments;
    if (builder->status)
        return builder->status;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    if (builder->line)
        builder->status =
            error_set(builder->error, code, "grammar, line %d: %s", builder->line, sentence);
    else if (builder->label.length)
        builder->status = error_set(builder->error, code, "JSON schema, in %.*s: %s",
                                    TEXT_ARGUMENTS(builder->label), sentence);
    else
        builder->status = error_set(builder->error, code, "JSON schema: %s", sentence);
    return builder->status;
}

int32_t grammar_node(struct grammar_builder *builder, enum grammar_kind kind, int32_t next,
                     int32_t other)
{
    if (builder->status)
        return 0;
    void *nodes = builder->nodes;
    int status = memory_grow(&nodes, &builder->node_capacity, builder->node_count + 1,
                             sizeof *builder->nodes, GRAMMAR_NODES_MAX);
    builder->nodes = nodes;
    if (status == -ENOMEM)
        return grammar_fail(builder, ENOMEM, "no memory"), 0;
    if (status)
        return grammar_fail(builder, EINVAL, "it is too large: more than %d nodes",
                            GRAMMAR_NODES_MAX),
               0;
    builder->nodes[builder->node_count] =
        (struct grammar_node){.kind = (uint8_t)kind, .next = next, .other = other};
    return (int32_t)builder->node_count++;
}

void grammar_link(struct grammar_builder *builder, int32_t from, int32_t to)
{
    if (!builder->status)
        builder->nodes[from].next = to;
}

struct fragment grammar_empty(struct grammar_builder *builder)
{
    int32_t node = grammar_node(builder, GRAMMAR_JUMP, 0, 0);
    return (struct fragment){node, node};
}

/* A node, and the way out behind it. */
static struct fragment single(struct grammar_builder *builder, enum grammar_kind kind,
                              int32_t other)
{
    int32_t node = grammar_node(builder, kind, 0, other);
    int32_t exit = grammar_node(builder, GRAMMAR_JUMP, 0, 0);
    grammar_link(builder, node, exit);
    return (struct fragment){node, exit};
}

struct fragment grammar_call(struct grammar_builder *builder, int32_t rule)
{
    return single(builder, GRAMMAR_CALL, rule);
}

struct fragment grammar_literal(struct grammar_builder *builder, struct text bytes)
{
    struct fragment all = grammar_empty(builder);
    for (size_t i = 0; i < bytes.length && !builder->status; i++) {
        int32_t node = grammar_node(builder, GRAMMAR_BYTES, 0, 0);
        if (builder->status)
            break;
        builder->nodes[node].low = builder->nodes[node].high = (uint8_t)bytes.bytes[i];
        grammar_link(builder, all.exit, node);
        all.exit = node;
    }
    int32_t exit = grammar_node(builder, GRAMMAR_JUMP, 0, 0);
    grammar_link(builder, all.exit, exit);
    all.exit = exit;
    return all;
}

struct fragment grammar_sequence(struct grammar_builder *builder, struct fragment first,
                                 struct fragment second)
{
    grammar_link(builder, first.exit, second.entry);
    return (struct fragment){first.entry, second.exit};
}

struct fragment grammar_either(struct grammar_builder *builder, struct fragment first,
                               struct fragment second)
{
    int32_t split = grammar_node(builder, GRAMMAR_SPLIT, first.entry, second.entry);
    int32_t exit = grammar_node(builder, GRAMMAR_JUMP, 0, 0);
    grammar_link(builder, first.exit, exit);
    grammar_link(builder, second.exit, exit);
    return (struct fragment){split, exit};
}

struct fragment grammar_optional(struct grammar_builder *builder, struct fragment fragment)
{
    return grammar_either(builder, fragment, grammar_empty(builder));
}

/* Any number of times, at least once if `once`. */
static struct fragment loop(struct grammar_builder *builder, struct fragment fragment, bool once)
{
    int32_t exit = grammar_node(builder, GRAMMAR_JUMP, 0, 0);
    int32_t split = grammar_node(builder, GRAMMAR_SPLIT, fragment.entry, exit);
    grammar_link(builder, fragment.exit, split);
    return (struct fragment){once ? fragment.entry : split, exit};
}

/* Something of one node that does the same as the fragment: its own node, or a call. */
static struct grammar_node unit_of(struct grammar_builder *builder, struct fragment fragment)
{
    if (builder->status)
        return (struct grammar_node){0};
    struct grammar_node node = builder->nodes[fragment.entry];
    if ((node.kind == GRAMMAR_BYTES || node.kind == GRAMMAR_CALL) && node.next == fragment.exit)
        return node;
    int32_t rule = grammar_rule(builder);
    grammar_define(builder, rule, fragment);
    return (struct grammar_node){.kind = GRAMMAR_CALL, .other = rule};
}

static struct fragment copy_of(struct grammar_builder *builder, struct grammar_node unit)
{
    struct fragment copy = single(builder, unit.kind, unit.other);
    if (!builder->status) {
        builder->nodes[copy.entry].low = unit.low;
        builder->nodes[copy.entry].high = unit.high;
    }
    return copy;
}

static struct fragment repeat_counted(struct grammar_builder *builder, struct fragment fragment,
                                      int64_t minimum, int64_t maximum)
{
    struct grammar_node unit = unit_of(builder, fragment);
    struct fragment all = grammar_empty(builder);
    int32_t end = grammar_node(builder, GRAMMAR_JUMP, 0, 0);
    for (int64_t i = 0; i < minimum && !builder->status; i++)
        all = grammar_sequence(builder, all, copy_of(builder, unit));
    if (maximum == GRAMMAR_UNBOUNDED)
        return grammar_sequence(builder, all, loop(builder, copy_of(builder, unit), false));
    for (int64_t i = minimum; i < maximum && !builder->status; i++) {
        struct fragment copy = copy_of(builder, unit);
        int32_t split = grammar_node(builder, GRAMMAR_SPLIT, copy.entry, end);
        all = grammar_sequence(builder, all, (struct fragment){split, copy.exit});
    }
    grammar_link(builder, all.exit, end);
    return (struct fragment){all.entry, end};
}

struct fragment grammar_repeat(struct grammar_builder *builder, struct fragment fragment,
                               int64_t minimum, int64_t maximum)
{
    if (minimum > GRAMMAR_REPEATS_MAX || maximum > GRAMMAR_REPEATS_MAX)
        grammar_fail(builder, EINVAL, "a count of %lld, more than %d",
                     (long long)(minimum > maximum ? minimum : maximum), GRAMMAR_REPEATS_MAX);
    else if (maximum != GRAMMAR_UNBOUNDED && minimum > maximum)
        grammar_fail(builder, EINVAL, "a minimum of %lld above a maximum of %lld",
                     (long long)minimum, (long long)maximum);
    if (builder->status)
        return (struct fragment){0, 0};
    if (maximum == GRAMMAR_UNBOUNDED && minimum <= 1)
        return loop(builder, fragment, minimum == 1);
    if (maximum == 1)
        return minimum == 1 ? fragment : grammar_optional(builder, fragment);
    return repeat_counted(builder, fragment, minimum, maximum);
}

int32_t grammar_rule(struct grammar_builder *builder)
{
    if (builder->status)
        return 0;
    void *rules = builder->rules;
    int status = memory_grow(&rules, &builder->rule_capacity, builder->rule_count + 1,
                             sizeof *builder->rules, GRAMMAR_RULES_MAX);
    builder->rules = rules;
    if (status == -ENOMEM)
        return grammar_fail(builder, ENOMEM, "no memory"), 0;
    if (status)
        return grammar_fail(builder, EINVAL, "it is too large: more than %d rules",
                            GRAMMAR_RULES_MAX),
               0;
    builder->rules[builder->rule_count] =
        (struct grammar_rule){.line = builder->line, .label = builder->label};
    return (int32_t)builder->rule_count++;
}

void grammar_define(struct grammar_builder *builder, int32_t rule, struct fragment body)
{
    int32_t end = grammar_node(builder, GRAMMAR_END, 0, 0);
    grammar_link(builder, body.exit, end);
    if (builder->status)
        return;
    builder->rules[rule].start = body.entry;
    builder->rules[rule].defined = true;
}

/* Bytes that no range tells apart have one class: what is learnt of one holds for all. */
static void find_classes(struct grammar *grammar)
{
    bool begins[257] = {true};
    for (size_t i = 0; i < grammar->node_count; i++)
        if (grammar->nodes[i].kind == GRAMMAR_BYTES)
            begins[grammar->nodes[i].low] = begins[grammar->nodes[i].high + 1] = true;
    for (int byte = 0; byte < 256; byte++) {
        if (begins[byte])
            grammar->sample_of[grammar->class_count++] = (uint8_t)byte;
        grammar->class_of[byte] = (uint8_t)(grammar->class_count - 1);
    }
}

int grammar_finish(struct grammar_builder *builder, int32_t root, struct grammar **out)
{
    int status = grammar_check(builder, root);
    if (status)
        return status;
    struct grammar *grammar = memory_try(1, sizeof *grammar);
    if (!grammar)
        return grammar_fail(builder, ENOMEM, "no memory");
    grammar->nodes = builder->nodes;
    grammar->node_count = builder->node_count;
    grammar->rules = builder->rules;
    grammar->rule_count = builder->rule_count;
    grammar->root = root;
    builder->nodes = NULL;
    builder->rules = NULL;
    for (size_t i = 0; i < grammar->rule_count; i++)
        grammar->rules[i].label = (struct text){0};
    find_classes(grammar);
    *out = grammar;
    return 0;
}

void grammar_close(struct grammar *grammar)
{
    if (!grammar)
        return;
    free(grammar->nodes);
    free(grammar->rules);
    free(grammar);
}
