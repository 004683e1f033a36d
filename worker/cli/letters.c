/* Letters are few beside commands: the topic is read through, and what is not wanted is passed over. Only single letters
 * are gone to directly. */
#include "cli/letters.h"

#include "byunique/outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bool letters_code(const char *text, struct slice *code, struct err *err)
{
	if (text == NULL)
		return true;
	enum outcome_code known = outcome_by_name(slice_cstr(text));
	if (known == OUTCOME_NONE || !outcome_is_dead_letter(known)) {
		err_set(err, VERDICT_USAGE, "", "no message becomes a dead letter with %.64s", text);
		return err_hint(err, "Give MalformedMessage or InternalError.");
	}
	*code = slice_cstr(outcome_name(known));
	return true;
}

/* --- open and close ----------------------------------------------------------------------------------------------- */

/* Of each partition the stretch that holds the spots. */
static bool narrow(const struct letters *letters, struct kafka_extent *extents, int partitions, struct err *err)
{
	if (letters->spots == NULL)
		return true;
	for (int i = 0; i < partitions; i++) {
		extents[i].begin = INT64_MAX;
		extents[i].end = 0;
	}
	for (int i = 0; i < letters->spot_count; i++) {
		const struct spot *spot = &letters->spots[i];
		if (spot->partition >= partitions || spot->offset < extents[spot->partition].log_start ||
		    spot->offset >= extents[spot->partition].log_end) {
			err_set(err, VERDICT_STOP, "", "there is no dead letter at %d:%" PRId64, (int)spot->partition,
				spot->offset);
			return err_hint(err, "`byunique dead-letters list` shows what there is.");
		}
		struct kafka_extent *extent = &extents[spot->partition];
		extent->begin = spot->offset < extent->begin ? spot->offset : extent->begin;
		extent->end = spot->offset >= extent->end ? spot->offset + 1 : extent->end;
	}
	return true;
}

static bool begin(struct letters *letters, struct err *err)
{
	return kafka_reader_open_extents(&letters->reader, letters->config, letters->config->dead_letter_topic,
					 letters->extents, letters->partitions, err);
}

bool letters_again(struct letters *letters, struct err *err)
{
	kafka_reader_close(letters->reader);
	letters->reader = NULL;
	letters->told = true;
	letters->strangers = 0;
	return begin(letters, err);
}

static bool open_reader(struct letters *letters, struct kafka_look *look, struct err *err)
{
	const struct kafka_place end = {.kind = KAFKA_PLACE_END};

	letters->partitions = kafka_look_partitions(look);
	letters->extents = xcalloc((unsigned long)letters->partitions, sizeof(*letters->extents));
	return kafka_look_extents(look, letters->from, end, letters->extents, err) &&
	       narrow(letters, letters->extents, letters->partitions, err) && begin(letters, err);
}

bool letters_open(struct letters *letters, struct err *err)
{
	struct kafka_look *look = NULL;

	if (letters->config->dead_letter_topic[0] == '\0')
		return err_set(err, VERDICT_USAGE, "", "dead.letter.topic is empty: there are no dead letters");
	if (!kafka_look_open(&look, letters->config, letters->config->dead_letter_topic, false, err))
		return false;
	bool ok = open_reader(letters, look, err);
	kafka_look_close(look);
	return ok;
}

void letters_close(struct letters *letters)
{
	kafka_reader_close(letters->reader);
	free(letters->extents);
	free(letters->headers);
}

/* --- one by one --------------------------------------------------------------------------------------------------- */

static size_t read_headers(struct letters *letters)
{
	size_t count = 0;

	for (;; count++) {
		if (count == letters->header_room) {
			letters->header_room += 16;
			letters->headers =
				xrealloc(letters->headers, letters->header_room * sizeof(*letters->headers));
		}
		if (!kafka_reader_header(letters->reader, count, &letters->headers[count]))
			return count;
	}
}

static bool is_at(const struct spot *spots, int count, int32_t partition, int64_t offset)
{
	for (int i = 0; i < count; i++)
		if (spots[i].partition == partition && spots[i].offset == offset)
			return true;
	return false;
}

static bool is_wanted(const struct letters *letters)
{
	const struct letter *letter = &letters->letter;

	if (letters->code.base != NULL && !slice_equal(letters->code, letter->code))
		return false;
	return letters->source == NULL || is_at(letters->source, 1, letter->partition, letter->offset);
}

/* The record at hand: is it a letter that is wanted? */
static bool take(struct letters *letters)
{
	const struct kafka_record *record = &letters->record;

	if (letters->spots != NULL && !is_at(letters->spots, letters->spot_count, record->partition, record->offset))
		return false;
	size_t count = read_headers(letters); /* which may move them */
	if (letter_parse(letters->headers, count, record->key, record->value, &letters->letter))
		return is_wanted(letters);
	letters->strangers++;
	if (!letters->told)
		fprintf(stderr, "byunique: no dead letter: partition %d, offset %" PRId64 "\n", (int)record->partition,
			record->offset);
	return false;
}

bool letters_next(struct letters *letters, bool *got, struct err *err)
{
	*got = false;
	while (!*got && !kafka_reader_at_end(letters->reader)) {
		bool read;
		if (!kafka_reader_next(letters->reader, 100, &letters->record, &read, err))
			return false;
		*got = read && take(letters);
	}
	return true;
}
