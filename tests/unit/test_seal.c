/* test_seal.c - an index that is used unread: only while neither it nor the model has changed, with
 * the same tokens as without one, and safe whatever its bytes are.
 *
 * A seal needs files that have kept still for some seconds: here the clock is set instead. */
#include "load/identity.h"
#include "tests/lib/gguf_writer.h"
#include "text/bytelevel.h"
#include "text/index.h"
#include "text/tokenizer.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

enum {
    TOKENS = INDEX_TOKENS_MIN + 100,
    SPECIALS = 20, /* the last tokens */
    STRING_BYTES = 16,
    INDEX_BYTES_HERE = 1 << 17,
    SEAL_BYTES = 104,
    SEAL_IDENTITY_AT = 40, /* of the index */
    SEAL_CHECKSUM_AT = 96,
    INDEX_CHECKSUM_AT = 8,
};

/* This program's time() comes before the C library's. */
static long ahead_s;

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time_t shown = now.tv_sec + ahead_s;
    if (out)
        *out = shown;
    return shown;
}

/* A folder with a model and a cache. */
struct world {
    char folder[64], model[96], cache[96];
    char strings[TOKENS][STRING_BYTES];
    struct text tokens[TOKENS];
    int32_t kinds[TOKENS];
};

static const struct text merges[] = {{"a b", 3}, {"ab c", 4}, {"abc abc", 7}, {"1 2", 3}};

/* The bytes, what the merges give, spaces, other words, specials. */
static void write_model(struct world *world, const char *pre, const char *word)
{
    static const char *const wholes[] = {"ab", "abc", "abcabc", "12"};
    for (int id = 0; id < TOKENS; id++) {
        char *string = world->strings[id];
        int length;
        if (id < 256)
            length = (int)bytelevel_encode((unsigned char)id, string);
        else if (id < 260)
            length = sprintf(string, "%s", wholes[id - 256]);
        else if (id == 260) /* the longest, but not when it is decoded: spaces */
            length = sprintf(string, "\xC4\xA0\xC4\xA0\xC4\xA0\xC4\xA0\xC4\xA0\xC4\xA0\xC4\xA0");
        else
            length = sprintf(string, id < TOKENS - SPECIALS ? "%s%d" : "<|%s%d|>", word, id);
        world->tokens[id] = (struct text){string, (size_t)length};
        world->kinds[id] = id < TOKENS - SPECIALS ? TOKEN_NORMAL : TOKEN_CONTROL;
    }
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_string(&writer, "tokenizer.ggml.model", text_of("gpt2"));
    gguf_writer_string(&writer, "tokenizer.ggml.pre", text_of(pre));
    gguf_writer_strings(&writer, "tokenizer.ggml.tokens", TOKENS, world->tokens);
    gguf_writer_array(&writer, "tokenizer.ggml.token_type", GGUF_INT32, TOKENS, world->kinds,
                      sizeof world->kinds);
    gguf_writer_strings(&writer, "tokenizer.ggml.merges", 4, merges);
    assert_int_equal(gguf_writer_save(&writer, world->model), 0);
    gguf_writer_free(&writer);
}

static struct world *world_open(const char *pre)
{
    struct world *world = calloc(1, sizeof *world);
    if (!world) {
        fail();
        return NULL;
    }
    strcpy(world->folder, "/tmp/test_seal.XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->model, sizeof world->model, "%s/model.gguf", world->folder);
    snprintf(world->cache, sizeof world->cache, "%s/index", world->folder);
    assert_int_equal(setenv("INFERFS_CACHE", world->folder, 1), 0);
    ahead_s = 10;
    write_model(world, pre, "word");
    return world;
}

static void world_close(struct world *world)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", world->folder);
    assert_int_equal(system(command), 0);
    free(world);
}

/* The file of the cache that is a seal, or the one that is none.  False: there is none. */
static bool find_file(const struct world *world, bool seal, char path[PATH_MAX])
{
    bool found = false;
    DIR *entries = opendir(world->cache);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        char at[PATH_MAX];
        struct stat facts;
        snprintf(at, sizeof at, "%s/%s", world->cache, entry->d_name);
        if (entry->d_name[0] == '.' || stat(at, &facts) || (facts.st_size == SEAL_BYTES) != seal)
            continue;
        assert_false(found);
        strcpy(path, at);
        found = true;
    }
    if (entries)
        closedir(entries);
    return found;
}

/* --- reading and tokens ----------------------------------------------------------------------- */

static const char *const texts[] = {
    "abcabcab12 word500 <|word1110|>!",
    "word999",
    "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
    "<|word1123|><|word1104|>\n\xFF\x01",
};

/* All that a tokenizer says: the ids of the texts, and every token decoded. */
struct answer {
    bool sealed; /* did it come from a sealed index? */
    struct buffer bytes;
};

static void add(struct answer *answer, const void *bytes, size_t length)
{
    assert_int_equal(buffer_append(&answer->bytes, &length, sizeof length), 0);
    assert_int_equal(buffer_append(&answer->bytes, bytes, length), 0);
}

static struct answer ask(const struct world *world)
{
    struct answer answer = {.bytes = buffer_new(1 << 20)};
    struct gguf *gguf;
    struct vocabulary vocabulary;
    struct tokenizer *tokenizer;
    assert_int_equal(gguf_open(world->model, &gguf, NULL), 0);
    assert_int_equal(vocabulary_from_gguf(gguf, &vocabulary, NULL), 0);
    assert_int_equal(tokenizer_open(&vocabulary, &tokenizer, NULL), 0);
    answer.sealed = vocabulary.index != NULL;
    assert_int_equal(answer.sealed, vocabulary.tokens == NULL);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct tokens tokens = {0};
        assert_int_equal(tokenizer_encode(tokenizer, text_of(texts[i]), TOKENIZER_SPECIAL, &tokens),
                         0);
        for (size_t k = 0; k < tokens.count; k++)
            assert_in_range(tokens.ids[k], 0, TOKENS - 1);
        add(&answer, tokens.ids, tokens.count * sizeof *tokens.ids);
        tokens_free(&tokens);
    }
    size_t capacity = tokenizer_piece_bytes_max(tokenizer), bytes = tokenizer_bytes(tokenizer);
    add(&answer, &capacity, sizeof capacity); /* both are charged for */
    add(&answer, &bytes, sizeof bytes);
    char *piece = malloc(capacity + 1);
    assert_non_null(piece);
    for (int32_t id = 0; id < TOKENS; id++) {
        long length = tokenizer_decode(tokenizer, id, true, piece, capacity);
        assert_in_range(length, 0, capacity);
        add(&answer, piece, (size_t)length);
    }
    free(piece);
    tokenizer_close(tokenizer);
    vocabulary_free(&vocabulary);
    gguf_close(gguf);
    return answer;
}

static struct answer ask_without_index(const struct world *world)
{
    assert_int_equal(setenv("INFERFS_CACHE", "", 1), 0);
    struct answer answer = ask(world);
    assert_int_equal(setenv("INFERFS_CACHE", world->folder, 1), 0);
    assert_false(answer.sealed);
    return answer;
}

/* Ask; it must be what is right, and have come from a sealed index or not. */
static void expect(const struct world *world, const struct answer *right, bool sealed)
{
    struct answer answer = ask(world);
    assert_int_equal(answer.sealed, sealed);
    assert_true(text_equals(buffer_text(&answer.bytes), buffer_text(&right->bytes)));
    buffer_free(&answer.bytes);
}

/* The first opening builds the index, the second checks and seals it. */
static struct answer seal(const struct world *world)
{
    struct answer right = ask_without_index(world);
    expect(world, &right, false);
    expect(world, &right, false);
    expect(world, &right, true);
    return right;
}

/* --- files ------------------------------------------------------------------------------------ */

static size_t read_all(const char *path, char *out, size_t capacity)
{
    int file = open(path, O_RDONLY);
    ssize_t length = read(file, out, capacity);
    close(file);
    assert_in_range(length, 1, capacity - 1);
    return (size_t)length;
}

/* Write over a file in place, at another moment than anybody before: clocks may be coarse. */
static void write_over(const char *path, const char *bytes, size_t length)
{
    static long moment;
    struct timespec now;
    int file = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(file, bytes, length), length);
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec -= 1000;
    now.tv_nsec = moment++;
    assert_int_equal(futimens(file, (struct timespec[]){now, now}), 0);
    close(file);
}

/* --- as it should be -------------------------------------------------------------------------- */

static void the_third_opening_reads_neither_strings_nor_tables(void **state)
{
    (void)state;
    static const char *const pres[] = {"smollm", "llama-bpe", "qwen2"}; /* one looks words up */
    for (size_t i = 0; i < 3; i++) {
        struct world *world = world_open(pres[i]);
        struct answer right = seal(world);
        expect(world, &right, true);
        buffer_free(&right.bytes);
        world_close(world);
    }
}

static void nothing_is_sealed_that_changed_a_moment_ago(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct world *world = world_open("smollm");
    struct answer right = ask_without_index(world);
    ahead_s = 0;
    for (int i = 0; i < 4; i++)
        expect(world, &right, false);
    assert_false(find_file(world, true, path));
    ahead_s = -1000; /* changed in the future */
    expect(world, &right, false);
    assert_false(find_file(world, true, path));
    ahead_s = 10;
    expect(world, &right, false);
    expect(world, &right, true);
    buffer_free(&right.bytes);
    world_close(world);
}

static void another_model_in_its_place_gets_its_own(void **state)
{
    (void)state;
    struct world *world = world_open("smollm");
    struct answer right = seal(world), other;
    write_model(world, "smollm", "Word"); /* as many bytes, in place */
    other = ask_without_index(world);
    assert_false(text_equals(buffer_text(&right.bytes), buffer_text(&other.bytes)));
    expect(world, &other, false);
    expect(world, &other, false);
    expect(world, &other, true);
    buffer_free(&other.bytes);
    buffer_free(&right.bytes);
    world_close(world);
}

/* --- as it should not be ---------------------------------------------------------------------- */

static void a_changed_byte_of_a_seal_voids_it(void **state)
{
    (void)state;
    char path[PATH_MAX], bytes[SEAL_BYTES + 1];
    struct world *world = world_open("smollm");
    struct answer right = seal(world);
    assert_true(find_file(world, true, path));
    size_t length = read_all(path, bytes, sizeof bytes);
    for (size_t at = 0; at < length; at++) {
        bytes[at] ^= 0x10;
        write_over(path, bytes, length);
        expect(world, &right, false); /* and it is sealed anew */
        bytes[at] ^= 0x10;
        expect(world, &right, true);
    }
    write_over(path, bytes, length - 1);
    expect(world, &right, false);
    buffer_free(&right.bytes);
    world_close(world);
}

static void a_damaged_index_is_built_anew(void **state)
{
    (void)state;
    static char bytes[INDEX_BYTES_HERE];
    char path[PATH_MAX];
    struct world *world = world_open("llama-bpe");
    struct answer right = seal(world);
    assert_true(find_file(world, false, path));
    size_t length = read_all(path, bytes, sizeof bytes);
    for (size_t at = 0; at < length; at += at < 64 ? 1 : 509) {
        bytes[at] ^= 0x41;
        write_over(path, bytes, length);
        expect(world, &right, false); /* built */
        bytes[at] ^= 0x41;
        write_over(path, bytes, at ? at : 1);
        expect(world, &right, false);
    }
    expect(world, &right, false); /* sealed */
    expect(world, &right, true);
    buffer_free(&right.bytes);
    world_close(world);
}

static void the_index_of_another_model_is_not_used(void **state)
{
    (void)state;
    static char bytes[INDEX_BYTES_HERE];
    char path[PATH_MAX];
    struct world *world = world_open("smollm"), *other = world_open("smollm");
    write_model(other, "smollm", "Word");
    struct answer foreign = seal(other);
    assert_true(find_file(other, false, path));
    size_t length = read_all(path, bytes, sizeof bytes);
    assert_int_equal(setenv("INFERFS_CACHE", world->folder, 1), 0);
    struct answer right = seal(world);
    assert_true(find_file(world, false, path));
    write_over(path, bytes, length);
    expect(world, &right, false);
    buffer_free(&foreign.bytes);
    buffer_free(&right.bytes);
    world_close(other);
    world_close(world);
}

/* Seal an index as it is. */
static void forge_seal(const struct world *world, const char *index)
{
    char path[PATH_MAX], bytes[SEAL_BYTES + 1];
    struct stat facts;
    assert_int_equal(stat(index, &facts), 0);
    struct identity identity = identity_of(&facts);
    assert_true(find_file(world, true, path));
    assert_int_equal(read_all(path, bytes, sizeof bytes), SEAL_BYTES);
    memcpy(bytes + SEAL_IDENTITY_AT, &identity, sizeof identity);
    uint64_t sum = XXH3_64bits(bytes, SEAL_CHECKSUM_AT);
    memcpy(bytes + SEAL_CHECKSUM_AT, &sum, sizeof sum);
    write_over(path, bytes, SEAL_BYTES);
}

/* ask() checks that ids are ids and that no token is longer than was said. */
static void assert_forgeries_are_safe(const char *pre, uint8_t change, size_t run)
{
    static char bytes[INDEX_BYTES_HERE], changed[INDEX_BYTES_HERE];
    char path[PATH_MAX];
    size_t used = 0;
    struct world *world = world_open(pre);
    struct answer right = seal(world);
    assert_true(find_file(world, false, path));
    size_t length = read_all(path, bytes, sizeof bytes);
    for (size_t at = 0; at + run <= length; at += at < 256 ? 5 : 31) {
        memcpy(changed, bytes, length);
        for (size_t i = 0; i < run; i++)
            changed[at + i] ^= (char)change;
        write_over(path, changed, length);
        forge_seal(world, path);
        struct answer answer = ask(world);
        used += answer.sealed;
        buffer_free(&answer.bytes);
        if (!answer.sealed) /* it was built anew, and sealed by the next */
            expect(world, &right, false);
    }
    assert_true(used >= 50);
    buffer_free(&right.bytes);
    world_close(world);
}

static void a_forged_index_is_safe(void **state)
{
    (void)state;
    assert_forgeries_are_safe("llama-bpe", 0xFF, 1);
    assert_forgeries_are_safe("llama-bpe", 0x01, 1);
    assert_forgeries_are_safe("smollm", 0x80, 200);
    assert_forgeries_are_safe("llama-bpe", 0xFF, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_third_opening_reads_neither_strings_nor_tables),
        cmocka_unit_test(nothing_is_sealed_that_changed_a_moment_ago),
        cmocka_unit_test(another_model_in_its_place_gets_its_own),
        cmocka_unit_test(a_changed_byte_of_a_seal_voids_it),
        cmocka_unit_test(a_damaged_index_is_built_anew),
        cmocka_unit_test(the_index_of_another_model_is_not_used),
        cmocka_unit_test(a_forged_index_is_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
