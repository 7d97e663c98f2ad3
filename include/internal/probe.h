/* SPDX-License-Identifier: MIT */
/*
 * Probes: places that a tracer can attach to while the program runs (USDT, by sys/sdt.h of
 * systemtap).  Each is a nop and a note in the file that says where it is and where its
 * arguments are; what costs more is done by who attaches.  Slow paths only: a fast path has
 * no room for a nop.
 *
 *	refill		class, objects, node, bytes	a magazine was filled
 *	flush		class, objects, node, bytes	objects went from a magazine into slabs
 *	remote_send	node, owner's node, objects, bytes	frees of what is another's
 *	remote_drain	node, objects			... were taken back
 *	span_commit	node, bytes, backing		memory was had from the kernel
 *	large_alloc	node, bytes			a block above 32 KiB, of the node's extents
 *	purge		node, bytes			memory was given back
 *	bind_fallback	node, bytes			the kernel or a policy let us bind nothing
 *	node_fallback	node, node it came from, bytes	a full node was passed over
 *	huge_fallback	node, bytes, enum nar_huge_loss	small pages in the place of huge ones
 *
 * Each name has one place, which tests/preload/usdt.sh sees to: perf attaches to one a name.
 * Where the header is not installed there are none.
 */
#ifndef NAR_PROBE_H
#define NAR_PROBE_H

enum nar_huge_loss { LOSS_THP_OFF, LOSS_REFUSED, LOSS_POOL_EMPTY, LOSS_NOT_COLLAPSED };

#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#endif
#endif

#ifdef STAP_PROBEV
#define nar_probe(name, ...) STAP_PROBEV(numarena, name, __VA_ARGS__)
#else
#define nar_probe(name, ...) do { } while (0)
#endif

#endif /* NAR_PROBE_H */
