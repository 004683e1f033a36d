/* Where to listen. The socket is made here and handed to the HTTP library, which knows no names and no port 0. */
#include "byunique/admin.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static bool refuse(const char *text, const char *why, struct err *err)
{
	err_set(err, VERDICT_USAGE, "", "admin.listen: %.100s: %s", text, why);
	return err_hint(err, "Write it like: localhost:9464, :9464 for every address, [::1]:9464");
}

static bool take_port(const char *text, const char *port, struct listen_address *address, struct err *err)
{
	size_t len = strlen(port);

	if (len == 0 || len >= sizeof(address->port) || strspn(port, "0123456789") != len || strtol(port, NULL, 10) > 65535)
		return refuse(text, "a port is a number from 0 to 65535", err);
	memcpy(address->port, port, len + 1);
	return true;
}

bool listen_address_parse(const char *text, struct listen_address *address, struct err *err)
{
	bool bracketed = text[0] == '[';
	const char *host = bracketed ? text + 1 : text;
	const char *end = bracketed ? strchr(host, ']') : strrchr(host, ':');

	if (end == NULL)
		return refuse(text, bracketed ? "a bracket is not closed" : "a port is missing", err);
	size_t len = (size_t)(end - host);
	if (bracketed && end[1] != ':')
		return refuse(text, "a port is missing", err);
	if (!bracketed && memchr(host, ':', len) != NULL)
		return refuse(text, "an IPv6 address stands in brackets", err);
	if (len >= sizeof(address->host) || (bracketed && len == 0))
		return refuse(text, "that is no host", err);
	memcpy(address->host, host, len);
	address->host[len] = '\0';
	return take_port(text, bracketed ? end + 2 : end + 1, address, err);
}

static bool must_be_wrong(int error)
{
	return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

/* -1, with errno. */
static int listen_on(const struct addrinfo *found)
{
	int yes = 1, no = 0, fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)); /* connections of the last worker linger */
	if (found->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	if (bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* The IPv6 wildcard takes IPv4 as well; it comes first where both are there. */
static int listen_on_any_of(const struct addrinfo *list)
{
	static const int order[] = {AF_INET6, AF_INET};
	int error = EADDRNOTAVAIL;

	for (size_t turn = 0; turn < sizeof(order) / sizeof(*order); turn++)
		for (const struct addrinfo *found = list; found != NULL; found = found->ai_next) {
			int fd = found->ai_family == order[turn] ? listen_on(found) : -1;
			if (fd >= 0)
				return fd;
			if (found->ai_family == order[turn])
				error = errno;
		}
	errno = error;
	return -1;
}

/* Of a name, such as localhost, the first address that the resolver gives: what it prefers. */
static int listen_on_first_of(const struct addrinfo *list)
{
	int error = EADDRNOTAVAIL;

	for (const struct addrinfo *found = list; found != NULL; found = found->ai_next) {
		int fd = listen_on(found);
		if (fd >= 0)
			return fd;
		error = errno;
		if (!must_be_wrong(error))
			break;
	}
	errno = error;
	return -1;
}

int listen_address_open(const struct listen_address *address, struct err *err)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *list = NULL;
	bool any = address->host[0] == '\0';
	int code = getaddrinfo(any ? NULL : address->host, address->port, &hints, &list);

	if (code != 0) {
		bool away = code == EAI_AGAIN || code == EAI_SYSTEM || code == EAI_MEMORY;
		err_set(err, away ? VERDICT_STOP : VERDICT_USAGE, "", "admin.listen: can't find the host \"%.100s\"", address->host);
		err_detail(err, "%s", gai_strerror(code));
		return -1;
	}
	int fd = any ? listen_on_any_of(list) : listen_on_first_of(list), error = errno;
	freeaddrinfo(list);
	if (fd >= 0)
		return fd;
	err_set(err, must_be_wrong(error) ? VERDICT_USAGE : VERDICT_STOP, "", "admin.listen: can't listen on \"%.100s\", port %s",
		address->host, address->port);
	err_detail(err, "%s", strerror(error));
	if (error == EADDRINUSE)
		err_hint(err, "Another program has this port: another worker? Several on one machine need ports of their own.");
	return -1;
}

void listen_address_name(int socket_fd, char *text, size_t size)
{
	struct sockaddr_storage bound;
	socklen_t len = sizeof(bound);
	char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";

	if (getsockname(socket_fd, (struct sockaddr *)&bound, &len) == 0)
		getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(text, size, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}
