// Faults: signal, code, address; stack growth and guard; traps, division, alignment, FPU state.
#include "check.h"
#include <setjmp.h>
#include <sys/resource.h>
#include <ucontext.h>

static sigjmp_buf env;
static volatile void *want;
static void on(int s, siginfo_t *si, void *u) {
    ucontext_t *uc = u;
    printf("SIG%s code %d address %s trap %lld", sigabbrev_np(s), si->si_code, si->si_addr == want ? "same" : si->si_addr ? "other" : "0",
        (long long)uc->uc_mcontext.gregs[REG_TRAPNO]);
    if (uc->uc_mcontext.gregs[REG_TRAPNO] == 14) printf(" error %llx", (long long)uc->uc_mcontext.gregs[REG_ERR]);
    putchar('\n');
    siglongjmp(env, 1);
}
#define F(what, addr, ...) do { printf("%s: ", what); want = (void *)(addr); if (!sigsetjmp(env, 1)) { __VA_ARGS__; puts("no fault"); } } while (0)

static int deep(int n) {
    volatile char b[4096];
    b[0] = n;
    return n ? deep(n - 1) + b[0] * 0 : 0;
}
static volatile int go_on = 1;
static int forever(int n) { volatile char b[4096]; b[0] = n; return go_on ? forever(n + 1) + b[0] : 0; }
static volatile int skipped;
static void skip(int s, siginfo_t *si, void *u) { ((ucontext_t *)u)->uc_mcontext.gregs[REG_RIP] += 2; skipped++; }
static void clobber(int s) {
    __asm__ volatile("pcmpeqb %%xmm0,%%xmm0; pcmpeqb %%xmm5,%%xmm5; pxor %%xmm6,%%xmm6; fld1; fldpi" ::: "xmm0", "xmm5", "xmm6");
}

int main(void) {
    static char alt[65536];
    stack_t ss = {.ss_sp = alt, .ss_size = sizeof alt};
    sigaltstack(&ss, NULL);
    struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (int i = 0; i < 5; i++) sigaction(sigs[i], &sa, NULL);
    H("memory");
    char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = M(open("f", O_RDWR | O_CREAT, 0600));
    char *past = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    F("null", 0, *(volatile char *)want);
    F("null write", 8, *(volatile char *)want = 1);
    printf("%d\n", *(volatile char *)ro); // it is there, so that the error code says so
    F("read only", ro, *(volatile char *)want = 1);
    F("no access", none, *(volatile char *)want);
    F("past the file", past, *(volatile char *)want = 1);
    F("not canonical", 1UL << 60, *(volatile char *)want);
    F("kernel", 0xffffffff81000000UL, *(volatile char *)want);
    F("jump to null", 0, ((void (*)(void))want)());
    F("jump to data", ro, ((void (*)(void))want)());
    H("instructions");
    F("undefined", 0, __asm__ volatile("ud2"));
    F("privileged", 0, __asm__ volatile("hlt"));
    F("port", 0, __asm__ volatile("inb $0x80, %%al" ::: "rax"));
    F("breakpoint", 0, __asm__ volatile("int3"));
    F("int 0x81", 0, __asm__ volatile("int $0x81"));
    volatile int zero = 0;
    F("division", 0, __asm__ volatile("idivl %0" ::"r"(zero) : "rax", "rdx"));
    F("overflow", 0, __asm__ volatile("movl $0x80000000,%%eax; cltd; movl $-1,%%ecx; idivl %%ecx" ::: "rax", "rdx", "rcx"));
    F("movaps unaligned", 0, __asm__ volatile("movaps 1(%0),%%xmm0" ::"r"(alt) : "xmm0"));
    F("trap flag", 0, __asm__ volatile("pushfq; orl $0x100,(%%rsp); popfq; nop; nop" ::: "memory", "cc"));
    unsigned mxcsr = 0x1f80 & ~0x200;
    F("sse division", 0, __asm__ volatile("ldmxcsr %0; movss %1,%%xmm0; divss %2,%%xmm0" ::"m"(mxcsr), "m"((float){1}), "m"((float){0}) : "xmm0"));
    F("sigqueue looks different", 0, raise(SIGSEGV));
    H("stack");
    struct rlimit rl;
    getrlimit(RLIMIT_STACK, &rl);
    R(rl.rlim_cur);
    rlim_t was = rl.rlim_cur;
    rl.rlim_cur = 1 << 20;
    ST("smaller limit", CHILD(M(setrlimit(RLIMIT_STACK, &rl)); signal(SIGSEGV, SIG_DFL); deep(100); puts("100 deep"); deep(1000)));
    rl.rlim_cur = was;
    R(deep(1500));
    F("endless", 1, forever(0));
    ST("endless without another stack", CHILD({
        ss.ss_flags = SS_DISABLE;
        sigaltstack(&ss, NULL);
        forever(0);
    }));
    H("handlers change the context");
    sa.sa_sigaction = skip;
    sigaction(SIGILL, &sa, NULL);
    __asm__ volatile("ud2");
    R(skipped);
    H("registers survive");
    signal(SIGUSR1, clobber);
    double d = 1.5;
    long pid = getpid(), a = 0x1111, b = 0;
    unsigned x = 0;
    __asm__ volatile(
        "movq %5,%%xmm5; movq %5,%%xmm6; mov $0x1234567,%%r12; mov $0x7654321,%%r15; std; "
        "mov $62,%%eax; mov %4,%%rdi; mov $10,%%esi; syscall; "
        "pushfq; pop %0; cld; movq %%xmm5,%1; movq %%xmm6,%2; mov %%r12,%3; xor %%r15,%3"
        : "=&r"(b), "=m"(d), "=&r"(a), "=&r"(pid) : "r"(pid), "r"(0x3ff8000000000000L)
        : "rax", "rcx", "r11", "rdi", "rsi", "r12", "r15", "xmm5", "xmm6", "memory", "cc");
    printf("direction %d d %g xmm6 %lx r12^r15 %lx\n", !!(b & 0x400), d, a, pid);
    __asm__ volatile("stmxcsr %0" : "=m"(x));
    X(x & 0x1f80);
    H("a system call keeps its registers");
    long r8, r9, r10, rax;
    __asm__ volatile("mov $39,%%eax; mov $1,%%r8; mov $2,%%r9; mov $3,%%r10; mov $4,%%edx; syscall; mov %%r8,%0; mov %%r9,%1; mov %%r10,%2; mov %%rdx,%3"
        : "=&r"(r8), "=&r"(r9), "=&r"(r10), "=&r"(rax)::"rax", "rcx", "r11", "r8", "r9", "r10", "rdx");
    printf("%ld %ld %ld %ld\n", r8, r9, r10, rax);
    long rc, r11;
    __asm__ volatile("mov $39,%%eax; lea 1f(%%rip),%%rbx; syscall; 1: mov %%rcx,%0; sub %%rbx,%0; mov %%r11,%1" : "=&r"(rc), "=&r"(r11)::"rax", "rbx", "rcx", "r11");
    printf("rcx - rip %ld, r11 has flags %d\n", rc, (r11 & 0x202) == 0x202);
    R(syscall(100000));
    R(syscall(-1));
    return 0;
}
