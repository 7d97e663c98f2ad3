// SPDX-License-Identifier: MIT
/*
 * Runs a program that is refused system calls, as in a container.
 *
 *	refuse [--errno EPERM|ENOSYS] call[,call...] [--] program [argument]...
 *
 * A call is a name below.  madvise:N is madvise with advice N; pagemap_scan is the ioctl
 * of that name.  docker stands for what Docker's and containerd's profiles refuse without
 * CAP_SYS_NICE, with EPERM: everything about memory policies, and what they never allow,
 * to move pages.
 *
 * The filter stays through exec and fork.  Exit 77: no filter can be installed here.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "numarena runs on x86-64 and aarch64"
#endif

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450	/* Linux 5.17; the same everywhere */
#endif

/* Linux 6.7: twelve numbers of 64 bits go in. */
#define PAGEMAP_SCAN_REQUEST _IOC(_IOC_READ | _IOC_WRITE, 'f', 16, 12 * 8)

static const struct call {
	const char *name;
	unsigned int nr;
} calls[] = {
	{ "mbind", SYS_mbind },
	{ "get_mempolicy", SYS_get_mempolicy },
	{ "set_mempolicy", SYS_set_mempolicy },
	{ "set_mempolicy_home_node", SYS_set_mempolicy_home_node },
	{ "move_pages", SYS_move_pages },
	{ "migrate_pages", SYS_migrate_pages },
	{ "madvise", SYS_madvise },
	{ "mremap", SYS_mremap },
	{ "rseq", SYS_rseq },
	{ "membarrier", SYS_membarrier },
	{ "sched_setaffinity", SYS_sched_setaffinity },
	{ "ioctl", SYS_ioctl },
};

static const char docker[] =
	"mbind,get_mempolicy,set_mempolicy,set_mempolicy_home_node,move_pages,migrate_pages";

/* ---- The filter ---- */

#define MAX_STEPS 128

static struct sock_filter step[MAX_STEPS];
static unsigned short nr_steps;

static void add(struct sock_filter s)
{
	if (nr_steps == MAX_STEPS) {
		fputs("refuse: too many calls\n", stderr);
		exit(2);
	}
	step[nr_steps++] = s;
}

/* The low half of an argument comes first on the machines that we know. */
static void add_load(size_t offset)
{
	add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)offset));
}

static void add_skip_unless(unsigned int value, unsigned char nr)
{
	add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, nr));
}

static void add_answer(unsigned int action)
{
	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void begin_filter(void)
{
	add_load(offsetof(struct seccomp_data, arch));
	add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
	add_answer(SECCOMP_RET_ALLOW);
}

static void refuse(unsigned int nr, unsigned int err)
{
	add_load(offsetof(struct seccomp_data, nr));
	add_skip_unless(nr, 1);
	add_answer(SECCOMP_RET_ERRNO | err);
}

static void refuse_if(unsigned int nr, unsigned int arg, unsigned int value, unsigned int err)
{
	add_load(offsetof(struct seccomp_data, nr));
	add_skip_unless(nr, 3);
	add_load(offsetof(struct seccomp_data, args) + arg * sizeof(__u64));
	add_skip_unless(value, 1);
	add_answer(SECCOMP_RET_ERRNO | err);
}

static void install_filter(void)
{
	struct sock_fprog program = { .len = nr_steps, .filter = step };

	add_answer(SECCOMP_RET_ALLOW);
	program.len = nr_steps;
	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	    !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return;
	printf("no seccomp filter can be installed: %s\n", strerror(errno));
	exit(77);
}

/* ---- The command line ---- */

static void usage(const char *what, const char *name)
{
	fprintf(stderr, "refuse: %s%s\nusage: refuse [--errno EPERM|ENOSYS] call[,call...] [--] program...\n",
		what, name);
	exit(2);
}

static unsigned int errno_of(const char *name)
{
	if (!strcmp(name, "EPERM"))
		return EPERM;
	if (strcmp(name, "ENOSYS"))
		usage("no such errno: ", name);
	return ENOSYS;
}

static const struct call *find_call(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (!strcmp(calls[i].name, name))
			return &calls[i];
	usage("no such call: ", name);
	return NULL;
}

static void refuse_list(const char *list, unsigned int err);

static void refuse_named(const char *name, unsigned int err)
{
	unsigned int advice;

	if (!strcmp(name, "docker"))
		refuse_list(docker, EPERM);
	else if (!strcmp(name, "pagemap_scan"))
		refuse_if(SYS_ioctl, 1, PAGEMAP_SCAN_REQUEST, err);
	else if (sscanf(name, "madvise:%u", &advice) == 1)
		refuse_if(SYS_madvise, 2, advice, err);
	else
		refuse(find_call(name)->nr, err);
}

static void refuse_list(const char *list, unsigned int err)
{
	char names[512], *name, *rest;

	snprintf(names, sizeof(names), "%s", list);
	for (name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
		refuse_named(name, err);
}

int main(int argc, char **argv)
{
	unsigned int err = EPERM;

	(void)argc;
	argv++;
	if (argv[0] && !strcmp(argv[0], "--errno") && argv[1]) {
		err = errno_of(argv[1]);
		argv += 2;
	}
	if (!argv[0] || !argv[1])
		usage("what, and for whom?", "");
	begin_filter();
	refuse_list(*argv++, err);
	if (!strcmp(argv[0], "--") && argv[1])
		argv++;
	install_filter();
	execvp(argv[0], argv);
	fprintf(stderr, "refuse: cannot run %s: %s\n", argv[0], strerror(errno));
	return 127;
}
