// SPDX-License-Identifier: MIT
/*
 * Plain system calls and the caller's buffer: malloc may be what is asking.
 */
#include <fcntl.h>
#include <unistd.h>

#include "cancel.h"
#include "text.h"

ssize_t nar_text_read(const char *path, char *buf, size_t size)
{
	int cancel = nar_cancel_forbid();
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	nar_cancel_restore(cancel);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

char *nar_text_number(char *to, u64 n)
{
	char digits[20];
	unsigned int len = 0;

	do
		digits[len++] = (char)('0' + n % 10);
	while (n /= 10);
	while (len)
		*to++ = digits[--len];
	*to = '\0';
	return to;
}
