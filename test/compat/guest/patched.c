// Hot system call instructions: a kernel that runs programs in user space may replace them.
// Nothing of that may be seen.
#include "check.h"
#include <asm/prctl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <ucontext.h>

#define HOT 200 // calls after which a site counts as hot here

// Calls of each kind; *_call is where the system call instruction ends, *_end the last byte.
// Names are number, first argument, and what the registers are filled with.
__asm__(".text\n.balign 4096\ntext_start:\n"
        ".globl by_mov,by_mov_call,by_movq,by_cmp,by_cmp_call,by_cmp_end,second,at_cmp,redzone,regs_mov,regs_cmp\n"
        // getppid by mov; syscall
        "by_mov: mov $110,%eax\n syscall\nby_mov_call: ret\n"
        "by_movq: mov $110,%rax\n syscall\n ret\n"
        // a call by number rdi with argument rsi, as libc's syscall()
        "by_cmp: mov %rdi,%rax\n mov %rsi,%rdi\n mov %rdx,%rsi\n mov %rcx,%rdx\n syscall\nby_cmp_call:\n"
        " cmp $-4095,%rax\n jae 1f\n ret\n1: neg %rax\n neg %rax\n or $0,%rax\nby_cmp_end: ret\n"
        // to the second instruction, number in rdi
        "second: mov %rdi,%rax\n jmp by_mov_call-2\n"
        // to the comparison, with rax from rdi
        "at_cmp: mov %rdi,%rax\n jmp by_cmp_call\n"
        // what lies below the stack pointer survives
        "redzone: mov $0x5a5a5a5a5a5a5a5a,%rdx\n"
        " mov %rdx,-8(%rsp)\n mov %rdx,-64(%rsp)\n mov %rdx,-120(%rsp)\n mov %rdx,-128(%rsp)\n"
        " mov $110,%eax\n syscall\n"
        " xor %eax,%eax\n cmp %rdx,-8(%rsp)\n jne 1f\n cmp %rdx,-64(%rsp)\n jne 1f\n cmp %rdx,-120(%rsp)\n jne 1f\n"
        " cmp %rdx,-128(%rsp)\n jne 1f\n inc %eax\n1: ret\n");
long by_mov(void), by_movq(void), by_cmp(long, ...), second(long), at_cmp(long), redzone(void);
extern char text_start[], by_mov_call[], by_cmp_call[], by_cmp_end[];

// code_at is a place beside a label; volatile, for a compiler that knows the size of labels.
static unsigned char *code_at(char *label, long off) {
    char *volatile at = label;
    return (unsigned char *)at + off;
}

// Calls with all registers, flags and vectors set, and all of them looked at after it.
__asm__("regs_mov: push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rdi\n"
        " mov %rdi,%rax\n movups 0(%rax),%xmm0\n movups 16(%rax),%xmm15\n fninit\n fldpi\n"
        " mov $1,%rbx\n mov $2,%rbp\n mov $3,%r12\n mov $4,%r13\n mov $5,%r14\n mov $6,%r15\n"
        " mov $7,%rdi\n mov $8,%rsi\n mov $9,%rdx\n mov $10,%r8\n mov $11,%r9\n mov $12,%r10\n"
        " push $0xcd7\n popfq\n cld\n stc\n"
        " mov $110,%eax\n syscall\n"
        "regs_back: mov %rax,%rax\n pushfq\n pop %rax\n" // flags as they are now
        " push %rcx\n push %r11\n mov 16(%rsp),%rcx\n"
        " mov %rax,32(%rcx)\n mov %rbx,40(%rcx)\n mov %rbp,48(%rcx)\n mov %r12,56(%rcx)\n mov %r13,64(%rcx)\n"
        " mov %r14,72(%rcx)\n mov %r15,80(%rcx)\n mov %rdi,88(%rcx)\n mov %rsi,96(%rcx)\n mov %rdx,104(%rcx)\n"
        " mov %r8,112(%rcx)\n mov %r9,120(%rcx)\n mov %r10,128(%rcx)\n"
        " movups %xmm0,136(%rcx)\n movups %xmm15,152(%rcx)\n fstpl 168(%rcx)\n"
        " pop %rax\n mov %rax,176(%rcx)\n pop %rax\n lea regs_back(%rip),%rdx\n sub %rdx,%rax\n mov %rax,184(%rcx)\n"
        " pop %rdi\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n cld\n ret\n"
        ".balign 4096\ntext_end:\n");
void regs_mov(void *);
extern char text_end[], regs_back[];

static long parent;
static void hot(const char *what, long (*f)(void), int n) {
    int bad = 0;
    for (int i = 0; i < n; i++) bad += f() != parent;
    printf("%s: %d wrong\n", what, bad);
}
static void hot_all(void) {
    hot("mov", by_mov, HOT);
    hot("movq", by_movq, HOT);
    int bad = 0;
    for (int i = 0; i < HOT; i++) bad += by_cmp(SYS_getppid) != parent;
    for (int i = 0; i < HOT; i++) bad += by_cmp(SYS_close, -1) != -EBADF;
    printf("cmp: %d wrong\n", bad);
    bad = 0;
    for (int i = 0; i < HOT; i++) bad += second(SYS_getpid) != getpid();
    printf("second instruction: %d wrong\n", bad);
    bad = 0;
    for (int i = 0; i < 20; i++) bad += at_cmp(7) != 7, bad += at_cmp(-7) != -7, bad += at_cmp(-4095) != -4095;
    printf("comparison: %d wrong\n", bad);
    bad = 0;
    for (int i = 0; i < HOT; i++) bad += redzone() != 1;
    printf("red zone: %d wrong\n", bad);
}

static void registers(void) {
    long out[24], first[24];
    int differ = 0;
    for (int i = 0; i < HOT; i++) {
        memset(out, 0x41, sizeof out);
        for (int j = 0; j < 4; j++) out[j] = 0x0102030405060708 * (j + 1);
        regs_mov(out);
        if (i == 0) memcpy(first, out, sizeof out);
        differ += memcmp(first, out, sizeof out) != 0;
    }
    for (int i = 4; i < 24; i++) printf("%lx ", first[i]);
    printf("\ndiffer: %d\n", differ);
}

// Signals that come all the time never see an instruction that is not the program's.
static volatile long outside, seen;
static void *volatile heap;
static int known(unsigned long ip) {
    return ip >= (unsigned long)0x400000 && ip < (unsigned long)heap;
}
static void storm(int s, siginfo_t *si, void *u) {
    ucontext_t *c = u;
    seen++;
    outside += !known(c->uc_mcontext.gregs[REG_RIP]);
}
static volatile int stop;
static void *sender(void *main_tid) {
    while (!stop) {
        syscall(SYS_tgkill, getpid(), *(int *)main_tid, SIGUSR1);
        for (volatile int i = 0; i < 300; i++) ;
    }
    return NULL;
}
static void storms(void) {
    struct sigaction sa = {.sa_sigaction = storm, .sa_flags = SA_SIGINFO};
    struct itimerval it = {{0, 300}, {0, 300}}, none = {};
    heap = sbrk(0);
    sigaction(SIGALRM, &sa, NULL);
    sigaction(SIGUSR1, &sa, NULL);
    setitimer(ITIMER_REAL, &it, NULL);
    int tid = syscall(SYS_gettid), bad = 0;
    pthread_t t;
    pthread_create(&t, NULL, sender, &tid);
    for (int i = 0; i < 400000 && (i < 3000 || seen < 300); i++) {
        bad += by_mov() != parent;
        bad += by_cmp(SYS_getppid) != parent;
        bad += by_cmp(SYS_close, -1) != -EBADF;
        bad += redzone() != 1;
    }
    stop = 1;
    pthread_join(t, NULL);
    setitimer(ITIMER_REAL, &none, NULL);
    printf("signals seen: %d, outside %ld, wrong %d\n", seen > 0, outside, bad);
    long out[24], first[24], differ = 0;
    stop = 0;
    pthread_create(&t, NULL, sender, &tid);
    for (int i = 0; i < 3000; i++) {
        memset(out, 0x41, sizeof out);
        for (int j = 0; j < 4; j++) out[j] = 0x0102030405060708 * (j + 1);
        regs_mov(out);
        if (i == 0) memcpy(first, out, sizeof out);
        differ += memcmp(first, out, sizeof out) != 0;
    }
    stop = 1;
    pthread_join(t, NULL);
    printf("registers under signals: %ld differ\n", differ);
    signal(SIGALRM, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
}

// Code that is copied somewhere, made hot, and changed.
static const unsigned char getppid_code[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3};
static const unsigned char getuid_code[] = {0xb8, 102, 0, 0, 0, 0x0f, 0x05, 0xc3};
static const unsigned char const_code[] = {0xb8, 5, 0, 0, 0, 0x90, 0x90, 0xc3};
static const unsigned char over_code[] = {0xb8, 110, 0, 0, 0, 0xeb, 0x0e, [21] = 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0xc3};
static void own_code(void) {
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, getppid_code, sizeof getppid_code);
    memcpy(p + 128, over_code, sizeof over_code);
    R(mprotect(p, 4096, PROT_READ | PROT_EXEC));
    hot("copied", (long (*)(void))p, HOT);
    hot("copied cmp", (long (*)(void))(p + 128), HOT);
    printf("same bytes: %d\n", !memcmp(getppid_code + 5, p + 5, 3));
    R(mprotect(p, 4096, PROT_READ | PROT_WRITE));
    printf("all bytes: %d %d\n", !memcmp(getppid_code, p, sizeof getppid_code), !memcmp(over_code, p + 128, sizeof over_code));
    memcpy(p, const_code, sizeof const_code);
    R(mprotect(p, 4096, PROT_READ | PROT_EXEC));
    printf("rewritten: %ld\n", ((long (*)(void))p)());
    R(mprotect(p, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
    // Code that changes itself while it is hot.
    int bad = 0;
    for (int i = 0; i < HOT; i++) {
        memcpy(p, getppid_code, sizeof getppid_code);
        bad += ((long (*)(void))p)() != parent;
        memcpy(p, getuid_code, sizeof getuid_code);
        bad += ((long (*)(void))p)() != getuid();
    }
    printf("self-modifying: %d wrong\n", bad);
    munmap(p, 8192);

    int fd = M(memfd_create("code", 0));
    char page[4096] = {0};
    memcpy(page + 64, getppid_code, sizeof getppid_code);
    M(write(fd, page, sizeof page));
    memcpy(page + 64, const_code, sizeof const_code);
    M(write(fd, page, sizeof page));
    p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    hot("file", (long (*)(void))(p + 64), HOT);
    R(mmap(p, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 4096) == p);
    printf("mapped over: %ld\n", ((long (*)(void))(p + 64))());
    R(mmap(p, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0) == p);
    hot("mapped back", (long (*)(void))(p + 64), HOT);
    R(madvise(p, 4096, MADV_DONTNEED));
    hot("dropped", (long (*)(void))(p + 64), HOT);
    char *q = mremap(p, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, p - (1 << 20));
    printf("moved: %d\n", q == p - (1 << 20));
    hot("moved", (long (*)(void))(q + 64), HOT);
    R(munmap(q, 4096));
    // Shared code, written through another mapping.
    p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    hot("shared", (long (*)(void))(p + 64), HOT);
    memcpy(q + 64, const_code, sizeof const_code);
    printf("shared, written: %ld\n", ((long (*)(void))(p + 64))());
}

// What others read is the program, not what may stand in for it.
static void reads(void) {
    unsigned char got[32], *at = code_at(by_mov_call, -7);
    static const unsigned char mov[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05};
    static const unsigned char cmp[] = {0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff};
    unsigned char *at2 = code_at(by_cmp_call, -2);
    int fd = M(open("/proc/self/mem", O_RDWR));
    M(pread(fd, got, 8, (off_t)(long)at));
    printf("mem: %d", !memcmp(got, mov, sizeof mov));
    M(pread(fd, got, 8, (off_t)(long)at2));
    printf(" %d\n", !memcmp(got, cmp, sizeof cmp));
    struct iovec l = {got, 8}, r = {at, 8};
    M(process_vm_readv(getpid(), &l, 1, &r, 1, 0));
    printf("process_vm_readv: %d\n", !memcmp(got, mov, sizeof mov));
    int p[2];
    M(pipe(p));
    M(write(p[1], at, 8));
    M(read(p[0], got, 8));
    printf("written: %d\n", !memcmp(got, mov, sizeof mov));
    // A debugger's write to code that is hot, and back.
    static const unsigned char five[] = {0xb8, 5, 0, 0, 0, 0x90, 0x90};
    M(pwrite(fd, five, 7, (off_t)(long)at));
    printf("poked: %ld\n", by_mov());
    M(pwrite(fd, mov, 7, (off_t)(long)at));
    hot("poked back", by_mov, HOT);
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512];
    int inside = 0, before = 0;
    unsigned long a, b;
    while (fgets(line, sizeof line, f)) {
        sscanf(line, "%lx-%lx", &a, &b);
        before += b <= 0x400000;
        inside += a <= (unsigned long)at && (unsigned long)at < b;
    }
    printf("mappings with the code: %d, below the program: %d\n", inside, before);
    fclose(f);
}

static void forks(void) {
    fflush(stdout);
    pid_t me = getpid(), p = fork();
    if (!p) {
        parent = me;
        hot_all();
        mprotect(text_start, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
        memcpy(code_at(by_mov_call, -7), const_code, 7);
        printf("changed in the child: %ld\n", by_mov());
        fflush(stdout);
        _exit(0);
    }
    waitpid(p, NULL, 0);
    hot_all();
    for (int i = 0; i < 50; i++) {
        p = vfork();
        if (!p) {
            by_mov();
            by_cmp(SYS_getuid);
            _exit(by_cmp(SYS_getppid) == me ? 0 : 1);
        }
        int st;
        waitpid(p, &st, 0);
        if (st) printf("vfork: %d\n", st);
    }
    hot("after vfork", by_mov, 10);
}

static void *runner(void *p) {
    long bad = 0;
    for (int i = 0; i < 1500; i++) bad += ((long (*)(void))p)() != parent;
    return (void *)bad;
}
// Threads that run through a call while it is replaced, and while it is put back.
static void races(void) {
    long bad = 0;
    for (int round = 0; round < 3; round++) {
        char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(p, getppid_code, sizeof getppid_code);
        memcpy(p + 128, over_code, sizeof over_code);
        mprotect(p, 4096, PROT_READ | PROT_EXEC);
        pthread_t t[4];
        for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, runner, p + 128 * (i & 1));
        for (int i = 0; i < 60; i++) {
            usleep(200);
            mprotect(p, 4096, PROT_READ | PROT_EXEC | (i & 1 ? 0 : PROT_WRITE));
        }
        for (int i = 0; i < 4; i++) {
            void *r;
            pthread_join(t[i], &r);
            bad += (long)r;
        }
        munmap(p, 4096);
    }
    printf("threads: %ld wrong\n", bad);
}

static void nothing(int s) {}
static int pipefd[2];
static pthread_t main_thread;
static volatile int back;
static void *waker(void *arg) {
    for (int i = 0; i < 5 || (!arg && !back); i++) {
        usleep(5000);
        pthread_kill(main_thread, SIGUSR2);
    }
    if (arg) M(write(pipefd[1], "x", 1));
    return NULL;
}
static void restarts(void) {
    struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    sigaction(SIGUSR2, &sa, NULL);
    M(pipe(pipefd));
    char c;
    for (int i = 0; i < HOT; i++) by_cmp(SYS_read, -1, &c, 1);
    pthread_t t;
    main_thread = pthread_self();
    pthread_create(&t, NULL, waker, "write");
    R(by_cmp(SYS_read, pipefd[0], &c, 1));
    pthread_join(t, NULL);
    sa.sa_flags = 0;
    sigaction(SIGUSR2, &sa, NULL);
    pthread_create(&t, NULL, waker, NULL);
    R(by_cmp(SYS_read, pipefd[0], &c, 1));
    back = 1;
    pthread_join(t, NULL);
    // A sleep that is stopped and goes on (restart_syscall).
    fflush(stdout);
    pid_t p = fork();
    if (!p) {
        struct timespec ts = {0, 100000000};
        for (int i = 0; i < HOT; i++) by_cmp(SYS_nanosleep, NULL, NULL);
        _exit(by_cmp(SYS_nanosleep, &ts, &ts) == 0 ? 7 : 8);
    }
    int st;
    usleep(30000);
    kill(p, SIGSTOP);
    waitpid(p, &st, WUNTRACED);
    kill(p, SIGCONT);
    waitpid(p, &st, 0);
    ST("stopped sleep", st);
}

static void segments(void) {
    static long there[1024] = {[0] = 77};
    unsigned long base = 1;
    R(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
    printf("base %lx\n", base);
    R(syscall(SYS_arch_prctl, ARCH_SET_GS, there));
    hot("mov with gs", by_mov, HOT);
    int bad = 0;
    for (int i = 0; i < HOT; i++) bad += by_cmp(SYS_getppid) != parent;
    long v;
    __asm__ volatile("mov %%gs:0,%0" : "=r"(v));
    R(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
    printf("cmp with gs: %d wrong; gs:0 is %ld, base kept %d\n", bad, v, base == (unsigned long)there);
    int changed = 0;
    for (int i = 1; i < 1024; i++) changed += there[i] != 0;
    printf("changed words: %d\n", changed);
    R(syscall(SYS_arch_prctl, ARCH_SET_GS, 0));
    hot("mov without", by_mov, HOT);
    // A null selector loads a null base.
    for (int i = 0; i < HOT; i++) {
        __asm__ volatile("mov %0,%%gs" ::"r"(0));
        bad += by_mov() != parent;
    }
    printf("null selector: %d wrong\n", bad);
}

// A program that steps through itself sees its own instructions.
static volatile long steps, strange;
static void stepped(int s, siginfo_t *si, void *u) {
    unsigned long ip = ((ucontext_t *)u)->uc_mcontext.gregs[REG_RIP];
    steps++;
    strange += !known(ip);
}
static void own_steps(void) {
    struct sigaction sa = {.sa_sigaction = stepped, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &sa, NULL);
    for (int i = 0; i < HOT; i++) by_mov();
    long r;
    __asm__ volatile("sub $128,%%rsp\n pushfq\n orl $0x100,(%%rsp)\n popfq\n call by_mov\n pushfq\n andl $~0x100,(%%rsp)\n popfq\n add $128,%%rsp"
                     : "=a"(r)::"rcx", "r11", "memory", "cc");
    printf("own steps: %d, strange %ld, result %d\n", steps > 3, strange, r == parent);
    signal(SIGTRAP, SIG_DFL);
}

static void tracers(void) {
    fflush(stdout);
    int st, p2[2];
    M(pipe(p2));
    pid_t p = fork();
    if (!p) {
        for (int i = 0; i < HOT; i++) by_mov(), by_cmp(SYS_getuid);
        M(write(p2[1], "x", 1));
        for (;;) by_mov(), by_cmp(SYS_getuid);
    }
    char c;
    M(read(p2[0], &c, 1));
    R(ptrace(PTRACE_ATTACH, p, 0, 0));
    waitpid(p, &st, 0);
    ST("attached", st);
    struct user_regs_struct r;
    ptrace(PTRACE_GETREGS, p, 0, &r);
    printf("known ip: %d\n", known(r.rip));
    errno = 0;
    long w = ptrace(PTRACE_PEEKTEXT, p, by_mov_call - 7, 0), w2 = ptrace(PTRACE_PEEKTEXT, p, by_cmp_call - 2, 0);
    printf("peek %lx %lx\n", w & 0xffffffffffffff, w2);
    heap = sbrk(0);
    int unknown = 0, at_call = 0, at_cmp = 0;
    for (int i = 0; i < 200; i++) {
        ptrace(PTRACE_SINGLESTEP, p, 0, 0);
        waitpid(p, &st, 0);
        ptrace(PTRACE_GETREGS, p, 0, &r);
        unknown += !known(r.rip);
        at_call += r.rip == (unsigned long)by_mov_call - 2;
        at_cmp += r.rip == (unsigned long)by_cmp_call;
    }
    printf("steps: unknown %d, at the call %d, at the comparison %d\n", unknown, at_call > 1, at_cmp > 1);
    for (int i = 0; i < 6; i++) {
        ptrace(PTRACE_SYSCALL, p, 0, 0);
        waitpid(p, &st, 0);
        ptrace(PTRACE_GETREGS, p, 0, &r);
        unknown += r.rip != (unsigned long)by_mov_call && r.rip != (unsigned long)by_cmp_call;
    }
    printf("system call stops: unknown %d\n", unknown);
    R(ptrace(PTRACE_DETACH, p, 0, 0));
    kill(p, SIGKILL);
    waitpid(p, &st, 0);
    ST("killed", st);
}

// A filter sees the address of the program's instruction.
static void filters(void) {
    fflush(stdout);
    pid_t p = fork();
    if (p) {
        int st;
        waitpid(p, &st, 0);
        ST("filtered", st);
        return;
    }
    for (int i = 0; i < HOT; i++) by_mov(), by_cmp(SYS_getuid);
    unsigned a = (unsigned)(long)by_mov_call, b = (unsigned)(long)by_cmp_call;
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, a, 0, 5),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 41),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getuid, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, b, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 42),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 43),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof f / sizeof *f, f};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    M(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
    printf("filter: %ld %ld\n", by_mov(), by_cmp(SYS_getuid));
    int bad = 0;
    for (int i = 0; i < HOT; i++) bad += by_mov() != -41, bad += by_cmp(SYS_getuid) != -42;
    printf("filter: %d wrong\n", bad);
    fflush(stdout);
    _exit(0);
}

// Identities that are asked for very often, while they change.
#define MANY(what, want) ({ int w_ = 0; for (int i_ = 0; i_ < HOT; i_++) w_ += by_cmp(what) != (want); w_; })
static int tell[2], go[2];
static void *identity(void *arg) {
    char c;
    int tid = syscall(SYS_gettid), bad = MANY(SYS_gettid, tid) + MANY(SYS_getuid, 0) + (tid == getpid());
    M(write(tell[1], "x", 1));
    M(read(go[0], &c, 1));
    return (void *)(long)(bad + MANY(SYS_getuid, 1234) + MANY(SYS_geteuid, 1234) + MANY(SYS_getpid, getpid()));
}
static void identities(void) {
    char c;
    int st;
    M(pipe(tell));
    M(pipe(go));
    pid_t me = getpid();
    printf("own: %d\n", MANY(SYS_getpid, me) + MANY(SYS_gettid, me) + MANY(SYS_getppid, parent) + MANY(SYS_getuid, 0));
    CHILD({
        pid_t own = getpid();
        printf("child: %d %d\n", own == me, MANY(SYS_getpid, own) + MANY(SYS_gettid, own) + MANY(SYS_getppid, me));
        pthread_t t;
        pthread_create(&t, NULL, identity, NULL);
        M(read(tell[0], &c, 1));
        R(setresuid(1234, 1234, 1234)); // of all threads
        M(write(go[1], "x", 1));
        void *r;
        pthread_join(t, &r);
        printf("thread: %ld, after setuid: %d\n", (long)r, MANY(SYS_getuid, 1234) + MANY(SYS_geteuid, 1234) + MANY(SYS_getgid, 0));
    });
    // A parent dies.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    fflush(stdout);
    pid_t mid = fork();
    if (!mid) {
        pid_t own = getpid();
        if (!fork()) {
            int bad = MANY(SYS_getppid, own);
            M(write(tell[1], "x", 1));
            M(read(go[0], &c, 1));
            printf("orphan: %d %d\n", bad, MANY(SYS_getppid, me));
            fflush(stdout);
            _exit(0);
        }
        M(read(tell[0], &c, 1));
        _exit(0);
    }
    waitpid(mid, &st, 0);
    M(write(go[1], "x", 1));
    wait(&st);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    // Namespaces.
    fflush(stdout);
    pid_t p = fork();
    if (!p) {
        M(unshare(CLONE_NEWPID));
        fflush(stdout);
        pid_t q = fork();
        if (!q) {
            printf("pid namespace: %d\n", MANY(SYS_getpid, 1) + MANY(SYS_getppid, 0));
            fflush(stdout);
            _exit(0);
        }
        waitpid(q, &st, 0);
        M(unshare(CLONE_NEWUSER));
        int bad = MANY(SYS_getuid, 65534);
        M(write(tell[1], "x", 1));
        M(read(go[0], &c, 1));
        printf("user namespace: %d %d\n", bad, MANY(SYS_getuid, 7));
        fflush(stdout);
        _exit(0);
    }
    M(read(tell[0], &c, 1));
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/uid_map", p);
    int fd = M(open(path, O_WRONLY));
    M(write(fd, "7 0 1", 5));
    close(fd);
    M(write(go[1], "x", 1));
    waitpid(p, &st, 0);
    // Who must see each call sees each call.
    CHILD({
        MANY(SYS_getpid, 0);
        struct sock_filter f[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 44),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog prog = {sizeof f / sizeof *f, f};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        M(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
        printf("filtered: %d\n", MANY(SYS_getpid, -44));
    });
    fflush(stdout);
    p = fork();
    if (!p) {
        MANY(SYS_getpid, 0);
        M(write(tell[1], "x", 1));
        for (;;) by_cmp(SYS_getpid);
    }
    M(read(tell[0], &c, 1));
    M(ptrace(PTRACE_ATTACH, p, 0, 0));
    waitpid(p, &st, 0);
    int calls = 0;
    struct user_regs_struct r;
    for (int i = 0; i < 40; i++) {
        ptrace(PTRACE_SYSCALL, p, 0, 0);
        waitpid(p, &st, 0);
        ptrace(PTRACE_GETREGS, p, 0, &r);
        calls += r.orig_rax == SYS_getpid;
    }
    printf("traced: %d\n", calls);
    kill(p, SIGKILL);
    waitpid(p, &st, 0);
}

// A mapping may go where nothing was seen: everywhere below and around the program.
static void around(void) {
    int bad = 0, n = 0;
    for (unsigned long a = 0x20000; a < 0x3f0000; a += 0x10000, n++) {
        char *p = mmap((void *)a, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (p != (char *)a) { bad++; continue; }
        memset(p, 0xcc, 0x10000);
        bad += by_mov() != parent;
        bad += by_cmp(SYS_getppid) != parent;
    }
    printf("mapped below: %d of %d not\n", bad, n);
    hot("with mappings below", by_mov, HOT);
}

int main(int argc, char **argv) {
    parent = getppid();
    heap = sbrk(0);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (argc > 1) { // the program executed
        hot_all();
        return 0;
    }
    H("calls"); hot_all(); hot_all();
    H("registers"); registers();
    H("reads"); reads();
    H("signals"); storms();
    H("own code"); own_code();
    H("forks"); forks();
    H("threads"); races();
    H("restarts"); restarts();
    H("gs"); segments();
    H("tracers"); tracers();
    H("filters"); filters();
    H("identities"); identities();
    H("around"); around();
    H("steps"); own_steps();
    H("exec");
    fflush(stdout);
    hot_all();
    fflush(stdout);
    execl("/proc/self/exe", "patched", "again", NULL);
    return 1;
}
