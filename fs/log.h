/* log.h - what the daemon says about itself: to stderr in the foreground, to syslog otherwise.
 *
 * Promise:  never a prompt or an answer.
 * Threads:  any after log_open().
 */
#ifndef FS_LOG_H
#define FS_LOG_H

#include <stdbool.h>
#include <syslog.h>

/* Where to, and the least urgent level (LOG_ERR .. LOG_DEBUG) that is written. */
void log_open(bool foreground, int level);

void log_write(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
