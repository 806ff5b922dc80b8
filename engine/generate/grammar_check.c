/* grammar_check.c - what must be known of a whole network before it is used.
 *
 * Left recursion is refused: the matcher's frames would point at each other.  Nodes from which the
 * end of their rule can't be reached are closed, so that a text that was begun can be completed.
 * Everything is a loop over lists: a network may be a chain of any length. */
#include "generate/grammar_build.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

/* ---- jumps ---- */

/* Lead every jump on the way straight to where they all end. */
static int32_t resolve(struct grammar_node *nodes, int32_t node)
{
    int32_t end = node;
    while (nodes[end].kind == GRAMMAR_JUMP)
        end = nodes[end].next;
    while (nodes[node].kind == GRAMMAR_JUMP) {
        int32_t next = nodes[node].next;
        nodes[node].next = end;
        node = next;
    }
    return end;
}

static void remove_jumps(struct grammar_builder *builder)
{
    struct grammar_node *nodes = builder->nodes;
    for (size_t i = 0; i < builder->node_count; i++) {
        if (nodes[i].kind != GRAMMAR_JUMP)
            nodes[i].next = resolve(nodes, nodes[i].next);
        if (nodes[i].kind == GRAMMAR_SPLIT)
            nodes[i].other = resolve(nodes, nodes[i].other);
    }
    for (size_t i = 0; i < builder->rule_count; i++)
        builder->rules[i].start = resolve(nodes, builder->rules[i].start);
}

/* ---- from which nodes can the end of the rule be reached? ---- */

/* Who leads to a node: sources[first[n] .. first[n + 1]); to the end of a rule: its calls. */
struct reverse {
    int32_t *first, *sources;           /* [nodes + 1], [2 * nodes] */
    int32_t *rule_first, *rule_sources; /* [rules + 1], [nodes] */
    int32_t *start_first, *start_rules; /* [nodes + 1], [rules]: the rules that start at a node */
};

/* What spreads backwards. */
struct spreading {
    struct grammar_builder *builder;
    struct reverse reverse;
    bool through_bytes;
    bool *reached, *rule_reached; /* [nodes], [rules] */
    int32_t *work;                /* [nodes] */
    size_t work_count;
};

static void reverse_free(struct reverse *reverse)
{
    free(reverse->first);
    free(reverse->sources);
    free(reverse->rule_first);
    free(reverse->rule_sources);
    free(reverse->start_first);
    free(reverse->start_rules);
}

/* Counts to places: afterwards first[n + 1] moves from the start of n's places to their end. */
static void counts_to_places(int32_t *first, size_t count)
{
    int32_t sum = 0;
    for (size_t i = 0; i <= count; i++) {
        int32_t own = first[i];
        first[i] = sum;
        sum += own;
    }
}

static void fill_reverse(const struct grammar_builder *builder, struct reverse *reverse, bool count)
{
    for (size_t i = 0; i < builder->node_count; i++) {
        const struct grammar_node *node = &builder->nodes[i];
        if (node->kind == GRAMMAR_BYTES || node->kind == GRAMMAR_SPLIT ||
            node->kind == GRAMMAR_CALL) {
            int32_t at = reverse->first[node->next + 1]++;
            if (!count)
                reverse->sources[at] = (int32_t)i;
        }
        if (node->kind == GRAMMAR_SPLIT) {
            int32_t at = reverse->first[node->other + 1]++;
            if (!count)
                reverse->sources[at] = (int32_t)i;
        }
        if (node->kind == GRAMMAR_CALL) {
            int32_t at = reverse->rule_first[node->other + 1]++;
            if (!count)
                reverse->rule_sources[at] = (int32_t)i;
        }
    }
    for (size_t i = 0; i < builder->rule_count; i++) {
        int32_t at = reverse->start_first[builder->rules[i].start + 1]++;
        if (!count)
            reverse->start_rules[at] = (int32_t)i;
    }
}

static int make_reverse(const struct grammar_builder *builder, struct reverse *reverse)
{
    const size_t nodes = builder->node_count, rules = builder->rule_count;
    reverse->first = memory_try(nodes + 2, sizeof *reverse->first);
    reverse->sources = memory_try(2 * nodes, sizeof *reverse->sources);
    reverse->rule_first = memory_try(rules + 2, sizeof *reverse->rule_first);
    reverse->rule_sources = memory_try(nodes, sizeof *reverse->rule_sources);
    reverse->start_first = memory_try(nodes + 2, sizeof *reverse->start_first);
    reverse->start_rules = memory_try(rules + 1, sizeof *reverse->start_rules);
    if (!reverse->first || !reverse->sources || !reverse->rule_first || !reverse->rule_sources ||
        !reverse->start_first || !reverse->start_rules)
        return -ENOMEM;
    fill_reverse(builder, reverse, true);
    counts_to_places(reverse->first + 1, nodes);
    counts_to_places(reverse->rule_first + 1, rules);
    counts_to_places(reverse->start_first + 1, nodes);
    fill_reverse(builder, reverse, false);
    return 0;
}

static void reach(struct spreading *spreading, int32_t node)
{
    if (!spreading->reached[node]) {
        spreading->reached[node] = true;
        spreading->work[spreading->work_count++] = node;
    }
}

static void reach_source(struct spreading *spreading, int32_t source)
{
    const struct grammar_node *node = &spreading->builder->nodes[source];
    if (node->kind == GRAMMAR_SPLIT || (node->kind == GRAMMAR_BYTES && spreading->through_bytes) ||
        (node->kind == GRAMMAR_CALL && spreading->rule_reached[node->other]))
        reach(spreading, source);
}

static void reach_rule(struct spreading *spreading, int32_t rule)
{
    const struct reverse *reverse = &spreading->reverse;
    spreading->rule_reached[rule] = true;
    for (int32_t i = reverse->rule_first[rule]; i < reverse->rule_first[rule + 1]; i++) {
        int32_t call = reverse->rule_sources[i];
        if (spreading->reached[spreading->builder->nodes[call].next])
            reach(spreading, call);
    }
}

static void spread(struct spreading *spreading)
{
    const struct reverse *reverse = &spreading->reverse;
    for (size_t i = 0; i < spreading->builder->node_count; i++)
        if (spreading->builder->nodes[i].kind == GRAMMAR_END)
            reach(spreading, (int32_t)i);
    while (spreading->work_count) {
        int32_t node = spreading->work[--spreading->work_count];
        for (int32_t i = reverse->start_first[node]; i < reverse->start_first[node + 1]; i++)
            reach_rule(spreading, reverse->start_rules[i]);
        for (int32_t i = reverse->first[node]; i < reverse->first[node + 1]; i++)
            reach_source(spreading, reverse->sources[i]);
    }
}

static void find_nullable(struct spreading *spreading)
{
    spreading->through_bytes = false;
    spread(spreading);
    for (size_t i = 0; i < spreading->builder->rule_count; i++)
        spreading->builder->rules[i].nullable = spreading->rule_reached[i];
}

static void close_dead_ends(struct spreading *spreading)
{
    spreading->through_bytes = true;
    memset(spreading->reached, 0, spreading->builder->node_count * sizeof *spreading->reached);
    memset(spreading->rule_reached, 0,
           spreading->builder->rule_count * sizeof *spreading->rule_reached);
    spread(spreading);
    for (size_t i = 0; i < spreading->builder->node_count; i++)
        if (!spreading->reached[i])
            spreading->builder->nodes[i].kind = GRAMMAR_FAIL;
}

/* ---- left recursion ---- */

/* A depth-first search over nodes that can be reached without reading: a rule that is entered again
 * while it is open begins with itself. */
struct descent {
    struct grammar_builder *builder;
    uint8_t *rule_state; /* [rules] */
    bool *seen;          /* [nodes] */
    int32_t *stack;      /* nodes to look at; below zero: -1 - rule, leave it */
    size_t count;
};

enum { RULE_NEW, RULE_OPEN, RULE_DONE };

static void visit_node(struct descent *descent, int32_t at)
{
    const struct grammar_node *node = &descent->builder->nodes[at];
    if (node->kind != GRAMMAR_SPLIT && node->kind != GRAMMAR_CALL)
        return;
    if (node->kind == GRAMMAR_SPLIT) {
        descent->stack[descent->count++] = node->next;
        descent->stack[descent->count++] = node->other;
        return;
    }
    const struct grammar_rule *rule = &descent->builder->rules[node->other];
    if (descent->rule_state[node->other] == RULE_OPEN) {
        descent->builder->line = rule->line;
        grammar_fail(descent->builder, EINVAL, "%.*s begins with itself (left recursion)",
                     TEXT_ARGUMENTS(rule->label));
        return;
    }
    if (rule->nullable)
        descent->stack[descent->count++] = node->next;
    if (descent->rule_state[node->other] == RULE_NEW) {
        descent->rule_state[node->other] = RULE_OPEN;
        descent->stack[descent->count++] = -1 - node->other;
        descent->stack[descent->count++] = rule->start;
    }
}

/* Every node belongs to one rule, so it is looked at once. */
static void descend(struct descent *descent, int32_t rule)
{
    descent->rule_state[rule] = RULE_OPEN;
    descent->stack[descent->count++] = -1 - rule;
    descent->stack[descent->count++] = descent->builder->rules[rule].start;
    while (descent->count && !descent->builder->status) {
        int32_t at = descent->stack[--descent->count];
        if (at < 0) {
            descent->rule_state[-1 - at] = RULE_DONE;
        } else if (!descent->seen[at]) {
            descent->seen[at] = true;
            visit_node(descent, at);
        }
    }
}

static int refuse_left_recursion(struct grammar_builder *builder)
{
    struct descent descent = {.builder = builder};
    descent.rule_state = memory_try(builder->rule_count, sizeof *descent.rule_state);
    descent.seen = memory_try(builder->node_count, sizeof *descent.seen);
    /* A node is visited once and puts at most three on the stack. */
    descent.stack =
        memory_try(3 * builder->node_count + 2 * builder->rule_count + 2, sizeof *descent.stack);
    if (!descent.rule_state || !descent.seen || !descent.stack)
        grammar_fail(builder, ENOMEM, "no memory");
    for (size_t i = 0; i < builder->rule_count && !builder->status; i++)
        if (descent.rule_state[i] == RULE_NEW)
            descend(&descent, (int32_t)i);
    free(descent.rule_state);
    free(descent.seen);
    free(descent.stack);
    return builder->status;
}

/* ---- all of it ---- */

static void check_ends(struct spreading *spreading, int32_t root)
{
    struct grammar_builder *builder = spreading->builder;
    find_nullable(spreading);
    if (refuse_left_recursion(builder))
        return;
    close_dead_ends(spreading);
    if (!spreading->rule_reached[root]) {
        builder->line = builder->rules[root].line;
        grammar_fail(builder, EINVAL, "nothing can match %.*s: it never ends",
                     TEXT_ARGUMENTS(builder->rules[root].label));
    }
}

int grammar_check(struct grammar_builder *builder, int32_t root)
{
    struct spreading spreading = {.builder = builder};
    if (builder->status)
        return builder->status;
    remove_jumps(builder);
    spreading.reached = memory_try(builder->node_count, sizeof *spreading.reached);
    spreading.rule_reached = memory_try(builder->rule_count, sizeof *spreading.rule_reached);
    spreading.work = memory_try(builder->node_count, sizeof *spreading.work);
    if (!spreading.reached || !spreading.rule_reached || !spreading.work ||
        make_reverse(builder, &spreading.reverse))
        grammar_fail(builder, ENOMEM, "no memory");
    else
        check_ends(&spreading, root);
    reverse_free(&spreading.reverse);
    free(spreading.reached);
    free(spreading.rule_reached);
    free(spreading.work);
    return builder->status;
}
