/* normalform.c - see normalform.h.
 *
 * The text is taken run by run: a run starts at a character that no mark changes the order of and
 * nothing composes with, so that it is short in any real text.  The marks of a run are put into
 * canonical order by counting their classes, because an evil text can have a million of them in a
 * row (utf8proc's own ordering would exchange neighbours). */
#include "text/normalform.h"

#include "text/codepoint.h"

#include <errno.h>
#include <stdlib.h>

enum {
    CLASSES = 256,  /* canonical combining classes */
    SHORT_RUN = 16, /* marks that are sorted by insertion */
    RUN_MAX = 1 << 28,
    FIRST_MARK = 0x300, /* below are only starters that follow nothing */
};

/* The code points since the last one that ended a run, and room to sort them. */
struct run {
    int32_t *points;
    size_t count, capacity;
    int32_t *sorted;
    size_t sorted_capacity;
};

static unsigned class_of(int32_t point)
{
    return point < FIRST_MARK ? 0 : (unsigned)utf8proc_get_property(point)->combining_class;
}

static void sort_by_insertion(int32_t *marks, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        int32_t mark = marks[i];
        unsigned class = class_of(mark);
        size_t at = i;
        for (; at > 0 && class_of(marks[at - 1]) > class; at--)
            marks[at] = marks[at - 1];
        marks[at] = mark;
    }
}

/* Stable, in linear time.  `sorted` has room for the marks. */
static void sort_by_counting(int32_t *marks, size_t count, int32_t *sorted)
{
    size_t next[CLASSES + 1] = {0};
    for (size_t i = 0; i < count; i++)
        next[class_of(marks[i]) + 1]++;
    for (size_t class = 1; class < CLASSES; class ++)
        next[class] += next[class - 1];
    for (size_t i = 0; i < count; i++)
        sorted[next[class_of(marks[i])]++] = marks[i];
    memcpy(marks, sorted, count * sizeof *marks);
}

/* Put all marks between starters into canonical order. */
static int order_marks(struct run *run)
{
    for (size_t at = 0; at < run->count;) {
        size_t begin = at;
        while (at < run->count && class_of(run->points[at]) != 0)
            at++;
        size_t marks = at - begin;
        if (marks > SHORT_RUN) {
            int status = memory_grow((void **)&run->sorted, &run->sorted_capacity, marks,
                                     sizeof *run->sorted, RUN_MAX);
            if (status)
                return status;
            sort_by_counting(run->points + begin, marks, run->sorted);
        } else if (marks > 1) {
            sort_by_insertion(run->points + begin, marks);
        }
        at += marks == 0;
    }
    return 0;
}

static int flush_run(struct run *run, bool compose, struct buffer *out)
{
    int status = order_marks(run);
    if (status)
        return status;
    if (compose && run->count > 1)
        run->count = (size_t)utf8proc_normalize_utf32(run->points, (utf8proc_ssize_t)run->count,
                                                      UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    for (size_t i = 0; i < run->count && !status; i++)
        status = codepoint_append(out, run->points[i]);
    run->count = 0;
    return status;
}

static int decompose_into(struct run *run, int32_t point, bool compatible)
{
    int status = memory_grow((void **)&run->points, &run->capacity,
                             run->count + NORMALFORM_DECOMPOSED_MAX, sizeof *run->points, RUN_MAX);
    if (status)
        return status;
    utf8proc_option_t options = UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
    utf8proc_ssize_t count = utf8proc_decompose_char(point, run->points + run->count,
                                                     NORMALFORM_DECOMPOSED_MAX, options, NULL);
    if (count < 0 || count > NORMALFORM_DECOMPOSED_MAX)
        return -EMSGSIZE;
    run->count += (size_t)count;
    return 0;
}

int normalform_append(struct text text, bool composed, bool compatible, struct buffer *out)
{
    struct run run = {0};
    int status = 0;
    for (size_t at = 0; at < text.length && !status;) {
        int32_t point;
        at += codepoint_at(text, at, &point);
        if (point < FIRST_MARK)
            status = flush_run(&run, composed, out);
        if (!status)
            status = decompose_into(&run, point, compatible);
    }
    if (!status)
        status = flush_run(&run, composed, out);
    free(run.points);
    free(run.sorted);
    return status;
}
