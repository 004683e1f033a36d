/* What the fetching thread has for those that store: a batch at most for each lane (pipeline.h). It stays the fetching thread's,
 * which may withdraw it, until the lane takes it. One thread offers, and one takes for each lane. */
#ifndef BYUNIQUE_OFFERS_H
#define BYUNIQUE_OFFERS_H

#include "byunique/batch.h"

#include <pthread.h>

struct offers {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct batch *batches[LANES_MAX]; /* NULL: none on offer */
	bool waiting[LANES_MAX];	  /* the lane has nothing else to do */
	bool closed;
};

void offers_init(struct offers *offers);
void offers_destroy(struct offers *offers); /* nothing may be on offer */

/* --- the fetching thread ------------------------------------------------------------------------------------------------ */

/* Nothing of this lane may be on offer. */
void offers_make(struct offers *offers, unsigned lane, struct batch *batch);
bool offers_are_taken(struct offers *offers, unsigned lane);
/* False: it has been taken. */
bool offers_withdraw(struct offers *offers, unsigned lane);
/* True once nothing is on offer any more, or one of these lanes (a bit for each) waits for something to be; false when that
 * is not so within timeout_ms. */
bool offers_await(struct offers *offers, unsigned lanes, int timeout_ms);
/* Does the lane wait for a batch, with none on offer? */
bool offers_are_wanted(struct offers *offers, unsigned lane);
/* Wakes all lanes; what is on offer can still be taken. */
void offers_close(struct offers *offers);

/* --- the lanes ---------------------------------------------------------------------------------------------------------- */

/* What is on offer for this lane; NULL: nothing within timeout_ms, or closed. Without a time the lane has other things to do, and
 * is not said to wait. */
struct batch *offers_take(struct offers *offers, unsigned lane, int timeout_ms);
bool offers_are_closed(struct offers *offers);

#endif
