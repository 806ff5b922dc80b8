/* catalog_bench.h - a real folder, a real loop: what becomes a model, when, and what it is told as.
 *
 * The log has one mark per callback: +name added, ~name changed, -name removed.  Nothing waits for
 * a time to pass: expect() runs the loop until the log is as long as expected.  That something does
 * NOT happen is shown with a marker, a file renamed into the folder afterwards: a look that finds
 * it has seen everything that was done before.
 */
#ifndef TESTS_CATALOG_BENCH_H
#define TESTS_CATALOG_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fs/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEADLINE_S = 60, LOG_BYTES = 1 << 20, OTHER_USER = 65534 };

struct test {
    char path[256], outside[256]; /* two folders on one file system */
    int folder, elsewhere;
    struct loop *loop;
    struct catalog *catalog;
    char *log;
    size_t log_length, wanted;
    bool late, forget_at_once;
    struct loop_timer deadline, writer;
    int64_t last_write_us;
    int writes;
};

static inline void write_log(struct test *test, char mark, const struct catalog_model *model)
{
    size_t left = LOG_BYTES - test->log_length;
    int length = snprintf(test->log + test->log_length, left, "%c%s", mark, model->name);
    assert_true(length > 0 && (size_t)length < left);
    test->log_length += (size_t)length;
}

static inline void on_added(void *owner, struct catalog_model *model)
{
    struct test *test = owner;
    assert_false(model->removed);
    assert_ptr_equal(catalog_find(test->catalog, model->name), model);
    write_log(test, '+', model);
}

static inline void on_changed(void *owner, struct catalog_model *model)
{
    struct test *test = owner;
    assert_false(model->removed);
    assert_ptr_equal(catalog_by_id(test->catalog, model->id), model);
    write_log(test, '~', model);
}

static inline void on_removed(void *owner, struct catalog_model *model)
{
    struct test *test = owner;
    assert_true(model->removed);
    assert_ptr_equal(catalog_by_id(test->catalog, model->id), model);
    write_log(test, '-', model);
    if (test->forget_at_once)
        catalog_forget(test->catalog, model);
}

static const struct catalog_callbacks callbacks = {on_added, on_changed, on_removed};

static inline void stop_when_done(void *owner)
{
    struct test *test = owner;
    if (test->log_length >= test->wanted)
        loop_stop(test->loop);
}

static inline void stop_late(void *owner)
{
    struct test *test = owner;
    test->late = true;
    loop_stop(test->loop);
}

static inline void run_until(struct test *test, size_t log_length)
{
    test->wanted = log_length;
    loop_timer_set(test->loop, &test->deadline, clock_now_us() + DEADLINE_S * 1000000LL, stop_late,
                   test);
    assert_int_equal(loop_run(test->loop), 0);
    loop_timer_clear(test->loop, &test->deadline);
    if (test->late)
        fail_msg("nothing more came after \"%s\"", test->log);
}

static inline void clear_log(struct test *test)
{
    test->log_length = 0;
    test->log[0] = 0;
}

static inline void expect(struct test *test, const char *log)
{
    run_until(test, strlen(log));
    assert_string_equal(test->log, log);
    clear_log(test);
}

static inline void open_folder(const char *path, int *out)
{
    *out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(*out >= 0);
}

/* In memory where possible: some tests make thousands of files. */
static inline void make_folder(char *path, size_t bytes)
{
    const char *parent = getenv("TMPDIR");
    if (!parent)
        parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    int length = snprintf(path, bytes, "%s/test_catalog.XXXXXX", parent);
    assert_true(length > 0 && (size_t)length < bytes);
    assert_non_null(mkdtemp(path));
}

static inline int set_up(void **state)
{
    struct test *test = calloc(1, sizeof *test);
    assert_non_null(test);
    test->log = calloc(1, LOG_BYTES);
    assert_non_null(test->log);
    make_folder(test->path, sizeof test->path);
    make_folder(test->outside, sizeof test->outside);
    open_folder(test->path, &test->folder);
    open_folder(test->outside, &test->elsewhere);
    assert_int_equal(loop_open(&test->loop), 0);
    loop_after_round(test->loop, stop_when_done, test);
    *state = test;
    return 0;
}

/* Files and sub-folders; takes over the descriptor. */
static inline void empty_folder(int fd)
{
    DIR *directory = fdopendir(fd);
    assert_non_null(directory);
    rewinddir(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (strspn(entry->d_name, ".") == strlen(entry->d_name))
            continue;
        int inner = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner >= 0)
            empty_folder(inner);
        unlinkat(fd, entry->d_name, inner >= 0 ? AT_REMOVEDIR : 0);
    }
    closedir(directory);
}

static inline void remove_folder(const char *path, int fd)
{
    empty_folder(fd);
    assert_int_equal(rmdir(path), 0);
}

static inline int tear_down(void **state)
{
    struct test *test = *state;
    catalog_close(test->catalog);
    loop_close(test->loop);
    remove_folder(test->path, test->folder);
    remove_folder(test->outside, test->elsewhere);
    free(test->log);
    free(test);
    return 0;
}

static inline void open_catalog(struct test *test, bool follow_symlinks)
{
    struct error error = {0};
    int folder;
    open_folder(test->path, &folder);
    int status =
        catalog_open(test->loop, folder, follow_symlinks, &callbacks, test, &test->catalog, &error);
    if (status)
        fail_msg("catalog_open: %d %s", status, error.text);
}

static inline int open_writer(int folder, const char *file)
{
    int fd = openat(folder, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    return fd;
}

static inline void write_bytes(int fd, const char *bytes)
{
    assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
}

static inline void put_in(int folder, const char *file, const char *bytes)
{
    int fd = openat(folder, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    write_bytes(fd, bytes);
    assert_int_equal(close(fd), 0);
}

static inline void put(struct test *test, const char *file, const char *bytes)
{
    put_in(test->folder, file, bytes);
}

static inline void move_in(struct test *test, const char *file, const char *bytes)
{
    put_in(test->elsewhere, "moving", bytes);
    assert_int_equal(renameat(test->elsewhere, "moving", test->folder, file), 0);
}

static inline void unlink_file(struct test *test, const char *file)
{
    assert_int_equal(unlinkat(test->folder, file, 0), 0);
}

/* Nothing was told since the last expect(). */
static inline void expect_nothing(struct test *test)
{
    move_in(test, "marker.gguf", "");
    expect(test, "+marker");
    unlink_file(test, "marker.gguf");
    expect(test, "-marker");
}

static inline struct catalog_model *find(struct test *test, const char *name)
{
    struct catalog_model *model = catalog_find(test->catalog, name);
    if (!model)
        fail_msg("no model \"%s\"", name);
    return model;
}

static inline int open_model(struct test *test, struct catalog_model *model)
{
    struct error error = {0};
    int fd = catalog_open_model(test->catalog, model, &error);
    if (fd < 0) {
        assert_int_equal(error.code, -fd);
        assert_true(error.text[0] != 0);
    }
    return fd;
}

static inline void expect_content(struct test *test, const char *name, const char *content)
{
    char bytes[64];
    int fd = open_model(test, find(test, name));
    assert_true(fd >= 0);
    ssize_t length = read(fd, bytes, sizeof bytes);
    assert_int_equal(length, strlen(content));
    assert_memory_equal(bytes, content, (size_t)length);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
}

#define CATALOG_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
