#include "byunique/queue.h"

#include <errno.h>
#include <time.h>

void queue_init(struct queue *queue, unsigned capacity)
{
	pthread_condattr_t monotonic;

	*queue = (struct queue){.capacity = capacity};
	pthread_mutex_init(&queue->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void queue_destroy(struct queue *queue)
{
	ASSERT(queue->count == 0);
	pthread_cond_destroy(&queue->changed);
	pthread_mutex_destroy(&queue->mutex);
}

static struct timespec deadline_in(int timeout_ms)
{
	struct timespec deadline;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += timeout_ms / 1000;
	deadline.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (deadline.tv_nsec >= 1000000000L) {
		deadline.tv_nsec -= 1000000000L;
		deadline.tv_sec++;
	}
	return deadline;
}

bool queue_push(struct queue *queue, struct batch *batch, int timeout_ms)
{
	struct timespec deadline = deadline_in(timeout_ms);
	int late = 0;

	pthread_mutex_lock(&queue->mutex);
	while (queue->count >= queue->capacity && !queue->closed && late != ETIMEDOUT)
		late = pthread_cond_timedwait(&queue->changed, &queue->mutex, &deadline);
	bool ok = queue->count < queue->capacity && !queue->closed;
	if (ok) {
		batch->next = NULL;
		if (queue->last != NULL)
			queue->last->next = batch;
		else
			queue->first = batch;
		queue->last = batch;
		queue->count++;
		pthread_cond_broadcast(&queue->changed);
	}
	pthread_mutex_unlock(&queue->mutex);
	return ok;
}

/* With the mutex held: where it stands in the list; NULL: it was taken. */
static struct batch **find(struct queue *queue, const struct batch *batch)
{
	struct batch **link = &queue->first;

	while (*link != NULL && *link != batch)
		link = &(*link)->next;
	return *link != NULL ? link : NULL;
}

bool queue_await_taken(struct queue *queue, const struct batch *batch, int timeout_ms)
{
	struct timespec deadline = deadline_in(timeout_ms);
	int late = 0;

	pthread_mutex_lock(&queue->mutex);
	while (queue->waiting == 0 && find(queue, batch) != NULL && !queue->closed && late != ETIMEDOUT)
		late = pthread_cond_timedwait(&queue->changed, &queue->mutex, &deadline);
	bool taken = queue->waiting > 0 || find(queue, batch) == NULL;
	pthread_mutex_unlock(&queue->mutex);
	return taken;
}

static void unlink_batch(struct queue *queue, struct batch **link)
{
	struct batch *batch = *link, *last = NULL;

	*link = batch->next;
	batch->next = NULL;
	for (struct batch *other = queue->first; other != NULL; other = other->next)
		last = other;
	queue->last = last;
	queue->count--;
	pthread_cond_broadcast(&queue->changed);
}

bool queue_take_back(struct queue *queue, struct batch *batch)
{
	pthread_mutex_lock(&queue->mutex);
	struct batch **link = find(queue, batch);
	if (link != NULL)
		unlink_batch(queue, link);
	pthread_mutex_unlock(&queue->mutex);
	return link != NULL;
}

void queue_give_back(struct queue *queue, struct batch *batch)
{
	pthread_mutex_lock(&queue->mutex);
	ASSERT(queue->count < queue->capacity);
	batch->next = queue->first;
	queue->first = batch;
	if (queue->last == NULL)
		queue->last = batch;
	queue->count++;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->mutex);
}

/* With the mutex held: true when there is something. */
static bool wait_for_some(struct queue *queue, int timeout_ms)
{
	struct timespec deadline = deadline_in(timeout_ms);
	int late = 0;

	queue->waiting++;
	while (queue->count == 0 && !queue->closed && late != ETIMEDOUT)
		late = pthread_cond_timedwait(&queue->changed, &queue->mutex, &deadline);
	queue->waiting--;
	return queue->count > 0;
}

/* With the mutex held, and something in the queue. */
static struct batch *take_first(struct queue *queue)
{
	struct batch *batch = queue->first;

	queue->first = batch->next;
	if (queue->first == NULL)
		queue->last = NULL;
	batch->next = NULL;
	queue->count--;
	pthread_cond_broadcast(&queue->changed);
	return batch;
}

struct batch *queue_pop(struct queue *queue, int timeout_ms)
{
	pthread_mutex_lock(&queue->mutex);
	struct batch *batch = wait_for_some(queue, timeout_ms) ? take_first(queue) : NULL;
	pthread_mutex_unlock(&queue->mutex);
	return batch;
}

struct batch *queue_take(struct queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	struct batch *batch = queue->count > 0 ? take_first(queue) : NULL;
	pthread_mutex_unlock(&queue->mutex);
	return batch;
}

bool queue_is_wanted(struct queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	bool wanted = queue->count == 0 && queue->waiting > 0;
	pthread_mutex_unlock(&queue->mutex);
	return wanted;
}

void queue_close(struct queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	queue->closed = true;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->mutex);
}

bool queue_is_closed(struct queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	bool closed = queue->closed;
	pthread_mutex_unlock(&queue->mutex);
	return closed;
}
