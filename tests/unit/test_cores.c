/* test_cores.c - the parts of models that compute at the same time. */
#include "fs/cores.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void one_model_has_all_cores(void **state)
{
    (void)state;
    for (int cores = 1; cores <= 64; cores++)
        assert_int_equal(cores_part(cores, 1, 0), cores);
}

static void the_parts_add_up_and_are_alike(void **state)
{
    (void)state;
    for (int cores = 1; cores <= 64; cores++)
        for (int busy = 1; busy <= cores; busy++) {
            int sum = 0;
            for (int index = 0; index < busy; index++) {
                int part = cores_part(cores, busy, index);
                assert_in_range(part, cores / busy, (cores + busy - 1) / busy);
                assert_true(index == 0 || part <= cores_part(cores, busy, index - 1));
                sum += part;
            }
            assert_int_equal(sum, cores);
        }
}

static void with_more_models_than_cores_each_has_one(void **state)
{
    (void)state;
    for (int cores = 1; cores <= 8; cores++)
        for (int index = 0; index <= cores; index++)
            assert_int_equal(cores_part(cores, cores + 1, index), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_model_has_all_cores),
        cmocka_unit_test(the_parts_add_up_and_are_alike),
        cmocka_unit_test(with_more_models_than_cores_each_has_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
