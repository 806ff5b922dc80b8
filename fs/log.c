/* log.c - see log.h.  Its two settings are, with syslog's own, the only state that is not reached
 * from struct daemon: a message must be possible where no daemon is at hand. */
#include "fs/log.h"

#include <stdarg.h>
#include <stdio.h>

static bool to_stderr = true;
static int level_max = LOG_INFO;

void log_open(bool foreground, int level)
{
    to_stderr = foreground;
    level_max = level;
    if (!foreground)
        openlog("inferfs", LOG_PID, LOG_DAEMON);
}

void log_write(int level, const char *format, ...)
{
    if (level > level_max)
        return;
    va_list arguments;
    va_start(arguments, format);
    if (to_stderr) {
        char line[1024];
        vsnprintf(line, sizeof line, format, arguments);
        fprintf(stderr, "inferfs: %s\n", line); /* one write per line */
    } else {
        vsyslog(level, format, arguments);
    }
    va_end(arguments);
}
