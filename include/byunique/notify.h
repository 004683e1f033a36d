/* Words to systemd (sd_notify(3)), over the socket that it names in NOTIFY_SOCKET. Without one nothing happens. One thread
 * uses it. */
#ifndef BYUNIQUE_NOTIFY_H
#define BYUNIQUE_NOTIFY_H

#include <stdint.h>

struct notify {
	int socket_fd; /* -1: nobody listens */
	int64_t interval_ms; /* how often the watchdog is fed; 0: there is none */
	int64_t fed_at_ms;
};

void notify_open(struct notify *notify);
/* Lines "KEY=value", such as "READY=1\nSTATUS=…". Trouble is passed over: nothing can be done about it. */
void notify_say(const struct notify *notify, const char *lines);
/* The process goes on. Says so as often as the watchdog wants. */
void notify_feed(struct notify *notify);
void notify_close(struct notify *notify);

#endif
