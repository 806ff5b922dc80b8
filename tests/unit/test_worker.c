/* test_worker.c - both ends of a worker process: fs/worker.c and the program in $INFERFS_ENGINE.
 *
 * Most tests run the fake engine; the last ones want a model in $INFERFS_MODEL.  Programs that
 * misbehave are shell scripts.
 */
#include "fs/worker.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GIVE_UP_MS = 20000, MODEL_BYTES = 123456, REQUESTS = 8 };

struct answer {
    struct buffer text;
    int done; /* times */
    int code;
    char finish[PROTOCOL_WORD_BYTES_MAX + 1];
    int32_t prompt_tokens, completion_tokens;
    int64_t started_us, first_token_us, ended_us;
};

/* One test's world: a loop, a folder, at most one worker, and what it has said. */
struct world {
    struct loop *loop;
    struct loop_timer give_up;
    bool gave_up;
    char folder[64], model[96], script[96];
    struct worker_options options;
    struct worker *worker;
    void (*on_message)(struct world *world, const struct protocol_message *message);
    int ready, planned, failed, exited, done, needed;
    uint64_t charge_bytes;
    char info[512];
    int code; /* of FAILED, then of the exit */
    int failed_code;
    char failed_text[ERROR_TEXT_BYTES];
    char text[ERROR_TEXT_BYTES]; /* of the exit */
    struct answer answers[REQUESTS];
};

static void on_done(struct world *world, uint64_t request, const struct protocol_done *done)
{
    assert_in_range(request, 0, REQUESTS - 1);
    struct answer *answer = &world->answers[request];
    answer->done++;
    answer->code = done->code;
    snprintf(answer->finish, sizeof answer->finish, "%.*s", TEXT_ARGUMENTS(done->finish));
    answer->prompt_tokens = done->prompt_tokens;
    answer->completion_tokens = done->completion_tokens;
    answer->started_us = done->started_us;
    answer->first_token_us = done->first_token_us;
    answer->ended_us = done->ended_us;
    world->done++;
}

static void on_message(void *owner, const struct protocol_message *message)
{
    struct world *world = owner;
    assert_int_equal(world->exited, 0);
    switch ((enum protocol_type)message->header.type) {
    case PROTOCOL_PLAN:
        world->planned++;
        world->charge_bytes = message->plan.charge_bytes;
        snprintf(world->info, sizeof world->info, "%.*s", TEXT_ARGUMENTS(message->plan.info));
        break;
    case PROTOCOL_READY:
        world->ready++;
        world->charge_bytes = message->ready.charge_bytes;
        break;
    case PROTOCOL_FAILED:
        world->failed++;
        world->failed_code = message->failed.code;
        snprintf(world->failed_text, sizeof world->failed_text, "%.*s",
                 TEXT_ARGUMENTS(message->failed.text));
        break;
    case PROTOCOL_TEXT:
        assert_in_range(message->header.request, 0, REQUESTS - 1);
        assert_int_equal(
            buffer_append_text(&world->answers[message->header.request].text, message->text), 0);
        break;
    case PROTOCOL_DONE:
        on_done(world, message->header.request, &message->done);
        break;
    case PROTOCOL_LOGPROBS: /* nobody asked */
        fail_msg("logprobs that nobody asked for");
        break;
    case PROTOCOL_NEED:
        world->needed++;
        break;
    case PROTOCOL_GENERATE:
    case PROTOCOL_CANCEL:
    case PROTOCOL_GRANT:
    case PROTOCOL_REFUSE:
    case PROTOCOL_THREADS:
    case PROTOCOL_STOP:
        fail_msg("a worker sent a message of the daemon");
    }
    if (world->on_message)
        world->on_message(world, message);
    loop_stop(world->loop); /* the test looks at what changed */
}

static void on_exited(void *owner, int code, const char *text)
{
    struct world *world = owner;
    world->exited++;
    world->code = code;
    snprintf(world->text, sizeof world->text, "%s", text);
    loop_stop(world->loop);
}

static const struct worker_callbacks callbacks = {on_message, on_exited};

static void on_give_up(void *owner)
{
    struct world *world = owner;
    world->gave_up = true;
    loop_stop(world->loop);
}

/* Run the loop until *counter reaches `count`. */
static void wait_for(struct world *world, const int *counter, int count)
{
    loop_timer_set(world->loop, &world->give_up, clock_now_us() + GIVE_UP_MS * INT64_C(1000),
                   on_give_up, world);
    while (*counter < count && !world->gave_up)
        assert_int_equal(loop_run(world->loop), 0);
    loop_timer_clear(world->loop, &world->give_up);
    assert_false(world->gave_up);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    if (!world || loop_open(&world->loop))
        return -1;
    snprintf(world->folder, sizeof world->folder, "/tmp/test_worker.XXXXXX");
    if (!mkdtemp(world->folder))
        return -1;
    snprintf(world->model, sizeof world->model, "%s/model.gguf", world->folder);
    snprintf(world->script, sizeof world->script, "%s/script", world->folder);
    FILE *file = fopen(world->model, "w");
    if (!file || ftruncate(fileno(file), MODEL_BYTES) || fclose(file))
        return -1;
    for (int i = 0; i < REQUESTS; i++)
        world->answers[i].text = buffer_new(64 << 20);
    world->options = (struct worker_options){.program = getenv("INFERFS_ENGINE"),
                                             .model_path = world->model,
                                             .model_fd = -1,
                                             .echo = true};
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    worker_close(world->worker);
    loop_close(world->loop);
    for (int i = 0; i < REQUESTS; i++)
        buffer_free(&world->answers[i].text);
    unlink(world->model);
    unlink(world->script);
    rmdir(world->folder);
    free(world);
    return 0;
}

static void start(struct world *world)
{
    if (!world->options.program)
        skip();
    struct error error = {0};
    assert_int_equal(
        worker_start(world->loop, &world->options, &callbacks, world, &world->worker, &error), 0);
    assert_true(worker_pid(world->worker) > 0);
}

static void start_script(struct world *world, const char *body)
{
    FILE *file = fopen(world->script, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", body);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(world->script, 0700), 0);
    world->options.program = world->script;
    start(world);
}

static void start_ready(struct world *world)
{
    start(world);
    wait_for(world, &world->ready, 1);
}

static void ask(struct world *world, uint64_t request, struct text prompt, int32_t max_tokens)
{
    struct protocol_generate *generate = calloc(1, sizeof *generate);
    assert_non_null(generate);
    generate->raw = true;
    generate->sampling = sampling_plain();
    generate->logprobs = -1;
    generate->max_tokens = max_tokens;
    generate->message_count = 1;
    generate->messages[0] = (struct protocol_chat_message){text_of("user"), prompt};
    assert_int_equal(protocol_put_generate(worker_output(world->worker), request, generate), 0);
    worker_flush(world->worker);
    free(generate);
}

static void assert_answer(const struct answer *answer, const char *expected)
{
    assert_int_equal(answer->text.length, strlen(expected));
    assert_memory_equal(answer->text.bytes, expected, answer->text.length);
}

static void stop(struct world *world)
{
    worker_stop(world->worker);
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, 0);
}

/* --- the fake engine -------------------------------------------------------------------------- */

static void it_loads_answers_and_stops(void **state)
{
    struct world *world = *state;
    start_ready(world);
    assert_int_equal(world->charge_bytes, MODEL_BYTES);
    ask(world, 3, text_of("what a caf\xc3\xa9"), 0);
    wait_for(world, &world->done, 1);
    struct answer *answer = &world->answers[3];
    assert_answer(answer, "what a caf\xc3\xa9");
    assert_int_equal(answer->code, 0);
    assert_string_equal(answer->finish, "stop");
    assert_int_equal(answer->prompt_tokens, 3);
    assert_int_equal(answer->completion_tokens, 3);
    assert_in_range(answer->first_token_us, answer->started_us, answer->ended_us);
    stop(world);
    assert_int_equal(world->exited, 1);
    assert_int_equal(waitpid(worker_pid(world->worker), NULL, WNOHANG), -1); /* reaped */
}

static void an_empty_file_is_charged_too(void **state)
{
    struct world *world = *state;
    assert_int_equal(truncate(world->model, 0), 0);
    start_ready(world);
    assert_int_equal(world->charge_bytes, 1 << 20);
    stop(world);
}

static void a_probe_sends_its_plan_and_exits(void **state)
{
    struct world *world = *state;
    world->options.probe = true;
    start(world);
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, 0);
    assert_int_equal(world->planned, 1);
    assert_int_equal(world->ready, 0);
    assert_int_equal(world->charge_bytes, MODEL_BYTES);
    assert_non_null(strstr(world->info, "\"architecture\":\"echo\""));
}

static void max_tokens_ends_an_answer(void **state)
{
    struct world *world = *state;
    start_ready(world);
    ask(world, 1, text_of("one two three"), 2);
    ask(world, 2, text_of("an incomprehensibilities"), 3);
    wait_for(world, &world->done, 2);
    assert_answer(&world->answers[1], "one two ");
    assert_string_equal(world->answers[1].finish, "length");
    assert_answer(&world->answers[2], "an incompre"); /* a long word comes in pieces of 4 bytes */
    stop(world);
}

static void an_empty_prompt_is_refused(void **state)
{
    struct world *world = *state;
    start_ready(world);
    ask(world, 1, text_of(""), 0);
    wait_for(world, &world->done, 1);
    assert_int_equal(world->answers[1].code, EINVAL);
    assert_string_equal(world->answers[1].finish, "failed");
    stop(world);
}

static void a_prompt_over_the_context_is_refused(void **state)
{
    struct world *world = *state;
    world->options.context = 4;
    start_ready(world);
    ask(world, 1, text_of("a b c d"), 0);
    ask(world, 2, text_of("a b c d"), 1);
    wait_for(world, &world->done, 2);
    assert_int_equal(world->answers[1].code, 0);
    assert_int_equal(world->answers[2].code, EMSGSIZE);
    stop(world);
}

static void tokens_come_at_their_time_side_by_side(void **state)
{
    enum { TOKEN_MS = 30, TOKENS = 5 };
    struct world *world = *state;
    world->options.echo_token_ms = TOKEN_MS;
    start_ready(world);
    int64_t begin_us = clock_now_us();
    for (uint64_t request = 0; request < REQUESTS; request++)
        ask(world, request, text_of("a b c d e"), 0);
    wait_for(world, &world->done, REQUESTS);
    for (int i = 0; i < REQUESTS; i++) {
        struct answer *answer = &world->answers[i];
        assert_answer(answer, "a b c d e");
        assert_true(answer->first_token_us - answer->started_us >= TOKEN_MS * 1000);
        assert_true(answer->ended_us - answer->started_us >= TOKENS * TOKEN_MS * 1000);
    }
    /* one after the other they would take REQUESTS times as long */
    assert_true(clock_now_us() - begin_us < (int64_t)REQUESTS * TOKENS * TOKEN_MS * 1000);
    stop(world);
}

static void a_cancelled_request_ends_before_its_next_token(void **state)
{
    struct world *world = *state;
    world->options.echo_token_ms = 600 * 1000;
    start_ready(world);
    ask(world, 1, text_of("never said"), 0);
    assert_int_equal(protocol_put_cancel(worker_output(world->worker), 1), 0);
    assert_int_equal(protocol_put_cancel(worker_output(world->worker), 5), 0); /* unknown */
    worker_flush(world->worker);
    wait_for(world, &world->done, 1);
    assert_int_equal(world->answers[1].code, ECANCELED);
    assert_string_equal(world->answers[1].finish, "cancelled");
    assert_int_equal(world->answers[1].text.length, 0);
    stop(world);
}

static void a_load_can_be_stopped(void **state)
{
    struct world *world = *state;
    world->options.echo_load_ms = 600 * 1000;
    start(world);
    stop(world);
    assert_int_equal(world->ready, 0);
}

static void a_prompt_larger_than_the_socket_passes(void **state)
{
    enum { LENGTH = 8 << 20 };
    struct world *world = *state;
    char *prompt = malloc(LENGTH);
    assert_non_null(prompt);
    for (size_t i = 0; i < LENGTH; i++)
        prompt[i] = i % 9 ? (char)('a' + i % 23) : ' ';
    start_ready(world);
    ask(world, 1, (struct text){prompt, LENGTH}, 0);
    wait_for(world, &world->done, 1);
    assert_int_equal(world->answers[1].text.length, LENGTH);
    assert_memory_equal(world->answers[1].text.bytes, prompt, LENGTH);
    free(prompt);
    stop(world);
}

/* --- the file --------------------------------------------------------------------------------- */

static void a_model_is_opened_by_its_descriptor(void **state)
{
    struct world *world = *state;
    world->options.model_fd = open(world->model, O_RDONLY | O_CLOEXEC);
    world->options.model_path = "/nowhere";
    assert_true(world->options.model_fd >= 0);
    unlink(world->model);
    start_ready(world);
    close(world->options.model_fd);
    assert_int_equal(world->charge_bytes, MODEL_BYTES);
    stop(world);
}

static void what_is_no_file_fails_with_a_reason(void **state)
{
    struct world *world = *state;
    world->options.model_path = "/dev/null";
    start(world);
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, 0);
    assert_int_equal(world->failed, 1);
    assert_int_equal(world->failed_code, ENOEXEC);
    assert_string_equal(world->failed_text, "not a regular file");
}

static void a_folder_that_is_no_model_fails_with_a_reason(void **state)
{
    struct world *world = *state;
    world->options.echo = false;
    world->options.model_path = world->folder;
    start(world);
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, 0);
    assert_int_equal(world->failed_code, ENOEXEC);
    assert_non_null(strstr(world->failed_text, "the folder has no config.json"));
}

static void what_is_no_model_fails_with_a_reason(void **state)
{
    struct world *world = *state;
    world->options.echo = false;
    start(world);
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, 0);
    assert_int_equal(world->failed_code, ENOEXEC);
    assert_true(world->failed_text[0] != '\0');
}

/* --- the process ------------------------------------------------------------------------------ */

static void the_terminal_s_signals_do_not_end_it(void **state)
{
    struct world *world = *state;
    start_ready(world);
    assert_int_equal(kill(worker_pid(world->worker), SIGINT), 0);
    assert_int_equal(kill(worker_pid(world->worker), SIGTERM), 0);
    assert_int_equal(kill(worker_pid(world->worker), SIGHUP), 0);
    ask(world, 1, text_of("alive"), 0);
    wait_for(world, &world->done, 1);
    assert_answer(&world->answers[1], "alive");
    stop(world);
}

static void a_killed_worker_is_seen_with_its_signal(void **state)
{
    struct world *world = *state;
    start_ready(world);
    assert_int_equal(kill(worker_pid(world->worker), SIGKILL), 0);
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, EIO);
    assert_string_equal(world->text, "killed by SIGKILL");
    worker_kill(world->worker); /* harmless now */
    worker_stop(world->worker);
    assert_int_equal(world->exited, 1);
}

static void closing_kills_and_reaps(void **state)
{
    struct world *world = *state;
    start_ready(world);
    pid_t pid = worker_pid(world->worker);
    worker_close(world->worker);
    world->worker = NULL;
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_int_equal(world->exited, 0);
}

static void close_on_message(struct world *world, const struct protocol_message *message)
{
    (void)message;
    worker_close(world->worker);
    world->worker = NULL;
}

static void closing_in_a_callback_is_safe(void **state)
{
    struct world *world = *state;
    world->on_message = close_on_message;
    start(world);
    pid_t pid = worker_pid(world->worker);
    wait_for(world, &world->ready, 1);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(world->exited, 0);
}

static void a_missing_program_is_enoent(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    world->options.program = "/nowhere/inferfs-engine";
    assert_int_equal(
        worker_start(world->loop, &world->options, &callbacks, world, &world->worker, &error),
        -ENOENT);
    assert_null(world->worker);
    assert_non_null(strstr(error.text, "/nowhere/inferfs-engine"));
}

static void garbage_is_killed_and_named(void **state)
{
    struct world *world = *state;
    start_script(world, "echo 'this is not a message at all' >&3; exec sleep 600");
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, EIO);
    assert_memory_equal(world->text, "protocol: ", 10);
}

static void a_message_cut_off_by_the_end_is_named(void **state)
{
    struct world *world = *state;
    start_script(world, "printf abc >&3");
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, EIO);
    assert_string_equal(world->text, "protocol: its last message is cut off");
}

static void the_last_line_of_stderr_is_the_reason(void **state)
{
    struct world *world = *state;
    start_script(world, "i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done\n"
                        "printf 'it \\033[1mbroke\\n\\n' >&2; exit 3");
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, EIO);
    assert_string_equal(world->text, "it ?[1mbroke");
}

static void a_silent_failure_has_its_status(void **state)
{
    struct world *world = *state;
    start_script(world, "exit 7");
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, EIO);
    assert_string_equal(world->text, "exited with status 7");
}

static void it_inherits_nothing_but_what_it_needs(void **state)
{
    struct world *world = *state;
    int inherited = open("/dev/null", O_RDONLY); /* no O_CLOEXEC: as a careless library would */
    assert_true(inherited >= 0);
    assert_true(dup2(inherited, 40) == 40);
    start_script(world, "ls /proc/$$/fd | sort -n | tr '\\n' ' ' >&2; exit 1");
    wait_for(world, &world->exited, 1);
    close(inherited);
    close(40);
    /* descriptor 10 or so is the shell's own script */
    assert_memory_equal(world->text, "0 1 2 3 ", 8);
    assert_null(strstr(world->text, "40"));
}

static void one_that_does_not_stop_is_killed(void **state)
{
    struct world *world = *state;
    int64_t begin_us = clock_now_us();
    start_script(world, "exec sleep 600");
    worker_stop(world->worker);
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, EIO);
    assert_string_equal(world->text, "killed by SIGKILL");
    assert_true(clock_now_us() - begin_us >= WORKER_STOP_MS * 1000);
}

static void a_queue_that_nobody_reads_is_bounded(void **state)
{
    enum { LENGTH = 60 << 20 };
    struct world *world = *state;
    struct protocol_generate *generate = calloc(1, sizeof *generate);
    char *prompt = calloc(LENGTH, 1);
    assert_non_null(generate);
    assert_non_null(prompt);
    generate->message_count = 1;
    generate->messages[0].role = text_of("user");
    generate->messages[0].content = (struct text){prompt, LENGTH};
    start_script(world, "exec sleep 600");
    int status = 0, sent = 0;
    for (; status == 0 && sent < 5; sent++) {
        status = protocol_put_generate(worker_output(world->worker), 1, generate);
        worker_flush(world->worker);
    }
    assert_int_equal(status, -EMSGSIZE);
    assert_int_equal(sent, 3);
    free(prompt);
    free(generate);
    worker_kill(world->worker);
    wait_for(world, &world->exited, 1);
}

/* A second daemon dies by SIGKILL; its worker must follow. */
static void it_dies_with_the_daemon(void **state)
{
    struct world *world = *state;
    int pipe_ends[2];
    pid_t worker_number = 0;
    if (!world->options.program)
        skip();
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    pid_t daemon_pid = fork();
    if (daemon_pid == 0) {
        start_ready(world);
        pid_t pid = worker_pid(world->worker);
        if (write(pipe_ends[1], &pid, sizeof pid) == sizeof pid)
            pause();
        _exit(1);
    }
    assert_int_equal(read(pipe_ends[0], &worker_number, sizeof worker_number),
                     sizeof worker_number);
    struct pollfd death = {.fd = (int)syscall(SYS_pidfd_open, worker_number, 0), .events = POLLIN};
    assert_true(death.fd >= 0);
    assert_int_equal(poll(&death, 1, 0), 0); /* alive */
    assert_int_equal(kill(daemon_pid, SIGKILL), 0);
    assert_int_equal(poll(&death, 1, GIVE_UP_MS), 1);
    waitpid(daemon_pid, NULL, 0);
    close(death.fd);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* --- a real model ----------------------------------------------------------------------------- */

static void use_real_model(struct world *world)
{
    world->options.model_path = getenv("INFERFS_MODEL");
    world->options.echo = false;
    if (!world->options.model_path || !world->options.program)
        skip();
}

static void a_real_model_s_plan_covers_what_it_holds(void **state)
{
    struct world *world = *state;
    use_real_model(world);
    world->options.probe = true;
    start(world);
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->planned, 1);
    uint64_t planned_bytes = world->charge_bytes;
    worker_close(world->worker);
    world->options.probe = false;
    world->exited = 0;
    start_ready(world);
    print_message("planned %.1f MiB, ready with %.1f MiB\n", (double)planned_bytes / (1 << 20),
                  (double)world->charge_bytes / (1 << 20));
    assert_in_range(world->charge_bytes, planned_bytes / 2, planned_bytes + (8 << 20));
    stop(world);
}

static void a_real_model_answers_and_cancels(void **state)
{
    struct world *world = *state;
    use_real_model(world);
    start_ready(world);
    ask(world, 1, text_of("The capital of France is"), 8);
    ask(world, 2, text_of("Once upon a time"), 4096);
    wait_for(world, &world->answers[1].done, 1);
    assert_int_equal(world->answers[1].code, 0);
    assert_int_equal(world->answers[1].completion_tokens, 8);
    assert_true(world->answers[1].text.length > 0);
    assert_int_equal(protocol_put_cancel(worker_output(world->worker), 2), 0);
    worker_flush(world->worker);
    wait_for(world, &world->answers[2].done, 1);
    assert_int_equal(world->answers[2].code, ECANCELED);
    stop(world);
}

static void copy_file(const char *from, const char *to)
{
    static char chunk[1 << 20];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    assert_non_null(in);
    assert_non_null(out);
    for (size_t count; (count = fread(chunk, 1, sizeof chunk, in)) > 0;)
        assert_int_equal(fwrite(chunk, 1, count, out), count);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void a_model_truncated_under_its_mapping_fails_with_a_reason(void **state)
{
    struct world *world = *state;
    use_real_model(world);
    copy_file(world->options.model_path, world->model);
    world->options.model_path = world->model;
    start_ready(world);
    assert_int_equal(truncate(world->model, 4096), 0);
    ask(world, 1, text_of("The capital of France is"), 8);
    wait_for(world, &world->exited, 1);
    assert_int_equal(world->code, 0);
    assert_int_equal(world->failed_code, EIO);
    assert_string_equal(world->failed_text, "the model file was truncated while it was loaded");
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(it_loads_answers_and_stops),
        IN_A_WORLD(an_empty_file_is_charged_too),
        IN_A_WORLD(a_probe_sends_its_plan_and_exits),
        IN_A_WORLD(max_tokens_ends_an_answer),
        IN_A_WORLD(an_empty_prompt_is_refused),
        IN_A_WORLD(a_prompt_over_the_context_is_refused),
        IN_A_WORLD(tokens_come_at_their_time_side_by_side),
        IN_A_WORLD(a_cancelled_request_ends_before_its_next_token),
        IN_A_WORLD(a_load_can_be_stopped),
        IN_A_WORLD(a_prompt_larger_than_the_socket_passes),
        IN_A_WORLD(a_model_is_opened_by_its_descriptor),
        IN_A_WORLD(what_is_no_file_fails_with_a_reason),
        IN_A_WORLD(a_folder_that_is_no_model_fails_with_a_reason),
        IN_A_WORLD(what_is_no_model_fails_with_a_reason),
        IN_A_WORLD(the_terminal_s_signals_do_not_end_it),
        IN_A_WORLD(a_killed_worker_is_seen_with_its_signal),
        IN_A_WORLD(closing_kills_and_reaps),
        IN_A_WORLD(closing_in_a_callback_is_safe),
        IN_A_WORLD(a_missing_program_is_enoent),
        IN_A_WORLD(garbage_is_killed_and_named),
        IN_A_WORLD(a_message_cut_off_by_the_end_is_named),
        IN_A_WORLD(the_last_line_of_stderr_is_the_reason),
        IN_A_WORLD(a_silent_failure_has_its_status),
        IN_A_WORLD(it_inherits_nothing_but_what_it_needs),
        IN_A_WORLD(one_that_does_not_stop_is_killed),
        IN_A_WORLD(a_queue_that_nobody_reads_is_bounded),
        IN_A_WORLD(it_dies_with_the_daemon),
        IN_A_WORLD(a_real_model_s_plan_covers_what_it_holds),
        IN_A_WORLD(a_real_model_answers_and_cancels),
        IN_A_WORLD(a_model_truncated_under_its_mapping_fails_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
