#include "byunique/offers.h"

#include "byunique/clock.h"

#include <errno.h>

void offers_init(struct offers *offers)
{
	*offers = (struct offers){.closed = false};
	pthread_mutex_init(&offers->mutex, NULL);
	clock_cond_init(&offers->changed);
}

void offers_destroy(struct offers *offers)
{
	for (unsigned lane = 0; lane < LANES_MAX; lane++)
		ASSERT(offers->batches[lane] == NULL);
	pthread_cond_destroy(&offers->changed);
	pthread_mutex_destroy(&offers->mutex);
}

void offers_make(struct offers *offers, unsigned lane, struct batch *batch)
{
	pthread_mutex_lock(&offers->mutex);
	ASSERT(offers->batches[lane] == NULL);
	offers->batches[lane] = batch;
	pthread_cond_broadcast(&offers->changed);
	pthread_mutex_unlock(&offers->mutex);
}

bool offers_are_taken(struct offers *offers, unsigned lane)
{
	pthread_mutex_lock(&offers->mutex);
	bool taken = offers->batches[lane] == NULL;
	pthread_mutex_unlock(&offers->mutex);
	return taken;
}

bool offers_withdraw(struct offers *offers, unsigned lane)
{
	pthread_mutex_lock(&offers->mutex);
	bool there = offers->batches[lane] != NULL;
	offers->batches[lane] = NULL;
	pthread_mutex_unlock(&offers->mutex);
	return there;
}

/* With the mutex held. */
static bool is_wanted(const struct offers *offers, unsigned lane)
{
	return offers->waiting[lane] && offers->batches[lane] == NULL;
}

static bool is_news(const struct offers *offers, unsigned lanes)
{
	bool all_gone = true;

	for (unsigned lane = 0; lane < LANES_MAX; lane++) {
		if ((lanes >> lane & 1) != 0 && is_wanted(offers, lane))
			return true;
		all_gone = all_gone && offers->batches[lane] == NULL;
	}
	return all_gone;
}

bool offers_await(struct offers *offers, unsigned lanes, int timeout_ms)
{
	struct timespec deadline = clock_deadline(timeout_ms);
	int late = 0;

	pthread_mutex_lock(&offers->mutex);
	while (!is_news(offers, lanes) && late != ETIMEDOUT)
		late = pthread_cond_timedwait(&offers->changed, &offers->mutex, &deadline);
	bool news = is_news(offers, lanes);
	pthread_mutex_unlock(&offers->mutex);
	return news;
}

bool offers_are_wanted(struct offers *offers, unsigned lane)
{
	pthread_mutex_lock(&offers->mutex);
	bool wanted = is_wanted(offers, lane);
	pthread_mutex_unlock(&offers->mutex);
	return wanted;
}

void offers_close(struct offers *offers)
{
	pthread_mutex_lock(&offers->mutex);
	offers->closed = true;
	pthread_cond_broadcast(&offers->changed);
	pthread_mutex_unlock(&offers->mutex);
}

/* With the mutex held. */
static void wait_for_one(struct offers *offers, unsigned lane, int timeout_ms)
{
	struct timespec deadline = clock_deadline(timeout_ms);
	int late = 0;

	offers->waiting[lane] = true;
	pthread_cond_broadcast(&offers->changed);
	while (offers->batches[lane] == NULL && !offers->closed && late != ETIMEDOUT)
		late = pthread_cond_timedwait(&offers->changed, &offers->mutex, &deadline);
	offers->waiting[lane] = false;
}

struct batch *offers_take(struct offers *offers, unsigned lane, int timeout_ms)
{
	pthread_mutex_lock(&offers->mutex);
	if (offers->batches[lane] == NULL && timeout_ms > 0)
		wait_for_one(offers, lane, timeout_ms);
	struct batch *batch = offers->batches[lane];
	if (batch != NULL) {
		offers->batches[lane] = NULL;
		pthread_cond_broadcast(&offers->changed);
	}
	pthread_mutex_unlock(&offers->mutex);
	return batch;
}

bool offers_are_closed(struct offers *offers)
{
	pthread_mutex_lock(&offers->mutex);
	bool closed = offers->closed;
	pthread_mutex_unlock(&offers->mutex);
	return closed;
}
