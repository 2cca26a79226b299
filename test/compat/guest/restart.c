// What ends or restarts a blocked call (signal(7)): calls that block, three times: a
// handler without and with SA_RESTART, a stop and SIGCONT. What a call does before it blocks
// must not sleep: a child that sleeps is taken to be in its call.
#include "check.h"
#include <linux/futex.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <pty.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <termios.h>

#pragma GCC diagnostic ignored "-Wunused-value"
#pragma GCC diagnostic ignored "-Wmissing-braces"
#pragma GCC diagnostic ignored "-Wformat-overflow"

static int p[2], sv[2], dg[2];
static char buf[1 << 20];
static void tmo(int fd, int opt) { struct timeval tv = {60, 0}; setsockopt(fd, SOL_SOCKET, opt, &tv, sizeof tv); }
static int lsn(int type, int t) {
	int s = socket(AF_UNIX, type, 0); struct sockaddr_un a = {AF_UNIX};
	sprintf(a.sun_path + 1, "p9r%d-%d", getpid(), t);
	bind(s, (void *)&a, sizeof(sa_family_t) + 1 + strlen(a.sun_path + 1)); listen(s, 0); return s;
}
static int con(int s) {
	struct sockaddr_un a; socklen_t l = sizeof a; getsockname(s, (void *)&a, &l);
	int c = socket(AF_UNIX, SOCK_STREAM, 0); connect(c, (void *)&a, l); c = socket(AF_UNIX, SOCK_STREAM, 0);
	tmo(c, SO_SNDTIMEO); return connect(c, (void *)&a, l);
}
static int con2(int s) {
	struct sockaddr_un a; socklen_t l = sizeof a; getsockname(s, (void *)&a, &l);
	int c = socket(AF_UNIX, SOCK_STREAM, 0); connect(c, (void *)&a, l); c = socket(AF_UNIX, SOCK_STREAM, 0);
	return connect(c, (void *)&a, l);
}
#define DO(n, name, expr) case n: what = name; if (run) return (long)(expr); break
static struct timespec rel = {60, 0};
static struct timespec *absolute(int clk) { static struct timespec t; clock_gettime(clk, &t); t.tv_sec += 60; return &t; }
static int word;
static const char *what;
static long fx(int op, struct timespec *t, int v3) { return syscall(SYS_futex, &word, op, 0, t, 0, v3); }
static struct timeval tv5 = {60, 0};
static fd_set fs; static fd_set *rd(void) { FD_ZERO(&fs); FD_SET(p[0], &fs); return &fs; }
static int ep(void) { int e = epoll_create1(0); struct epoll_event ev = {EPOLLIN}; epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev); return e; }
static struct epoll_event evs[2];
static struct pollfd *pf(void) { static struct pollfd f; f.fd = p[0]; f.events = POLLIN; return &f; }
static sigset_t es;
static int fill(int fd) { int f = fcntl(fd, F_GETFL); fcntl(fd, F_SETFL, f | O_NONBLOCK); while (write(fd, buf, 4096) > 0) {} while (write(fd, buf, 1) > 0) {} fcntl(fd, F_SETFL, f); return fd; }
static int pty(int slave) { int m, s; openpty(&m, &s, 0, 0, 0); return slave ? s : m; }
static int lockfile(int how) {
	char n[] = "p9lXXXXXX"; int fd = mkstemp(n), q[2]; char c; pipe(q);
	if (fork() == 0) { int f = open(n, O_RDWR); struct flock l = {F_WRLCK}; if (how) flock(f, LOCK_EX); else fcntl(f, F_SETLK, &l); write(q[1], "", 1); sleep(60); _exit(0); }
	while (read(q[0], &c, 1) != 1) sched_yield();
	unlink(n); int f2 = fd; struct flock l = {F_WRLCK};
	if (how == 1) { return flock(f2, LOCK_EX); } if (how == 2) return fcntl(f2, F_OFD_SETLKW, &l); return fcntl(f2, F_SETLKW, &l);
}
static int fifo(int fl) { char n[64]; sprintf(n, "p9f%d", getpid()); mkfifo(n, 0600); int r = open(n, fl); int e = errno; unlink(n); errno = e; return r; }
static int semw(struct timespec *t) { int id = semget(IPC_PRIVATE, 1, 0600); struct sembuf b = {0, -1, 0}; int r = semtimedop(id, &b, 1, t); int e = errno; semctl(id, 0, IPC_RMID); errno = e; return r; }
static int msgw(int snd) { int id = msgget(IPC_PRIVATE, 0600); struct { long t; char b[8192]; } m = {1}; if (snd) while (msgsnd(id, &m, 8192, IPC_NOWAIT) == 0) {} int r = snd ? msgsnd(id, &m, 8192, 0) : msgrcv(id, &m, 8192, 0, 0); int e = errno; msgctl(id, IPC_RMID, 0); errno = e; return r; }
static int kid(void) { pid_t c = fork(); if (!c) { sleep(60); _exit(0); } return c; }
static int mqw(int snd) { char n[64]; sprintf(n, "/p9q%d", getpid()); struct mq_attr at = {0, 1, 8}; mqd_t q = mq_open(n, O_RDWR | O_CREAT, 0600, &at); mq_unlink(n); unsigned pr; if (snd) mq_send(q, "x", 1, 0); return snd ? mq_send(q, "x", 1, 0) : mq_receive(q, buf, 8, &pr); }
static int sfd(void) { sigset_t s; sigemptyset(&s); sigaddset(&s, SIGHUP); sigprocmask(SIG_BLOCK, &s, 0); return signalfd(-1, &s, 0); }
static int tfd(void) { int f = timerfd_create(CLOCK_MONOTONIC, 0); struct itimerspec i = {{0}, {60, 0}}; timerfd_settime(f, 0, &i, 0); return f; }
static int sigt(struct timespec *t) { sigset_t s; sigemptyset(&s); sigaddset(&s, SIGHUP); sigprocmask(SIG_BLOCK, &s, 0); return t ? sigtimedwait(&s, 0, t) : sigwaitinfo(&s, 0); }
static int rcvt(int fd) { tmo(fd, SO_RCVTIMEO); return fd; }
static int sndt(int fd) { tmo(fd, SO_SNDTIMEO); return fd; }
static struct msghdr *mh(void) { static struct iovec v; static struct msghdr h; v.iov_base = buf; v.iov_len = 10; h.msg_iov = &v; h.msg_iovlen = 1; return &h; }
static long act(int n, int run) {
	what = 0;
	switch (n) {
	DO(0, "read pipe", read(p[0], buf, 1));
	DO(1, "write pipe", write(fill(p[1]), buf, 10));
	DO(2, "read unix stream", read(sv[0], buf, 1));
	DO(3, "recv unix stream", recv(sv[0], buf, 1, 0));
	DO(4, "recv unix stream RCVTIMEO", recv(rcvt(sv[0]), buf, 1, 0));
	DO(5, "read unix stream RCVTIMEO", read(rcvt(sv[0]), buf, 1));
	DO(6, "recvmsg dgram RCVTIMEO", recvmsg(rcvt(dg[0]), mh(), 0));
	DO(7, "send stream SNDTIMEO", send(sndt(fill(sv[0])), buf, 10, 0));
	DO(8, "write stream SNDTIMEO", write(sndt(fill(sv[0])), buf, 10));
	DO(9, "accept", accept(lsn(SOCK_STREAM, 1), 0, 0));
	DO(10, "accept RCVTIMEO", accept(rcvt(lsn(SOCK_STREAM, 2)), 0, 0));
	DO(11, "connect unix SNDTIMEO", con(lsn(SOCK_STREAM, 3)));
	DO(12, "connect unix", con2(lsn(SOCK_STREAM, 4)));
	DO(13, "poll", poll(pf(), 1, 60000));
	DO(14, "ppoll", ppoll(pf(), 1, &rel, 0));
	DO(15, "select", select(p[0] + 1, rd(), 0, 0, &tv5));
	DO(16, "pselect", pselect(p[0] + 1, rd(), 0, 0, &rel, &es));
	DO(17, "epoll_wait", epoll_wait(ep(), evs, 2, 60000));
	DO(18, "epoll_pwait", epoll_pwait(ep(), evs, 2, 60000, &es));
	DO(19, "nanosleep", nanosleep(&rel, &rel));
	DO(20, "clock_nanosleep abs", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, absolute(CLOCK_MONOTONIC), 0) ? (errno = EINTR, -1) : 0);
	DO(21, "clock_nanosleep rel", (errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &rel, 0)) ? -1 : 0);
	DO(22, "futex wait timeout", fx(FUTEX_WAIT, &rel, 0));
	DO(23, "futex bitset", fx(FUTEX_WAIT_BITSET, 0, -1));
	DO(24, "futex bitset timeout", fx(FUTEX_WAIT_BITSET, absolute(CLOCK_MONOTONIC), -1));
	DO(25, "semop", semw(0));
	DO(26, "semtimedop", semw(&rel));
	DO(27, "msgrcv", msgw(0));
	DO(28, "pause", pause());
	DO(29, "sigsuspend", sigsuspend(&es));
	DO(30, "sigtimedwait", sigt(&rel));
	DO(31, "wait4", wait4(kid(), 0, 0, 0));
	DO(32, "flock", lockfile(1));
	DO(33, "fcntl setlkw", lockfile(0));
	DO(34, "open fifo rd", fifo(O_RDONLY));
	DO(35, "read tty", read(pty(1), buf, 1));
	DO(36, "write tty", ({ int m, s; openpty(&m, &s, 0, 0, 0); write(s, buf, sizeof buf); }));
	DO(37, "read eventfd", read(eventfd(0, 0), buf, 8));
	DO(38, "read signalfd", read(sfd(), buf, 128));
	DO(39, "read timerfd", read(tfd(), buf, 8));
	DO(40, "read inotify", read(inotify_init(), buf, 512));
	DO(41, "mq_receive", mqw(0));
	DO(42, "sendfile", ({ int f = open("/bin/sh", O_RDONLY); sendfile(fill(p[1]), f, 0, 100); }));
	DO(43, "recv waitall partial timeo", ({ write(sv[1], "ab", 2); recv(rcvt(sv[0]), buf, 10, MSG_WAITALL); }));
	DO(44, "epoll_pwait2", syscall(SYS_epoll_pwait2, ep(), evs, 2, &rel, 0, 8));
	DO(45, "futex lock_pi", ({ word = 1; fx(FUTEX_LOCK_PI, 0, 0); }));
	DO(46, "futex_waitv", ({ struct { unsigned long v, a; unsigned f, r; } w = {0, (long)&word, 2, 0}; syscall(449, &w, 1, 0, 0, 0); }));
	DO(47, "read dgram RCVTIMEO", read(rcvt(dg[0]), buf, 1));
	DO(48, "tcdrain", ({ int m, s; openpty(&m, &s, 0, 0, 0); fill(s); tcdrain(s); }));
	default: return -2;
	}
	return 0;
}

static volatile char *handled; // of each child, shared
static int self;
static void nop(int sig) { (void)sig; handled[self] = 1; }

static const char *said(long r) {
    static char b[64];
    if (r < 0) return ename(errno);
    snprintf(b, sizeof b, r > 4 ? "many" : "%ld", r);
    return b;
}

enum { modes = 3, batch = 25, calls = 49 };
static const char *mode_name[modes] = {"handler", "SA_RESTART", "stop and continue"};

// child blocks in call n and writes how that ended, if it ever does.
static void child(int n, int mode, int out) {
    setpgid(0, 0);
    M(pipe(p));
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
    M(socketpair(AF_UNIX, SOCK_DGRAM, 0, dg));
    struct sigaction a = {.sa_handler = nop, .sa_flags = mode == 1 ? SA_RESTART : 0};
    M(sigaction(SIGUSR1, &a, NULL));
    M(fcntl(out, F_SETFD, FD_CLOEXEC));
    const char *s = said(act(n, 1));
    write(out, s, strlen(s));
    _exit(0);
}

static struct { pid_t pid; int fd; } c[batch][modes];
static int ended(int i, int m) { struct pollfd f = {c[i][m].fd, POLLIN, 0}; return poll(&f, 1, 0) > 0; }
static int settled(int i, int m) { return ended(i, m) || sleeps(c[i][m].pid); }

// all makes the calls [from, to), all at once.
static void all(int from, int to) {
    for (int n = from; n < to; n++)
        for (int m = 0; m < modes; m++) {
            int out[2];
            M(pipe(out));
            self = (n - from) * modes + m;
            pid_t k = M(fork());
            if (!k) child(n, m, out[1]);
            close(out[1]);
            c[n - from][m].pid = k, c[n - from][m].fd = out[0];
        }
#define EACH(e) for (int i = 0; i < to - from; i++) for (int m = 0; m < modes; m++) e
    EACH(UNTIL(settled(i, m)));
    EACH(kill(c[i][m].pid, m == 2 ? SIGSTOP : SIGUSR1));
    EACH(UNTIL(ended(i, m) || (m == 2 ? state_of(c[i][m].pid) == 'T' : handled[i * modes + m])));
    EACH(if (m == 2) kill(c[i][m].pid, SIGCONT));
    EACH(UNTIL(settled(i, m)));
    for (int n = from; n < to; n++)
        for (int m = 0; m < modes; m++) {
            char b[64] = "blocked";
            if (ended(n - from, m)) {
                int l = read(c[n - from][m].fd, b, sizeof b - 1);
                b[l > 0 ? l : 0] = 0;
            }
            act(n, 0);
            if (what) printf("%s, %s: %s\n", what, mode_name[m], b);
            fflush(stdout);
            kill(-c[n - from][m].pid, SIGKILL);
            waitpid(c[n - from][m].pid, NULL, 0);
            close(c[n - from][m].fd);
        }
}

int main(void) {
    sigemptyset(&es);
    handled = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
#ifdef SECOND_HALF
    all(batch, calls);
#else
    all(0, batch);
#endif
    return 0;
}
