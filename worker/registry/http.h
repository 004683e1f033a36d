/* One HTTP request after the other, over connections that are kept. */
#ifndef BYUNIQUE_REGISTRY_HTTP_H
#define BYUNIQUE_REGISTRY_HTTP_H

#include "byunique/buf.h"

/* Where requests go and how they show who asks. Nothing in it is NULL. */
struct http_access {
	const char *user, *password; /* both empty: none */
	const char *token;	     /* empty: none */
	const char *ca, *certificate, *key; /* files; empty: none */
};

struct http;

struct http *http_open(void);
void http_close(struct http *http); /* NULL is fine */

/* An address, taken apart. Owned: free(). False: it is no http or https address; *why is constant text. */
struct http_address {
	char *url; /* without user and password, without / at the end */
	char *user, *password;
};
bool http_address_parse(const char *text, struct http_address *address, const char **why);
void http_address_release(struct http_address *address);

/* A name as a part of a path; free(). */
char *http_escape(struct http *http, const char *name);

/* GET, or POST of a JSON body when there is one. False: no complete answer; *err (VERDICT_RETRY) says why, with neither
 * user nor password. Else the HTTP status, and the answer's body in *answer, which is cleared before. */
bool http_request(struct http *http, const char *url, const struct http_access *access, const char *body,
		  struct buf *answer, long *status, struct err *err) BYU_MUST_CHECK;

#endif
