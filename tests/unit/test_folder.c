/* test_folder.c - listing a folder: names, order, what may not be reached, who writes a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77 };

struct test {
    char path[256];
    struct folder folder;
};

static int set_up(void **state)
{
    struct test *test = calloc(1, sizeof *test);
    assert_non_null(test);
    const char *parent = getenv("TMPDIR");
    snprintf(test->path, sizeof test->path, "%s/test_folder.XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(test->path));
    test->folder.fd = open(test->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(test->folder.fd >= 0);
    *state = test;
    return 0;
}

/* The tests make no folder with anything in it. */
static int tear_down(void **state)
{
    struct test *test = *state;
    struct folder_file *files;
    size_t count;
    static const char *const others[] = {"link.gguf", "fifo.gguf", "covered.gguf", "other"};
    assert_int_equal(folder_list(&test->folder, &files, &count), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(unlinkat(test->folder.fd, files[i].file, 0), 0);
    folder_free(files, count);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        unlinkat(test->folder.fd, others[i], 0);
    close(test->folder.fd);
    assert_int_equal(rmdir(test->path), 0);
    free(test);
    return 0;
}

static int open_writer(struct test *test, const char *file)
{
    int fd = openat(test->folder.fd, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    return fd;
}

static void put(struct test *test, const char *file)
{
    int fd = open_writer(test, file);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(close(fd), 0);
}

static bool lists(const struct folder *folder, const char *const *expected, size_t expected_count)
{
    struct folder_file *files;
    size_t count;
    if (folder_list(folder, &files, &count))
        return false;
    bool same = count == expected_count;
    for (size_t i = 0; i < count && same; i++)
        same = strcmp(files[i].file, expected[i]) == 0 && files[i].status.st_size == 1;
    folder_free(files, count);
    return same;
}

static void names_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *file, *name; /* NULL: no model */
        uint32_t part, parts;
    } cases[] = {
        {"a.gguf", "a", 0, 0},
        {"a.b.gguf", "a.b", 0, 0},
        {"a-00001-of-00001.gguf", "a", 1, 1},
        {"a-00002-of-00010.gguf", "a", 2, 10},
        {"a-99999-of-99999.gguf", "a", 99999, 99999},
        {"a-00000-of-00002.gguf", "a-00000-of-00002", 0, 0},
        {"a-00003-of-00002.gguf", "a-00003-of-00002", 0, 0},
        {"a-0001-of-00002.gguf", "a-0001-of-00002", 0, 0},
        {"a-00001-of-0000x.gguf", "a-00001-of-0000x", 0, 0},
        {"a_00001-of-00002.gguf", "a_00001-of-00002", 0, 0},
        {"a-00001_of-00002.gguf", "a-00001_of-00002", 0, 0},
        {"-00001-of-00002.gguf", "-00001-of-00002", 0, 0},
        {"....gguf", NULL, 0, 0},
        {".a.gguf", NULL, 0, 0},
        {"", NULL, 0, 0},
        {"gguf", NULL, 0, 0},
        {".gguf", NULL, 0, 0},
        {"..gguf", NULL, 0, 0},
        {"...gguf", NULL, 0, 0},
        {"..-00001-of-00002.gguf", NULL, 0, 0},
        {"a.GGUF", NULL, 0, 0},
        {"a.gguf.part", NULL, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char file[64];
        struct folder_file parsed = {0};
        strcpy(file, cases[i].file);
        assert_int_equal(folder_parse(file, &parsed), cases[i].name != NULL);
        if (!cases[i].name)
            continue;
        assert_int_equal(parsed.name_length, strlen(cases[i].name));
        assert_memory_equal(file, cases[i].name, parsed.name_length);
        assert_int_equal(parsed.part, cases[i].part);
        assert_int_equal(parsed.parts, cases[i].parts);
    }
}

static void files_are_in_order_of_models_then_parts(void **state)
{
    struct test *test = *state;
    static const char *const order[] = {
        "a-00001-of-00002.gguf",
        "a-00002-of-00002.gguf",
        "a-00001-of-00003.gguf",
        "a-00003-of-00003.gguf",
        "a.gguf",
        "a-b.gguf",
        "a.b.gguf",
        "b\xff.gguf",
    };
    enum { COUNT = sizeof order / sizeof *order };
    for (size_t i = 0; i < COUNT; i++)
        put(test, order[i * 3 % COUNT]); /* 3 and 8 have no common factor: each once */
    assert_true(lists(&test->folder, order, COUNT));
}

static void an_empty_folder_lists_nothing(void **state)
{
    struct test *test = *state;
    assert_true(lists(&test->folder, NULL, 0));
    struct folder nowhere = {.fd = -1};
    struct folder_file *files;
    size_t count;
    assert_int_equal(folder_list(&nowhere, &files, &count), -EBADF);
}

/* The kernel signals a lease's holder when somebody opens the file for writing; the signal's
 * default, SIGIO, would end this process. */
static void a_writer_that_comes_while_a_file_is_probed_does_no_harm(void **state)
{
    struct test *test = *state;
    char name[] = "a.gguf";
    struct folder_file file;
    int status = 0, quiet = 0, written = 0;
    put(test, name);
    assert_true(folder_parse(name, &file));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int i = 0; i < 20000; i++)
            close(open_writer(test, name));
        _exit(0);
    }
    while (waitpid(child, &status, WNOHANG) == 0) {
        enum folder_use use = folder_probe(&test->folder, &file);
        assert_true(use != FOLDER_UNKNOWN);
        quiet += use == FOLDER_QUIET;
        written += use == FOLDER_WRITTEN;
    }
    assert_int_equal(status, 0);
    assert_true(quiet > 0 && written > 0);
    file.status = (struct stat){0};
    assert_int_equal(folder_probe(&test->folder, &file), FOLDER_QUIET);
    assert_int_equal(file.status.st_size, 1); /* as it is, now that nobody writes */
}

static void forbid_openat2(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        _exit(SKIPPED);
}

static void cover_with_a_mount(const struct test *test)
{
    char covered[sizeof test->path + 16], cover[sizeof test->path + 16];
    snprintf(covered, sizeof covered, "%s/covered.gguf", test->path);
    snprintf(cover, sizeof cover, "%s/other", test->path);
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount(cover, covered, NULL, MS_BIND, NULL))
        _exit(SKIPPED);
}

/* A child of its own for what can't be undone. */
static void expect_success(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void links_and_fifos_are_refused(const struct test *test)
{
    static const char *const expected[] = {"a.gguf"};
    struct stat status;
    if (!lists(&test->folder, expected, 1))
        _exit(1);
    if (folder_open(&test->folder, "link.gguf", &status) != -ELOOP)
        _exit(2);
    if (folder_open(&test->folder, "fifo.gguf", &status) != -ENOEXEC)
        _exit(3);
    _exit(0);
}

static void links_are_refused_with_and_without_openat2(void **state)
{
    struct test *test = *state;
    put(test, "a.gguf");
    assert_int_equal(symlinkat("a.gguf", test->folder.fd, "link.gguf"), 0);
    assert_int_equal(mkfifoat(test->folder.fd, "fifo.gguf", 0644), 0);
    for (int without = 0; without < 2; without++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            if (without)
                forbid_openat2();
            links_and_fifos_are_refused(test);
        }
        expect_success(child);
    }
}

static void a_file_mounted_into_the_folder_is_left_out(void **state)
{
    struct test *test = *state;
    static const char *const expected[] = {"a.gguf"};
    put(test, "a.gguf");
    put(test, "covered.gguf");
    put(test, "other");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct stat status;
        cover_with_a_mount(test);
        struct folder folder = {open(test->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), false};
        if (!lists(&folder, expected, 1))
            _exit(1);
        _exit(folder_stat(&folder, "covered.gguf", &status) != -EXDEV);
    }
    expect_success(child);
}

#define FOLDER_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_taken_apart),
        FOLDER_TEST(files_are_in_order_of_models_then_parts),
        FOLDER_TEST(an_empty_folder_lists_nothing),
        FOLDER_TEST(a_writer_that_comes_while_a_file_is_probed_does_no_harm),
        FOLDER_TEST(links_are_refused_with_and_without_openat2),
        FOLDER_TEST(a_file_mounted_into_the_folder_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
