/* nodes.c - see nodes.h. */
#include "fs/nodes.h"

#include "fs/config.h"
#include "fs/handle.h"

#include <string.h>

enum { KIND_BITS = 8, KIND_MASK = (1 << KIND_BITS) - 1 };

#define DIRECTORY_MODE (S_IFDIR | 0755)
#define READ_MODE      (S_IFREG | 0444)
#define WRITE_MODE     (S_IFREG | 0222)
#define VALUE_MODE     (S_IFREG | 0644)

static const struct node_type types[] = {
    [NODE_ROOT] = {"", DIRECTORY_MODE, NODE_NONE, NULL},
    [NODE_ROOT_README] = {"README", READ_MODE, NODE_ROOT, &snapshot_operations},
    [NODE_ROOT_BUDGET] = {"budget", VALUE_MODE, NODE_ROOT, &budget_operations},
    [NODE_ROOT_CTL] = {"ctl", WRITE_MODE, NODE_ROOT, &root_ctl_operations},
    [NODE_ROOT_EVENTS] = {"events", READ_MODE, NODE_ROOT, &events_operations},
    [NODE_ROOT_RESIDENT] = {"resident", READ_MODE, NODE_ROOT, &snapshot_operations},
    [NODE_ROOT_STATUS] = {"status", READ_MODE, NODE_ROOT, &snapshot_operations},
    [NODE_MODEL] = {"", DIRECTORY_MODE, NODE_ROOT, NULL},
    [NODE_CONFIG_DIR] = {"config", DIRECTORY_MODE, NODE_MODEL, NULL},
    [NODE_CTL] = {"ctl", WRITE_MODE, NODE_MODEL, &model_ctl_operations},
    [NODE_ERROR] = {"error", READ_MODE, NODE_MODEL, &snapshot_operations},
    [NODE_INFO] = {"info", READ_MODE, NODE_MODEL, &info_operations},
    [NODE_LOGPROBS] = {"logprobs", READ_MODE, NODE_MODEL, &logprobs_operations},
    [NODE_OUTPUT] = {"output", READ_MODE, NODE_MODEL, &output_operations},
    [NODE_PROMPT] = {"prompt", WRITE_MODE, NODE_MODEL, &prompt_operations},
    [NODE_STATE] = {"state", READ_MODE, NODE_MODEL, &snapshot_operations},
    [NODE_STATUS] = {"status", READ_MODE, NODE_MODEL, &snapshot_operations},
    [NODE_STREAM] = {"stream", READ_MODE, NODE_MODEL, &stream_operations},
    [NODE_WAIT] = {"wait", READ_MODE, NODE_MODEL, &wait_operations},
    [NODE_WEIGHTS] = {"weights", S_IFLNK | 0777, NODE_MODEL, NULL},
    [NODE_CONFIG] = {"", VALUE_MODE, NODE_CONFIG_DIR, &config_operations},
};

const struct node_type *node_type(enum node_kind kind)
{
    return &types[kind > NODE_CONFIG ? NODE_CONFIG : kind];
}

const char *node_name(enum node_kind kind)
{
    if (kind >= NODE_CONFIG)
        return config_key_name((enum config_key)(kind - NODE_CONFIG));
    return types[kind].name;
}

enum node_kind node_kind_last(void)
{
    return (enum node_kind)(NODE_CONFIG + CONFIG_KEYS - 1);
}

fuse_ino_t node_number(uint64_t model, enum node_kind kind)
{
    return (fuse_ino_t)(model << KIND_BITS | kind);
}

uint64_t node_model(fuse_ino_t number)
{
    return number >> KIND_BITS;
}

enum node_kind node_kind(fuse_ino_t number)
{
    enum node_kind kind = (enum node_kind)(number & KIND_MASK);
    bool of_root = kind < NODE_MODEL;
    if (kind > node_kind_last() || of_root != (node_model(number) == 0))
        return NODE_NONE;
    return kind;
}

enum node_kind node_find(enum node_kind parent, const char *name)
{
    for (enum node_kind kind = NODE_ROOT_README; kind <= node_kind_last(); kind++)
        if (kind != NODE_MODEL && node_type(kind)->parent == parent &&
            strcmp(node_name(kind), name) == 0)
            return kind;
    return NODE_NONE;
}
