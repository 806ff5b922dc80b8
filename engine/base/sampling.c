/* sampling.c - see sampling.h. */
#include "base/sampling.h"

#include <errno.h>

#define AT(member) offsetof(struct sampling, member)

const struct sampling_parameter sampling_parameters[SAMPLING_PARAMETERS] = {
    {"temperature", SAMPLING_REAL, AT(temperature), 0, 10, 0.7, 0},
    {"top_k", SAMPLING_INTEGER, AT(top_k), 0, INT32_MAX, 40, 0},
    {"top_p", SAMPLING_REAL, AT(top_p), 0, 1, 0.95, 1},
    {"min_p", SAMPLING_REAL, AT(min_p), 0, 1, 0.05, 0},
    {"typical_p", SAMPLING_REAL, AT(typical_p), 0, 1, 1, 1},
    {"repeat_penalty", SAMPLING_REAL, AT(repeat_penalty), 0.1, 10, 1, 1},
    {"presence_penalty", SAMPLING_REAL, AT(presence_penalty), -10, 10, 0, 0},
    {"frequency_penalty", SAMPLING_REAL, AT(frequency_penalty), -10, 10, 0, 0},
    {"dry_multiplier", SAMPLING_REAL, AT(dry_multiplier), 0, 100, 0, 0},
    {"dry_base", SAMPLING_REAL, AT(dry_base), 0, 10, 1.75, 1.75},
    {"dry_allowed_length", SAMPLING_INTEGER, AT(dry_allowed_length), 0, 1024, 2, 2},
    {"mirostat", SAMPLING_INTEGER, AT(mirostat), 0, 2, 0, 0},
    {"mirostat_tau", SAMPLING_REAL, AT(mirostat_tau), 0, 100, 5, 5},
    {"mirostat_eta", SAMPLING_REAL, AT(mirostat_eta), 0, 10, 0.1, 0.1},
};

double sampling_get(const struct sampling *sampling, const struct sampling_parameter *parameter)
{
    const char *at = (const char *)sampling + parameter->offset;
    return parameter->kind == SAMPLING_INTEGER ? *(const int32_t *)(const void *)at
                                               : (double)*(const float *)(const void *)at;
}

void sampling_set(struct sampling *sampling, const struct sampling_parameter *parameter,
                  double value)
{
    char *at = (char *)sampling + parameter->offset;
    if (parameter->kind == SAMPLING_INTEGER)
        *(int32_t *)(void *)at = (int32_t)value;
    else
        *(float *)(void *)at = (float)value;
}

struct sampling sampling_plain(void)
{
    struct sampling sampling = {0};
    for (int i = 0; i < SAMPLING_PARAMETERS; i++)
        sampling_set(&sampling, &sampling_parameters[i], sampling_parameters[i].engine_default);
    return sampling;
}

/* A float's range is its range after rounding: 0.1f is a little above 0.1. */
static bool is_inside(const struct sampling_parameter *parameter, double value)
{
    if (parameter->kind == SAMPLING_INTEGER)
        return value >= parameter->minimum && value <= parameter->maximum;
    return value >= (double)(float)parameter->minimum && value <= (double)(float)parameter->maximum;
}

int sampling_check(const struct sampling *sampling, struct error *error)
{
    for (int i = 0; i < SAMPLING_PARAMETERS; i++) {
        const struct sampling_parameter *parameter = &sampling_parameters[i];
        double value = sampling_get(sampling, parameter);
        if (!is_inside(parameter, value))
            return error_set(error, EINVAL, "%s is %g, not %g to %g", parameter->name, value,
                             parameter->minimum, parameter->maximum);
    }
    if (sampling->mirostat == 1)
        return error_set(error, EINVAL, "mirostat is 1, not 0 or 2");
    return 0;
}
