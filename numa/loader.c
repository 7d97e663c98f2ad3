// SPDX-License-Identifier: MIT
#include <link.h>
#include <sys/auxv.h>

#include "loader.h"

struct nar_loader nar_loader;

/* A static program has none, and one that was started as its argument is not told. */
void nar_loader_find(void)
{
	uintptr_t base = getauxval(AT_BASE);
	const ElfW(Ehdr) *file = (const void *)base;
	const ElfW(Phdr) *part;
	size_t end = 0, i;

	if (!base)
		return;
	part = (const void *)(base + file->e_phoff);
	for (i = 0; i < file->e_phnum; i++)
		if (part[i].p_type == PT_LOAD)
			end = max_of(end, (size_t)(part[i].p_vaddr + part[i].p_memsz));
	WRITE_ONCE(nar_loader.base, base);
	/* Release: pairs with nar_loader_is_found(). */
	store_release(&nar_loader.bytes, end);
}
