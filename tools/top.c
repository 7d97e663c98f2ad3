// SPDX-License-Identifier: MIT
/*
 * `numarena top`: all processes that publish statistics, as often as is asked for.
 *
 * A rate is what a counter has grown between two publications, by the process's own clock: one
 * that has published nothing since has done nothing that is counted.  At first it is the mean
 * since the process began.
 *
 * Where pages are is asked of the kernel, which looks at all of them: so a process is looked
 * at again when twenty times as long has passed as that took.
 */
#include "audit.h"
#include "page.h"
#include "screen.h"
#include "tool.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arena/figures.h"

#define LOOK_PART 20

enum rate { RATE_REFILLS, RATE_FLUSHES, RATE_REMOTE, RATE_PURGED, RATE_LOSSES, RATE_WAITS, NR_RATES };

struct process {
	pid_t pid;
	uint64_t start_ticks;
	bool is_here;			/* in this round */
	char name[16];
	uint64_t published_ns, committed_bytes;
	uint64_t counted[NR_RATES];
	double rate[NR_RATES];		/* a second */
	uint64_t next_look_ns;
	uint64_t kib, misplaced_kib, meant_kib, huge_kib;
	char where[64];			/* "0:62%,1:38%" */
};

static struct process *processes;
static size_t nr_processes;

/* ---- Gathering ---- */

static struct process *process_find(pid_t pid, uint64_t start_ticks)
{
	struct process *more;
	size_t i;

	for (i = 0; i < nr_processes; i++)
		if (processes[i].pid == pid && processes[i].start_ticks == start_ticks)
			return &processes[i];
	more = realloc(processes, (nr_processes + 1) * sizeof(*more));
	if (!more)
		tool_die(TOOL_FAILED, "out of memory");
	processes = more;
	processes[nr_processes] = (struct process){ .pid = pid, .start_ticks = start_ticks };
	return &processes[nr_processes++];
}

static uint64_t losses_of(const struct numarena_stats *s)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < NAR_NR_PROCESS_FIGURES; i++)
		if (nar_process_figures[i].is_loss)
			sum += nar_figure_of(&nar_process_figures[i], s);
	return sum;
}

static void take_rates(struct process *p, const struct page *page)
{
	const struct numarena_stats *s = &page->stats;
	const uint64_t now[NR_RATES] = { s->nr_refills, s->nr_flushes, s->nr_remote_frees,
					 s->purged_bytes, losses_of(s), s->lock_contended };
	uint64_t since = p->published_ns ? p->published_ns : page->head.started_ns;
	double seconds = (double)(page->head.published_ns - since) / 1e9;
	unsigned int i;

	for (i = 0; i < NR_RATES; i++) {
		uint64_t more = now[i] - p->counted[i];

		/* An exec begins anew. */
		if (now[i] < p->counted[i])
			more = now[i];
		p->rate[i] = page->head.published_ns > since ? (double)more / seconds : 0;
		p->counted[i] = now[i];
	}
	p->published_ns = page->head.published_ns;
}

/* The three nodes with most of it. */
static void say_where(struct process *p, const struct finding *f)
{
	uint64_t left[MAX_PLACES], all = audit_sum(f->on_kib);
	unsigned int nth, i, most;
	size_t len = 0;

	memcpy(left, f->on_kib, sizeof(left));
	p->where[0] = '\0';
	for (nth = 0; nth < 3; nth++) {
		for (most = 0, i = 1; i < f->maps.nr_places; i++)
			if (left[i] > left[most])
				most = i;
		if (!left[most])
			return;
		len += (size_t)snprintf(p->where + len, sizeof(p->where) - len, "%s%u:%.0f%%", nth ? "," : "",
					f->maps.node[most], 100 * (double)left[most] / (double)all);
		left[most] = 0;
	}
}

static void take_places(struct process *p)
{
	static struct finding f;
	uint64_t begun = page_clock_ns();

	if (begun < p->next_look_ns)
		return;
	memset(&f, 0, sizeof(f));
	f.pid = p->pid;
	if (!audit_look(&f)) {
		p->kib = audit_sum(f.on_kib);
		p->meant_kib = audit_sum(f.meant_kib);
		p->misplaced_kib = audit_sum(f.misplaced_kib);
		p->huge_kib = audit_sum(f.huge_kib) + f.unbound_huge_kib;
		say_where(p, &f);
	}
	p->next_look_ns = begun + (page_clock_ns() - begun) * LOOK_PART;
}

static void take_process(pid_t pid)
{
	static struct page page;
	struct process *p;

	if (page_read(&page, pid) != PAGE_OK || page.head.state == STATPAGE_OVER)
		return;
	p = process_find(pid, page.head.start_ticks);
	p->is_here = true;
	memcpy(p->name, page.head.name, sizeof(p->name));
	p->committed_bytes = page.stats.committed_bytes;
	take_rates(p, &page);
	take_places(p);
}

static void forget_the_dead(void)
{
	size_t i, kept = 0;

	for (i = 0; i < nr_processes; i++)
		if (processes[i].is_here)
			processes[kept++] = processes[i];
	nr_processes = kept;
}

static void take_all(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	size_t i;

	if (!proc)
		tool_die(TOOL_FAILED, "cannot read /proc: %s", strerror(errno));
	for (i = 0; i < nr_processes; i++)
		processes[i].is_here = false;
	while ((d = readdir(proc)))
		if (isdigit((unsigned char)d->d_name[0]))
			take_process(atoi(d->d_name));
	closedir(proc);
	forget_the_dead();
}

/* ---- Order ---- */

static double ratio(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static double by_pid(const struct process *p)
{
	return -p->pid;
}

static double by_memory(const struct process *p)
{
	return (double)p->kib;
}

static double by_huge(const struct process *p)
{
	return ratio(p->huge_kib, p->kib);
}

static double by_elsewhere(const struct process *p)
{
	return (double)p->misplaced_kib;
}

static double by_refills(const struct process *p)
{
	return p->rate[RATE_REFILLS];
}

static double by_remote(const struct process *p)
{
	return p->rate[RATE_REMOTE];
}

static double by_fallbacks(const struct process *p)
{
	return p->rate[RATE_LOSSES];
}

static const struct order {
	const char *name;
	double (*weight)(const struct process *p);
} orders[] = {
	{ "memory", by_memory }, { "pid", by_pid }, { "huge", by_huge }, { "elsewhere", by_elsewhere },
	{ "refills", by_refills }, { "remote", by_remote }, { "fallbacks", by_fallbacks },
};

static unsigned int order;	/* of orders[] */

static int compare(const void *a, const void *b)
{
	const struct process *x = a, *y = b;
	double wx = orders[order].weight(x), wy = orders[order].weight(y);

	if (wx != wy)
		return wx < wy ? 1 : -1;
	return x->pid < y->pid ? -1 : 1;
}

/* ---- Lines ---- */

#define LINE_BYTES 256

/* On a terminal of 80 columns the last rates are cut off, and not the nodes. */
static const char heading[] = "    PID NAME               MEM  HUGE   ELSE NODES              COMMIT REFILL/s "
			      " FLUSH/s REMOTE/s  PURGE/s  FALLB/s  WAITS/s";

/* 0 to 9999, then by thousands or 1024s: five characters at most. */
static const char *scaled(char text[16], double n, double unit)
{
	static const char suffix[] = "KMGTP";
	unsigned int i = 0;

	if (n < 9999.5) {
		snprintf(text, 16, n > 0 && n < 9.95 ? "%.1f" : "%.0f", n);
		return text;
	}
	for (n /= unit; n >= 999.5 && i < sizeof(suffix) - 2; i++)
		n /= unit;
	snprintf(text, 16, n < 99.5 ? "%.1f%c" : "%.0f%c", n, suffix[i]);
	return text;
}

static const char *bytes(char text[16], double n)
{
	if (n < 1024)
		snprintf(text, 16, "%.0f", n);
	else if (n < 1024 * 1024)
		snprintf(text, 16, "%.0fK", n / 1024);
	else
		return scaled(text, n, 1024);
	return text;
}

static const char *percent(char text[16], uint64_t part, uint64_t whole)
{
	/* Cut, not rounded: what is not all is not 100 %. */
	if (whole)
		snprintf(text, 16, "%u%%", (unsigned int)(100 * ratio(part, whole)));
	else
		strcpy(text, "-");
	return text;
}

/* Names are the program's to choose; they are not to move the cursor. */
static const char *plain_name(char text[16], const char *name)
{
	unsigned int i;

	for (i = 0; i < 15 && name[i]; i++)
		text[i] = isprint((unsigned char)name[i]) ? name[i] : '?';
	text[i] = '\0';
	return text;
}

static void format_line(char line[LINE_BYTES], const struct process *p)
{
	char text[12][16];
	int len;
	unsigned int i;

	len = snprintf(line, LINE_BYTES, "%7d %-15s %6s %5s %6s %-17s %7s", (int)p->pid, plain_name(text[0], p->name),
		       bytes(text[1], (double)p->kib * 1024), percent(text[2], p->huge_kib, p->kib),
		       bytes(text[3], (double)p->misplaced_kib * 1024), *p->where ? p->where : "-",
		       bytes(text[4], (double)p->committed_bytes));
	for (i = 0; i < NR_RATES; i++)
		len += snprintf(line + len, (size_t)(LINE_BYTES - len), " %8s",
				i == RATE_PURGED ? bytes(text[5 + i], p->rate[i]) :
				scaled(text[5 + i], p->rate[i], 1000));
}

static void format_title(char line[LINE_BYTES])
{
	time_t now = time(NULL);
	struct tm tm;
	char clock[32] = "";

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%F %T", &tm);
	if (nr_processes)
		snprintf(line, LINE_BYTES, "numarena top, %s, %zu %s, by %s", clock, nr_processes,
			 nr_processes == 1 ? "process" : "processes", orders[order].name);
	else
		snprintf(line, LINE_BYTES, "numarena top, %s: no process that may be looked at has stats:page "
			 "in its NUMARENA_CONF", clock);
}

static void print_round(void)
{
	char line[LINE_BYTES];
	size_t i;

	format_title(line);
	printf("%s\n", line);
	if (nr_processes)
		printf("%s\n", heading);
	for (i = 0; i < nr_processes; i++) {
		format_line(line, &processes[i]);
		printf("%s\n", line);
	}
}

static void draw_round(void)
{
	unsigned int rows = screen_rows();
	char line[LINE_BYTES];
	size_t i;

	screen_begin();
	format_title(line);
	screen_line(line, false);
	screen_line(heading, true);
	/* The last line has no end, or the picture would move. */
	for (i = 0; i < nr_processes && i + 3 < rows; i++) {
		format_line(line, &processes[i]);
		screen_line(line, false);
	}
	screen_end();
}

static void sort(void)
{
	if (nr_processes)
		qsort(processes, nr_processes, sizeof(*processes), compare);
}

/* ---- The command ---- */

enum { KEY_ONCE = 256 };

static const struct tool_option options[] = {
	{ "interval", "SECONDS", 'i', "time between two rounds, 0.1 to 3600; 2 if not given" },
	{ "count", "N", 'n', "end after so many rounds" },
	{ "once", NULL, KEY_ONCE, "the same as --count 1" },
	{ "sort", "KEY", 's', "memory (the default), pid, huge, elsewhere, refills, remote or fallbacks" },
	{ NULL, NULL, 0, NULL },
};

static const struct tool_usage usage = {
	.name = "top",
	.synopsis = "[OPTION]...",
	.about = "Shows the processes that publish statistics (stats:page in NUMARENA_CONF): their memory, how\n"
		 "much of it lies on huge pages and how much on another node than it should, and what they\n"
		 "do a second.  On a terminal the picture is drawn anew each time; else rounds are printed\n"
		 "one after the other.",
	.options = options,
	.notes = "Keys: q ends, s sorts by the next key, any other one looks again at once.\n\n"
		 "Rates of the first round are means since the process began.  Other users' processes are\n"
		 "seen by root only.  The exit status is 0, 1 if the output cannot be written, 2 for a wrong call.",
};

struct plan {
	unsigned int interval_ms;
	unsigned long count;		/* 0: for ever */
};

static unsigned int read_interval(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.1 && seconds <= 3600))
		tool_usage_error(&usage, "'%s' is no time from 0.1 to 3600 seconds", text);
	return (unsigned int)(seconds * 1000);
}

static unsigned long read_count(const char *text)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || !n)
		tool_usage_error(&usage, "'%s' is no number of rounds", text);
	return n;
}

static unsigned int read_order(const char *text)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++)
		if (!strcmp(orders[i].name, text))
			return i;
	tool_usage_error(&usage, "there is no key '%s' to sort by", text);
}

static struct plan read_options(int argc, char **argv)
{
	struct plan plan = { .interval_ms = 2000 };
	int key;

	while ((key = tool_option(&usage, argc, argv)) != -1) {
		if (key == 'i')
			plan.interval_ms = read_interval(optarg);
		else if (key == 'n')
			plan.count = read_count(optarg);
		else if (key == KEY_ONCE)
			plan.count = 1;
		else if (key == 's')
			order = read_order(optarg);
	}
	if (optind < argc)
		tool_usage_error(&usage, "what is '%s'? no operand is taken", argv[optind]);
	return plan;
}

static int run_plain(const struct plan *plan)
{
	unsigned long round;

	for (round = 1; ; round++) {
		take_all();
		sort();
		print_round();
		if (round == plan->count || !tool_flush())
			break;
		poll(NULL, 0, (int)plan->interval_ms);
		putchar('\n');
	}
	return TOOL_OK;
}

/* Return: whether to go on. */
static bool obey_key(int key)
{
	if (key == 's')
		order = (order + 1) % ARRAY_SIZE(orders);
	return key != 'q' && key != 'Q';
}

static int run_on_screen(const struct plan *plan)
{
	unsigned long round;
	bool goes_on = true;

	for (round = 1; goes_on && !ferror(stdout); round++) {
		take_all();
		sort();
		draw_round();
		if (round == plan->count)
			break;
		goes_on = obey_key(screen_wait(plan->interval_ms));
	}
	screen_close();
	return TOOL_OK;
}

int cmd_top(int argc, char **argv)
{
	struct plan plan = read_options(argc, argv);

	return plan.count != 1 && screen_open() ? run_on_screen(&plan) : run_plain(&plan);
}
