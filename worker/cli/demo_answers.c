/* Answers are read by the demo itself, beside the commands that show them: what is checked is what lies in Kafka. */
#include "demo.h"

#include "byunique/clock.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SILENCE_MS = 30000 };

bool demo_next_answer(struct demo *demo, struct arena *arena, struct answer *answer, bool *got, struct err *err)
{
	struct kafka_record record;
	struct slice detail;

	if (!demo_worker_check(demo, err) || !kafka_reader_next(demo->reader, 100, &record, got, err))
		return false;
	if (!*got)
		return true;
	answer->message = arena_copy(arena, record.value);
	if (result_decode(demo->schemas, record.value, arena, &answer->result, &detail) == DECODE_OK)
		return true;
	err_set(err, VERDICT_STOP, "", "there is something else than an answer among the results");
	return err_detail(err, SLICE_FMT, SLICE_ARG(detail));
}

bool demo_wait_answers(struct demo *demo, uint32_t count, struct err *err)
{
	int64_t last_ms = clock_mono_ms();

	demo->answers = xrealloc(demo->answers, (count + 1) * sizeof(*demo->answers));
	while (demo->answer_count < count) {
		bool got;
		if (!demo_next_answer(demo, &demo->arena, &demo->answers[demo->answer_count], &got, err))
			return false;
		if (got) {
			demo->answer_count++;
			last_ms = clock_mono_ms();
		} else if (clock_mono_ms() - last_ms > SILENCE_MS) {
			return err_set(err, VERDICT_STOP, "", "%u of %u answers after %d s of silence",
				       (unsigned)demo->answer_count, (unsigned)count, SILENCE_MS / 1000);
		}
	}
	return true;
}

bool demo_expect(const struct demo *demo, uint32_t index, int status, const char *code, struct err *err)
{
	const struct result *result = &demo->answers[index].result;

	if (result->status == status && slice_equal(result->code, slice_cstr(code)))
		return true;
	err_set(err, VERDICT_STOP, "", "an answer is not as expected");
	return err_detail(err, "it is %d " SLICE_FMT " (" SLICE_FMT "), expected was %d %s", (int)result->status,
			  SLICE_ARG(result->code), SLICE_ARG(result->detail), status, code ? code : "");
}

static bool is_among(struct slice message, const struct answer *answers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (slice_equal(message, answers[i].message))
			return true;
	return false;
}

/* An answer names the offset of its command, so no two of the first half are alike. */
bool demo_expect_repetition(const struct demo *demo, struct err *err)
{
	uint32_t half = demo->answer_count / 2;

	for (uint32_t i = 0; i < half; i++)
		if (!is_among(demo->answers[i].message, demo->answers + half, half))
			return err_set(err, VERDICT_STOP, "", "an answer did not come out again as it was");
	return true;
}
