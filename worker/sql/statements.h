/* Fixed SQL: what each file does stands in its first line. */
#ifndef BYUNIQUE_SQL_STATEMENTS_H
#define BYUNIQUE_SQL_STATEMENTS_H

#define SQL_FILES(X)                                                                                                   \
	X(session)                                                                                                     \
	X(weak_settings)                                                                                                     \
	X(begin)                                                                                                       \
	X(commit)                                                                                                      \
	X(commit_later)                                                                                                \
	X(lock_catalogue)                                                                                              \
	X(lock_catalogue_exclusive)                                                                                    \
	X(raise_catalogue)                                                                                             \
	X(guard)                                                                                                       \
	X(fence)                                                                                                       \
	X(state)                                                                                                       \
	X(recall_outcomes)                                                                                             \
	X(recall_refusals)                                                                                             \
	X(load_ids)                                                                                                    \
	X(recall_blocks)                                                                                               \
	X(recall_ineffective)                                                                                          \
	X(store_refusals)                                                                                              \
	X(store_repeats)                                                                                               \
	X(store_outcomes)                                                                                              \
	X(move_positions)                                                                                              \
	X(advance_position)                                                                                            \
	X(store_published)                                                                                             \
	X(positions)                                                                                                   \
	X(claim_positions)                                                                                             \
	X(claim_patience)                                                                                              \
	X(end_frozen)                                                                                                  \
	X(kept_positions)                                                                                              \
	X(expire_outcomes)                                                                                             \
	X(slot)                                                                                                        \
	X(take_slot)                                                                                                   \
	X(join_slot)                                                                                                   \
	X(installation)                                                                                                \
	X(stored_begin)                                                                                                \
	X(stored_positions)                                                                                            \
	X(standing_positions)                                                                                          \
	X(standing_batches)                                                                                            \
	X(standing_codes)                                                                                              \
	X(standing_errors)                                                                                             \
	X(workers_alive)                                                                                               \
	X(grant_roles)											      \
	X(needless_rights)										      \
	X(adopt_lock)                                                                                                  \
	X(adopt_forget)                                                                                                \
	X(adopt_cluster)                                                                                               \
	X(adopt_group)                                                                                                 \
	X(adopt_loss)

#define X(name) extern const char sql_##name[];
SQL_FILES(X)
#undef X

extern const char sql_migration_1[], sql_migration_2[];
extern const char example_phone[]; /* schemas/examples/phone.json */

#endif
