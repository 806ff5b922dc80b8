/* rope.c - see rope.h. */
#include "text/template/rope.h"

#include "text/template/render.h"

#include <errno.h>

/* What is returned after a failure.  Nobody writes to it: it is flat. */
static struct rope *nothing(void)
{
    static struct rope empty = {.bytes = "", .origin = ROPE_TEMPLATE};
    return &empty;
}

struct rope *rope_of(struct render *render, struct text text, enum rope_origin origin)
{
    if (text.length > render->limits.text_bytes) {
        render_fail(render, EMSGSIZE, "a text of more than %zu bytes", render->limits.text_bytes);
        return nothing();
    }
    struct rope *rope = text.length ? render_allocate(render, 1, sizeof *rope) : NULL;
    if (!rope)
        return nothing();
    *rope = (struct rope){.length = text.length, .origin = origin, .bytes = text.bytes};
    return rope;
}

struct rope *rope_copy(struct render *render, struct text text, enum rope_origin origin)
{
    char *bytes = NULL;
    if (text.length <= render->limits.text_bytes) /* else rope_of() refuses */
        bytes = render_allocate(render, text.length, 1);
    if (bytes && text.length)
        memcpy(bytes, text.bytes, text.length);
    render_work(render, text.length);
    return rope_of(render, (struct text){bytes, bytes ? text.length : 0}, origin);
}

struct rope *rope_join(struct render *render, struct rope *left, struct rope *right)
{
    if (left->length == 0)
        return right;
    if (right->length == 0)
        return left;
    if (right->length > render->limits.text_bytes - left->length) {
        render_fail(render, EMSGSIZE, "a text of more than %zu bytes", render->limits.text_bytes);
        return nothing();
    }
    struct rope *joint = render_allocate(render, 1, sizeof *joint);
    if (!joint)
        return nothing();
    *joint = (struct rope){
        .length = left->length + right->length,
        .origin = left->origin == right->origin ? left->origin : ROPE_MIXED,
        .depth = 1 + (left->depth > right->depth ? left->depth : right->depth),
        .left = left,
        .right = right,
    };
    return joint;
}

static void copy_flat(const struct rope *part, char *bytes, unsigned char *marks)
{
    memcpy(bytes, part->bytes, part->length);
    if (!marks)
        return;
    if (part->origin == ROPE_MIXED)
        memcpy(marks, part->marks, part->length);
    else
        memset(marks, part->origin == ROPE_TEMPLATE, part->length);
}

/* Depth first, with a stack of its own: a loop can join any number of times. */
static void flatten(struct render *render, struct rope *rope)
{
    struct rope **stack = render_allocate(render, (size_t)rope->depth + 1, sizeof *stack);
    char *bytes = render_allocate(render, rope->length, 1);
    unsigned char *marks =
        rope->origin == ROPE_MIXED ? render_allocate(render, rope->length, 1) : NULL;
    if (!render_work(render, rope->length) || !stack || !bytes)
        return;
    size_t waiting = 0, at = 0;
    stack[waiting++] = rope;
    while (waiting > 0) {
        struct rope *part = stack[--waiting];
        if (part->depth) {
            stack[waiting++] = part->right;
            stack[waiting++] = part->left;
        } else {
            copy_flat(part, bytes + at, marks ? marks + at : NULL);
            at += part->length;
        }
    }
    *rope = (struct rope){
        .length = rope->length, .origin = rope->origin, .bytes = bytes, .marks = marks};
}

struct text rope_text(struct render *render, struct rope *rope)
{
    if (rope->depth)
        flatten(render, rope);
    if (rope->depth) /* it failed */
        return (struct text){"", 0};
    return (struct text){rope->bytes, rope->length};
}

struct rope *rope_slice(struct render *render, struct rope *rope, size_t begin, size_t length)
{
    struct text text = rope_text(render, rope);
    if (begin == 0 && length == rope->length)
        return rope;
    if (length == 0 || begin > text.length || length > text.length - begin)
        return nothing();
    struct rope *slice = rope_of(render, (struct text){text.bytes + begin, length}, rope->origin);
    if (slice->length && rope->origin == ROPE_MIXED)
        slice->marks = rope->marks + begin;
    return slice;
}

struct rope *rope_like(struct render *render, struct rope *rope, const char *bytes)
{
    struct text text = rope_text(render, rope);
    if (!bytes || text.length != rope->length)
        return nothing();
    struct rope *like = rope_of(render, (struct text){bytes, text.length}, rope->origin);
    if (like->length && rope->origin == ROPE_MIXED)
        like->marks = rope->marks;
    return like;
}

struct rope *rope_map(struct render *render, struct rope *rope, char (*map)(char byte))
{
    struct text text = rope_text(render, rope);
    char *bytes = render_allocate(render, text.length, 1);
    if (!render_work(render, text.length) || !bytes)
        return nothing();
    for (size_t i = 0; i < text.length; i++)
        bytes[i] = map(text.bytes[i]);
    return rope_like(render, rope, bytes);
}

struct rope *rope_untrusted(struct render *render, struct rope *rope)
{
    if (rope->origin == ROPE_USER)
        return rope;
    return rope_of(render, rope_text(render, rope), ROPE_USER);
}

struct rope *rope_repeat(struct render *render, struct rope *rope, int64_t count)
{
    struct rope *result = nothing();
    if (rope->length)
        for (struct rope *power = rope; count > 0 && !render->status; count >>= 1) {
            if (count & 1)
                result = rope_join(render, result, power);
            if (count > 1)
                power = rope_join(render, power, power);
        }
    return result;
}
