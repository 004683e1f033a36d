/* How jemalloc is to behave, where the program is linked with it (Makefile); MALLOC_CONF in the environment is heard after this.
 *
 * librdkafka takes four pieces of memory for each result and frees them in another thread, and two for each message that comes
 * in. With the C library's allocator that was up to a tenth of the worker's CPU (docs/performance.md). */

/* Few arenas, as what is free in one is no use to another; and pages that nobody wanted for a second go back. */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:2,dirty_decay_ms:1000";
