/* clock.h - the monotonic clock, in the two units that the project uses.
 *
 * The daemon and its workers read the same clock (CLOCK_MONOTONIC is one per machine), so a time
 * stamp may cross the protocol.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline double clock_ms(int64_t us)
{
    return (double)us / 1000.0;
}

#endif
