// SPDX-License-Identifier: MIT
#include "library.h"
#include "preload.h"
#include "tool.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder of this command, without a slash; the root folder is empty. */
static void own_folder(char *path, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	if (len < 0)
		tool_die(LAUNCH_FAILED, "/proc/self/exe: %s", strerror(errno));
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
}

bool library_is_there(const char *name, char *path, size_t size)
{
	/* The output folder; then what make install and distributions use. */
	static const char *const places[] = {
		"..", "../lib", "../lib64", ("../lib/" NAR_MULTIARCH)
	};
	char folder[PATH_MAX], guess[PATH_MAX], found[PATH_MAX];
	size_t i;

	own_folder(folder, sizeof(folder));
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		int len = snprintf(guess, sizeof(guess), "%s/%s/%s", folder, places[i], name);

		if (len > 0 && (size_t)len < sizeof(guess) && realpath(guess, found))
			return snprintf(path, size, "%s", found) < (int)size;
	}
	return false;
}

void library_require_loadable(const char *path, int status)
{
	if (strpbrk(path, " :\t"))
		tool_die(status, "the loader takes no library with a space or colon in its path: %s", path);
}

void library_find(const char *name, char *path, size_t size, int status)
{
	char folder[PATH_MAX];

	own_folder(folder, sizeof(folder));
	if (!library_is_there(name, path, size))
		tool_die(status,
			 "there is no %s in %s/.. or %s/../lib: build it, or install the command with it",
			 name, folder, folder);
	library_require_loadable(path, status);
}

static void join_environment(const char *name, const char *first, const char *between,
			     const char *second)
{
	char *joined;

	if (asprintf(&joined, "%s%s%s", first, between, second) < 0 || setenv(name, joined, 1))
		tool_die(LAUNCH_FAILED, "%s: %s", name, strerror(errno));
	free(joined);
}

void library_preload(const char *path)
{
	const char *others = getenv("LD_PRELOAD");

	join_environment("LD_PRELOAD", path, others && *others ? ":" : "", others ? others : "");
}

void library_configure(const char *settings)
{
	const char *before = getenv("NUMARENA_CONF");

	join_environment("NUMARENA_CONF", before ? before : "", before && *before ? "," : "", settings);
}

void library_launch(char **argv)
{
	char why[PATH_MAX + 128];
	int err;

	if (preload_is_hopeless(argv[0], why, sizeof(why)))
		tool_warn("%s: runs without the library", why);
	err = preload_exec(argv);
	tool_die(err == ENOENT ? LAUNCH_NOT_FOUND : LAUNCH_NOT_RUN, "cannot run %s: %s",
		 *argv[0] ? argv[0] : "''", strerror(err));
}
