// wait4, waitid: every option, what is reported, rusage, errors, SIGCHLD rules.
#include "check.h"
#include <sys/resource.h>

static volatile int chld, code, status;
static void handler(int s, siginfo_t *si, void *u) { code = si->si_code, status = si->si_status, chld++; }
static void id(idtype_t t, pid_t pid, int opts, pid_t want) {
    siginfo_t si = {0};
    int r = waitid(t, pid, &si, opts);
    if (r) { printf("waitid %x: %s\n", opts, ename(errno)); return; }
    printf("waitid %x: signo %d code %d status %d pid %s errno %d\n", opts, si.si_signo, si.si_code, si.si_status,
        si.si_pid == 0 ? "0" : si.si_pid == want ? "same" : "other", si.si_errno);
}
static pid_t spawn(int how) {
    pid_t p = M(fork());
    if (!p) {
        if (how < 0) { signal(-how, SIG_DFL); raise(-how); for (;;) pause(); }
        _exit(how);
    }
    return p;
}

static void *waiter(void *x) { int s; return (void *)(long)(waitpid(*(pid_t *)x, &s, 0) == *(pid_t *)x); }
static void *waiter_own(void *x) { int s; return (void *)(long)waitpid(*(pid_t *)x, &s, __WNOTHREAD); }

int main(void) {
    int st;
    struct rusage ru;
    H("no children");
    R(wait(&st));
    R(waitpid(-1, &st, WNOHANG));
    R(waitpid(1, &st, 0));
    R(waitpid(getpid(), &st, 0));
    R(waitpid(-1, &st, 0x40));
    R(waitpid(INT_MIN, &st, 0));
    R(syscall(SYS_waitid, P_ALL, 0, NULL, 0, NULL));
    R(syscall(SYS_waitid, P_ALL, 0, NULL, WEXITED | 0x40, NULL));
    R(syscall(SYS_waitid, 9, 0, NULL, WEXITED, NULL));
    R(syscall(SYS_waitid, P_PID, 0, NULL, WEXITED, NULL));
    R(syscall(SYS_waitid, P_PID, -1, NULL, WEXITED, NULL));
    R(syscall(SYS_waitid, P_PIDFD, -1, NULL, WEXITED, NULL));
    R(syscall(SYS_waitid, P_PIDFD, 99, NULL, WEXITED, NULL));
    R(syscall(SYS_waitid, P_PIDFD, 1, NULL, WEXITED, NULL));
    H("exit");
    pid_t p = spawn(3);
    R(waitpid(p, &st, 0) == p);
    ST("st", st);
    p = spawn(0x1ff);
    R(wait4(p, &st, 0, &ru) == p);
    ST("st", st);
    B(ru.ru_maxrss > 0 && ru.ru_minflt > 0);
    p = spawn(-SIGTERM);
    R(waitpid(p, &st, 0) == p);
    ST("st", st);
    p = spawn(0);
    R(waitpid(p, NULL, 0) == p);
    p = spawn(9);
    id(P_PID, p, WEXITED | WNOWAIT, p);
    id(P_PID, p, WEXITED | WNOWAIT | WNOHANG, p);
    id(P_PID, p, WEXITED, p);
    id(P_PID, p, WEXITED, p);
    p = spawn(-SIGKILL);
    id(P_ALL, 0, WEXITED, p);
    p = spawn(1);
    R(syscall(SYS_waitid, P_PID, p, NULL, WEXITED, &ru));
    p = spawn(0);
    R(waitpid(p, (int *)8, 0)); // the child is gone all the same
    R(waitpid(p, &st, 0));
    H("nothing yet");
    int q[2];
    M(pipe(q));
    p = fork();
    if (!p) { char c; close(q[1]); read(q[0], &c, 1); _exit(6); }
    st = 77;
    R(waitpid(p, &st, WNOHANG));
    R(st);
    id(P_PID, p, WEXITED | WNOHANG, p);
    close(q[1]);
    id(P_PID, p, WEXITED, p);
    H("stop and continue");
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGCHLD, &sa, NULL);
    p = spawn(-SIGSTOP);
    id(P_PID, p, WSTOPPED | WNOWAIT, p);
    UNTIL(chld == 1);
    printf("SIGCHLD code %d status %d\n", code, status);
    R(waitpid(p, &st, WUNTRACED) == p);
    ST("st", st);
    R(waitpid(p, &st, WUNTRACED | WNOHANG));
    kill(p, SIGCONT);
    id(P_PID, p, WCONTINUED | WNOWAIT, p);
    R(waitpid(p, &st, WCONTINUED) == p);
    ST("st", st);
    B(WIFCONTINUED(st));
    X(st);
    R(waitpid(p, &st, WCONTINUED | WNOHANG));
    kill(p, SIGSTOP);
    id(P_PID, p, WSTOPPED, p);
    kill(p, SIGTERM); // stays until it continues
    ms(20);
    R(waitpid(p, &st, WNOHANG));
    B(state_of(p) == 'T');
    kill(p, SIGCONT);
    id(P_PID, p, WEXITED, p);
    chld = 0;
    p = spawn(-SIGSTOP);
    id(P_PID, p, WSTOPPED, p);
    UNTIL(chld == 1);
    kill(p, SIGKILL);
    id(P_PID, p, WEXITED, p);
    UNTIL(chld == 2);
    printf("SIGCHLD code %d status %d\n", code, status);
    sa.sa_flags |= SA_NOCLDSTOP;
    sigaction(SIGCHLD, &sa, NULL);
    chld = 0;
    p = spawn(-SIGSTOP);
    id(P_PID, p, WSTOPPED, p);
    R(chld);
    kill(p, SIGKILL);
    waitpid(p, NULL, 0);
    UNTIL(chld == 1);
    R(chld);
    H("groups");
    pid_t a = fork();
    if (!a) { setpgid(0, 0); _exit(1); }
    setpgid(a, a);
    pid_t b = fork();
    if (!b) { asleep(getppid()); _exit(2); }
    R(waitpid(0, &st, 0) == b);
    ST("my group", st);
    R(waitpid(0, &st, WNOHANG));
    id(P_PGID, a, WEXITED | WNOWAIT, a);
    R(waitpid(-a, &st, 0) == a);
    ST("its group", st);
    R(waitpid(-a, &st, 0));
    a = fork();
    if (!a) _exit(3);
    id(P_PGID, 0, WEXITED, a);
    H("ignored SIGCHLD");
    signal(SIGCHLD, SIG_IGN);
    p = spawn(1);
    R(waitpid(p, &st, 0)); // reaped by itself
    sa = (struct sigaction){.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    sigaction(SIGCHLD, &sa, NULL);
    p = spawn(1);
    R(wait(&st));
    signal(SIGCHLD, SIG_DFL);
    H("threads may wait for each other's children");
    p = spawn(4);
    pthread_t t;
    void *r;
    pthread_create(&t, NULL, waiter_own, &p);
    pthread_join(t, &r);
    R((long)r);
    pthread_create(&t, NULL, waiter, &p);
    pthread_join(t, &r);
    R((long)r);
    H("times of children");
    p = fork();
    if (!p) { struct timespec ts; do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts); while (ts.tv_nsec < 60000000 && !ts.tv_sec); _exit(0); }
    wait4(p, NULL, 0, &ru);
    B(ru.ru_utime.tv_sec + ru.ru_utime.tv_usec + ru.ru_stime.tv_usec >= 50000);
    getrusage(RUSAGE_CHILDREN, &ru);
    B(ru.ru_utime.tv_sec + ru.ru_utime.tv_usec + ru.ru_stime.tv_usec >= 50000);
    return 0;
}
