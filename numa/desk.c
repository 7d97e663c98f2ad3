// SPDX-License-Identifier: MIT
/*
 * Nothing here allocates or takes a lock: it runs in the midst of a fork.  A line of packets
 * keeps numbers whole, and its end is heard when the other side closes it or dies.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "desk.h"
#include "pages.h"

static struct {
	int end[2];	/* by side; -1: there is none */
	void *memory;
} desk = { .end = { -1, -1 } };

void nar_desk_open(void)
{
	void *p = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	desk.end[DESK_PARENT] = desk.end[DESK_CHILD] = -1;
	desk.memory = p == MAP_FAILED ? NULL : p;
	if (desk.memory && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, desk.end))
		desk.end[DESK_PARENT] = desk.end[DESK_CHILD] = -1;
}

void nar_desk_leave(enum nar_desk_side side)
{
	if (desk.end[side] >= 0)
		close(desk.end[side]);
	desk.end[side] = -1;
}

void nar_desk_close(void)
{
	nar_desk_leave(DESK_PARENT);
	nar_desk_leave(DESK_CHILD);
	if (desk.memory)
		munmap(desk.memory, HUGE_BYTES);
	desk.memory = NULL;
}

bool nar_desk_say(enum nar_desk_side side, u32 number)
{
	ssize_t n;

	if (desk.end[side] < 0)
		return false;
	do
		n = send(desk.end[side], &number, sizeof(number), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == sizeof(number);
}

bool nar_desk_hear(enum nar_desk_side side, u32 *number)
{
	ssize_t n;

	if (desk.end[side] < 0)
		return false;
	do
		n = recv(desk.end[side], number, sizeof(*number), 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*number);
}

void *nar_desk_memory(void)
{
	return desk.memory;
}
