/* test_index.c - the tables of a tokenizer kept in a file: used when it is right, and never
 * trusted.
 */
#include "base/memory.h"
#include "text/bpe.h"
#include "text/bytelevel.h"
#include "text/index.h"
#include "text/pretokenizer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

enum {
    TOKENS = INDEX_TOKENS_MIN,
    TOKEN_BYTES = 16,
    FOLDER_BYTES = 1024,
    CHECKSUM_AT = 8, /* of all that follows it */
};

static const struct pretokenizer_rule whole_words = {.ignores_merges = true};
static const struct pretokenizer_rule merging = {0};

static struct text merges[] = {{"a b", 3}, {"ab c", 4}, {"abc abc", 7}};

/* The bytes, "ab", "abc", "abcabc", and as many others as make a vocabulary worth keeping. */
struct sample {
    struct vocabulary vocabulary;
    struct text tokens[TOKENS];
    uint8_t kinds[TOKENS];
    char strings[TOKENS][TOKEN_BYTES];
    char folder[FOLDER_BYTES]; /* of the cache */
};

static size_t sample_string(int id, char *out)
{
    static const char *const wholes[] = {"ab", "abc", "abcabc"};
    if (id < 256)
        return bytelevel_encode((unsigned char)id, out);
    if (id < 259)
        return (size_t)sprintf(out, "%s", wholes[id - 256]);
    return (size_t)sprintf(out, "other%d", id);
}

static struct sample *sample_open(const struct pretokenizer_rule *rule)
{
    struct sample *sample = calloc(1, sizeof *sample);
    assert_non_null(sample);
    for (int id = 0; id < TOKENS; id++) {
        size_t length = sample_string(id, sample->strings[id]);
        sample->tokens[id] = (struct text){sample->strings[id], length};
        sample->kinds[id] = TOKEN_NORMAL;
    }
    sample->vocabulary = (struct vocabulary){.rule = rule,
                                             .tokens = sample->tokens,
                                             .kinds = sample->kinds,
                                             .token_count = TOKENS,
                                             .merges = merges,
                                             .merge_count = 3};
    const char *temporary = getenv("TMPDIR");
    snprintf(sample->folder, sizeof sample->folder, "%s/test_index.XXXXXX",
             temporary ? temporary : "/tmp");
    assert_non_null(mkdtemp(sample->folder));
    assert_int_equal(setenv("INFERFS_CACHE", sample->folder, 1), 0);
    return sample;
}

/* The files of the cache: how many, and the path of the last. */
static int files_of(const struct sample *sample, char path[PATH_MAX])
{
    char folder[PATH_MAX];
    int count = 0;
    snprintf(folder, sizeof folder, "%s/index", sample->folder);
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        if (entry->d_name[0] == '.')
            continue;
        assert_true(snprintf(path, PATH_MAX, "%s/%s", folder, entry->d_name) < PATH_MAX);
        count++;
    }
    if (entries)
        closedir(entries);
    return count;
}

static void sample_close(struct sample *sample)
{
    char path[PATH_MAX];
    while (files_of(sample, path))
        assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/index", sample->folder);
    rmdir(path);
    assert_int_equal(rmdir(sample->folder), 0);
    assert_int_equal(setenv("INFERFS_CACHE", "", 1), 0);
    free(sample);
}

static struct tokens encode(const struct sample *sample, const char *text)
{
    struct bpe *bpe;
    struct bpe_scratch scratch = {0};
    struct tokens tokens = {0};
    assert_int_equal(bpe_open(&sample->vocabulary, &bpe, NULL), 0);
    assert_int_equal(bpe_encode(bpe, text_of(text), &scratch, &tokens), 0);
    bpe_scratch_free(&scratch);
    bpe_close(bpe);
    return tokens;
}

static void assert_ids(const struct sample *sample, const char *text, int count, ...)
{
    struct tokens tokens = encode(sample, text);
    va_list ids;
    assert_int_equal(tokens.count, count);
    va_start(ids, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(tokens.ids[i], va_arg(ids, int));
    va_end(ids);
    tokens_free(&tokens);
}

/* Is the file used? */
static bool is_used(const struct sample *sample)
{
    struct wordtable words;
    struct mergetable merge_table;
    int32_t byte_ids[256];
    struct index *index =
        index_open(&sample->vocabulary, &(struct index_tables){&words, &merge_table, byte_ids});
    index_close(index);
    return index != NULL;
}

static size_t read_all(const char *path, char *out, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(out, 1, capacity, file);
    fclose(file);
    assert_in_range(length, 1, capacity - 1);
    return length;
}

static void write_all(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void put_checksum(char *bytes, size_t length)
{
    uint64_t sum = XXH3_64bits(bytes + CHECKSUM_AT + 8, length - CHECKSUM_AT - 8);
    memcpy(bytes + CHECKSUM_AT, &sum, sizeof sum);
}

/* --- as it should be -------------------------------------------------------------------------- */

static void the_second_opening_uses_the_file_and_gives_the_same_ids(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct sample *sample = sample_open(&whole_words);
    for (int run = 0; run < 3; run++) {
        assert_int_equal(is_used(sample), run > 0);
        assert_ids(sample, "other999", 1, 999);
        assert_ids(sample, "abcabcab", 2, 258, 256);
        assert_int_equal(files_of(sample, path), 1);
    }
    sample_close(sample);
    sample = sample_open(&merging);
    for (int run = 0; run < 3; run++) {
        assert_int_equal(is_used(sample), run > 0);
        assert_ids(sample, "o99", 3, 'o', '9', '9');
        assert_ids(sample, "abcabcab", 2, 258, 256);
    }
    sample_close(sample);
}

static void the_file_and_its_folder_are_private(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct stat facts;
    struct sample *sample = sample_open(&merging);
    assert_ids(sample, "ab", 1, 256);
    assert_int_equal(files_of(sample, path), 1);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    *strrchr(path, '/') = 0;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0700);
    sample_close(sample);
}

static void another_vocabulary_has_another_file(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct sample *sample = sample_open(&merging);
    assert_ids(sample, "ab", 1, 256);
    sample->kinds[256] = TOKEN_CONTROL;
    assert_ids(sample, "ab", 2, 'a', 'b');
    sample->kinds[256] = TOKEN_NORMAL;
    sample->strings[700][0] = 'O';
    assert_false(is_used(sample));
    sample->strings[700][0] = 'o';
    assert_true(is_used(sample));
    sample->vocabulary.rule = &whole_words;
    assert_false(is_used(sample));
    assert_int_equal(files_of(sample, path), 2);
    sample_close(sample);
}

static void nothing_is_written_where_it_is_off_or_impossible(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct sample *sample = sample_open(&merging);
    assert_int_equal(setenv("INFERFS_CACHE", "", 1), 0);
    assert_ids(sample, "ab", 1, 256);
    assert_int_equal(setenv("INFERFS_CACHE", "/proc/nowhere", 1), 0);
    assert_ids(sample, "ab", 1, 256);
    assert_int_equal(unsetenv("INFERFS_CACHE"), 0);
    assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
    assert_int_equal(unsetenv("HOME"), 0);
    assert_ids(sample, "ab", 1, 256);
    assert_int_equal(setenv("INFERFS_CACHE", sample->folder, 1), 0);
    sample->vocabulary.token_count = TOKENS - 1; /* too small to be worth it */
    assert_ids(sample, "ab", 1, 256);
    assert_int_equal(files_of(sample, path), 0);
    sample_close(sample);
}

static void the_environment_says_where(void **state)
{
    (void)state;
    char expected[PATH_MAX + 64];
    struct sample *sample = sample_open(&merging);
    assert_int_equal(unsetenv("INFERFS_CACHE"), 0);
    assert_int_equal(setenv("HOME", sample->folder, 1), 0);
    assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
    assert_ids(sample, "ab", 1, 256);
    snprintf(expected, sizeof expected, "%s/.cache/inferfs/index", sample->folder);
    assert_int_equal(access(expected, F_OK), 0);
    snprintf(expected, sizeof expected, "rm -r '%s/.cache'", sample->folder);
    assert_int_equal(system(expected), 0);
    assert_int_equal(setenv("XDG_CACHE_HOME", sample->folder, 1), 0);
    assert_ids(sample, "ab", 1, 256);
    snprintf(expected, sizeof expected, "%s/inferfs/index", sample->folder);
    assert_int_equal(access(expected, F_OK), 0);
    snprintf(expected, sizeof expected, "rm -r '%s/inferfs'", sample->folder);
    assert_int_equal(system(expected), 0);
    assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
    assert_int_equal(unsetenv("HOME"), 0);
    sample_close(sample);
}

static void the_oldest_files_leave(void **state)
{
    (void)state;
    char path[PATH_MAX + 64];
    struct sample *sample = sample_open(&merging);
    snprintf(path, sizeof path, "%s/index", sample->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = 0; i < INDEX_FILES_MAX + 10; i++) {
        snprintf(path, sizeof path, "%s/index/%032d", sample->folder, i);
        write_all(path, "x", 1);
        const struct timespec times[2] = {{1000 + i, 0}, {1000 + i, 0}};
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    assert_ids(sample, "ab", 1, 256);
    assert_int_equal(files_of(sample, path), INDEX_FILES_MAX);
    snprintf(path, sizeof path, "%s/index/%032d", sample->folder, 10);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/index/%032d", sample->folder, 11);
    assert_int_equal(access(path, F_OK), 0);
    assert_true(is_used(sample));
    sample_close(sample);
}

static void files_of_other_programs_are_never_deleted(void **state)
{
    (void)state;
    char path[PATH_MAX + 64];
    struct sample *sample = sample_open(&merging);
    snprintf(path, sizeof path, "%s/index", sample->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = 0; i < INDEX_FILES_MAX + 10; i++) {
        snprintf(path, sizeof path, "%s/index/page%d.html", sample->folder, i);
        write_all(path, "x", 1);
    }
    assert_ids(sample, "ab", 1, 256);
    assert_int_equal(files_of(sample, path), INDEX_FILES_MAX + 10 + 1);
    assert_true(is_used(sample));
    sample_close(sample);
}

/* --- as it should not be ---------------------------------------------------------------------- */

static void files_that_others_could_have_written_are_not_used(void **state)
{
    (void)state;
    char path[PATH_MAX], moved[PATH_MAX];
    struct sample *sample = sample_open(&merging);
    assert_ids(sample, "ab", 1, 256);
    files_of(sample, path);
    assert_true(is_used(sample));
    assert_int_equal(chmod(path, 0620), 0);
    assert_false(is_used(sample));
    assert_int_equal(chmod(path, 0602), 0);
    assert_false(is_used(sample));
    assert_int_equal(chmod(path, 0600), 0);
    assert_true(is_used(sample));
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_false(is_used(sample));
        assert_int_equal(chown(path, 0, 0), 0);
    }
    snprintf(moved, sizeof moved, "%s/moved", sample->folder);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(symlink(moved, path), 0);
    assert_false(is_used(sample));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* opening it must not wait for a writer */
    assert_false(is_used(sample));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(moved), 0);
    sample_close(sample);
}

static void a_file_that_is_cut_or_longer_is_built_anew(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    char path[PATH_MAX];
    struct sample *sample = sample_open(&merging);
    assert_ids(sample, "ab", 1, 256);
    files_of(sample, path);
    size_t length = read_all(path, bytes, sizeof bytes);
    for (size_t cut = 0; cut < length; cut++) {
        write_all(path, bytes, cut);
        assert_false(is_used(sample));
    }
    write_all(path, bytes, length + 8);
    assert_false(is_used(sample));
    assert_ids(sample, "ab", 1, 256);
    assert_true(is_used(sample));
    sample_close(sample);
}

static void a_changed_byte_is_noticed_and_the_file_built_anew(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    char path[PATH_MAX];
    struct sample *sample = sample_open(&merging);
    assert_ids(sample, "ab", 1, 256);
    files_of(sample, path);
    size_t length = read_all(path, bytes, sizeof bytes);
    for (size_t at = 0; at < length; at++) {
        bytes[at] ^= 0x10;
        write_all(path, bytes, length);
        assert_false(is_used(sample));
        bytes[at] ^= 0x10;
    }
    assert_ids(sample, "abcabcab", 2, 258, 256);
    assert_true(is_used(sample));
    sample_close(sample);
}

/* With a checksum that is right: the ids may be wrong, but they are ids. */
static void assert_survives(const struct pretokenizer_rule *rule, uint8_t change)
{
    static char bytes[1 << 16];
    char path[PATH_MAX];
    struct sample *sample = sample_open(rule);
    assert_ids(sample, "ab", 1, 256);
    files_of(sample, path);
    size_t length = read_all(path, bytes, sizeof bytes), used = 0;
    for (size_t at = CHECKSUM_AT + 8; at < length; at += at < 2048 ? 1 : 7) {
        bytes[at] ^= (char)change;
        put_checksum(bytes, length);
        write_all(path, bytes, length);
        used += is_used(sample);
        struct tokens tokens =
            encode(sample, "abcabcabother99abcabcabcabcabcabcabcabcabcabcabcabcabc"
                           "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcab");
        for (size_t i = 0; i < tokens.count; i++)
            assert_in_range(tokens.ids[i], 0, TOKENS - 1);
        tokens_free(&tokens);
        tokens = encode(sample, "other99");
        for (size_t i = 0; i < tokens.count; i++)
            assert_in_range(tokens.ids[i], 0, TOKENS - 1);
        tokens_free(&tokens);
        bytes[at] ^= (char)change;
    }
    assert_true(used >= 100); /* the tables: they are not checked beforehand */
    sample_close(sample);
}

static void a_hostile_file_gives_ids_of_the_vocabulary_all_the_same(void **state)
{
    (void)state;
    assert_survives(&merging, 0x01);
    assert_survives(&merging, 0x80);
    assert_survives(&merging, 0xFF);
    assert_survives(&whole_words, 0xFF);
}

/* No slot is free: a search must end by itself. */
static void a_full_table_ends_every_search(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    char path[PATH_MAX];
    struct sample *sample = sample_open(&whole_words);
    assert_ids(sample, "ab", 1, 256);
    files_of(sample, path);
    size_t length = read_all(path, bytes, sizeof bytes);
    memset(bytes + length - 2048 * 8, 0xFF, 2048 * 8); /* the words */
    put_checksum(bytes, length);
    write_all(path, bytes, length);
    assert_true(is_used(sample));
    assert_ids(sample, "ab", 1, 256);
    sample_close(sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_opening_uses_the_file_and_gives_the_same_ids),
        cmocka_unit_test(the_file_and_its_folder_are_private),
        cmocka_unit_test(another_vocabulary_has_another_file),
        cmocka_unit_test(nothing_is_written_where_it_is_off_or_impossible),
        cmocka_unit_test(the_environment_says_where),
        cmocka_unit_test(the_oldest_files_leave),
        cmocka_unit_test(files_of_other_programs_are_never_deleted),
        cmocka_unit_test(files_that_others_could_have_written_are_not_used),
        cmocka_unit_test(a_file_that_is_cut_or_longer_is_built_anew),
        cmocka_unit_test(a_changed_byte_is_noticed_and_the_file_built_anew),
        cmocka_unit_test(a_hostile_file_gives_ids_of_the_vocabulary_all_the_same),
        cmocka_unit_test(a_full_table_ends_every_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
