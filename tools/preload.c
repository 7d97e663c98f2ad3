// SPDX-License-Identifier: MIT
#include "preload.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Enough for a header of ELF and its program headers, or for the first line of a script. */
#define HEAD_BYTES 4096

struct head {
	size_t len;
	union {
		char text[HEAD_BYTES];
		Elf64_Ehdr elf;
	};
};

/* ---- Finding the file ---- */

static bool is_program(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

static bool find_program(const char *name, char *path, size_t size)
{
	const char *folder = getenv("PATH");

	if (strchr(name, '/'))
		return snprintf(path, size, "%s", name) < (int)size;
	/* An empty PATH, and an empty folder in it, is the working folder. */
	for (folder = folder ? folder : "/bin:/usr/bin";; folder++) {
		size_t len = strcspn(folder, ":");

		if (snprintf(path, size, "%.*s%s%s", (int)len, folder, len ? "/" : "", name) < (int)size &&
		    is_program(path))
			return true;
		folder += len;
		if (!*folder)
			return false;
	}
}

static bool read_head(const char *path, struct head *head)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, head->text, sizeof(head->text) - 1);

	if (fd >= 0)
		close(fd);
	head->len = len > 0 ? (size_t)len : 0;
	head->text[head->len] = '\0';
	return len > 0;
}

/* ---- What it is ---- */

/* "#! /bin/sh -e" */
static bool has_interpreter(const struct head *head, char *path, size_t size)
{
	const char *word = head->text + 2;
	size_t len;

	if (head->len < 2 || memcmp(head->text, "#!", 2))
		return false;
	word += strspn(word, " \t");
	len = strcspn(word, " \t\n");
	return len && snprintf(path, size, "%.*s", (int)len, word) < (int)size;
}

/* For the user who runs it: root's setuid programs are ordinary ones to root. */
static bool gains_rights(const char *path)
{
	struct stat st;

	if (getxattr(path, "security.capability", NULL, 0) > 0)
		return getuid() != 0;
	return !stat(path, &st) && ((st.st_mode & S_ISUID && st.st_uid != getuid()) ||
				    (st.st_mode & S_ISGID && st.st_gid != getgid()));
}

static bool is_elf(const struct head *head)
{
	return head->len >= EI_NIDENT && !memcmp(head->elf.e_ident, ELFMAG, SELFMAG);
}

/* This command has the class and the machine that the libraries have. */
static bool is_foreign(const struct head *head)
{
	struct head own;

	return head->elf.e_ident[EI_CLASS] != ELFCLASS64 || head->len < sizeof(head->elf) ||
	       !read_head("/proc/self/exe", &own) || head->elf.e_machine != own.elf.e_machine;
}

/* Program headers beyond what was read are not looked at: then nothing is said. */
static bool is_static(const struct head *head)
{
	size_t i, at = head->elf.e_phoff;

	for (i = 0; i < head->elf.e_phnum; i++, at += head->elf.e_phentsize) {
		Elf64_Phdr phdr;

		if (at > head->len || head->len - at < sizeof(phdr))
			return false;
		memcpy(&phdr, head->text + at, sizeof(phdr));
		if (phdr.p_type == PT_INTERP)
			return false;
	}
	return true;
}

static const char *obstacle(const char *path, const struct head *head)
{
	if (!is_elf(head))
		return NULL;
	if (is_foreign(head))
		return "is of another kind of machine";
	if (is_static(head))
		return "is linked statically and has no loader to preload anything";
	if (gains_rights(path))
		return "gains rights (setuid, setgid or file capabilities), so the loader ignores LD_PRELOAD";
	return NULL;
}

bool preload_is_hopeless(const char *name, char *why, size_t size)
{
	char path[PATH_MAX], interpreter[PATH_MAX];
	const char *what, *at = path;
	struct head head;

	if (!find_program(name, path, sizeof(path)) || !read_head(path, &head))
		return false;
	if (has_interpreter(&head, interpreter, sizeof(interpreter))) {
		at = interpreter;
		if (!read_head(at, &head))
			return false;
	}
	what = obstacle(at, &head);
	if (what)
		snprintf(why, size, "%s %s", at, what);
	return what;
}

bool preload_is_library(const char *path)
{
	struct head head;

	return read_head(path, &head) && is_elf(&head) && !is_foreign(&head) && head.elf.e_type == ET_DYN;
}

int preload_exec(char **argv)
{
	char path[PATH_MAX];
	struct head head;

	if (find_program(argv[0], path, sizeof(path))) {
		execv(path, argv);
		if (errno != ENOEXEC)
			return errno;
		if (read_head(path, &head) && is_elf(&head))
			return ENOEXEC;
	}
	execvp(argv[0], argv);
	return errno;
}
