// SPDX-License-Identifier: MIT
/*
 * An inference worker: threads pinned to CPUs serve requests.  Each request has a KV cache of
 * blocks that are all of one odd size, and scratch memory of many sizes that is gone when the
 * answer is.
 *
 *	inference_worker [requests]
 *
 * The same requests are served by malloc and free alone, and with what numarena adds:
 *
 *	numarena_replicate	the weights on each node, so that no worker reads another's
 *	numarena_scope_*	scratch memory, released at once
 *	numarena_class_add	the block's size, so that none is rounded up to the next class
 *
 * by turns, and the program says what that gained: in CPU time, since other programs run, too.
 */
#include <numarena.h>

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 4
#define KV_BLOCK_BYTES 20496	/* 20 KiB of keys and values, and 16 bytes that say whose */
#define NR_KV_BLOCKS 64		/* a sequence's */
#define NR_TENSORS 400		/* scratch of a request */
#define WEIGHT_BYTES (4u << 20)
#define USUAL_REQUESTS 100	/* a round */
#define ROUNDS 5

static unsigned char *weights;			/* as they were loaded, on the loader's node */
static struct numarena_replicas *copies;	/* ... and on each worker's */

struct worker {
	pthread_t thread;
	int cpu;
	const unsigned char *weights;
	unsigned long nr_requests;
	uint64_t checksum;
	void *(*scratch)(struct worker *w, size_t bytes);
	struct numarena_scope *scope;
	void *tensor[NR_TENSORS];
	unsigned int nr_tensors;
};

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static void *check(void *p)
{
	if (!p)
		die("inference_worker");
	return p;
}

/* ---- Scratch memory, in both ways ---- */

static void *scratch_by_malloc(struct worker *w, size_t bytes)
{
	void *p;

	if (posix_memalign(&p, 64, bytes))
		die("posix_memalign");
	w->tensor[w->nr_tensors++] = p;
	return p;
}

static void *scratch_by_scope(struct worker *w, size_t bytes)
{
	return check(numarena_scope_aligned_alloc(w->scope, 64, bytes));
}

/* ---- A request ---- */

static size_t tensor_bytes(unsigned long request, unsigned int nr)
{
	return 256 + (request * 7 + nr * 131) % 3840;
}

/* What stands for the model: each tensor is made from weights, and some of each is read. */
static void compute(struct worker *w, unsigned long request, unsigned char **kv)
{
	unsigned int i;

	for (i = 0; i < NR_TENSORS; i++) {
		size_t bytes = tensor_bytes(request, i);
		unsigned char *t = w->scratch(w, bytes);

		memcpy(t, &w->weights[(request * 4099 + i * 257) % (WEIGHT_BYTES - bytes)], bytes);
		kv[i % NR_KV_BLOCKS][i] = t[bytes - 1];
		w->checksum += t[0] + kv[i % NR_KV_BLOCKS][i];
	}
}

static void serve(struct worker *w, unsigned long request)
{
	unsigned char *kv[NR_KV_BLOCKS];
	unsigned int i;

	for (i = 0; i < NR_KV_BLOCKS; i++)
		kv[i] = check(malloc(KV_BLOCK_BYTES));
	if (w->scratch == scratch_by_scope)
		w->scope = check(numarena_scope_begin("request", 0));
	compute(w, request, kv);
	if (w->scratch == scratch_by_scope)
		numarena_scope_end(w->scope);
	while (w->nr_tensors)
		free(w->tensor[--w->nr_tensors]);
	for (i = 0; i < NR_KV_BLOCKS; i++)
		free(kv[i]);
}

/* Pinned, so that its memory is on its node from the first byte on. */
static void *worker_run(void *arg)
{
	struct worker *w = arg;
	unsigned long i;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	w->weights = w->scratch == scratch_by_scope ? numarena_replica(copies) : weights;
	for (i = 0; i < w->nr_requests; i++)
		serve(w, i);
	return NULL;
}

/* ---- The model ---- */

/* Where there is one node, there is one copy, and the loaded weights need not stay. */
static void weights_load(void)
{
	weights = check(malloc(WEIGHT_BYTES));
	for (size_t i = 0; i < WEIGHT_BYTES; i++)
		weights[i] = (unsigned char)(i * 2654435761u >> 24);
	copies = numarena_replicate(weights, WEIGHT_BYTES);
	if (!copies)
		die("numarena_replicate");
}

static void weights_unload(void)
{
	numarena_replica_free(copies);
	free(weights);
}

/* ---- All of them ---- */

struct result {
	double us_a_request;	/* of the best round */
	uint64_t checksum;
};

static double cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static size_t block_bytes(void)
{
	void *p = check(malloc(KV_BLOCK_BYTES));
	size_t bytes = numarena_malloc_usable_size(p);

	free(p);
	return bytes;
}

static void run(struct result *r, unsigned int nr, unsigned long nr_requests,
		void *(*scratch)(struct worker *, size_t))
{
	static struct worker workers[MAX_THREADS];
	double start = cpu_us(), us;
	cpu_set_t allowed;
	unsigned int i;
	int cpu = -1;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (i = 0; i < nr; i++) {
		do
			cpu = (cpu + 1) % CPU_SETSIZE;
		while (!CPU_ISSET(cpu, &allowed));
		workers[i] = (struct worker){ .cpu = cpu, .nr_requests = nr_requests, .scratch = scratch };
		if (pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]))
			die("pthread_create");
	}
	for (i = 0; i < nr; i++) {
		pthread_join(workers[i].thread, NULL);
		r->checksum += workers[i].checksum;
	}
	us = (cpu_us() - start) / (double)(nr_requests * nr);
	if (!r->us_a_request || us < r->us_a_request)
		r->us_a_request = us;
}

static unsigned long read_count(int argc, char **argv)
{
	unsigned long nr = argc > 1 ? strtoul(argv[1], NULL, 10) : USUAL_REQUESTS;

	if (argc <= 2 && nr > 0)
		return nr;
	fprintf(stderr, "usage: inference_worker [requests]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	unsigned long nr_requests = read_count(argc, argv);
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int nr = nr_cpus < MAX_THREADS ? (unsigned int)nr_cpus : MAX_THREADS;
	struct result plain = { 0 }, ours = { 0 };
	size_t before, after;

	weights_load();
	for (int round = 0; round < ROUNDS; round++) {
		run(&plain, nr, nr_requests, scratch_by_malloc);
		run(&ours, nr, nr_requests, scratch_by_scope);
	}
	before = block_bytes();
	if (numarena_class_add(KV_BLOCK_BYTES) < 0)
		die("numarena_class_add");
	after = block_bytes();
	run(&plain, nr, nr_requests, scratch_by_malloc);
	run(&ours, nr, nr_requests, scratch_by_scope);
	weights_unload();
	if (plain.checksum != ours.checksum) {
		fprintf(stderr, "inference_worker: the answers differ\n");
		return EXIT_FAILURE;
	}
	printf("%u threads, %d rounds of %lu requests each\n", nr, ROUNDS, nr_requests);
	printf("scratch by malloc and free: %8.1f us a request\n", plain.us_a_request);
	printf("scratch in a scope:         %8.1f us a request\n", ours.us_a_request);
	printf("a KV block of %d bytes takes %zu, with a class of its own %zu\n", KV_BLOCK_BYTES, before, after);
	printf("gained: %.2f times the time, %.1f %% less KV memory\n", ours.us_a_request / plain.us_a_request,
	       100.0 * (1.0 - (double)after / (double)before));
	return EXIT_SUCCESS;
}
