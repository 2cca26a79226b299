// Random system calls with half-sensible arguments, from many processes and threads.
// usage: syscalls SEED SECONDS WORKERS
#include "lib.h"
#include "calls.h"
#include <arpa/inet.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { ARENA = 1 << 20, FDS = 96 };

static char *arena;        // read-write, an unmapped page behind it
static char *readonly;     // one page
static char *play;         // where mmap and munmap may do as they like
static char longpath[5000];
static char deeppath[3000];

static const char *fixed_paths[] = {
	"/", ".", "..", "", "/tmp", "f0", "f1", "d0", "d0/f", "d0/d1", "loop0", "loop1", "sock0", "fifo0",
	"/proc", "/proc/self", "/proc/self/exe", "/proc/self/maps", "/proc/self/mem", "/proc/self/fd",
	"/proc/self/fd/5", "/proc/self/fd/9", "/proc/self/fdinfo/7", "/proc/self/task", "/proc/self/stat",
	"/proc/self/status", "/proc/self/smaps", "/proc/self/cmdline", "/proc/self/environ", "/proc/self/root",
	"/proc/self/cwd", "/proc/self/mountinfo", "/proc/self/mounts", "/proc/self/uid_map",
	"/proc/self/gid_map", "/proc/self/setgroups", "/proc/self/ns/user", "/proc/self/ns/mnt",
	"/proc/self/ns/pid", "/proc/self/ns/net", "/proc/self/ns/uts", "/proc/self/oom_score_adj",
	"/proc/self/comm", "/proc/self/limits", "/proc/self/auxv", "/proc/self/pagemap", "/proc/self/clear_refs",
	"/proc/self/coredump_filter", "/proc/self/timers", "/proc/self/io", "/proc/self/wchan",
	"/proc/thread-self/comm", "/proc/1/stat", "/proc/2/stat", "/proc/3/maps", "/proc/sys/kernel/hostname",
	"/proc/sys/kernel/pid_max", "/proc/sys/kernel/shmmax", "/proc/sys/kernel/sem", "/proc/sys/fs/mqueue/msg_max",
	"/proc/sys/fs/pipe-max-size", "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/max_map_count",
	"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ip_local_port_range", "/proc/sys/net/core/somaxconn",
	"/proc/net/tcp", "/proc/net/unix", "/proc/net/dev", "/proc/net/route", "/proc/meminfo", "/proc/stat",
	"/proc/cpuinfo", "/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg", "/proc/kcore",
	"/proc/locks", "/proc/mounts", "/sys", "/sys/kernel", "/sys/class/net/lo/address", "/sys/fs/cgroup",
	"/sys/devices/system/cpu/online", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
	"/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/pts/0", "/dev/pts/1", "/dev/shm", "/dev/shm/x", "/dev/mqueue",
	"/dev/console", "/dev/fd/3", "/etc/passwd", "/bin/true", "/bin/sh", "/usr", "/usr/lib", "/etc/ld.so.cache",
	"//tmp//", "/tmp/../tmp/.", "nothing/here", "f0/x", "\xff\xfe\x01", "a\nb", "/proc/self/fd/../fd/4",
	"/proc/self/task/1/fd/3", "/proc/self/attr/current", "/proc/self/sched", "/proc/pressure/memory",
};
static const char *fstypes[] = {"tmpfs", "proc", "sysfs", "devpts", "mqueue", "overlay", "cgroup2", "cgroup",
	"ext4", "devtmpfs", "ramfs", "user.x", "user.", "trusted.y", "security.capability",
	"system.posix_acl_access", "/mq0", "/mq1", "mq", "size", "source", "memfd", "lowerdir"};

static int fds[FDS];

static int some_fd(void)
{
	switch (below(12)) {
	case 0:
		return (int)rnd();
	case 1:
		return -1;
	case 2: case 3: case 4: case 5:
		return below(40);
	default:
		return fds[below(FDS)];
	}
}

static u64 odd_number(void)
{
	static const u64 odd[] = {0, 1, 2, 3, 4, 7, 8, 16, 24, 64, 100, 128, 255, 256, 511, 512, 1000, 4095, 4096, 4097,
		8192, 65535, 65536, 1 << 20, 1 << 24, 1ull << 30, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
		1ull << 40, 1ull << 47, (1ull << 47) - 4096, 1ull << 62, 0x7ffffffffffff000, 0x7fffffffffffffff,
		0x8000000000000000, -4096ull, -4095ull, -2ull, -1ull, -100ull, 0xffffff9c, 0x7fffffff000};
	if (chance(10))
		return rnd() >> below(64);
	return chance(55) ? below(16) : PICK(odd);
}

static u64 some_size(void) { return chance(70) ? below(5000) : odd_number(); }

static u64 address(void)
{
	static const u64 wild[] = {0, 1, 8, 4095, 0x10000, 0x7ffffffff000, 0x7fffffffeff8, 0x7ffffffff000 - 8,
		0x800000000000, 0xffff800000000000, -1ull, -8ull, -4096ull, 0xffffffffff600000, 0xdeadbeefcafebabe};
	switch (below(20)) {
	case 0:
		return PICK(wild);
	case 1:
		return (u64)readonly + below(4096);
	case 2:
		return (u64)arena + ARENA - below(128);
	case 3:
		return (u64)arena + ARENA + below(4096);
	case 4:
		return (u64)play + below(1 << 22);
	case 5:
		return 0;
	default:
		return (u64)arena + (below(ARENA - 65536) & ~7ull);
	}
}

// fill writes numbers that look like the fields of structures.
static void fill(void *at, int n)
{
	u64 *w = at;
	int mode = below(6);
	for (int i = 0; i < n; i++)
		switch (mode) {
		case 0:
			w[i] = 0;
			break;
		case 1:
			w[i] = rnd();
			break;
		case 2:
			w[i] = below(64) | below(64) << 32;
			break;
		default:
			w[i] = chance(30) ? address() : chance(40) ? (u64)(uint32_t)some_fd() | below(8) << 32 : odd_number();
		}
}

static u64 buffer(void)
{
	u64 a = address();
	if (a >= (u64)arena && a + 512 <= (u64)arena + ARENA)
		fill((void *)a, 32);
	return a;
}

static u64 path(void)
{
	char *at;
	switch (below(24)) {
	case 0:
		return address();
	case 1:
		return (u64)longpath;
	case 2:
		return (u64)deeppath;
	case 3:
		return (u64)PICK(fstypes);
	case 4:
		at = arena + ARENA - 1 - below(64); // runs into the unmapped page
		memset(at, 'a', arena + ARENA - at);
		return (u64)at;
	case 5:
		at = arena + below(ARENA - 4096);
		sprintf(at, "/proc/self/fd/%d", some_fd());
		return (u64)at;
	case 6: case 7: case 8: case 9:
		at = arena + below(ARENA - 4096);
		sprintf(at, "d%llu/f%llu", (unsigned long long)below(4), (unsigned long long)below(4));
		return (u64)at;
	default:
		return (u64)PICK(fixed_paths);
	}
}

static u64 timespec_ptr(void)
{
	u64 *t = (u64 *)(arena + (below(ARENA - 64) & ~7ull));
	if (chance(15))
		return buffer();
	t[0] = 0, t[1] = below(3000000), t[2] = 0, t[3] = below(3000000);
	return (u64)t;
}

static u64 iovecs(void)
{
	struct iovec *v = (void *)(arena + (below(ARENA - 65536) & ~7ull));
	if (chance(10))
		return buffer();
	for (int i = 0; i < 16; i++) {
		v[i].iov_base = (void *)address();
		v[i].iov_len = some_size();
	}
	return (u64)v;
}

static u64 sockaddr_ptr(void)
{
	char *a = arena + below(ARENA - 256);
	struct sockaddr_un *un = (void *)a;
	struct sockaddr_in *in = (void *)a;
	switch (below(6)) {
	case 0:
		return buffer();
	case 1: case 2:
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, chance(50) ? "sock0" : "\0abstract");
		return (u64)a;
	case 3: case 4:
		in->sin_family = AF_INET;
		in->sin_port = htons(4000 + below(4));
		in->sin_addr.s_addr = htonl(chance(80) ? INADDR_LOOPBACK : rnd());
		return (u64)a;
	default:
		fill(a, 16);
		*(uint16_t *)a = chance(50) ? AF_NETLINK : chance(50) ? AF_INET6 : AF_PACKET;
		return (u64)a;
	}
}

static u64 msghdr_ptr(void)
{
	struct msghdr *m = (void *)(arena + (below(ARENA - 65536) & ~7ull));
	struct cmsghdr *c = (void *)(m + 4);
	if (chance(10))
		return buffer();
	m->msg_name = chance(50) ? 0 : (void *)sockaddr_ptr();
	m->msg_namelen = chance(80) ? below(120) : odd_number();
	m->msg_iov = (void *)iovecs();
	m->msg_iovlen = chance(90) ? below(8) : odd_number();
	m->msg_control = chance(20) ? (void *)address() : c;
	m->msg_controllen = chance(80) ? below(200) : odd_number();
	m->msg_flags = rnd();
	for (int i = 0; i < 4; i++) {
		c->cmsg_len = chance(80) ? 16 + 4 * below(8) : odd_number();
		c->cmsg_level = chance(80) ? SOL_SOCKET : below(60);
		c->cmsg_type = chance(80) ? 1 + below(2) : below(40);
		int *fd = (int *)CMSG_DATA(c);
		for (int j = 0; j < 8; j++)
			fd[j] = some_fd();
		c = (void *)((char *)c + 48);
	}
	return (u64)m;
}

static u64 argv_ptr(void)
{
	char **v = (char **)(arena + (below(ARENA - 65536) & ~7ull));
	if (chance(30))
		return chance(50) ? 0 : buffer();
	v[0] = "worker", v[1] = longpath + below(5000), v[2] = chance(80) ? 0 : (char *)address(), v[3] = 0;
	return (u64)v;
}

static const u64 ioctls[] = {0x5401, 0x5402, 0x5403, 0x5404, 0x5405, 0x5406, 0x5407, 0x5408, 0x5409, 0x540a, 0x540b, 0x540c,
	0x540d, 0x540e, 0x540f, 0x5410, 0x5411, 0x5412, 0x5413, 0x5414, 0x541b, 0x541c, 0x5420, 0x5421, 0x5422,
	0x5423, 0x5424, 0x5428, 0x5429, 0x5450, 0x5451, 0x5452, 0x5460, 0x80045430, 0x40045431, 0x80045438, 0x80045439,
	0x5441, 0x8901, 0x8902, 0x8903, 0x8904, 0x8905, 0x8906, 0x8910, 0x8911, 0x8912, 0x8913, 0x8914, 0x8915,
	0x8916, 0x891b, 0x891d, 0x8921, 0x8927, 0x8933, 0x890b, 0x890c, 0xb701, 0xb702, 0xb703, 0xb704, 0x40049409,
	0x80086601, 0x40086602, 0xc020660b, 0x40045436, 0x80045432, 0x800c5401, 0x1, 0x2, 0x5201, 0x5203, 0x5207};

static u64 arg(char kind)
{
	switch (kind) {
	case 'f': // descriptor
		return some_fd();
	case 'd': // directory descriptor
		return chance(60) ? AT_FDCWD : some_fd();
	case 'b': // pointer to something
		return buffer();
	case 's': // size
		return some_size();
	case 'p': // path
		return path();
	case 'i': // number
		return odd_number();
	case 'F': // flags
		return chance(20) ? rnd() : chance(50) ? 1ull << below(32) | 1ull << below(20) : chance(50) ? 0x42 : below(8);
	case 'o': // offset
		return chance(70) ? below(100000) : odd_number();
	case 'a': // address for a mapping
		return chance(90) ? (u64)play + (below(1024) << 12) : address();
	case 'l': // length of a mapping
		return chance(90) ? below(64) << 12 : odd_number();
	case 'P': // protection
		return chance(90) ? below(8) : rnd();
	case 'M': // mmap flags
		return chance(50) ? (chance(50) ? 0x22 : 0x32) : chance(80) ? (1 + below(2)) | 1ull << below(22) : rnd();
	case 'V': // advice
		return below(30);
	case 'S': // signal
		return chance(20) ? odd_number() : chance(30) ? SIGALRM : chance(40) ? SIGUSR1 : 32 + below(33);
	case 'm': // mode
		return chance(80) ? below(010000) : rnd();
	case 'n': // count
		return chance(85) ? below(17) : odd_number();
	case 'v':
		return iovecs();
	case 't':
		return timespec_ptr();
	case 'A':
		return sockaddr_ptr();
	case 'L':
		return chance(80) ? 16 : some_size();
	case 'D':
		return chance(80) ? (chance(60) ? AF_UNIX : AF_INET) : below(48);
	case 'T':
		return (1 + below(5)) | (chance(50) ? SOCK_NONBLOCK : 0) | (chance(5) ? rnd() : 0);
	case 'G':
		return msghdr_ptr();
	case 'x':
		return chance(80) ? (u64)PICK(fstypes) : path();
	case 'k':
		return below(8);
	case 'C': // fcntl command
		return chance(80) ? (chance(50) ? below(44) : 1024 + below(16)) : odd_number();
	case 'I':
		return chance(85) ? PICK(ioctls) : rnd();
	case 'O': // futex operation
		return below(16) | (chance(50) ? 128 : 0) | (chance(10) ? 256 : 0);
	case 'Q': // ptrace request
		return chance(50) ? below(34) : 0x4200 + below(18);
	case 'R': // prctl option
		return chance(70) ? below(76) : chance(50) ? 0x1001 + below(5) : odd_number();
	case 'N': // clone flags
		return chance(70) ? 1ull << (7 + below(25)) : (rnd() & 0xffffffff & ~0x10000ull);
	case 'B':
		return (u64)arena + below(ARENA - 65536);
	case 'q':
		return argv_ptr();
	case '8':
		return chance(90) ? 8 : odd_number();
	}
	return rnd();
}

static int forbidden(long nr)
{
	switch (nr) {
	case SYS_exit: case SYS_exit_group: case SYS_rt_sigreturn: case SYS_execve: case SYS_execveat: case SYS_vfork:
		return !chance(1);
	case SYS_close_range: case SYS_clone: case SYS_clone3: case SYS_fork: case SYS_seccomp: case SYS_chroot:
	case SYS_pivot_root: case SYS_setrlimit: case SYS_prlimit64: case SYS_pause: case SYS_brk:
		return !chance(10);
	case SYS_setuid: case SYS_setresuid: case SYS_setreuid: case SYS_capset:
		return !chance(5);
	}
	return 0;
}

static void one_call(void)
{
	static const char kinds[] = "fdbspiFoalPMVSmnvtALGxkCI8";
	u64 a[6];
	long nr;
	if (chance(92)) {
		const struct call *c = &calls[below(sizeof(calls) / sizeof(calls[0]))];
		nr = c->nr;
		int n = strlen(c->args);
		for (int i = 0; i < 6; i++)
			a[i] = i < n && !chance(3) ? arg(c->args[i]) : chance(50) ? 0 : odd_number();
	} else {
		nr = chance(95) ? (long)below(471) : (long)rnd();
		for (int i = 0; i < 6; i++)
			a[i] = arg(kinds[below(sizeof(kinds) - 1)]);
	}
	if (forbidden(nr))
		return;
	long r = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if ((nr == SYS_fork || nr == SYS_clone || nr == SYS_clone3 || nr == SYS_vfork) && r == 0) {
		seed_rng(rnd() + getpid());
		return;
	}
	if (r > 2 && r < 20000 && chance(30))
		fds[below(FDS)] = r;
}

static void make_fds(void)
{
	int n = 0, p[2];
	unsigned long mask = 1ul << (SIGUSR1 - 1);
	fds[n++] = open("f0", O_RDWR | O_CREAT, 0666);
	fds[n++] = open("f1", O_RDWR | O_CREAT | O_APPEND, 0666);
	fds[n++] = open(".", O_RDONLY | O_DIRECTORY);
	fds[n++] = open("/usr/lib", O_RDONLY | O_DIRECTORY);
	fds[n++] = open("/bin/sh", O_RDONLY);
	fds[n++] = open(".", O_TMPFILE | O_RDWR, 0600);
	fds[n++] = open("/etc/passwd", O_PATH);
	for (int i = 0; i < 2; i++)
		if (pipe2(p, chance(50) ? O_NONBLOCK : 0) == 0)
			fds[n++] = p[0], fds[n++] = p[1];
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	for (int i = 0; i < 3; i++)
		if (socketpair(AF_UNIX, types[i], 0, p) == 0)
			fds[n++] = p[0], fds[n++] = p[1];
	fds[n++] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	fds[n++] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[n++] = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	fds[n++] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	fds[n++] = socket(AF_NETLINK, SOCK_RAW, 0);
	fds[n++] = socket(AF_NETLINK, SOCK_RAW, 15);
	fds[n++] = socket(AF_INET, SOCK_RAW, 1);
	int srv = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(4000 + below(4)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	bind(srv, (void *)&in, sizeof in);
	listen(srv, 4);
	fds[n++] = srv;
	fds[n++] = epoll_create1(0);
	fds[n++] = epoll_create1(0);
	fds[n++] = eventfd(3, 0);
	fds[n++] = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
	fds[n++] = timerfd_create(CLOCK_MONOTONIC, 0);
	fds[n++] = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	fds[n++] = syscall(SYS_signalfd4, -1, &mask, 8, O_NONBLOCK);
	fds[n++] = inotify_init1(IN_NONBLOCK);
	inotify_add_watch(fds[n - 1], ".", IN_ALL_EVENTS);
	fds[n++] = memfd_create("m", MFD_ALLOW_SEALING);
	if (ftruncate(fds[n - 1], 65536))
		fds[n++] = -1;
	int ptm = open("/dev/ptmx", O_RDWR | O_NONBLOCK);
	if (ptm >= 0) {
		int zero = 0;
		syscall(SYS_ioctl, ptm, 0x40045431, &zero);
		fds[n++] = ptm;
		fds[n++] = syscall(SYS_ioctl, ptm, 0x5441, O_RDWR | O_NONBLOCK);
	}
	fds[n++] = syscall(SYS_pidfd_open, getpid(), 0);
	fds[n++] = syscall(SYS_mq_open, "mq0", O_RDWR | O_CREAT | O_NONBLOCK, 0600, 0);
	static const char *more[] = {"/proc/self/mem", "/proc/self/maps", "/proc/self/uid_map", "/proc/self/status", "/proc",
		"/proc/self/ns/user", "/proc/self/ns/net", "/proc/sys/kernel/hostname", "/sys/class", "/dev/zero", "/dev/full",
		"/dev/urandom", "/proc/self/fd", "/proc/net/tcp", "/proc/self/oom_score_adj", "/dev/null", "/proc/self/mountinfo"};
	for (unsigned i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		int fd = open(more[i], O_RDWR | O_NONBLOCK);
		fds[n++] = fd >= 0 ? fd : open(more[i], O_RDONLY | O_NONBLOCK);
	}
	while (n < FDS)
		fds[n] = fds[n % 40], n++;
}

static void on_signal(int sig) { (void)sig; }

static void make_world(void)
{
	char dir[64];
	mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
	mount("proc", "/proc", "proc", 0, 0);
	mount("t", "/tmp", "tmpfs", 0, 0);
	sprintf(dir, "/tmp/w");
	mkdir(dir, 0777);
	if (chdir(dir))
		_exit(1);
	mkdir("d0", 0777), mkdir("d1", 0777), mkdir("d2", 0777), mkdir("d0/d1", 0777);
	symlink("loop1", "loop0"), symlink("loop0", "loop1"), symlink("d0", "d3");
	mknod("fifo0", S_IFIFO | 0666, 0);
	memset(longpath, 'x', sizeof longpath - 1);
	for (unsigned i = 0; i + 4 < sizeof deeppath; i += 3)
		memcpy(deeppath + i, "d0/", 3);
	arena = mmap(0, ARENA + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(arena + ARENA, 4096);
	readonly = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	play = mmap(0, 1 << 22, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void many_calls(u64 until)
{
	while (now_ms() < until) {
		for (int i = 0; i < 50; i++)
			one_call();
		if (chance(5)) {
			pid_t pid = fork();
			if (pid == 0) {
				seed_rng(rnd() ^ getpid());
				for (int i = 0; i < 200; i++)
					one_call();
				_exit(0);
			}
		}
		while (waitpid(-1, 0, WNOHANG) > 0)
			;
	}
}

static u64 deadline;

static void *thread(void *arg)
{
	seed_rng((u64)arg);
	many_calls(deadline);
	return 0;
}

static void worker(u64 seed)
{
	make_world();
	make_fds();
	struct sigaction sa = {.sa_handler = on_signal}; // no SA_RESTART: nothing blocks for long
	sigaction(SIGALRM, &sa, 0);
	sigaction(SIGUSR1, &sa, 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	struct itimerval it = {{0, 7000}, {0, 7000}};
	setitimer(ITIMER_REAL, &it, 0);
	deadline = now_ms() + 4000;
	int threads = below(4);
	for (int i = 0; i < threads; i++) {
		pthread_t t;
		pthread_create(&t, 0, thread, (void *)(seed + i * 131));
	}
	many_calls(deadline);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	return supervise(worker, strtoull(argv[1], 0, 0), atoi(argv[2]), atoi(argv[3]), 4500, CLONE_NEWPID | CLONE_NEWNS);
}
