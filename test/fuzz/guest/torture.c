// Threads that race on the same descriptors, memory, signals and tracees.
// usage: torture SEED SECONDS WORKERS
#include "lib.h"
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/user.h>

static u64 deadline;
static char *shared; // memory that threads map, unmap and use in system calls
enum { SHARED = 1 << 20 };
static pid_t family[16];
static int futexes[4];

static void ignore(int sig) { (void)sig; }

// fd_race opens, duplicates, closes and uses descriptors 3..40 that others close.
static void fd_race(void)
{
	char buf[256];
	int p[2], fd = 3 + below(38), other = 3 + below(38);
	struct epoll_event ev = {EPOLLIN | EPOLLOUT | (chance(30) ? EPOLLET : 0) | (chance(20) ? EPOLLONESHOT : 0), {.fd = fd}};
	struct epoll_event out[8];
	struct pollfd pf[3] = {{fd, POLLIN | POLLOUT, 0}, {other, POLLIN, 0}, {3 + below(38), POLLIN, 0}};
	struct itimerspec its = {{0, 1000000}, {0, 1000000}};
	switch (below(22)) {
	case 0:
		close(fd);
		break;
	case 1:
		if (pipe2(p, O_NONBLOCK) == 0 && (p[0] > 40 || p[1] > 40))
			close(p[0]), close(p[1]);
		break;
	case 2:
		if (socketpair(AF_UNIX, PICK(((int[]){SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})) | SOCK_NONBLOCK, 0, p) == 0 && p[1] > 40)
			close(p[0]), close(p[1]);
		break;
	case 3:
		if ((p[0] = epoll_create1(0)) > 40)
			close(p[0]);
		break;
	case 4:
		if ((p[0] = eventfd(0, EFD_NONBLOCK)) > 40)
			close(p[0]);
		break;
	case 5:
		if ((p[0] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) > 40)
			close(p[0]);
		break;
	case 6: case 7:
		epoll_ctl(other, EPOLL_CTL_ADD, fd, &ev);
		break;
	case 8:
		epoll_ctl(other, 1 + below(3), fd, &ev);
		break;
	case 9:
		epoll_wait(other, out, 8, 1);
		break;
	case 10:
		poll(pf, 3, 1);
		break;
	case 11: case 12:
		fcntl(fd, F_SETFL, O_NONBLOCK);
		if (read(fd, buf, below(256)) < 0)
			break;
		break;
	case 13: case 14:
		fcntl(fd, F_SETFL, O_NONBLOCK);
		if (write(fd, buf, 8 + below(248)) < 0)
			break;
		break;
	case 15:
		dup2(fd, other);
		break;
	case 16:
		timerfd_settime(fd, 0, &its, 0);
		break;
	case 17: {
		char ctl[64] = {0};
		struct iovec iov = {buf, 8};
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = CMSG_SPACE(8)};
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(8);
		((int *)CMSG_DATA(c))[0] = fd, ((int *)CMSG_DATA(c))[1] = other;
		sendmsg(3 + below(38), &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	}
	case 18: {
		char ctl[64];
		struct iovec iov = {buf, 8};
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl};
		recvmsg(fd, &m, MSG_DONTWAIT);
		break;
	}
	case 19:
		splice(fd, 0, other, 0, 4096, SPLICE_F_NONBLOCK);
		break;
	case 20:
		tee(fd, other, 4096, SPLICE_F_NONBLOCK);
		break;
	case 21:
		shutdown(fd, below(3));
		break;
	}
}

// mem_race changes mappings that other threads hand to system calls.
static void mem_race(void)
{
	char *at = shared + (below(SHARED >> 12) << 12);
	size_t len = (1 + below(16)) << 12;
	int fd;
	if (at + len > shared + SHARED)
		len = shared + SHARED - at;
	switch (below(10)) {
	case 0:
		mmap(at, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case 1:
		mmap(at, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		break;
	case 2:
		munmap(at, len);
		break;
	case 3:
		mprotect(at, len, below(4));
		break;
	case 4:
		madvise(at, len, chance(50) ? MADV_DONTNEED : below(26));
		break;
	case 5:
		if (mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, shared + (below(SHARED - len) & ~4095ull)) == MAP_FAILED)
			break;
		break;
	case 6:
		fd = memfd_create("x", 0);
		if (fd >= 0 && ftruncate(fd, below(64) << 12) == 0)
			mmap(at, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, fd, below(8) << 12);
		if (fd >= 0 && chance(50) && ftruncate(fd, 4096))
			break;
		close(fd);
		break;
	case 7: {
		struct iovec a = {at, len}, b = {shared + below(SHARED), 8192};
		process_vm_readv(getpid(), &a, 1, &b, 1, 0);
		process_vm_writev(getpid(), &b, 1, &a, 1, 0);
		break;
	}
	case 8:
		fd = open("/dev/zero", O_RDONLY);
		if (read(fd, at, len) < 0 || read(fd, shared + below(SHARED), 100) < 0) {
		}
		close(fd);
		break;
	case 9:
		fd = open("/proc/self/mem", O_RDWR);
		if (pread(fd, shared, 8192, (off_t)at) < 0 || pwrite(fd, "x", 1, (off_t)at) < 0) {
		}
		close(fd);
		break;
	}
}

// proc_race signals, stops, traces, waits for and replaces the members of the family.
static void proc_race(void)
{
	int i = below(16), st;
	pid_t pid = __atomic_load_n(&family[i], __ATOMIC_RELAXED);
	struct user_regs_struct regs;
	siginfo_t si;
	struct timespec ts = {0, 500000};
	char name[64];
	switch (below(18)) {
	case 0: case 1: case 2:
		if (pid > 1)
			break;
		pid = fork();
		if (pid == 0) {
			seed_rng(rnd() ^ getpid());
			if (chance(20))
				ptrace(PTRACE_TRACEME, 0, 0, 0);
			if (chance(20))
				setsid();
			if (chance(30))
				execl("/proc/self/exe", "child", "child", (char *)0);
			if (chance(30))
				raise(SIGSTOP);
			if (chance(30))
				_exit(below(256));
			if (chance(30))
				for (;;)
					getppid();
			for (;;)
				pause();
		}
		__atomic_store_n(&family[i], pid, __ATOMIC_RELAXED);
		break;
	case 3: case 4:
		if (pid > 1)
			kill(pid, PICK(((int[]){SIGKILL, SIGSTOP, SIGCONT, SIGTERM, SIGUSR1, SIGCHLD})));
		break;
	case 5: case 6: case 7:
		if (pid > 1 && waitpid(pid, &st, WNOHANG | WUNTRACED | WCONTINUED | __WALL) == pid && (WIFEXITED(st) || WIFSIGNALED(st)))
			__atomic_store_n(&family[i], 0, __ATOMIC_RELAXED);
		break;
	case 8:
		ptrace(chance(50) ? PTRACE_ATTACH : PTRACE_SEIZE, pid, 0, 0);
		break;
	case 9:
		ptrace(PICK(((int[]){PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP, PTRACE_DETACH, PTRACE_LISTEN, PTRACE_INTERRUPT})), pid, 0,
		       chance(80) ? 0 : below(65));
		break;
	case 10:
		if (ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0) {
			if (chance(50))
				((u64 *)&regs)[below(27)] = rnd() >> below(64);
			ptrace(PTRACE_SETREGS, pid, 0, &regs);
		}
		break;
	case 11:
		ptrace(PTRACE_SETOPTIONS, pid, 0, below(256));
		break;
	case 12:
		waitid(P_ALL, 0, &si, WNOHANG | WEXITED | WSTOPPED | WCONTINUED | WNOWAIT);
		break;
	case 13:
		setpgid(pid > 0 ? pid : 0, chance(50) ? 0 : family[below(16)]);
		break;
	case 14: {
		int fd = syscall(SYS_pidfd_open, pid, 0);
		if (fd >= 0) {
			struct pollfd pf = {fd, POLLIN, 0};
			syscall(SYS_pidfd_send_signal, fd, chance(50) ? SIGCONT : SIGKILL, 0, 0);
			poll(&pf, 1, 1);
			close(fd);
		}
		break;
	}
	case 15:
		sprintf(name, "/proc/%d/%s", pid, PICK(((char *[]){"stat", "maps", "status", "cmdline", "fd/0", "task/1/stat", "smaps", "wchan"})));
		st = open(name, O_RDONLY);
		if (st >= 0) {
			char buf[2000];
			if (read(st, buf, sizeof buf) < 0) {
			}
			close(st);
		}
		break;
	case 16:
		syscall(SYS_futex, &futexes[below(4)], below(13) | (chance(50) ? 128 : 0), below(3), &ts, &futexes[below(4)], below(3));
		break;
	case 17: {
		sigset_t set;
		sigfillset(&set);
		if (chance(50))
			sigtimedwait(&set, &si, &ts);
		else
			syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &si);
		break;
	}
	}
}

static void *runner(void *arg);

static void churn(void)
{
	pthread_t t;
	pthread_attr_t a;
	if (chance(3)) { // threads come and go, so that some run while others exec and exit
		pthread_attr_init(&a);
		pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&a, 65536);
		pthread_create(&t, &a, runner, (void *)(rnd() | 1));
	}
	if (below(20000) == 0)
		execl("/proc/self/exe", "child", "child", (char *)0);
	if (below(20000) == 0)
		_exit(0);
}

static void *runner(void *arg)
{
	int mode = below(4);
	seed_rng((u64)arg);
	mode = below(4);
	for (int i = 0; (i < 200 || !arg) && now_ms() < deadline; i++) {
		switch (mode < 3 ? mode : (int)below(3)) {
		case 0:
			fd_race();
			break;
		case 1:
			mem_race();
			break;
		case 2:
			proc_race();
			break;
		}
		if (!arg || chance(5))
			churn();
	}
	return 0;
}

static void worker(u64 seed)
{
	mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
	mount("proc", "/proc", "proc", 0, 0);
	struct sigaction sa = {.sa_handler = ignore};
	sigaction(SIGUSR1, &sa, 0);
	sigaction(SIGTERM, &sa, 0);
	signal(SIGPIPE, SIG_IGN);
	if (chance(30))
		signal(SIGCHLD, SIG_IGN);
	deadline = now_ms() + 3000;
	shared = mmap(0, SHARED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 3; i++) {
		pthread_t t;
		pthread_create(&t, 0, runner, (void *)(seed + i + 1));
	}
	seed_rng(seed);
	runner(0);
}

int main(int argc, char **argv)
{
	if (argc == 2) // a family member after exec
		for (int i = 0; i < 1000; i++)
			getppid();
	if (argc < 4)
		return 0;
	return supervise(worker, strtoull(argv[1], 0, 0), atoi(argv[2]), atoi(argv[3]), 3500, CLONE_NEWPID | CLONE_NEWNS);
}
