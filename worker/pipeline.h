/* What the worker's threads share. For the files of the pipeline only:
 *   run.c         from start to end, sessions
 *   pipeline.c    the threads: the path as the list of its stages
 *   fetching.c    the fetching thread: messages into batches, until somebody takes them
 *   rebalance.c   partitions given and taken away
 *   assignment.c  where partitions start
 *   lane.c        connections to PostgreSQL, and whose turn it is
 *   storing.c     a batch into PostgreSQL, whatever gets in the way
 *   flights.c     batches that are sent to PostgreSQL one behind the other
 *   publishing.c  the publishing thread: what is stored into Kafka
 *   vouch.c       is it still the same topic?
 *   watchdog.c    an end to what does not end
 *   observe.c     what is counted of it
 *   reload.c      settings and log levels while it runs
 *   feeding.c     messages from elsewhere than Kafka, without the threads */
#ifndef BYUNIQUE_WORKER_PIPELINE_H
#define BYUNIQUE_WORKER_PIPELINE_H

#include "byunique/config.h"
#include "byunique/metrics.h"
#include "byunique/notify.h"
#include "byunique/offers.h"
#include "byunique/position.h"
#include "byunique/queue.h"
#include "byunique/published.h"
#include "byunique/replies.h"
#include "byunique/stages.h"

#include <pthread.h>

/* Settings that may change while the worker runs: the fetching thread stores, any thread looks. */
struct tunables {
	_Atomic int64_t batch_max_commands, idempotency_retention_ms, outcome_retention_ms, shutdown_timeout_ms;
};

/* A connection to PostgreSQL, and the thread that stores batches over it, each of some partitions: those of this lane. So commands
 * keep their order, while PostgreSQL works for several lanes at once. The storing thread has the connection nearly all the
 * time; the fetching thread that of the first lane at assignment, when the path is empty, and others' now and then.
 * database_take() and database_give() say whose turn it is. */
struct lane {
	struct pipeline *pipeline;
	unsigned number;
	struct pg *pg;
	struct store *store;
	pthread_mutex_t turn;
	pthread_t thread;
	uint32_t span_most; /* storing thread's: messages in a transaction while commands are refused; 0: the whole batch */
	bool connected;	    /* as metrics say; guarded by flight_turn */

	/* Fetching thread */
	struct batch *filling; /* or NULL */
	bool offered;	       /* it is on offer, and may be the storing thread's already */
	bool offered_full;     /* as many messages as a batch may have */
	struct batch *aside; /* messages whose schema can't be had now, and those behind them in their partitions; or NULL */
};

struct pipeline {
	const struct config *config; /* as it was at start; what may change is in `live` */
	const struct config_sources *sources;
	struct tunables live;
	struct config *current; /* as it was read last, as far as it is in effect; owned; fetching thread */
	struct metrics *metrics; /* any thread */
	struct notify notify;	 /* fetching thread */

	struct lane lanes[LANES_MAX];
	unsigned lane_count; /* those that have a connection; between sessions it may grow */
	_Atomic unsigned lanes_in_use; /* those that have partitions; fetching thread stores */
	struct slot slot;    /* the first lane's session holds it */
	char *cluster_id;    /* owned */

	struct catalogue *catalogue; /* the newest known; pipeline_catalogue(), pipeline_renew_catalogue() */
	pthread_mutex_t catalogue_turn;

	/* Partitions that this process will not touch again; storing threads add, guarded by flight_turn, the fetching one reads
	 * between sessions. */
	int32_t *refused; /* owned */
	uint32_t refused_count;

	/* Fetching thread */
	struct consumer *consumer;
	struct schemas *reading;
	int64_t awaited_log_ms;
	struct assignment *assignment; /* what is being fetched; NULL: nothing; storing threads read it when it is their turn */
	struct assignment *retired;    /* taken away while a batch was being filled from it */
	int32_t *given;		       /* partitions given but not started yet; owned */
	uint32_t given_count;
	bool is_given;
	unsigned start_attempts;
	int64_t start_at_ms; /* when to try to start them (again) */
	unsigned looks; /* at whether a batch is wanted */
	int64_t vouched_at_ms; /* vouch_meanwhile() */
	int64_t observed_at_ms, asked_at_ms;  /* when the partitions' figures were last taken; from Kafka itself */

	bool was_let_in; /* Kafka took the login once */

	/* Publishing thread */
	struct producer *producer;
	struct schemas *writing;
	struct bounds bounds;	 /* of what is published; the fetching thread sets them while there is no session */
	struct replies *replies; /* the same; NULL: there are no reply topics */
	struct arena results;	 /* of the batches that are being handed to librdkafka: others need no room for theirs */
	int64_t bounds_at_ms;	 /* when they were learnt */
	bool refused_for_size;	 /* the last session ended with a message that was too large for its topic */
	size_t most_bytes;	 /* of a message, whatever the topics say; smaller for a while after one that the broker refused */
	int64_t bounded_at_ms;	 /* when it was */
	bool weaknesses_told;	 /* once is enough */
	_Atomic bool publishing; /* inside of a Kafka transaction */

	/* Batches go round: idle → filling → on offer → stored → idle. */
	struct queue idle, stored;
	struct offers offers;
	int in_flight; /* batches between the fetching thread and their end: published, or dropped */
	pthread_mutex_t flight_turn;

	/* Watchdog */
	pthread_t watchdog;
	_Atomic bool unwatched; /* it is to end */
	_Atomic bool closing;	/* Kafka's clients are being closed; fetching thread */

	/* The first failure of a session; guarded by flight_turn. */
	bool failed;
	struct err failure;
};

/* lane.c: in pipeline_run() first and last; a lane has a connection; all others that the configuration wants have one, as far as
 * they can be had; connect again, and take up where the session was. */
void lanes_set_up(struct pipeline *pipeline);
void lanes_tear_down(struct pipeline *pipeline);
void lane_begin(struct lane *lane, struct pg *pg);
void lanes_open_others(struct pipeline *pipeline);
bool lane_reconnect(struct lane *lane, struct err *err) BYU_MUST_CHECK;

/* The lane's connection, alive; else false with *err. Reconnects when it is not, and takes the worker's slot again. */
bool database_take(struct lane *lane, struct err *err) BYU_MUST_CHECK;
void database_give(struct lane *lane);
/* The first one's, for what concerns the whole worker. */
static inline struct pg *pipeline_pg(struct pipeline *pipeline)
{
	return pipeline->lanes[0].pg;
}

struct catalogue *pipeline_catalogue(struct pipeline *pipeline); /* a reference: catalogue_drop() */
/* Takes the reference over. Is it of another version than the one before? */
bool pipeline_renew_catalogue(struct pipeline *pipeline, struct catalogue *catalogue);

enum {
	BATCH_BYTES_MAX = 16 * 1024 * 1024, /* of a batch's messages, as message_bytes() counts */
	BATCH_ROOM = 64, /* messages of a batch beyond a full one, for what comes in spite of a pause */
	PUBLICATION_BATCHES = 4, /* in one Kafka transaction */
	WAIT_MS = 100,	   /* for anything; so often the signals are looked at */
	STUCK_MS = 180000, /* a Kafka transaction that takes longer is given up, and the process with it */
};

/* How many stored batches may wait for the publishing thread, while that waits for Kafka: one that is large took PostgreSQL
 * as long as two smaller ones, and takes as much memory. */
static inline unsigned stored_batches(const struct config *config)
{
	enum { LARGE = 8000 };
	return config->batch_max_commands < LARGE ? 2 : 1;
}

/* Batches under way on each connection. A single one is never to wait for the next batch; with several, PostgreSQL has something
 * to do all the same, and their batches are memory enough. */
static inline unsigned trips_at_once(const struct pipeline *pipeline)
{
	return pipeline->lanes_in_use > 1 ? 1 : PG_TRIPS_MAX;
}

/* Batches go round, and there are enough: for each lane one being filled or on offer, one set aside, and one being stored, or two if
 * it is the only one; those that wait, and those whose results are handed to librdkafka. */
static inline unsigned batches_in_all(const struct config *config)
{
	return (unsigned)config->postgres_connections * 3 + 1 + stored_batches(config) + PUBLICATION_BATCHES;
}

/* Fetch, store, publish until told to stop, or until the session can't go on: false with *err. */
bool pipeline_run_threads(struct pipeline *pipeline, struct err *err) BYU_MUST_CHECK;

/* The session can't go on. The first call counts; always returns false. */
bool pipeline_fail(struct pipeline *pipeline, const struct err *err);

bool pipeline_has_failed(struct pipeline *pipeline);
/* What the topics take is asked for (again). */
bool pipeline_learn_bounds(struct pipeline *pipeline, struct err *err) BYU_MUST_CHECK;
/* A thread will not come back: nothing is left but to end the process. Nothing is lost, its successor reads again. */
_Noreturn void pipeline_stuck(const char *what);

/* Does it pass by itself, so that the group is served meanwhile? */
static inline bool verdict_is_passing(enum verdict verdict)
{
	return verdict == VERDICT_RETRY || verdict == VERDICT_RECONNECT || verdict == VERDICT_PAUSE ||
	       verdict == VERDICT_HALVE || verdict == VERDICT_PREPARE;
}

/* rebalance.c: a consumer's listener (consumer.h); the context is the pipeline. */
void rebalance_assigned(void *context, const int32_t *partitions, uint32_t count);
void rebalance_revoked(void *context, bool lost);
/* Each lane's turn, for a change of what all of them read. */
void pipeline_take_turns(struct pipeline *pipeline);
void pipeline_give_turns(struct pipeline *pipeline);
/* Start what was given, if it is time to try. False: the session can't go on. */
bool rebalance_start_given(struct pipeline *pipeline, struct err *err) BYU_MUST_CHECK;
/* Batches in hand finish or are dropped; the assignment is then pipeline->retired, as a batch may be being filled from it. */
void rebalance_retire(struct pipeline *pipeline, bool lost);

/* What a message may have, as the configuration says. */
static inline struct message_limits message_limits(const struct config *config)
{
	return (struct message_limits){.message_bytes = (size_t)config->limit_message_bytes,
				       .header_bytes = (size_t)config->limit_headers_bytes,
				       .attributes = (uint32_t)config->limit_attributes};
}

/* Wait a little, or until there is no point in waiting any more. */
void pipeline_pause(const struct batch *batch, int64_t pause_ms);

/* storing.c: all of a batch into PostgreSQL. False: the batch is dropped (its partitions are lost, or the session failed).
 * `before`: what it failed by when it went ahead; NULL: nothing. */
bool store_batch(struct lane *lane, struct batch *batch, struct err *before) BYU_MUST_CHECK;
/* Between batches: the position rows catch up with what was published, old outcomes and ids go. Cheap unless it is time. */
void store_housekeeping(struct lane *lane, bool idle, int64_t *last_ms);
bool store_housekeeping_due(int64_t last_ms);
/* With the lane's turn taken: position rows of its partitions catch up now. */
void store_published(struct lane *lane);

/* flights.c: a storing thread's batches under way in PostgreSQL, oldest first. While there are some, it is the lane's thread's
 * turn. */
struct flights {
	struct flight list[PG_TRIPS_MAX];
	unsigned count;
	int64_t at_us; /* when the oldest was sent, or the one before it landed: since then PostgreSQL is at it */
};
/* The next batch to be sent, or NULL: the oldest flight is to be waited for, or nothing has come for a second. */
struct batch *flights_next(struct lane *lane, const struct flights *flights, bool stop);
/* Send a batch, or store it the long way when it has to go that way. */
void flights_take(struct lane *lane, struct flights *flights, struct batch *batch);
/* Wait for the oldest; when it failed, all are stored the long way. */
void flights_land(struct lane *lane, struct flights *flights);
/* fetching.c: until told to stop, or the session can't go on (false with *err). */
bool fetch_until_stopped(struct pipeline *pipeline, struct err *err) BYU_MUST_CHECK;
/* publishing.c: a thread that ends when the queue is closed and empty. */
void *publishing_main(void *pipeline);
/* pipeline.c: the batch is to be filled again; so it is, and its flight is over; so many flights more. */
void pipeline_recycle(struct pipeline *pipeline, struct batch *batch);
void pipeline_land(struct pipeline *pipeline, struct batch *batch);
void pipeline_count_flight(struct pipeline *pipeline, int more);
/* pipeline.c: stored, or to be dropped. While it waits, the flights behind it are written on. */
void pipeline_hand_over(struct lane *lane, struct batch *batch, bool stored, const struct flights *flights);

/* vouch.c: before what was fetched is handed on. False: a topic was deleted, or it can't be told. */
bool vouch_for_fetched(struct pipeline *pipeline, struct err *err) BYU_MUST_CHECK;
void vouch_meanwhile(struct pipeline *pipeline); /* learns what is needed for that; now and then */

/* watchdog.c: ends the process when a Kafka transaction or the closing of the clients takes STUCK_MS, or when it is told to
 * stop and does not, ten seconds after shutdown.timeout. */
void watchdog_start(struct pipeline *pipeline);
void watchdog_stop(struct pipeline *pipeline);

/* reload.c: what config says, into pipeline->live. */
void tunables_set(struct tunables *live, const struct config *config);
/* After SIGHUP the sources are read again, and what may change does: fetching thread, between messages. */
void reload_if_asked(struct pipeline *pipeline);
/* SIGUSR1 and SIGUSR2: watchdog, so that it works whatever the others wait for. */
void reload_log_level(void);

/* observe.c: metrics, and words to systemd. The fetching thread goes on; so often that nobody thinks it stuck. */
void observe_beat(struct pipeline *pipeline);
/* Partitions are given (any number), being processed, or gone. */
void observe_given(struct pipeline *pipeline, uint32_t count);
void observe_started(struct pipeline *pipeline);
void observe_revoked(struct pipeline *pipeline, bool lost);
/* Position and lag of each partition; does nothing until a second has passed. Fetching thread. */
void observe_partitions(struct pipeline *pipeline);
/* A lane's connection is there, or not any more. */
void observe_connected(struct lane *lane, bool connected);
/* A span failed, and the storing thread is about to react. */
void observe_trouble(struct lane *lane, const struct err *err);
/* It is committed. */
void observe_published(struct pipeline *pipeline, const struct publication *publication);

/* assignment.c: decide where each partition starts, claim them, begin to fetch. Refused ones are logged and left out; when
 * none is left VERDICT_REFUSE. */
bool assignment_start(struct pipeline *pipeline, const int32_t *numbers, uint32_t count, struct assignment **assignment,
		      struct err *err) BYU_MUST_CHECK;
void assignment_free(struct assignment *assignment); /* NULL is fine */

#endif
