// O_ASYNC, F_SETOWN, F_SETSIG, FIOASYNC: SIGIO and SIGURG of pipes, sockets, terminals.
#include "check.h"
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static volatile int got, code, fd, many;
static volatile long band;
static void on(int sig, siginfo_t *i, void *u) { (void)u; got = sig; code = i->si_code; fd = i->si_fd; band = i->si_band; many++; }

static void told(const char *what, int want) {
    // si_fd and si_band mean something only for a signal chosen by F_SETSIG.
    if (got && code != SI_KERNEL) printf("%s: signal %d code %d fd %s band %#lx\n", what, got, code, fd == want ? "right" : "wrong", band);
    else printf("%s: signal %d%s\n", what, got, got && code == SI_KERNEL ? " of the kernel" : "");
    got = code = fd = band = many = 0;
}

// later waits for the signals of what other threads of the kernel do.
static void later(const char *what, int want) {
    for (int i = 0; i < 2000 && !got; i++) ms(1);
    told(what, want);
}

static void owned(int f) {
    R(fcntl(f, F_SETOWN, getpid()));
    R(fcntl(f, F_SETFL, fcntl(f, F_GETFL) | O_ASYNC | O_NONBLOCK));
}

static void pipes(int sig) {
    printf("## pipe, signal %d\n", sig);
    int p[2];
    char b[8];
    M(pipe(p));
    M(write(p[1], "a", 1));
    owned(p[0]);
    told("set while there is something", p[0]);
    R(fcntl(p[0], F_SETSIG, sig));
    R(fcntl(p[0], F_GETSIG));
    R(write(p[1], "b", 1)); told("a second byte", p[0]);
    R(read(p[0], b, 8)); told("read", p[0]);
    R(write(p[1], "c", 1)); told("a byte", p[0]);
    R(fcntl(p[0], F_SETOWN, 0));
    R(read(p[0], b, 8));
    R(write(p[1], "d", 1)); told("no owner", p[0]);
    R(fcntl(p[0], F_SETOWN, -getpgrp()));
    R(fcntl(p[0], F_GETOWN) == -getpgrp());
    R(read(p[0], b, 8));
    R(write(p[1], "e", 1)); told("a group", p[0]);
    int d = M(dup(p[0]));
    R(close(p[0]));
    R(read(d, b, 8));
    R(write(p[1], "f", 1)); told("by another descriptor", p[0]);
    R(fcntl(d, F_SETFL, 0));
    R(read(d, b, 8));
    R(write(p[1], "g", 1)); told("switched off", p[0]);
    int one = 1;
    R(ioctl(d, FIOASYNC, &one));
    R(fcntl(d, F_GETFL) == O_ASYNC);
    R(read(d, b, 8));
    R(write(p[1], "h", 1)); told("FIOASYNC", d);
    R(read(d, b, 8));
    close(p[1]); told("the writer ends", d);
    close(d);
    M(pipe(p));
    owned(p[1]);
    R(fcntl(p[1], F_SETSIG, sig));
    R(write(p[1], "a", 1)); told("writing", p[1]);
    R(read(p[0], b, 8)); told("room", p[1]);
    close(p[1]); told("closed", -1);
    close(p[0]);
}

static void sockets(void) {
    H("socket");
    int p[2];
    char b[8];
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
    R(fcntl(p[0], F_SETOWN, getpid()));
    R(send(p[1], "u", 1, MSG_OOB)); told("urgent, O_ASYNC off", p[0]);
    R(recv(p[0], b, 1, MSG_OOB));
    R(send(p[1], "v", 1, 0)); told("ordinary, O_ASYNC off", p[0]);
    R(recv(p[0], b, 8, 0));
    R(fcntl(p[0], F_SETFL, O_ASYNC));
    R(fcntl(p[0], F_SETSIG, SIGRTMIN + 1));
    R(send(p[1], "w", 1, 0)); told("data", p[0]);
    R(recv(p[0], b, 8, 0));
    close(p[1]); later("the peer ends", p[0]);
    close(p[0]);
}

static void ttys(void) {
    H("terminal");
    int m, s;
    struct termios t;
    char b[8];
    M(openpty(&m, &s, NULL, NULL, NULL));
    tcgetattr(s, &t);
    cfmakeraw(&t);
    tcsetattr(s, TCSANOW, &t);
    owned(s);
    R(fcntl(s, F_SETSIG, SIGRTMIN + 2));
    R(write(m, "x", 1));
    for (int i = 0; i < 2000 && !got; i++) ms(1);
    printf("input: %s\n", got == SIGRTMIN + 2 ? "told" : "not told");
    got = 0;
    R(read(s, b, 8));
    close(s);
    close(m);
}

static void *thread(void *arg) {
    struct f_owner_ex o = {F_OWNER_TID, syscall(SYS_gettid)}, back;
    int *p = arg;
    R(fcntl(p[0], F_SETOWN_EX, &o));
    R(fcntl(p[0], F_GETOWN_EX, &back));
    R(back.type); R(back.pid == o.pid);
    R(write(p[1], "a", 1));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    R(sigtimedwait(&set, NULL, &(struct timespec){20, 0}));
    return NULL;
}

int main(void) {
    struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
    for (int s = SIGRTMIN; s < SIGRTMIN + 4; s++) sigaction(s, &sa, NULL);
    sigaction(SIGIO, &sa, NULL);
    sigaction(SIGURG, &sa, NULL);
    setpgid(0, 0);
    pipes(0);
    pipes(SIGRTMIN);
    sockets();
    ttys();
    H("a thread");
    int p[2];
    M(pipe(p));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    M(fcntl(p[0], F_SETFL, O_ASYNC));
    pthread_t t;
    E(pthread_create(&t, NULL, thread, p));
    E(pthread_join(t, NULL));
    sigpending(&set);
    R(sigismember(&set, SIGIO));
    H("refused");
    R(fcntl(p[0], F_SETSIG, 65));
    R(fcntl(p[0], F_SETOWN, 1 << 22));
    int e = M(dup(0));
    (void)e;
    R(fcntl(p[0], F_SETOWN_EX, &(struct f_owner_ex){7, 1}));
    return 0;
}
