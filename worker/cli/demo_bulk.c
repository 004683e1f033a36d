/* The larger run: every customer's one record is updated in rounds, so that in the end it must hold the last round's
 * values; some commands are for a record that nobody has. Small enough for what the embedded broker keeps of a
 * partition (5 MB). */
#include "demo.h"

#include "byunique/clock.h"
#include "child.h"
#include "progress.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CUSTOMERS = 20000, ROUNDS = 5, MISS_EVERY = 100, COMMANDS = CUSTOMERS * ROUNDS, SILENCE_MS = 30000 };

/* What came of the commands. */
struct count {
	int64_t done, not_found, other;
	int64_t last_offset[DEMO_PARTITIONS]; /* of the commands answered, which must only ever rise */
};

/* One customer in MISS_EVERY gets, in the first round, a command for a number that is not on record. */
static bool is_miss(int customer, int round)
{
	return round == 0 && customer % MISS_EVERY == 0;
}

static bool write_records(const struct demo *demo, struct err *err)
{
	struct buf text = BUF_EMPTY;

	buf_adds(&text, "customer_id,PhoneType,PhoneNumber,description\n");
	for (int customer = 0; customer < CUSTOMERS; customer++)
		buf_printf(&text, "demo%06d,9,55500%06d,as it was loaded\n", customer, customer);
	bool ok = demo_write_file(demo, "records.csv", buf_slice(&text), err);
	buf_release(&text);
	return ok;
}

static bool write_updates(const struct demo *demo, struct err *err)
{
	struct buf text = BUF_EMPTY;

	buf_adds(&text, "customer_id,PhoneType,PhoneNumber,description\n");
	for (int round = 0; round < ROUNDS; round++)
		for (int customer = 0; customer < CUSTOMERS; customer++)
			buf_printf(&text, "demo%06d,%d,%s%06d,updated in round %d\n", customer, round,
				   is_miss(customer, round) ? "00000" : "55500", customer, round);
	bool ok = demo_write_file(demo, "updates.csv", buf_slice(&text), err);
	buf_release(&text);
	return ok;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static bool take(struct count *count, const struct result *result, struct err *err)
{
	int32_t partition = result->source_partition;

	if (partition < 0 || partition >= DEMO_PARTITIONS || result->source_offset <= count->last_offset[partition])
		return err_set(err, VERDICT_STOP, "",
			       "the command at offset %" PRId64 " of partition %d is answered twice",
			       result->source_offset, (int)partition);
	count->last_offset[partition] = result->source_offset;
	if (result->status == 204 && !result->duplicate)
		count->done++;
	else if (result->status == 404)
		count->not_found++;
	else
		count->other++;
	return true;
}

static int64_t total(const struct count *count)
{
	return count->done + count->not_found + count->other;
}

/* All answers to the batch, which is all that is missing in the topic. */
static bool collect(struct demo *demo, struct count *count, struct err *err)
{
	int64_t last_ms = clock_mono_ms();
	struct progress progress;
	struct answer answer;
	struct arena arena;
	bool ok = true, got;

	arena_init(&arena);
	progress_begin(&progress, "answers", COMMANDS);
	while (ok && total(count) < COMMANDS) {
		arena_clear(&arena);
		ok = demo_next_answer(demo, &arena, &answer, &got, err);
		if (ok && got) {
			ok = take(count, &answer.result, err);
			last_ms = clock_mono_ms();
		} else if (ok && clock_mono_ms() - last_ms > SILENCE_MS) {
			ok = err_set(err, VERDICT_STOP, "", "%" PRId64 " of %d answers after %d s of silence",
				     total(count), COMMANDS, SILENCE_MS / 1000);
		}
		progress_show(&progress, total(count));
	}
	progress_end(&progress);
	arena_release(&arena);
	return ok;
}

static bool check_answers(const struct count *count, struct err *err)
{
	const int64_t misses = CUSTOMERS / MISS_EVERY;

	if (count->not_found == misses && count->other == 0)
		return true;
	err_set(err, VERDICT_STOP, "", "the answers are not as expected");
	return err_detail(err,
			  "204: %" PRId64 ", 404: %" PRId64 ", others: %" PRId64 "; 404 was expected %" PRId64 " times",
			  count->done, count->not_found, count->other, misses);
}

static bool check_table(struct demo *demo, struct err *err)
{
	struct pg_rows *rows;
	char round[16];

	snprintf(round, sizeof(round), "%d", ROUNDS - 1);
	if (!pg_query(demo->pg,
		      "SELECT count(*) FROM ext_phone WHERE customer_id LIKE 'demo%' AND phonetype = $1::integer "
		      "AND description = 'updated in round ' || $1",
		      (const char *const[]){round}, 1, &rows, err))
		return false;
	int64_t right = pg_rows_int(rows, 0, 0);
	pg_rows_free(rows);
	if (right == CUSTOMERS)
		return true;
	return err_set(err, VERDICT_STOP, "", "%" PRId64 " of %d records hold what the last command said", right,
		       CUSTOMERS);
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

static bool start_submit(struct demo *demo, pid_t *pid, struct err *err)
{
	static const char *const words[] = {"submit", "updates.csv", "--extension", "Phone", NULL};
	char *path = xasprintf("%s/submit.log", demo->folder);
	int output = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	demo_show_command(words, " &");
	bool ok = output >= 0 ? demo_spawn(demo, words, output, pid, err)
			      : err_set(err, VERDICT_STOP, "", "can't write %s: %s", path, strerror(errno));
	if (output >= 0)
		close(output);
	free(path);
	return ok;
}

static void report(const struct count *count, int64_t elapsed_ms)
{
	char commands[32], rate[32], done[32], not_found[32];

	group_digits(total(count), commands);
	group_digits(total(count) * 1000 / (elapsed_ms > 0 ? elapsed_ms : 1), rate);
	demo_say("%s commands sent and answered in %.1f s: %s a second, with producer, broker, worker and", commands,
		 (double)elapsed_ms / 1000, rate);
	demo_say("database on this machine's %ld processors. Each was answered once:", sysconf(_SC_NPROCESSORS_ONLN));
	demo_say("    %8s  204", group_digits(count->done, done));
	demo_say("    %8s  404 RecordNotFound, for numbers that nobody has", group_digits(count->not_found, not_found));
}

/* From the start of the producer to the last answer. */
static bool measure(struct demo *demo, struct count *count, int64_t *elapsed_ms, struct err *err)
{
	int64_t begun_ms = clock_mono_ms();
	pid_t submit;
	int status = 0;

	if (!start_submit(demo, &submit, err))
		return false;
	bool ok = collect(demo, count, err);
	*elapsed_ms = clock_mono_ms() - begun_ms;
	if (!ok || !child_wait(submit, 10000, &status))
		status = child_stop(submit, SIGKILL, 1000);
	if (ok && status != 0)
		ok = err_set(err, VERDICT_STOP, "", "`byunique submit` did not go as expected");
	return ok;
}

bool demo_bulk(struct demo *demo, struct err *err)
{
	struct count count = {0};
	int64_t elapsed_ms;

	for (int i = 0; i < DEMO_PARTITIONS; i++)
		count.last_offset[i] = -1;
	if (!write_records(demo, err) || !write_updates(demo, err) ||
	    !DEMO_COMMAND(demo, 0, err, "load", "Phone", "records.csv") || !measure(demo, &count, &elapsed_ms, err) ||
	    !check_answers(&count, err) || !check_table(demo, err))
		return false;
	report(&count, elapsed_ms);
	demo_say("All records hold what the last command for them said.");
	return true;
}
