/*-------------------------------------------------------------------------
 *
 * aligned.h
 *		Changes as rows of tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAIL_ALIGNED_H
#define TAIL_ALIGNED_H

#include "message.h"

typedef struct Aligned Aligned;

extern Aligned *aligned_create(FILE *out, const char *null_text);
extern void aligned_change(Aligned *aligned, Message *message);
extern void aligned_flush(Aligned *aligned);

#endif							/* TAIL_ALIGNED_H */
