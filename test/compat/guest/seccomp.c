// seccomp: strict mode, filter mode with every action, order of filters, inheritance, notify.
#include "check.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <ucontext.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS _IOW(0x21, 4, __u64)
#endif

#define LD(f) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, f))
#define JEQ(v, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, t, f)
#define RET(v) BPF_STMT(BPF_RET | BPF_K, v)
static int load(struct sock_filter *f, int n, int flags) {
    struct sock_fprog p = {n, f};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}
// on makes call nr give ret and all others pass.
static int on(int nr, unsigned ret, int flags) {
    struct sock_filter f[] = {LD(nr), JEQ(nr, 0, 1), RET(ret), RET(SECCOMP_RET_ALLOW)};
    return load(f, 4, flags);
}
static void nnp(void) { M(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); }
static void sys(int s, siginfo_t *si, void *u) {
    ucontext_t *uc = u;
    printf("SIGSYS code %d call %d arch %x errno %d address %s rax %lld\n", si->si_code, si->si_syscall, si->si_arch, si->si_errno,
        si->si_call_addr == (void *)uc->uc_mcontext.gregs[REG_RIP] ? "rip" : "other", (long long)uc->uc_mcontext.gregs[REG_RAX]);
    uc->uc_mcontext.gregs[REG_RAX] = 77;
}
static void *other(void *a) { return (void *)(long)(syscall(SYS_getpgrp) == -1 ? errno : 0); }

static int recv_(int fd, struct seccomp_notif *n) { memset(n, 0, sizeof *n); return ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, n); }
static int answer(int fd, __u64 id, long val, int err, unsigned flags) {
    struct seccomp_notif_resp r = {id, val, err, flags};
    return ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
}
static int addfd(int fd, __u64 id, unsigned flags, int src, int at, unsigned nflags) {
    struct seccomp_notif_addfd a = {id, flags, src, at, nflags};
    return ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
}
static int events(int fd) { struct pollfd p = {fd, POLLIN | POLLOUT, 0}; poll(&p, 1, 0); return p.revents; }
static volatile int got;
static void count(int s) { got++; }
// watched makes a child whose getpgrp is decided by the listener that is returned.
static int watched(pid_t *k, int flags, void (*f)(void)) {
    int p[2], c;
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
    fflush(stdout);
    if (!(*k = M(fork()))) {
        nnp();
        int fd = M(on(SYS_getpgrp, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags));
        char b[64] = {0};
        struct iovec iov = {"m", 1};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = b, .msg_controllen = CMSG_SPACE(4)};
        *(struct cmsghdr *)b = (struct cmsghdr){CMSG_LEN(4), SOL_SOCKET, SCM_RIGHTS};
        *(int *)CMSG_DATA((struct cmsghdr *)b) = fd;
        M(sendmsg(p[0], &m, 0));
        close(fd);
        close(p[0]);
        close(p[1]);
        f();
        _exit(0);
    }
    char b[64];
    struct iovec iov = {&c, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = b, .msg_controllen = sizeof b};
    M(recvmsg(p[1], &m, 0));
    close(p[0]);
    close(p[1]);
    return *(int *)CMSG_DATA((struct cmsghdr *)b);
}
static void once(void) { long r = syscall(SYS_getpgrp); printf("  getpgrp %ld %s\n", r, r < 0 ? ename(errno) : ""); }
static void reads(void) {
    for (int i = 0; i < 3; i++) {
        int fd = syscall(SYS_getpgrp);
        char b[8] = {0};
        printf("  descriptor %d %s: %ld bytes %s, flags %d\n", fd, fd < 0 ? ename(errno) : "", (long)read(fd, b, 7), b, fcntl(fd, F_GETFD));
    }
}
static void signalled(void) {
    struct sigaction sa = {.sa_handler = count};
    sigaction(SIGUSR1, &sa, NULL);
    once();
    printf("  signals %d\n", got);
    sa.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &sa, NULL);
    once();
    printf("  signals %d\n", got);
}

static void listeners(void) {
    struct seccomp_notif n;
    pid_t k;
    int fd, fd2, st;
    H("listener, arguments");
    R(CHILD({
        nnp();
        R(on(SYS_getpgrp, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV));
        R(on(SYS_getpgrp, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER));
        R(on(SYS_getpgrp, SECCOMP_RET_USER_NOTIF, 0));
        R(syscall(SYS_getpgrp)); // no listener
        fd = M(on(SYS_getppid, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH | SECCOMP_FILTER_FLAG_NEW_LISTENER));
        R(on(SYS_getuid, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER)); // one a task
        X(events(fd));
        R(answer(fd, 1, 0, 0, 0));
        R(answer(fd, 1, 1, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
        R(answer(fd, 1, 0, 0, 8));
        R(addfd(fd, 1, 0, 0, 0, 0));
        R(addfd(fd, 1, 4, 0, 0, 0));
        R(addfd(fd, 1, 0, 99, 0, 0));
        R(addfd(fd, 1, 0, 0, 5, 0));
        R(addfd(fd, 1, 0, 0, 0, 1));
        R(ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1));
        R(ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 2));
        R(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n));
        memset(&n, 1, sizeof n);
        R(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n));
        R(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, NULL));
        R(ioctl(fd, 0x2199));
        R(read(fd, &n, 8));
        close(fd);
        R(syscall(SYS_getppid)); // it is gone
    }));
    H("listener, states");
    fd = watched(&k, 0, once);
    struct pollfd pf = {fd, POLLIN, 0};
    R(poll(&pf, 1, PATIENCE));
    X(events(fd));
    R(recv_(fd, &n));
    X(events(fd));
    M(answer(fd, n.id, 0, 0, 0));
    M(answer(fd, n.id, 0, 0, 0) == -1 && (errno == ENOENT || errno == EINPROGRESS) ? 0 : -1);
    waitpid(k, &st, 0);
    X(events(fd));
    R(recv_(fd, &n)); // nobody is left
    close(fd);
    H("listener closes");
    fd = watched(&k, 0, once);
    R(recv_(fd, &n));
    close(fd);
    waitpid(k, &st, 0);
    H("the task dies");
    fd = watched(&k, 0, once);
    R(recv_(fd, &n));
    kill(k, SIGKILL);
    waitpid(k, &st, 0);
    R(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
    R(answer(fd, n.id, 0, 0, 0));
    close(fd);
    H("descriptors");
    int q[2];
    M(pipe(q));
    M(write(q[1], "pipe", 4));
    fd = watched(&k, 0, reads);
    R(recv_(fd, &n));
    fd2 = addfd(fd, n.id, 0, q[0], 0, O_CLOEXEC);
    B(fd2 > 2);
    M(answer(fd, n.id, fd2, 0, 0));
    R(recv_(fd, &n));
    R(addfd(fd, n.id, SECCOMP_ADDFD_FLAG_SETFD, q[0], 50, 0));
    M(write(q[1], "more", 4));
    M(answer(fd, n.id, 50, 0, 0));
    M(recv_(fd, &n));
    M(addfd(fd, n.id, SECCOMP_ADDFD_FLAG_SEND, q[0], 0, 0));
    M(write(q[1], "last", 4));
    waitpid(k, &st, 0);
    close(fd);
    for (int killable = 0; killable < 2; killable++) {
        H(killable ? "signals, killable" : "signals");
        fd = watched(&k, killable ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0, signalled);
        for (int i = 0; i < 2; i++) {
            if (!i || killable) M(recv_(fd, &n));
            UNTIL(sleeps(k) || state_of(k) == 'D');
            kill(k, SIGUSR1);
            if (killable) UNTIL(state_of(k) == 'D'); // from now on only SIGKILL counts
            else UNTIL(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
            int valid = ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id) == 0;
            if (!valid) M(recv_(fd, &n)); // the next, or it came again: the child has printed
            printf("still there %d\n", valid);
            if (valid || i) M(answer(fd, n.id, 5, 0, 0));
        }
        waitpid(k, &st, 0);
        close(fd);
    }
}

int main(void) {
    H("arguments");
    R(prctl(PR_GET_SECCOMP));
    R(syscall(SYS_seccomp, 99, 0, NULL));
    R(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL));
    R(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL));
    unsigned act = SECCOMP_RET_ERRNO;
    R(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &act));
    act = 0x12340000;
    R(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &act));
    struct seccomp_notif_sizes sz;
    R(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sz));
    printf("%d %d %d\n", sz.seccomp_notif, sz.seccomp_notif_resp, sz.seccomp_data);
    R(CHILD(M(setuid(1000)); R(on(SYS_getpgrp, SECCOMP_RET_ERRNO | 1, 0)); nnp(); R(on(SYS_getpgrp, SECCOMP_RET_ERRNO | 1, 0))));
    R(CHILD({
        nnp();
        struct sock_filter f[] = {LD(nr), RET(SECCOMP_RET_ALLOW)};
        R(load(f, 0, 0));
        R(load(f, 1, 0)); // no return at the end
        R(load(f, 5000, 0));
        struct sock_filter odd[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 3), RET(SECCOMP_RET_ALLOW)};
        R(load(odd, 2, 0));
        struct sock_filter far[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RET(SECCOMP_RET_ALLOW)};
        R(load(far, 2, 0));
        struct sock_filter jump[] = {BPF_JUMP(BPF_JMP | BPF_JA, 7, 0, 0), RET(SECCOMP_RET_ALLOW)};
        R(load(jump, 2, 0));
        struct sock_filter half[] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), RET(SECCOMP_RET_ALLOW)};
        R(load(half, 2, 0));
        R(load((void *)8, 2, 0));
        R(load(f, 2, 0x1000));
        struct sock_filter len[] = {BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), JEQ(64, 0, 1), RET(SECCOMP_RET_ALLOW), RET(SECCOMP_RET_KILL_PROCESS)};
        R(load(len, 4, 0));
        struct sock_filter div[] = {BPF_STMT(BPF_LDX | BPF_IMM, 0), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), RET(SECCOMP_RET_ALLOW)};
        R(CHILD(load(div, 3, 0); getpid()) != 0); // division by zero returns 0: kill
    }));
    H("actions");
    R(CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_ERRNO | 13, 0)); R(syscall(SYS_getpgrp)); R(prctl(PR_GET_SECCOMP))));
    R(CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_ERRNO | 0, 0)); R(syscall(SYS_getpgrp))));
    R(CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_ERRNO | 0xffff, 0)); long r; r = syscall(SYS_getpgrp); printf("%ld %d\n", r, errno)));
    R(CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_LOG, 0)); B(syscall(SYS_getpgrp) > 0)));
    ST("kill process", CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_KILL_PROCESS, 0)); syscall(SYS_getpgrp)));
    ST("kill thread", CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_KILL_THREAD, 0)); syscall(SYS_getpgrp)));
    ST("kill one thread of two", CHILD({
        nnp();
        M(on(SYS_getpgrp, SECCOMP_RET_KILL_THREAD, 0));
        pthread_t t;
        pthread_create(&t, NULL, other, NULL);
        pthread_join(t, NULL);
        _exit(7);
    }));
    ST("unknown action kills", CHILD(nnp(); M(on(SYS_getpgrp, 0x12340000, 0)); syscall(SYS_getpgrp)));
    struct sigaction sa = {.sa_sigaction = sys, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &sa, NULL);
    R(CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_TRAP | 55, 0)); R(syscall(SYS_getpgrp))));
    ST("kill ignores the handler", CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_KILL_PROCESS, 0)); syscall(SYS_getpgrp)));
    ST("trap while blocked", CHILD(nnp(); sigset_t s; sigfillset(&s); sigprocmask(SIG_BLOCK, &s, NULL); M(on(SYS_getpgrp, SECCOMP_RET_TRAP, 0)); syscall(SYS_getpgrp)));
    R(CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_TRACE, 0)); R(syscall(SYS_getpgrp)))); // no tracer
    H("several filters, the strictest counts");
    R(CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_ERRNO | 1, 0)); M(on(SYS_getpgrp, SECCOMP_RET_ALLOW, 0)); R(syscall(SYS_getpgrp))));
    R(CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_ERRNO | 1, 0)); M(on(SYS_getpgrp, SECCOMP_RET_ERRNO | 2, 0)); R(syscall(SYS_getpgrp)))); // of equals the last
    R(CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_ERRNO | 1, 0)); M(on(SYS_getpgrp, SECCOMP_RET_TRAP, 0)); R(syscall(SYS_getpgrp))));
    R(CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_ERRNO | 1, 0)); R(CHILD(R(syscall(SYS_getpgrp)))); char *v[] = {"/bin/true", NULL}; R(CHILD(execv(v[0], v)))));
    H("arguments of calls");
    R(CHILD({
        nnp();
        struct sock_filter f[] = {LD(arch), JEQ(AUDIT_ARCH_X86_64, 1, 0), RET(SECCOMP_RET_KILL_PROCESS), LD(nr), JEQ(SYS_dup2, 0, 5),
            LD(args[1]), JEQ(0x55, 0, 3), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4), JEQ(0x66, 0, 1), RET(SECCOMP_RET_ERRNO | 99), RET(SECCOMP_RET_ALLOW)};
        M(load(f, 11, 0));
        R(syscall(SYS_dup2, 99, 0x55));
        R(syscall(SYS_dup2, 99, 0x6600000055));
        R(syscall(0x40000000 | SYS_getpid)); // x32 numbers
    }));
    R(CHILD({ // scratch memory, arithmetic
        nnp();
        struct sock_filter f[] = {LD(nr), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LDX | BPF_IMM, 5), BPF_STMT(BPF_LD | BPF_MEM, 3), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
            BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 1), BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0), JEQ((SYS_getpgrp + 5) * 2, 0, 1), RET(SECCOMP_RET_ERRNO | 3), RET(SECCOMP_RET_ALLOW)};
        M(load(f, 11, 0));
        R(syscall(SYS_getpgrp));
    }));
    R(CHILD({ // BPF_RET of the accumulator
        nnp();
        struct sock_filter f[] = {LD(nr), JEQ(SYS_getpgrp, 0, 2), BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ERRNO | 5), BPF_STMT(BPF_RET | BPF_A, 0), RET(SECCOMP_RET_ALLOW)};
        M(load(f, 5, 0));
        R(syscall(SYS_getpgrp));
    }));
    H("threads");
    R(CHILD({
        nnp();
        pthread_t t;
        void *r;
        int p[2];
        M(pipe(p));
        M(on(SYS_getpgrp, SECCOMP_RET_ERRNO | 9, SECCOMP_FILTER_FLAG_TSYNC));
        pthread_create(&t, NULL, other, NULL);
        pthread_join(t, &r);
        R((long)r);
    }));
    H("trace");
    pid_t p = fork();
    int st;
    if (!p) {
        nnp();
        M(ptrace(PTRACE_TRACEME, 0, 0, 0));
        raise(SIGSTOP);
        M(on(SYS_getpgrp, SECCOMP_RET_TRACE | 42, 0));
        R(syscall(SYS_getpgrp));
        _exit(0);
    }
    waitpid(p, &st, 0);
    M(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESECCOMP));
    M(ptrace(PTRACE_CONT, p, 0, 0));
    waitpid(p, &st, 0);
    X(st >> 8);
    unsigned long msg;
    M(ptrace(PTRACE_GETEVENTMSG, p, 0, &msg));
    R(msg);
    M(ptrace(PTRACE_CONT, p, 0, 0));
    waitpid(p, &st, 0);
    ST("traced", st);
    H("notify");
    R(CHILD({
        nnp();
        int fd;
        fd = M(on(SYS_getpgrp, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER));
        R(fcntl(fd, F_GETFD));
        pid_t k = fork();
        if (!k) {
            long one = syscall(SYS_getpgrp);
            long two = syscall(SYS_getpgrp);
            int err = errno;
            _exit(one == 4711 && two == -1 && err == EXDEV && syscall(SYS_getpgrp) > 0 ? 33 : 34);
        }
        struct seccomp_notif n;
        struct seccomp_notif_resp r;
        for (int i = 0; i < 3; i++) {
            memset(&n, 0, sizeof n);
            M(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n));
            B(n.pid == (unsigned)k && n.data.nr == SYS_getpgrp);
            R(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
            memset(&r, 0, sizeof r);
            r.id = n.id;
            if (i == 0) r.val = 4711;
            if (i == 1) r.error = -EXDEV;
            if (i == 2) r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
            R(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
        }
        int ks;
        waitpid(k, &ks, 0);
        ST("answers", ks);
        struct pollfd pf = {fd, POLLIN | POLLOUT, 0};
        R(poll(&pf, 1, 0));
    }));
    listeners();
    H("strict");
    ST("strict", CHILD({ M(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)); write(1, "allowed\n", 8); syscall(SYS_exit, 5); }));
    ST("strict, getpid", CHILD({ M(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL)); syscall(SYS_getpid); }));
    R(CHILD(nnp(); M(on(SYS_getpgrp, SECCOMP_RET_ERRNO, 0)); R(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL))));
    return 0;
}
