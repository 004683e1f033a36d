/* The last warnings and errors, for who looks at the admin server's page. Thread-safe. */
#ifndef BYUNIQUE_LOG_RING_H
#define BYUNIQUE_LOG_RING_H

struct log_ring;

struct log_ring *log_ring_new(unsigned capacity); /* of events; the oldest ones go */
void log_ring_free(struct log_ring *ring);	   /* NULL is fine */
void log_ring_add(struct log_ring *ring, const char *json);
/* Newest first; json is an object as log.format = json writes it, without line end, and lives until visit() returns. */
void log_ring_each(struct log_ring *ring, void (*visit)(void *context, const char *json), void *context);

#endif
