/* test_gguf_files.c - models on disk: mapping, populating, odd files, models in several parts. */
#include "base/threads.h"
#include "load/gguf.h"
#include "load/identity.h"

#include "tests/lib/gguf_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* This program's madvise() comes before the C library's: what the next calls shall fail with. */
static int madvise_error;

int madvise(void *address, size_t length, int advice)
{
    if (madvise_error == 0)
        return (int)syscall(SYS_madvise, address, length, advice);
    errno = madvise_error;
    return -1;
}

/* ---- a folder of its own for each test ---- */

static int make_folder(void **state)
{
    char pattern[] = "/tmp/test_gguf.XXXXXX";
    if (!mkdtemp(pattern))
        return -1;
    *state = strdup(pattern);
    return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", (char *)*state);
    free(*state);
    return system(command);
}

static const char *path_in(void *const *state, const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", (const char *)*state, name);
    return path;
}

static void expect_refused(const char *path, int code, const char *place)
{
    struct gguf *gguf = NULL;
    struct error error = {0};
    assert_int_equal(gguf_open(path, &gguf, &error), -code);
    assert_null(gguf);
    assert_int_equal(error.code, code);
    if (!strstr(error.text, place))
        fail_msg("\"%s\" does not say \"%s\"", error.text, place);
}

static void save(struct gguf_writer *writer, const char *path)
{
    assert_int_equal(gguf_writer_save(writer, path), 0);
    gguf_writer_free(writer);
}

/* ---- files ---- */

/* What two threads find. */
static uint64_t look(const struct gguf *gguf, bool *proven)
{
    struct threads *threads;
    assert_int_equal(threads_open(2, &threads, NULL), 0);
    uint64_t bytes = gguf_resident_bytes(gguf, threads, proven);
    threads_close(threads);
    return bytes;
}

static uint64_t resident_bytes(const struct gguf *gguf)
{
    bool proven;
    return look(gguf, &proven);
}

static void write_model(struct gguf_writer *writer, size_t weight_bytes)
{
    uint8_t *bytes = calloc(1, weight_bytes);
    assert_non_null(bytes);
    gguf_writer_string(writer, "general.architecture", text_of("llama"));
    gguf_writer_tensor(writer, "weights", TENSOR_F32, 1, (uint64_t[]){weight_bytes / 4}, bytes,
                       weight_bytes);
    free(bytes);
}

static void opens_a_file_and_leaves_no_descriptor(void **state)
{
    struct gguf_writer writer = gguf_writer_new();
    write_model(&writer, 1 << 20);
    const char *path = path_in(state, "model.gguf");
    save(&writer, path);
    int before = open("/dev/null", O_RDONLY);
    close(before);
    struct gguf *gguf = NULL;
    assert_int_equal(gguf_open(path, &gguf, NULL), 0);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(gguf_file_bytes(gguf), status.st_size);
    assert_int_equal(unlink(path), 0); /* the mapping keeps the model */
    assert_int_equal(gguf_tensor(gguf, "weights")->data[1000], 0);
    gguf_close(gguf);
    int after = open("/dev/null", O_RDONLY);
    close(after);
    assert_int_equal(before, after);
}

/* Beside many other descriptors a mapping keeps none, and counts pages all the same. */
static void counts_pages_without_a_descriptor(void **state)
{
    struct gguf_writer writer = gguf_writer_new();
    write_model(&writer, 1 << 20);
    const char *path = path_in(state, "model.gguf");
    save(&writer, path);
    int null = open("/dev/null", O_RDONLY), high = fcntl(null, F_DUPFD, 400);
    for (int descriptor = null + 1; descriptor < 300; descriptor++)
        assert_int_equal(dup2(null, descriptor), descriptor);
    struct gguf *gguf = NULL;
    bool proven = true;
    int status = gguf_open(path, &gguf, NULL);
    uint64_t resident = look(gguf, &proven);
    for (int descriptor = null; descriptor < 300; descriptor++)
        close(descriptor);
    close(high);
    assert_int_equal(status, 0);
    assert_int_equal(resident, gguf_file_bytes(gguf));
    assert_false(proven);
    gguf_close(gguf);
}

static void says_which_file_a_value_lies_in(void **state)
{
    struct gguf_writer writer = gguf_writer_new();
    write_model(&writer, 4096);
    const char *path = path_in(state, "model.gguf");
    save(&writer, path);
    struct gguf *gguf = NULL;
    struct identity identity, now;
    uint64_t offset;
    struct stat status;
    assert_int_equal(gguf_open(path, &gguf, NULL), 0);
    const struct gguf_value *value = gguf_find(gguf, "general.architecture");
    assert_true(gguf_identity(gguf, value, &identity, &offset));
    assert_int_equal(offset, 24 + 8 + strlen("general.architecture") + 4);
    assert_int_equal(stat(path, &status), 0);
    now = identity_of(&status);
    assert_memory_equal(&identity, &now, sizeof now);
    assert_false(identity_is_settled(&identity)); /* it was written just now */
    const struct gguf_value elsewhere = {.data = (const uint8_t *)&identity};
    assert_false(gguf_identity(gguf, &elsewhere, &identity, &offset));
    gguf_close(gguf);
}

static void populates_and_counts_all_pages(void **state)
{
    struct gguf_writer writer = gguf_writer_new();
    write_model(&writer, 40 << 20); /* three windows, the last one partial */
    const char *path = path_in(state, "model.gguf");
    save(&writer, path);
    static const int errors[] = {0, EINVAL}; /* EINVAL: a kernel that cannot populate */
    for (size_t i = 0; i < 2; i++) {
        struct gguf *gguf = NULL;
        assert_int_equal(gguf_open(path, &gguf, NULL), 0);
        madvise_error = errors[i];
        int status = gguf_populate(gguf, NULL);
        madvise_error = 0;
        assert_int_equal(status, 0);
        assert_int_equal(resident_bytes(gguf), gguf_file_bytes(gguf));
        gguf_close(gguf);
    }
}

static void counts_pages_of_a_hole_that_nobody_read_as_absent(void **state)
{
    enum { WHOLE_BYTES = 64 << 20 };
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_u32(&writer, "x", 1);
    const char *path = path_in(state, "sparse.gguf");
    save(&writer, path);
    assert_int_equal(truncate(path, WHOLE_BYTES), 0);
    struct gguf *gguf = NULL;
    assert_int_equal(gguf_open(path, &gguf, NULL), 0);
    bool proven = true;
    uint64_t resident = look(gguf, &proven);
    assert_true(resident > 0 && resident < WHOLE_BYTES / 2);
    assert_false(proven);
    gguf_close(gguf);
}

/* Read the first bytes of these windows of a file. */
static void read_windows(int file, off_t begin, off_t end, size_t bytes)
{
    static char buffer[1 << 20];
    for (off_t at = begin; at < end; at += 16 << 20)
        for (size_t i = 0; i < bytes; i += sizeof buffer)
            assert_true(pread(file, buffer, sizeof buffer, at + (off_t)i) > 0);
}

/* The kernel is asked for a sixteenth of a large file; only if that is cached, the rest is taken to
 * be.  A page that is missing there is noticed, and everything counted. */
static void a_large_file_of_which_the_sample_is_cached_counts_as_cached(void **state)
{
    enum { MIB = 1 << 20, WHOLE_BYTES = 160 * MIB + 4096 };
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_u32(&writer, "x", 1);
    const char *path = path_in(state, "sparse.gguf");
    save(&writer, path);
    assert_int_equal(truncate(path, WHOLE_BYTES), 0);
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM), 0); /* no reading ahead */
    struct gguf *gguf = NULL;
    assert_int_equal(gguf_open(path, &gguf, NULL), 0);
    bool cached = true;
    read_windows(file, 0, 144 * MIB, MIB); /* all but the window at 144 MiB and the last page */
    uint64_t resident = look(gguf, &cached);
    assert_false(cached);
    assert_true(resident >= 9 * MIB && resident < WHOLE_BYTES / 2);
    read_windows(file, 144 * MIB, 160 * MIB, MIB);
    look(gguf, &cached);
    assert_false(cached);
    read_windows(file, 160 * MIB, WHOLE_BYTES, MIB);
    resident = look(gguf, &cached);
    gguf_close(gguf);
    close(file);
    struct {
        uint64_t offset, length, counts[5];
    } question = {0};
    if (syscall(451, -1, &question, question.counts, 0) && errno == ENOSYS)
        skip(); /* cachestat(2) is not there */
    assert_true(cached);
    assert_int_equal(resident, WHOLE_BYTES);
}

static void reports_a_file_that_shrank_before_populating(void **state)
{
    struct gguf_writer writer = gguf_writer_new();
    write_model(&writer, 1 << 20);
    const char *path = path_in(state, "model.gguf");
    save(&writer, path);
    struct gguf *gguf = NULL;
    struct error error = {0};
    assert_int_equal(gguf_open(path, &gguf, NULL), 0);
    assert_int_equal(truncate(path, 4096), 0);
    assert_int_equal(gguf_populate(gguf, &error), -EIO);
    assert_non_null(strstr(error.text, "cannot be read between bytes 0 and"));
    gguf_close(gguf);
}

static void reports_a_bad_disk_while_populating(void **state)
{
    struct gguf_writer writer = gguf_writer_new();
    write_model(&writer, 4096);
    const char *path = path_in(state, "model.gguf");
    save(&writer, path);
    struct gguf *gguf = NULL;
    struct error error = {0};
    assert_int_equal(gguf_open(path, &gguf, NULL), 0);
    madvise_error = EIO;
    int status = gguf_populate(gguf, &error);
    madvise_error = 0;
    assert_int_equal(status, -EIO);
    assert_int_equal(error.code, EIO);
    gguf_close(gguf);
}

static void refuses_what_is_not_a_regular_file(void **state)
{
    expect_refused(path_in(state, "absent.gguf"), ENOENT, "cannot be opened: No such file");
    expect_refused(*state, ENOEXEC, "the folder has no config.json");
    expect_refused("/dev/zero", ENOEXEC, "not a regular file");
    const char *pipe_path = path_in(state, "pipe.gguf");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    alarm(5); /* an open that waits for a writer would wait for ever */
    expect_refused(pipe_path, ENOEXEC, "not a regular file");
    alarm(0);
}

static void refuses_an_empty_file(void **state)
{
    const char *path = path_in(state, "empty.gguf");
    close(open(path, O_CREAT | O_WRONLY, 0600));
    expect_refused(path, ENOEXEC, "it is empty");
}

static void refuses_a_sparse_file_of_many_terabytes(void **state)
{
    const char *path = path_in(state, "sparse.gguf");
    int descriptor = open(path, O_CREAT | O_WRONLY, 0600);
    int status = ftruncate(descriptor, 15ll << 40);
    close(descriptor);
    if (status)
        skip();
    expect_refused(path, ENOEXEC, "does not start with");
}

/* An array of 64 Mi empty strings is a hole of 512 MiB that costs its author nothing. */
static void refuses_a_header_that_is_a_huge_hole(void **state)
{
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_array(&writer, "tokens", GGUF_STRING, 40 << 20, NULL, 0);
    const char *path = path_in(state, "hole.gguf");
    save(&writer, path);
    assert_int_equal(truncate(path, 1ll << 30), 0);
    expect_refused(path, ENOEXEC, "key tokens claims 41943040 items, but there is room for");
}

/* Claims of counts were all possible, and yet the strings go on and on. */
static void refuses_a_header_of_many_long_strings(void **state)
{
    enum { STRINGS = 17, LENGTH = 16 << 20 };
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_array(&writer, "tokens", GGUF_STRING, STRINGS, NULL, 0);
    const char *path = path_in(state, "long.gguf");
    save(&writer, path);
    int descriptor = open(path, O_WRONLY);
    off_t offset = lseek(descriptor, 0, SEEK_END);
    static const uint8_t length[8] = {0, 0, 0, 1}; /* 2^24, little endian */
    for (int i = 0; i < STRINGS; i++)
        assert_int_equal(pwrite(descriptor, length, 8, offset + i * (8ll + LENGTH)), 8);
    assert_int_equal(ftruncate(descriptor, 1ll << 30), 0);
    close(descriptor);
    expect_refused(path, ENOEXEC, "key tokens goes past byte 134217728, the limit");
}

/* ---- split models ---- */

/* Part `number` of `count`, with a tensor called t<number>. */
static struct gguf_writer split_part(uint32_t number, uint32_t count, uint32_t total)
{
    struct gguf_writer writer = gguf_writer_new();
    char name[16];
    snprintf(name, sizeof name, "t%u", number);
    uint32_t value = number * 11;
    gguf_writer_integer(&writer, "split.no", GGUF_UINT16, number - 1);
    gguf_writer_integer(&writer, "split.count", GGUF_UINT16, count);
    gguf_writer_integer(&writer, "split.tensors.count", GGUF_INT32, total);
    if (number == 1)
        gguf_writer_string(&writer, "general.name", text_of("in parts"));
    gguf_writer_tensor(&writer, name, TENSOR_F32, 1, (uint64_t[]){1}, &value, 4);
    return writer;
}

static void save_parts(void **state, uint32_t count, uint32_t total)
{
    for (uint32_t number = 1; number <= count; number++) {
        char name[64];
        snprintf(name, sizeof name, "m-%05u-of-%05u.gguf", number, count);
        struct gguf_writer writer = split_part(number, count, total);
        save(&writer, path_in(state, name));
    }
}

static void joins_the_parts_of_a_split_model_whichever_is_named(void **state)
{
    save_parts(state, 3, 3);
    static const char *const names[] = {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf",
                                        "m-00003-of-00003.gguf"};
    for (size_t i = 0; i < 3; i++) {
        struct gguf *gguf = NULL;
        struct error error = {0};
        if (gguf_open(path_in(state, names[i]), &gguf, &error))
            fail_msg("refused: %s", error.text);
        assert_int_equal(gguf_tensor_count(gguf), 3);
        assert_int_equal(gguf_tensor_bytes(gguf), 12);
        assert_string_equal(gguf_tensor_at(gguf, 1)->name, "t2");
        assert_int_equal(gguf_tensor(gguf, "t1")->data[0], 11);
        assert_int_equal(gguf_tensor(gguf, "t3")->data[0], 33);
        struct text name;
        uint32_t number = 9;
        assert_int_equal(gguf_get_string(gguf, "general.name", &name, NULL), 0);
        assert_int_equal(gguf_get_u32(gguf, "split.no", &number, NULL), 0);
        assert_int_equal(number, 0);
        assert_int_equal(gguf_populate(gguf, NULL), 0);
        assert_int_equal(resident_bytes(gguf), gguf_file_bytes(gguf));
        gguf_close(gguf);
    }
}

static void joins_a_split_of_one(void **state)
{
    save_parts(state, 1, 1);
    struct gguf *gguf = NULL;
    assert_int_equal(gguf_open(path_in(state, "m-00001-of-00001.gguf"), &gguf, NULL), 0);
    assert_int_equal(gguf_tensor_count(gguf), 1);
    gguf_close(gguf);
}

static void refuses_a_split_with_a_part_missing(void **state)
{
    save_parts(state, 3, 3);
    unlink(path_in(state, "m-00002-of-00003.gguf"));
    expect_refused(path_in(state, "m-00003-of-00003.gguf"), ENOENT,
                   "part 2 of 3: cannot be opened: No such file");
}

static void refuses_a_split_whose_tensor_count_is_another(void **state)
{
    save_parts(state, 2, 5);
    expect_refused(path_in(state, "m-00001-of-00002.gguf"), ENOEXEC,
                   "key split.tensors.count is 5, but the parts have 2 tensors");
}

static void refuses_parts_that_disagree(void **state)
{
    save_parts(state, 3, 3);
    const char *last = path_in(state, "m-00003-of-00003.gguf");
    struct gguf_writer writer = split_part(3, 4, 3);
    save(&writer, last);
    expect_refused(last, ENOEXEC, "part 3 of 3: key split.count is 4, but 3 was expected");
    writer = split_part(2, 3, 3);
    save(&writer, last);
    expect_refused(last, ENOEXEC, "part 3 of 3: key split.no is 1, but 2 was expected");
    writer = split_part(3, 3, 2);
    save(&writer, last);
    expect_refused(last, ENOEXEC, "part 3 of 3: key split.tensors.count is 2, but 3");
    writer = gguf_writer_new();
    save(&writer, last);
    expect_refused(last, ENOEXEC, "part 3 of 3: key split.count is missing");
    writer = split_part(3, 3, 3);
    writer.version = 9;
    save(&writer, last);
    expect_refused(last, ENOEXEC, "part 3 of 3: the header says GGUF version 9");
}

static void refuses_a_split_that_does_not_say_how_many_tensors(void **state)
{
    const char *path = path_in(state, "m-00001-of-00002.gguf");
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_u32(&writer, "split.no", 0);
    gguf_writer_u32(&writer, "split.count", 2);
    save(&writer, path);
    expect_refused(path, ENOEXEC, "part 1 of 2: key split.tensors.count is missing");
}

/* Each part keeps the limit, both together do not. */
static void refuses_too_many_tensors_in_all_parts(void **state)
{
    enum { TENSORS = 40000 };
    for (uint32_t number = 1; number <= 2; number++) {
        struct gguf_writer writer = split_part(number, 2, 2 * TENSORS + 2);
        char name[48];
        for (int i = 0; i < TENSORS; i++) {
            snprintf(name, sizeof name, "blk.%d.%u", i, number);
            gguf_writer_tensor(&writer, name, TENSOR_F32, 1, (uint64_t[]){1}, "1234", 4);
        }
        snprintf(name, sizeof name, "m-%05u-of-00002.gguf", number);
        save(&writer, path_in(state, name));
    }
    expect_refused(path_in(state, "m-00001-of-00002.gguf"), ENOEXEC,
                   "part 2 of 2: more than 65536 tensors in all parts");
}

static void refuses_a_tensor_that_two_parts_have(void **state)
{
    save_parts(state, 2, 3);
    struct gguf_writer writer = split_part(2, 2, 3);
    gguf_writer_tensor(&writer, "t1", TENSOR_F32, 1, (uint64_t[]){1}, "1234", 4);
    save(&writer, path_in(state, "m-00002-of-00002.gguf"));
    expect_refused(path_in(state, "m-00001-of-00002.gguf"), ENOEXEC, "tensor t1 appears twice");
}

static void refuses_a_part_with_a_plain_name(void **state)
{
    static const char *const names[] = {"m.gguf", "m-00001-of-2.gguf", "m-00003-of-00002.gguf",
                                        "m-00000-of-00002.gguf", "m-0000x-of-00002.gguf"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct gguf_writer writer = split_part(1, 2, 2);
        const char *path = path_in(state, names[i]);
        save(&writer, path);
        expect_refused(path, ENOEXEC, "one of 2 parts, but not named \"...-00001-of-00002.gguf\"");
    }
}

static void refuses_a_split_into_too_many_parts(void **state)
{
    expect_refused(path_in(state, "m-00001-of-01025.gguf"), ENOEXEC, "one of 1025 parts");
}

/* ---- a whole model, where one is installed ---- */

static void opens_the_shared_vocabularies(void **state)
{
    (void)state;
    const char *shared = getenv("INFERFS_SHARED");
    char path[512];
    snprintf(path, sizeof path, "%s/vectors/tokenizers/ggml-vocab-qwen2.gguf",
             shared ? shared : "");
    if (access(path, R_OK))
        skip();
    struct gguf *gguf = NULL;
    struct error error = {0};
    if (gguf_open(path, &gguf, &error))
        fail_msg("refused: %s", error.text);
    const struct gguf_value *tokens = NULL;
    assert_int_equal(gguf_get_array(gguf, "tokenizer.ggml.tokens", GGUF_STRING, &tokens, NULL), 0);
    assert_int_equal(tokens->count, 151936);
    gguf_close(gguf);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(counts_pages_without_a_descriptor),
        WITH_FOLDER(says_which_file_a_value_lies_in),
        WITH_FOLDER(opens_a_file_and_leaves_no_descriptor),
        WITH_FOLDER(populates_and_counts_all_pages),
        WITH_FOLDER(counts_pages_of_a_hole_that_nobody_read_as_absent),
        WITH_FOLDER(a_large_file_of_which_the_sample_is_cached_counts_as_cached),
        WITH_FOLDER(reports_a_file_that_shrank_before_populating),
        WITH_FOLDER(reports_a_bad_disk_while_populating),
        WITH_FOLDER(refuses_what_is_not_a_regular_file),
        WITH_FOLDER(refuses_an_empty_file),
        WITH_FOLDER(refuses_a_sparse_file_of_many_terabytes),
        WITH_FOLDER(refuses_a_header_that_is_a_huge_hole),
        WITH_FOLDER(refuses_a_header_of_many_long_strings),
        WITH_FOLDER(joins_the_parts_of_a_split_model_whichever_is_named),
        WITH_FOLDER(joins_a_split_of_one),
        WITH_FOLDER(refuses_a_split_with_a_part_missing),
        WITH_FOLDER(refuses_a_split_whose_tensor_count_is_another),
        WITH_FOLDER(refuses_parts_that_disagree),
        WITH_FOLDER(refuses_a_split_that_does_not_say_how_many_tensors),
        WITH_FOLDER(refuses_too_many_tensors_in_all_parts),
        WITH_FOLDER(refuses_a_tensor_that_two_parts_have),
        WITH_FOLDER(refuses_a_part_with_a_plain_name),
        WITH_FOLDER(refuses_a_split_into_too_many_parts),
        cmocka_unit_test(opens_the_shared_vocabularies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
