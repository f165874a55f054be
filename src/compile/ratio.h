/*-------------------------------------------------------------------------
 *
 * ratio.h
 *		A fast way for float8(integer / power of ten).
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_RATIO_H
#define FRESHET_RATIO_H

#include "nodes/nodes.h"

/* Rewrite a planned expression; its value stays the same, bit by bit. */
extern Node *ratio_rewrite(Node *expr);

#endif							/* FRESHET_RATIO_H */
