/* cli_worker.h - `worker`: serve one model to the daemon on descriptor 3, see worker.h.
 *
 * The daemon starts it; a person who types it gets one line that says so.  Returns an exit status,
 * see cli.h.
 */
#ifndef CLI_WORKER_H
#define CLI_WORKER_H

int cli_worker(int argc, char **argv);

#endif
