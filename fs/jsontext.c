/* jsontext.c - see jsontext.h. */
#include "fs/jsontext.h"

#include <stdlib.h>
#include <string.h>

json_t *jsontext_new(const char *string)
{
    json_t *text = json_string(string); /* looks whether it is UTF-8 */
    char *ascii = text ? NULL : strdup(string);
    if (!ascii)
        return text;
    for (char *at = ascii; *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    text = json_string(ascii);
    free(ascii);
    return text;
}
