/* cli_worker.c - see cli_worker.h. */
#include "cli_worker.h"

#include "base/clock.h"
#include "cli.h"
#include "protocol.h"
#include "worker.h"

#include <sys/socket.h>

enum { NAME_PROBE = 256, NAME_ECHO, NAME_LOAD_MS, NAME_TOKEN_MS };
enum { DELAY_MS_MAX = 3600 * 1000 };

static const struct option long_options[] = {
    {"probe", no_argument, NULL, NAME_PROBE},
    {"echo", no_argument, NULL, NAME_ECHO},
    {"load-ms", required_argument, NULL, NAME_LOAD_MS},
    {"token-ms", required_argument, NULL, NAME_TOKEN_MS},
    {"threads", required_argument, NULL, CLI_THREADS},
    {"context", required_argument, NULL, 'c'},
    {"kv-bytes", required_argument, NULL, 'k'},
    {"kernels", required_argument, NULL, CLI_KERNELS},
    {"kv", required_argument, NULL, CLI_KV},
    {0},
};

static bool set_option(struct worker_settings *settings, int option)
{
    int64_t value = 0;
    bool good = false;
    switch (option) {
    case NAME_PROBE:
        return settings->probe = true;
    case NAME_ECHO:
        return settings->echo = true;
    case NAME_LOAD_MS:
        good = cli_integer("worker", "--load-ms", optarg, 0, DELAY_MS_MAX, &value);
        settings->echo_load_ms = (uint32_t)value;
        return good;
    case NAME_TOKEN_MS:
        good = cli_integer("worker", "--token-ms", optarg, 0, DELAY_MS_MAX, &value);
        settings->echo_token_ms = (uint32_t)value;
        return good;
    case 'c':
        good = cli_integer("worker", "--context", optarg, 0, INT32_MAX, &value);
        settings->engine.context = (int32_t)value;
        return good;
    case 'k':
        good = cli_integer("worker", "--kv-bytes", optarg, 0, INT64_MAX, &value);
        settings->engine.kv_bytes = (uint64_t)value;
        return good;
    default:
        return cli_engine_option("worker", option, &settings->engine);
    }
}

int cli_worker(int argc, char **argv)
{
    struct worker_settings settings = {.started_us = clock_now_us(),
                                       .engine = cli_engine_options()};
    settings.engine.kv_bytes = 0; /* as many as the plan reserves */
    settings.engine.populate = true;
    for (int option; (option = cli_option(argc, argv, ":t:", long_options)) != -1;)
        if (!set_option(&settings, option))
            return CLI_USAGE;
    settings.path = cli_model(argc, argv);
    if (!settings.path)
        return CLI_USAGE;
    int kind;
    socklen_t length = sizeof kind;
    if (getsockopt(PROTOCOL_FD, SOL_SOCKET, SO_TYPE, &kind, &length))
        return cli_usage("worker", "is started by inferfs, with a socket as descriptor %d",
                         PROTOCOL_FD);
    worker_run(&settings);
}
