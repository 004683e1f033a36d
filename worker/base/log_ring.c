#include "byunique/log_ring.h"

#include "byunique/err.h"

#include <pthread.h>
#include <stdlib.h>

struct log_ring {
	pthread_mutex_t turn;
	char **events; /* owned, NULL where there is none yet */
	unsigned capacity, next;
};

struct log_ring *log_ring_new(unsigned capacity)
{
	struct log_ring *ring = xcalloc(1, sizeof(*ring));

	pthread_mutex_init(&ring->turn, NULL);
	ring->events = xcalloc(capacity, sizeof(*ring->events));
	ring->capacity = capacity;
	return ring;
}

void log_ring_free(struct log_ring *ring)
{
	if (ring == NULL)
		return;
	for (unsigned i = 0; i < ring->capacity; i++)
		free(ring->events[i]);
	free(ring->events);
	pthread_mutex_destroy(&ring->turn);
	free(ring);
}

void log_ring_add(struct log_ring *ring, const char *json)
{
	char *event = xstrdup(json);

	pthread_mutex_lock(&ring->turn);
	char *oldest = ring->events[ring->next];
	ring->events[ring->next] = event;
	ring->next = (ring->next + 1) % ring->capacity;
	pthread_mutex_unlock(&ring->turn);
	free(oldest);
}

void log_ring_each(struct log_ring *ring, void (*visit)(void *context, const char *json), void *context)
{
	pthread_mutex_lock(&ring->turn);
	for (unsigned back = 1; back <= ring->capacity; back++) {
		const char *event = ring->events[(ring->next + ring->capacity - back) % ring->capacity];
		if (event != NULL)
			visit(context, event);
	}
	pthread_mutex_unlock(&ring->turn);
}
