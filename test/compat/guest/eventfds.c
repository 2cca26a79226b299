// eventfd, timerfd, signalfd.
#include "check.h"
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static short ready(int fd) {
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    return p.revents;
}
// comes waits for something to read, as long as it takes.
static int comes(int fd) {
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, PATIENCE);
}
static void nop(int s) {}

static void eventfds(void) {
    H("eventfd");
    uint64_t v;
    int fd = R(eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));
    R(eventfd(0, 0x100));
    X(fcntl(fd, F_GETFL));
    R(read(fd, &v, 8));
    R(v);
    R(read(fd, &v, 8));
    R(read(fd, &v, 7));
    R(write(fd, &v, 4));
    X(ready(fd));
    v = 5;
    R(write(fd, &v, 8));
    R(write(fd, &v, 8));
    X(ready(fd));
    char big[32];
    R(read(fd, big, 32));
    v = -1;
    R(write(fd, &v, 8));
    v = -2;
    R(write(fd, &v, 8));
    X(ready(fd));
    v = 1;
    R(write(fd, &v, 8));
    v = 0;
    R(write(fd, &v, 8));
    R(read(fd, &v, 8));
    X(v);
    R(write(fd, (void *)8, 8));
    R(lseek(fd, 0, SEEK_SET));
    R(pread(fd, &v, 8, 0));
    R(ftruncate(fd, 0));
    int s = M(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    R(read(s, &v, 8));
    R(v);
    R(read(s, &v, 8));
    R(read(s, &v, 8));
    int b = M(eventfd(0, 0));
    pid_t pid = fork();
    if (!pid) { asleep(getppid()); v = 7; M(write(b, &v, 8)); _exit(0); }
    R(read(b, &v, 8));
    R(v);
    waitpid(pid, NULL, 0);
    R(syscall(SYS_eventfd, 1));
    char link[64];
    char path[64];
    sprintf(path, "/proc/self/fd/%d", b);
    long n = readlink(path, link, sizeof link);
    str("link", link, n);
}

static struct itimerspec its(long v, long i) {
    return (struct itimerspec){{i / 1000, i % 1000 * 1000000}, {v / 1000, v % 1000 * 1000000}};
}

static void timerfds(void) {
    H("timerfd");
    uint64_t v;
    struct itimerspec it, old;
    int fd = M(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    X(fcntl(fd, F_GETFL));
    R(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
    R(timerfd_create(99, 0));
    R(timerfd_create(CLOCK_MONOTONIC, 1));
    R(timerfd_create(CLOCK_BOOTTIME, 0) > 0);
    R(read(fd, &v, 8));
    R(timerfd_gettime(fd, &it));
    R(it.it_value.tv_sec + it.it_value.tv_nsec);
    it = its(100000, 0);
    R(timerfd_settime(fd, 0, &it, &old));
    R(read(fd, &v, 8));
    X(ready(fd));
    it = its(30, 0);
    R(timerfd_settime(fd, 0, &it, &old));
    R(comes(fd));
    X(ready(fd));
    R(read(fd, &v, 4));
    R(read(fd, &v, 8));
    R(v);
    R(read(fd, &v, 8));
    R(timerfd_gettime(fd, &it));
    R(it.it_value.tv_sec + it.it_value.tv_nsec);
    it = its(10, 10);
    int64_t began = now_ms();
    M(timerfd_settime(fd, 0, &it, NULL));
    ms(75);
    R(read(fd, &v, 8));
    B(v >= 6 && (int64_t)v <= (now_ms() - began) / 10 + 1);
    R(timerfd_gettime(fd, &it));
    R(it.it_interval.tv_nsec);
    B(it.it_value.tv_sec == 0 && it.it_value.tv_nsec > 0 && it.it_value.tv_nsec <= 10000000);
    it = its(100000, 7000);
    R(timerfd_settime(fd, 0, &it, &old));
    R(old.it_interval.tv_nsec);
    R(timerfd_gettime(fd, &it));
    B(it.it_value.tv_sec >= 60 && it.it_value.tv_sec <= 100);
    it = its(0, 5000);
    R(timerfd_settime(fd, 0, &it, &old)); // disarms
    R(old.it_interval.tv_sec);
    R(timerfd_gettime(fd, &it));
    R(it.it_interval.tv_sec);
    it.it_value.tv_nsec = 1000000000;
    R(timerfd_settime(fd, 0, &it, NULL));
    it.it_value.tv_nsec = -1;
    R(timerfd_settime(fd, 0, &it, NULL));
    it = its(1, 0);
    R(timerfd_settime(fd, 0x80, &it, NULL));
    R(timerfd_settime(0, 0, &it, NULL));
    R(timerfd_settime(99, 0, &it, NULL));
    R(timerfd_settime(fd, 0, NULL, NULL));
    R(timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL)); // long past
    R(comes(fd));
    R(read(fd, &v, 8));
    R(v);
    clock_gettime(CLOCK_MONOTONIC, &it.it_value);
    it.it_value.tv_sec += 100;
    R(timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL));
    R(timerfd_gettime(fd, &old));
    B(old.it_value.tv_sec >= 60 && old.it_value.tv_sec <= 100);
    R(write(fd, &v, 8));
    int b = M(timerfd_create(CLOCK_REALTIME, 0));
    it = its(20, 0);
    M(timerfd_settime(b, 0, &it, NULL));
    R(read(b, &v, 8));
    R(v);
    struct sigaction sa = {.sa_handler = nop};
    sigaction(SIGALRM, &sa, NULL);
    R(POKED(SIGALRM, read(b, &v, 8)));
    R(timerfd_settime(b, TFD_TIMER_CANCEL_ON_SET | TFD_TIMER_ABSTIME, &it, NULL));
}

static void signalfds(void) {
    H("signalfd");
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGRTMIN + 1);
    sigaddset(&s, SIGCHLD);
    sigprocmask(SIG_BLOCK, &s, NULL);
    int fd = M(signalfd(-1, &s, SFD_NONBLOCK | SFD_CLOEXEC));
    X(fcntl(fd, F_GETFL));
    R(signalfd(-1, &s, 5));
    R(signalfd(0, &s, 0));
    R(signalfd(99, &s, 0));
    R(syscall(SYS_signalfd4, -1, &s, 4, 0));
    struct signalfd_siginfo si[4];
    R(read(fd, si, sizeof si));
    R(read(fd, si, 100));
    X(ready(fd));
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    union sigval v = {.sival_int = 42};
    sigqueue(getpid(), SIGRTMIN + 1, v);
    v.sival_int = 43;
    sigqueue(getpid(), SIGRTMIN + 1, v);
    X(ready(fd));
    R(read(fd, si, sizeof si) / sizeof *si);
    for (int i = 0; i < 3; i++)
        printf("signo %s code %d pid %s uid %d int %d\n", si[i].ssi_signo == SIGUSR1 ? "USR1" : "RT1", si[i].ssi_code,
            si[i].ssi_pid == getpid() ? "self" : "other", si[i].ssi_uid, si[i].ssi_int);
    R(read(fd, si, sizeof si));
    pid_t pid = fork();
    if (!pid) _exit(3);
    M(waitid(P_PID, pid, NULL, WEXITED | WNOWAIT));
    R(read(fd, si, sizeof si) == sizeof *si);
    printf("signo %d code %d status %d pid same %d\n", si[0].ssi_signo, si[0].ssi_code, si[0].ssi_status, (int)si[0].ssi_pid == pid);
    waitpid(pid, NULL, 0);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGUSR2);
    R(signalfd(fd, &only, 0) == fd); // changes the set
    kill(getpid(), SIGUSR1);
    X(ready(fd));
    R(read(fd, si, sizeof si));
    M(signalfd(fd, &s, 0));
    // The child sees its own signals through the descriptor that it inherited.
    R(CHILD(R(read(fd, si, sizeof si)); raise(SIGUSR1); R(read(fd, si, sizeof si) == sizeof *si)));
    R(read(fd, si, sizeof si) >= (long)sizeof *si);
    R(write(fd, si, sizeof si));
}

int main(void) {
    eventfds();
    timerfds();
    signalfds();
    return 0;
}
