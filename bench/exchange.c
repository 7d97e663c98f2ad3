// SPDX-License-Identifier: MIT
#include "exchange.h"

struct ring *ring_new(uint32_t capacity)
{
	struct ring *ring = own_map(sizeof(*ring));

	ring->capacity = 1;
	while (ring->capacity < capacity)
		ring->capacity *= 2;
	ring->parcel = own_map(ring->capacity * sizeof(*ring->parcel));
	ring->room = ring->capacity;
	return ring;
}
