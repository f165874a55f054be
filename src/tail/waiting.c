/*-------------------------------------------------------------------------
 *
 * waiting.c
 *		Waiting for a socket, the time, a signal to stop, or a closed output.
 *
 * SIGINT and SIGTERM set a flag.  Between the look at the flag and the wait
 * a signal could come and be slept over; so both are blocked there, and
 * unblocked by ppoll() for just as long as it waits.
 *
 * The handlers are for one signal each: a second one ends the program at
 * once, also where it hangs in a write to somebody who does not read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/logging.h"
#include "waiting.h"

static volatile sig_atomic_t stop_flag = false;
static bool watch_output = false;

static void
handle_stop(int signo)
{
	stop_flag = true;
}

/*
 * Install the handlers.  SIGPIPE is ignored: a failing write says the same,
 * and leaves us to decide.
 */
void
waiting_init(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	sigemptyset(&action.sa_mask);
	action.sa_handler = handle_stop;
	action.sa_flags = SA_RESTART | SA_RESETHAND;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);

	action.sa_handler = SIG_IGN;
	action.sa_flags = 0;
	sigaction(SIGPIPE, &action, NULL);
}

/*
 * From now on waiting ends also when nobody reads standard output any more.
 */
void
waiting_watch_output(void)
{
	watch_output = true;
}

bool
stop_requested(void)
{
	return stop_flag;
}

/*
 * Microseconds of a clock that nobody sets.
 */
int64
current_time_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/*
 * Wait until the socket is ready for the events (of poll()).  A timeout below
 * zero is none.  Without a socket (-1) this is a sleep.
 */
WaitResult
wait_for_socket(int sock, short events, int64 timeout_us)
{
	int64		until = current_time_us() + timeout_us;
	sigset_t	blocked;
	sigset_t	before;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);

	for (;;)
	{
		struct pollfd fds[2];
		struct timespec timeout;
		int64		left = Max(until - current_time_us(), 0);
		int			rc = 0;
		bool		stop;
		int			save_errno;

		/* poll() skips a negative descriptor */
		fds[0].fd = sock;
		fds[0].events = events;
		fds[0].revents = 0;
		/* asked for no events, poll() still tells that the reader has gone */
		fds[1].fd = watch_output ? STDOUT_FILENO : -1;
		fds[1].events = 0;
		fds[1].revents = 0;
		timeout.tv_sec = left / 1000000;
		timeout.tv_nsec = left % 1000000 * 1000;

		sigprocmask(SIG_BLOCK, &blocked, &before);
		stop = stop_flag;
		if (!stop)
			rc = ppoll(fds, 2, timeout_us < 0 ? NULL : &timeout, &before);
		save_errno = errno;
		sigprocmask(SIG_SETMASK, &before, NULL);

		if (stop || stop_flag)
			return WAIT_STOP;
		if (rc < 0 && save_errno != EINTR)
		{
			errno = save_errno;
			pg_fatal("%s() failed: %m", "ppoll");
		}
		if (rc > 0 && fds[0].revents != 0)
			return WAIT_READY;
		if (rc > 0 && (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
			return WAIT_OUTPUT_CLOSED;
		if (rc == 0)
			return WAIT_TIMEOUT;
	}
}

WaitResult
wait_for_time(int64 timeout_us)
{
	return wait_for_socket(-1, 0, timeout_us);
}
