/* config_keys.h - keys with the architecture's name in front, read with a range; private to config.
 *
 * Every reader returns 0, or -ENOEXEC with a text that names the key and what is wrong with its
 * value.
 */
#ifndef MODEL_CONFIG_KEYS_H
#define MODEL_CONFIG_KEYS_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct gguf;

enum { CONFIG_KEY_BYTES = 128 };

/* What the readers need: the file, the prefix of its keys, where an error goes. */
struct config_keys {
    const struct gguf *gguf;
    const char *prefix;
    struct error *error;
};

/* A whole key, "llama.block_count". */
struct config_key {
    char text[CONFIG_KEY_BYTES];
};
struct config_key config_key(const struct config_keys *keys, const char *name);
bool config_has(const struct config_keys *keys, const char *name);

/* An integer in [minimum, maximum]; `otherwise` stands for a missing key unless it is 0. */
int config_count(const struct config_keys *keys, const char *name, int32_t otherwise,
                 int32_t minimum, int32_t maximum, int32_t *out);

/* The same with a default that may be 0. */
int config_optional_count(const struct config_keys *keys, const char *name, int32_t otherwise,
                          int32_t maximum, int32_t *out);

/* A finite number above 0; `otherwise` stands for a missing key unless it is 0. */
int config_positive(const struct config_keys *keys, const char *name, float otherwise, float *out);

/* A finite number of at least 0. */
int config_optional(const struct config_keys *keys, const char *name, float otherwise, float *out);

int config_bool(const struct config_keys *keys, const char *name, bool otherwise, bool *out);
int config_text(const struct config_keys *keys, const char *name, const char *otherwise,
                struct text *out);

/* config_rope.c's part of the configuration. */
struct model_config;
int config_read_rope(const struct config_keys *keys, struct model_config *config);

#endif
