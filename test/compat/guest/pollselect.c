// poll, ppoll, select, pselect6.
#include "check.h"
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>

static int got;
static void handler(int s) { got++; }

static short rev(int fd, short ev) {
    struct pollfd p = {fd, ev, 0x7fff};
    poll(&p, 1, 0);
    return p.revents;
}

int main(void) {
    int p[2], s[2];
    M(pipe(p));
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    put("f", "x");
    int f = M(open("f", O_RDWR)), d = M(open(".", O_RDONLY)), n = M(open("/dev/null", O_RDWR));
    H("events");
    X(rev(f, POLLIN | POLLOUT | POLLPRI));
    X(rev(f, POLLRDNORM | POLLWRNORM | POLLRDBAND | POLLWRBAND));
    X(rev(d, POLLIN | POLLOUT));
    X(rev(n, POLLIN | POLLOUT));
    X(rev(99, POLLIN));
    X(rev(-1, POLLIN));
    X(rev(p[0], POLLIN | POLLOUT));
    X(rev(p[1], POLLIN | POLLOUT | POLLWRNORM | POLLWRBAND));
    X(rev(s[0], POLLIN | POLLOUT | POLLRDHUP));
    M(write(s[1], "x", 1));
    X(rev(s[0], POLLIN | POLLOUT | POLLRDHUP | POLLRDNORM));
    M(shutdown(s[1], SHUT_WR));
    X(rev(s[0], POLLIN | POLLOUT | POLLRDHUP));
    close(s[1]);
    X(rev(s[0], POLLIN | POLLOUT | POLLRDHUP));
    X(rev(s[0], 0));
    H("poll");
    struct pollfd pf[3] = {{p[0], POLLIN, 9}, {p[1], POLLOUT, 9}, {-5, POLLIN, 9}};
    R(poll(pf, 3, 0));
    printf("%x %x %x\n", pf[0].revents, pf[1].revents, pf[2].revents);
    int64_t t = now_ms();
    R(poll(pf, 1, 50));
    B(now_ms() - t >= 49);
    R(poll(NULL, 0, 10));
    R(poll(NULL, 1, 10));
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    R(poll(pf, (nfds_t)-1, 0));
    R(poll((void *)8, 1, 0));
    struct timespec ts = {0, 20000000};
    R(syscall(SYS_ppoll, pf, 1, &ts, NULL, 8));
    R(ts.tv_sec + ts.tv_nsec); // what is left is written back
    ts = (struct timespec){0, 1000000000};
    R(syscall(SYS_ppoll, pf, 1, &ts, NULL, 8));
    ts = (struct timespec){-1, 0};
    R(syscall(SYS_ppoll, pf, 1, &ts, NULL, 8));
    sigset_t set;
    sigemptyset(&set);
    ts = (struct timespec){0, 0};
    R(syscall(SYS_ppoll, pf, 1, &ts, &set, 4));
    R(syscall(SYS_ppoll, pf, 1, (void *)8, NULL, 8));
    H("signals and masks");
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &sa, NULL);
    sigset_t block, old;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGUSR1);
    R(poll(pf, 1, 10));
    R(got);
    R(ppoll(pf, 1, NULL, &set)); // EINTR, even with SA_RESTART
    R(got);
    sigprocmask(SIG_BLOCK, NULL, &old);
    B(sigismember(&old, SIGUSR1));
    raise(SIGUSR1);
    M(write(p[1], "x", 1));
    R(ppoll(pf, 1, NULL, &set)); // ready first: the signal stays pending
    R(got);
    R(ppoll(pf + 2, 1, NULL, &set));
    R(got);
    H("select");
    fd_set r, w, e;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_ZERO(&e);
    FD_SET(p[0], &r);
    FD_SET(p[1], &w);
    FD_SET(p[0], &e);
    FD_SET(f, &r);
    FD_SET(f, &e);
    R(select(64, &r, &w, &e, NULL));
    printf("%d %d %d %d %d\n", FD_ISSET(p[0], &r), FD_ISSET(p[1], &w), FD_ISSET(p[0], &e), FD_ISSET(f, &r), FD_ISSET(f, &e));
    char c;
    M(read(p[0], &c, 1));
    struct timeval tv = {0, 30000};
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    t = now_ms();
    R(select(p[0] + 1, &r, NULL, NULL, &tv));
    B(now_ms() - t >= 29);
    R(FD_ISSET(p[0], &r));
    R(tv.tv_sec + tv.tv_usec);
    FD_SET(p[0], &r);
    R(select(p[0], &r, NULL, NULL, &(struct timeval){0, 0})); // nfds does not reach it
    R(FD_ISSET(p[0], &r) != 0);
    R(dup2(0, 200)); // the table of descriptors has room for 256 from here on
    R(close(200));
    fd_set many[4] = {0}; // 4096 descriptors: none beyond the table is looked at
    ((char *)many)[3000 / 8] |= 1 << (3000 % 8);
    R(select(4096, many, NULL, NULL, &(struct timeval){0, 0}));
    FD_SET(99, &r);
    R(select(100, &r, NULL, NULL, &(struct timeval){0, 0}));
    R(select(-1, NULL, NULL, NULL, NULL));
    R(select(0, NULL, NULL, NULL, &(struct timeval){-1, 0}));
    R(select(0, NULL, NULL, NULL, &(struct timeval){0, 1000}));
    R(select(10, (void *)8, NULL, NULL, &(struct timeval){0, 0}));
    close(p[1]);
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    R(select(p[0] + 1, &r, NULL, NULL, NULL)); // end of file is readable
    got = 0;
    raise(SIGUSR1);
    R(pselect(0, NULL, NULL, NULL, NULL, &set));
    R(got);
    struct { const void *s; size_t n; } six = {&set, 4};
    R(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &(struct timespec){0, 0}, &six));
    H("wake by another");
    M(pipe(p));
    pid_t pid = fork();
    if (!pid) { ms(40); write(p[1], "x", 1); _exit(0); }
    pf[0] = (struct pollfd){p[0], POLLIN, 0};
    R(poll(pf, 1, 5000));
    X(pf[0].revents);
    waitpid(pid, NULL, 0);
    close(p[1]);
    X(rev(p[0], POLLIN));
    M(read(p[0], &c, 1));
    X(rev(p[0], POLLIN));
    X(rev(p[0], 0));
    return 0;
}
