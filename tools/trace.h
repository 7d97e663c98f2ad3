/* SPDX-License-Identifier: MIT */
/*
 * A trace of allocations, as `numarena record` writes it and `numarena replay` reads it.
 *
 *	| header, 64 KiB | block, 64 KiB | block | ...
 *
 * The writer maps a block of the file for each thread and writes its records there, so that
 * what a program has done is in the file however it ends, and no more than the record that was
 * being written is lost.  Numbers of fixed width are little-endian.
 *
 * A block is a struct trace_block and its records, one behind the other.  A record is made of
 * varints: seven bits a byte, the lowest first, the eighth bit set but in the last.  Signed
 * ones are zigzag: 0, -1, 1, -2, ... are 0, 1, 2, 3, ...  Differences are to the record before
 * in the same block, to 0 in its first.
 *
 *	time, ns, difference << 3 | kind
 *	order, difference
 *	MALLOC, CALLOC	address, size
 *	ALIGNED		address, size, log2 of the alignment
 *	FREE		address
 *	REALLOC		old address, new address, size, order of the end less that of the beginning
 *	THREAD		number: the records from here on, up to the block's end, are of that thread
 *	THREAD_END	nothing: the thread's specific data has been destroyed
 *
 * An address is signed, in units of 8 bytes, as difference to the address before it.  Orders
 * are numbers from 0 on that one counter gives out, each once: that of an allocation when it
 * has returned, that of a free before it is called, and a realloc has one of each.  So whoever
 * goes through all records by order sees each address allocated, freed, and allocated again.
 * Orders that nobody has are normal.  An allocation that failed has address 0, and so has
 * the new address of a realloc that did.  realloc(NULL, size) is MALLOC, realloc(p, 0) that
 * answered NULL is FREE, and free(NULL) is nothing.
 *
 * Not recorded: calls from a signal handler that interrupted another, and what comes after
 * the file system is full, of which a line on stderr tells.
 */
#ifndef TOOL_TRACE_H
#define TOOL_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC "NARTRACE"
#define TRACE_VERSION 1
#define TRACE_ENDIAN 0x01020304u
#define TRACE_BLOCK_BYTES 65536

/*
 * For the record library: "PID:BIRTH:FILE", so that forked and spawned children record nothing,
 * nor one that has that number later.
 */
#define TRACE_ENVIRONMENT "NUMARENA_RECORD"

struct trace_header {
	char magic[8];
	uint32_t endian;
	uint32_t version;
	uint32_t block_bytes;
	uint32_t pid;
	uint64_t started_ns;		/* since 1970 */
	uint64_t started_clock_ns;	/* by the clock of the records */
	char command[1024];		/* its words, a zero byte behind each; cut */
};

struct trace_block {
	uint32_t used;			/* bytes of records; written after them */
	uint32_t reserved;
	unsigned char records[TRACE_BLOCK_BYTES - 8];
};

enum trace_kind {
	TRACE_MALLOC,
	TRACE_CALLOC,
	TRACE_ALIGNED,
	TRACE_FREE,
	TRACE_REALLOC,
	TRACE_THREAD,
	TRACE_THREAD_END,
};

#define TRACE_KIND_BITS 3
#define TRACE_ADDRESS_SHIFT 3

/* Six varints of up to 10 bytes. */
#define TRACE_RECORD_MAX 60

/* ---- Reading ---- */

struct trace {
	const unsigned char *map;
	size_t bytes;
	size_t nr_blocks;		/* without the header's */
	const struct trace_header *header;
};

struct trace_event {
	enum trace_kind kind;
	uint32_t thread;
	uint64_t order, order_end;	/* order_end: of a realloc */
	uint64_t time_ns;
	uint64_t address;		/* of the new object, or of the freed one */
	uint64_t old;			/* of a realloc */
	uint64_t size;
	unsigned int align_shift;
};

struct trace_cursor {
	const unsigned char *at, *end;
	struct trace_event before;
};

/* Ends the process with one line if it is no trace of this version. */
void trace_open(struct trace *t, const char *path);
void trace_close(struct trace *t);

void trace_begin(const struct trace *t, size_t block, struct trace_cursor *c);

/* Return: false at the block's end, or at a record that cannot be one: then c->at < c->end. */
bool trace_next(struct trace_cursor *c, struct trace_event *e);

/* The program's name and arguments, with spaces. */
void trace_command(const struct trace *t, char *text, size_t size);

#endif /* TOOL_TRACE_H */
