// What the hostile guests share: a seeded generator, clocks, and a way to end that the
// test can read. Every guest prints one last line that starts with "done".
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;

static __thread u64 rng_state = 88172645463325252ull;

static inline void seed_rng(u64 s)
{
	rng_state = (s + 1) * 0x9e3779b97f4a7c15ull;
	if (!rng_state)
		rng_state = 1;
}

static inline u64 rnd(void)
{
	u64 x = rng_state;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return rng_state = x;
}

static inline u64 below(u64 n) { return (rnd() >> 11) % n; }
static inline int chance(int percent) { return below(100) < (u64)percent; }

#define PICK(a) ((a)[below(sizeof(a) / sizeof((a)[0]))])

static inline u64 now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

static inline void sleep_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
	syscall(SYS_nanosleep, &ts, 0);
}

// worker_fn runs in a process that is the first of its own pid namespace: it can name,
// signal and trace only what it made itself, and its end is the end of all of that.
typedef void (*worker_fn)(u64 seed);

static inline pid_t spawn_worker(worker_fn fn, u64 seed, u64 flags)
{
	pid_t pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	if (pid)
		return pid;
	seed_rng(seed);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	open("/dev/null", O_RDWR);
	dup(0);
	dup(0);
	fn(seed);
	_exit(0);
}

enum { SLOTS = 64 };

// drain takes every event of children. A worker whose threads asked to be traced has us
// for a tracer: its dead threads must be waited for too, and its stops are no ends.
static inline void drain(pid_t *pid)
{
	int st;
	pid_t got;
	while ((got = waitpid(-1, &st, WNOHANG | __WALL)) > 0) {
		if (!WIFEXITED(st) && !WIFSIGNALED(st)) {
			kill(got, SIGKILL);
			continue;
		}
		for (int i = 0; i < SLOTS; i++)
			if (pid[i] == got)
				pid[i] = 0;
	}
}

// supervise keeps `slots` workers alive for `seconds`, each at most life_ms, and takes
// note of how long its own turns take: a supervisor that gets no turn is a dead kernel.
static inline int supervise(worker_fn fn, u64 seed, int seconds, int slots, int life_ms, u64 flags)
{
	pid_t pid[SLOTS] = {0};
	u64 born[SLOTS] = {0}, end = now_ms() + seconds * 1000ull, spawned = 0, refused = 0, worst = 0;
	while (now_ms() < end) {
		u64 before = now_ms();
		drain(pid);
		for (int i = 0; i < slots; i++) {
			if (pid[i] > 0 && now_ms() - born[i] > (u64)life_ms)
				kill(pid[i], SIGKILL);
			if (pid[i] > 0)
				continue;
			pid[i] = spawn_worker(fn, seed + spawned * 7919, flags);
			born[i] = now_ms();
			if (pid[i] > 0)
				spawned++;
			else
				refused++;
		}
		sleep_ms(20);
		u64 took = now_ms() - before;
		if (took > worst)
			worst = took;
	}
	u64 before = now_ms();
	for (int left = 1; left; sleep_ms(1)) {
		left = 0;
		for (int i = 0; i < slots; i++)
			if (pid[i] > 0)
				kill(pid[i], SIGKILL), left++;
		drain(pid);
	}
	printf("done seed=%llu spawned=%llu refused=%llu worst_turn_ms=%llu teardown_ms=%llu\n", (unsigned long long)seed,
	       (unsigned long long)spawned, (unsigned long long)refused, (unsigned long long)worst,
	       (unsigned long long)(now_ms() - before));
	fflush(stdout);
	return spawned == 0;
}
