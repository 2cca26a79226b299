/* One kind of operation, timed: prints nanoseconds per operation. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int fd, p[2], q[2];
static char buf[4096];
static int word;

static void do_getppid(void) { syscall(SYS_getppid); }
static void do_read(void) { if (pread(fd, buf, sizeof buf, 0) < 0) exit(2); }
static void do_write(void) { if (pwrite(fd, buf, sizeof buf, 0) < 0) exit(2); }
static void do_open(void) { int f = open("/tmp/bench.f", O_RDONLY); if (f < 0) exit(2); close(f); }
static void do_stat(void) { struct stat s; if (stat("/tmp/bench.f", &s)) exit(2); }
static void do_pipe(void) { if (write(p[1], buf, 1) != 1 || read(p[0], buf, 1) != 1) exit(2); }
static void do_pingpong(void) { if (write(p[1], buf, 1) != 1 || read(q[0], buf, 1) != 1) exit(2); }
static int tcp = -1;
static void do_tcp(void) { if (write(tcp, buf, 1) != 1 || read(tcp, buf, 1) != 1) exit(2); }
static void do_futex(void) { syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0); }
static void do_clock(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); }
static void do_yield(void) { sched_yield(); }
static void do_fork(void) { pid_t c = fork(); if (!c) _exit(0); if (c < 0 || waitpid(c, 0, 0) != c) exit(2); }
static void do_exec(void)
{
	pid_t c = vfork();
	if (!c) { execl("/bin/true", "true", (char *)0); _exit(1); }
	int st;
	if (c < 0 || waitpid(c, &st, 0) != c || st) exit(2);
}
static void do_mmap(void)
{
	char *m = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED) exit(2);
	for (int i = 0; i < 65536; i += 4096) m[i] = 1;
	munmap(m, 65536);
}

static struct { const char *name; void (*fn)(void); } ops[] = {
	{"getppid", do_getppid}, {"read", do_read}, {"write", do_write}, {"open+close", do_open}, {"stat", do_stat},
	{"pipe", do_pipe}, {"pingpong", do_pingpong}, {"tcp pingpong", do_tcp}, {"futex", do_futex}, {"clock_gettime", do_clock}, {"yield", do_yield},
	{"fork", do_fork}, {"fork+exec", do_exec}, {"mmap+touch", do_mmap},
};

int main(int argc, char **argv)
{
	if (argc < 2) return 1;
	long long budget = 200000000; /* ns */
	fd = open("/tmp/bench.f", O_RDWR | O_CREAT, 0600);
	if (fd < 0 || write(fd, buf, sizeof buf) != sizeof buf || pipe(p) || pipe(q)) { perror("setup"); return 2; }
	pid_t child = 0;
	if (!strcmp(argv[1], "pingpong") && !(child = fork())) {
		char c;
		close(p[1]);
		while (read(p[0], &c, 1) == 1 && write(q[1], &c, 1) == 1) ;
		_exit(0);
	}
	if (!strcmp(argv[1], "tcp pingpong")) { /* over lo */
		int one = 1, l = socket(AF_INET, SOCK_STREAM, 0);
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t n = sizeof a;
		if (bind(l, (void *)&a, n) || listen(l, 1) || getsockname(l, (void *)&a, &n)) { perror("lo"); return 2; }
		if (!(child = fork())) {
			char c;
			int s = accept(l, 0, 0);
			setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
			while (read(s, &c, 1) == 1 && write(s, &c, 1) == 1) ;
			_exit(0);
		}
		tcp = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(tcp, (void *)&a, n)) { perror("connect"); return 2; }
		setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	}
	for (unsigned i = 0; i < sizeof ops / sizeof *ops; i++) {
		if (strcmp(argv[1], ops[i].name)) continue;
		for (int n = 0; n < 3; n++) ops[i].fn();
		long long start = now(), n = 0, batch = 1;
		while (now() - start < budget) {
			for (long long k = 0; k < batch; k++) ops[i].fn();
			n += batch;
			if (batch < 1024) batch *= 2;
			if (!strncmp(argv[1], "fork", 4)) batch = 1;
		}
		printf("%lld\n", (now() - start) / n);
		return 0;
	}
	return 1;
}
