/*-------------------------------------------------------------------------
 *
 * waiting.h
 *		Waiting for a socket, the time, a signal to stop, or a closed output.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAIL_WAITING_H
#define TAIL_WAITING_H

typedef enum WaitResult
{
	WAIT_READY,					/* the socket has what was waited for */
	WAIT_TIMEOUT,
	WAIT_STOP,					/* SIGINT or SIGTERM came, now or before */
	WAIT_OUTPUT_CLOSED			/* nobody reads standard output any more */
} WaitResult;

extern void waiting_init(void);
extern void waiting_watch_output(void);
extern bool stop_requested(void);
extern WaitResult wait_for_socket(int sock, short events, int64 timeout_us);
extern WaitResult wait_for_time(int64 timeout_us);
extern int64 current_time_us(void);

#endif							/* TAIL_WAITING_H */
