// Handlers: flags, restart, masks, alternate stack, nested, default actions, context.
#include "check.h"
#include <setjmp.h>
#include <sys/socket.h>
#include <sys/epoll.h>
#include <ucontext.h>

static volatile int *count_; // shared with the children, so that they act after the signal
#define n (*count_)
static char stack_[65536];
static void count(int s) { n++; }
static void set(int s, void (*f)(int), int flags) {
    struct sigaction sa = {.sa_handler = f, .sa_flags = flags};
    M(sigaction(s, &sa, NULL));
}
static int blocked(int s) {
    sigset_t set;
    sigprocmask(SIG_SETMASK, NULL, &set);
    return sigismember(&set, s);
}
static void show_mask(int s) { printf("in handler: USR1 %d USR2 %d\n", blocked(SIGUSR1), blocked(SIGUSR2)); }
static void depth(int s) { if (++n < 3) raise(s); }
static void where(int s) {
    char c;
    stack_t ss;
    sigaltstack(NULL, &ss);
    printf("on alternate: %d flags %x\n", &c >= stack_ && &c < stack_ + sizeof stack_, ss.ss_flags);
    stack_t x = {.ss_sp = stack_, .ss_size = sizeof stack_};
    R(sigaltstack(&x, NULL));
}
static sigjmp_buf env;
static void jump(int s) { siglongjmp(env, 1); }
static void ctx(int s, siginfo_t *si, void *u) {
    ucontext_t *uc = u;
    B(sigismember(&uc->uc_sigmask, SIGUSR2));
    sigaddset(&uc->uc_sigmask, SIGHUP); // what the handler leaves is restored
    B(uc->uc_mcontext.fpregs != NULL);
}

// feed is a second process that sends a signal when this one sleeps in a call, and ends the
// call when it sleeps again: what restarts ends too.
static pid_t feed(int fd) {
    fflush(stdout);
    pid_t me = getpid(), k = fork();
    if (k) return k;
    asleep(me);
    int was = n;
    kill(me, SIGALRM);
    UNTIL(n != was);
    asleep(me);
    if (fd >= 0) M(write(fd, "x", 1));
    _exit(5);
}

static void restarts(int flags) {
    char c;
    int p[2], s[2];
    M(pipe(p));
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    set(SIGALRM, count, flags);
    pid_t pid = feed(p[1]);
    R(read(p[0], &c, 1));
    waitpid(pid, NULL, 0);
    pid = feed(s[1]);
    R(recv(s[0], &c, 1, 0));
    waitpid(pid, NULL, 0);
    pid = feed(-1);
    R(waitpid(pid, NULL, 0) > 0 ? 1 : -1);
    waitpid(pid, NULL, 0);
    struct timespec ts = {60, 0}, rem = {0, 0};
    R(POKED(SIGALRM, nanosleep(&ts, &rem)));
    B(rem.tv_sec < 60 && rem.tv_sec + rem.tv_nsec > 0);
    R(POKED(SIGALRM, poll(NULL, 0, 60000)));
    int ep = epoll_create1(0);
    struct epoll_event ev;
    R(POKED(SIGALRM, epoll_wait(ep, &ev, 1, 60000)));
    struct timeval tv = {60, 0};
    R(POKED(SIGALRM, select(0, NULL, NULL, NULL, &tv)));
    R(POKED(SIGALRM, clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL) == EINTR));
    R(POKED(SIGALRM, pause()));
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){60, 0}, sizeof tv);
    while (recv(s[0], &c, 1, MSG_DONTWAIT) > 0) {}
    R(POKED(SIGALRM, recv(s[0], &c, 1, 0))); // a socket with a timeout does not restart
    R(n);
    n = 0;
    close(p[0]), close(p[1]), close(s[0]), close(s[1]), close(ep);
}

int main(void) {
    count_ = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    H("interrupted");
    restarts(0);
    H("restarted");
    restarts(SA_RESTART);
    H("mask in the handler");
    set(SIGUSR1, show_mask, 0);
    raise(SIGUSR1);
    set(SIGUSR1, show_mask, SA_NODEFER);
    raise(SIGUSR1);
    struct sigaction sa = {.sa_handler = show_mask}, old;
    sigaddset(&sa.sa_mask, SIGUSR2);
    sigaddset(&sa.sa_mask, SIGKILL);
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    R(sigaction(SIGUSR1, NULL, &old));
    B(old.sa_handler == show_mask && sigismember(&old.sa_mask, SIGUSR2) && !sigismember(&old.sa_mask, SIGKILL));
    H("reset");
    set(SIGUSR1, count, SA_RESETHAND);
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &old);
    B(old.sa_handler == SIG_DFL);
    X(old.sa_flags & ~0x4000000);
    n = 0;
    set(SIGUSR1, depth, SA_NODEFER);
    raise(SIGUSR1);
    R(n);
    n = 0;
    H("alternate stack");
    stack_t ss = {.ss_sp = stack_, .ss_size = sizeof stack_}, os;
    R(sigaltstack(NULL, &os));
    X(os.ss_flags);
    R(sigaltstack(&ss, &os));
    set(SIGUSR1, where, SA_ONSTACK);
    raise(SIGUSR1);
    set(SIGUSR1, where, 0);
    raise(SIGUSR1);
    R(sigaltstack(NULL, &os));
    B(os.ss_sp == stack_ && os.ss_size == sizeof stack_);
    ss.ss_size = 1000;
    R(sigaltstack(&ss, NULL));
    ss.ss_flags = 8;
    R(sigaltstack(&ss, NULL));
    ss = (stack_t){.ss_flags = SS_DISABLE};
    R(sigaltstack(&ss, NULL));
    ss = (stack_t){.ss_sp = stack_, .ss_size = sizeof stack_, .ss_flags = (int)(1U << 31)};
    R(sigaltstack(&ss, NULL));
    set(SIGUSR1, where, SA_ONSTACK);
    raise(SIGUSR1); // disarmed while the handler runs
    R(CHILD(R(sigaltstack(NULL, &os)); X(os.ss_flags)));
    H("jump and context");
    set(SIGUSR1, jump, 0);
    if (!sigsetjmp(env, 1)) raise(SIGUSR1);
    R(blocked(SIGUSR1));
    struct sigaction c = {.sa_sigaction = ctx, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &c, NULL);
    sigset_t u2;
    sigemptyset(&u2);
    sigaddset(&u2, SIGUSR2);
    sigprocmask(SIG_BLOCK, &u2, NULL);
    raise(SIGUSR1);
    R(blocked(SIGHUP));
    H("default actions");
    for (int s = 1; s <= 31; s++) {
        if (s == SIGSTOP || s == SIGTSTP || s == SIGTTIN || s == SIGTTOU) continue;
        char what[32];
        sprintf(what, "SIG%s", sigabbrev_np(s));
        ST(what, CHILD({
            sigset_t none;
            sigemptyset(&none);
            sigprocmask(SIG_SETMASK, &none, NULL);
            signal(s, SIG_DFL);
            kill(getpid(), s);
        }));
    }
    H("abort, ignored and blocked");
    ST("abort", CHILD(signal(SIGABRT, SIG_IGN); abort()));
    ST("fault while ignored", CHILD(signal(SIGSEGV, SIG_IGN); *(volatile int *)8 = 1));
    ST("fault while blocked", CHILD({
        sigset_t s;
        sigemptyset(&s);
        sigaddset(&s, SIGSEGV);
        sigprocmask(SIG_BLOCK, &s, NULL);
        set(SIGSEGV, count, 0);
        *(volatile int *)8 = 1;
    }));
    ST("no stack for the handler", CHILD(set(SIGUSR1, count, 0); __asm__ volatile("mov $39,%%eax; syscall; mov %%eax,%%edi; mov $10,%%esi; xor %%esp,%%esp; mov $62,%%eax; syscall" ::: "rax", "rdi", "rsi", "rcx", "r11", "memory")));
    return 0;
}
