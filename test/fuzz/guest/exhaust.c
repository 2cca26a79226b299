// One resource at a time, asked for until the kernel says no or a count is reached.
// Every case must end by itself, in an errno or by the hand of the memory limit.
// usage: exhaust CASE...   (no CASE: all); prints a line for each case.
#include "lib.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>

static u64 stop_at; // each case has a few seconds
static int in_time(void) { return now_ms() < stop_at; }

static long count;
#define WHILE_OK(max, e) \
	for (count = 0; count < (max) && in_time(); count++) \
		if ((long)(e) < 0) \
			break

static void fork_bomb(void)
{
	for (count = 0; count < 100000 && in_time(); count++) {
		pid_t p = fork();
		if (p < 0)
			break;
		if (p == 0)
			for (;;) {
				fork();
				sleep_ms(1);
			}
	}
	sleep_ms(300);
}

static void *sit(void *arg)
{
	pause();
	return arg;
}

static void thread_bomb(void)
{
	pthread_attr_t a;
	pthread_t t;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 16384);
	WHILE_OK(100000, -pthread_create(&t, &a, sit, 0));
}

static void raise_nofile(void)
{
	struct rlimit r;
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static void many_fds(void)
{
	raise_nofile();
	WHILE_OK(3000000, dup(0));
}

static void many_events(void)
{
	raise_nofile();
	WHILE_OK(3000000, eventfd(0, 0));
}

static void full_pipes(void)
{
	static char page[1 << 16];
	int p[2];
	raise_nofile();
	for (count = 0; count < 100000 && in_time(); count++) {
		if (pipe2(p, O_NONBLOCK) < 0)
			break;
		fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
		while (write(p[1], page, sizeof page) > 0)
			;
	}
}

static int send_fds(int to, int *fds, int n)
{
	char ctl[CMSG_SPACE(253 * 4)] = {0}, c = 0;
	struct iovec v = {&c, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = CMSG_SPACE(n * 4)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(n * 4);
	memcpy(CMSG_DATA(h), fds, n * 4);
	return sendmsg(to, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// fds_in_flight queues sockets in sockets, whose only owner is then a message.
static void fds_in_flight(void)
{
	int s[2], fds[253], n = 0;
	raise_nofile();
	for (count = 0; count < 100000 && in_time(); count++) {
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, s) < 0)
			break;
		for (n = 0; n < 253; n++)
			fds[n] = s[n & 1];
		int sent = 0;
		while (send_fds(s[0], fds, 253) > 0)
			sent++;
		close(s[0]), close(s[1]);
		if (!sent)
			break;
	}
}

static void queued_data(void)
{
	static char page[1 << 16];
	int s[2];
	raise_nofile();
	for (count = 0; count < 100000 && in_time(); count++) {
		if (socketpair(AF_UNIX, count & 1 ? SOCK_STREAM : SOCK_DGRAM, 0, s) < 0)
			break;
		int big = 1 << 30;
		setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
		setsockopt(s[1], SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
		for (int size = sizeof page; size; size /= 2)
			while (in_time() && send(s[0], page, size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
				;
	}
}

// tiny_messages: the cost of a message is more than its bytes.
static void tiny_messages(void)
{
	int s[2];
	raise_nofile();
	for (count = 0; count < 100000 && in_time(); count++) {
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, s) < 0)
			break;
		while (in_time() && send(s[0], "", 0, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			;
	}
}

static void memory_hog(void)
{
	for (count = 0; in_time(); count++) {
		char *p = mmap(0, 1 << 24, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			break;
		for (int i = 0; i < 1 << 24; i += 4096)
			p[i] = 1;
	}
}

static void tmpfs_hog(void)
{
	static char block[1 << 20];
	int fd = open("big", O_RDWR | O_CREAT, 0600);
	WHILE_OK(100000, write(fd, block, sizeof block));
	ftruncate(fd, 1ll << 60);
	fallocate(fd, 0, 0, 1ll << 40);
	close(fd);
}

static void memfd_hog(void)
{
	raise_nofile();
	for (count = 0; count < 100000 && in_time(); count++) {
		int fd = memfd_create("x", 0);
		if (fd < 0 || fallocate(fd, 0, 0, 1 << 24) < 0)
			break;
	}
}

static void name_of(char *b, long n) { sprintf(b, "n%ld", n); }

static void negative_names(void)
{
	char b[300];
	struct stat st;
	memset(b, 'x', 240);
	for (count = 0; count < 2000000 && in_time(); count++) {
		name_of(b + 200, count);
		if (stat(b, &st) == 0)
			break;
		if (count % 4 == 0) { // and on the Gofer
			char g[320] = "/usr/lib/";
			strcat(g, b);
			stat(g, &st);
		}
	}
}

static void many_files(void)
{
	char b[32];
	for (count = 0; count < 1000000 && in_time(); count++) {
		name_of(b, count);
		int fd = open(b, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
}

static void deep_tree(void)
{
	char b[4096];
	for (count = 0; count < 100000 && in_time(); count++)
		if (mkdir("d", 0700) < 0 || chdir("d") < 0)
			break;
	if (getcwd(b, sizeof b) == 0)
		chdir("/tmp");
	int fd = open(".", O_RDONLY);
	char link[64];
	sprintf(link, "/proc/self/fd/%d", fd);
	if (readlink(link, b, sizeof b) < 0)
		close(fd);
}

static void xattrs(void)
{
	static char value[65536];
	char b[64];
	close(open("xa", O_CREAT | O_WRONLY, 0600));
	for (count = 0; count < 200000 && in_time(); count++) {
		sprintf(b, "user.a%ld", count);
		if (setxattr("xa", b, value, sizeof value, 0) < 0) {
			sprintf(b, "trusted.a%ld", count);
			if (setxattr("xa", b, value, sizeof value, 0) < 0)
				break;
		}
	}
}

static void watches(void)
{
	char b[32];
	int fd = inotify_init1(IN_NONBLOCK);
	for (count = 0; count < 500000 && in_time(); count++) {
		name_of(b, count);
		mkdir(b, 0700);
		if (inotify_add_watch(fd, b, IN_ALL_EVENTS) < 0)
			break;
	}
}

static void inotify_events(void)
{
	raise_nofile();
	int fd = inotify_init1(IN_NONBLOCK);
	inotify_add_watch(fd, ".", IN_ALL_EVENTS);
	for (count = 0; count < 200000 && in_time(); count++) {
		char b[300];
		memset(b, 'e', 240);
		name_of(b + 200, count);
		int f = open(b, O_CREAT | O_WRONLY, 0600);
		if (f < 0)
			break;
		close(f);
		unlink(b);
	}
}

static void epoll_nest(void)
{
	raise_nofile();
	struct epoll_event ev = {.events = EPOLLIN};
	int last = epoll_create1(0), first = last;
	for (count = 0; count < 10000 && in_time(); count++) {
		int fd = epoll_create1(0);
		if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, last, &ev) < 0)
			break;
		last = fd;
	}
	epoll_ctl(first, EPOLL_CTL_ADD, last, &ev);
	// a wide and flat net of them, each watching many others
	int e[200], n = 0;
	while (n < 200 && (e[n] = epoll_create1(0)) >= 0)
		n++;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n && in_time(); j++)
			epoll_ctl(e[i], EPOLL_CTL_ADD, e[j], &ev);
	int v = eventfd(1, 0);
	for (int i = 0; i < n; i++)
		epoll_ctl(e[i], EPOLL_CTL_ADD, v, &ev);
	for (int i = 0; i < n && in_time(); i++)
		epoll_wait(e[i], &ev, 1, 0);
}

static void epoll_items(void)
{
	raise_nofile();
	struct epoll_event ev = {.events = EPOLLIN};
	int event = eventfd(0, 0);
	for (count = 0; count < 2000000 && in_time();) {
		int ep = epoll_create1(0);
		if (ep < 0)
			break;
		int v = -1;
		for (int i = 0; i < 1000; i++, count++)
			if ((v = dup(event)) < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, v, &ev) < 0)
				break;
		if (v < 0)
			break;
	}
}

static void pending_signals(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, 0);
	struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};
	setrlimit(RLIMIT_SIGPENDING, &r);
	union sigval v = {0};
	WHILE_OK(3000000, sigqueue(getpid(), SIGRTMIN + 1, v));
}

static void timers(void)
{
	struct sigevent se = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
	struct itimerspec its = {{0, 1}, {0, 1}};
	timer_t id;
	signal(SIGRTMIN + 2, SIG_IGN);
	for (count = 0; count < 500000 && in_time(); count++) {
		if (timer_create(CLOCK_MONOTONIC, &se, &id) < 0)
			break;
		if (count < 2000)
			timer_settime(id, 0, &its, 0);
	}
}

static void file_locks(void)
{
	int fd = open("locks", O_RDWR | O_CREAT, 0600);
	for (count = 0; count < 1000000 && in_time(); count++) {
		struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = count * 4, .l_len = 1};
		if (fcntl(fd, F_SETLK, &l) < 0)
			break;
	}
}

static void sysv(void)
{
	static struct { long type; char b[8192]; } m = {1, ""};
	for (count = 0; count < 100000 && in_time(); count++) {
		int q = msgget(IPC_PRIVATE, 0600), s = semget(IPC_PRIVATE, 250, 0600), h = shmget(IPC_PRIVATE, 1 << 20, 0600);
		if (q < 0 && s < 0 && h < 0)
			break;
		while (q >= 0 && in_time() && msgsnd(q, &m, sizeof m.b, IPC_NOWAIT) == 0)
			;
		if (h >= 0) {
			char *p = shmat(h, 0, 0);
			if (p != (void *)-1) {
				memset(p, 1, 1 << 20);
				shmdt(p);
			}
		}
	}
}

static void mqueues(void)
{
	char b[64];
	static char msg[8192];
	raise_nofile();
	for (count = 0; count < 100000 && in_time(); count++) {
		sprintf(b, "/q%ld", count);
		mqd_t q = mq_open(b, O_RDWR | O_CREAT | O_NONBLOCK, 0600, 0);
		if (q < 0)
			break;
		while (mq_send(q, msg, sizeof msg, 0) == 0)
			;
		close(q);
	}
}

static void mounts(void)
{
	char b[32];
	for (count = 0; count < 300000 && in_time(); count++) {
		name_of(b, count % 100);
		mkdir(b, 0700);
		if (mount(count % 3 ? "." : "t", b, "tmpfs", count % 3 == 1 ? MS_BIND : 0, 0) < 0)
			break;
	}
	mount(0, "/", 0, MS_REC | MS_SHARED, 0);
	for (int i = 0; i < 18 && in_time(); i++) // each doubles the tree, if nobody counts
		if (mount("/", "/tmp/n0", 0, MS_BIND | MS_REC, 0) < 0)
			break;
}

static void mount_loop(void)
{
	mkdir("m", 0700);
	for (count = 0; count < 20000 && in_time(); count++)
		if (mount("t", "m", "tmpfs", 0, 0) < 0 || umount2("m", MNT_DETACH) < 0)
			break;
}

static void user_namespaces(void)
{
	for (count = 0; count < 100000 && in_time(); count++) {
		if (unshare(CLONE_NEWUSER) < 0)
			break;
		int fd = open("/proc/self/uid_map", O_WRONLY), e = errno;
		if (fd < 0 || write(fd, "0 0 1", 5) != 5)
			break;
		close(fd);
		fd = open("/proc/self/setgroups", O_WRONLY);
		write(fd, "deny", 4);
		close(fd);
		fd = open("/proc/self/gid_map", O_WRONLY);
		write(fd, "0 0 1", 5);
		close(fd);
		errno = e;
	}
}

static void namespaces(void)
{
	raise_nofile();
	for (count = 0; count < 20000 && in_time(); count++) {
		if (unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) < 0)
			break;
		if (open("/proc/self/ns/net", O_RDONLY) < 0 || open("/proc/self/ns/mnt", O_RDONLY) < 0)
			break;
	}
}

// mount_copies: each namespace copies every mount.
static void mount_copies(void)
{
	raise_nofile();
	mkdir("m", 0700);
	for (int i = 0; i < 5000 && in_time(); i++)
		if (mount("/proc", "m", 0, MS_BIND, 0) < 0)
			break;
	for (count = 0; count < 10000 && in_time(); count++)
		if (unshare(CLONE_NEWNS) < 0 || open("/proc/self/ns/mnt", O_RDONLY) < 0)
			break;
}

static void huge_iovecs(void)
{
	static struct iovec v[1024];
	for (int i = 0; i < 1024; i++)
		v[i].iov_base = (void *)(rnd() >> 17), v[i].iov_len = rnd() >> (1 + below(63));
	int fd = open("/dev/zero", O_RDWR), n = open("/dev/null", O_RDWR);
	char *p = mmap(0, 1 << 28, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	for (count = 0; count < 200 && in_time(); count++) {
		readv(fd, v, 1024);
		writev(n, v, 1 << 30);
		for (int i = 0; i < 1024; i++)
			v[i].iov_base = p, v[i].iov_len = chance(50) ? 1 << 28 : 1 << 18;
		writev(n, v, 1024);
		preadv(fd, v, 1024, -1);
		write(n, p, 0x7fffffff);
		read(fd, p, 1 << 28); // the size of one read is bounded, so is what it keeps
		if (count == 3)
			break;
	}
}

static void long_strings(void)
{
	size_t len = 1 << 26;
	char *p = mmap(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 'a', len - 1);
	char *argv[4] = {p, p, p, 0};
	static char *many[1 << 20];
	for (int i = 0; i < (1 << 20) - 1; i++)
		many[i] = p + len - 1000;
	for (count = 0; count < 20; count++) {
		open(p, O_RDONLY);
		mount(p, p, p, 0, p);
		setxattr(".", p, p, len, 0);
		prctl(PR_SET_NAME, p);
		sethostname(p, len);
		execve("/bin/true", argv, argv);
		execve("/bin/true", many, many);
		symlink(p, "l");
		syscall(SYS_memfd_create, p, 0);
		syscall(SYS_mq_open, p, O_CREAT, 0600, 0);
		syscall(SYS_setgroups, 1 << 24, p);
		syscall(SYS_poll, p, 1 << 22, 0);
		syscall(SYS_select, 1 << 25, p, p, p, 0);
		syscall(SYS_add_key, p, p, p, len, -3);
	}
}

static void many_vmas(void)
{
	char *p = mmap(0, 1ull << 32, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	WHILE_OK(200000, mprotect(p + count * 8192, 4096, PROT_READ));
	pid_t c = fork();
	if (c == 0)
		_exit(0);
	if (c > 0)
		waitpid(c, 0, 0);
}

static void one_page_maps(void)
{
	for (count = 0; count < 300000 && in_time(); count++) {
		char *p = mmap(0, 4096, count & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			break;
		if (*(volatile char *)p)
			break;
	}
}

static void filters(void)
{
	static struct sock_filter f[4096];
	for (int i = 0; i < 4095; i++)
		f[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, i);
	f[4095] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog p = {4096, f};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	WHILE_OK(100000, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p));
}

static void ptrace_loop(void)
{
	for (count = 0; count < 300 && in_time(); count++) {
		pid_t p = fork();
		if (p < 0)
			break;
		if (p == 0) {
			ptrace(PTRACE_TRACEME, 0, 0, 0);
			raise(SIGSTOP);
			for (;;)
				getppid();
		}
		waitpid(p, 0, 0);
		for (int i = 0; i < 30; i++) {
			ptrace(i & 1 ? PTRACE_SINGLESTEP : PTRACE_SYSCALL, p, 0, 0);
			waitpid(p, 0, 0);
		}
		kill(p, SIGKILL);
		waitpid(p, 0, 0);
	}
}

static void ptys(void)
{
	raise_nofile();
	for (count = 0; count < 100000 && in_time(); count++) {
		int fd = open("/dev/ptmx", O_RDWR | O_NONBLOCK | O_NOCTTY), zero = 0;
		if (fd < 0)
			break;
		syscall(SYS_ioctl, fd, 0x40045431, &zero);
		int s = syscall(SYS_ioctl, fd, 0x5441, O_RDWR | O_NONBLOCK | O_NOCTTY);
		static char junk[65536];
		memset(junk, 'j', sizeof junk);
		write(fd, junk, sizeof junk);
		if (s < 0)
			break;
		write(s, junk, sizeof junk);
	}
}

static void tcp_sockets(void)
{
	raise_nofile();
	for (count = 0; count < 100000 && in_time(); count++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (fd < 0 || listen(fd, 10) < 0)
			break;
	}
}

static void procs_and_groups(void)
{
	for (count = 0; count < 20000 && in_time(); count++) {
		pid_t p = fork();
		if (p < 0)
			break;
		if (p == 0) {
			setsid();
			_exit(0);
		}
		if (count % 500 == 0)
			while (waitpid(-1, 0, WNOHANG) > 0)
				;
	}
}

static void futex_waiters(void)
{
	static int f[4096];
	for (count = 0; count < 1000000 && in_time(); count++) {
		struct timespec ts = {0, 1};
		syscall(SYS_futex, &f[count & 4095], 0, 0, &ts, 0, 0);
		syscall(SYS_futex, &f[count & 4095], 6, 0, &ts, 0, 0); // LOCK_PI, held by us or not
	}
}

static const struct {
	const char *name;
	void (*fn)(void);
} cases[] = {
#define C(x) {#x, x}
	C(many_fds), C(many_events), C(full_pipes), C(fds_in_flight), C(queued_data), C(tiny_messages), C(memory_hog),
	C(tmpfs_hog), C(memfd_hog), C(negative_names), C(many_files), C(deep_tree), C(xattrs), C(watches), C(inotify_events),
	C(epoll_nest), C(epoll_items), C(pending_signals), C(timers), C(file_locks), C(sysv), C(mqueues), C(mounts),
	C(mount_loop), C(user_namespaces), C(namespaces), C(mount_copies), C(huge_iovecs), C(long_strings), C(many_vmas), C(one_page_maps),
	C(filters), C(ptrace_loop), C(ptys), C(tcp_sockets), C(procs_and_groups), C(futex_waiters), C(thread_bomb), C(fork_bomb),
};

static void (*chosen)(void);
static long *told; // shared with the parent: the count and the errno that ended it

static void worker(u64 seed)
{
	mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
	mount("proc", "/proc", "proc", 0, 0);
	mount("t", "/tmp", "tmpfs", 0, 0);
	chdir("/tmp");
	stop_at = now_ms() + seed;
	errno = 0;
	chosen();
	told[0] = count, told[1] = errno;
}

int main(int argc, char **argv)
{
	int per_ms = argc > 1 ? atoi(argv[1]) : 2000;
	told = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int want = argc <= 2;
		for (int j = 2; j < argc; j++)
			want |= strcmp(argv[j], cases[i].name) == 0;
		if (!want)
			continue;
		chosen = cases[i].fn;
		told[0] = told[1] = -1;
		u64 before = now_ms();
		pid_t p = spawn_worker(worker, per_ms, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC);
		int st = -1;
		while (now_ms() < before + per_ms + 20000) {
			if (waitpid(p, &st, WNOHANG) == p)
				break;
			sleep_ms(5);
			st = -1;
		}
		if (st == -1) {
			printf("%s STUCK\n", cases[i].name);
			fflush(stdout);
			kill(p, SIGKILL);
			waitpid(p, &st, 0);
		}
		printf("%s: count %ld errno %ld status %#x, %llu ms\n", cases[i].name, told[0], told[1], st,
		       (unsigned long long)(now_ms() - before));
		fflush(stdout);
	}
	printf("done\n");
	return 0;
}
