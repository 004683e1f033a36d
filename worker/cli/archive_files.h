/* The files of an archive: which stretches of which partitions they hold, told by their headers. */
#ifndef CLI_ARCHIVE_FILES_H
#define CLI_ARCHIVE_FILES_H

#include "byunique/archive.h"

struct archive_file {
	char *path;
	struct archive_label label;
};

struct archive_files {
	struct archive_file
		*list; /* sorted by topic, partition and first offset once archive_files_sort() was called */
	size_t count;
};

/* One file, or all *.avro of a folder but hidden ones. Each has to be of an archive. */
bool archive_files_add(struct archive_files *files, const char *path, struct err *err) BYU_MUST_CHECK;
void archive_files_sort(struct archive_files *files);
void archive_files_release(struct archive_files *files);

/* Those of one partition, side by side once sorted. */
struct archive_stretch {
	const struct archive_file *files;
	size_t count; /* 0: there are none */
	int64_t first_offset, next_offset;
};
/* False: a gap lies between two of them, or they are of different clusters. */
bool archive_files_find(const struct archive_files *files, const char *topic, int32_t partition,
			struct archive_stretch *stretch, struct err *err) BYU_MUST_CHECK;

#endif
