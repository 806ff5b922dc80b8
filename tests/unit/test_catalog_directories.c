/* test_catalog_directories.c - directories that are models; tests/lib/catalog_bench.h says how. */
#include "tests/lib/catalog_bench.h"

static void put_into(struct test *test, const char *directory, const char *file, const char *bytes)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    put(test, path, bytes);
}

static void make_model(struct test *test, const char *directory)
{
    assert_int_equal(mkdirat(test->folder, directory, 0755), 0);
    put_into(test, directory, "model.safetensors", "weights");
    put_into(test, directory, "config.json", "{}");
}

static void a_directory_with_a_configuration_and_tensors_is_a_model(void **state)
{
    struct test *test = *state;
    make_model(test, "there");
    make_model(test, ".hidden");
    make_model(test, "x.gguf"); /* named as a file */
    make_model(test, "status");
    assert_int_equal(mkdirat(test->folder, "photos", 0755), 0);
    open_catalog(test, false);
    expect(test, "+there");
    struct catalog_model *model = find(test, "there");
    assert_string_equal(model->file, "there");
    assert_true(model->split && model->bytes == 9);
    int fd = open_model(test, model);
    assert_true(fd >= 0);
    close(fd);
    make_model(test, "later");
    expect(test, "+later");
    expect_nothing(test);
}

static void a_directory_becomes_a_model_when_its_last_file_comes(void **state)
{
    struct test *test = *state;
    assert_int_equal(mkdirat(test->folder, "m", 0755), 0);
    open_catalog(test, false);
    put_into(test, "m", "config.json", "{}");
    put_into(test, "m", "pytorch_model.bin", "other weights");
    expect_nothing(test);
    int writer = open_writer(test->folder, "m/model.safetensors");
    write_bytes(writer, "half");
    expect_nothing(test);
    close(writer);
    expect(test, "+m");
    assert_int_equal(unlinkat(test->folder, "m/config.json", 0), 0);
    expect(test, "-m");
}

static void any_file_of_a_directory_changes_its_model(void **state)
{
    struct test *test = *state;
    make_model(test, "m");
    open_catalog(test, false);
    expect(test, "+m");
    uint64_t id = find(test, "m")->id;
    put_into(test, "m", "tokenizer.json", "{}");
    expect(test, "~m");
    put_into(test, "m", "config.json", "[]"); /* as long as before */
    expect(test, "~m");
    put(test, "new", "WEIGHTS");
    assert_int_equal(renameat(test->folder, "new", test->folder, "m/model.safetensors"), 0);
    assert_int_equal(open_model(test, find(test, "m")), -ESTALE);
    expect(test, "~m");
    put_into(test, "m", "README.md", "words");
    expect_nothing(test);
    assert_true(find(test, "m")->id == id);
}

static void a_directory_that_goes_takes_its_model_with_it(void **state)
{
    struct test *test = *state;
    make_model(test, "m");
    make_model(test, "n");
    open_catalog(test, false);
    expect(test, "+m+n");
    assert_int_equal(renameat(test->folder, "m", test->elsewhere, "m"), 0);
    expect(test, "-m");
    put_in(test->elsewhere, "m/config.json", "elsewhere");
    expect_nothing(test);
    uint64_t id = find(test, "n")->id;
    assert_int_equal(renameat(test->folder, "n", test->elsewhere, "n"), 0);
    assert_int_equal(renameat(test->elsewhere, "n", test->folder, "n"), 0);
    expect(test, "-n+n");
    assert_true(find(test, "n")->id != id);
    assert_int_equal(renameat(test->folder, "n", test->folder, "o"), 0);
    expect(test, "-n+o");
    put_into(test, "o", "config.json", "{ }"); /* still watched under its new name */
    expect(test, "~o");
}

static void a_file_comes_before_a_directory_of_the_same_name(void **state)
{
    struct test *test = *state;
    make_model(test, "m");
    open_catalog(test, false);
    expect(test, "+m");
    put(test, "m.gguf", "file");
    expect(test, "-m+m");
    assert_string_equal(find(test, "m")->file, "m.gguf");
    unlink_file(test, "m.gguf");
    expect(test, "-m+m");
    assert_string_equal(find(test, "m")->file, "m");
}

/* As download caches are laid out: a folder of links to files that are named by their content. */
static void a_directory_of_links_is_a_model_where_links_are_followed(void **state)
{
    struct test *test = *state;
    char target[sizeof test->outside + 8];
    put_in(test->elsewhere, "blob", "weights");
    snprintf(target, sizeof target, "%s/blob", test->outside);
    make_model(test, "m");
    unlink_file(test, "m/model.safetensors");
    assert_int_equal(symlinkat(target, test->folder, "m/model.safetensors"), 0);
    assert_int_equal(symlinkat("m", test->folder, "link"), 0);
    open_catalog(test, false);
    assert_string_equal(test->log, "");
    put_into(test, "m", "other.safetensors", "a file, but the link is read as well");
    expect_nothing(test);
    catalog_close(test->catalog);
    open_catalog(test, true);
    expect(test, "+link+m");
    assert_true(find(test, "m")->bytes == 2 + 7 + 36);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CATALOG_TEST(a_directory_with_a_configuration_and_tensors_is_a_model),
        CATALOG_TEST(a_directory_becomes_a_model_when_its_last_file_comes),
        CATALOG_TEST(any_file_of_a_directory_changes_its_model),
        CATALOG_TEST(a_directory_that_goes_takes_its_model_with_it),
        CATALOG_TEST(a_file_comes_before_a_directory_of_the_same_name),
        CATALOG_TEST(a_directory_of_links_is_a_model_where_links_are_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
