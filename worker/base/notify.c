/* Not libsystemd: the protocol is one datagram of text. */
#include "byunique/notify.h"

#include "byunique/clock.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A path, or a name in the abstract namespace, which begins with @. */
static int open_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Fed at twice the pace that is asked for. WATCHDOG_PID says whom it is asked of. */
static int64_t watchdog_interval_ms(void)
{
	const char *interval_us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (interval_us == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid()))
		return 0;
	int64_t interval_ms = strtoll(interval_us, NULL, 10) / 2000;
	return interval_ms > 0 ? interval_ms : 0;
}

void notify_open(struct notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET");

	*notify = (struct notify){.socket_fd = path != NULL ? open_socket(path) : -1};
	if (notify->socket_fd >= 0)
		notify->interval_ms = watchdog_interval_ms();
}

void notify_say(const struct notify *notify, const char *lines)
{
	if (notify->socket_fd < 0)
		return;
	ssize_t sent = send(notify->socket_fd, lines, strlen(lines), MSG_NOSIGNAL);
	(void)sent;
}

void notify_feed(struct notify *notify)
{
	int64_t now_ms = clock_mono_ms();

	if (notify->interval_ms == 0 || now_ms - notify->fed_at_ms < notify->interval_ms)
		return;
	notify->fed_at_ms = now_ms;
	notify_say(notify, "WATCHDOG=1");
}

void notify_close(struct notify *notify)
{
	if (notify->socket_fd >= 0)
		close(notify->socket_fd);
	notify->socket_fd = -1;
}
