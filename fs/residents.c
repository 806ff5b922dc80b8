/* residents.c - see residents.h. */
#include "fs/residents.h"

#include "base/clock.h"
#include "fs/cores.h"
#include "fs/dispatch.h"
#include "fs/jobs.h"
#include "fs/log.h"
#include "fs/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static void post(struct model *model, enum pool_event_kind kind, uint64_t bytes, int code)
{
    struct pool_event event = {.kind = kind,
                               .model = model->id,
                               .generation = model->generation,
                               .bytes = bytes,
                               .code = code};
    dispatch_post(model->daemon, &event);
}

static void set_failure(struct model *model, int code, const char *text)
{
    model->failure_code = code;
    snprintf(model->failure, sizeof model->failure, "%s", text);
}

/* A process says that it can't go on with the model. */
static void take_failure(struct model *model, const struct protocol_failed *failed)
{
    char text[MODEL_ERROR_BYTES];
    snprintf(text, sizeof text, "%.*s", TEXT_ARGUMENTS(failed->text));
    set_failure(model, failed->code > 0 ? failed->code : EIO, text);
}

/* Start a process on the model's file; where that fails, the model's failure says why. */
static int start_process(struct model *model, bool probe, const struct worker_callbacks *callbacks,
                         struct worker **out)
{
    struct daemon *daemon = model->daemon;
    struct error error = {0};
    const struct options *options = &daemon->options;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", options->models_dir, model->entry->file);
    int fd = catalog_open_model(daemon->catalog, model->entry, &error);
    int status = fd < 0 ? fd : 0;
    if (fd >= 0 && model->entry->split) { /* its parts are found by their names */
        close(fd);
        fd = -1;
    }
    struct worker_options worker = {
        .program = options->program,
        .model_path = path,
        .model_fd = fd,
        .probe = probe,
        .echo = options->echo,
        .echo_load_ms = options->echo_load_ms,
        .echo_token_ms = options->echo_token_ms,
        .threads = daemon->threads,
        .context = model->config.context ? model->config.context : (int32_t)options->context,
        .kernels = options->kernels,
        .kv = model->config.kv == CONFIG_KV_Q8_0 ? "q8_0" : NULL,
    };
    if (!status)
        status = worker_start(daemon->loop, &worker, callbacks, model, out, &error);
    if (fd >= 0)
        close(fd);
    if (status)
        set_failure(model, -status, error.text[0] ? error.text : strerror(-status));
    return status;
}

/* --- the plan ------------------------------------------------------------------------------- */

static void answer_plan(struct model *model)
{
    park_wake(&model->daemon->parking, &model->waiters);
    if (!model->plan_wanted)
        return;
    model->plan_wanted = false;
    if (model->planned)
        post(model, POOL_PLANNED, model->plan_bytes, 0);
    else
        post(model, POOL_PLAN_FAILED, 0, model->failure_code);
}

static void probe_message(void *owner, const struct protocol_message *message)
{
    struct model *model = owner;
    if (model->probe_outdated)
        return;
    if (message->header.type == PROTOCOL_FAILED) {
        take_failure(model, &message->failed);
    } else if (message->header.type == PROTOCOL_PLAN) {
        free(model->info);
        model->info = strndup(message->plan.info.bytes, message->plan.info.length);
        model->plan_bytes = message->plan.charge_bytes;
        model->planned = model->info != NULL;
        set_failure(model, model->planned ? 0 : ENOMEM, model->planned ? "" : "no memory");
    }
}

static void probe_exited(void *owner, int code, const char *text)
{
    struct model *model = owner;
    worker_close(model->probe);
    model->probe = NULL;
    if (model->probe_outdated) {
        model->probe_outdated = false;
        residents_inspect(model);
        return;
    }
    if (!model->planned && !model->failure_code)
        set_failure(model, code ? code : EIO, text[0] ? text : "the model could not be inspected");
    answer_plan(model);
}

void residents_inspect(struct model *model)
{
    static const struct worker_callbacks callbacks = {probe_message, probe_exited};
    if (model->probe)
        return;
    set_failure(model, 0, "");
    if (!model->planned && !start_process(model, true, &callbacks, &model->probe))
        return; /* its end answers */
    answer_plan(model);
}

void residents_plan(struct model *model)
{
    model->plan_wanted = true;
    residents_inspect(model);
}

void residents_reload(struct model *model)
{
    model->planned = false;
    free(model->info);
    model->info = NULL;
    set_failure(model, 0, "");
    if (model->probe) { /* it reads the old file; its end starts another one */
        model->probe_outdated = true;
        worker_kill(model->probe);
    }
    post(model, POOL_MODEL_CHANGED, 0, 0);
}

/* --- a loaded model ------------------------------------------------------------------------- */

static void worker_is_ready(struct model *model, const struct protocol_ready *ready)
{
    model->worker_ready = true;
    set_failure(model, 0, "");
    recorder_ready(model, ready);
    events_add(&model->daemon->events, &model->daemon->parking, "load", model->entry->name, NULL);
    post(model, POOL_LOADED, ready->charge_bytes, 0);
}

static void worker_message(void *owner, const struct protocol_message *message)
{
    struct model *model = owner;
    struct daemon *daemon = model->daemon;
    struct job *job = jobs_find(daemon, message->header.request);
    bool own_job = job && job->model == model && job->state == JOB_RUNNING;
    switch ((enum protocol_type)message->header.type) {
    case PROTOCOL_READY:
        worker_is_ready(model, &message->ready);
        break;
    case PROTOCOL_FAILED:
        take_failure(model, &message->failed);
        break;
    case PROTOCOL_TEXT:
        if (own_job)
            jobs_text(daemon, job, message->text);
        break;
    case PROTOCOL_LOGPROBS:
        if (own_job)
            jobs_logprobs(job, message->text);
        break;
    case PROTOCOL_DONE:
        if (own_job) {
            jobs_done(daemon, job, &message->done);
            dispatch_request_ended(daemon, model->id, message->header.request);
        }
        cores_share(daemon);
        break;
    case PROTOCOL_NEED:
        post(model, POOL_GROW, message->bytes, 0);
        break;
    case PROTOCOL_PLAN:
    case PROTOCOL_GENERATE:
    case PROTOCOL_CANCEL:
    case PROTOCOL_GRANT:
    case PROTOCOL_REFUSE:
    case PROTOCOL_THREADS:
    case PROTOCOL_STOP:
        log_write(LOG_WARNING, "%s: its worker sent a message of type %d, which is the daemon's",
                  model->entry->name, (int)message->header.type);
        worker_kill(model->worker);
        break;
    }
}

static void worker_exited(void *owner, int code, const char *text)
{
    struct model *model = owner;
    bool was_ready = model->worker_ready;
    worker_close(model->worker);
    model->worker = NULL;
    model->worker_ready = false;
    recorder_exited(model);
    events_add(&model->daemon->events, &model->daemon->parking, "unload", model->entry->name, NULL);
    if (model->worker_stopping) {
        set_failure(model, 0, "");
    } else if (!model->failure_code) {
        char why[MODEL_ERROR_BYTES];
        snprintf(why, sizeof why, "the model's worker process ended: %s", text);
        set_failure(model, code ? code : EIO, why);
        log_write(LOG_ERR, "%s: %s", model->entry->name, why);
    }
    if (!was_ready)
        recorder_dropped(model);
    post(model, POOL_EXITED, 0, model->failure_code);
    cores_share(model->daemon);
}

void residents_start(struct model *model, uint64_t generation)
{
    static const struct worker_callbacks callbacks = {worker_message, worker_exited};
    model->generation = generation;
    model->worker_ready = model->worker_stopping = false;
    model->threads = model->daemon->threads;
    set_failure(model, 0, "");
    recorder_started(model);
    int status = start_process(model, false, &callbacks, &model->worker);
    if (status) {
        recorder_dropped(model);
        post(model, POOL_EXITED, 0, -status);
    }
}

void residents_stop(struct model *model, uint64_t generation)
{
    if (!model->worker || model->generation != generation)
        return;
    model->worker_stopping = true;
    recorder_told(model);
    worker_stop(model->worker);
}

/* --- requests ------------------------------------------------------------------------------- */

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = (uint64_t)clock_now_us();
    return seed ? seed : 1;
}

static int put_request(struct model *model, const struct job *job)
{
    const struct config *config = &job->config;
    struct protocol_generate *generate = memory_try(1, sizeof *generate);
    if (!generate)
        return -ENOMEM;
    generate->owner = job->uid;
    generate->raw = config->raw;
    generate->thinking = (enum protocol_thinking)config->thinking;
    generate->format = (enum protocol_format)config->format;
    generate->speculate = config->speculate;
    generate->sampling = config->sampling;
    if (generate->sampling.seed == 0)
        generate->sampling.seed = random_seed();
    generate->max_tokens = config->max_tokens;
    generate->logprobs = config->logprobs ? config->logprobs : -1;
    generate->grammar = text_of(config->grammar);
    generate->json_schema = text_of(config->json_schema);
    generate->stop_token_count = config->stop_token_count;
    memcpy(generate->stop_tokens, config->stop_tokens, sizeof generate->stop_tokens);
    generate->bias_count = config->bias_count;
    memcpy(generate->biases, config->biases, sizeof generate->biases);
    for (; generate->stop_count < config->stop_count; generate->stop_count++)
        generate->stops[generate->stop_count] = config->stops[generate->stop_count];
    if (config->system[0] && !config->raw)
        generate->messages[generate->message_count++] =
            (struct protocol_chat_message){text_of("system"), text_of(config->system)};
    generate->messages[generate->message_count++] =
        (struct protocol_chat_message){text_of("user"), buffer_text(&job->prompt)};
    int status = protocol_put_generate(worker_output(model->worker), job->id, generate);
    free(generate);
    return status;
}

void residents_run(struct model *model, struct job *job)
{
    uint64_t request = job->id;
    int status = model->worker ? put_request(model, job) : -EIO;
    if (status) {
        jobs_fail(model->daemon, job, -status, "the prompt could not be handed to the engine");
        dispatch_request_ended(model->daemon, model->id, request);
        return;
    }
    jobs_started(model->daemon, job);
    cores_share(model->daemon); /* before the request goes out: its first step knows its share */
    worker_flush(model->worker);
}

void residents_cancel(struct model *model, const struct job *job)
{
    if (!model->worker)
        return;
    if (protocol_put_cancel(worker_output(model->worker), job->id))
        worker_kill(model->worker); /* it has not read for so long that its queue is full */
    else
        worker_flush(model->worker);
}

void residents_grant(struct model *model, uint64_t generation, uint64_t bytes)
{
    if (!model->worker || model->generation != generation)
        return;
    if (protocol_put_grant(worker_output(model->worker), bytes) == 0)
        worker_flush(model->worker);
}

void residents_refuse(struct model *model, uint64_t generation, const char *why)
{
    if (!model->worker || model->generation != generation)
        return;
    if (protocol_put_refuse(worker_output(model->worker), text_of(why)) == 0)
        worker_flush(model->worker);
}
