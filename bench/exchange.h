/* SPDX-License-Identifier: MIT */
/*
 * How one thread hands objects to another that will free them.
 *
 * A ring with one writer and one reader.  Either side looks at the other's index
 * once a block of operations, not once an object: the hand-over is to cost little
 * beside the free that it brings about.
 */
#ifndef BENCH_EXCHANGE_H
#define BENCH_EXCHANGE_H

#include "process.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct parcel {
	void *object;
	uint32_t bytes;
};

struct ring {
	_Alignas(CACHE_LINE) _Atomic uint32_t sent;	/* written by the writer */
	uint32_t written;	/* writer's own: put, perhaps not yet sent */
	uint32_t room;		/* writer's own: parcels it may still put */
	_Alignas(CACHE_LINE) _Atomic uint32_t taken;	/* written by the reader */
	_Alignas(CACHE_LINE) uint32_t capacity;		/* a power of two */
	struct parcel *parcel;
};

struct ring *ring_new(uint32_t capacity);

/* Writer: makes what was put visible, and looks how much room the reader has left. */
static inline void ring_send(struct ring *ring)
{
	/* Pairs with ring_waiting(): the parcels are written before they are counted. */
	atomic_store_explicit(&ring->sent, ring->written, memory_order_release);
	/* Pairs with ring_take(): a slot is read before it is written again. */
	ring->room = ring->capacity - (ring->written -
		atomic_load_explicit(&ring->taken, memory_order_acquire));
}

/* Writer: false if the ring is full, as far as the last ring_send() saw. */
static inline bool ring_put(struct ring *ring, void *object, uint32_t bytes)
{
	if (!ring->room)
		return false;
	ring->room--;
	ring->parcel[ring->written++ & (ring->capacity - 1)] = (struct parcel){ object, bytes };
	return true;
}

/* Reader: parcels sent and not yet taken. */
static inline uint32_t ring_waiting(struct ring *ring)
{
	return atomic_load_explicit(&ring->sent, memory_order_acquire) -
		atomic_load_explicit(&ring->taken, memory_order_relaxed);
}

/* Reader: the @i-th of those waiting. */
static inline struct parcel ring_peek(const struct ring *ring, uint32_t i)
{
	uint32_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);

	return ring->parcel[(taken + i) & (ring->capacity - 1)];
}

/* Reader: done with the oldest @nr. */
static inline void ring_take(struct ring *ring, uint32_t nr)
{
	uint32_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);

	atomic_store_explicit(&ring->taken, taken + nr, memory_order_release);
}

#endif
