/* C11's threads as pthreads, for a build under ThreadSanitizer (GCC 12's): it knows nothing of glibc's own, which librdkafka
 * uses, and crashes in a thread that it has not seen begin. Linked into the program, these come before glibc's; seen this
 * way, librdkafka's locks order what we hand to it, and what it hands to us. Nor does it know every way to join a thread. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "a mutex is a mutex");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "a condition is a condition");

static int result_of(int error)
{
	return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : error == EBUSY ? thrd_busy : thrd_error;
}

static pthread_mutex_t *mutex_of(mtx_t *mutex)
{
	return (pthread_mutex_t *)mutex;
}

static pthread_cond_t *condition_of(cnd_t *condition)
{
	return (pthread_cond_t *)condition;
}

/* --- threads ------------------------------------------------------------------------------------------------------------- */

struct beginning {
	thrd_start_t function;
	void *argument;
};

static void *begin(void *context)
{
	struct beginning beginning = *(struct beginning *)context;

	free(context);
	return (void *)(intptr_t)beginning.function(beginning.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
	struct beginning *beginning = malloc(sizeof(*beginning));

	if (beginning == NULL)
		return thrd_nomem;
	*beginning = (struct beginning){function, argument};
	int error = pthread_create(thread, NULL, begin, beginning);
	if (error != 0)
		free(beginning);
	return result_of(error);
}

int thrd_join(thrd_t thread, int *result)
{
	void *returned;
	int error = pthread_join(thread, &returned);

	if (error == 0 && result != NULL)
		*result = (int)(intptr_t)returned;
	return result_of(error);
}

int pthread_clockjoin_np(pthread_t thread, void **returned, clockid_t clock, const struct timespec *until)
{
	struct timespec now, wall;

	clock_gettime(clock, &now);
	clock_gettime(CLOCK_REALTIME, &wall);
	wall.tv_sec += until->tv_sec - now.tv_sec;
	return pthread_timedjoin_np(thread, returned, &wall);
}

/* --- mutexes ------------------------------------------------------------------------------------------------------------- */

int mtx_init(mtx_t *mutex, int type)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	if (type & mtx_recursive)
		pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	int error = pthread_mutex_init(mutex_of(mutex), &attributes);
	pthread_mutexattr_destroy(&attributes);
	return result_of(error);
}

int mtx_lock(mtx_t *mutex)
{
	return result_of(pthread_mutex_lock(mutex_of(mutex)));
}

int mtx_unlock(mtx_t *mutex)
{
	return result_of(pthread_mutex_unlock(mutex_of(mutex)));
}

void mtx_destroy(mtx_t *mutex)
{
	pthread_mutex_destroy(mutex_of(mutex));
}

/* --- conditions ---------------------------------------------------------------------------------------------------------- */

int cnd_init(cnd_t *condition)
{
	return result_of(pthread_cond_init(condition_of(condition), NULL));
}

int cnd_signal(cnd_t *condition)
{
	return result_of(pthread_cond_signal(condition_of(condition)));
}

int cnd_broadcast(cnd_t *condition)
{
	return result_of(pthread_cond_broadcast(condition_of(condition)));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
	return result_of(pthread_cond_wait(condition_of(condition), mutex_of(mutex)));
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
	return result_of(pthread_cond_timedwait(condition_of(condition), mutex_of(mutex), until));
}

void cnd_destroy(cnd_t *condition)
{
	pthread_cond_destroy(condition_of(condition));
}
