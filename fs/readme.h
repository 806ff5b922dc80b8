/* readme.h - the text of the mount's own README. */
#ifndef FS_README_H
#define FS_README_H

extern const char readme_text[];

#endif
