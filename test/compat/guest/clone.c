// fork, vfork, clone, clone3: flags and what is shared.
#include "check.h"
#include <linux/sched.h>
#include <sys/eventfd.h>

static volatile int shared;
static char *stack(void) { return (char *)M((long)mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) + 65536; }

static int child(void *arg) {
    shared = 42;
    int fd = (long)arg;
    if (fd) close(fd);
    chdir("/");
    umask(077);
    _exit(7);
}
static int nothing(void *arg) { return (long)arg; }
static int ignores(void *arg) { signal(SIGUSR2, SIG_IGN); return 0; }
static void handler(int s) { shared++; }

static void run(const char *what, int flags) {
    int fd = M(eventfd(0, 0)), st = 0;
    char cwd[64];
    shared = 1;
    M(chdir("/mnt/w"));
    umask(022);
    int pid = M(clone(child, stack(), flags | SIGCHLD, (void *)(long)fd));
    M(waitpid(pid, &st, 0));
    printf("%s: %s memory %s files %s cwd %s umask %o\n", what, status_name(st), shared == 42 ? "shared" : "copied",
        fcntl(fd, F_GETFD) < 0 ? "shared" : "copied", strcmp(getcwd(cwd, 64), "/") ? "copied" : "shared", umask(022));
    close(fd);
}

static long clone3_(uint64_t flags, uint64_t sig, void *stk, uint64_t size) {
    struct clone_args a = {.flags = flags, .exit_signal = sig, .stack = (uintptr_t)stk, .stack_size = size};
    return syscall(SYS_clone3, &a, sizeof a);
}

int main(void) {
    int st;
    H("fork");
    pid_t me = getpid(), pid = fork();
    if (!pid) {
        B(getppid() == me);
        B(getpid() != me);
        B(getpid() == gettid());
        B(getsid(0) == me);
        struct sigaction sa;
        sigaction(SIGUSR1, NULL, &sa);
        _exit(300);
    }
    R(waitpid(pid, &st, 0) == pid);
    ST("status", st);
    H("vfork");
    shared = 0;
    pid = vfork();
    if (!pid) { shared = 5; _exit(1); }
    R(shared);
    waitpid(pid, &st, 0);
    ST("status", st);
    int64_t t = now_ms();
    pid = vfork();
    if (!pid) { struct timespec ts = {0, 30000000}; nanosleep(&ts, NULL); _exit(1); }
    B(now_ms() - t >= 29);
    waitpid(pid, &st, 0);
    H("clone");
    run("none", 0);
    run("vm", CLONE_VM);
    run("files", CLONE_FILES);
    run("fs", CLONE_FS);
    run("vm|vfork|files|fs", CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_FS);
    M(chdir("/mnt/w"));
    H("flags that do not go together");
    R(clone(nothing, stack(), CLONE_THREAD | SIGCHLD, 0));
    R(clone(nothing, stack(), CLONE_SIGHAND | SIGCHLD, 0));
    R(clone3_(CLONE_SIGHAND | CLONE_CLEAR_SIGHAND | CLONE_VM, SIGCHLD, 0, 0));
    R(clone(nothing, stack(), CLONE_FS | CLONE_NEWNS | SIGCHLD, 0));
    R(clone(nothing, stack(), CLONE_FS | CLONE_NEWUSER | SIGCHLD, 0));
    R(clone(nothing, stack(), CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWPID, 0));
    R(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, NULL, NULL, 0));
    R(syscall(SYS_clone, CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, 0, &st, NULL, 0));
    H("exit signal");
    shared = 0;
    signal(SIGUSR1, handler);
    pid = M(clone(nothing, stack(), SIGUSR1, (void *)3));
    UNTIL(shared);
    R(shared);
    R(waitpid(pid, &st, 0)); // not a SIGCHLD child
    R(waitpid(pid, &st, __WCLONE) == pid);
    ST("status", st);
    pid = M(clone(nothing, stack(), 0, (void *)4));
    R(waitpid(pid, &st, __WALL) == pid);
    ST("status", st);
    H("tids");
    static volatile int ptid, ctid;
    pid = M(clone(nothing, stack(), CLONE_PARENT_SETTID | SIGCHLD, 0, &ptid, NULL, NULL));
    B(ptid == pid);
    waitpid(pid, NULL, 0);
    pid = M(clone(nothing, stack(), CLONE_VM | CLONE_CHILD_SETTID | SIGCHLD, 0, NULL, NULL, &ctid));
    waitpid(pid, NULL, 0);
    B(ctid == pid);
    pid = M(clone(nothing, stack(), CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, 0, NULL, NULL, &ctid));
    waitpid(pid, NULL, 0);
    R(ctid);
    H("parent");
    int p[2];
    M(pipe(p));
    pid = fork();
    if (!pid) {
        pid_t g = clone(nothing, stack(), CLONE_PARENT | SIGCHLD, (void *)9);
        write(p[1], &g, sizeof g);
        _exit(8);
    }
    pid_t g;
    M(read(p[0], &g, sizeof g));
    R(waitpid(g, &st, 0) == g);
    ST("sibling", st);
    R(waitpid(pid, &st, 0) == pid);
    H("sighand");
    signal(SIGUSR2, SIG_DFL);
    pid = M(clone(ignores, stack(), CLONE_VM | CLONE_SIGHAND | SIGCHLD, 0));
    waitpid(pid, NULL, 0);
    struct sigaction sa;
    sigaction(SIGUSR2, NULL, &sa);
    B(sa.sa_handler == SIG_IGN);
    H("clone3");
    long r = clone3_(0, SIGCHLD, 0, 0);
    if (!r) _exit(11);
    waitpid(r, &st, 0);
    ST("clone3", st);
    signal(SIGUSR1, handler);
    signal(SIGUSR2, SIG_IGN);
    r = clone3_(CLONE_CLEAR_SIGHAND, SIGCHLD, 0, 0);
    if (!r) {
        sigaction(SIGUSR1, NULL, &sa);
        B(sa.sa_handler == SIG_DFL);
        sigaction(SIGUSR2, NULL, &sa);
        B(sa.sa_handler == SIG_IGN);
        _exit(0);
    }
    waitpid(r, &st, 0);
    R(clone3_(0, 65, 0, 0));
    R(clone3_(SIGCHLD, 0, 0, 0));
    R(clone3_(CLONE_THREAD, SIGCHLD, 0, 0));
    R(clone3_(CLONE_PARENT, SIGCHLD, 0, 0));
    R(clone3_(0, SIGCHLD, 0, 4096));
    R(clone3_(0, SIGCHLD, &st, 0));
    R(clone3_(CLONE_DETACHED, SIGCHLD, 0, 0));
    R(clone3_(1ULL << 40, SIGCHLD, 0, 0));
    struct clone_args a = {.exit_signal = SIGCHLD};
    R(syscall(SYS_clone3, &a, 63));
    R(syscall(SYS_clone3, &a, 5000));
    R(syscall(SYS_clone3, NULL, sizeof a));
    r = syscall(SYS_clone3, &a, 64);
    if (!r) _exit(12);
    waitpid(r, &st, 0);
    ST("first version", st);
    pid_t want = 30000, wants[] = {want};
    a = (struct clone_args){.exit_signal = SIGCHLD, .set_tid = (uintptr_t)wants, .set_tid_size = 1};
    r = syscall(SYS_clone3, &a, sizeof a);
    if (!r) _exit(13);
    B(r == want);
    waitpid(r, &st, 0);
    wants[0] = getpid();
    R(syscall(SYS_clone3, &a, sizeof a));
    a.set_tid_size = 40;
    R(syscall(SYS_clone3, &a, sizeof a));
    int pidfd = -1;
    a = (struct clone_args){.flags = CLONE_PIDFD, .exit_signal = SIGCHLD, .pidfd = (uintptr_t)&pidfd};
    r = syscall(SYS_clone3, &a, sizeof a);
    if (!r) _exit(14);
    R(fcntl(pidfd, F_GETFD));
    waitpid(r, &st, 0);
    return 0;
}
