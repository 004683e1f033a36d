/* libcurl, with everything that it would take from its surroundings turned off: proxies of the environment, .netrc,
 * redirects (which could carry credentials elsewhere), other protocols. An answer is bounded before it is believed. */
#include "registry/http.h"

#include "byunique/signals.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>

enum { CONNECT_MS = 3000, REQUEST_MS = 5000, ANSWER_BYTES_MAX = 4 * 1024 * 1024 };

struct http {
	CURL *curl;
	struct curl_slist *headers;
	char trouble[CURL_ERROR_SIZE];
};

#define MUST(option, value) ASSERT(curl_easy_setopt(http->curl, (option), (value)) == CURLE_OK)

static void global_setup(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		die("libcurl can't be set up");
}

static void add_header(struct http *http, const char *header)
{
	http->headers = curl_slist_append(http->headers, header);
	if (http->headers == NULL)
		die("out of memory");
}

struct http *http_open(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http *http = xcalloc(1, sizeof(*http));

	pthread_once(&once, global_setup);
	http->curl = curl_easy_init();
	if (http->curl == NULL)
		die("out of memory");
	add_header(http, "Accept: application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, "
			 "application/json");
	add_header(http, "Content-Type: application/vnd.schemaregistry.v1+json");
	add_header(http, "Expect:");
	return http;
}

void http_close(struct http *http)
{
	if (http == NULL)
		return;
	curl_slist_free_all(http->headers);
	curl_easy_cleanup(http->curl);
	free(http);
}

/* --- addresses ------------------------------------------------------------------------------------------------------- */

/* A part of the address as text of our own, empty when there is none. */
static char *part_of(CURLU *parts, CURLUPart part, unsigned flags)
{
	char *text = NULL, *copy;

	if (curl_url_get(parts, part, &text, flags) != CURLUE_OK)
		return xstrdup("");
	copy = xstrdup(text);
	curl_free(text);
	return copy;
}

static bool has_part(CURLU *parts, CURLUPart part)
{
	char *text = part_of(parts, part, 0);
	bool has = text[0] != '\0';

	free(text);
	return has;
}

static const char *refuse_address(CURLU *parts, const char *text)
{
	if ((strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) ||
	    curl_url_set(parts, CURLUPART_URL, text, 0) != CURLUE_OK)
		return "it is no address that begins with http:// or https://";
	if (has_part(parts, CURLUPART_QUERY) || has_part(parts, CURLUPART_FRAGMENT))
		return "an address has neither ? nor #";
	return NULL;
}

bool http_address_parse(const char *text, struct http_address *address, const char **why)
{
	CURLU *parts = curl_url();

	*address = (struct http_address){0};
	*why = refuse_address(parts, text);
	if (*why == NULL) {
		address->user = part_of(parts, CURLUPART_USER, CURLU_URLDECODE);
		address->password = part_of(parts, CURLUPART_PASSWORD, CURLU_URLDECODE);
		curl_url_set(parts, CURLUPART_USER, NULL, 0);
		curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
		address->url = part_of(parts, CURLUPART_URL, 0);
		for (size_t len = strlen(address->url); len > 0 && address->url[len - 1] == '/'; len--)
			address->url[len - 1] = '\0';
	}
	curl_url_cleanup(parts);
	return *why == NULL;
}

void http_address_release(struct http_address *address)
{
	free(address->url);
	free(address->user);
	free(address->password);
	*address = (struct http_address){0};
}

char *http_escape(struct http *http, const char *name)
{
	char *escaped = curl_easy_escape(http->curl, name, 0), *copy;

	if (escaped == NULL)
		die("out of memory");
	copy = xstrdup(escaped);
	curl_free(escaped);
	return copy;
}

/* --- requests -------------------------------------------------------------------------------------------------------- */

static size_t take_body(char *bytes, size_t one, size_t len, void *context)
{
	struct buf *answer = context;

	(void)one;
	if (answer->len + len > ANSWER_BYTES_MAX)
		return 0;
	buf_add(answer, bytes, len);
	return len;
}

/* Nobody waits for an answer when the process is told to stop. */
static int look_up(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
	(void)context, (void)down_total, (void)down, (void)up_total, (void)up;
	return signals_stop_requested();
}

static void set_conduct(struct http *http)
{
	MUST(CURLOPT_NOSIGNAL, 1L);
	MUST(CURLOPT_PROXY, "");
	MUST(CURLOPT_FOLLOWLOCATION, 0L);
	MUST(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
#if LIBCURL_VERSION_NUM >= 0x075500
	MUST(CURLOPT_PROTOCOLS_STR, "http,https");
#else
	MUST(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	MUST(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	MUST(CURLOPT_TIMEOUT_MS, (long)REQUEST_MS);
	MUST(CURLOPT_NOPROGRESS, 0L);
	MUST(CURLOPT_XFERINFOFUNCTION, look_up);
	MUST(CURLOPT_USERAGENT, "byunique/" VERSION);
	MUST(CURLOPT_HTTPHEADER, http->headers);
	MUST(CURLOPT_ERRORBUFFER, http->trouble);
}

static void set_access(struct http *http, const struct http_access *access)
{
	if (access->token[0] != '\0') {
		MUST(CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		MUST(CURLOPT_XOAUTH2_BEARER, access->token);
	} else if (access->user[0] != '\0') {
		MUST(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		MUST(CURLOPT_USERNAME, access->user);
		MUST(CURLOPT_PASSWORD, access->password);
	}
	if (access->ca[0] != '\0') {
		MUST(CURLOPT_CAINFO, access->ca);
		MUST(CURLOPT_CAPATH, NULL);
	}
	if (access->certificate[0] != '\0') {
		MUST(CURLOPT_SSLCERT, access->certificate);
		MUST(CURLOPT_SSLKEY, access->key[0] != '\0' ? access->key : access->certificate);
	}
}

static bool no_answer(const struct http *http, CURLcode code, const char *url, struct err *err)
{
	const char *detail = http->trouble[0] != '\0' ? http->trouble : curl_easy_strerror(code);

	err_set(err, VERDICT_RETRY, "", "the schema registry at %.160s can't be reached", url);
	if (code == CURLE_WRITE_ERROR)
		detail = "its answer is larger than 4 MiB";
	if (code == CURLE_ABORTED_BY_CALLBACK)
		detail = "told to stop";
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		err_hint(err, "Look at schema.registry.ca, and at the name in schema.registry.url.");
	return err_detail(err, "%s", detail);
}

bool http_request(struct http *http, const char *url, const struct http_access *access, const char *body,
		  struct buf *answer, long *status, struct err *err)
{
	curl_easy_reset(http->curl); /* connections stay */
	http->trouble[0] = '\0';
	buf_clear(answer);
	set_conduct(http);
	set_access(http, access);
	MUST(CURLOPT_URL, url);
	MUST(CURLOPT_WRITEFUNCTION, take_body);
	MUST(CURLOPT_WRITEDATA, answer);
	if (body != NULL) {
		MUST(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		MUST(CURLOPT_POSTFIELDS, body);
	}
	CURLcode code = curl_easy_perform(http->curl);
	if (code != CURLE_OK)
		return no_answer(http, code, url, err);
	ASSERT(curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, status) == CURLE_OK);
	return true;
}
