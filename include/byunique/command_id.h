/* Ids for commands that come without one. */
#ifndef BYUNIQUE_COMMAND_ID_H
#define BYUNIQUE_COMMAND_ID_H

#include "byunique/command.h"

/* Time-ordered and random (UUID version 7). One series only ever rises, even when the clock does not. Starts cleared.
 */
struct uuid_series {
	int64_t last; /* milliseconds since the epoch, then 12 bits that count within one */
};
void uuid_series_next(struct uuid_series *series, struct uuid *uuid);

/* The same for the same row, from 1, of the same batch with the same content (UUID version 8), so that a file that is
 * submitted twice takes effect once, while a row that was corrected in between is a new command. Handed out for ever
 * alike: a golden test pins it. */
void uuid_of_row(struct slice batch_id, uint64_t row, const struct content_hash *content, struct uuid *uuid);

/* The same for the same command id and label (UUID version 8): a command that is applied again on purpose is a new one, but
 * what repeated an id before still does. Pinned by a golden test. */
void uuid_of_replay(struct slice label, const struct uuid *original, struct uuid *uuid);

#endif
