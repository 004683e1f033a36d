/* The admin server of a worker: /metrics, /livez, /readyz, a status page at / and its figures at /status.json. It only
 * reads, has a thread of its own, and holds nothing of a command. microhttpd.h is included from worker/admin only. */
#ifndef BYUNIQUE_ADMIN_H
#define BYUNIQUE_ADMIN_H

#include "byunique/config.h"
#include "byunique/log_ring.h"
#include "byunique/metrics.h"

struct admin;

/* Listen as admin.listen says; *admin is NULL when that is empty. What is lent has to outlive the server. An address that
 * can't be right is VERDICT_USAGE, one that can't be had now VERDICT_STOP. */
bool admin_start(struct admin **admin, const struct config *config, struct metrics *metrics, struct log_ring *events,
		 struct err *err) BYU_MUST_CHECK;
void admin_stop(struct admin *admin); /* NULL is fine */

/* --- of what it is made; for the tests ------------------------------------------------------------------------------------- */

/* "host:port", ":port" (every address of the machine), "[::1]:port". */
struct listen_address {
	char host[256]; /* "": every address */
	char port[6];	/* "0": any that is free */
};
bool listen_address_parse(const char *text, struct listen_address *address, struct err *err) BYU_MUST_CHECK;
/* A listening socket, or -1 with *err. */
int listen_address_open(const struct listen_address *address, struct err *err);
/* "host:port" as the kernel has it, with the number that it chose. */
void listen_address_name(int socket_fd, char *text, size_t size);

/* Does the worker go on, as of now_ms (monotonic)? Else why not, one line, added to *reason. */
bool health_alive(const struct metrics *metrics, int64_t now_ms, struct buf *reason);
/* Could it take a command now? Else why not. */
bool health_ready(const struct metrics *metrics, struct buf *reason);

/* The figures of the page as a JSON object. */
void status_json(const struct config *config, struct metrics *metrics, struct log_ring *events, struct buf *out);

#endif
