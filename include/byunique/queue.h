/* A bounded queue of batches between two threads. */
#ifndef BYUNIQUE_QUEUE_H
#define BYUNIQUE_QUEUE_H

#include "byunique/batch.h"

#include <pthread.h>

struct queue {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct batch *first, *last;
	unsigned count, capacity;
	bool closed;
};

void queue_init(struct queue *queue, unsigned capacity);
void queue_destroy(struct queue *queue); /* has to be empty */

/* False: still full after timeout_ms, or closed; the batch stays the caller's. */
bool queue_push(struct queue *queue, struct batch *batch, int timeout_ms);
/* To the front, for what is given back: there is room, and what was used last is used first. */
void queue_give_back(struct queue *queue, struct batch *batch);
/* The oldest batch; NULL: none within timeout_ms, or closed and empty. */
struct batch *queue_pop(struct queue *queue, int timeout_ms);
struct batch *queue_take(struct queue *queue); /* the same without waiting */
/* Wakes everybody; nothing can be pushed any more, what is in can be popped. */
void queue_close(struct queue *queue);
bool queue_is_closed(struct queue *queue);

#endif
