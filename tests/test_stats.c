// SPDX-License-Identifier: MIT
/*
 * Statistics move as the program does, and malloc_trim gives memory back.
 *
 * Counters are taken while the allocator runs, and other parts of this process
 * (Check itself) allocate too: the tests compare differences that are far larger.
 */
#include "contract.h"

#define NR_OBJECTS 20000
#define SIZE 300

static void *objects[NR_OBJECTS];

static struct numarena_stats stats_now(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats;
}

static void allocate_all(void)
{
	for (size_t i = 0; i < NR_OBJECTS; i++)
		objects[i] = must_give(numarena_malloc(SIZE));
}

static void *free_objects(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < NR_OBJECTS; i++)
		numarena_free(objects[i]);
	return NULL;
}

/*
 *	caller's struct	|known|known|	  |	as far as it goes
 *	caller's struct	|known|known|known|0|0|	zero past the library's end
 */
START_TEST(size_of_the_struct_is_respected)
{
	struct {
		struct numarena_stats stats;
		uint64_t beyond[4];
	} room;
	size_t half = offsetof(struct numarena_stats, nr_nodes);
	const unsigned char *bytes = (const unsigned char *)&room;

	memset(&room, 0xa5, sizeof(room));
	ck_assert_int_eq(numarena_stats_get(&room.stats, half), 0);
	ck_assert_uint_gt(room.stats.reserved_bytes, 0);
	for (size_t i = half; i < sizeof(room); i++)
		expect(bytes[i] == 0xa5, "byte %zu was written", i);

	ck_assert_int_eq(numarena_stats_get(&room.stats, sizeof(room)), 0);
	ck_assert(is_zero(room.beyond, sizeof(room.beyond)));

	errno = ERRNO_MARK;
	ck_assert_int_eq(numarena_stats_get(&room.stats, 0), -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(sums_are_plausible)
{
	struct numarena_stats stats;

	allocate_all();
	stats = stats_now();
	ck_assert_uint_ge(stats.nr_nodes, 1);
	ck_assert_uint_eq(stats.nr_classes, 96);
	ck_assert_uint_ge(stats.reserved_bytes, stats.committed_bytes);
	ck_assert_uint_ge(stats.committed_bytes, stats.slab_bytes + stats.large_bytes);
	ck_assert_uint_ge(stats.slab_bytes, (uint64_t)NR_OBJECTS * SIZE);
	ck_assert_uint_gt(stats.metadata_bytes, 0);
	ck_assert_uint_gt(stats.nr_slabs_made, 0);
	free_objects(NULL);
}
END_TEST

START_TEST(large_bytes_follow_live_blocks)
{
	uint64_t before = stats_now().large_bytes;
	void *blocks[64];

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		blocks[i] = must_give(numarena_malloc(MIB(1)));
	ck_assert_uint_ge(stats_now().large_bytes, before + MIB(64));
	ck_assert_uint_le(stats_now().large_bytes, before + MIB(66));
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		numarena_free(blocks[i]);
	ck_assert_uint_le(stats_now().large_bytes, before + MIB(2));
}
END_TEST

START_TEST(magazines_are_counted)
{
	struct numarena_stats before = stats_now(), after;

	allocate_all();
	free_objects(NULL);
	after = stats_now();
	if (!has_arenas())
		return;
	/* A refill brings 128 objects at most, a flush takes half of the 1024 that a magazine may hold. */
	ck_assert_uint_ge(after.nr_refills - before.nr_refills, NR_OBJECTS / 128);
	ck_assert_uint_le(after.nr_refills - before.nr_refills, NR_OBJECTS);
	ck_assert_uint_ge(after.nr_flushes - before.nr_flushes, NR_OBJECTS / 512);
	ck_assert_uint_le(after.nr_flushes - before.nr_flushes, NR_OBJECTS);
}
END_TEST

/* Expect: what magazines and tables grow by in reserved memory was made ready with it. */
START_TEST(reserve_has_metadata_ready)
{
	static void *live[100000];
	uint64_t reserved;
	unsigned int seed = 1;

	ck_assert_int_ge(numarena_reserve(NUMARENA_NODE_FOLLOW, MIB(64), 0), 0);
	reserved = stats_now().metadata_bytes;
	for (size_t i = 0; i < 5 * ARRAY_SIZE(live); i++) {
		void **object = &live[(size_t)rand_r(&seed) % ARRAY_SIZE(live)];

		numarena_free(*object);
		*object = must_give(numarena_malloc((size_t)rand_r(&seed) % 496 + 16));
	}
	for (size_t i = 0; i < ARRAY_SIZE(live); i++)
		numarena_free(live[i]);
	ck_assert_uint_eq(stats_now().metadata_bytes, reserved);
}
END_TEST

/* Expect: each free by another thread is counted, and sent with others. */
START_TEST(remote_frees_are_counted)
{
	struct numarena_stats before = stats_now(), after;
	uint64_t nr_frees, nr_batches;

	allocate_all();
	thread_join(thread_start(free_objects, NULL));
	after = stats_now();
	if (!has_arenas())
		return;
	nr_frees = after.nr_remote_frees - before.nr_remote_frees;
	nr_batches = after.nr_remote_batches - before.nr_remote_batches;
	ck_assert_uint_ge(nr_frees, NR_OBJECTS);
	ck_assert_uint_le(nr_frees, NR_OBJECTS + 1000);
	ck_assert_uint_ge(nr_batches, NR_OBJECTS / 64);
	ck_assert_uint_le(nr_batches, NR_OBJECTS / 4);
}
END_TEST

static pthread_barrier_t threads_meet;

static void *live_a_while(void *arg)
{
	*(void **)arg = numarena_malloc(SIZE);
	pthread_barrier_wait(&threads_meet);
	pthread_barrier_wait(&threads_meet);
	return NULL;
}

struct visit {
	struct numarena_stats before, during, after;
};

#define NR_VISITORS 8
static void *left_behind[NR_VISITORS];

/* Threads that leave an object each; their arenas wait for others no longer. */
static struct visit visit_by_threads(void)
{
	pthread_t threads[NR_VISITORS];
	struct visit visit;

	numarena_free(must_give(numarena_malloc(1)));
	visit.before = stats_now();
	pthread_barrier_init(&threads_meet, NULL, NR_VISITORS + 1);
	for (size_t i = 0; i < NR_VISITORS; i++)
		threads[i] = thread_start(live_a_while, &left_behind[i]);
	pthread_barrier_wait(&threads_meet);
	visit.during = stats_now();
	pthread_barrier_wait(&threads_meet);
	for (size_t i = 0; i < NR_VISITORS; i++)
		thread_join(threads[i]);
	numarena_malloc_trim(0);
	visit.after = stats_now();
	return visit;
}

static void left_behind_free(void)
{
	for (size_t i = 0; i < NR_VISITORS; i++)
		numarena_free(left_behind[i]);
}

/* Expect: an arena a thread, until it ends; then its slab has no owner. */
START_TEST(arenas_follow_threads)
{
	struct visit visit = visit_by_threads();

	left_behind_free();
	if (!has_arenas())
		return;
	ck_assert_uint_eq(visit.during.nr_arenas, visit.before.nr_arenas + NR_VISITORS);
	ck_assert_uint_eq(visit.after.nr_arenas, visit.before.nr_arenas);
	ck_assert_uint_ge(visit.after.nr_orphans, visit.before.nr_orphans + NR_VISITORS);
}
END_TEST

/* Expect: slabs that threads left are taken up, not left beside new ones. */
START_TEST(orphans_are_adopted)
{
	struct visit visit = visit_by_threads();
	struct numarena_stats after;

	allocate_all();
	after = stats_now();
	free_objects(NULL);
	left_behind_free();
	if (has_arenas())
		ck_assert_uint_gt(after.nr_adopted, visit.before.nr_adopted);
}
END_TEST

static pthread_key_t late_key;

/* Set anew once, so that the first allocation comes in the second round. */
static void allocate_late(void *arg)
{
	static __thread bool is_second_round;

	if (is_second_round)
		numarena_free(numarena_malloc(SIZE));
	else
		pthread_setspecific(late_key, arg);
	is_second_round = true;
}

static void *end_by_allocating(void *unused)
{
	pthread_setspecific(late_key, &late_key);
	return unused;
}

/* Expect: a thread that allocates first at its end leaves no arena either. */
START_TEST(arenas_of_late_threads_end)
{
	uint64_t before;

	numarena_free(must_give(numarena_malloc(1)));
	before = stats_now().nr_arenas;
	ck_assert_int_eq(pthread_key_create(&late_key, allocate_late), 0);
	for (unsigned int i = 0; i < 200; i++)
		thread_join(thread_start(end_by_allocating, NULL));
	ck_assert_uint_eq(stats_now().nr_arenas, before);
}
END_TEST

/* ---- malloc_trim ---- */

#define TRIM_BYTES MIB(256)
#define TRIM_KEPT MIB(32)	/* may stay resident */

/* Resident memory of @bytes in objects of @size, all freed and trimmed. */
static void trim_after(size_t size)
{
	size_t nr = TRIM_BYTES / size, before = status_bytes("VmRSS"), full, trimmed;
	void **all = must_give(numarena_malloc(nr * sizeof(*all)));

	for (size_t i = 0; i < nr; i++) {
		all[i] = numarena_malloc(size);
		expect(all[i], "malloc(%zu)", size);
		memset(all[i], 1, size);
	}
	full = status_bytes("VmRSS");
	ck_assert_uint_ge(full, before + TRIM_BYTES - TRIM_KEPT);
	for (size_t i = 0; i < nr; i++)
		numarena_free(all[i]);
	numarena_free(all);
	ck_assert_int_eq(numarena_malloc_trim(0), 1);
	trimmed = status_bytes("VmRSS");
	ck_assert_msg(trimmed + TRIM_BYTES - TRIM_KEPT <= full,
		      "objects of %zu bytes: %zu MiB resident, %zu after trim", size, full >> 20,
		      trimmed >> 20);
	ck_assert_uint_ge(stats_now().purged_bytes, TRIM_BYTES - TRIM_KEPT);
}

START_TEST(trim_gives_back_small_objects)
{
	trim_after(SIZE);
}
END_TEST

START_TEST(trim_gives_back_large_blocks)
{
	trim_after(MIB(1));
	trim_after(MIB(64));
}
END_TEST

/* Expect: what another thread has freed waits in our queue, and is given back too. */
START_TEST(trim_drains_the_queue)
{
	uint64_t before = stats_now().slab_bytes;

	allocate_all();
	thread_join(thread_start(free_objects, NULL));
	numarena_malloc_trim(0);
	ck_assert_uint_le(stats_now().slab_bytes, before + MIB(1));
}
END_TEST

/* Expect: errno alone, and the objects that live are not touched. */
START_TEST(trim_spares_the_living)
{
	static struct object living[2000];

	for (size_t i = 0; i < ARRAY_SIZE(living); i++)
		living[i] = object_new(i % 10 ? 10 * i : KIB(100), i);
	for (size_t i = 0; i < ARRAY_SIZE(living); i++)
		if (i % 3)
			object_delete(&living[i]);
	must_keep_errno(numarena_malloc_trim(0));
	for (size_t i = 0; i < ARRAY_SIZE(living); i++)
		object_delete(&living[i]);
	must_keep_errno(numarena_malloc_trim(SIZE_MAX));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stats");
	TCase *tc = tcase_create("contract");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, size_of_the_struct_is_respected);
	tcase_add_test(tc, sums_are_plausible);
	tcase_add_test(tc, large_bytes_follow_live_blocks);
	tcase_add_test(tc, magazines_are_counted);
	tcase_add_test(tc, reserve_has_metadata_ready);
	tcase_add_test(tc, remote_frees_are_counted);
	tcase_add_test(tc, arenas_follow_threads);
	tcase_add_test(tc, orphans_are_adopted);
	tcase_add_test(tc, arenas_of_late_threads_end);
	tcase_add_test(tc, trim_gives_back_small_objects);
	tcase_add_test(tc, trim_gives_back_large_blocks);
	tcase_add_test(tc, trim_drains_the_queue);
	tcase_add_test(tc, trim_spares_the_living);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
