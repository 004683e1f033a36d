/* What is asked and what the answers mean. The line that matters runs between "there is no such schema", which makes a
 * message malformed for good, and "no usable answer", which makes the worker wait: only what a registry plainly says
 * counts as the former. A page that a proxy sends with status 404, or the registry's own "no such path", does not.
 *
 * Secrets from files are read for every request: requests are rare, and tokens are renewed under our feet. */
#include "byunique/registry.h"

#include "byunique/clock.h"
#include "byunique/secret.h"
#include "registry/http.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

/* Of a schema with all that it refers to. Its JSON takes up to eighty times its bytes while it is read. */
enum { REFERENCES_MAX = 200, REFERENCE_DEPTH_MAX = 32, SCHEMA_BYTES_MAX = 1024 * 1024, COLLECT_MS = 60 * 1000 };
enum { PAUSE_LEAST_MS = 100 };

struct registry {
	const struct config *config; /* borrowed */
	struct http *http;	     /* owned */
	struct http_address *addresses; /* owned */
	size_t count;
	size_t good; /* the address to ask first */
	struct buf answer, password, token;

	unsigned attempt; /* failures in a row */
	int64_t due_ms;	  /* monotonic; nobody is asked before */
	struct err failure;
};

/* --- settings -------------------------------------------------------------------------------------------------------- */

static bool wrong(struct err *err, const char *key, const char *what)
{
	return err_set(err, VERDICT_USAGE, "", "%s: %s", key, what);
}

/* The secret itself or what its file holds. */
static bool read_secret(const char *key, const char *given, const char *path, struct buf *secret, struct err *err)
{
	if (path[0] != '\0')
		return secret_read(key, path, secret, err);
	buf_clear(secret);
	buf_adds(secret, given);
	return true;
}

static bool read_secrets(struct registry *registry, struct err *err)
{
	const struct config *config = registry->config;

	return read_secret("schema.registry.password.file", config->schema_registry_password,
			   config->schema_registry_password_file, &registry->password, err) &&
	       read_secret("schema.registry.token.file", config->schema_registry_token,
			   config->schema_registry_token_file, &registry->token, err);
}

static bool check_settings(const struct config *config, struct err *err)
{
	bool token = config->schema_registry_token[0] != '\0', token_file = config->schema_registry_token_file[0] != '\0';
	bool password = config->schema_registry_password[0] != '\0',
	     password_file = config->schema_registry_password_file[0] != '\0', user = config->schema_registry_user[0] != '\0';

	if (token && token_file)
		return wrong(err, "schema.registry.token", "give either the token or its file");
	if (password && password_file)
		return wrong(err, "schema.registry.password", "give either the password or its file");
	if ((token || token_file) && (user || password || password_file))
		return wrong(err, "schema.registry.token", "give either a token or user and password");
	if ((password || password_file) && !user)
		return wrong(err, "schema.registry.password", "there is no schema.registry.user");
	if (config->schema_registry_key[0] != '\0' && config->schema_registry_certificate[0] == '\0')
		return wrong(err, "schema.registry.key", "there is no schema.registry.certificate");
	return true;
}

static bool check_file(const char *key, const char *path, struct err *err)
{
	if (path[0] == '\0' || access(path, R_OK) == 0)
		return true;
	err_set(err, VERDICT_USAGE, strerrorname_np(errno), "%s: the file can't be read", key);
	return err_detail(err, "%s", strerror(errno));
}

static bool check_files(const struct config *config, struct err *err)
{
	return check_file("schema.registry.ca", config->schema_registry_ca, err) &&
	       check_file("schema.registry.certificate", config->schema_registry_certificate, err) &&
	       check_file("schema.registry.key", config->schema_registry_key, err);
}

static bool add_address(struct registry *registry, const char *text, struct err *err)
{
	const char *why;

	registry->addresses = xrealloc(registry->addresses, sizeof(*registry->addresses) * (registry->count + 1));
	if (http_address_parse(text, &registry->addresses[registry->count], &why)) {
		registry->count++;
		return true;
	}
	err_set(err, VERDICT_USAGE, "", "schema.registry.url: address number %zu can't be used", registry->count + 1);
	return err_detail(err, "%s", why);
}

static bool add_addresses(struct registry *registry, struct err *err)
{
	char *list = xstrdup(registry->config->schema_registry_url), *rest = list, *text;
	bool ok = true;

	while (ok && (text = strsep(&rest, ", \t")) != NULL)
		ok = text[0] == '\0' || add_address(registry, text, err);
	free(list);
	return ok && (registry->count > 0 || wrong(err, "schema.registry.url", "there is no address in it"));
}

bool registry_open(struct registry **out, const struct config *config, struct err *err)
{
	*out = NULL;
	if (config->schema_registry_url[0] == '\0')
		return true;
	struct registry *registry = xcalloc(1, sizeof(*registry));
	registry->config = config;
	registry->http = http_open();
	if (!check_settings(config, err) || !check_files(config, err) || !add_addresses(registry, err) ||
	    !read_secrets(registry, err)) {
		registry_close(registry);
		return false;
	}
	*out = registry;
	return true;
}

void registry_close(struct registry *registry)
{
	if (registry == NULL)
		return;
	for (size_t i = 0; i < registry->count; i++)
		http_address_release(&registry->addresses[i]);
	free(registry->addresses);
	http_close(registry->http);
	buf_release(&registry->answer);
	secret_release(&registry->password);
	secret_release(&registry->token);
	free(registry);
}

/* --- answers --------------------------------------------------------------------------------------------------------- */

/* An answer that can be understood: an object with status 2xx, or a refusal. */
struct answer {
	long status;
	json_t *json; /* an object, or NULL where a refusal came without; owned */
	json_int_t error_code; /* 0: none */
};

static bool unusable(struct err *err, const char *url, long status, const char *why)
{
	err_set(err, VERDICT_RETRY, "", "the schema registry at %.160s gives no usable answer", url);
	err_detail(err, "status %ld: %s", status, why);
	if (status == 401 || status == 403)
		err_hint(err, "Look at schema.registry.user, schema.registry.password and schema.registry.token, and at what "
			      "they may do.");
	if (status == 404)
		err_hint(err, "Does schema.registry.url lead to the registry itself, and not to a page around it?");
	return false;
}

/* Is it an answer to the question, for better or worse? Else somebody is in trouble, and can be asked again. */
static bool is_usable(const struct answer *answer, const struct buf *body, const char *url, struct err *err)
{
	long status = answer->status;

	if (status >= 200 && status < 300)
		return answer->json != NULL || unusable(err, url, status, "it is no JSON object");
	if (status == 404 && answer->json == NULL && body->len > 0)
		return unusable(err, url, status, "it is not a registry that says so");
	if (status == 404 || status == 409 || status == 422)
		return true;
	if (status == 401 || status == 403)
		return unusable(err, url, status, "access is refused");
	if (status == 429)
		return unusable(err, url, status, "there are too many requests");
	return unusable(err, url, status, status >= 500 ? "it is in trouble" : "the request is not understood");
}

static void read_answer(const struct buf *body, struct answer *answer)
{
	answer->json = json_loadb(body->len ? body->base : "", body->len, JSON_ALLOW_NUL, NULL);
	if (!json_is_object(answer->json)) {
		json_decref(answer->json);
		answer->json = NULL;
	}
	answer->error_code = json_integer_value(json_object_get(answer->json, "error_code"));
}

static void release_answer(struct answer *answer)
{
	json_decref(answer->json);
	answer->json = NULL;
}

/* --- asking ---------------------------------------------------------------------------------------------------------- */

static bool ask_address(struct registry *registry, size_t number, const char *path, const char *body, struct answer *answer,
			struct err *err)
{
	const struct http_address *address = &registry->addresses[number];
	const struct config *config = registry->config;
	bool own = address->user[0] != '\0';
	struct http_access access = {
		.user = own ? address->user : config->schema_registry_user,
		.password = own ? address->password : buf_slice(&registry->password).base,
		.token = own ? "" : buf_slice(&registry->token).base,
		.ca = config->schema_registry_ca,
		.certificate = config->schema_registry_certificate,
		.key = config->schema_registry_key,
	};
	char *url = xasprintf("%s%s", address->url, path);

	bool ok = http_request(registry->http, url, &access, body, &registry->answer, &answer->status, err);
	free(url);
	if (!ok)
		return false;
	read_answer(&registry->answer, answer);
	if (is_usable(answer, &registry->answer, address->url, err))
		return true;
	release_answer(answer);
	return false;
}

static bool ask_all(struct registry *registry, const char *path, const char *body, struct answer *answer, struct err *err)
{
	if (!read_secrets(registry, err)) {
		err->verdict = VERDICT_RETRY; /* it was there at the start */
		return false;
	}
	for (size_t i = 0; i < registry->count; i++) {
		size_t number = (registry->good + i) % registry->count;
		if (!ask_address(registry, number, path, body, answer, err))
			continue;
		registry->good = number;
		return true;
	}
	return false;
}

/* With the failure noted: until it is time again, it is the answer to everything. */
static bool fail(struct registry *registry, const struct err *err)
{
	enum { BASE_MS = 200, CAP_MS = 10000 };

	registry->failure = *err;
	registry->due_ms = clock_mono_ms() + PAUSE_LEAST_MS + clock_backoff_ms(registry->attempt++, BASE_MS, CAP_MS);
	return false;
}

bool registry_is_due(const struct registry *registry)
{
	return registry->attempt == 0 || clock_mono_ms() >= registry->due_ms;
}

/* `path` is freed. */
static bool ask(struct registry *registry, char *path, const char *body, struct answer *answer, struct err *err)
{
	bool ok = false;

	*answer = (struct answer){0};
	if (!registry_is_due(registry)) {
		*err = registry->failure;
	} else if (ask_all(registry, path, body, answer, err)) {
		registry->attempt = 0;
		ok = true;
	} else {
		fail(registry, err);
	}
	free(path);
	return ok;
}

/* An answer that can't be, from whom it may. */
static enum registry_status nonsense(struct registry *registry, const char *why, struct err *err)
{
	unusable(err, registry->addresses[registry->good].url, 200, why);
	fail(registry, err);
	return REGISTRY_AWAY;
}

static enum registry_status none(struct err *err, const char *why)
{
	err_set(err, VERDICT_STOP, "", "%s", why);
	return REGISTRY_NONE;
}

/* --- a schema and what it refers to ---------------------------------------------------------------------------------- */

struct seen {
	struct seen *next;
	const char *subject;
	json_int_t version;
};

struct collector {
	struct registry *registry;
	struct arena *arena;
	struct schema_texts *texts;
	struct seen *seen; /* references met so far */
	unsigned depth;
	size_t bytes;	  /* of the texts so far */
	int64_t until_ms; /* monotonic: so long may it take, or the group would take this worker for dead */
	struct err *err;
};

static enum registry_status collect(struct collector *c, const json_t *answer);

static bool is_known(const struct collector *c, const char *subject, json_int_t version)
{
	for (const struct seen *s = c->seen; s != NULL; s = s->next)
		if (s->version == version && strcmp(s->subject, subject) == 0)
			return true;
	return false;
}

static enum registry_status fetch_reference(struct collector *c, const char *subject, json_int_t version)
{
	struct answer answer;

	if (clock_mono_ms() >= c->until_ms)
		return nonsense(c->registry, "what a schema refers to does not come in time", c->err);
	char *escaped = http_escape(c->registry->http, subject);
	/* Also when the version was deleted since: messages written with it live on. */
	char *path = xasprintf("/subjects/%s/versions/%lld?deleted=true", escaped, (long long)version);

	free(escaped);
	if (!ask(c->registry, path, NULL, &answer, c->err))
		return REGISTRY_AWAY;
	enum registry_status status = answer.status >= 300 ? none(c->err, "a schema that it refers to is not in the registry")
							   : collect(c, answer.json);
	release_answer(&answer);
	return status;
}

static enum registry_status collect_reference(struct collector *c, const json_t *reference)
{
	const char *subject = json_string_value(json_object_get(reference, "subject"));
	json_int_t version = json_integer_value(json_object_get(reference, "version"));
	struct seen *seen;

	if (subject == NULL || version == 0)
		return none(c->err, "it refers to a schema without saying to which");
	if (is_known(c, subject, version))
		return REGISTRY_DONE;
	seen = arena_alloc(c->arena, sizeof(*seen));
	*seen = (struct seen){c->seen, arena_cstr(c->arena, slice_cstr(subject)), version};
	c->seen = seen;
	return fetch_reference(c, seen->subject, version);
}

static enum registry_status collect_references(struct collector *c, const json_t *references)
{
	const json_t *reference;
	size_t i;

	if (++c->depth > REFERENCE_DEPTH_MAX)
		return none(c->err, "schemas refer to each other too deeply");
	json_array_foreach (references, i, reference) {
		enum registry_status status = collect_reference(c, reference);
		if (status != REGISTRY_DONE)
			return status;
	}
	c->depth--;
	return REGISTRY_DONE;
}

/* The schema of an answer, behind what it refers to. */
static enum registry_status collect(struct collector *c, const json_t *answer)
{
	const json_t *schema = json_object_get(answer, "schema");
	const char *type = json_string_value(json_object_get(answer, "schemaType"));

	if (!json_is_string(schema))
		return nonsense(c->registry, "there is no schema in it", c->err);
	if (type != NULL && strcmp(type, "AVRO") != 0)
		return none(c->err, "it is no Avro schema");
	enum registry_status status = collect_references(c, json_object_get(answer, "references"));
	if (status != REGISTRY_DONE)
		return status;
	if (c->texts->count == REFERENCES_MAX)
		return none(c->err, "it refers to too many schemas");
	c->bytes += json_string_length(schema);
	if (c->bytes > SCHEMA_BYTES_MAX)
		return none(c->err, "it is larger than 1 MiB, with what it refers to");
	c->texts->texts[c->texts->count++] =
		arena_copy(c->arena, slice_of(json_string_value(schema), json_string_length(schema)));
	return REGISTRY_DONE;
}

static char *path_of_name(const struct schema_name *name)
{
	struct buf path = BUF_EMPTY;

	if (!name->by_guid)
		return xasprintf("/schemas/ids/%" PRIu32, name->id);
	buf_adds(&path, "/schemas/guids/");
	for (unsigned i = 0; i < sizeof(name->guid); i++)
		buf_printf(&path, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", name->guid[i]);
	return path.base;
}

/* By the error's code, where there is one: 404 itself means that the path is not there. An old registry knows no GUIDs
 * and answers the same: then there is no such schema, as far as it knows. */
static enum registry_status not_found(struct registry *registry, const struct schema_name *name,
				      const struct answer *answer, struct err *err)
{
	if (answer->error_code != 404 || name->by_guid)
		return none(err, "the schema registry has no such schema");
	unusable(err, registry->addresses[registry->good].url, answer->status, "the path of schema ids is not there");
	fail(registry, err);
	return REGISTRY_AWAY;
}

enum registry_status registry_schema(struct registry *registry, const struct schema_name *name, struct arena *arena,
				     struct schema_texts *texts, struct err *err)
{
	struct collector c = {.registry = registry, .arena = arena, .texts = texts, .err = err,
			      .until_ms = clock_mono_ms() + COLLECT_MS};
	struct answer answer;

	*texts = (struct schema_texts){arena_array(arena, struct slice, REFERENCES_MAX), 0};
	/* Ids are signed 32-bit numbers; what a registry would make of others is anybody's guess. */
	if (!name->by_guid && name->id > INT32_MAX)
		return none(err, "no schema registry gives such an id");
	if (!ask(registry, path_of_name(name), NULL, &answer, err))
		return REGISTRY_AWAY;
	enum registry_status status =
		answer.status >= 300 ? not_found(registry, name, &answer, err) : collect(&c, answer.json);
	release_answer(&answer);
	return status;
}

/* --- the id of a schema of ours -------------------------------------------------------------------------------------- */

/* Blanks and line ends are left out: registries differ in whether they matter. */
static char *request_body(struct slice schema_json)
{
	json_t *schema = json_loadb(schema_json.base, schema_json.len, 0, NULL);
	char *text = json_dumps(schema, JSON_COMPACT);
	json_t *request = json_pack("{s:s}", "schema", text);
	char *body = json_dumps(request, JSON_COMPACT);

	ASSERT(body != NULL);
	json_decref(request);
	free(text);
	json_decref(schema);
	return body;
}

/* Why it has no id for us. The registry's own words are about our schema, and help. */
static enum registry_status refused(const char *subject, bool may_register, const struct answer *answer, struct err *err)
{
	const char *message = json_string_value(json_object_get(answer->json, "message"));

	err_set(err, VERDICT_STOP, "", "the schema registry %s under the subject %.120s",
		answer->status == 404 ? "does not have our schema" : "refuses our schema", subject);
	err_detail(err, "status %ld, code %lld: %.300s", answer->status, (long long)answer->error_code,
		   message ? message : "it does not say more");
	if (may_register)
		err_hint(err, "Look at the subject's versions and its compatibility level.");
	else
		err_hint(err, "Register it by other means, or set schema.registry.register = auto.");
	return REGISTRY_NONE;
}

static enum registry_status request_id(struct registry *registry, const char *subject, const char *body, bool may_register,
				       uint32_t *id, struct err *err)
{
	char *escaped = http_escape(registry->http, subject);
	char *path = xasprintf("/subjects/%s%s", escaped, may_register ? "/versions" : "");
	enum registry_status status = REGISTRY_DONE;
	struct answer answer;

	free(escaped);
	if (!ask(registry, path, body, &answer, err))
		return REGISTRY_AWAY;
	const json_t *given = json_object_get(answer.json, "id");
	json_int_t number = json_integer_value(given);
	if (answer.status >= 300)
		status = answer.error_code == 404 ? nonsense(registry, "the path of subjects is not there", err)
						  : refused(subject, may_register, &answer, err);
	else if (!json_is_integer(given) || number < 0 || number > INT32_MAX)
		status = nonsense(registry, "there is no id in it", err);
	else
		*id = (uint32_t)number;
	release_answer(&answer);
	return status;
}

enum registry_status registry_id(struct registry *registry, const char *subject, struct slice schema_json, uint32_t *id,
				 struct err *err)
{
	bool may_register = registry->config->schema_registry_register == REGISTER_AUTO;
	char *body = request_body(schema_json);
	enum registry_status status = request_id(registry, subject, body, may_register, id, err);

	free(body);
	return status;
}
