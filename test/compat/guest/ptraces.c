// ptrace: traceme, seize, stops, registers, memory, options, events, single-step, syscalls.
#include "check.h"
#include <elf.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/reg.h>
#include <sys/user.h>

static volatile long word = 0x1122334455667788;
static int st;
#define PT(r, p, a, d) ptrace(r, p, (void *)(long)(a), (void *)(long)(d))
static void wt(const char *what, pid_t p) {
    pid_t r = waitpid(p, &st, __WALL);
    if (r < 0) { printf("%s: %s\n", what, ename(errno)); return; }
    printf("%s: %s", what, status_name(st));
    if (WIFSTOPPED(st)) {
        if (st >> 16) printf(" event %d", st >> 16);
        if (WSTOPSIG(st) & 0x80) printf(" (system call)");
    }
    putchar('\n');
}
static volatile int handled;
static void handler(int s) { handled = s; }

static pid_t traced(void (*f)(void)) {
    pid_t p = M(fork());
    if (!p) {
        M(PT(PTRACE_TRACEME, 0, 0, 0));
        raise(SIGSTOP);
        f();
        _exit(0);
    }
    M(waitpid(p, &st, 0));
    return p;
}
static void calls(void) { syscall(SYS_getppid); syscall(SYS_close, 99); }
static void exits3(void) { _exit(3); }
static void signals(void) { signal(SIGUSR1, handler); raise(SIGUSR1); _exit(handled == SIGUSR1 ? 5 : handled == SIGUSR2 ? 6 : 7); }
static void forks(void) { pid_t p = fork(); if (!p) _exit(4); waitpid(p, NULL, 0); p = vfork(); if (!p) _exit(5); waitpid(p, NULL, 0); }
static void execs(void) { char *v[] = {"/bin/true", NULL}; execv(v[0], v); }
static void steps(void) { __asm__ volatile("nop; nop; nop; mov $7,%%eax; mov $8,%%ecx" ::: "eax", "ecx"); }
static void traps(void) { __asm__ volatile("int3"); _exit(9); }
static void faults(void) { *(volatile int *)16 = 1; }
static void *thread(void *a) { return NULL; }
static void threads(void) { pthread_t t; pthread_create(&t, NULL, thread, NULL); pthread_join(t, NULL); _exit(2); }
static int answer;
static void answers(int s) { M(write(answer, "s", 1)); }
static void waits(void) { for (;;) pause(); }

static void queues(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 7; i < 10; i++) sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
    kill(getpid(), SIGUSR1);
    tgkill(getpid(), gettid(), SIGUSR2);
    raise(SIGSTOP);
}
static void peek(pid_t p, uint64_t off, unsigned flags, int n, void *to) {
    siginfo_t *q = to;
    struct __ptrace_peeksiginfo_args a = {off, flags, n};
    long got = R(PT(PTRACE_PEEKSIGINFO, p, &a, to));
    for (long i = 0; i < got; i++)
        printf("%d code %d value %d\n", q[i].si_signo, q[i].si_code, q[i].si_code == SI_QUEUE ? q[i].si_int : 0);
}
static void pending(void) {
    siginfo_t q[8];
    pid_t p = traced(queues);
    M(PT(PTRACE_CONT, p, 0, 0));
    wt("queued", p);
    peek(p, 0, PTRACE_PEEKSIGINFO_SHARED, 8, q);
    peek(p, 1, PTRACE_PEEKSIGINFO_SHARED, 2, q);
    peek(p, 9, PTRACE_PEEKSIGINFO_SHARED, 2, q);
    peek(p, 0, 0, 8, q);
    peek(p, 0, 0, 0, q);
    peek(p, 0, 2, 1, q);
    peek(p, 0, 0, -1, q);
    peek(p, 0, 0, 1, (void *)8);
    R(PT(PTRACE_PEEKSIGINFO, p, 8, q));
    kill(p, SIGKILL);
    wt("killed", p);
}

int main(void) {
    struct user_regs_struct r;
    siginfo_t si;
    unsigned long msg;
    H("errors");
    R(PT(PTRACE_CONT, getpid(), 0, 0));
    R(PT(PTRACE_ATTACH, getpid(), 0, 0));
    R(PT(PTRACE_ATTACH, 999999, 0, 0));
    R(PT(999, getpid(), 0, 0));
    R(PT(PTRACE_SEIZE, 999999, 0, 0));
    H("registers and memory");
    pid_t p = traced(exits3);
    ST("stop", st);
    R(PT(999, p, 0, 0));
    R(PT(PTRACE_GETREGS, p, 0, &r));
    B(r.rip && r.rsp && r.cs == 0x33 && r.ss == 0x2b);
    errno = 0;
    X(PT(PTRACE_PEEKDATA, p, &word, 0));
    R(PT(PTRACE_POKEDATA, p, &word, 0x55));
    X(PT(PTRACE_PEEKTEXT, p, &word, 0));
    X(word);
    R(PT(PTRACE_PEEKDATA, p, 8, 0));
    R(PT(PTRACE_POKEDATA, p, 8, 0));
    R(PT(PTRACE_POKETEXT, p, traced, PT(PTRACE_PEEKTEXT, p, traced, 0))); // read-only memory may be written
    B((unsigned long)PT(PTRACE_PEEKUSER, p, offsetof(struct user, regs.rip), 0) == r.rip);
    R(PT(PTRACE_PEEKUSER, p, 3, 0));
    R(PT(PTRACE_PEEKUSER, p, 100000, 0));
    R(PT(PTRACE_POKEUSER, p, offsetof(struct user, regs.rbx), 77));
    PT(PTRACE_GETREGS, p, 0, &r);
    R(r.rbx);
    struct iovec iov = {&r, sizeof r};
    R(PT(PTRACE_GETREGSET, p, NT_PRSTATUS, &iov));
    B(iov.iov_len == sizeof r);
    iov.iov_len = 16;
    R(PT(PTRACE_GETREGSET, p, NT_PRSTATUS, &iov));
    R(iov.iov_len);
    static char xs[16384];
    iov = (struct iovec){xs, sizeof xs};
    R(PT(PTRACE_GETREGSET, p, NT_X86_XSTATE, &iov));
    B(iov.iov_len >= 512);
    R(PT(PTRACE_GETREGSET, p, 0x9999, &iov));
    struct user_fpregs_struct fp;
    R(PT(PTRACE_GETFPREGS, p, 0, &fp));
    X(fp.mxcsr);
    R(PT(PTRACE_SETFPREGS, p, 0, &fp));
    R(PT(PTRACE_GETSIGINFO, p, 0, &si));
    printf("signo %d code %d\n", si.si_signo, si.si_code);
    sigset_t ss;
    R(PT(PTRACE_GETSIGMASK, p, 8, &ss));
    R(PT(PTRACE_GETEVENTMSG, p, 0, &msg));
    R(PT(PTRACE_SETOPTIONS, p, 0, 0x40000000));
    R(PT(PTRACE_CONT, p, 0, 99));
    R(PT(PTRACE_CONT, p, 0, 0));
    wt("end", p);
    R(PT(PTRACE_CONT, p, 0, 0));
    H("pending signals");
    pending();
    H("system calls");
    p = traced(calls);
    M(PT(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL));
    for (int i = 0; i < 40; i++) {
        M(PT(PTRACE_SYSCALL, p, 0, 0));
        M(waitpid(p, &st, 0));
        if (WIFSTOPPED(st) && WSTOPSIG(st) == (SIGTRAP | 0x80)) {
            PT(PTRACE_GETREGS, p, 0, &r);
            if (r.orig_rax != SYS_getppid && r.orig_rax != SYS_close && r.orig_rax != SYS_exit_group) continue;
            struct { uint8_t op, pad[3]; uint32_t arch; uint64_t ip, sp, nr, args[7]; } info;
            memset(&info, 0, sizeof info);
            long n = PT(0x420e, p, sizeof info, &info);
            printf("call %lld op %d info %d nr %lld", r.orig_rax, info.op, n > 0, info.op == 1 ? (long long)info.nr : -1LL);
            if (info.op == 1) printf(" rax %lld", (long long)r.rax);
            if (info.op == 2 && r.orig_rax == SYS_close) printf(" result %lld", (long long)r.rax);
            putchar('\n');
            if (info.op == 1 && r.orig_rax == SYS_close) { r.rdi = 98; M(PT(PTRACE_SETREGS, p, 0, &r)); }
        } else {
            ST("stop", st);
            if (st >> 16 == PTRACE_EVENT_EXIT) { PT(PTRACE_GETEVENTMSG, p, 0, &msg); printf("exit event, status %lx\n", msg); }
            if (!WIFSTOPPED(st)) break;
        }
    }
    H("emulated calls");
    p = traced(calls);
    int seen = 0;
    for (int i = 0; i < 40 && !seen; i++) {
        M(PT(PTRACE_SYSEMU, p, 0, 0));
        M(waitpid(p, &st, 0));
        PT(PTRACE_GETREGS, p, 0, &r);
        seen = r.orig_rax == SYS_getppid;
        printf("stop %d at call %lld rax %lld\n", WSTOPSIG(st), r.orig_rax, (long long)r.rax);
    }
    R(PT(PTRACE_KILL, p, 0, 0));
    wt("killed", p);
    H("signals");
    for (int k = 0; k < 3; k++) {
        p = traced(signals);
        M(PT(PTRACE_CONT, p, 0, 0));
        wt("stop", p);
        M(PT(PTRACE_GETSIGINFO, p, 0, &si));
        printf("signo %d code %d\n", si.si_signo, si.si_code);
        M(PT(PTRACE_CONT, p, 0, k == 0 ? SIGUSR1 : k == 1 ? 0 : SIGKILL));
        wt("end", p);
    }
    p = traced(traps);
    M(PT(PTRACE_CONT, p, 0, 0));
    wt("int3", p);
    M(PT(PTRACE_GETSIGINFO, p, 0, &si));
    R(si.si_code);
    M(PT(PTRACE_CONT, p, 0, 0));
    wt("after", p);
    p = traced(faults);
    M(PT(PTRACE_CONT, p, 0, 0));
    wt("fault", p);
    M(PT(PTRACE_GETSIGINFO, p, 0, &si));
    printf("code %d address %lx\n", si.si_code, (long)si.si_addr);
    M(PT(PTRACE_CONT, p, 0, SIGSEGV));
    wt("after", p);
    H("single steps");
    p = traced(steps);
    int in_order = 1, n;
    unsigned long last = 0;
    for (n = 0; n < 200; n++) {
        M(PT(PTRACE_SINGLESTEP, p, 0, 0));
        M(waitpid(p, &st, 0));
        if (!WIFSTOPPED(st) || WSTOPSIG(st) != SIGTRAP) break;
        PT(PTRACE_GETREGS, p, 0, &r);
        in_order = in_order && r.rip != last;
        last = r.rip;
        if (r.rcx == 8 && (r.rax & 0xffffffff) == 7) break;
    }
    B(WIFSTOPPED(st) && WSTOPSIG(st) == SIGTRAP && in_order);
    R(PT(PTRACE_GETSIGINFO, p, 0, &si));
    R(si.si_code);
    R(PT(PTRACE_DETACH, p, 0, 0));
    wt("detached, ends", p);
    H("fork and exec events");
    p = traced(forks);
    M(PT(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE));
    for (int k = 0; k < 3; k++) {
        M(PT(PTRACE_CONT, p, 0, 0));
        for (;;) {
            M(waitpid(p, &st, 0));
            if (st >> 16) break;
            M(PT(PTRACE_CONT, p, 0, 0)); // SIGCHLD
        }
        M(PT(PTRACE_GETEVENTMSG, p, 0, &msg));
        printf("event %d message is a child %d\n", st >> 16, (pid_t)msg > p);
        if (k < 2) {
            wt("child", msg);
            M(PT(PTRACE_CONT, msg, 0, 0));
            wt("child", msg);
        }
    }
    M(PT(PTRACE_DETACH, p, 0, 0));
    wt("end", p);
    p = traced(execs);
    M(PT(PTRACE_CONT, p, 0, 0));
    wt("exec without the option", p);
    M(PT(PTRACE_CONT, p, 0, 0));
    wt("end", p);
    p = traced(execs);
    M(PT(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACEEXEC));
    M(PT(PTRACE_CONT, p, 0, 0));
    wt("exec", p);
    M(PT(PTRACE_GETEVENTMSG, p, 0, &msg));
    B((pid_t)msg == p);
    M(PT(PTRACE_CONT, p, 0, 0));
    wt("end", p);
    p = traced(threads);
    M(PT(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACECLONE));
    M(PT(PTRACE_CONT, p, 0, 0));
    wt("thread", p);
    M(PT(PTRACE_GETEVENTMSG, p, 0, &msg));
    wt("new thread", msg);
    M(PT(PTRACE_CONT, msg, 0, 0));
    wt("thread ends", msg);
    M(PT(PTRACE_CONT, p, 0, 0));
    wt("end", p);
    H("attach");
    p = fork();
    if (!p) waits();
    R(PT(PTRACE_ATTACH, p, 0, 0));
    wt("attached", p);
    CHILD(R(PT(PTRACE_ATTACH, p, 0, 0)));
    R(PT(PTRACE_DETACH, p, 0, 0));
    R(PT(PTRACE_DETACH, p, 0, 0));
    kill(p, SIGKILL);
    wt("killed", p);
    p = fork();
    if (!p) waits();
    R(PT(PTRACE_SEIZE, p, 0, PTRACE_O_TRACESYSGOOD));
    R(waitpid(p, &st, WNOHANG));
    R(PT(PTRACE_INTERRUPT, p, 0, 0));
    wt("interrupted", p);
    R(PT(PTRACE_CONT, p, 0, 0));
    kill(p, SIGSTOP);
    wt("signal", p);
    R(PT(PTRACE_CONT, p, 0, SIGSTOP));
    wt("group stop", p);
    R(PT(PTRACE_LISTEN, p, 0, 0));
    kill(p, SIGCONT);
    wt("ends the stop", p);
    kill(p, SIGKILL);
    wt("killed", p);
    M(chmod("..", 0755));
    p = fork();
    if (!p) waits();
    CHILD(M(setuid(1000)); R(PT(PTRACE_ATTACH, p, 0, 0)));
    kill(p, SIGKILL);
    waitpid(p, NULL, 0);
    H("the tracer dies");
    int q[2];
    M(pipe(q));
    p = fork();
    if (!p) { close(q[0]); waits(); }
    CHILD(M(PT(PTRACE_SEIZE, p, 0, PTRACE_O_EXITKILL)));
    wt("exit kill", p);
    M(pipe(q));
    p = fork();
    if (!p) { close(q[0]); answer = q[1]; signal(SIGUSR1, answers); M(write(answer, "r", 1)); waits(); }
    close(q[1]);
    char byte;
    M(read(q[0], &byte, 1));
    CHILD(M(PT(PTRACE_SEIZE, p, 0, 0)));
    kill(p, SIGUSR1);
    R(read(q[0], &byte, 1)); // it goes on
    R(waitpid(p, &st, WNOHANG));
    kill(p, SIGKILL);
    wt("still there", p);
    return 0;
}
