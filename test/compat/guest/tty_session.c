// A session and its terminal: who gets it at open, what a master tells, the leader's end,
// the hangup of a terminal whose leader stays.
#include "check.h"
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

static int m, s;
static char name[64];

static void fresh(void) {
    M(openpty(&m, &s, name, NULL, NULL));
}

static void say(int sig) {
    const char *n = sig == SIGHUP ? "HUP " : sig == SIGCONT ? "CONT " : ".";
    write(1, n, strlen(n));
}

// listen_to has the process tell its signals, in the order of their numbers if they come
// together; the last one is asked for.
static void listen_to(void) {
    struct sigaction a = {.sa_handler = say, .sa_flags = SA_RESTART};
    sigfillset(&a.sa_mask);
    sigaction(SIGHUP, &a, NULL);
    sigaction(SIGCONT, &a, NULL);
    sigaction(SIGRTMIN, &a, NULL);
}

// heard prints what a process has got up to now.
static void heard(const char *who, pid_t p, int from) {
    char b[64], c;
    int n = 0;
    M(kill(p, SIGRTMIN));
    struct pollfd f = {from, POLLIN, 0};
    while (n < 60 && UNTIL(poll(&f, 1, 1000) == 1) && read(from, &c, 1) == 1 && c != '.') b[n++] = c;
    b[n] = 0;
    printf("%s: %s\n", who, b);
}

static int has_tty(void) {
    int f = open("/dev/tty", O_RDWR);
    if (f >= 0) close(f);
    return f >= 0;
}

static void opens(void) {
    H("opening");
    static const struct { const char *what; int flags; } how[] = {
        {"O_RDWR", O_RDWR}, {"O_RDONLY", O_RDONLY}, {"O_WRONLY", O_WRONLY}, {"O_NOCTTY", O_RDWR | O_NOCTTY}, {"O_PATH", O_PATH | O_NOCTTY},
    };
    for (unsigned i = 0; i < sizeof how / sizeof *how; i++) {
        fresh();
        CHILD(setsid(); int f = open(name, how[i].flags); printf("%s: %s\n", how[i].what, has_tty() ? "adopted" : "not"); X(fcntl(f, F_GETFL)));
        CHILD(if (fork() == 0) { setsid(); if (fork() == 0) { open(name, O_RDWR); B(has_tty()); fflush(stdout); _exit(0); } wait(NULL); _exit(0); } wait(NULL));
        close(m), close(s);
    }
}

static void masters(void) {
    H("what a master tells");
    fresh();
    pid_t g = -1;
    R(ioctl(m, TIOCGPGRP, &g));
    R(g);
    R(ioctl(m, TIOCGSID, &g));
    R(ioctl(s, TIOCGPGRP, &g));
    R(ioctl(s, TIOCGSID, &g));
    R(tcsetpgrp(m, getpgrp()));
    R(tcsetpgrp(s, getpgrp()));
    int p[2];
    M(pipe(p));
    pid_t k = fork();
    if (!k) { setsid(); M(ioctl(s, TIOCSCTTY, 0)); write(p[1], "x", 1); pause(); _exit(0); }
    char c;
    M(read(p[0], &c, 1));
    R(ioctl(m, TIOCGPGRP, &g));
    B(g == k);
    R(ioctl(m, TIOCGSID, &g));
    B(g == k);
    R(ioctl(s, TIOCGPGRP, &g));
    R(ioctl(s, TIOCGSID, &g));
    R(tcsetpgrp(m, k));
    R(ioctl(m, TIOCSCTTY, 0));
    R(ioctl(s, TIOCSCTTY, 0));
    kill(k, SIGKILL);
    waitpid(k, NULL, 0);
    R(ioctl(m, TIOCGPGRP, &g));
    R(g);
    R(ioctl(m, TIOCGSID, &g));
    close(m), close(s);
}

// session runs a leader with a foreground job and a background job that say what they get.
// end: the leader ends; hang: the master is closed before.
static void session(int end, int hang) {
    printf("## leader %s, terminal %s\n", end ? "ends" : "stays", hang ? "hangs up" : "stays");
    fflush(stdout);
    fresh();
    int p[2], fg[2], bg[2], ld[2], go[2];
    pid_t *jobs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    M(pipe(p)), M(pipe(fg)), M(pipe(bg)), M(pipe(ld)), M(pipe(go));
    pid_t l = fork();
    if (!l) {
        setsid();
        M(ioctl(s, TIOCSCTTY, 0));
        close(m);
        signal(SIGTTOU, SIG_IGN);
        for (int i = 0; i < 2; i++) {
            pid_t j = fork();
            if (!j) {
                setpgid(0, 0);
                listen_to();
                dup2(i ? bg[1] : fg[1], 1);
                if (!i) tcsetpgrp(s, getpid());
                write(p[1], "x", 1);
                for (;;) pause();
            }
            setpgid(j, j);
            jobs[i] = j;
        }
        listen_to();
        dup2(ld[1], 1);
        write(p[1], "x", 1);
        char c;
        if (end) { read(go[0], &c, 1); _exit(0); }
        for (;;) pause();
    }
    char c;
    for (int i = 0; i < 3; i++) M(read(p[0], &c, 1));
    if (hang) close(m);
    heard("leader", l, ld[0]);
    if (end) { write(go[1], "!", 1); waitpid(l, NULL, 0); }
    R(write(s, "abc", 3));
    struct pollfd f = {s, POLLIN | POLLOUT, 0};
    R(poll(&f, 1, 0));
    X(f.revents);
    heard("foreground", jobs[0], fg[0]);
    heard("background", jobs[1], bg[0]);
    if (!end) { kill(l, SIGKILL); waitpid(l, NULL, 0); }
    munmap(jobs, 4096);
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
    close(m), close(s);
}

int main(void) {
    if (getpid() != 1) prctl(PR_SET_CHILD_SUBREAPER, 1);
    opens();
    masters();
    session(0, 0);
    session(0, 1);
    session(1, 0);
    session(1, 1);
    fflush(stdout);
    signal(SIGTERM, SIG_IGN);
    kill(-1, SIGKILL);
    return 0;
}
