/* matcher.c - see matcher.h.
 *
 * Frames and states are both sets of pairs and live in one store: a set's number is its identity,
 * and a set refers only to sets with lower numbers.  Set 0 is empty: as a state it is dead, as a
 * frame it is the caller of the root rule.  The pair 0 in a state means that the text may end. */
#include "generate/matcher.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

/* A node and a frame, as one number. */
typedef uint64_t pair;

struct set {
    uint32_t first, count; /* in `pairs`; sorted, no two alike */
    uint32_t hash;
    int32_t row; /* of `next`; -1: not used as a state yet */
};

/* A frame in the making: of a rule that was entered at this byte. */
struct entered {
    int32_t rule;
    int32_t edges;  /* the last of them, -1: none */
    int32_t cursor; /* the same while it is being stored */
    int32_t set;    /* -1: not yet stored */
};

struct edge {
    pair to;
    int32_t next;
};

/* The step that is being made. */
struct closure {
    pair *items; /* looked at, or still to look at */
    size_t item_count, item_capacity;
    uint64_t *seen; /* [seen_mask + 1]: generation << 32 | index of the item */
    size_t seen_mask;
    uint32_t generation;
    struct entered *entered;
    size_t entered_count, entered_capacity;
    int32_t *entered_of; /* [rules]: 1 + its place in `entered`, if that is this rule's */
    struct edge *edges;
    size_t edge_count, edge_capacity;
    int32_t *stack; /* of `entered` that wait for their callers to be stored */
    size_t stack_capacity;
    pair *result, *sorting;
    size_t result_count, result_capacity, sorting_capacity;
    bool complete;
};

struct matcher {
    const struct grammar *grammar;
    pair *pairs;
    size_t pair_count, pair_capacity;
    struct set *sets;
    size_t set_count, set_capacity;
    int32_t *places; /* [place_mask + 1]: set + 1 by its hash; 0: free; at most half are taken */
    size_t place_mask;
    int32_t *next; /* [row_count][class_count] */
    size_t row_count, next_capacity;
    struct closure closure;
    size_t work;
    size_t trim_bytes; /* of the store, at which it is worth trimming again */
    int32_t start;
};

/* Frames of `entered` have this bit until they are stored. */
enum { FRAME_ENTERED = 1 << 30, PLACES_INITIAL = 64, SEEN_INITIAL = 64 };

static pair pair_of(int32_t node, int32_t frame)
{
    return (pair)(uint32_t)node << 32 | (uint32_t)frame;
}

static int32_t node_of(pair value)
{
    return (int32_t)(value >> 32);
}

static int32_t frame_of(pair value)
{
    return (int32_t)(uint32_t)value;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u; /* splitmix64's */
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* ---- the store ---- */

static size_t store_bytes(const struct matcher *matcher)
{
    return matcher->pair_count * sizeof(pair) +
           matcher->set_count * (sizeof(struct set) + 2 * sizeof(int32_t)) +
           matcher->row_count * (size_t)matcher->grammar->class_count * sizeof(int32_t);
}

static int compare_pairs(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Returns how many are left without those that are there twice. */
static size_t sort(pair *pairs, size_t count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(pairs, count, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || pairs[kept - 1] != pairs[i])
            pairs[kept++] = pairs[i];
    return kept;
}

static uint32_t hash_of(const pair *pairs, size_t count)
{
    uint64_t hash = count;
    for (size_t i = 0; i < count; i++)
        hash = mix(hash ^ pairs[i]);
    return (uint32_t)hash;
}

static size_t find_place(const struct matcher *matcher, const pair *pairs, size_t count,
                         uint32_t hash)
{
    for (size_t place = hash & matcher->place_mask;; place = (place + 1) & matcher->place_mask) {
        if (!matcher->places[place])
            return place;
        const struct set *set = &matcher->sets[matcher->places[place] - 1];
        if (set->hash == hash && set->count == count &&
            (count == 0 || memcmp(matcher->pairs + set->first, pairs, count * sizeof *pairs) == 0))
            return place;
    }
}

/* Put every set into a table of this size. */
static int fill_places(struct matcher *matcher, size_t size)
{
    int32_t *places = memory_try(size, sizeof *places);
    if (!places)
        return -ENOMEM;
    free(matcher->places);
    matcher->places = places;
    matcher->place_mask = size - 1;
    for (size_t i = 0; i < matcher->set_count; i++) {
        size_t place = matcher->sets[i].hash & matcher->place_mask;
        while (places[place])
            place = (place + 1) & matcher->place_mask;
        places[place] = (int32_t)i + 1;
    }
    return 0;
}

/* The number of a sorted list.  Returns it, -ENOMEM or -EMSGSIZE. */
static int32_t store(struct matcher *matcher, const pair *pairs, size_t count)
{
    uint32_t hash = hash_of(pairs, count);
    size_t place = find_place(matcher, pairs, count, hash);
    if (matcher->places[place])
        return matcher->places[place] - 1;
    void *grown = matcher->pairs;
    int status = memory_grow(&grown, &matcher->pair_capacity, matcher->pair_count + count + 1,
                             sizeof *pairs, MATCHER_BYTES_MAX / sizeof *pairs);
    matcher->pairs = grown;
    grown = matcher->sets;
    if (!status)
        status = memory_grow(&grown, &matcher->set_capacity, matcher->set_count + 1,
                             sizeof *matcher->sets, MATCHER_BYTES_MAX / sizeof *matcher->sets);
    matcher->sets = grown;
    if (!status && store_bytes(matcher) > MATCHER_BYTES_MAX)
        status = -EMSGSIZE;
    if (status)
        return status;
    if (count)
        memcpy(matcher->pairs + matcher->pair_count, pairs, count * sizeof *pairs);
    matcher->sets[matcher->set_count] =
        (struct set){(uint32_t)matcher->pair_count, (uint32_t)count, hash, -1};
    matcher->pair_count += count;
    matcher->places[place] = (int32_t)++matcher->set_count;
    if (2 * matcher->set_count > matcher->place_mask &&
        fill_places(matcher, 2 * (matcher->place_mask + 1)))
        return -ENOMEM;
    return (int32_t)matcher->set_count - 1;
}

/* A set that is used as a state has a row of what follows.  Returns it, or what went wrong. */
static int32_t as_state(struct matcher *matcher, int32_t set)
{
    const size_t classes = (size_t)matcher->grammar->class_count;
    if (set < 0 || matcher->sets[set].row >= 0)
        return set;
    void *next = matcher->next;
    int status = memory_grow(&next, &matcher->next_capacity, (matcher->row_count + 1) * classes,
                             sizeof *matcher->next, MATCHER_BYTES_MAX / sizeof *matcher->next);
    matcher->next = next;
    if (status)
        return status;
    for (size_t i = 0; i < classes; i++)
        matcher->next[matcher->row_count * classes + i] = MATCHER_UNKNOWN;
    matcher->sets[set].row = (int32_t)matcher->row_count++;
    return set;
}

/* ---- a step: everything that can be reached without reading ---- */

static int grow_seen(struct closure *closure)
{
    size_t size = closure->seen ? 2 * (closure->seen_mask + 1) : SEEN_INITIAL;
    uint64_t *seen = memory_try(size, sizeof *seen);
    if (!seen)
        return -ENOMEM;
    free(closure->seen);
    closure->seen = seen;
    closure->seen_mask = size - 1;
    for (size_t i = 0; i < closure->item_count; i++) {
        size_t place = mix(closure->items[i]) & closure->seen_mask;
        while (seen[place])
            place = (place + 1) & closure->seen_mask;
        seen[place] = (uint64_t)closure->generation << 32 | i;
    }
    return 0;
}

static int add_item(struct matcher *matcher, int32_t node, int32_t frame)
{
    struct closure *closure = &matcher->closure;
    const pair item = pair_of(node, frame);
    if (matcher->grammar->nodes[node].kind == GRAMMAR_FAIL)
        return 0;
    if (++matcher->work > MATCHER_WORK_MAX)
        return -EMSGSIZE;
    size_t place = mix(item) & closure->seen_mask;
    while (closure->seen[place] >> 32 == closure->generation) {
        if (closure->items[(uint32_t)closure->seen[place]] == item)
            return 0;
        place = (place + 1) & closure->seen_mask;
    }
    void *items = closure->items;
    int status = memory_grow(&items, &closure->item_capacity, closure->item_count + 1,
                             sizeof *closure->items, MATCHER_ITEMS_MAX);
    closure->items = items;
    if (status)
        return status;
    closure->seen[place] = (uint64_t)closure->generation << 32 | closure->item_count;
    closure->items[closure->item_count++] = item;
    return 2 * closure->item_count > closure->seen_mask ? grow_seen(closure) : 0;
}

static int begin_step(struct matcher *matcher)
{
    struct closure *closure = &matcher->closure;
    closure->item_count = closure->entered_count = closure->edge_count = 0;
    closure->result_count = 0;
    closure->complete = false;
    if (++closure->generation == 0) { /* stale marks of 2^32 steps ago would look new */
        memset(closure->seen, 0, (closure->seen_mask + 1) * sizeof *closure->seen);
        closure->generation = 1;
    }
    return 0;
}

/* The frame of a rule that is called now; made when it is the first time at this byte. */
static int32_t enter(struct matcher *matcher, int32_t rule)
{
    struct closure *closure = &matcher->closure;
    int32_t known = closure->entered_of[rule];
    if (known && (size_t)known <= closure->entered_count &&
        closure->entered[known - 1].rule == rule)
        return known - 1;
    void *entered = closure->entered;
    int status = memory_grow(&entered, &closure->entered_capacity, closure->entered_count + 1,
                             sizeof *closure->entered, GRAMMAR_RULES_MAX);
    closure->entered = entered;
    if (status)
        return status;
    closure->entered[closure->entered_count] = (struct entered){rule, -1, -1, -1};
    closure->entered_of[rule] = (int32_t)++closure->entered_count;
    return (int32_t)closure->entered_count - 1;
}

static int call(struct matcher *matcher, const struct grammar_node *node, int32_t frame)
{
    struct closure *closure = &matcher->closure;
    const struct grammar_rule *rule = &matcher->grammar->rules[node->other];
    int status = rule->nullable ? add_item(matcher, node->next, frame) : 0;
    if (status)
        return status;
    if (matcher->grammar->nodes[node->next].kind == GRAMMAR_END)
        return add_item(matcher, rule->start, frame); /* it returns to where this rule would */
    int32_t entered = enter(matcher, node->other);
    if (entered < 0)
        return entered;
    void *edges = closure->edges;
    status = memory_grow(&edges, &closure->edge_capacity, closure->edge_count + 1,
                         sizeof *closure->edges, MATCHER_ITEMS_MAX);
    closure->edges = edges;
    if (status)
        return status;
    struct entered *made = &closure->entered[entered];
    closure->edges[closure->edge_count] = (struct edge){pair_of(node->next, frame), made->edges};
    made->edges = made->cursor = (int32_t)closure->edge_count++;
    return add_item(matcher, rule->start, FRAME_ENTERED | entered);
}

/* A rule ends.  One that was entered at this very byte matched nothing: its callers, who know that
 * it may, have gone on already. */
static int leave(struct matcher *matcher, int32_t frame)
{
    if (frame & FRAME_ENTERED)
        return 0;
    if (frame == 0)
        matcher->closure.complete = true;
    const struct set callers = matcher->sets[frame];
    int status = 0;
    for (uint32_t i = 0; i < callers.count && !status; i++) {
        pair caller = matcher->pairs[callers.first + i];
        status = add_item(matcher, node_of(caller), frame_of(caller));
    }
    return status;
}

static int add_result(struct closure *closure, pair item)
{
    void *result = closure->result;
    int status = memory_grow(&result, &closure->result_capacity, closure->result_count + 1,
                             sizeof *closure->result, MATCHER_ITEMS_MAX + 1);
    closure->result = result;
    if (!status)
        closure->result[closure->result_count++] = item;
    return status;
}

static int visit(struct matcher *matcher, pair item)
{
    const struct grammar_node *node = &matcher->grammar->nodes[node_of(item)];
    int32_t frame = frame_of(item);
    int status;
    switch (node->kind) {
    case GRAMMAR_BYTES:
        return add_result(&matcher->closure, item);
    case GRAMMAR_SPLIT:
        status = add_item(matcher, node->next, frame);
        return status ? status : add_item(matcher, node->other, frame);
    case GRAMMAR_CALL:
        return call(matcher, node, frame);
    default:
        return leave(matcher, frame);
    }
}

/* ---- the end of a step: what was reached becomes a state ---- */

/* Store a frame whose callers are stored. */
static int store_entered(struct matcher *matcher, struct entered *entered)
{
    struct closure *closure = &matcher->closure;
    size_t count = 0;
    for (int32_t at = entered->edges; at >= 0; at = closure->edges[at].next) {
        pair to = closure->edges[at].to;
        int32_t frame = frame_of(to);
        void *sorting = closure->sorting;
        int status = memory_grow(&sorting, &closure->sorting_capacity, count + 1, sizeof to,
                                 MATCHER_ITEMS_MAX);
        closure->sorting = sorting;
        if (status)
            return status;
        if (frame & FRAME_ENTERED)
            frame = closure->entered[frame & ~FRAME_ENTERED].set;
        closure->sorting[count++] = pair_of(node_of(to), frame);
    }
    entered->set = store(matcher, closure->sorting, sort(closure->sorting, count));
    return entered->set < 0 ? entered->set : 0;
}

/* A caller of this frame that is not stored yet; -1: none.  The cursor only moves forward. */
static int32_t unstored_caller(struct closure *closure, struct entered *entered)
{
    for (; entered->cursor >= 0; entered->cursor = closure->edges[entered->cursor].next) {
        int32_t frame = frame_of(closure->edges[entered->cursor].to);
        if ((frame & FRAME_ENTERED) && closure->entered[frame & ~FRAME_ENTERED].set < 0)
            return frame & ~FRAME_ENTERED;
    }
    return -1;
}

/* The set of a frame; its callers are stored first.  They form no circle: no rule begins with
 * itself. */
static int32_t set_of_frame(struct matcher *matcher, int32_t frame)
{
    struct closure *closure = &matcher->closure;
    if (!(frame & FRAME_ENTERED))
        return frame;
    size_t depth = 0;
    int32_t index = frame & ~FRAME_ENTERED;
    if (closure->entered[index].set >= 0)
        return closure->entered[index].set;
    void *stack = closure->stack;
    int status = memory_grow(&stack, &closure->stack_capacity, closure->entered_count,
                             sizeof *closure->stack, GRAMMAR_RULES_MAX);
    closure->stack = stack;
    if (status)
        return status;
    closure->stack[depth++] = index;
    while (depth) {
        struct entered *top = &closure->entered[closure->stack[depth - 1]];
        int32_t caller = unstored_caller(closure, top);
        if (caller >= 0 && depth < closure->entered_count) {
            closure->stack[depth++] = caller;
            continue;
        }
        status = store_entered(matcher, top);
        if (status)
            return status;
        depth--;
    }
    return closure->entered[index].set;
}

static int32_t end_step(struct matcher *matcher)
{
    struct closure *closure = &matcher->closure;
    for (size_t i = 0; i < closure->result_count; i++) {
        pair item = closure->result[i];
        int32_t frame = set_of_frame(matcher, frame_of(item));
        if (frame < 0)
            return frame;
        closure->result[i] = pair_of(node_of(item), frame);
    }
    int status = closure->complete ? add_result(closure, 0) : 0;
    if (status)
        return status;
    return as_state(matcher,
                    store(matcher, closure->result, sort(closure->result, closure->result_count)));
}

static int fail_full(struct error *error)
{
    return error_set(error, EMSGSIZE,
                     "the grammar nests too deep here: its states need over %d MiB",
                     MATCHER_BYTES_MAX >> 20);
}

static int32_t finish_step(struct matcher *matcher, int status, struct error *error)
{
    struct closure *closure = &matcher->closure;
    for (size_t i = 0; i < closure->item_count && !status; i++)
        status = visit(matcher, closure->items[i]);
    int32_t state = status ? status : end_step(matcher);
    if (state == -ENOMEM)
        error_set(error, ENOMEM, "no memory for the states of a grammar");
    else if (state < 0 && matcher->work > MATCHER_WORK_MAX)
        error_set(error, EMSGSIZE, "the grammar is too ambiguous here: more than %d steps",
                  MATCHER_WORK_MAX);
    else if (state < 0 && store_bytes(matcher) < MATCHER_BYTES_MAX / 2)
        error_set(error, EMSGSIZE, "the grammar has more than %d alternatives here",
                  MATCHER_ITEMS_MAX);
    else if (state < 0)
        fail_full(error);
    return state;
}

int32_t matcher_step(struct matcher *matcher, int32_t state, uint8_t byte, struct error *error)
{
    const size_t class = matcher->grammar->class_of[byte];
    const size_t at =
        (size_t)matcher->sets[state].row * (size_t)matcher->grammar->class_count + class;
    if (matcher->next[at] != MATCHER_UNKNOWN)
        return matcher->next[at];
    const struct set from = matcher->sets[state];
    int status = begin_step(matcher);
    for (uint32_t i = 0; i < from.count && !status; i++) {
        pair item = matcher->pairs[from.first + i];
        const struct grammar_node *node = &matcher->grammar->nodes[node_of(item)];
        if (node->kind == GRAMMAR_BYTES && byte >= node->low && byte <= node->high)
            status = add_item(matcher, node->next, frame_of(item));
    }
    int32_t next = finish_step(matcher, status, error);
    if (next >= 0)
        matcher->next[at] = next;
    return next;
}

const int32_t *matcher_next(const struct matcher *matcher, int32_t state)
{
    return matcher->next + (size_t)matcher->sets[state].row * (size_t)matcher->grammar->class_count;
}

int32_t matcher_start(const struct matcher *matcher)
{
    return matcher->start;
}

bool matcher_is_complete(const struct matcher *matcher, int32_t state)
{
    const struct set *set = &matcher->sets[state];
    return set->count > 0 && matcher->pairs[set->first] == 0;
}

bool matcher_can_go_on(const struct matcher *matcher, int32_t state)
{
    return matcher->sets[state].count > matcher_is_complete(matcher, state);
}

/* ---- keeping it small ---- */

/* Keep a state and the frames that it needs: sets only move down, their order stays. */
static void keep_only(struct matcher *matcher, int32_t state, int32_t *number)
{
    size_t kept_pairs = 0, kept_sets = 0;
    number[0] = number[state] = 1;
    for (int32_t i = state; i > 0; i--)
        for (uint32_t j = 0; number[i] && j < matcher->sets[i].count; j++)
            number[frame_of(matcher->pairs[matcher->sets[i].first + j])] = 1;
    for (int32_t i = 0; i <= state; i++) {
        if (!number[i])
            continue;
        struct set set = matcher->sets[i];
        pair *to = matcher->pairs + kept_pairs;
        for (uint32_t j = 0; j < set.count; j++) {
            pair from = matcher->pairs[set.first + j];
            to[j] = pair_of(node_of(from), number[frame_of(from)]);
        }
        set.first = (uint32_t)kept_pairs;
        set.hash = hash_of(to, set.count);
        set.row = -1;
        kept_pairs += set.count;
        number[i] = (int32_t)kept_sets;
        matcher->sets[kept_sets++] = set;
    }
    matcher->pair_count = kept_pairs;
    matcher->set_count = kept_sets;
    matcher->row_count = 0;
}

/* The next time when half of the rest is used, so that the work stays in proportion to the text; a
 * store that is nearly full for good is full. */
static int settle_trim(struct matcher *matcher, struct error *error)
{
    size_t kept = store_bytes(matcher);
    if (kept > MATCHER_BYTES_MAX / 16 * 15)
        return fail_full(error);
    size_t half = kept + (MATCHER_BYTES_MAX - kept) / 2;
    matcher->trim_bytes = half > MATCHER_BYTES_MAX / 2 ? half : MATCHER_BYTES_MAX / 2;
    return 1;
}

int matcher_trim(struct matcher *matcher, int32_t *state, struct error *error)
{
    matcher->work = 0;
    if (store_bytes(matcher) < matcher->trim_bytes)
        return 0;
    int32_t *number = memory_try(matcher->set_count, sizeof *number);
    if (!number)
        return error_set(error, ENOMEM, "no memory for the states of a grammar");
    keep_only(matcher, *state, number);
    int32_t kept = number[*state];
    free(number);
    int status = fill_places(matcher, matcher->place_mask + 1);
    if (!status && (as_state(matcher, MATCHER_DEAD) < 0 || as_state(matcher, kept) < 0))
        status = -ENOMEM;
    if (status)
        return error_set(error, ENOMEM, "no memory for the states of a grammar");
    *state = kept;
    return settle_trim(matcher, error);
}

/* ---- opening ---- */

static int open_store(struct matcher *matcher)
{
    matcher->closure.entered_of =
        memory_try(matcher->grammar->rule_count, sizeof *matcher->closure.entered_of);
    if (!matcher->closure.entered_of || grow_seen(&matcher->closure) ||
        fill_places(matcher, PLACES_INITIAL) || store(matcher, NULL, 0) != MATCHER_DEAD ||
        as_state(matcher, MATCHER_DEAD) != MATCHER_DEAD)
        return -ENOMEM;
    return 0;
}

int matcher_open(const struct grammar *grammar, struct matcher **out, struct error *error)
{
    struct matcher *matcher = memory_try(1, sizeof *matcher);
    if (!matcher)
        return error_set(error, ENOMEM, "no memory for the states of a grammar");
    matcher->grammar = grammar;
    matcher->trim_bytes = MATCHER_BYTES_MAX / 2;
    int status = open_store(matcher);
    if (status) {
        error_set(error, ENOMEM, "no memory for the states of a grammar");
    } else {
        status = begin_step(matcher);
        status = add_item(matcher, grammar->rules[grammar->root].start, 0);
        matcher->start = finish_step(matcher, status, error);
        status = matcher->start < 0 ? matcher->start : 0;
    }
    if (status) {
        matcher_close(matcher);
        return status;
    }
    *out = matcher;
    return 0;
}

void matcher_close(struct matcher *matcher)
{
    if (!matcher)
        return;
    struct closure *closure = &matcher->closure;
    free(closure->items);
    free(closure->seen);
    free(closure->entered);
    free(closure->entered_of);
    free(closure->edges);
    free(closure->stack);
    free(closure->result);
    free(closure->sorting);
    free(matcher->pairs);
    free(matcher->sets);
    free(matcher->places);
    free(matcher->next);
    free(matcher);
}
