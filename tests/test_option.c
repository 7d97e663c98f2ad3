// SPDX-License-Identifier: MIT
/*
 * Settings: read back, changed, and taken from the environment.
 *
 * What NUMARENA_CONF says is read once at the start of a process.  So this program
 * starts itself again with another environment, as `test_option print <name>`,
 * and looks at what that wrote.
 */
#include "contract.h"

#include <signal.h>

static const char *const names[] = {
	"mode", "huge", "policy", "harden", "decay_ms", "scope_keep", "purge", "fork_rcu", "abort_conf",
	"stats", "stats_format",
};

static const char *value_of(const char *name)
{
	static char value[64];
	int len = numarena_option_get(name, value, sizeof(value));

	ck_assert_msg(len > 0 && (size_t)len == strlen(value), "%s: %d", name, len);
	return value;
}

START_TEST(every_option_reads_back)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		value_of(names[i]);
}
END_TEST

/* Expect: as in snprintf, the whole length and as much text as there is room for. */
START_TEST(short_room_cuts_the_text)
{
	char value[8] = "-------", whole[64];
	int len;

	len = numarena_option_get("mode", whole, sizeof(whole));
	ck_assert_int_ge(len, 5);
	ck_assert_int_eq(numarena_option_get("mode", value, 4), len);
	ck_assert_int_eq(value[3], '\0');
	ck_assert_int_eq(memcmp(value, whole, 3), 0);
	ck_assert_int_eq(value[4], '-');
	ck_assert_int_eq(numarena_option_get("mode", NULL, 0), len);
}
END_TEST

static void must_not_set(const char *name, const char *value, int code)
{
	int result, err;

	errno = ERRNO_MARK;
	result = numarena_option_set(name, value);
	err = errno;
	ck_assert_msg(result == -1 && err == code, "set %s:%s: %d, errno %d", name, value, result,
		      err);
}

START_TEST(unknown_names_are_refused)
{
	static const char *const unknown[] = { "", "mod", "modes", "Mode", "mode:arena", " mode" };
	char value[8];

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		errno = ERRNO_MARK;
		ck_assert_int_eq(numarena_option_get(unknown[i], value, sizeof(value)), -1);
		ck_assert_int_eq(errno, ENOENT);
		must_not_set(unknown[i], "1", ENOENT);
	}
	/* What getenv() answers when there is nothing. */
	must_not_set(NULL, "1", EINVAL);
	must_not_set("decay_ms", NULL, EINVAL);
	errno = ERRNO_MARK;
	ck_assert_int_eq(numarena_option_get(NULL, value, sizeof(value)), -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(what_start_has_fixed_cannot_be_set)
{
	must_not_set("mode", "sharded", EPERM);
	must_not_set("huge", "off", EPERM);
	must_not_set("harden", "1", EPERM);
}
END_TEST

START_TEST(decay_can_be_set)
{
	ck_assert_int_eq(numarena_option_set("decay_ms", "250"), 0);
	ck_assert_str_eq(value_of("decay_ms"), "250");
	ck_assert_int_eq(numarena_option_set("decay_ms", "2K"), 0);
	ck_assert_str_eq(value_of("decay_ms"), "2048");
	ck_assert_int_eq(numarena_option_set("purge", "step"), 0);
	ck_assert_str_eq(value_of("purge"), "step");
}
END_TEST

START_TEST(bad_values_change_nothing)
{
	static const char *const bad[] = {
		"", "-1", "x", "1x", " 1", "K", "1.5", "0x10", "99999999999999999999", "1T",
	};
	char before[64];

	strcpy(before, value_of("decay_ms"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		must_not_set("decay_ms", bad[i], EINVAL);
	ck_assert_str_eq(value_of("decay_ms"), before);
}
END_TEST

/* ---- From the environment ---- */

struct outcome {
	int status;
	char out[256];
	char err[512];
};

static void read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t nr;

	while ((nr = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)nr;
	text[len] = '\0';
	close(fd);
}

static _Noreturn void become_printer(const char *conf, const char *name, int out, int err)
{
	setenv("NUMARENA_CONF", conf, 1);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	execl("/proc/self/exe", "test_option", "print", name, NULL);
	_exit(127);
}

/* What a process started with NUMARENA_CONF=@conf has as @name. */
static struct outcome start_with(const char *conf, const char *name)
{
	struct outcome outcome;
	int out[2], err[2];
	pid_t pid;

	ck_assert_int_eq(pipe(out), 0);
	ck_assert_int_eq(pipe(err), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid)
		become_printer(conf, name, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	read_all(out[0], outcome.out, sizeof(outcome.out));
	read_all(err[0], outcome.err, sizeof(outcome.err));
	ck_assert_int_eq(waitpid(pid, &outcome.status, 0), pid);
	return outcome;
}

static unsigned int nr_lines(const char *text)
{
	unsigned int nr = 0;

	for (; *text; text++)
		nr += *text == '\n';
	return nr;
}

START_TEST(environment_is_read)
{
	static const struct {
		const char *conf, *name, *value;
	} cases[] = {
		{ "mode:sharded", "mode", "sharded" },
		{ "mode:baseline,huge:off", "mode", "baseline" },
		{ "mode:baseline,huge:off", "huge", "off" },
		{ "decay_ms:5", "decay_ms", "5" },
		{ "decay_ms:1M", "decay_ms", "1048576" },
		{ "harden:1", "harden", "true" },
		{ "harden:true", "harden", "true" },
		{ "harden:on,harden:off", "harden", "false" },
		{ "purge:step", "purge", "step" },
		{ "fork_rcu:off", "fork_rcu", "false" },
		{ "abort_conf:true,mode:arena", "mode", "arena" },
		{ "", "mode", "arena" },
		{ "mode:sharded,", "mode", "sharded" },
		{ "", "stats", "off" },
		{ "stats:page", "stats", "page" },
		{ "stats:SIGUSR2+page+SIGUSR1", "stats", "page+SIGUSR1+SIGUSR2" },
		{ "stats:exit,stats:off", "stats", "off" },
		{ "stats_format:prometheus", "stats_format", "prometheus" },
		{ "stats_file:", "stats_file", "" },
		{ "limit:1M", "limit", "1048576" },
		{ "limit:4K,limit:0", "limit", "0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct outcome outcome = start_with(cases[i].conf, cases[i].name);

		ck_assert_int_eq(outcome.status, 0);
		ck_assert_str_eq(outcome.err, "");
		ck_assert_msg(!strcmp(outcome.out, cases[i].value), "%s: %s is %s", cases[i].conf,
			      cases[i].name, outcome.out);
	}
}
END_TEST

/* Expect: one line that names what is wrong; the rest is taken. */
START_TEST(bad_environment_warns_once)
{
	static const char *const confs[] = {
		"nonsense:1,mode:sharded", "mode:sharded,nonsense", "mode:sharded,nonsense:",
		"nonsense:1,mode:sharded,nonsense:2", "huge:nonsense,mode:sharded",
		"decay_ms:nonsense,mode:sharded", "stats:exit+nonsense,mode:sharded",
		"stats:nonsense+,mode:sharded", "stats_file:nonsense%d,mode:sharded",
	};

	for (size_t i = 0; i < ARRAY_SIZE(confs); i++) {
		struct outcome outcome = start_with(confs[i], "mode");

		ck_assert_int_eq(outcome.status, 0);
		ck_assert_str_eq(outcome.out, "sharded");
		ck_assert_msg(nr_lines(outcome.err) == 1 && strstr(outcome.err, "nonsense") &&
			      !strncmp(outcome.err, "numarena: ", 10), "%s: %s", confs[i],
			      outcome.err);
	}
}
END_TEST

/* Expect: one line with what was asked for and what it is now, and the process starts. */
START_TEST(limit_leaves_room_to_start)
{
	static const char *const confs[] = { "limit:1", "limit:4096", "limit:1023K" };

	for (size_t i = 0; i < ARRAY_SIZE(confs); i++) {
		struct outcome outcome = start_with(confs[i], "limit");

		ck_assert_int_eq(outcome.status, 0);
		ck_assert_str_eq(outcome.out, "1048576");
		ck_assert_msg(nr_lines(outcome.err) == 1 && strstr(outcome.err, "limit:1M for limit:"),
			      "%s: %s", confs[i], outcome.err);
	}
}
END_TEST

/* Expect: the same line, and the process ends. */
START_TEST(abort_conf_makes_it_fatal)
{
	static const char *const confs[] = {
		"abort_conf:true,nonsense:1", "nonsense:1,abort_conf:1", "abort_conf:true,huge:big",
		"limit:4K,abort_conf:true",
	};

	for (size_t i = 0; i < ARRAY_SIZE(confs); i++) {
		struct outcome outcome = start_with(confs[i], "mode");

		ck_assert_msg(WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGABRT,
			      "%s: status %#x", confs[i], outcome.status);
		ck_assert_str_eq(outcome.out, "");
		ck_assert_msg(nr_lines(outcome.err) == 1 && !strncmp(outcome.err, "numarena: ", 10),
			      "%s: %s", confs[i], outcome.err);
	}
}
END_TEST

static int print_option(const char *name)
{
	char value[64];

	numarena_free(numarena_malloc(1));
	if (numarena_option_get(name, value, sizeof(value)) < 0)
		return EXIT_FAILURE;
	fputs(value, stdout);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *tc;

	if (argc == 3 && !strcmp(argv[1], "print"))
		return print_option(argv[2]);
	suite = suite_create("option");
	tc = tcase_create("contract");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_option_reads_back);
	tcase_add_test(tc, short_room_cuts_the_text);
	tcase_add_test(tc, unknown_names_are_refused);
	tcase_add_test(tc, what_start_has_fixed_cannot_be_set);
	tcase_add_test(tc, decay_can_be_set);
	tcase_add_test(tc, bad_values_change_nothing);
	tcase_add_test(tc, environment_is_read);
	tcase_add_test(tc, bad_environment_warns_once);
	tcase_add_test(tc, limit_leaves_room_to_start);
	tcase_add_test(tc, abort_conf_makes_it_fatal);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
