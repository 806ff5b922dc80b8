/* fuzz_gguf.c - any bytes as a GGUF file: it is refused with a sentence, or all that can be reached
 * through its views can be read.  See README.md. */
#include "load/gguf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned sum_bytes(const void *bytes, uint64_t length)
{
    const uint8_t *at = bytes;
    unsigned sum = 0;
    for (uint64_t i = 0; i < length; i++)
        sum += at[i];
    return sum;
}

static unsigned walk_value(const struct gguf_value *value)
{
    unsigned sum = sum_bytes(value->key.bytes, value->key.length);
    sum += sum_bytes(value->data, value->bytes);
    const uint8_t *at = value->data;
    for (uint64_t i = 0; i < value->count; i++) {
        if (value->item_type == GGUF_STRING) {
            struct text text = gguf_next_string(&at);
            sum += sum_bytes(text.bytes, text.length);
        } else if (value->item_type == GGUF_INT32) {
            sum += (unsigned)gguf_item_i32(value, i);
        } else if (value->item_type == GGUF_FLOAT32) {
            sum += gguf_item_f32(value, i) > 0;
        }
    }
    return sum;
}

/* Every getter on every key whose name is a C string, whatever its type is. */
static unsigned ask_for(const struct gguf *gguf, const struct gguf_value *value)
{
    struct error error = {0};
    uint32_t number = 0;
    float real = 0;
    bool flag = false;
    struct text text = {0};
    const struct gguf_value *array = NULL;
    char *key = strndup(value->key.bytes, value->key.length);
    if (!key)
        return 0;
    if (gguf_find(gguf, key) != value)
        abort();
    gguf_get_u32(gguf, key, &number, &error);
    gguf_get_f32(gguf, key, &real, &error);
    gguf_get_bool(gguf, key, &flag, &error);
    gguf_get_string(gguf, key, &text, &error);
    gguf_get_array(gguf, key, GGUF_STRING, &array, &error);
    free(key);
    return number + (unsigned)flag + sum_bytes(text.bytes, text.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf *gguf = NULL;
    struct error error = {0};
    if (gguf_open_memory(data, size, &gguf, &error)) {
        if (error.code == 0 || error.text[0] == '\0' || gguf)
            abort(); /* refused without a reason */
        return 0;
    }
    unsigned sum = gguf_version(gguf);
    for (size_t i = 0; i < gguf_key_count(gguf); i++) {
        sum += walk_value(gguf_key(gguf, i));
        sum += ask_for(gguf, gguf_key(gguf, i));
    }
    uint64_t tensor_bytes = 0;
    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        const struct tensor *tensor = gguf_tensor_at(gguf, i);
        if (gguf_tensor(gguf, tensor->name) != tensor)
            abort();
        sum += sum_bytes(tensor->data, tensor->bytes);
        tensor_bytes += tensor->bytes;
    }
    if (tensor_bytes != gguf_tensor_bytes(gguf) || tensor_bytes > size)
        abort();
    volatile unsigned sink = sum; /* the reads above must happen */
    (void)sink;
    gguf_close(gguf);
    return 0;
}
