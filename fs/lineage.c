/* lineage.c - see lineage.h.
 *
 * One small read of /proc per generation.  Parents are looked up while processes come and go; a
 * number that was used again on the way is noticed because a parent is never younger than its
 * child.
 */
#include "fs/lineage.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STAT_BYTES_MAX = 2048, /* proc(5): 52 numbers and a name of at most 64 escaped bytes */
    FIELD_PARENT = 4,      /* of /proc/PID/stat, counted from 1 as in proc(5) */
    FIELD_START_TIME = 22,
};

/* The beginning of /proc/PID/`name` as a string; false when there is no such process. */
static bool read_proc(pid_t pid, const char *name, char bytes[STAT_BYTES_MAX])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, bytes, STAT_BYTES_MAX - 1);
    close(fd);
    bytes[length > 0 ? length : 0] = 0;
    return length > 0;
}

/* The process's name, field 2, may hold spaces and parentheses; what follows it can't, so the last
 * parenthesis ends the name. */
static bool read_stat(pid_t pid, uint64_t *start_time, pid_t *parent)
{
    char bytes[STAT_BYTES_MAX];
    if (!read_proc(pid, "stat", bytes))
        return false;
    const char *field = strrchr(bytes, ')');
    for (int number = 3; field && number <= FIELD_START_TIME; number++) {
        field = strchr(field, ' ');
        if (!field)
            return false;
        field++;
        if (number == FIELD_PARENT)
            *parent = (pid_t)strtol(field, NULL, 10);
    }
    if (!field)
        return false;
    *start_time = strtoull(field, NULL, 10);
    return true;
}

/* Names in `status` have their newlines escaped, so a line begins where it seems to. */
static pid_t thread_group_of(pid_t thread)
{
    char bytes[STAT_BYTES_MAX];
    if (!read_proc(thread, "status", bytes))
        return 0;
    const char *line = strstr(bytes, "\nTgid:");
    return line ? (pid_t)strtol(line + strlen("\nTgid:"), NULL, 10) : 0;
}

void lineage_take(pid_t thread, struct lineage *out)
{
    out->count = 0;
    pid_t group = thread > 0 ? thread_group_of(thread) : 0;
    pid_t pid = group > 0 ? thread : 0, parent = 0;
    uint64_t child_start_time = UINT64_MAX;
    while (pid > 1 && out->count < LINEAGE_STEPS_MAX) {
        struct lineage_step step = {.pid = pid};
        if (!read_stat(pid, &step.start_time, &parent) || step.start_time > child_start_time)
            return;
        child_start_time = step.start_time;
        out->steps[out->count++] = step;
        pid = pid == thread && group != thread ? group : parent;
    }
}

uint32_t lineage_distance(const struct lineage *reader, const struct lineage *writer)
{
    for (uint32_t i = 0; i < reader->count; i++)
        for (uint32_t j = 0; j < writer->count; j++)
            if (reader->steps[i].pid == writer->steps[j].pid &&
                reader->steps[i].start_time == writer->steps[j].start_time)
                return i;
    return LINEAGE_STRANGER;
}
