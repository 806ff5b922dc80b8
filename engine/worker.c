/* worker.c - one model behind the protocol.
 *
 *   inbox thread      reads; ends the process on STOP and on a closed socket
 *   this thread       take messages -> engine_step() -> send what the step said, and again;
 *                     sleeps in inbox_take() while there is nothing to compute
 *
 * Sending happens only between steps.  So a SIGBUS, which only a touch of the model's mapping can
 * raise, never finds a half-sent message, and its handler may write FAILED and leave.
 */
#include "worker.h"

#include "base/memory.h"
#include "channel.h"
#include "echo.h"
#include "generate/texts.h"
#include "inbox.h"
#include "report.h"
#include "resident.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

struct server {
    struct engine *engine;
    struct inbox *inbox;
    int status;           /* the first failure to answer */
    struct buffer input;  /* messages taken and not yet handled */
    struct buffer output; /* messages of this step */
    struct buffer text;   /* what `text_request` said in this step, not yet a message */
    uint64_t text_request;
    struct protocol_message message;
    struct chat_message chat[PROTOCOL_MESSAGES_MAX];
};

/* --- the process ------------------------------------------------------------------------------ */

enum { BUS_MESSAGE_BYTES = 128 };

/* What the SIGBUS handler sends; a handler gets no other argument than what is static. */
static struct {
    atomic_flag taken;
    size_t length;
    char bytes[BUS_MESSAGE_BYTES];
} bus_message = {.taken = ATOMIC_FLAG_INIT};

static void on_bus_error(int signal_number)
{
    (void)signal_number;
    while (atomic_flag_test_and_set(&bus_message.taken))
        pause(); /* another thread of the team was first and is about to end the process */
    ssize_t ignored = write(PROTOCOL_FD, bus_message.bytes, bus_message.length);
    (void)ignored;
    _exit(0);
}

static void catch_bus_errors(void)
{
    struct buffer output = buffer_new(BUS_MESSAGE_BYTES);
    struct protocol_failed failed = {
        .code = EIO, .text = text_of("the model file was truncated while it was loaded")};
    if (protocol_put_failed(&output, &failed) == 0) {
        memcpy(bus_message.bytes, output.bytes, output.length);
        bus_message.length = output.length;
    }
    buffer_free(&output);
    struct sigaction action = {.sa_handler = on_bus_error};
    sigaction(SIGBUS, &action, NULL);
}

/* A daemon that died before the prctl needs no check of getppid(): its end of the socket is closed,
 * and the first read says so. */
static void settle_in(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    FILE *file = fopen("/proc/self/oom_score_adj", "we");
    if (file) {
        fprintf(file, "%d\n", WORKER_OOM_SCORE);
        fclose(file);
    }
}

/* --- what the engine says --------------------------------------------------------------------- */

static void note(struct server *server, int status)
{
    if (status && !server->status)
        server->status = status;
}

static void flush_text(struct server *server)
{
    note(server,
         protocol_put_text(&server->output, server->text_request, buffer_text(&server->text)));
    server->text.length = 0;
}

static void on_text(void *owner, uint64_t id, struct text text)
{
    struct server *server = owner;
    if (server->text_request != id)
        flush_text(server);
    server->text_request = id;
    note(server, buffer_append_text(&server->text, text));
}

static void on_token(void *owner, uint64_t id, int32_t token, const struct logprobs *logprobs)
{
    struct server *server = owner;
    (void)token;
    if (!logprobs)
        return;
    struct buffer line = buffer_new(PROTOCOL_TEXT_BYTES_MAX);
    int status =
        report_logprobs(engine_tokenizer(server->engine), logprobs, logprobs->top_count > 0, &line);
    if (!status)
        status = protocol_put_logprobs(&server->output, id, buffer_text(&line));
    if (status != -EMSGSIZE) /* a line that is too long for a message is left out */
        note(server, status);
    buffer_free(&line);
}

static void put_done(struct server *server, uint64_t id, enum engine_finish finish,
                     const struct engine_usage *usage, const struct error *error)
{
    struct protocol_done done = {
        .code = finish == ENGINE_CANCELLED ? ECANCELED : 0,
        .prompt_tokens = usage->prompt_tokens,
        .cached_tokens = usage->cached_tokens,
        .completion_tokens = usage->completion_tokens,
        .drafted_tokens = usage->drafted_tokens,
        .accepted_tokens = usage->accepted_tokens,
        .truncated_texts = usage->truncated_texts,
        .started_us = usage->started_us,
        .first_token_us = usage->first_token_us,
        .ended_us = usage->ended_us,
        .finish = text_of(engine_finish_name(finish)),
    };
    if (finish == ENGINE_FAILED) {
        done.code = error && error->code ? error->code : EIO;
        done.text = text_of(error ? error->text : "");
    }
    flush_text(server);
    note(server, protocol_put_done(&server->output, id, &done));
}

static void on_done(void *owner, uint64_t id, enum engine_finish finish,
                    const struct engine_usage *usage, const struct error *error)
{
    put_done(owner, id, finish, usage, error);
}

static void on_need(void *owner, uint64_t bytes)
{
    struct server *server = owner;
    note(server, protocol_put_need(&server->output, bytes));
}

_Static_assert((int)PROTOCOL_THINKING_ON == (int)CHAT_THINKING_ON &&
                   (int)PROTOCOL_THINKING_OFF == (int)CHAT_THINKING_OFF,
               "the protocol's words are the template's");

/* --- what the daemon says --------------------------------------------------------------------- */

/* The texts to embed are the lines of the last message: one before it is for models that talk.  A
 * prompt that is not raw came without the end of its last line. */
static void embed(struct server *server, uint64_t id, const struct protocol_generate *generate)
{
    struct error error = {0};
    struct texts texts = {0};
    struct text prompt = {0};
    if (generate->message_count)
        prompt = generate->messages[generate->message_count - 1].content;
    int status = texts_split(prompt, '\n', !generate->raw, &texts, &error);
    if (!status)
        status = engine_submit(
            server->engine, id,
            &(struct engine_request){
                .texts = texts.items,
                .text_count = texts.count,
                .format = generate->format == PROTOCOL_FORMAT_F32 ? ENGINE_F32 : ENGINE_JSON,
            },
            &error);
    texts_free(&texts);
    if (status)
        put_done(server, id, ENGINE_FAILED, &(struct engine_usage){0}, &error);
}

static void generate(struct server *server, uint64_t id, const struct protocol_generate *generate)
{
    if (engine_embeds(server->engine)) {
        embed(server, id, generate);
        return;
    }
    for (uint32_t i = 0; i < generate->message_count; i++)
        server->chat[i] = (struct chat_message){.role = generate->messages[i].role,
                                                .content = generate->messages[i].content};
    struct engine_request request = {
        .owner = generate->owner,
        .raw = generate->raw,
        .messages = server->chat,
        .message_count = generate->message_count,
        .chat = {.thinking = (enum chat_thinking)generate->thinking},
        .speculate = generate->speculate,
        .sampling = generate->sampling,
        .max_tokens = generate->max_tokens,
        .default_tokens = WORKER_DEFAULT_TOKENS_MAX,
        .stops = generate->stops,
        .stop_count = generate->stop_count,
        .stop_tokens = generate->stop_tokens,
        .stop_token_count = generate->stop_token_count,
        .biases = generate->biases,
        .bias_count = generate->bias_count,
        .wants_logprobs = generate->logprobs >= 0,
        .logprobs = generate->logprobs,
        .grammar = generate->grammar,
        .json_schema = generate->json_schema,
    };
    struct error error = {0};
    if (engine_submit(server->engine, id, &request, &error))
        put_done(server, id, ENGINE_FAILED, &(struct engine_usage){0}, &error);
}

static void handle(struct server *server, const struct engine_sink *sink)
{
    const struct protocol_message *message = &server->message;
    char why[ERROR_TEXT_BYTES];
    switch ((enum protocol_type)message->header.type) {
    case PROTOCOL_GENERATE:
        generate(server, message->header.request, &message->generate);
        break;
    case PROTOCOL_CANCEL:
        engine_cancel(server->engine, message->header.request);
        break;
    case PROTOCOL_GRANT:
        engine_grant(server->engine, message->bytes);
        break;
    case PROTOCOL_REFUSE:
        snprintf(why, sizeof why, "%.*s", TEXT_ARGUMENTS(message->text));
        engine_refuse(server->engine, sink, why);
        break;
    case PROTOCOL_THREADS:
        engine_set_threads(server->engine, message->threads);
        break;
    case PROTOCOL_STOP: /* the inbox has seen to it */
    case PROTOCOL_PLAN:
    case PROTOCOL_READY:
    case PROTOCOL_FAILED:
    case PROTOCOL_TEXT:
    case PROTOCOL_LOGPROBS:
    case PROTOCOL_DONE:
    case PROTOCOL_NEED:
        note(server, -EPROTO);
        break;
    }
}

static void handle_all(struct server *server, const struct engine_sink *sink)
{
    size_t at = 0, consumed;
    while (at < server->input.length &&
           protocol_parse((struct text){server->input.bytes + at, server->input.length - at},
                          &server->message, &consumed, NULL) == 1) {
        handle(server, sink);
        at += consumed;
    }
    server->input.length = 0;
}

/* Returns the errno that ended it. */
static int serve(struct server *server)
{
    const struct engine_sink sink = {
        .owner = server, .token = on_token, .text = on_text, .done = on_done, .need = on_need};
    bool work = false;
    while (!server->status) {
        inbox_take(server->inbox, !work, &server->input);
        handle_all(server, &sink);
        work = engine_step(server->engine, &sink);
        flush_text(server);
        note(server, channel_send(&server->output));
    }
    return -server->status;
}

/* --- loading ---------------------------------------------------------------------------------- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Without another word from the daemon, the KV pages that the plan reserves are granted. */
static uint64_t grant_first_pages(struct server *server, const struct worker_settings *settings)
{
    const struct engine_plan *plan = engine_plan(server->engine);
    if (settings->engine.kv_bytes)
        return settings->engine.kv_bytes; /* they went into engine_open() */
    uint64_t reserved = plan->charge_bytes - plan->weight_bytes - plan->fixed_bytes;
    engine_grant(server->engine, reserved);
    return reserved;
}

/* What is resident, or will be once all weights, all scratch and all granted KV pages have been
 * touched. */
static uint64_t measured_charge(const struct engine *engine, uint64_t kv_bytes)
{
    const struct engine_plan *plan = engine_plan(engine);
    struct resident now = resident_now();
    return larger(now.file_bytes, plan->weight_bytes) +
           larger(now.anonymous_bytes, plan->fixed_bytes) + kv_bytes;
}

static void put_ready(struct server *server, const struct worker_settings *settings)
{
    const struct engine_loading *loading = engine_loading(server->engine);
    uint64_t kv_bytes = grant_first_pages(server, settings);
    struct protocol_ready ready = {
        .started_us = settings->started_us,
        .loaded_us = loading->populated_us,
        .configured_us = loading->configured_us,
        .ready_us = loading->ready_us,
        .loaded_bytes = loading->loaded_bytes,
        .cold_bytes = loading->cold_bytes,
        .charge_bytes = measured_charge(server->engine, kv_bytes),
        .context = engine_context(server->engine),
        .kernels = text_of(engine_kernels(server->engine)),
    };
    note(server, protocol_put_ready(&server->output, &ready));
    note(server, channel_send(&server->output));
}

/* Load and serve.  Returns 0 after FAILED was sent, or the errno that ended it. */
static int run_model(const struct worker_settings *settings)
{
    struct error error = {0};
    struct server *server = memory_try(1, sizeof *server);
    if (!server || inbox_open(&server->inbox, &error))
        return server ? error.code : ENOMEM;
    server->input = buffer_new(INBOX_BYTES_MAX);
    server->output = buffer_new(WORKER_OUTPUT_BYTES_MAX);
    server->text = buffer_new(WORKER_OUTPUT_BYTES_MAX);
    catch_bus_errors();
    if (engine_open(settings->path, &settings->engine, &server->engine, &error))
        return -channel_fail(error.code, error.text);
    put_ready(server, settings);
    return serve(server);
}

/* The plan is the model's part and what this process holds besides it, which is what is resident
 * now that the look at the model is over.  A description that is too long for a PLAN is left out:
 * the model runs without it. */
static int probe_model(const struct worker_settings *settings)
{
    struct engine_plan plan;
    struct error error = {0};
    char *json = NULL;
    catch_bus_errors();
    if (engine_inspect(settings->path, settings->engine.kv_format, &plan, &json, &error))
        return -channel_fail(error.code, error.text);
    struct text info = text_of(json);
    struct resident process = resident_now();
    struct protocol_plan message = {
        .charge_bytes = plan.charge_bytes + process.file_bytes + process.anonymous_bytes,
        .weight_bytes = plan.weight_bytes,
        .kv_page_bytes = plan.kv_page_bytes,
        .context = plan.context,
        .info = info.length > PROTOCOL_INFO_BYTES_MAX ? text_of("{}") : info,
    };
    struct buffer output = buffer_new(WORKER_OUTPUT_BYTES_MAX);
    int status = protocol_put_plan(&output, &message);
    if (!status)
        status = channel_send(&output);
    buffer_free(&output);
    free(json);
    return -status;
}

static int run_echo(const struct worker_settings *settings)
{
    struct echo_options options = {
        .path = settings->path,
        .started_us = settings->started_us,
        .probe = settings->probe,
        .load_ms = settings->echo_load_ms,
        .token_ms = settings->echo_token_ms,
        .context = settings->engine.context,
    };
    return -echo_run(&options);
}

void worker_run(const struct worker_settings *settings)
{
    settle_in();
    int code = settings->echo    ? run_echo(settings)
               : settings->probe ? probe_model(settings)
                                 : run_model(settings);
    if (code && code != EPIPE && code != ECONNRESET) {
        fprintf(stderr, "inferfs-engine: %s: %s\n", settings->path, strerror(code));
        _exit(1);
    }
    _exit(0); /* at once: the kernel is quicker at giving memory back than destructors are */
}
