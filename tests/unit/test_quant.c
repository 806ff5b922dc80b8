/* test_quant.c - dequantisation against the reference's values, and the 16-bit floats. */
#include "base/half.h"
#include "math/quant.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifndef SOURCE_ROOT
#define SOURCE_ROOT "."
#endif

enum { LINE_BYTES = 8192, CASES = 57, HASHES = 19, WEIGHTS_MAX = 512 };

static size_t bytes_of_hex(const char *hex, uint8_t *out)
{
    size_t count = strlen(hex) / 2;
    for (size_t i = 0; i < count; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return count;
}

static const struct tensor_format *format_named(const char *name)
{
    for (uint32_t type = 0; type < 64; type++)
        if (tensor_format(type) && strcmp(tensor_format(type)->name, name) == 0)
            return tensor_format(type);
    return NULL;
}

/* A line of blocks and their values. */
static void check_values(const struct tensor_format *format, const char *from, const char *to)
{
    uint8_t blocks[1024], expected[WEIGHTS_MAX * 4];
    float values[WEIGHTS_MAX];
    size_t count = bytes_of_hex(from, blocks) / format->block_bytes * format->block;
    assert_int_equal(bytes_of_hex(to, expected), count * sizeof *values);
    quant_dequantise(format->type, blocks, (int32_t)count, values);
    assert_memory_equal(values, expected, count * sizeof *values);
}

static uint32_t crc_32(uint32_t crc, uint32_t word)
{
    crc ^= word;
    for (int i = 0; i < 32; i++)
        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    return crc;
}

/* The CRC of the values of `count` blocks of pseudo-random bytes: as in make_quant_golden.py. */
static uint32_t crc_of_random_blocks(const struct tensor_format *format, unsigned long count)
{
    uint32_t state = 1, crc = 0xffffffff;
    for (unsigned long i = 0; i < count; i++) {
        uint8_t block[512];
        float values[256];
        for (uint32_t at = 0; at < format->block_bytes; at++) {
            state = state * 1664525u + 1013904223u;
            block[at] = (uint8_t)(state >> 24);
        }
        quant_dequantise(format->type, block, (int32_t)format->block, values);
        for (uint32_t k = 0; k < format->block; k++)
            crc = crc_32(crc, isnan(values[k]) ? 0x7fc00000 : float_bits(values[k]));
    }
    return ~crc;
}

static void every_type_dequantises_to_the_reference_s_bits(void **state)
{
    (void)state;
    FILE *file = fopen(SOURCE_ROOT "/tests/golden/quants.txt", "r");
    assert_non_null(file);
    static char line[LINE_BYTES];
    int cases = 0, hashes = 0;
    while (fgets(line, sizeof line, file)) {
        char *rest = line, *name = strtok_r(rest, " \n", &rest);
        char *from = strtok_r(rest, " \n", &rest), *to = strtok_r(rest, " \n", &rest);
        const struct tensor_format *format = format_named(name);
        if (!format) {
            fail_msg("unknown type %s", name);
            break;
        }
        if (strcmp(from, "crc") == 0) {
            uint32_t crc = crc_of_random_blocks(format, strtoul(to, NULL, 10));
            if (crc != strtoul(strtok_r(rest, " \n", &rest), NULL, 16))
                fail_msg("%s: random blocks have the CRC %08x", name, crc);
            hashes++;
        } else {
            check_values(format, from, to);
            cases++;
        }
    }
    fclose(file);
    assert_int_equal(cases, CASES);
    assert_int_equal(hashes, HASHES);
}

static void every_half_survives_the_way_to_float_and_back(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 0x10000; half++) {
        float value = half_to_float((uint16_t)half);
        uint32_t expected = half;
        if (isnan(value))
            expected |= 0x200; /* a signalling NaN becomes quiet */
        assert_int_equal(half_of_float(value), expected);
    }
}

static void floats_round_to_the_nearest_half_and_ties_to_even(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 0x7bff; half++) {
        float low = half_to_float((uint16_t)half), high = half_to_float((uint16_t)(half + 1));
        float middle = low + (high - low) / 2;
        assert_int_equal(half_of_float(middle), half + (half & 1));
        assert_int_equal(half_of_float(nextafterf(middle, 0)), half);
        assert_int_equal(half_of_float(-nextafterf(middle, INFINITY)), 0x8000 | (half + 1));
    }
    assert_int_equal(half_of_float(65519.996f), 0x7bff);
    assert_int_equal(half_of_float(65520.0f), 0x7c00);
    assert_int_equal(half_of_float(-INFINITY), 0xfc00);
    assert_int_equal(half_of_float(1e-30f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_dequantises_to_the_reference_s_bits),
        cmocka_unit_test(every_half_survives_the_way_to_float_and_back),
        cmocka_unit_test(floats_round_to_the_nearest_half_and_ties_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
