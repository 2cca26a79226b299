/* Time never goes back between the vDSO and the system call, and across threads. */
#include "check.h"
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#define NSEC 1000000000LL

static long long by_vdso(clockid_t id)
{
	struct timespec t;
	if (clock_gettime(id, &t)) return -1;
	return t.tv_sec * NSEC + t.tv_nsec;
}

static long long by_call(clockid_t id)
{
	struct timespec t;
	if (syscall(SYS_clock_gettime, id, &t)) return -1;
	return t.tv_sec * NSEC + t.tv_nsec;
}

/* turns: reads in turn for a while; the number of steps back. */
static int turns(clockid_t id, long long duration)
{
	long long last = by_call(id), end = last + duration;
	int back = 0;
	while (last < end) {
		for (int i = 0; i < 20; i++) {
			long long now = by_vdso(id);
			back += now < last;
			last = now;
		}
		long long now = by_call(id);
		back += now < last;
		last = now;
	}
	return back;
}

/* Two threads read what the other has read last, and may never have read less. */
static long long newest;
static int went_back, stop;

static void *reader(void *arg)
{
	int call = arg != 0;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		long long seen = __atomic_load_n(&newest, __ATOMIC_ACQUIRE);
		long long now = call ? by_call(CLOCK_MONOTONIC) : by_vdso(CLOCK_MONOTONIC);
		if (now < seen) __atomic_fetch_add(&went_back, 1, __ATOMIC_RELAXED);
		while (seen < now && !__atomic_compare_exchange_n(&newest, &seen, now, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) ;
	}
	return 0;
}

int main(void)
{
	struct { clockid_t id; const char *name; } clocks[] = {
		{CLOCK_MONOTONIC, "monotonic"}, {CLOCK_REALTIME, "realtime"}, {CLOCK_BOOTTIME, "boottime"},
	};
	for (int i = 0; i < 3; i++)
		printf("%s: %d steps back\n", clocks[i].name, turns(clocks[i].id, NSEC / 5));

	pthread_t a, b;
	pthread_create(&a, 0, reader, 0);
	pthread_create(&b, 0, reader, (void *)1);
	usleep(300000);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(a, 0);
	pthread_join(b, 0);
	printf("threads: %d steps back\n", went_back);

	/* gettimeofday and time are of the same clock. */
	struct timeval tv;
	long long before = by_call(CLOCK_REALTIME);
	gettimeofday(&tv, 0);
	long long us = tv.tv_sec * 1000000LL + tv.tv_usec;
	long long after = by_call(CLOCK_REALTIME);
	printf("gettimeofday between: %d\n", before / 1000 <= us && us <= after / 1000);
	time_t s = time(0);
	printf("time between: %d\n", after / NSEC <= s && s <= by_call(CLOCK_REALTIME) / NSEC);

	/* A sleep until a moment does not end before it. */
	int early = 0;
	for (int i = 0; i < 20; i++) {
		long long until = by_vdso(CLOCK_MONOTONIC) + 1000000;
		struct timespec t = {until / NSEC, until % NSEC};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0);
		early += by_vdso(CLOCK_MONOTONIC) < until;
	}
	printf("sleeps that ended early: %d\n", early);
	return 0;
}
