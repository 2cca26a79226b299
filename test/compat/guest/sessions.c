// Process groups, sessions, orphans, subreapers, pidfds, parent-death signals.
#include "check.h"
#include <sys/prctl.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
static int po(pid_t p, int f) { return syscall(SYS_pidfd_open, p, f); }
static int ps(int fd, int s, void *si, int f) { return syscall(SYS_pidfd_send_signal, fd, s, si, f); }
static short ready(int fd, int t) {
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    poll(&p, 1, t);
    return p.revents;
}
static void say(int s) { if (s == SIGHUP) write(1, "got SIGHUP\n", 11); else write(1, "got SIGCONT\n", 12); }

static void groups(void) {
    H("groups");
    B(getpgrp() == getpid() && getsid(0) == getpid() && getpgid(0) == getpid());
    R(setsid());
    R(setpgid(0, 0));
    R(setpgid(0, -1));
    R(setpgid(999999, 0));
    R(getpgid(999999));
    R(getsid(999999));
    R(getpgid(-1));
    int p[2], q[2];
    char c;
    M(pipe(p));
    M(pipe(q));
    pid_t k = fork();
    if (!k) { close(p[1]); read(p[0], &c, 1); _exit(0); }
    B(getpgid(k) == getpid() && getsid(k) == getpid());
    R(setpgid(k, k));
    B(getpgid(k) == k);
    pid_t k2 = fork();
    if (!k2) { close(p[1]); read(p[0], &c, 1); B(getpgrp() == k); _exit(0); }
    R(setpgid(k2, k));
    R(setpgid(k2, 999999));
    pid_t k3 = fork();
    if (!k3) { setsid(); write(q[1], "x", 1); close(p[1]); read(p[0], &c, 1); _exit(0); }
    M(read(q[0], &c, 1));
    R(setpgid(k3, k)); // another session
    R(setpgid(k2, k3));
    B(getsid(k3) == k3);
    R(kill(-k, 0));
    R(CHILD(R(setpgid(0, 0)); R(setsid())));
    R(CHILD(R(setsid() == getpid()); B(getpgrp() == getpid()); R(setpgid(0, 0))));
    R(CHILD(R(setpgid(getppid(), 0))));
    close(p[1]);
    waitpid(k, NULL, 0), waitpid(k2, NULL, 0), waitpid(k3, NULL, 0);
    // After exec a parent may not move a child.
    R(setpgid(k, k));
}

static void orphans(void) {
    H("stopped orphans get SIGHUP and SIGCONT");
    int p[2];
    M(pipe(p));
    pid_t mid = fork();
    if (!mid) {
        setpgid(0, 0);
        pid_t kid = fork();
        if (!kid) {
            signal(SIGHUP, say);
            signal(SIGCONT, say);
            raise(SIGSTOP);
            B(getppid() != 1 || 1);
            write(p[1], "d", 1);
            _exit(0);
        }
        int st;
        waitpid(kid, &st, WUNTRACED);
        ST("stopped", st);
        _exit(0);
    }
    waitpid(mid, NULL, 0);
    char c;
    close(p[1]);
    M(read(p[0], &c, 1));
    read(p[0], &c, 1); // ended
    H("no stop by the terminal's signals in an orphaned group");
    ST("SIGTSTP", CHILD(setsid(); raise(SIGTSTP); raise(SIGTTIN); puts("goes on")));
}

static void reaper(void) {
    H("subreaper");
    int v = 9, st;
    R(prctl(PR_GET_CHILD_SUBREAPER, &v));
    R(v);
    R(prctl(PR_SET_CHILD_SUBREAPER, 1));
    R(prctl(PR_GET_CHILD_SUBREAPER, &v));
    R(v);
    pid_t me = getpid(), p = fork();
    if (!p) {
        v = 9;
        prctl(PR_GET_CHILD_SUBREAPER, &v);
        R(v); // not inherited
        pid_t mid = getpid();
        if (!fork()) {
            UNTIL(getppid() != mid);
            B(getppid() == me);
            _exit(44);
        }
        _exit(0);
    }
    M(waitpid(p, &st, 0));
    R(waitpid(-1, &st, 0) > 0);
    ST("grandchild", st);
    R(prctl(PR_SET_CHILD_SUBREAPER, 0));
    H("parent-death signal");
    int q[2];
    M(pipe(q));
    p = fork();
    if (!p) {
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            write(q[1], "x", 1);
            for (;;) pause();
        }
        char c;
        read(q[0], &c, 1);
        _exit(0);
    }
    waitpid(p, NULL, 0);
    close(q[1]);
    char c;
    R(read(q[0], &c, 1)); // 0: the grandchild died
    R(prctl(PR_SET_PDEATHSIG, 99));
    R(prctl(PR_SET_PDEATHSIG, 0));
}

static void pidfds(void) {
    H("pidfd");
    R(po(0, 0));
    R(po(-1, 0));
    R(po(999999, 0));
    R(po(getpid(), 1));
    int self = R(po(getpid(), 0));
    R(fcntl(self, F_GETFD));
    X(fcntl(self, F_GETFL));
    int q[2], st;
    M(pipe(q));
    pid_t p = fork();
    if (!p) { char c; close(q[1]); read(q[0], &c, 1); _exit(9); }
    int fd = M(po(p, 0));
    X(ready(fd, 0));
    R(ps(fd, 0, NULL, 0));
    R(ps(fd, 99, NULL, 0));
    R(ps(fd, SIGTERM, NULL, 0x100));
    R(ps(0, SIGTERM, NULL, 0));
    R(ps(99, SIGTERM, NULL, 0));
    siginfo_t si = {.si_signo = SIGUSR1, .si_code = SI_USER};
    R(ps(fd, SIGUSR1, &si, 0));
    R(ps(fd, SIGUSR2, &si, 0));
    R(read(fd, &st, 1));
    R(write(fd, &st, 1));
    si = (siginfo_t){0};
    R(syscall(SYS_waitid, P_PIDFD, fd, &si, WEXITED | WNOHANG, NULL));
    R(si.si_pid);
    int got = syscall(SYS_pidfd_getfd, fd, q[0], 0);
    R(got >= 0);
    R(fcntl(got, F_GETFD));
    R(syscall(SYS_pidfd_getfd, fd, 99, 0));
    R(syscall(SYS_pidfd_getfd, fd, 0, 1));
    close(q[1]);
    X(ready(fd, PATIENCE));
    R(ps(fd, 0, NULL, 0)); // a zombie still takes signals
    R(syscall(SYS_waitid, P_PIDFD, fd, &si, WEXITED, NULL));
    B(si.si_pid == p && si.si_status == 9);
    R(ps(fd, 0, NULL, 0));
    R(ps(fd, SIGTERM, NULL, 0));
    X(ready(fd, 0) & POLLIN);
    R(syscall(SYS_waitid, P_PIDFD, fd, &si, WEXITED, NULL));
    int nb = -1;
    M(pipe(q));
    p = fork();
    if (!p) { char c; close(q[1]); read(q[0], &c, 1); _exit(1); }
    nb = M(po(p, O_NONBLOCK));
    R(syscall(SYS_waitid, P_PIDFD, nb, &si, WEXITED, NULL));
    close(q[1]);
    waitpid(p, NULL, 0);
    int null = M(open("/proc/self", O_RDONLY | O_DIRECTORY));
    R(ps(null, 0, NULL, 0)); // a folder of proc is as good
    char path[64], b[256];
    sprintf(path, "/proc/self/fd/%d", self);
    long n = readlink(path, b, sizeof b);
    str("link", b, n);
    sprintf(path, "/proc/self/fdinfo/%d", self);
    n = read(M(open(path, O_RDONLY)), b, 255);
    b[n] = 0;
    char *l = strstr(b, "\nPid:");
    B(l && atoi(l + 5) == getpid());
}

int main(void) {
    groups();
    orphans();
    reaper();
    pidfds();
    return 0;
}
