/* test_stop.c - what is shown of a byte stream, and when. */
#include "generate/stop.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PIECE_BYTES_MAX = 64, SHOWN_BYTES_MAX = 8192 };

/* A stop and all that it has shown. */
struct stream {
    struct stop stop;
    char shown[SHOWN_BYTES_MAX];
    size_t length;
};

static void show(struct stream *stream, struct text text)
{
    assert_true(stream->length + text.length < SHOWN_BYTES_MAX);
    if (text.length)
        memcpy(stream->shown + stream->length, text.bytes, text.length);
    stream->length += text.length;
    stream->shown[stream->length] = 0;
}

static struct stream *open_stream(size_t count, const char *const *strings)
{
    struct text texts[STOP_STRINGS_MAX];
    struct stream *stream = calloc(1, sizeof *stream);
    assert_non_null(stream);
    for (size_t i = 0; i < count; i++)
        texts[i] = text_of(strings[i]);
    assert_int_equal(stop_open(&stream->stop, texts, count, PIECE_BYTES_MAX, NULL), 0);
    return stream;
}

static bool feed_bytes(struct stream *stream, const char *bytes, size_t length)
{
    struct text text;
    bool stopped = stop_feed(&stream->stop, bytes, length, &text);
    show(stream, text);
    return stopped;
}

static bool feed(struct stream *stream, const char *string)
{
    return feed_bytes(stream, string, strlen(string));
}

static void close_stream(struct stream *stream)
{
    stop_close(&stream->stop);
    free(stream);
}

static void without_stop_strings_all_is_shown_at_once(void **state)
{
    (void)state;
    struct stream *stream = open_stream(0, NULL);
    assert_false(feed(stream, "one "));
    assert_string_equal(stream->shown, "one ");
    assert_false(feed(stream, ""));
    assert_false(feed(stream, "two"));
    assert_string_equal(stream->shown, "one two");
    assert_int_equal(stop_flush(&stream->stop).length, 0);
    close_stream(stream);
}

static void the_answer_ends_before_a_stop_string(void **state)
{
    (void)state;
    struct stream *stream = open_stream(1, (const char *const[]){"END"});
    assert_true(feed(stream, "the answerENDand more"));
    assert_string_equal(stream->shown, "the answer");
    close_stream(stream);
}

static void a_stop_string_may_come_in_pieces(void **state)
{
    (void)state;
    struct stream *stream = open_stream(1, (const char *const[]){"\nUser:"});
    assert_false(feed(stream, "hello\n"));
    assert_string_equal(stream->shown, "hello");
    assert_false(feed(stream, "Us"));
    assert_string_equal(stream->shown, "hello");
    assert_true(feed(stream, "er: hi"));
    assert_string_equal(stream->shown, "hello");
    close_stream(stream);
}

static void what_turns_out_to_be_no_stop_string_is_shown(void **state)
{
    (void)state;
    struct stream *stream = open_stream(1, (const char *const[]){"aab"});
    assert_false(feed(stream, "aa"));
    assert_string_equal(stream->shown, "");
    assert_false(feed(stream, "a")); /* the last two may still begin one */
    assert_string_equal(stream->shown, "a");
    assert_false(feed(stream, "c"));
    assert_string_equal(stream->shown, "aaac");
    assert_false(feed(stream, "a"));
    show(stream, stop_flush(&stream->stop));
    assert_string_equal(stream->shown, "aaaca");
    close_stream(stream);
}

static void the_string_that_is_complete_first_ends_the_answer(void **state)
{
    (void)state;
    struct stream *stream = open_stream(2, (const char *const[]){"bcdefgh", "de"});
    assert_true(feed(stream, "abcdefgh"));
    assert_string_equal(stream->shown, "abc");
    close_stream(stream);
}

static void of_strings_that_end_together_the_longest_counts(void **state)
{
    (void)state;
    struct stream *stream = open_stream(3, (const char *const[]){"b", "aab", "ab"});
    assert_true(feed(stream, "xaab"));
    assert_string_equal(stream->shown, "x");
    close_stream(stream);
}

static void characters_are_shown_whole(void **state)
{
    (void)state;
    struct stream *stream = open_stream(0, NULL);
    assert_false(feed(stream, "x\xe2")); /* of U+20AC */
    assert_string_equal(stream->shown, "x");
    assert_false(feed(stream, "\x82"));
    assert_string_equal(stream->shown, "x");
    assert_false(feed(stream, "\xac"));
    assert_string_equal(stream->shown, "x\xe2\x82\xac");
    close_stream(stream);
}

static void bytes_of_no_character_are_shown_at_the_end(void **state)
{
    (void)state;
    struct stream *stream = open_stream(0, NULL);
    assert_false(feed(stream, "x\xe2\x82"));
    assert_string_equal(stream->shown, "x");
    show(stream, stop_flush(&stream->stop));
    assert_string_equal(stream->shown, "x\xe2\x82");
    close_stream(stream);
}

static void unusable_stop_strings_are_refused(void **state)
{
    (void)state;
    struct text many[STOP_STRINGS_MAX + 1];
    char longest[STOP_BYTES_MAX + 1] = {0};
    struct stop stop;
    struct error error;
    for (size_t i = 0; i < STOP_STRINGS_MAX + 1; i++)
        many[i] = text_of("x");
    assert_int_equal(stop_open(&stop, many, STOP_STRINGS_MAX + 1, 1, &error), -EINVAL);
    assert_int_equal(stop_open(&stop, &(struct text){"", 0}, 1, 1, &error), -EINVAL);
    assert_int_equal(stop_open(&stop, &(struct text){longest, sizeof longest}, 1, 1, &error),
                     -EINVAL);
    assert_non_null(strstr(error.text, "257"));
}

/* Where the answer ends, found the slow way. */
static size_t expected_end(const char *text, size_t length, const char *const *strings,
                           size_t count, bool *stopped)
{
    for (size_t end = 1; end <= length; end++) {
        size_t begin = end;
        for (size_t i = 0; i < count; i++) {
            size_t bytes = strlen(strings[i]);
            if (bytes <= end && end - bytes < begin &&
                memcmp(text + end - bytes, strings[i], bytes) == 0)
                begin = end - bytes;
        }
        *stopped = begin < end;
        if (*stopped)
            return begin;
    }
    return length;
}

static void random_streams_in_random_pieces_agree_with_a_plain_search(void **state)
{
    (void)state;
    static const char *const strings[] = {"abab", "bba", "aaaab", "\xc3\xa9x"};
    static const char *const letters[] = {"a", "b", "x", "\xc3\xa9", "\xc3", "\x80"};
    srand(7);
    int stops = 0;
    for (int round = 0; round < 3000; round++) {
        char text[256] = "";
        int count = rand() % 40;
        for (int i = 0; i < count; i++)
            strcat(text, letters[rand() % 6]);
        bool expect_stop = false, stopped = false;
        size_t length = strlen(text);
        size_t end = expected_end(text, length, strings, 4, &expect_stop);
        struct stream *stream = open_stream(4, strings);
        for (size_t at = 0; at < length && !stopped;) {
            size_t piece = (size_t)(rand() % 5);
            piece = piece < length - at ? piece : length - at;
            stopped = feed_bytes(stream, text + at, piece);
            at += piece;
        }
        if (!stopped)
            show(stream, stop_flush(&stream->stop));
        stops += stopped;
        assert_int_equal(stopped, expect_stop);
        assert_int_equal(stream->length, end);
        assert_memory_equal(stream->shown, text, end);
        close_stream(stream);
    }
    assert_in_range(stops, 500, 2900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_stop_strings_all_is_shown_at_once),
        cmocka_unit_test(the_answer_ends_before_a_stop_string),
        cmocka_unit_test(a_stop_string_may_come_in_pieces),
        cmocka_unit_test(what_turns_out_to_be_no_stop_string_is_shown),
        cmocka_unit_test(the_string_that_is_complete_first_ends_the_answer),
        cmocka_unit_test(of_strings_that_end_together_the_longest_counts),
        cmocka_unit_test(characters_are_shown_whole),
        cmocka_unit_test(bytes_of_no_character_are_shown_at_the_end),
        cmocka_unit_test(unusable_stop_strings_are_refused),
        cmocka_unit_test(random_streams_in_random_pieces_agree_with_a_plain_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
