/* pace.c - see pace.h: a search for the best count, down in strides and up by one. */
#include "base/pace.h"

#include <stdbool.h>

/* Fewer threads must do so much more: what they did may have been luck. */
static const double GAIN = 1.1;

static void begin_period(struct pace *pace, int trial)
{
    pace->trial = trial;
    pace->elapsed_us = pace->stalled_us = 0;
}

int pace_count(struct pace *pace, int most, int64_t now_us)
{
    if (pace->most != most) { /* more than before are all taken, unless some had been given up */
        if (pace->best == pace->most || pace->best > most)
            pace->best = most;
        pace->most = most;
        begin_period(pace, 0);
    }
    if (pace->trial == 0 && pace->best < most && now_us >= pace->more.next_us)
        begin_period(pace, 1);
    return pace->best + pace->trial;
}

/* What the team did in this period, had it run undisturbed in the rest of `length_us`. */
static double work(const struct pace *pace, int64_t length_us)
{
    return (pace->best + pace->trial) * (double)(length_us - pace->stalled_us) / (double)length_us;
}

static void rest(struct pace_direction *direction, int64_t now_us, int64_t tried_us)
{
    if (direction->rest_us < PACE_REST_MIN * tried_us)
        direction->rest_us = PACE_REST_MIN * tried_us;
    direction->next_us = now_us + direction->rest_us;
    if (direction->rest_us < PACE_REST_US_MAX || direction->rest_us < PACE_REST_MAX * tried_us)
        direction->rest_us *= 2;
}

static void judge_trial(struct pace *pace, int64_t now_us)
{
    const bool fewer = pace->trial < 0;
    struct pace_direction *direction = fewer ? &pace->fewer : &pace->more;
    double done = work(pace, pace->elapsed_us);
    bool better = done > (fewer ? GAIN * pace->work : pace->work);
    if (better) {
        pace->best += pace->trial;
        pace->work = done;
        direction->rest_us = 0;
    }
    if (fewer)
        pace->stride = better ? 1 : 2 * pace->stride;
    if (fewer || !better) /* on the way up again there is no rest */
        rest(direction, now_us, pace->elapsed_us);
    if (fewer && better)
        rest(&pace->more, now_us, pace->elapsed_us);
    begin_period(pace, 0);
}

/* Is there a number of fewer threads that could do clearly more? */
static bool fewer_could_do_more(struct pace *pace)
{
    if (pace->stride < 1 || GAIN * pace->work >= pace->best - pace->stride)
        pace->stride = 1;
    return GAIN * pace->work < pace->best - pace->stride;
}

void pace_note(struct pace *pace, int64_t now_us, int64_t elapsed_us, int64_t waited_us)
{
    int count = pace->best + pace->trial;
    int64_t stalled_us = count > 1 ? waited_us / (count - 1) : 0; /* all others wait for one */
    pace->elapsed_us += elapsed_us;
    pace->stalled_us += stalled_us < elapsed_us ? stalled_us : elapsed_us;
    bool hopeless = pace->trial > 0 && work(pace, PACE_PERIOD_US) <= pace->work;
    if (pace->elapsed_us < PACE_PERIOD_US && !hopeless)
        return;
    if (pace->trial) {
        judge_trial(pace, now_us);
        return;
    }
    pace->work = work(pace, pace->elapsed_us);
    pace->bad_periods = fewer_could_do_more(pace) ? pace->bad_periods + 1 : 0;
    bool due = pace->bad_periods >= PACE_BAD_PERIODS && now_us >= pace->fewer.next_us;
    begin_period(pace, due ? -pace->stride : 0);
}
