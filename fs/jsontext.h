/* jsontext.h - strings of any bytes in JSON.
 *
 * A file's name or a worker's last words may be no UTF-8, or be cut in the middle of a character; a
 * key that is promised must not be missing for that.
 *
 * Threads:  pure.
 */
#ifndef FS_JSONTEXT_H
#define FS_JSONTEXT_H

#include <jansson.h>

/* A new JSON string; in one that is no UTF-8 a '?' stands for every byte that is no ASCII.  NULL
 * without memory. */
json_t *jsontext_new(const char *string);

#endif
