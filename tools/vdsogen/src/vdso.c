/*
 * The vDSO that the kernel maps into every program (vdso(7)): clock and processor
 * queries that need no system call. Built by tools/vdsogen; the result is committed as
 * sentry/loader/vdso/vdso_amd64.so.
 *
 * One page of data lies right before the image. The Sentry writes it (package vdso) under
 * a sequence counter that is odd while an update runs. A clock is
 *     base + ((tsc - tsc_base) * mult >> shift) nanoseconds
 * when flags bit 0 is set; otherwise every function makes the system call.
 */
typedef unsigned int u32;
typedef unsigned long u64;
typedef long s64;

struct data {
	u32 seq, flags;
	u64 tsc_base;
	u64 mono_base; /* ns of CLOCK_MONOTONIC at tsc_base */
	s64 real_off;  /* CLOCK_REALTIME - CLOCK_MONOTONIC, ns */
	s64 boot_off;  /* CLOCK_BOOTTIME - CLOCK_MONOTONIC, ns */
	u32 mult, shift;
};

struct timespec { s64 sec, nsec; };
struct timeval { s64 sec, usec; };
struct timezone { int minuteswest, dsttime; };

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

#define NSEC 1000000000UL
#define SYS_gettimeofday 96
#define SYS_time 201
#define SYS_clock_gettime 228
#define SYS_clock_getres 229
#define SYS_getcpu 309

static inline const volatile struct data *data(void)
{
	return (const volatile struct data *)(__ehdr_start - 4096);
}

static inline long syscall2(long nr, long a, long b)
{
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "0"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return r;
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;
	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

/* read_clock returns 0 and the clock's nanoseconds, or -1 if the data say to ask the kernel. */
static inline int read_clock(int clock, u64 *ns)
{
	const volatile struct data *d = data();
	u32 seq;
	u64 t, delta;

	do {
		seq = d->seq;
		__asm__ volatile("" ::: "memory");
		if (!(d->flags & 1))
			return -1;
		delta = rdtsc() - d->tsc_base;
		if ((s64)delta < 0)
			delta = 0;
		t = d->mono_base + (u64)(((unsigned __int128)delta * d->mult) >> d->shift);
		switch (clock) {
		case 0: case 5: /* REALTIME, REALTIME_COARSE */
			t += d->real_off;
			break;
		case 1: case 4: case 6: /* MONOTONIC, _RAW, _COARSE */
			break;
		case 7: /* BOOTTIME */
			t += d->boot_off;
			break;
		default:
			return -1;
		}
		__asm__ volatile("" ::: "memory");
	} while ((seq & 1) || seq != d->seq);
	*ns = t;
	return 0;
}

int __vdso_clock_gettime(int clock, struct timespec *ts)
{
	u64 ns;

	if (read_clock(clock, &ns))
		return syscall2(SYS_clock_gettime, clock, (long)ts);
	ts->sec = ns / NSEC;
	ts->nsec = ns % NSEC;
	return 0;
}

int __vdso_clock_getres(int clock, struct timespec *ts)
{
	return syscall2(SYS_clock_getres, clock, (long)ts);
}

int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz)
{
	u64 ns;

	if (read_clock(0, &ns))
		return syscall2(SYS_gettimeofday, (long)tv, (long)tz);
	if (tv) {
		tv->sec = ns / NSEC;
		tv->usec = ns % NSEC / 1000;
	}
	if (tz)
		tz->minuteswest = tz->dsttime = 0;
	return 0;
}

s64 __vdso_time(s64 *t)
{
	u64 ns;

	if (read_clock(0, &ns))
		return syscall2(SYS_time, (long)t, 0);
	ns /= NSEC;
	if (t)
		*t = ns;
	return ns;
}

/*
 * Linux keeps the processor in the low 12 bits of the limit of a segment of its own
 * (selector 0x7b), and the node above them.
 */
long __vdso_getcpu(u32 *cpu, u32 *node, void *unused)
{
	u32 aux = 0;

	(void)unused;
	if (!(data()->flags & 2))
		return syscall2(SYS_getcpu, (long)cpu, (long)node);
	__asm__ volatile("lsl %1, %0" : "=r"(aux) : "r"(0x7b));
	if (cpu)
		*cpu = aux & 0xfff;
	if (node)
		*node = aux >> 12;
	return 0;
}

#define ALIAS(name) __typeof__(__vdso_##name) name __attribute__((weak, alias("__vdso_" #name)))
ALIAS(clock_gettime);
ALIAS(clock_getres);
ALIAS(gettimeofday);
ALIAS(time);
ALIAS(getcpu);
