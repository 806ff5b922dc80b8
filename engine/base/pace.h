/* pace.h - how many threads a run is worth when other programs want the cores too.
 *
 * A team that meets at barriers every few microseconds stands still while one of its threads has no
 * core: beside one busy program, two threads on two cores are slower than one alone.  So runs are
 * watched: `count` threads that stood still for a part s of the time did the work of count * (1 -
 * s) threads.  Where fewer could do clearly more, one fewer is tried, then two, four ... fewer, and
 * what did more stays.  One more is tried from time to time.  Either is tried the less often the
 * more such tries have failed.  A team that has its cores for itself never stands still, and
 * nothing is tried.
 *
 * Results do not depend on the number of threads, so a try costs time at most.
 *
 * Owns:     nothing; a zeroed struct pace is one that has seen nothing.
 * Promise:  pure: the same calls give the same answers.
 * Threads:  one at a time.
 * Limits:   PACE_* below.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdint.h>

enum {
    PACE_PERIOD_US = 20000, /* of running are judged together: several slices of the kernel's */
    PACE_BAD_PERIODS = 2,   /* in a row, before fewer threads are tried: most bursts are shorter */
    PACE_REST_MIN = 2,      /* behind a try that failed, in lengths of it; doubled by each ... */
    PACE_REST_MAX = 32,     /* ... until it is so many ... */
    PACE_REST_US_MAX = 1280000, /* ... or so long, whichever comes last */
};

/* Fewer threads, or more. */
struct pace_direction {
    int64_t next_us; /* not tried before */
    int64_t rest_us; /* behind the next try that fails; 0: none has failed since one did not */
};

struct pace {
    int most;    /* threads that there may be */
    int best;    /* of them, the count that has done most; 0 before the first run */
    int trial;   /* so many more or, below 0, fewer are being tried; 0: it is `best` that runs */
    int stride;  /* so many fewer are tried next; 0: one */
    double work; /* that `best` did, in threads that run undisturbed */
    int bad_periods;                /* that `best` has had in a row */
    int64_t elapsed_us, stalled_us; /* of the present period */
    struct pace_direction fewer, more;
};

/* How many of at most `most` threads are to run next. */
int pace_count(struct pace *pace, int most, int64_t now_us);

/* They ran for elapsed_us until now, and added up over all of them waited waited_us for others. */
void pace_note(struct pace *pace, int64_t now_us, int64_t elapsed_us, int64_t waited_us);

#endif
