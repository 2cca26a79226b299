// Printing of results in a form that is the same in every run: the text of the
// expression, then its value or the name of its error. Never print what differs from
// run to run (pids, addresses, inode numbers, times): print relations with B().
#ifndef CHECK_H
#define CHECK_H
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Programs pass bad arguments on purpose.
#pragma GCC diagnostic ignored "-Wnonnull"
#pragma GCC diagnostic ignored "-Wrestrict"
#pragma GCC diagnostic ignored "-Wunused-result"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wmisleading-indentation"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#define UNUSED __attribute__((unused))

static UNUSED const char *ename(int e) {
    const char *s = strerrorname_np(e);
    return s ? s : "E?";
}

// R prints the result as a number, or -1 and the error.
#define R(e) \
    __extension__({ errno = 0; long r_ = (long)(e); int e_ = errno; \
        if (r_ == -1 && e_) printf("%s = -1 %s\n", #e, ename(e_)); \
        else printf("%s = %ld\n", #e, r_); \
        errno = e_; (void)r_; r_; })
// X prints the result in hexadecimal.
#define X(e) \
    __extension__({ errno = 0; long r_ = (long)(e); int e_ = errno; \
        if (r_ == -1 && e_) printf("%s = -1 %s\n", #e, ename(e_)); \
        else printf("%s = 0x%lx\n", #e, r_); r_; })
// OK hides the number of a success.
#define OK(e) \
    __extension__({ errno = 0; long r_ = (long)(e); int e_ = errno; \
        if (r_ == -1) printf("%s = -1 %s\n", #e, ename(e_)); \
        else printf("%s = ok\n", #e); r_; })
// E is for functions that return an error number (pthread_*, posix_*).
#define E(e) \
    __extension__({ int r_ = (e); printf("%s = %s\n", #e, r_ ? ename(r_) : "0"); r_; })
// B prints yes or no.
#define B(e) printf("%s: %s\n", #e, (e) ? "yes" : "no")
// M must succeed: it is a step of the program, not what it tests.
#define M(e) \
    __extension__({ long r_ = (long)(e); \
        if (r_ == -1) { \
            fprintf(stderr, "FATAL %s:%d: %s: %s\n", __FILE__, __LINE__, #e, strerror(errno)); \
            printf("FATAL %s: %s\n", #e, ename(errno)); \
            fflush(stdout); _exit(99); } \
        r_; })
#define H(s) printf("## %s\n", s)

// CHILD runs the statements in a child and yields its wait status.
#define CHILD(...) \
    __extension__({ fflush(stdout); pid_t p_ = fork(); \
        if (p_ == 0) { __VA_ARGS__; fflush(stdout); _exit(0); } \
        int st_ = 0; while (waitpid(p_, &st_, 0) < 0 && errno == EINTR) {} st_; })

static UNUSED const char *status_name(int st) {
    static char b[64];
    if (WIFEXITED(st)) snprintf(b, sizeof b, "exit %d", WEXITSTATUS(st));
    else if (WIFSIGNALED(st)) snprintf(b, sizeof b, "killed by SIG%s", sigabbrev_np(WTERMSIG(st)) ?: "?");
    else if (WIFSTOPPED(st)) snprintf(b, sizeof b, "stopped by SIG%s", sigabbrev_np(WSTOPSIG(st) & 0x7f) ?: "?");
    else if (WIFCONTINUED(st)) snprintf(b, sizeof b, "continued");
    else snprintf(b, sizeof b, "status %x", st);
    return b;
}
#define ST(what, st) printf("%s: %s\n", what, status_name(st))

// str prints bytes with escapes.
static UNUSED void str(const char *name, const void *p, long n) {
    printf("%s = ", name);
    if (n < 0) { printf("(%ld)\n", n); return; }
    putchar('"');
    for (long i = 0; i < n; i++) {
        unsigned char c = ((const unsigned char *)p)[i];
        if (c >= 32 && c < 127 && c != '"' && c != '\\') putchar(c);
        else printf("\\x%02x", c);
    }
    printf("\"\n");
}

static UNUSED void ms(int n) {
    struct timespec ts = {n / 1000, n % 1000 * 1000000L};
    while (nanosleep(&ts, &ts) < 0 && errno == EINTR) {}
}

static UNUSED int64_t now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

// PATIENCE, in ms: what comes comes sooner, on however busy a machine. Programs wait for
// events, never for times: a sleep can only make a wrong answer more likely to be seen.
#define PATIENCE 20000

// UNTIL waits for what something else makes true, and tells when it does not come.
#define UNTIL(e) \
    __extension__({ int64_t end_ = now_ms() + PATIENCE; int is_; \
        while (!(is_ = !!(e)) && now_ms() < end_) ms(1); \
        if (!is_) printf("never: %s\n", #e); \
        is_; })

// state_at is the state letter in a stat file of /proc, 0 when there is none.
static UNUSED char state_at(const char *path) {
    char b[512];
    int was = errno, fd = open(path, O_RDONLY | O_CLOEXEC);
    long n = fd < 0 ? -1 : read(fd, b, sizeof b - 1);
    if (fd >= 0) close(fd);
    errno = was;
    b[n > 0 ? n : 0] = 0;
    char *p = strrchr(b, ')');
    return p ? p[2] : 0;
}
// state_of is that of a process or of a thread.
static UNUSED char state_of(pid_t tid) {
    char p[32];
    snprintf(p, sizeof p, "/proc/%d/stat", tid);
    return state_at(p);
}
// sleeps says whether a task stays asleep, so that what it was to wait for is what it waits
// for. Not for one that has just been woken: it may not have run yet.
static UNUSED int sleeps(pid_t tid) {
    for (int i = 0; i < 3; i++) {
        if (state_of(tid) != 'S') return 0;
        ms(1);
    }
    return 1;
}
static UNUSED void asleep(pid_t tid) { UNTIL(sleeps(tid)); }

// poke makes a child that signals the caller when that sleeps.
static UNUSED pid_t poke(int sig) {
    fflush(stdout);
    pid_t me = getpid(), p = fork();
    if (!p) { asleep(me); kill(me, sig); _exit(0); }
    return p;
}
// POKED is the value of a call that blocks and gets a signal while it does.
#define POKED(sig, e) \
    __extension__({ pid_t k_ = poke(sig); errno = 0; long v_ = (long)(e); int was_ = errno; \
        while (waitpid(k_, NULL, 0) < 0 && errno == EINTR) {} \
        errno = was_; v_; })

static UNUSED void put(const char *path, const char *text) {
    int fd = M(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    M(write(fd, text, strlen(text)));
    close(fd);
}

// slurp prints a small file.
static UNUSED void slurp(const char *path) {
    char b[4096];
    int fd = open(path, O_RDONLY);
    if (fd < 0) { printf("%s: %s\n", path, ename(errno)); return; }
    long n = read(fd, b, sizeof b);
    close(fd);
    str(path, b, n);
}

__attribute__((constructor)) static void check_init(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    umask(022);
    setsid(); // the same place in both runs: leader of a session without a terminal
}
#endif
