// SPDX-License-Identifier: MIT
#include "account.h"

struct nar_account nar_accounts[NAR_MAX_HEAPS];

void nar_account_open(u32 heap, u64 limit_bytes)
{
	struct nar_account *a = &nar_accounts[heap];

	WRITE_ONCE(a->peak_bytes, READ_ONCE(a->used_bytes));
	WRITE_ONCE(a->nr_hit, 0);
	WRITE_ONCE(a->limit_bytes, limit_bytes);
}

static bool fits(const struct nar_account *a, u64 used, u64 bytes)
{
	u64 limit = READ_ONCE(a->limit_bytes);

	return !limit || (bytes <= limit && used <= limit - bytes);
}

bool nar_account_may_take(u32 heap, u64 bytes)
{
	const struct nar_account *a = &nar_accounts[heap];

	return fits(a, READ_ONCE(a->used_bytes), bytes);
}

/* Never more than the limit, not even for a moment: another's claim would fail of it. */
bool nar_account_try_take_slow(u32 heap, u64 bytes)
{
	struct nar_account *a = &nar_accounts[heap];
	u64 used = READ_ONCE(a->used_bytes);

	do {
		if (!fits(a, used, bytes)) {
			add_relaxed(&a->nr_hit, 1);
			return false;
		}
	} while (!__atomic_compare_exchange_n(&a->used_bytes, &used, used + bytes, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	raise_relaxed(&a->peak_bytes, used + bytes);
	return true;
}
