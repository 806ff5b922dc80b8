/* kernel_names.c - see kernel_names.h. */
#include "base/kernel_names.h"

#include <string.h>

bool kernel_names_have(const char *name)
{
    static const char separators[] = ", ";
    const size_t length = strlen(name);
    for (const char *at = KERNEL_NAMES; *at; at += strspn(at, separators)) {
        size_t word = strcspn(at, separators);
        if (word == length && memcmp(at, name, word) == 0)
            return true;
        at += word;
    }
    return false;
}
