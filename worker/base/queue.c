#include "byunique/queue.h"

#include "byunique/clock.h"

#include <errno.h>

void queue_init(struct queue *queue, unsigned capacity)
{
	*queue = (struct queue){.capacity = capacity};
	pthread_mutex_init(&queue->mutex, NULL);
	clock_cond_init(&queue->changed);
}

void queue_destroy(struct queue *queue)
{
	ASSERT(queue->count == 0);
	pthread_cond_destroy(&queue->changed);
	pthread_mutex_destroy(&queue->mutex);
}

bool queue_push(struct queue *queue, struct batch *batch, int timeout_ms)
{
	struct timespec deadline = clock_deadline(timeout_ms);
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
	struct timespec deadline = clock_deadline(timeout_ms);
	int late = 0;

	while (queue->count == 0 && !queue->closed && late != ETIMEDOUT)
		late = pthread_cond_timedwait(&queue->changed, &queue->mutex, &deadline);
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
