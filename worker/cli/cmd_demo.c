/* demo: the worked example, from nothing to a rate, in under a minute. The steps stand in `steps`, in their order. */
#include "byunique/cli.h"

#include "demo.h"
#include "sql/statements.h"

#include "byunique/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"Examples:\n"
	"  byunique demo\n"
	"\n"
	"Needs PostgreSQL's server programs to be installed, and nothing to run. Starts a PostgreSQL cluster\n"
	"of its own in a temporary folder and a Kafka broker embedded in this program, then shows the\n"
	"documented example, an error of each family, the same topic replayed, and a larger run with its rate.\n"
	"Each step is checked: the exit code is 0 only if everything was as expected. Ends what it started and\n"
	"removes the folder, also when interrupted.";

#define CUSTOMER   "0000Sb5U97XE000Y"
#define NUMBER	   "3145926535"
#define COMMAND_ID "7f8e1c52-0b1d-4c7e-9a59-2f64c1d3a001"

enum { FIRST_MESSAGES = 5 }; /* the example and the errors */

/* Ctrl-C is asked for between the steps and while waiting; the end in good order takes no time worth a second one. */
static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
	(void)number;
	stop_requested = 1;
}

static bool interrupted(void)
{
	return stop_requested != 0;
}

static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal};

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

/* --- 1: services -------------------------------------------------------------------------------------------------- */

static bool start_services(struct demo *demo, struct err *err)
{
	int64_t begun_ms = clock_mono_ms();

	demo_heading("1. Throw-away services");
	if (!demo_open(demo, err))
		return false;
	demo_say("PostgreSQL and a Kafka broker run, in and below %s (%.1f s).", demo->folder,
		 (double)(clock_mono_ms() - begun_ms) / 1000);
	demo_say("The commands below are run with the configuration made there: -c demo.conf.");
	return true;
}

/* --- 2: set-up ---------------------------------------------------------------------------------------------------- */

static const char address_schema[] =
	"{\"name\": \"Address\", \"type\": \"single-valued\",\n"
	" \"attributes\": [{\"name\": \"street\", \"type\": \"string\", \"length\": 80}]}\n";

static const char phones[] =
	"customer_id,PhoneType,prefix,PhoneNumber,description,start_availabilty,end_availabilty\n" CUSTOMER
	",2,+1," NUMBER ",office,2009-12-01T08:00:00Z,2009-12-01T17:30:00Z\n" CUSTOMER ",5,+33,2718281828,mobile,,\n";

static bool set_up(struct demo *demo, struct err *err)
{
	static const char *const run_words[] = {"run", NULL};

	demo_heading("2. Database objects, extensions, records; a worker");
	if (!demo_write_file(demo, "phone.json", slice_cstr(example_phone), err) ||
	    !demo_write_file(demo, "address.json", slice_cstr(address_schema), err) ||
	    !demo_write_file(demo, "phones.csv", slice_cstr(phones), err) || !DEMO_COMMAND(demo, 0, err, "init"))
		return false;
	demo_show_command(run_words, " &");
	return demo_worker_start(demo, err) &&
	       DEMO_COMMAND(demo, 0, err, "schema", "apply", "phone.json", "address.json") &&
	       DEMO_COMMAND(demo, 0, err, "load", "Phone", "phones.csv");
}

/* --- 3: the documented example ------------------------------------------------------------------------------------ */

static const char example[] =
	"{\"command_id\": \"" COMMAND_ID "\", \"customer_id\": \"" CUSTOMER
	"\", \"ext_name\": \"Phone\", \"attributes\": "
	"{\"PhoneType\": 0, \"prefix\": \"+33\", \"PhoneNumber\": \"" NUMBER "\", \"description\": \"family phone\", "
	"\"start_availabilty\": \"2009-12-18T18:30:00.000Z\", \"end_availabilty\": \"2009-12-18T21:40:00.000Z\"}}\n";

static const struct {
	const char *attribute, *before, *after;
} fields[] = {
	{"PhoneType", "2", "0"},
	{"prefix", "+1", "+33"},
	{"PhoneNumber", NUMBER, NUMBER},
	{"description", "office", "family phone"},
	{"start_availabilty", "2009-12-01T08:00:00Z", "2009-12-18T18:30:00Z"},
	{"end_availabilty", "2009-12-01T17:30:00Z", "2009-12-18T21:40:00Z"},
};

enum { FIELDS = sizeof(fields) / sizeof(*fields) };

static bool read_record(struct demo *demo, struct pg_rows **rows, struct err *err)
{
	static const char sql[] =
		"SELECT phonetype, prefix, phonenumber, description,"
		"       to_char(start_availabilty AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
		"       to_char(end_availabilty AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
		"  FROM ext_phone WHERE customer_id = '" CUSTOMER "' AND phonenumber = '" NUMBER "'";

	if (!pg_query(demo->pg, sql, NULL, 0, rows, err))
		return false;
	if (pg_rows_count(*rows) == 1)
		return true;
	pg_rows_free(*rows);
	return err_set(err, VERDICT_STOP, "", "the record is not there");
}

static bool check_record(const struct pg_rows *rows, bool after, struct err *err)
{
	for (int i = 0; i < FIELDS; i++) {
		const char *expected = after ? fields[i].after : fields[i].before;
		struct slice found = pg_rows_get(rows, 0, i);
		if (slice_equal(found, slice_cstr(expected)))
			continue;
		err_set(err, VERDICT_STOP, "", "the record is not as expected %s the command",
			after ? "after" : "before");
		return err_detail(err, "%s is " SLICE_FMT ", expected was %s", fields[i].attribute, SLICE_ARG(found),
				  expected);
	}
	return true;
}

static void show_records(const struct pg_rows *before, const struct pg_rows *after)
{
	demo_say("  %-18s  %-20s  %s", "record", "before", "after");
	for (int i = 0; i < FIELDS; i++) {
		struct slice old = pg_rows_get(before, 0, i), new = pg_rows_get(after, 0, i);
		demo_say("  %-18s  %-20.*s  " SLICE_FMT "%s", fields[i].attribute, SLICE_ARG(old), SLICE_ARG(new),
			 slice_equal(old, new) ? "  (unique: finds the record)" : "");
	}
}

static bool submit_example(struct demo *demo, struct err *err)
{
	return DEMO_COMMAND(demo, 0, err, "submit", "example.jsonl", "--batch", "example", "--wait") &&
	       DEMO_COMMAND(demo, 0, err, "results", "--batch", "example") && demo_wait_answers(demo, 1, err) &&
	       demo_expect(demo, 0, 204, NULL, err);
}

static bool show_example(struct demo *demo, struct err *err)
{
	struct pg_rows *before = NULL, *after = NULL;

	demo_heading("3. The documented example: PUT /profiles/" CUSTOMER "/extensions/Phone/by/unique");
	demo_say("example.jsonl holds, in one line:");
	demo_say("  customer_id %s, ext_name Phone, attributes {PhoneType: 0, prefix: \"+33\",", CUSTOMER);
	demo_say("  PhoneNumber: \"%s\", description: \"family phone\",", NUMBER);
	demo_say("  start_availabilty: \"2009-12-18T18:30:00.000Z\", end_availabilty: \"2009-12-18T21:40:00.000Z\"}");
	bool ok = demo_write_file(demo, "example.jsonl", slice_cstr(example), err) && read_record(demo, &before, err) &&
		  check_record(before, false, err) && submit_example(demo, err) && read_record(demo, &after, err) &&
		  check_record(after, true, err);
	if (ok)
		show_records(before, after);
	pg_rows_free(before);
	pg_rows_free(after);
	return ok;
}

/* --- 4: errors ---------------------------------------------------------------------------------------------------- */

static const struct {
	const char *why; /* the answer, in words */
	int status;
	const char *code;
	const char *line; /* the command */
} errors[] = {
	{"the unique attribute PhoneNumber is missing", 400, "MissingUniqueAttribute",
	 "{\"customer_id\": \"" CUSTOMER "\", \"ext_name\": \"Phone\", \"attributes\": {\"PhoneType\": 1}}\n"},
	{"the customer has no record with this PhoneNumber", 404, "RecordNotFound",
	 "{\"customer_id\": \"" CUSTOMER "\", \"ext_name\": \"Phone\", \"attributes\": {\"PhoneNumber\": \"1\"}}\n"},
	{"Address is single-valued", 409, "NotMultiValued",
	 "{\"customer_id\": \"" CUSTOMER "\", \"ext_name\": \"Address\", \"attributes\": {\"street\": \"Rue X\"}}\n"},
	{"the example's command id, with other content", 422, "CommandIdReused",
	 "{\"command_id\": \"" COMMAND_ID "\", \"customer_id\": \"" CUSTOMER "\", \"ext_name\": \"Phone\", "
	 "\"attributes\": {\"PhoneNumber\": \"" NUMBER "\", \"PhoneType\": 3}}\n"},
};

enum { ERRORS = sizeof(errors) / sizeof(*errors) };

_Static_assert(FIRST_MESSAGES == 1 + ERRORS, "the example and the errors");

static bool write_errors(struct demo *demo, struct err *err)
{
	struct buf text = BUF_EMPTY;

	for (int i = 0; i < ERRORS; i++)
		buf_adds(&text, errors[i].line);
	bool ok = demo_write_file(demo, "errors.jsonl", buf_slice(&text), err);
	buf_release(&text);
	return ok;
}

/* All are of one customer, so the answers come in the commands' order. */
static bool check_errors(struct demo *demo, struct err *err)
{
	if (!demo_wait_answers(demo, FIRST_MESSAGES, err))
		return false;
	for (uint32_t i = 0; i < ERRORS; i++)
		if (!demo_expect(demo, 1 + i, errors[i].status, errors[i].code, err))
			return false;
	return true;
}

static bool show_errors(struct demo *demo, struct err *err)
{
	demo_heading("4. One error of each family");
	demo_say("errors.jsonl holds %d commands, which should be answered:", ERRORS);
	for (int i = 0; i < ERRORS; i++)
		demo_say("  %d, as %s", errors[i].status, errors[i].why);
	return write_errors(demo, err) &&
	       DEMO_COMMAND(demo, EXIT_WITH_ERRORS, err, "submit", "errors.jsonl", "--batch", "errors", "--wait") &&
	       DEMO_COMMAND(demo, EXIT_WITH_ERRORS, err, "results", "--batch", "errors") && check_errors(demo, err);
}

/* --- 5: replay ---------------------------------------------------------------------------------------------------- */

/* Rows with where they lie and the transaction that wrote them: differs even after an update to the same values. */
static bool fingerprint(struct demo *demo, char digest[33], struct err *err)
{
	struct pg_rows *rows;

	if (!pg_query(demo->pg,
		      "SELECT md5(string_agg(concat_ws(' ', ctid, xmin, p), ',' ORDER BY ctid)) FROM ext_phone p", NULL,
		      0, &rows, err))
		return false;
	snprintf(digest, 33, SLICE_FMT, SLICE_ARG(pg_rows_get(rows, 0, 0)));
	pg_rows_free(rows);
	return true;
}

static bool check_untouched(struct demo *demo, const char *before, struct err *err)
{
	char after[33];

	if (!fingerprint(demo, after, err))
		return false;
	return strcmp(before, after) == 0 ||
	       err_set(err, VERDICT_STOP, "", "the replay has changed the table ext_phone");
}

static bool show_replay(struct demo *demo, struct err *err)
{
	static const char *const words[] = {"run", NULL};
	char before[33];

	demo_heading("5. The same topic once more: nothing happens twice");
	demo_say("The worker is stopped; the next one finds its group's offsets back at the beginning of the topic.");
	if (!fingerprint(demo, before, err) || !demo_worker_stop(demo, err))
		return false;
	demo_show_command(words, " &");
	if (!demo_worker_start(demo, err) || !demo_wait_answers(demo, 2 * FIRST_MESSAGES, err) ||
	    !demo_expect_repetition(demo, err) || !check_untouched(demo, before, err))
		return false;
	demo_say("All %d messages were read again. The very same %d answers came out again, byte for byte, and no row",
		 FIRST_MESSAGES, FIRST_MESSAGES);
	demo_say("was touched.");
	return true;
}

/* --- 6: a larger run ---------------------------------------------------------------------------------------------- */

static bool show_bulk(struct demo *demo, struct err *err)
{
	demo_heading("6. A larger run");
	return demo_bulk(demo, err) && demo_worker_stop(demo, err);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static bool (*const steps[])(struct demo *, struct err *) = {
	start_services, set_up, show_example, show_errors, show_replay, show_bulk,
};

static bool run_steps(struct demo *demo, struct err *err)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (!steps[i](demo, err))
			return false;
	return true;
}

static int run(const struct cli_args *args)
{
	struct demo demo = {.interrupted = interrupted};
	struct err err;
	(void)args;

	catch_signals();
	demo_clean_environment();
	int64_t begun_ms = clock_mono_ms();
	bool ok = run_steps(&demo, &err);
	if (interrupted())
		ok = err_set(&err, VERDICT_STOP, "", "interrupted");
	else if (!ok)
		demo_worker_log(&demo);
	demo_close(&demo);
	if (!ok)
		return cli_fail(&err);
	demo_heading("All was as expected.");
	demo_say("The services are stopped and the folder is removed. It took %.0f s.",
		 (double)(clock_mono_ms() - begun_ms) / 1000);
	return EXIT_DONE;
}

const struct cli_command cmd_demo = {
	.name = "demo",
	.summary = "the worked example, on throw-away services",
	.synopsis = "",
	.help = help,
	.run = run,
};
