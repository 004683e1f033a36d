/* Shared by cmd_demo.c and the files demo_*.c only.
 *
 * The demo is a script: each step shows what a user would type, runs it by the program itself, and checks what came of
 * it. A step that is not as expected is an error, and ends the demo. */
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include "byunique/arena.h"
#include "byunique/avro.h"
#include "byunique/config.h"
#include "byunique/kafka.h"
#include "byunique/pg.h"

#include <sys/types.h>

enum { DEMO_PARTITIONS = 8 };

struct throwaway_pg;

/* An answer as it was read. */
struct answer {
	struct slice message; /* its bytes */
	struct result result;
};

struct demo {
	bool (*interrupted)(void);
	char *folder; /* of all that the demo makes; NULL: not made */
	char *config_path;
	struct throwaway_pg *server;
	struct kafka_embedded *broker;
	struct config config;
	bool has_config;
	pid_t worker; /* 0: none runs */
	struct pg *pg;
	struct schemas *schemas;
	struct kafka_reader *reader; /* of results, from the beginning */
	struct arena arena;	     /* what lives as long as the demo */
	struct answer *answers;	     /* in the order of reading; owned */
	uint32_t answer_count;
};

/* --- demo_place.c: the services and the folder -------------------------------------------------------------------- */

/* The user's own settings of byunique and PostgreSQL must not reach a throw-away service, nor the other way round. */
void demo_clean_environment(void);
bool demo_open(struct demo *demo, struct err *err) BYU_MUST_CHECK;
void demo_close(struct demo *demo); /* stops everything, removes the folder */
bool demo_write_file(const struct demo *demo, const char *name, struct slice text, struct err *err) BYU_MUST_CHECK;

bool demo_worker_start(struct demo *demo, struct err *err) BYU_MUST_CHECK;
bool demo_worker_stop(struct demo *demo, struct err *err) BYU_MUST_CHECK; /* it has to end in order */
/* It still runs, if it was started, and nobody pressed Ctrl-C. */
bool demo_worker_check(struct demo *demo, struct err *err) BYU_MUST_CHECK;
void demo_worker_log(const struct demo *demo); /* its end, on stderr */

/* Start a command of this program's; its output goes to `output`. */
bool demo_spawn(const struct demo *demo, const char *const *words, int output, pid_t *pid, struct err *err)
	BYU_MUST_CHECK;

/* --- demo_show.c: what the user sees ------------------------------------------------------------------------------ */

void demo_heading(const char *text);
void demo_say(const char *fmt, ...) BYU_PRINTF(1, 2);
/* "$ byunique …" */
void demo_show_command(const char *const *words, const char *suffix);
/* Show a command, run it, show its output; it has to end with this exit code. Words end with NULL. */
bool demo_command(struct demo *demo, int exit_code, const char *const *words, struct err *err) BYU_MUST_CHECK;
#define DEMO_COMMAND(demo, exit_code, err, ...)                                                                        \
	demo_command(demo, exit_code, (const char *const[]){__VA_ARGS__, NULL}, err)

/* --- demo_answers.c: what the worker said ------------------------------------------------------------------------- */

/* The next answer within 100 ms into *answer (in `arena`); *got false: there was none. Checks on the worker as well. */
bool demo_next_answer(struct demo *demo, struct arena *arena, struct answer *answer, bool *got, struct err *err)
	BYU_MUST_CHECK;
/* Wait until there are `count` answers in all, kept in demo->answers; one more than that is an error. */
bool demo_wait_answers(struct demo *demo, uint32_t count, struct err *err) BYU_MUST_CHECK;
/* The answer number `index` has to be this one; code NULL for a 204. */
bool demo_expect(const struct demo *demo, uint32_t index, int status, const char *code, struct err *err) BYU_MUST_CHECK;
/* The second half of the answers has to be the first one again, byte for byte. */
bool demo_expect_repetition(const struct demo *demo, struct err *err) BYU_MUST_CHECK;

/* --- demo_bulk.c -------------------------------------------------------------------------------------------------- */

bool demo_bulk(struct demo *demo, struct err *err) BYU_MUST_CHECK;

#endif
