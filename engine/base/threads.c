/* threads.c - see threads.h.
 *
 * One word starts a run: a generation number and the count of threads that take part, so that a
 * thread which is not in a run never looks at that run's function; nor is it woken for it, since
 * its core is another model's then.  Every wait spins first, because a forward pass has a barrier
 * every few microseconds, and then sleeps on a futex, because the same cores serve the file system.
 */
#include "base/threads.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum {
    CPUS_MAX = 4096,
    STACK_BYTES = 1 << 20, /* the kernels keep panels of up to 64 KiB on the stack */
    SPINS_PER_CLOCK = 64,
    TEAM_BITS = 8,                /* low bits of the start word: how many threads take part */
    GENERATIONS_ASLEEP = 1 << 20, /* of 1 << 24 */
    STOP = 255,                   /* a team count that means "return" */
};

/* A word that threads wait on, in a cache line of its own. */
struct signal {
    _Alignas(64) atomic_uint word;
    atomic_int sleepers;
};

static const unsigned ALL = FUTEX_BITSET_MATCH_ANY;

struct worker {
    struct threads *threads;
    pthread_t thread;
    int index;
};

struct threads {
    struct signal start;             /* generation << TEAM_BITS | team count */
    struct signal done;              /* counts runs that have ended */
    struct signal epoch;             /* counts barriers that have opened */
    _Alignas(64) atomic_int arrived; /* at the barrier */
    _Alignas(64) atomic_int taken;   /* units that threads_take() gave since the last barrier */
    _Alignas(64) atomic_int running; /* workers that have not yet returned from the run */
    _Atomic int64_t waited_us;       /* see threads_waited_us() */
    threads_function *function;      /* written by the caller between runs only */
    void *argument;
    int count;
    struct worker workers[THREADS_MAX];
};

static void relax(void)
{
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static long futex(atomic_uint *word, int operation, unsigned value, unsigned who)
{
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, who);
}

/* Wait until the word differs from `old`; returns what it became.  A sleeper counts itself before
 * the kernel compares the word, and raise() changes the word before it looks for sleepers, so one
 * of the two always sees the other.  A sleeper is woken by those whose `who` has a bit in common
 * with its own.  A wait that became a sleep is added to *waited_us, which only then costs
 * anything. */
static unsigned await(struct signal *signal, unsigned old, unsigned who, _Atomic int64_t *waited_us)
{
    unsigned now;
    int64_t end_us = 0;
    bool slept = false;
    for (unsigned spins = 1;
         (now = atomic_load_explicit(&signal->word, memory_order_acquire)) == old; spins++) {
        relax();
        if (spins % SPINS_PER_CLOCK != 0)
            continue;
        int64_t now_us = clock_now_us();
        if (end_us == 0)
            end_us = now_us + THREADS_SPIN_US;
        if (now_us < end_us)
            continue;
        atomic_fetch_add(&signal->sleepers, 1);
        futex(&signal->word, FUTEX_WAIT_BITSET, old, who);
        atomic_fetch_sub(&signal->sleepers, 1);
        slept = true;
    }
    if (slept && waited_us)
        atomic_fetch_add_explicit(waited_us, clock_now_us() - end_us + THREADS_SPIN_US,
                                  memory_order_relaxed);
    return now;
}

static void raise_to(struct signal *signal, unsigned value, unsigned who)
{
    atomic_store(&signal->word, value);
    if (atomic_load(&signal->sleepers) > 0)
        futex(&signal->word, FUTEX_WAKE_BITSET, INT_MAX, who);
}

/* Flush denormals to zero, as input and as output; returns the state before.  A value below 1e-38
 * means nothing to a model, but costs a hundred cycles. */
static unsigned long denormals_flush(void)
{
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* FTZ | DAZ */
    return before;
#elif defined(__aarch64__)
    unsigned long before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | 1ul << 24)); /* FZ */
    return before;
#else
    return 0;
#endif
}

static void denormals_restore(unsigned long before)
{
#if defined(__x86_64__)
    _mm_setcsr((unsigned)before);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
#else
    (void)before;
#endif
}

/* For threads first..last of the team; those from 31 on share a bit. */
static unsigned team_bits(int first, int last)
{
    const unsigned from = ALL << (first < 31 ? first : 31);
    return last < 31 ? from & ~(ALL << (last + 1)) : from;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct threads *threads = worker->threads;
    unsigned seen = 0;
    denormals_flush();
    for (;;) {
        seen = await(&threads->start, seen, team_bits(worker->index, worker->index), NULL);
        int count = (int)(seen & ((1u << TEAM_BITS) - 1));
        if (count == STOP)
            return NULL;
        if (worker->index >= count)
            continue;
        struct team team = {threads, worker->index, count};
        threads->function(&team, threads->argument);
        if (atomic_fetch_sub(&threads->running, 1) == 1)
            raise_to(&threads->done, atomic_load(&threads->done.word) + 1, ALL);
    }
}

/* Now and then everybody is woken, long before the generations begin again: so none has slept
 * through all of them, and takes one for the one that it saw last. */
static void start(struct threads *threads, int count)
{
    unsigned generation = (atomic_load(&threads->start.word) >> TEAM_BITS) + 1;
    bool everybody = count == STOP || generation % GENERATIONS_ASLEEP == 0;
    raise_to(&threads->start, generation << TEAM_BITS | (unsigned)count,
             everybody ? ALL : team_bits(1, count - 1));
}

static int worker_open(struct worker *worker, struct threads *threads, int index)
{
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);
    if (code)
        return code;
    worker->threads = threads;
    worker->index = index;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    code = pthread_create(&worker->thread, &attributes, work, worker);
    pthread_attr_destroy(&attributes);
    return code;
}

int threads_open(int count, struct threads **out, struct error *error)
{
    *out = NULL;
    if (count < 1 || count > THREADS_MAX)
        return error_set(error, EINVAL, "%d threads asked for, between 1 and %d are possible",
                         count, (int)THREADS_MAX);
    struct threads *threads = memory_try_aligned(1, sizeof *threads);
    if (!threads)
        return error_set(error, ENOMEM, "no memory for %d threads", count);
    memset(threads, 0, sizeof *threads);
    threads->count = 1;
    for (int i = 1; i < count; i++) {
        int code = worker_open(&threads->workers[i], threads, i);
        if (code) {
            threads_close(threads);
            return error_set(error, code == ENOMEM ? ENOMEM : EAGAIN,
                             "cannot start thread %d of %d", i + 1, count);
        }
        threads->count = i + 1;
    }
    *out = threads;
    return 0;
}

void threads_close(struct threads *threads)
{
    if (!threads)
        return;
    start(threads, STOP);
    for (int i = 1; i < threads->count; i++)
        pthread_join(threads->workers[i].thread, NULL);
    free(threads);
}

int threads_count(const struct threads *threads)
{
    return threads->count;
}

int64_t threads_waited_us(const struct threads *threads)
{
    return atomic_load_explicit(&threads->waited_us, memory_order_relaxed);
}

void threads_run(struct threads *threads, int count, threads_function *function, void *argument)
{
    if (count > threads->count)
        count = threads->count;
    struct team team = {threads, 0, count < 1 ? 1 : count};
    unsigned done = atomic_load(&threads->done.word);
    unsigned long before = denormals_flush();
    if (team.count > 1) {
        threads->function = function;
        threads->argument = argument;
        atomic_store(&threads->taken, 0);
        atomic_store(&threads->running, team.count - 1);
        start(threads, team.count);
    }
    function(&team, argument);
    if (team.count > 1)
        await(&threads->done, done, ALL, &threads->waited_us);
    denormals_restore(before);
}

void threads_barrier(const struct team *team)
{
    struct threads *threads = team->threads;
    if (team->count == 1)
        return;
    unsigned epoch = atomic_load_explicit(&threads->epoch.word, memory_order_relaxed);
    if (atomic_fetch_add(&threads->arrived, 1) + 1 < team->count) {
        await(&threads->epoch, epoch, ALL, &threads->waited_us);
        return;
    }
    atomic_store(&threads->arrived, 0);
    atomic_store_explicit(&threads->taken, 0, memory_order_relaxed);
    raise_to(&threads->epoch, epoch + 1, ALL);
}

void threads_share(const struct team *team, int items, int grain, int *begin, int *end)
{
    int64_t units = ((int64_t)items + grain - 1) / grain;
    int64_t from = units * team->index / team->count * grain;
    int64_t to = units * (team->index + 1) / team->count * grain;
    *begin = (int)(from < items ? from : items);
    *end = (int)(to < items ? to : items);
}

bool threads_take(const struct team *team, int turn, int items, int grain, int *begin, int *end)
{
    const int units = (int)(((int64_t)items + grain - 1) / grain), count = team->count;
    const int dealt = count == 1 ? units : units / 2;
    if (turn == 0) {
        *begin = (int)((int64_t)dealt * team->index / count);
        *end = (int)((int64_t)dealt * (team->index + 1) / count);
    } else if (dealt == units) {
        return false;
    } else {
        atomic_int *taken = &team->threads->taken;
        int before = atomic_load_explicit(taken, memory_order_relaxed), part;
        do {
            if (before >= units - dealt)
                return false;
            part = (units - dealt - before) / (2 * count);
            part = part < 1 ? 1 : part;
        } while (!atomic_compare_exchange_weak_explicit(
            taken, &before, before + part, memory_order_relaxed, memory_order_relaxed));
        *begin = dealt + before;
        *end = *begin + part;
    }
    *begin *= grain;
    *end = (int64_t)*end * grain < items ? *end * grain : items;
    return true;
}

/* The first `size - 1` bytes of a file as a string; false when it can't be read or is empty. */
static bool file_text(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t length = fread(text, 1, size - 1, file);
    fclose(file);
    text[length] = '\0';
    return length > 0;
}

/* Whether `cpu` is the first of the allowed hardware threads of its core. */
static bool cpu_leads_core(int cpu, const cpu_set_t *allowed, size_t bytes)
{
    char path[96], text[256];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    if (!file_text(path, text, sizeof text))
        return true;
    char *at = text; /* "0,64" or "0-1" */
    while (*at >= '0' && *at <= '9') {
        long first = strtol(at, &at, 10), last = first;
        if (*at == '-')
            last = strtol(at + 1, &at, 10);
        for (long sibling = first; sibling <= last && sibling < cpu; sibling++)
            if (CPU_ISSET_S((size_t)sibling, bytes, allowed))
                return false;
        if (*at == ',')
            at++;
    }
    return true;
}

static int cores_allowed(void)
{
    union {
        cpu_set_t set;
        unsigned char bytes[CPUS_MAX / 8];
    } allowed;
    memset(&allowed, 0, sizeof allowed);
    if (sched_getaffinity(0, sizeof allowed.bytes, &allowed.set))
        return 1;
    int cores = 0;
    for (int cpu = 0; cpu < CPUS_MAX; cpu++)
        if (CPU_ISSET_S((size_t)cpu, sizeof allowed.bytes, &allowed.set) &&
            cpu_leads_core(cpu, &allowed.set, sizeof allowed.bytes))
            cores++;
    return cores;
}

/* Whole processors that the folder of one cgroup grants, or INT_MAX where it sets no limit. */
static int quota_of_folder(const char *folder, bool version_2)
{
    char path[PATH_MAX + 32], text[64];
    long long quota = -1, period = -1;
    if (version_2) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (!file_text(path, text, sizeof text) || sscanf(text, "%lld %lld", &quota, &period) != 2)
            return INT_MAX; /* "max 100000" */
    } else {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        if (!file_text(path, text, sizeof text) || sscanf(text, "%lld", &quota) != 1)
            return INT_MAX;
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        if (!file_text(path, text, sizeof text) || sscanf(text, "%lld", &period) != 1)
            return INT_MAX;
    }
    if (quota <= 0 || period <= 0 || quota / period >= THREADS_MAX)
        return INT_MAX;
    return (int)(quota / period);
}

/* The smallest quota of a cgroup and of those above it, up to where they are mounted. */
static int quota_of_path(const char *mount, const char *group, bool version_2)
{
    char folder[PATH_MAX];
    size_t root = strlen(mount);
    int length = snprintf(folder, sizeof folder, "%s%s", mount, group);
    if (length < 0 || (size_t)length >= sizeof folder)
        return INT_MAX;
    int least = INT_MAX;
    for (;;) {
        int quota = quota_of_folder(folder, version_2);
        least = quota < least ? quota : least;
        char *slash = strrchr(folder, '/');
        if (!slash || slash < folder + root)
            return least;
        *slash = '\0';
    }
}

static int quota_of_process(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return INT_MAX;
    char line[PATH_MAX];
    int least = INT_MAX;
    while (fgets(line, sizeof line, file)) { /* "0::/path" or "4:cpu,cpuacct:/path" */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        controllers++;
        int quota = INT_MAX;
        if (*controllers == '\0')
            quota = quota_of_path("/sys/fs/cgroup", group, true);
        else if (strcmp(controllers, "cpu") == 0 || strstr(controllers, "cpu,"))
            quota = quota_of_path("/sys/fs/cgroup/cpu", group, false);
        least = quota < least ? quota : least;
    }
    fclose(file);
    return least;
}

int threads_available(void)
{
    int cores = cores_allowed(), quota = quota_of_process();
    int count = cores < quota ? cores : quota;
    if (count < 1)
        return 1;
    return count < THREADS_MAX ? count : THREADS_MAX;
}
