/* test_catalog.c - files that become models, and what they are told as; tests/lib/catalog_bench.h
 * says how. */
#include "tests/lib/catalog_bench.h"

static void files_are_models_in_order_of_their_names(void **state)
{
    struct test *test = *state;
    put(test, "b.gguf", "bb");
    put(test, "a.b.gguf", "1");
    put(test, "a-b.gguf", "1");
    put(test, "a.gguf", "a");
    put(test, "B.gguf", "1");
    put(test, "empty.gguf", "");
    open_catalog(test, false);
    assert_string_equal(test->log, "+B+a+a-b+a.b+b+empty");
    assert_int_equal(catalog_count(test->catalog), 6);
    for (size_t i = 0; i < 6; i++) {
        struct catalog_model *model = catalog_at(test->catalog, i);
        assert_true(model->id >= 1 && model->id <= 6);
        assert_ptr_equal(catalog_find(test->catalog, model->name), model);
        assert_ptr_equal(catalog_by_id(test->catalog, model->id), model);
    }
    assert_null(catalog_at(test->catalog, 6));
    assert_null(catalog_find(test->catalog, "c"));
    assert_null(catalog_find(test->catalog, ""));
    assert_null(catalog_by_id(test->catalog, 7));
    assert_null(catalog_by_id(test->catalog, 0));
    struct catalog_model *b = find(test, "b");
    assert_string_equal(b->file, "b.gguf");
    assert_false(b->split);
    assert_true(b->bytes == 2 && b->fingerprint.bytes == 2);
    assert_true(find(test, "empty")->bytes == 0);
    expect_content(test, "b", "bb");
}

static void what_is_no_model_is_left_out(void **state)
{
    struct test *test = *state;
    put(test, "good.gguf", "x");
    static const char *const files[] = {".gguf",
                                        "...gguf",
                                        "....gguf",
                                        ".hidden.gguf",
                                        "x.gguf.part",
                                        "README.gguf",
                                        "status.gguf",
                                        "events.gguf",
                                        "budget.gguf",
                                        "resident.gguf",
                                        "ctl.gguf",
                                        "metrics.gguf",
                                        "README-00001-of-00001.gguf"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put(test, files[i], "x");
    assert_int_equal(mkdirat(test->folder, "directory.gguf", 0755), 0);
    assert_int_equal(mkfifoat(test->folder, "fifo.gguf", 0644), 0);
    assert_int_equal(symlinkat("good.gguf", test->folder, "link.gguf"), 0);
    assert_int_equal(symlinkat("nothing", test->folder, "dangling.gguf"), 0);
    assert_int_equal(symlinkat("loop.gguf", test->folder, "loop.gguf"), 0);
    assert_int_equal(symlinkat("/etc/passwd", test->folder, "passwd.gguf"), 0);
    if (geteuid() == 0)
        assert_int_equal(mknodat(test->folder, "device.gguf", S_IFCHR | 0644, 1 << 8 | 3), 0);
    open_catalog(test, false);
    expect(test, "+good");
    expect_nothing(test);
    assert_int_equal(catalog_rescan(test->catalog, NULL), 0);
    assert_int_equal(catalog_count(test->catalog), 1);
}

static void any_other_name_will_do(void **state)
{
    struct test *test = *state;
    char longest[256];
    memset(longest, 'x', 250);
    strcpy(longest + 250, ".gguf");
    const char *const files[] = {"new\nline.gguf", "%n%s.gguf", "bad\xff\xc0.gguf",    "-rf.gguf",
                                 " .gguf",         longest,     "-00001-of-00001.gguf"};
    open_catalog(test, false);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char mark[260];
        put(test, files[i], "x");
        snprintf(mark, sizeof mark, "+%.*s", (int)strlen(files[i]) - 5, files[i]);
        expect(test, mark);
        expect_content(test, mark + 1, "x");
    }
}

static void files_renamed_and_linked_into_the_folder_appear(void **state)
{
    struct test *test = *state;
    open_catalog(test, false);
    move_in(test, "moved.gguf", "x");
    expect(test, "+moved");
    put_in(test->elsewhere, "file", "x");
    assert_int_equal(linkat(test->elsewhere, "file", test->folder, "linked.gguf", 0), 0);
    expect(test, "+linked");
    put(test, "inside.tmp", "x");
    assert_int_equal(renameat(test->folder, "inside.tmp", test->folder, "inside.gguf"), 0);
    expect(test, "+inside");
}

static void a_file_appears_when_its_writer_closes_it(void **state)
{
    struct test *test = *state;
    int before = open_writer(test->folder, "before.gguf");
    open_catalog(test, false);
    assert_string_equal(test->log, "");
    int after = open_writer(test->folder, "after.gguf");
    write_bytes(before, "half");
    write_bytes(after, "half");
    expect_nothing(test);
    write_bytes(before, " and half");
    close(before);
    expect(test, "+before");
    expect_nothing(test);
    int second = open_writer(test->folder, "after.gguf");
    close(after);
    expect_nothing(test);
    close(second);
    expect(test, "+after");
    assert_true(find(test, "before")->bytes == strlen("half and half"));
    expect_nothing(test);
}

static void a_link_to_a_file_that_is_written_elsewhere_appears_when_that_is_done(void **state)
{
    struct test *test = *state;
    open_catalog(test, false);
    int writer = open_writer(test->elsewhere, "file");
    assert_int_equal(linkat(test->elsewhere, "file", test->folder, "linked.gguf", 0), 0);
    expect_nothing(test);
    write_bytes(writer, "all");
    close(writer); /* nothing in the watched folder tells of it */
    expect(test, "+linked");
    expect_content(test, "linked", "all");
}

static void a_file_renamed_over_a_model_changes_it_once(void **state)
{
    struct test *test = *state;
    put(test, "a.gguf", "old");
    open_catalog(test, false);
    expect(test, "+a");
    struct catalog_model *model = find(test, "a");
    struct fingerprint before = model->fingerprint;
    uint64_t id = model->id;
    move_in(test, "a.gguf", "newer");
    assert_int_equal(open_model(test, model), -ESTALE);
    expect(test, "~a");
    expect_nothing(test);
    assert_ptr_equal(find(test, "a"), model);
    assert_true(model->id == id && model->bytes == 5);
    assert_true(model->fingerprint.inode != before.inode);
    expect_content(test, "a", "newer");
}

static void a_file_written_in_place_changes_its_model_when_it_is_closed(void **state)
{
    struct test *test = *state;
    put(test, "a.gguf", "old");
    open_catalog(test, false);
    expect(test, "+a");
    int writer = open_writer(test->folder, "a.gguf");
    write_bytes(writer, "n");
    expect_nothing(test);
    assert_int_equal(open_model(test, find(test, "a")), -ESTALE);
    write_bytes(writer, "ew");
    close(writer);
    expect(test, "~a");
    expect_nothing(test);
    expect_content(test, "a", "new"); /* same size, other times */
    writer = open_writer(test->folder, "a.gguf");
    close(writer); /* opened, but nothing written */
    expect_nothing(test);
}

static void a_removed_model_is_kept_until_it_is_forgotten(void **state)
{
    struct test *test = *state;
    put(test, "a.gguf", "x");
    put(test, "b.gguf", "x");
    open_catalog(test, false);
    expect(test, "+a+b");
    struct catalog_model *a = find(test, "a");
    uint64_t id = a->id;
    catalog_forget(test->catalog, a); /* is not removed: stays */
    assert_ptr_equal(catalog_find(test->catalog, "a"), a);
    unlink_file(test, "a.gguf");
    assert_int_equal(open_model(test, a), -ENOENT);
    expect(test, "-a");
    assert_true(a->removed);
    assert_null(catalog_find(test->catalog, "a"));
    assert_int_equal(catalog_count(test->catalog), 1);
    assert_ptr_equal(catalog_by_id(test->catalog, id), a);
    catalog_forget(test->catalog, a);
    assert_null(catalog_by_id(test->catalog, id));
    test->forget_at_once = true;
    uint64_t id_b = find(test, "b")->id;
    unlink_file(test, "b.gguf");
    expect(test, "-b");
    assert_null(catalog_by_id(test->catalog, id_b));
}

static void a_file_made_again_is_another_model(void **state)
{
    struct test *test = *state;
    put(test, "a.gguf", "x");
    open_catalog(test, false);
    expect(test, "+a");
    uint64_t first = find(test, "a")->id;
    unlink_file(test, "a.gguf");
    put(test, "a.gguf", "x");
    expect(test, "-a+a");
    uint64_t second = find(test, "a")->id;
    assert_true(second > first);
    assert_true(catalog_by_id(test->catalog, first)->removed);
    assert_int_equal(renameat(test->folder, "a.gguf", test->folder, "a"), 0);
    assert_int_equal(renameat(test->folder, "a", test->folder, "a.gguf"), 0);
    expect(test, "-a+a");
    assert_true(find(test, "a")->id > second);
    assert_int_equal(renameat(test->folder, "a.gguf", test->folder, "b.gguf"), 0);
    expect(test, "-a+b");
}

static void a_split_model_is_there_when_all_its_parts_are(void **state)
{
    struct test *test = *state;
    put(test, "m-00002-of-00003.gguf", "22");
    open_catalog(test, false);
    put(test, "m-00001-of-00003.gguf", "1");
    put(test, "m-00001-of-00002.gguf", "of two");
    expect_nothing(test);
    int writer = open_writer(test->folder, "m-00003-of-00003.gguf");
    expect_nothing(test);
    write_bytes(writer, "333");
    close(writer);
    expect(test, "+m");
    struct catalog_model *model = find(test, "m");
    assert_true(model->split);
    assert_true(model->bytes == 6);
    assert_string_equal(model->file, "m-00001-of-00003.gguf");
    expect_content(test, "m", "1");
    move_in(test, "m-00003-of-00003.gguf", "4444");
    assert_int_equal(open_model(test, model), -ESTALE);
    expect(test, "~m");
    assert_true(model->bytes == 7);
    expect_content(test, "m", "1");
    unlink_file(test, "m-00002-of-00003.gguf");
    assert_int_equal(open_model(test, model), -ENOENT);
    expect(test, "-m");
    move_in(test, "m-00002-of-00002.gguf", "2");
    expect(test, "+m");
    assert_string_equal(find(test, "m")->file, "m-00001-of-00002.gguf");
    unlink_file(test, "m-00002-of-00002.gguf");
    put(test, "m-00002-of-00002.gguf", "2");
    expect(test, "-m+m"); /* made again: another model */
}

static void of_two_with_the_same_name_the_first_file_is_the_model(void **state)
{
    struct test *test = *state;
    put(test, "x.gguf", "whole");
    open_catalog(test, false);
    expect(test, "+x");
    move_in(test, "x-00001-of-00001.gguf", "part"); /* sorts before "x." */
    expect(test, "-x+x");
    expect_content(test, "x", "part");
    unlink_file(test, "x-00001-of-00001.gguf");
    expect(test, "-x+x");
    expect_content(test, "x", "whole");
}

static void symbolic_links_are_followed_only_when_asked_for(void **state)
{
    struct test *test = *state;
    char target[sizeof test->outside + 8];
    put_in(test->elsewhere, "file", "outside");
    snprintf(target, sizeof target, "%s/file", test->outside);
    assert_int_equal(symlinkat(target, test->folder, "link.gguf"), 0);
    assert_int_equal(symlinkat("loop.gguf", test->folder, "loop.gguf"), 0);
    assert_int_equal(symlinkat("/dev/null", test->folder, "null.gguf"), 0);
    assert_int_equal(symlinkat("/proc/self/fd/0", test->folder, "magic.gguf"), 0);
    open_catalog(test, false);
    assert_string_equal(test->log, "");
    catalog_close(test->catalog);
    open_catalog(test, true);
    expect(test, "+link");
    expect_content(test, "link", "outside");
    expect_nothing(test);
}

static void a_model_that_became_something_else_is_not_opened(void **state)
{
    struct test *test = *state;
    put(test, "a.gguf", "x");
    put(test, "b.gguf", "x");
    open_catalog(test, false);
    expect(test, "+a+b");
    unlink_file(test, "a.gguf");
    assert_int_equal(symlinkat("b.gguf", test->folder, "a.gguf"), 0);
    assert_int_equal(open_model(test, find(test, "a")), -ELOOP);
    unlink_file(test, "a.gguf");
    assert_int_equal(mkfifoat(test->folder, "a.gguf", 0644), 0);
    assert_int_equal(open_model(test, find(test, "a")), -ENOEXEC);
    expect(test, "-a");
}

static void a_rescan_takes_what_is_being_written(void **state)
{
    struct test *test = *state;
    open_catalog(test, false);
    int writer = open_writer(test->folder, "a.gguf");
    write_bytes(writer, "half");
    struct error error;
    assert_int_equal(catalog_rescan(test->catalog, &error), 0);
    expect(test, "+a");
    assert_true(find(test, "a")->bytes == 4);
    expect_nothing(test);
    write_bytes(writer, " and half");
    assert_int_equal(catalog_rescan(test->catalog, &error), 0);
    expect(test, "~a");
    close(writer);
    expect_nothing(test);
    unlink_file(test, "a.gguf");
    assert_int_equal(catalog_rescan(test->catalog, &error), 0);
    expect(test, "-a");
}

static void write_again(void *owner)
{
    struct test *test = owner;
    put(test, "slow.gguf", test->writes % 2 ? "x" : "xx");
    test->last_write_us = clock_now_us();
    if (++test->writes < 20)
        loop_timer_set(test->loop, &test->writer, clock_now_us() + 30000, write_again, test);
}

static void without_leases_a_file_has_to_keep_still_first(void **state)
{
    struct test *test = *state;
    if (geteuid() != 0)
        skip();
    put(test, "a.gguf", "x");
    assert_int_equal(chmod(test->path, 0755), 0);
    assert_int_equal(symlinkat("/bin/sh", test->folder, "old.gguf"), 0);
    assert_int_equal(seteuid(OTHER_USER), 0); /* who may not take leases on root's files */
    int64_t begin_us = clock_now_us();
    open_catalog(test, true);
    expect(test, "+old");
    expect(test, "+a");
    assert_true(clock_now_us() - begin_us >= CATALOG_SETTLE_MS * 1000);
    assert_int_equal(seteuid(0), 0);
}

static void without_leases_a_file_is_not_taken_while_it_grows(void **state)
{
    struct test *test = *state;
    if (geteuid() != 0)
        skip();
    int writer = open_writer(test->folder, "slow.gguf");
    assert_int_equal(fchmod(writer, 0666), 0);
    close(writer);
    assert_int_equal(chmod(test->path, 0755), 0);
    assert_int_equal(seteuid(OTHER_USER), 0);
    open_catalog(test, false);
    loop_timer_set(test->loop, &test->writer, 0, write_again, test);
    expect(test, "+slow");
    assert_int_equal(test->writes, 20);
    assert_true(clock_now_us() - test->last_write_us >= CATALOG_SETTLE_MS * 1000);
    assert_int_equal(seteuid(0), 0);
}

static void a_file_that_may_not_be_read_is_a_model_that_does_not_open(void **state)
{
    struct test *test = *state;
    if (geteuid() != 0)
        skip();
    put(test, "secret.gguf", "x");
    assert_int_equal(fchmodat(test->folder, "secret.gguf", 0, 0), 0);
    assert_int_equal(chmod(test->path, 0755), 0);
    assert_int_equal(seteuid(OTHER_USER), 0);
    open_catalog(test, false);
    expect(test, "+secret");
    int status = open_model(test, find(test, "secret"));
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(status, -EACCES);
}

static void lost_events_are_made_up_for(void **state)
{
    struct test *test = *state;
    int queue = 0;
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    if (!limit || fscanf(limit, "%d", &queue) != 1 || queue > 50000)
        queue = 0;
    if (limit)
        fclose(limit);
    if (!queue)
        skip();
    put(test, "first.gguf", "x");
    open_catalog(test, false);
    expect(test, "+first");
    for (int i = 0; i < queue / 2; i++) { /* three or four events each, and no two equal in a row */
        close(open_writer(test->folder, "x.tmp"));
        unlink_file(test, "x.tmp");
    }
    unlink_file(test, "first.gguf");
    put(test, "last.gguf", "x");
    expect(test, "-first+last");
    expect_nothing(test);
}

/* One of the things that happen to files; names are short, so they meet. */
static void change_something(struct test *test, unsigned random)
{
    static const char *const names[] = {
        "a.gguf", "b.gguf", "c-00001-of-00002.gguf", "c-00002-of-00002.gguf", "c.gguf", "d", ".e"};
    enum { NAMES = sizeof names / sizeof *names };
    const char *name = names[random / 8 % NAMES], *other = names[random / 64 % NAMES];
    switch (random % 8) {
    case 0:
    case 1:
        put(test, name, random & 512 ? "x" : "yy");
        break;
    case 2:
    case 3:
        renameat(test->folder, name, test->folder, other);
        break;
    case 4:
        linkat(test->folder, name, test->folder, other, 0);
        break;
    case 5:
        move_in(test, name, "moved");
        break;
    case 6:
        fchmodat(test->folder, name, random & 512 ? 0644 : 0600, 0);
        break;
    default:
        unlinkat(test->folder, name, 0);
    }
}

/* What was told must add up to what is there: this is all that the daemon knows. */
static size_t replay(const char *log, char mark_of[static 128])
{
    size_t present = 0;
    for (; *log; log += 2) {
        char *mark = &mark_of[(unsigned char)log[1]];
        assert_true(log[0] == '+' ? !*mark : *mark);
        present += (log[0] == '+') - (log[0] == '-');
        *mark = log[0] != '-';
    }
    return present;
}

static void after_any_changes_the_catalog_is_the_folder(void **state)
{
    struct test *test = *state;
    test->forget_at_once = true;
    open_catalog(test, false);
    uint64_t random = 88172645463325252;
    char present[128] = {0};
    for (int i = 0; i < 4000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        change_something(test, (unsigned)(random >> 20));
        if (random % 16 == 0)
            run_until(test, 0);
    }
    move_in(test, "z.gguf", "");
    while (!catalog_find(test->catalog, "z"))
        run_until(test, test->log_length + 1);
    assert_int_equal(replay(test->log, present), catalog_count(test->catalog));
    clear_log(test);
    assert_int_equal(catalog_rescan(test->catalog, NULL), 0);
    assert_string_equal(test->log, "");
    for (size_t i = 0; i < catalog_count(test->catalog); i++) {
        struct catalog_model *model = catalog_at(test->catalog, i);
        assert_true(present[(unsigned char)model->name[0]]);
        int fd = open_model(test, model);
        assert_true(fd >= 0);
        close(fd);
    }
}

static void more_models_than_the_limit_are_left_out(void **state)
{
    struct test *test = *state;
    char file[32];
    for (int i = 0; i < CATALOG_MODELS_MAX + 1; i++) {
        snprintf(file, sizeof file, "m%05d.gguf", i);
        close(open_writer(test->folder, file));
    }
    open_catalog(test, false);
    assert_int_equal(catalog_count(test->catalog), CATALOG_MODELS_MAX);
    assert_null(catalog_find(test->catalog, "m04096"));
    clear_log(test);
    unlink_file(test, "m00007.gguf");
    expect(test, "-m00007+m04096");
}

static void what_is_not_a_folder_is_an_error(void **state)
{
    struct test *test = *state;
    struct error error = {0};
    put(test, "file", "x");
    int file = openat(test->folder, "file", O_RDONLY | O_CLOEXEC);
    assert_int_equal(
        catalog_open(test->loop, file, false, &callbacks, test, &test->catalog, &error), -ENOTDIR);
    assert_null(test->catalog);
    assert_int_equal(error.code, ENOTDIR);
    assert_int_equal(close(file), 0); /* still the caller's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CATALOG_TEST(files_are_models_in_order_of_their_names),
        CATALOG_TEST(what_is_no_model_is_left_out),
        CATALOG_TEST(any_other_name_will_do),
        CATALOG_TEST(files_renamed_and_linked_into_the_folder_appear),
        CATALOG_TEST(a_file_appears_when_its_writer_closes_it),
        CATALOG_TEST(a_link_to_a_file_that_is_written_elsewhere_appears_when_that_is_done),
        CATALOG_TEST(a_file_renamed_over_a_model_changes_it_once),
        CATALOG_TEST(a_file_written_in_place_changes_its_model_when_it_is_closed),
        CATALOG_TEST(a_removed_model_is_kept_until_it_is_forgotten),
        CATALOG_TEST(a_file_made_again_is_another_model),
        CATALOG_TEST(a_split_model_is_there_when_all_its_parts_are),
        CATALOG_TEST(of_two_with_the_same_name_the_first_file_is_the_model),
        CATALOG_TEST(symbolic_links_are_followed_only_when_asked_for),
        CATALOG_TEST(a_model_that_became_something_else_is_not_opened),
        CATALOG_TEST(a_rescan_takes_what_is_being_written),
        CATALOG_TEST(without_leases_a_file_has_to_keep_still_first),
        CATALOG_TEST(without_leases_a_file_is_not_taken_while_it_grows),
        CATALOG_TEST(a_file_that_may_not_be_read_is_a_model_that_does_not_open),
        CATALOG_TEST(lost_events_are_made_up_for),
        CATALOG_TEST(after_any_changes_the_catalog_is_the_folder),
        CATALOG_TEST(more_models_than_the_limit_are_left_out),
        CATALOG_TEST(what_is_not_a_folder_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
