// SPDX-License-Identifier: MIT
/*
 * What the kernel, the C library and the libraries have, and what a sandbox refuses.  Calls
 * are tried, each so that nothing changes: a filter cannot be read.
 */
#include "finding.h"
#include "library.h"
#include "text.h"
#include "tool.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Younger than the C libraries that this is built with. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PAGE_BYTES 4096

#define SANDBOX_FULL "allow %s in the sandbox's profile; docker: --security-opt seccomp=unconfined"

/* One page of our own to try things on. */
static void *page_map(void)
{
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		tool_die(TOOL_FAILED, "no memory for a page: %s", strerror(errno));
	*(volatile char *)page = 1;
	return page;
}

/* A sandbox may end who makes a call. */
#define KILLS (-1)

/* In a child, for that.  Return: 0, the errno that @try returns, or KILLS. */
static int try_in_child(int (*try)(void *page), void *page)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(try(page));
	if (child < 0 || waitpid(child, &status, 0) != child)
		tool_die(TOOL_FAILED, "a child process: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : KILLS;
}

static const char *refusal(int err)
{
	return err == KILLS ? "it ends the process" : strerror(err);
}

/* ---- Calls about nodes ---- */

static int try_get(void *page)
{
	(void)page;
	return syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0) ? errno : 0;
}

/* Set what is set; where that cannot be asked, what is wrong: a filter refuses before that is seen. */
static int try_set(void *page)
{
	struct ids mask = { { 0 } };
	int mode = -1;

	(void)page;
	if (syscall(SYS_get_mempolicy, &mode, &mask, (unsigned long)IDS_MAX, NULL, 0))
		mode = -1;
	if (!syscall(SYS_set_mempolicy, mode, mode == MPOL_DEFAULT ? NULL : &mask, (unsigned long)IDS_MAX))
		return 0;
	return errno == EINVAL ? 0 : errno;
}

static int try_bind(void *page)
{
	return syscall(SYS_mbind, page, (unsigned long)PAGE_BYTES, MPOL_DEFAULT, NULL, 0ul, 0u) ? errno : 0;
}

static int try_move(void *page)
{
	int status;

	return syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0) ? errno : 0;
}

static const struct {
	const char *name;
	int (*try)(void *page);
} node_calls[] = {
	{ "get_mempolicy", try_get },
	{ "set_mempolicy", try_set },
	{ "mbind", try_bind },
	{ "move_pages", try_move },
};

static void look_at_calls(void)
{
	struct finding *f = finding_add("numa_calls",
					"without mbind and get_mempolicy memory lies where it is touched first; "
					"without move_pages audits are coarse and nothing is brought home",
					"calls about nodes:");
	bool is_absent = false, only_move = true;
	void *page = page_map();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(node_calls); i++) {
		int err = try_in_child(node_calls[i].try, page);

		if (!err)
			continue;
		finding_more(f, " %s is refused (%s);", node_calls[i].name, refusal(err));
		f->level = FINDING_MEND;
		is_absent |= err == ENOSYS;
		only_move &= node_calls[i].try == try_move;
	}
	munmap(page, PAGE_BYTES);
	if (!f->level)
		finding_more(f, " all are answered");
	else if (is_absent)
		finding_set(f, FINDING_MEND, "a kernel with CONFIG_NUMA=y, or a sandbox that allows them");
	else if (only_move)
		finding_set(f, FINDING_MEND, SANDBOX_FULL, "move_pages");
	else
		finding_set(f, FINDING_MEND,
			    "docker, podman: --cap-add=SYS_NICE; Kubernetes: capabilities: {add: [SYS_NICE]}");
	f->is[strlen(f->is) - (f->is[strlen(f->is) - 1] == ';')] = '\0';
}

static void look_at_seccomp(const char *status)
{
	static const char *const modes[] = { "none", "strict", "a filter" };
	char value[32];
	unsigned long mode;

	if (!text_field(status, "Seccomp:", value, sizeof(value)))
		return;
	mode = strtoul(value, NULL, 10);
	finding_add("seccomp", "a filter may refuse what the other findings speak of",
		    "system calls are filtered by: %s", mode < ARRAY_SIZE(modes) ? modes[mode] : value);
}

/* ---- Kernel ---- */

static int try_populate(void *page)
{
	return madvise(page, PAGE_BYTES, MADV_POPULATE_WRITE) ? errno : 0;
}

/* One page is never a huge one: whatever else it answers, the call came through. */
static int try_collapse(void *page)
{
	if (!madvise(page, PAGE_BYTES, MADV_COLLAPSE))
		return 0;
	return errno == EPERM || errno == ENOSYS ? errno : 0;
}

/* Linux 6.7: twelve numbers of 64 bits, of which zero is the wrong size. */
static int try_scan(void *page)
{
	uint64_t args[12] = { 0 };
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	(void)page;
	if (fd < 0 || !ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, 'f', 16, sizeof(args)), args))
		return fd < 0 ? errno : 0;
	return errno == EINVAL ? 0 : errno;
}

struct feature {
	const char *id, *name, *why;
	unsigned int major, minor;
	int (*try)(void *page);		/* 0 or errno */
};

static const struct feature features[] = {
	{ "populate_write", "MADV_POPULATE_WRITE", "huge:hugetlb and numarena_reserve fault memory in by it",
	  5, 14, try_populate },
	{ "collapse", "MADV_COLLAPSE", "numarena makes chunks huge that have filled, and mends what a fork parted",
	  6, 1, try_collapse },
	{ "pagemap_scan", "PAGEMAP_SCAN", "audits know page by page what is huge; without it, mapping by mapping",
	  6, 7, try_scan },
};

static void look_at_feature(const struct feature *t, const char *release)
{
	unsigned int major = 0, minor = 0;
	struct finding *f;
	void *page;
	int err;

	sscanf(release, "%u.%u", &major, &minor);
	if (major < t->major || (major == t->major && minor < t->minor)) {
		f = finding_add(t->id, t->why, "Linux %.64s has no %s", release, t->name);
		finding_set(f, FINDING_NOTE, "boot Linux %u.%u or later", t->major, t->minor);
		return;
	}
	page = page_map();
	err = try_in_child(t->try, page);
	munmap(page, PAGE_BYTES);
	f = finding_add(t->id, t->why, "%s is %s", t->name, err ? "refused: " : "there");
	if (!err)
		return;
	finding_more(f, "%s", refusal(err));
	finding_set(f, FINDING_MEND, SANDBOX_FULL, t->name);
}

static void look_at_features(void)
{
	char release[256];
	size_t i;

	if (!text_read(release, sizeof(release), "/proc/sys/kernel/osrelease"))
		return;
	for (i = 0; i < ARRAY_SIZE(features); i++)
		look_at_feature(&features[i], release);
}

/* ---- perf ---- */

#define CAP_SYS_ADMIN 21
#define CAP_PERFMON 38

static bool has_perf_right(const char *status)
{
	char value[64];
	uint64_t caps;

	text_field(status, "CapEff:", value, sizeof(value));
	caps = strtoull(value, NULL, 16);
	return caps >> CAP_SYS_ADMIN & 1 || caps >> CAP_PERFMON & 1;
}

static void look_at_perf(const char *status)
{
	char text[64];
	long level;
	struct finding *f;

	if (!text_read(text, sizeof(text), "/proc/sys/kernel/perf_event_paranoid"))
		return;
	level = strtol(text, NULL, 10);
	f = finding_add("perf", "perf stat and perf record show what malloc costs a program",
			"kernel.perf_event_paranoid is %ld%s", level,
			has_perf_right(status) ? ", which does not bind this user" : "");
	if (level > 2 && !has_perf_right(status))
		finding_set(f, FINDING_MEND, "sysctl kernel.perf_event_paranoid=2");
}

#define TRACEFS "/sys/kernel/tracing"

/* What this user may do there.  Return: 0 or the errno. */
static int try_tracefs(const char *name, int how)
{
	char path[PATH_MAX];

	if (!text_path(path, sizeof(path), TRACEFS "/%s", name))
		return ENAMETOOLONG;
	return faccessat(AT_FDCWD, path, how, AT_EACCESS) ? errno : 0;
}

/* The kernel goes by the modes of these files alone: CAP_PERFMON opens none of them. */
static void look_at_probes(void)
{
	int err = try_tracefs("uprobe_events", W_OK);
	struct finding *f;

	if (try_tracefs("", F_OK))
		return;
	f = finding_add("probes", "perf stat -e 'sdt_numarena:*' counts slow steps and fallbacks of a program as it "
				  "runs: who makes the probes writes to " TRACEFS ", who counts them reads there",
			"USDT probes: ");
	if (!err) {
		finding_more(f, "this user may make and count them");
	} else if (!try_tracefs("events/sdt_numarena/refill/id", R_OK)) {
		finding_more(f, "they are made, and this user may count them");
	} else if (err == ENOENT && !try_tracefs("events", F_OK)) {
		finding_more(f, "this kernel cannot have any");
		finding_set(f, FINDING_NOTE, "boot a kernel with CONFIG_UPROBE_EVENTS=y");
	} else if (err == ENOENT && !geteuid()) {
		finding_more(f, "perf mounts " TRACEFS " for root, who may make and count them");
	} else {
		finding_more(f, TRACEFS " is not open to this user");
		finding_set(f, FINDING_NOTE, "run perf as root; or, as root: perf probe 'sdt_numarena:*'; chmod o+x " TRACEFS
					     "; chmod -R o+rX " TRACEFS "/events/sdt_numarena");
	}
}

/* ---- Libraries ---- */

/* glibc 2.35; NULL before. */
extern const unsigned int __rseq_size __attribute__((weak));

static void look_at_rseq(void)
{
	const unsigned int *size = &__rseq_size;
	struct finding *f = finding_add("rseq", "which node a thread runs on is known from memory, else by a "
						"call of some nanoseconds at each refill",
					"the C library has %s rseq", size && *size ? "registered" : "not registered");

	if (!size)
		finding_set(f, FINDING_NOTE, "glibc 2.35 or later");
	else if (!*size)
		finding_set(f, FINDING_NOTE, "unset GLIBC_TUNABLES, or allow rseq in the sandbox's profile");
}

/*
 * In a child: its constructor would set itself up here, or may end the process.  Return: how the
 * child ended, as waitpid() has it; @error is an empty text if it loads.
 */
static int try_load(const char *path, char *error, size_t size)
{
	int ends[2], status = 0;
	pid_t child;
	ssize_t len;

	if (pipe2(ends, O_CLOEXEC) || (child = fork()) < 0)
		tool_die(TOOL_FAILED, "%s", strerror(errno));
	if (!child) {
		const char *text = dlopen(path, RTLD_NOW | RTLD_LOCAL) ? "" : dlerror();

		len = write(ends[1], text, strlen(text));
		_exit(len < 0);
	}
	close(ends[1]);
	len = read(ends[0], error, size - 1);
	error[len > 0 ? len : 0] = '\0';
	error[strcspn(error, "\n")] = '\0';
	close(ends[0]);
	waitpid(child, &status, 0);
	return status;
}

static void look_at_libraries(void)
{
	static const char why[] = "numarena needs liburcu-bp and libnuma as shared libraries";
	char path[PATH_MAX], error[256];
	struct finding *f;
	int status;

	if (!library_is_there(LIBRARY_NUMARENA, path, sizeof(path))) {
		f = finding_add("library", why, "there is no " LIBRARY_NUMARENA " near this command");
		finding_set(f, FINDING_MEND, "make, or make install");
		return;
	}
	status = try_load(path, error, sizeof(error));
	if (status) {
		f = finding_add("library", why, "%.400s ends the process that loads it%s%s", path,
				WIFSIGNALED(status) ? ": " : "", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "");
		finding_set(f, FINDING_MEND, "unset NUMARENA_CONF; and let the sandbox's profile refuse with "
					     "an error what it does not allow, rather than end the process");
		return;
	}
	if (!*error) {
		finding_add("library", why, "%.400s loads, with all that it needs", path);
		return;
	}
	f = finding_add("library", why, "%s", error);
	finding_set(f, FINDING_MEND, "apt-get install libnuma1 liburcu8   # or as your system calls them");
}

void doctor_kernel(void)
{
	char status[16384];

	text_read(status, sizeof(status), "/proc/self/status");
	look_at_features();
	look_at_seccomp(status);
	look_at_calls();
	look_at_rseq();
	look_at_perf(status);
	look_at_probes();
	look_at_libraries();
}
