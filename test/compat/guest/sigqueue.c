// Signal queues, order of delivery, siginfo, masks, sigtimedwait, sigsuspend, kill rules.
#include "check.h"

static char order[64];
static int at;
static siginfo_t last;

static void h(int s, siginfo_t *si, void *u) {
    at += sprintf(order + at, "%s%d ", s >= SIGRTMIN ? "R" : "", s >= SIGRTMIN ? s - SIGRTMIN : s);
    if (at > 50) at = 50;
    last = *si;
}
static void flush(void) { printf("order: %s\n", order); at = 0; order[0] = 0; }
static void info(const char *what) {
    printf("%s: signo %d code %d pid %s uid %d value %d\n", what, last.si_signo >= SIGRTMIN ? 1000 : last.si_signo, last.si_code,
        last.si_pid == getpid() ? "self" : last.si_pid == getppid() ? "parent" : last.si_pid ? "other" : "0", last.si_uid, last.si_value.sival_int);
}
static void mask(int how, int a, int b, int c) {
    sigset_t s;
    sigemptyset(&s);
    if (a) sigaddset(&s, a);
    if (b) sigaddset(&s, b);
    if (c) sigaddset(&s, c);
    sigprocmask(how, &s, NULL);
}

int main(void) {
    struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO};
    sigfillset(&sa.sa_mask);
    for (int s = 1; s <= 64; s++)
        if (s != SIGKILL && s != SIGSTOP && s != 32 && s != 33) sigaction(s, &sa, NULL);
    H("numbers");
    R(sigaction(SIGKILL, &sa, NULL));
    R(sigaction(SIGSTOP, &sa, NULL));
    R(sigaction(0, &sa, NULL));
    R(sigaction(65, &sa, NULL));
    R(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
    R(syscall(SYS_rt_sigaction, SIGKILL, NULL, &sa, 8));
    R(syscall(SYS_rt_sigprocmask, 9, &sa.sa_mask, NULL, 8));
    R(syscall(SYS_rt_sigprocmask, 9, NULL, NULL, 8));
    R(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &sa.sa_mask, NULL, 4));
    H("order");
    sigset_t all, old, pend;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    sigprocmask(SIG_SETMASK, NULL, &pend);
    B(sigismember(&pend, SIGKILL) || sigismember(&pend, SIGSTOP));
    union sigval v;
    for (int i = 0; i < 3; i++) {
        v.sival_int = i;
        M(sigqueue(getpid(), SIGRTMIN + 3, v));
        M(sigqueue(getpid(), SIGRTMIN + 1, v));
        M(kill(getpid(), SIGUSR2));
        M(kill(getpid(), SIGHUP));
    }
    sigpending(&pend);
    printf("pending: %d %d %d %d\n", sigismember(&pend, SIGHUP), sigismember(&pend, SIGUSR2), sigismember(&pend, SIGRTMIN + 1), sigismember(&pend, SIGUSR1));
    sigprocmask(SIG_SETMASK, &old, NULL);
    flush();
    info("last");
    H("info");
    raise(SIGUSR1);
    info("raise");
    kill(getpid(), SIGUSR1);
    info("kill");
    v.sival_int = 77;
    sigqueue(getpid(), SIGUSR1, v);
    info("sigqueue");
    pid_t me = getpid();
    CHILD(kill(me, SIGTERM));
    info("from a child");
    H("timed waits");
    sigset_t w;
    sigemptyset(&w);
    sigaddset(&w, SIGUSR1);
    sigaddset(&w, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &w, NULL);
    struct timespec ts = {0, 20000000};
    int64_t t = now_ms();
    R(sigtimedwait(&w, NULL, &ts));
    B(now_ms() - t >= 19);
    v.sival_int = 5;
    sigqueue(getpid(), SIGRTMIN, v);
    v.sival_int = 6;
    sigqueue(getpid(), SIGRTMIN, v);
    raise(SIGUSR1);
    R(sigtimedwait(&w, &last, &ts) == SIGUSR1);
    info("first");
    R(sigwaitinfo(&w, &last) == SIGRTMIN);
    info("second");
    R(sigtimedwait(&w, &last, &(struct timespec){0, 0}) == SIGRTMIN);
    info("third");
    R(sigtimedwait(&w, &last, &(struct timespec){0, 0}));
    R(sigtimedwait(&w, &last, &(struct timespec){0, 1000000000}));
    R(sigtimedwait(&w, &last, &(struct timespec){-1, 0}));
    R(syscall(SYS_rt_sigtimedwait, &w, NULL, NULL, 4));
    pid_t pid = fork();
    if (!pid) { asleep(getppid()); kill(getppid(), SIGUSR1); _exit(0); }
    R(sigwaitinfo(&w, NULL) == SIGUSR1);
    waitpid(pid, NULL, 0);
    mask(SIG_BLOCK, SIGCHLD, 0, 0);
    pid = fork();
    if (!pid) { asleep(getppid()); kill(getppid(), SIGUSR2); _exit(0); }
    R(sigwaitinfo(&w, NULL)); // another signal: EINTR
    waitpid(pid, NULL, 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    flush();
    H("sigsuspend");
    mask(SIG_BLOCK, SIGUSR1, SIGUSR2, 0);
    raise(SIGUSR1);
    raise(SIGUSR2);
    sigset_t sus;
    sigfillset(&sus);
    sigdelset(&sus, SIGUSR1);
    R(sigsuspend(&sus));
    flush();
    sigpending(&pend);
    R(sigismember(&pend, SIGUSR2));
    sigprocmask(SIG_SETMASK, NULL, &pend);
    printf("mask is back: %d %d %d\n", sigismember(&pend, SIGUSR1), sigismember(&pend, SIGUSR2), sigismember(&pend, SIGHUP));
    H("ignoring drops what is pending");
    signal(SIGUSR2, SIG_IGN);
    sigpending(&pend);
    R(sigismember(&pend, SIGUSR2));
    sigprocmask(SIG_SETMASK, &old, NULL);
    H("children");
    mask(SIG_BLOCK, SIGUSR1, 0, 0);
    raise(SIGUSR1);
    R(CHILD({
        sigpending(&pend);
        R(sigismember(&pend, SIGUSR1));
        sigprocmask(SIG_SETMASK, NULL, &pend);
        R(sigismember(&pend, SIGUSR1));
    }));
    mask(SIG_UNBLOCK, SIGUSR1, 0, 0);
    flush();
    H("kill");
    R(kill(getpid(), 0));
    R(kill(getpid(), 65));
    R(kill(getpid(), -1));
    R(kill(999999, 0));
    R(kill(-999999, 0));
    R(kill(INT_MIN, 0));
    R(syscall(SYS_tkill, 0, 0));
    R(syscall(SYS_tkill, 999999, 0));
    R(syscall(SYS_tgkill, getpid(), gettid(), 0));
    R(syscall(SYS_tgkill, getpid() + 100, gettid(), 0));
    R(syscall(SYS_tgkill, -1, gettid(), 0));
    R(syscall(SYS_tgkill, getpid(), gettid(), 70));
    siginfo_t si = {.si_code = SI_USER};
    R(syscall(SYS_rt_sigqueueinfo, getppid(), SIGCONT, &si)); // only oneself may claim that
    si.si_code = -3;
    R(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &si));
    R(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &si));
    R(syscall(SYS_rt_tgsigqueueinfo, -1, gettid(), SIGUSR1, &si));
    R(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, NULL));
    flush();
    H("permission");
    R(CHILD(M(setuid(1000)); R(kill(getppid(), 0)); R(kill(getppid(), SIGUSR1)); R(kill(getpid(), SIGUSR1)); R(kill(1, 0));
        R(syscall(SYS_tgkill, getppid(), getppid(), SIGCONT))));
    flush();
    H("a dead child takes signals until it is reaped");
    pid = fork();
    if (!pid) _exit(0);
    M(waitid(P_PID, pid, NULL, WEXITED | WNOWAIT));
    R(kill(pid, SIGTERM));
    R(kill(pid, 0));
    waitpid(pid, NULL, 0);
    R(kill(pid, 0));
    return 0;
}
