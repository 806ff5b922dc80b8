/* test_lineage.c - ancestry from /proc, and which of two processes is nearer to a third. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/lineage.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child of the calling process that lives until it is killed; `name` is its command name. */
static pid_t start_child(const char *name)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (name)
            prctl(PR_SET_NAME, name);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void end_child(pid_t child)
{
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static uint32_t distance(pid_t reader, pid_t writer)
{
    struct lineage from, to;
    lineage_take(reader, &from);
    lineage_take(writer, &to);
    return lineage_distance(&from, &to);
}

static void a_process_has_its_parents_in_its_lineage(void **state)
{
    (void)state;
    struct lineage lineage;
    lineage_take(getpid(), &lineage);
    assert_true(lineage.count >= 1);
    assert_int_equal(lineage.steps[0].pid, getpid());
    assert_true(lineage.steps[0].start_time > 0);
    if (getppid() > 1) {
        assert_true(lineage.count >= 2);
        assert_int_equal(lineage.steps[1].pid, getppid());
    }
    for (uint32_t i = 0; i < lineage.count; i++) {
        assert_true(lineage.steps[i].pid > 1);
        if (i > 0)
            assert_true(lineage.steps[i].start_time <= lineage.steps[i - 1].start_time);
    }
}

static void two_commands_of_a_shell_are_nearer_than_cousins(void **state)
{
    (void)state;
    pid_t writer = start_child(NULL), reader = start_child(NULL);
    assert_int_equal(distance(reader, reader), 0);
    assert_int_equal(distance(reader, getpid()), 1); /* the shell's own echo */
    assert_int_equal(distance(getpid(), writer), 0);
    assert_int_equal(distance(reader, writer), 1); /* /bin/echo: as near as the shell's own */
    end_child(writer);
    end_child(reader);
}

/* this -> shell -> command: the command's number comes back through a pipe. */
static pid_t start_shell(pid_t *command)
{
    int back[2];
    assert_int_equal(pipe(back), 0);
    pid_t shell = fork();
    assert_true(shell >= 0);
    if (shell == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pid_t child = start_child(NULL);
        if (write(back[1], &child, sizeof child) != sizeof child)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(back[0], command, sizeof *command), sizeof *command);
    close(back[0]);
    close(back[1]);
    return shell;
}

static void another_shell_of_the_same_terminal_is_farther_than_the_own_one(void **state)
{
    (void)state;
    pid_t own_command, other_command;
    pid_t own = start_shell(&own_command), other = start_shell(&other_command);
    assert_int_equal(distance(own_command, own), 1);
    assert_int_equal(distance(own_command, other_command), 2);
    assert_true(distance(own_command, own) < distance(own_command, other));
    assert_int_equal(distance(own_command, other), distance(own_command, other_command));
    end_child(own);
    end_child(other);
}

static void unknown_processes_are_strangers(void **state)
{
    (void)state;
    struct lineage self, unknown;
    lineage_take(getpid(), &self);
    static const pid_t nobody[] = {0, -1, 1, INT32_MAX};
    for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++) {
        lineage_take(nobody[i], &unknown);
        assert_int_equal(unknown.count, 0);
        assert_int_equal(lineage_distance(&self, &unknown), LINEAGE_STRANGER);
        assert_int_equal(lineage_distance(&unknown, &self), LINEAGE_STRANGER);
        assert_int_equal(lineage_distance(&unknown, &unknown), LINEAGE_STRANGER);
    }
}

static void processes_without_a_common_ancestor_are_strangers(void **state)
{
    (void)state;
    const struct lineage a = {{{100, 5}, {50, 2}}, 2}, b = {{{101, 5}, {51, 2}}, 2};
    assert_int_equal(lineage_distance(&a, &b), LINEAGE_STRANGER);
}

static void a_number_used_again_is_another_process(void **state)
{
    (void)state;
    struct lineage before, now;
    pid_t child = start_child(NULL);
    lineage_take(child, &now);
    before = now;
    before.steps[0].start_time--; /* as if the number had belonged to an older process */
    assert_int_equal(lineage_distance(&now, &now), 0);
    assert_int_equal(lineage_distance(&now, &before), 1); /* only the parent is common */
    before.count = 1;
    assert_int_equal(lineage_distance(&now, &before), LINEAGE_STRANGER);
    end_child(child);
}

static void an_ended_process_has_no_lineage_but_its_old_one_still_counts(void **state)
{
    (void)state;
    struct lineage writer, gone, reader;
    pid_t child = start_child(NULL);
    lineage_take(child, &writer);
    end_child(child);
    lineage_take(child, &gone);
    assert_int_equal(gone.count, 0);
    pid_t second = start_child(NULL);
    lineage_take(second, &reader);
    assert_int_equal(lineage_distance(&reader, &writer), 1); /* `echo q > prompt; cat output` */
    end_child(second);
}

static void names_with_parentheses_and_spaces_do_not_confuse(void **state)
{
    (void)state;
    static const char *const names[] = {") R 1 1 1 (", "a) (b",      "((((", "))))", " ",
                                        ") S 77",      "\nTgid:\t7", "\\",   "",     "\xff) \n"};
    struct lineage plain, lineage;
    pid_t child = start_child("plain");
    lineage_take(child, &plain);
    end_child(child);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        child = start_child(names[i]);
        lineage_take(child, &lineage);
        assert_int_equal(lineage.count, plain.count);
        assert_int_equal(lineage.steps[0].pid, child);
        assert_true(lineage.steps[0].start_time >= plain.steps[0].start_time);
        for (uint32_t step = 1; step < plain.count; step++) {
            assert_int_equal(lineage.steps[step].pid, plain.steps[step].pid);
            assert_true(lineage.steps[step].start_time == plain.steps[step].start_time);
        }
        end_child(child);
    }
}

static void *take_own(void *out)
{
    lineage_take(gettid(), out);
    return NULL;
}

static void a_thread_comes_before_its_process(void **state)
{
    (void)state;
    struct lineage first, second, process;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, take_own, &first), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, take_own, &second), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    lineage_take(getpid(), &process);
    assert_true(first.count >= 2);
    assert_int_not_equal(first.steps[0].pid, getpid());
    assert_int_equal(first.steps[1].pid, getpid());
    assert_int_equal(lineage_distance(&first, &process), 1);
    assert_int_equal(lineage_distance(&process, &first), 0);
    if (first.steps[0].pid != second.steps[0].pid)
        assert_int_equal(lineage_distance(&first, &second), 1);
    if (process.count < LINEAGE_STEPS_MAX)
        assert_int_equal(first.count, process.count + 1);
}

/* Each generation forks the next one and waits for it; the last tells its own lineage. */
static void descend(int generations, int out)
{
    for (; generations > 0; generations--) {
        pid_t child = fork();
        if (child == 0)
            continue;
        int status = 1;
        if (child > 0)
            waitpid(child, &status, 0);
        _exit(status != 0);
    }
    struct lineage lineage;
    lineage_take(getpid(), &lineage);
    _exit(write(out, &lineage, sizeof lineage) != sizeof lineage);
}

static void a_lineage_has_a_limit(void **state)
{
    (void)state;
    int back[2], status;
    struct lineage lineage, self;
    assert_int_equal(pipe(back), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        descend(LINEAGE_STEPS_MAX + 2, back[1]);
    assert_int_equal(read(back[0], &lineage, sizeof lineage), sizeof lineage);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(lineage.count, LINEAGE_STEPS_MAX);
    lineage_take(getpid(), &self);
    assert_int_equal(lineage_distance(&lineage, &self), LINEAGE_STRANGER);
    close(back[0]);
    close(back[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_has_its_parents_in_its_lineage),
        cmocka_unit_test(two_commands_of_a_shell_are_nearer_than_cousins),
        cmocka_unit_test(another_shell_of_the_same_terminal_is_farther_than_the_own_one),
        cmocka_unit_test(unknown_processes_are_strangers),
        cmocka_unit_test(processes_without_a_common_ancestor_are_strangers),
        cmocka_unit_test(a_number_used_again_is_another_process),
        cmocka_unit_test(an_ended_process_has_no_lineage_but_its_old_one_still_counts),
        cmocka_unit_test(names_with_parentheses_and_spaces_do_not_confuse),
        cmocka_unit_test(a_thread_comes_before_its_process),
        cmocka_unit_test(a_lineage_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
