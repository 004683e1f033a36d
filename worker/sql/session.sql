-- The worker's session. Its statements are all "a batch of keys, each looked up by an index": nested loops over index
-- scans, in the order of the batch. A plan made while a table was still empty must not turn into a scan of it, so the
-- planner's other choices are off. Time limits free the locks of a worker that has vanished.
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET plan_cache_mode = force_generic_plan;
SET jit = off;
SET max_parallel_workers_per_gather = 0;
SET lock_timeout = '30s';
SET statement_timeout = '120s';
SET idle_in_transaction_session_timeout = '60s';
SET tcp_keepalives_idle = 10;
SET tcp_keepalives_interval = 5;
SET tcp_keepalives_count = 3;
