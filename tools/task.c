// SPDX-License-Identifier: MIT
#include "task.h"
#include "text.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

unsigned int task_own_number(pid_t pid, pid_t tid)
{
	char status[16384], value[256], *last;

	if (!text_read(status, sizeof(status), "/proc/%d/task/%d/status", (int)pid, (int)tid) ||
	    !text_field(status, "NSpid:", value, sizeof(value)))
		return (unsigned int)tid;
	last = strrchr(value, '\t');
	return (unsigned int)strtoul(last ? last : value, NULL, 10);
}

/* One thread may be asked for more than once. */
static void name_all(pid_t pid, pid_t found, const uint32_t *tid, char (*name)[TASK_NAME], unsigned int nr)
{
	unsigned int own = task_own_number(pid, found), i;

	for (i = 0; i < nr; i++)
		if (tid[i] == own)
			text_read(name[i], TASK_NAME, "/proc/%d/task/%d/comm", (int)pid, (int)found);
}

void task_find_names(pid_t pid, const uint32_t *tid, char (*name)[TASK_NAME], unsigned int nr)
{
	char path[PATH_MAX];
	struct dirent *d;
	DIR *dir;

	memset(name, 0, nr * sizeof(*name));
	if (!nr || !text_path(path, sizeof(path), "/proc/%d/task", (int)pid) || !(dir = opendir(path)))
		return;
	while ((d = readdir(dir)))
		if (*d->d_name != '.')
			name_all(pid, (pid_t)strtoul(d->d_name, NULL, 10), tid, name, nr);
	closedir(dir);
}
