/* Headers say what files hold, names do not: an archive may be copied, renamed, and put together from several. */
#include "cli/archive_files.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool add_file(struct archive_files *files, const char *path, struct err *err)
{
	struct archive_reader *reader;

	if (!archive_open(&reader, path, err))
		return false;
	const struct archive_label *label = archive_label(reader);
	files->list = xrealloc(files->list, (files->count + 1) * sizeof(*files->list));
	struct archive_file *file = &files->list[files->count++];
	*file = (struct archive_file){.path = xstrdup(path), .label = *label};
	file->label.topic = xstrdup(label->topic);
	file->label.cluster_id = xstrdup(label->cluster_id);
	archive_close(reader);
	return true;
}

static int is_archive(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".avro") == 0;
}

static bool cannot_read(const char *path, struct err *err)
{
	int error = errno;

	err_set(err, VERDICT_USAGE, strerrorname_np(error), "%s can't be read", path);
	return err_detail(err, "%s", strerror(error));
}

static bool add_folder(struct archive_files *files, const char *folder, struct err *err)
{
	struct dirent **entries;
	bool ok = true;
	int count = scandir(folder, &entries, is_archive, alphasort);

	if (count < 0)
		return cannot_read(folder, err);
	for (int i = 0; i < count; i++) {
		char *path = xasprintf("%s/%s", folder, entries[i]->d_name);
		ok = ok && add_file(files, path, err);
		free(path);
		free(entries[i]);
	}
	free(entries);
	return ok;
}

bool archive_files_add(struct archive_files *files, const char *path, struct err *err)
{
	struct stat info;

	if (stat(path, &info) != 0)
		return cannot_read(path, err);
	return S_ISDIR(info.st_mode) ? add_folder(files, path, err) : add_file(files, path, err);
}

static int compare(const void *left, const void *right)
{
	const struct archive_label *a = &((const struct archive_file *)left)->label;
	const struct archive_label *b = &((const struct archive_file *)right)->label;
	int order = strcmp(a->topic, b->topic);

	if (order != 0)
		return order;
	if (a->partition != b->partition)
		return a->partition < b->partition ? -1 : 1;
	if (a->first_offset != b->first_offset)
		return a->first_offset < b->first_offset ? -1 : 1;
	return (a->next_offset > b->next_offset) - (a->next_offset < b->next_offset);
}

void archive_files_sort(struct archive_files *files)
{
	if (files->count > 0)
		qsort(files->list, files->count, sizeof(*files->list), compare);
}

void archive_files_release(struct archive_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->list[i].path);
		archive_label_release(&files->list[i].label);
	}
	free(files->list);
	*files = (struct archive_files){0};
}

static bool join(struct archive_stretch *stretch, const struct archive_file *file, struct err *err)
{
	const struct archive_label *label = &file->label, *first = &stretch->files->label;

	if (label->first_offset > stretch->next_offset) {
		err_set(err, VERDICT_STOP, "", "the archive of %.120s, partition %" PRId32 ", has a gap", label->topic,
			label->partition);
		return err_detail(err, "offsets %" PRId64 " to %" PRId64 " are in none of the files",
				  stretch->next_offset, label->first_offset - 1);
	}
	if (strcmp(label->cluster_id, first->cluster_id) != 0) {
		err_set(err, VERDICT_STOP, "", "the files of %.120s, partition %" PRId32 ", are of two Kafka clusters",
			label->topic, label->partition);
		return err_detail(err, "%.160s is of %.40s, %.160s of %.40s", stretch->files->path, first->cluster_id,
				  file->path, label->cluster_id);
	}
	if (label->next_offset > stretch->next_offset)
		stretch->next_offset = label->next_offset;
	stretch->count++;
	return true;
}

bool archive_files_find(const struct archive_files *files, const char *topic, int32_t partition,
			struct archive_stretch *stretch, struct err *err)
{
	*stretch = (struct archive_stretch){0};
	for (size_t i = 0; i < files->count; i++) {
		const struct archive_file *file = &files->list[i];
		if (file->label.partition != partition || strcmp(file->label.topic, topic) != 0)
			continue;
		if (stretch->count == 0)
			*stretch =
				(struct archive_stretch){file, 0, file->label.first_offset, file->label.first_offset};
		if (!join(stretch, file, err))
			return false;
	}
	return true;
}
