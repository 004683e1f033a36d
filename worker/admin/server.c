/* One thread of libmicrohttpd's. It reads counters and takes no lock that the path holds for long, so that it answers
 * while the worker waits for whatever it waits for.
 *
 * It is made for a port that only operators reach: no TLS, no password. All the same nothing that it says is a secret, the
 * number of connections and the time and memory of each are bounded, and the page may run its own script only. */
#include "byunique/admin.h"

#include "byunique/clock.h"
#include "byunique/log.h"
#include "embedded.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { CONNECTIONS_MAX = 64, TIMEOUT_S = 10, CONNECTION_BYTES = 16 * 1024 };

struct admin {
	struct MHD_Daemon *daemon;
	const struct config *config;
	struct metrics *metrics;
	struct log_ring *events;
};

/* --- what it answers ------------------------------------------------------------------------------------------------------ */

struct reply {
	unsigned status;
	const char *type;
	struct buf body;
	char nonce[40]; /* of the page; else empty */
};

static void reply_metrics(struct admin *admin, struct reply *reply)
{
	reply->type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_text(admin->metrics, admin->config->commands_topic, &reply->body);
}

static void reply_alive(struct admin *admin, struct reply *reply)
{
	if (health_alive(admin->metrics, clock_mono_ms(), &reply->body))
		buf_adds(&reply->body, "alive\n");
	else
		reply->status = MHD_HTTP_SERVICE_UNAVAILABLE;
}

static void reply_ready(struct admin *admin, struct reply *reply)
{
	if (health_ready(admin->metrics, &reply->body))
		buf_adds(&reply->body, "ready\n");
	else
		reply->status = MHD_HTTP_SERVICE_UNAVAILABLE;
}

static void reply_status(struct admin *admin, struct reply *reply)
{
	reply->type = "application/json";
	status_json(admin->config, admin->metrics, admin->events, &reply->body);
}

static void make_nonce(char nonce[40])
{
	uint8_t random[16];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		die("the kernel gives no random bytes");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(nonce + 2 * i, 3, "%02x", random[i]);
}

static void reply_page(struct admin *admin, struct reply *reply)
{
	static const char mark[] = "@NONCE@";
	const char *at = admin_page, *next;

	(void)admin;
	reply->type = "text/html; charset=utf-8";
	make_nonce(reply->nonce);
	while ((next = strstr(at, mark)) != NULL) {
		buf_add(&reply->body, at, (size_t)(next - at));
		buf_adds(&reply->body, reply->nonce);
		at = next + sizeof(mark) - 1;
	}
	buf_adds(&reply->body, at);
}

static const struct route {
	const char *path;
	void (*make)(struct admin *admin, struct reply *reply);
} routes[] = {
	{"/", reply_page},	  {"/metrics", reply_metrics},	  {"/livez", reply_alive},
	{"/readyz", reply_ready}, {"/status.json", reply_status},
};

static const struct route *find_route(const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
		if (strcmp(routes[i].path, path) == 0)
			return &routes[i];
	return NULL;
}

/* --- how ------------------------------------------------------------------------------------------------------------------- */

static void add_headers(struct MHD_Response *response, const struct reply *reply)
{
	char policy[400];

	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (reply->nonce[0] != '\0')
		snprintf(policy, sizeof(policy),
			 "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; img-src data:; "
			 "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			 reply->nonce, reply->nonce);
	else
		snprintf(policy, sizeof(policy), "default-src 'none'; frame-ancestors 'none'");
	MHD_add_response_header(response, "Content-Security-Policy", policy);
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct reply *reply)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(reply->body.len, reply->body.base, MHD_RESPMEM_MUST_FREE);

	if (response == NULL) {
		buf_release(&reply->body);
		return MHD_NO;
	}
	add_headers(response, reply);
	enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

static bool may_ask(const char *method)
{
	return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

/* Called when the head of a request is there, again for each piece of its body, and once more at its end. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path, const char *method,
				  const char *version, const char *upload, size_t *upload_bytes, void **seen)
{
	struct admin *admin = context;
	struct reply reply = {.status = MHD_HTTP_OK, .type = "text/plain; charset=utf-8"};
	const struct route *route = find_route(path);

	(void)version;
	(void)upload;
	if (*seen == NULL && may_ask(method)) {
		*seen = admin;
		return MHD_YES;
	}
	if (*upload_bytes > 0) { /* nobody wants it */
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (!may_ask(method)) {
		reply.status = MHD_HTTP_METHOD_NOT_ALLOWED;
		buf_adds(&reply.body, "only GET and HEAD\n");
	} else if (route == NULL) {
		reply.status = MHD_HTTP_NOT_FOUND;
		buf_adds(&reply.body, "there are /, /metrics, /livez, /readyz and /status.json\n");
	} else {
		route->make(admin, &reply);
	}
	return send_reply(connection, &reply);
}

/* What clients do wrong is no business of the log's. */
static void on_log(void *context, const char *format, va_list args)
{
	char text[512];

	(void)context;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	log_event(LOG_DEBUG, "admin_server", "text=%s", log_quotes(text));
}

static bool listen_and_serve(struct admin *admin, struct err *err)
{
	struct listen_address address;
	char name[300];

	if (!listen_address_parse(admin->config->admin_listen, &address, err))
		return false;
	int fd = listen_address_open(&address, err);
	if (fd < 0)
		return false;
	listen_address_name(fd, name, sizeof(name));
	admin->daemon = MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL,
					 on_request, admin, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
					 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
					 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
					 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
	if (admin->daemon == NULL)
		return err_set(err, VERDICT_STOP, "", "admin.listen: can't start the admin server");
	log_event(LOG_INFO, "admin_listening", "address=%s", log_quotes(name));
	return true;
}

bool admin_start(struct admin **out, const struct config *config, struct metrics *metrics, struct log_ring *events,
		 struct err *err)
{
	*out = NULL;
	if (config->admin_listen[0] == '\0')
		return true;
	struct admin *admin = xcalloc(1, sizeof(*admin));
	*admin = (struct admin){.config = config, .metrics = metrics, .events = events};
	if (!listen_and_serve(admin, err)) {
		admin_stop(admin);
		return false;
	}
	*out = admin;
	return true;
}

void admin_stop(struct admin *admin)
{
	if (admin == NULL)
		return;
	if (admin->daemon != NULL)
		MHD_stop_daemon(admin->daemon); /* closes the socket as well */
	free(admin);
}
