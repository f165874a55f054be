/*-------------------------------------------------------------------------
 *
 * consumers.h
 *		Slots of the change stream: what they asked for, how far they are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_CONSUMERS_H
#define FRESHET_CONSUMERS_H

#include "postgres.h"

/* At preload: shared memory. */
extern void consumers_install_hooks(void);

/* Remember the options of the slot that this process has acquired; NULL: it
 * is being made. */
extern void consumers_note_options(const char *options);

/*
 * Warn of slots that keep too much log.  Returns after how many ms to look
 * again, -1 if there is none to look at.  By the launcher alone.
 */
extern long consumers_check(void);

#endif							/* FRESHET_CONSUMERS_H */
