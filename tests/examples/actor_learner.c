// SPDX-License-Identifier: MIT
/*
 * Reinforcement learning: actors play episodes on their own CPUs and hand trajectories to a
 * learner, which reads and frees them.
 *
 *	actor 1 --- trajectory ---> |
 *	actor 2 --- trajectory ---> | queue ---> learner: reads, frees
 *
 *	actor_learner [episodes]
 *
 * A trajectory is allocated step by step on its actor's node and freed by another thread: that
 * free goes home in batches.  What an episode needs besides lies in a scope, and the
 * environment, somebody else's code that calls malloc, is captured in it.  The same is done
 * with malloc and free alone, by turns, and the better of each in CPU time is compared.
 */
#include <numarena.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NR_ACTORS 2
#define NR_STEPS 500
#define OBSERVATION_BYTES 336
#define QUEUE_SLOTS 64
#define USUAL_EPISODES 100	/* a round */
#define ROUNDS 5

struct step {
	struct step *next;
	float reward;
	unsigned char observation[OBSERVATION_BYTES];
};

static bool by_scope;
static unsigned long nr_episodes;

static void *check(void *p)
{
	if (p)
		return p;
	perror("actor_learner");
	exit(EXIT_FAILURE);
}

/* ---- The queue ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct step *slot[QUEUE_SLOTS];
	unsigned int nr;
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void queue_put(struct step *trajectory)
{
	pthread_mutex_lock(&queue.lock);
	while (queue.nr == QUEUE_SLOTS)
		pthread_cond_wait(&queue.changed, &queue.lock);
	queue.slot[queue.nr++] = trajectory;
	pthread_cond_broadcast(&queue.changed);
	pthread_mutex_unlock(&queue.lock);
}

static struct step *queue_get(void)
{
	struct step *trajectory;

	pthread_mutex_lock(&queue.lock);
	while (!queue.nr)
		pthread_cond_wait(&queue.changed, &queue.lock);
	trajectory = queue.slot[--queue.nr];
	pthread_cond_broadcast(&queue.changed);
	pthread_mutex_unlock(&queue.lock);
	return trajectory;
}

/* ---- An environment: knows nothing of numarena ---- */

struct entity {
	struct entity *next;
	unsigned int state;
	char properties[88];
};

/* Entities come; some leave.  It leaves the last for the end of the episode to free. */
static float environment_step(struct entity **world, unsigned int nr, unsigned char *observation)
{
	struct entity *e;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		e = check(malloc(sizeof(*e)));
		*e = (struct entity){ .next = *world, .state = nr * 4 + i };
		*world = e;
	}
	if (nr % 2) {
		e = *world;
		*world = e->next;
		free(e);
	}
	memset(observation, (int)(*world)->state, OBSERVATION_BYTES);
	return (float)((*world)->state % 10);
}

static void environment_close(struct entity *world)
{
	while (world) {
		struct entity *next = world->next;

		free(world);
		world = next;
	}
}

/* ---- Actors ---- */

/* Allocated by malloc before the scope captures: it outlives the episode. */
static struct step *trajectory_new(void)
{
	struct step *first = NULL, *s;
	unsigned int i;

	for (i = 0; i < NR_STEPS; i++) {
		s = check(malloc(sizeof(*s)));
		s->next = first;
		first = s;
	}
	return first;
}

static void play(struct step *trajectory)
{
	struct entity *world = NULL;
	unsigned int nr = 0;

	for (; trajectory; trajectory = trajectory->next)
		trajectory->reward = environment_step(&world, nr++, trajectory->observation);
	/* In a scope there is no need. */
	if (!by_scope)
		environment_close(world);
}

static void *actor_run(void *arg)
{
	unsigned long i;

	for (i = 0; i < nr_episodes; i++) {
		struct step *trajectory = trajectory_new();
		struct numarena_scope *episode = NULL;

		if (by_scope)
			episode = check(numarena_scope_begin("episode", NUMARENA_SCOPE_CAPTURE));
		play(trajectory);
		numarena_scope_end(episode);
		queue_put(trajectory);
	}
	return arg;
}

/* ---- The learner ---- */

static double learn(struct step *s)
{
	double sum = 0;

	while (s) {
		struct step *next = s->next;

		sum += s->reward + s->observation[OBSERVATION_BYTES - 1];
		free(s);
		s = next;
	}
	return sum;
}

static double cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Return: microseconds an episode, or @best if that is less. */
static double run(double best, double *learned)
{
	pthread_t actors[NR_ACTORS];
	double start = cpu_us(), us;
	unsigned long i;

	*learned = 0;
	for (i = 0; i < NR_ACTORS; i++)
		if (pthread_create(&actors[i], NULL, actor_run, NULL))
			check(NULL);
	for (i = 0; i < nr_episodes * NR_ACTORS; i++)
		*learned += learn(queue_get());
	for (i = 0; i < NR_ACTORS; i++)
		pthread_join(actors[i], NULL);
	us = (cpu_us() - start) / (double)(nr_episodes * NR_ACTORS);
	return best && best < us ? best : us;
}

static unsigned long read_count(int argc, char **argv)
{
	unsigned long nr = argc > 1 ? strtoul(argv[1], NULL, 10) : USUAL_EPISODES;

	if (argc <= 2 && nr > 0)
		return nr;
	fprintf(stderr, "usage: actor_learner [episodes]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	struct numarena_stats s;
	double plain = 0, ours = 0, learned, same;

	nr_episodes = read_count(argc, argv);
	for (int round = 0; round < ROUNDS; round++) {
		by_scope = false;
		plain = run(plain, &learned);
		by_scope = true;
		ours = run(ours, &same);
	}
	if (learned != same || numarena_stats_get(&s, sizeof(s))) {
		fprintf(stderr, "actor_learner: what was learned differs\n");
		return EXIT_FAILURE;
	}
	printf("%d actors, %lu episodes of %d steps each\n", NR_ACTORS, nr_episodes, NR_STEPS);
	printf("malloc and free: %8.1f us an episode\n", plain);
	printf("episode scopes:  %8.1f us an episode, %.2f of that\n", ours, ours / plain);
	printf("%llu objects freed by the learner went home in %llu batches\n",
	       (unsigned long long)s.nr_remote_frees, (unsigned long long)s.nr_remote_batches);
	return EXIT_SUCCESS;
}
