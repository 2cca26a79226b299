// epoll: level, edge, oneshot, exclusive, nested, limits.
#include "check.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int ep;
static int add(int e, int fd, uint32_t ev, uint64_t data) {
    struct epoll_event x = {.events = ev, .data.u64 = data};
    return epoll_ctl(e, EPOLL_CTL_ADD, fd, &x);
}
static int mod(int fd, uint32_t ev, uint64_t data) {
    struct epoll_event x = {.events = ev, .data.u64 = data};
    return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &x);
}
static int cmp(const void *a, const void *b) {
    return (int)((struct epoll_event *)a)->data.u64 - (int)((struct epoll_event *)b)->data.u64;
}
static void wait_(int timeout) {
    struct epoll_event ev[8];
    int n = epoll_wait(ep, ev, 8, timeout);
    printf("wait: %d", n);
    if (n > 0) qsort(ev, n, sizeof *ev, cmp);
    for (int i = 0; i < n; i++) printf(" [%d %x]", (int)ev[i].data.u64, ev[i].events);
    putchar('\n');
}
static void handler(int s) {}

int main(void) {
    char c[64];
    int p[2], q[2];
    M(pipe2(p, O_NONBLOCK));
    M(pipe2(q, O_NONBLOCK));
    H("create");
    R(epoll_create(0));
    R(epoll_create(-1));
    R(epoll_create1(1));
    ep = R(epoll_create1(EPOLL_CLOEXEC));
    R(fcntl(ep, F_GETFD));
    X(fcntl(ep, F_GETFL));
    H("ctl");
    R(add(ep, p[0], EPOLLIN, 1));
    R(add(ep, p[0], EPOLLIN, 1));
    R(mod(q[0], EPOLLIN, 2));
    R(epoll_ctl(ep, EPOLL_CTL_DEL, q[0], NULL));
    R(epoll_ctl(ep, EPOLL_CTL_ADD, q[0], NULL));
    R(epoll_ctl(ep, 77, p[0], &(struct epoll_event){0}));
    R(add(ep, 99, EPOLLIN, 1));
    R(add(99, p[0], EPOLLIN, 1));
    R(add(p[0], q[0], EPOLLIN, 1));
    R(add(ep, ep, EPOLLIN, 1));
    put("f", "x");
    int f = M(open("f", O_RDONLY));
    R(add(ep, f, EPOLLIN, 1));
    int d = M(open(".", O_RDONLY));
    R(add(ep, d, EPOLLIN, 1));
    struct epoll_event ev[4];
    R(epoll_wait(ep, ev, 0, 0));
    R(epoll_wait(ep, ev, -1, 0));
    R(epoll_wait(p[0], ev, 1, 0));
    R(epoll_wait(99, ev, 1, 0));
    H("level");
    wait_(0);
    M(write(p[1], "ab", 2));
    wait_(0);
    M(read(p[0], c, 1));
    wait_(0);
    M(read(p[0], c, 1));
    wait_(0);
    R(add(ep, q[1], EPOLLOUT, 3));
    wait_(0);
    R(mod(q[1], 0, 3));
    wait_(0);
    close(q[0]);
    wait_(0); // EPOLLERR is always reported
    R(epoll_ctl(ep, EPOLL_CTL_DEL, q[1], NULL));
    close(q[1]);
    H("edge");
    R(mod(p[0], EPOLLIN | EPOLLET, 4));
    wait_(0);
    M(write(p[1], "a", 1));
    wait_(0);
    wait_(0);
    M(write(p[1], "b", 1));
    wait_(0);
    wait_(0);
    M(read(p[0], c, 1));
    wait_(0);
    R(mod(p[0], EPOLLIN | EPOLLET, 5)); // arms again
    wait_(0);
    wait_(0);
    H("oneshot");
    R(mod(p[0], EPOLLIN | EPOLLONESHOT, 6));
    wait_(0);
    wait_(0);
    M(write(p[1], "b", 1));
    wait_(0);
    R(mod(p[0], EPOLLIN | EPOLLONESHOT, 7));
    wait_(0);
    R(mod(p[0], EPOLLIN, 8));
    H("many, fewer than are ready");
    int e1 = M(eventfd(1, 0)), e2 = M(eventfd(1, 0));
    R(add(ep, e1, EPOLLIN, 10));
    R(add(ep, e2, EPOLLIN | EPOLLOUT, 11));
    wait_(0);
    int seen = 0;
    for (int i = 0; i < 3; i++) {
        M(epoll_wait(ep, ev, 1, 0));
        seen |= ev[0].data.u64 == 8 ? 1 : ev[0].data.u64 == 10 ? 2 : 4;
    }
    R(seen); // ready ones take turns
    H("close and duplicates");
    int du = dup(e1);
    close(e1);
    wait_(0); // the open file is still there
    close(du);
    wait_(0);
    R(epoll_ctl(ep, EPOLL_CTL_DEL, e2, NULL));
    H("nested");
    int outer = M(epoll_create1(0));
    R(add(outer, ep, EPOLLIN, 20));
    R(add(ep, outer, EPOLLIN, 21));
    R(epoll_wait(outer, ev, 4, 0));
    X(ev[0].events);
    while (read(p[0], c, sizeof c) > 0) {}
    R(epoll_wait(outer, ev, 4, 0));
    struct pollfd pf = {outer, POLLIN | POLLOUT, 0};
    R(poll(&pf, 1, 0));
    M(write(p[1], "x", 1));
    R(poll(&pf, 1, 0));
    X(pf.revents);
    int chain[7];
    chain[0] = p[0];
    for (int i = 1; i < 7; i++) {
        chain[i] = M(epoll_create1(0));
        printf("level %d: %s\n", i, add(chain[i], chain[i - 1], EPOLLIN, i) ? ename(errno) : "ok");
    }
    H("exclusive");
    int x = M(eventfd(0, 0));
    R(add(ep, x, EPOLLIN | EPOLLEXCLUSIVE, 30));
    R(mod(x, EPOLLIN, 30));
    R(add(outer, x, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 30));
    R(add(outer, x, EPOLLIN | EPOLLEXCLUSIVE | EPOLLPRI, 30));
    R(add(outer, ep, EPOLLIN | EPOLLEXCLUSIVE, 30));
    M(eventfd_write(x, 1));
    wait_(0);
    R(epoll_ctl(ep, EPOLL_CTL_DEL, x, NULL));
    H("hang-up");
    int s[2];
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    R(add(ep, s[0], EPOLLIN | EPOLLRDHUP | EPOLLET, 40));
    M(read(p[0], c, sizeof c));
    M(shutdown(s[1], SHUT_WR));
    wait_(0);
    close(s[1]);
    wait_(0);
    H("timeouts and signals");
    R(epoll_ctl(ep, EPOLL_CTL_DEL, s[0], NULL));
    int64_t t = now_ms();
    wait_(40);
    B(now_ms() - t >= 39);
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &sa, NULL);
    sigset_t block, none;
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGUSR1);
    R(epoll_pwait(ep, ev, 4, 20, &none));
    R(epoll_pwait(ep, ev, 4, 10, &none));
    R(syscall(SYS_epoll_pwait, ep, ev, 4, 10, &none, 4));
    struct timespec ts = {0, 10000000};
    R(syscall(SYS_epoll_pwait2, ep, ev, 4, &ts, NULL, 8));
    ts.tv_nsec = -1;
    R(syscall(SYS_epoll_pwait2, ep, ev, 4, &ts, NULL, 8));
    pid_t pid = fork();
    if (!pid) { ms(30); write(p[1], "w", 1); _exit(0); }
    wait_(5000);
    waitpid(pid, NULL, 0);
    R(epoll_wait(ep, (void *)8, 1, 0));
    wait_(0);
    return 0;
}
