/* Whatever a schema registry answers, when it is asked for a writer's schema and for what that refers to, and when our own
 * is registered: an answer that is understood, one that makes the message malformed, or one to wait after. What is asked is
 * bounded, whatever the answers are.
 *
 * The answers take the place of HTTP; the rest is as in the worker. An input is a list of them, each ended by a byte 0xFF; the
 * first byte of each is its status (0: 200, 1: 404, 2: 409, 3: 503, 4: none came). When they are used up they come again. */
#include "fuzz.h"

#include "avro/decode.h"
#include "byunique/registry.h"
#include "registry/http.h"

enum { REQUESTS_MAX = 250 };

struct http {
	struct slice answers, rest;
	unsigned requests;
};

static struct http fake;

struct http *http_open(void) { return &fake; }
void http_close(struct http *http) { (void)http; }

bool http_address_parse(const char *text, struct http_address *address, const char **why)
{
	(void)why;
	*address = (struct http_address){xstrdup(text), xstrdup(""), xstrdup("")};
	return true;
}

void http_address_release(struct http_address *address)
{
	free(address->url);
	free(address->user);
	free(address->password);
}

/* Names come out of answers, and must not break the line of a request. */
char *http_escape(struct http *http, const char *name)
{
	struct buf escaped = BUF_EMPTY;

	(void)http;
	for (; *name != '\0'; name++)
		buf_printf(&escaped, "%%%02X", (unsigned char)*name);
	return escaped.base ? escaped.base : xstrdup("");
}

static struct slice next_answer(struct http *http)
{
	if (http->rest.len == 0)
		http->rest = http->answers;
	const char *end = memchr(http->rest.base, 0xFF, http->rest.len);
	size_t len = end != NULL ? (size_t)(end - http->rest.base) : http->rest.len;
	size_t taken = len + (end != NULL);
	struct slice answer = slice_of(http->rest.base, len);
	http->rest = slice_of(http->rest.base + taken, http->rest.len - taken);
	return answer;
}

bool http_request(struct http *http, const char *url, const struct http_access *access, const char *body, struct buf *answer,
		  long *status, struct err *err)
{
	static const long statuses[] = {200, 404, 409, 503};
	struct slice next = next_answer(http);
	unsigned char how = next.len > 0 ? (unsigned char)next.base[0] : 0;

	(void)access, (void)body;
	HOLDS(++http->requests <= REQUESTS_MAX);
	HOLDS(strpbrk(url, "\r\n ") == NULL && slice_is_utf8(slice_cstr(url)));
	buf_clear(answer);
	if (how >= sizeof(statuses) / sizeof(statuses[0]))
		return err_set(err, VERDICT_RETRY, "", "none came");
	*status = statuses[how];
	if (next.len > 1)
		buf_add(answer, next.base + 1, next.len - 1);
	return true;
}

/* What the worker makes of the texts: a plan, or a reason. */
static void compile(const struct schema_texts *texts, struct arena *arena)
{
	const struct shape *shape;
	struct err err;

	HOLDS(texts->count > 0);
	if (!shape_compile_all(texts->texts, texts->count, arena, &shape, &err)) {
		check_error(&err);
		return;
	}
	struct plan plan = plan_make(shape, &reader_command, arena);
	HOLDS(plan.unusable.base == NULL || slice_is_utf8(plan.unusable));
}

static void ask_for_schema(struct registry *registry)
{
	const struct schema_name name = {.id = 5};
	struct schema_texts texts;
	struct arena arena;
	struct err err;

	arena_init(&arena);
	enum registry_status status = registry_schema(registry, &name, &arena, &texts, &err);
	if (status == REGISTRY_DONE)
		compile(&texts, &arena);
	else
		check_error(&err);
	HOLDS(status != REGISTRY_AWAY || (err.verdict == VERDICT_RETRY && !registry_is_due(registry)));
	arena_release(&arena);
}

static void ask_for_id(struct registry *registry)
{
	struct err err;
	uint32_t id;

	fake.requests = 0;
	fake.rest = SLICE_NONE;
	switch (registry_id(registry, "results", SLICE_LIT("{\"type\": \"string\"}"), &id, &err)) {
	case REGISTRY_DONE: HOLDS(id <= INT32_MAX); break;
	case REGISTRY_NONE: HOLDS(err.verdict == VERDICT_STOP); check_error(&err); break;
	case REGISTRY_AWAY: HOLDS(err.verdict == VERDICT_RETRY); check_error(&err); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *const overrides[] = {"schema.registry.url=http://r"};
	static struct config config;
	static bool set_up;
	struct registry *registry;
	struct err err;

	if (size == 0)
		return 0;
	if (!set_up && !config_load(&config, NULL, overrides, 1, &err))
		die("%s", err.what);
	set_up = true;
	fake = (struct http){.answers = slice_of(data, size)};
	for (int turn = 0; turn < 2; turn++) {
		if (!registry_open(&registry, &config, &err))
			die("%s", err.what);
		if (turn == 0)
			ask_for_schema(registry);
		else
			ask_for_id(registry);
		registry_close(registry);
	}
	return 0;
}
