/* SPDX-License-Identifier: MIT */
/*
 * A small worker as a user would write it: a thread pinned to each CPU steps through
 * episodes of small objects and a 64-byte-aligned buffer.  malloc is numarena's since
 * the program is linked with it; the explicit names say so.
 *
 *	worker [steps]
 */
#include <numarena.h>

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_OBJECTS 1000
#define MAX_WORKERS 4
#define BUFFER_BYTES (256 * 1024)

struct worker {
	pthread_t thread;
	int cpu;
	unsigned long nr_steps;
	unsigned long nr_wrong;
};

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* One episode: objects of mixed sizes, read back before they go. */
static unsigned long step(unsigned long nr)
{
	char *objects[NR_OBJECTS];
	unsigned long nr_wrong = 0;

	for (int i = 0; i < NR_OBJECTS; i++) {
		size_t size = 16 + (i * 31 + nr) % 1000;

		objects[i] = malloc(size);
		if (objects[i])
			memset(objects[i], i, size);
	}
	for (int i = 0; i < NR_OBJECTS; i++) {
		nr_wrong += !objects[i] || objects[i][15] != (char)i;
		free(objects[i]);
	}
	return nr_wrong;
}

static void *work(void *arg)
{
	struct worker *self = arg;
	void *buffer;

	pin_to(self->cpu);
	buffer = aligned_alloc(64, BUFFER_BYTES);
	self->nr_wrong += !buffer || (uintptr_t)buffer % 64 != 0;
	for (unsigned long i = 0; i < self->nr_steps; i++)
		self->nr_wrong += step(i);
	free(buffer);
	return NULL;
}

/* Return: how many CPUs are in @cpus, at most MAX_WORKERS. */
static int allowed_cpus(int *cpus)
{
	cpu_set_t set;
	int nr = 0;

	sched_getaffinity(0, sizeof(set), &set);
	for (int cpu = 0; cpu < CPU_SETSIZE && nr < MAX_WORKERS; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[nr++] = cpu;
	return nr;
}

/* libc's own allocations are numarena's too, or one malloc would free another's. */
static int libc_uses_numarena(void)
{
	char *text = strdup("whose is this?");
	int uses = text && numarena_malloc_usable_size(text) >= strlen(text) + 1;

	numarena_free(text);
	return uses;
}

int main(int argc, char **argv)
{
	struct worker workers[MAX_WORKERS];
	struct numarena_stats stats;
	unsigned long nr_wrong = 0;
	int cpus[MAX_WORKERS];
	int nr = allowed_cpus(cpus);

	for (int i = 0; i < nr; i++) {
		workers[i] = (struct worker){
			.cpu = cpus[i],
			.nr_steps = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000,
		};
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return EXIT_FAILURE;
	}
	for (int i = 0; i < nr; i++) {
		pthread_join(workers[i].thread, NULL);
		nr_wrong += workers[i].nr_wrong;
	}
	if (numarena_stats_get(&stats, sizeof(stats)))
		return EXIT_FAILURE;
	printf("numarena %s, %d workers, %lu wrong, %llu slabs\n", numarena_version(), nr,
	       nr_wrong, (unsigned long long)stats.nr_slabs_made);
	return nr_wrong || !stats.nr_slabs_made || !libc_uses_numarena();
}
