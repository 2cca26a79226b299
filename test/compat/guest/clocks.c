// Clocks, sleeps, POSIX timers, itimers, alarm. What is late is right: only what is early, or
// never comes, is wrong.
#include "check.h"
#include <sys/timerfd.h>
#include <sys/timex.h>

static volatile int hits, val, code, over;
static void h(int s, siginfo_t *si, void *u) { val = si->si_value.sival_int; code = si->si_code; over = si->si_overrun; hits++; }
static void notify(union sigval v) { val = v.sival_int; hits++; }
static long ns(struct timespec t) { return t.tv_sec * 1000000000L + t.tv_nsec; }
static void spin(int n) {
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b); while (ns(b) - ns(a) < n * 1000000L);
}
static int spin_until_hit(void) {
    for (int64_t end = now_ms() + PATIENCE; !hits && now_ms() < end;) spin(1);
    return hits;
}
static long create(int clock, struct sigevent *e, int *id) { return syscall(SYS_timer_create, clock, e, id); }

int main(void) {
    struct timespec a, b, res;
    H("clocks");
    static const int ids[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11};
    for (unsigned i = 0; i < 11; i++) {
        int r = clock_gettime(ids[i], &a);
        int r2 = clock_getres(ids[i], &res);
        for (int k = 0; k < 1000; k++) clock_gettime(ids[i], &b);
        printf("clock %d: %d %d resolution %s, monotonic %d\n", ids[i], r, r2, ids[i] == 5 || ids[i] == 6 ? "coarse" : ns(res) == 1 ? "1 ns" : "other", ns(b) >= ns(a));
    }
    R(clock_gettime(10, &a));
    R(clock_gettime(99, &a));
    R(syscall(SYS_clock_gettime, CLOCK_REALTIME, (void *)8));
    R(syscall(SYS_clock_getres, CLOCK_REALTIME, NULL));
    R(clock_settime(CLOCK_MONOTONIC, &a));
    a.tv_nsec = -1;
    R(clock_settime(CLOCK_REALTIME, &a));
    struct timeval tv;
    clock_gettime(CLOCK_REALTIME, &a);
    gettimeofday(&tv, NULL);
    B(tv.tv_sec - a.tv_sec <= 20 && tv.tv_sec >= a.tv_sec);
    time_t t = syscall(SYS_time, NULL);
    B(t - a.tv_sec <= 20 && t >= a.tv_sec - 1);
    clock_gettime(CLOCK_MONOTONIC, &a);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &b); // the vDSO and the call agree
    B(ns(b) >= ns(a) && ns(b) - ns(a) < 20000000000);
    clockid_t c;
    E(clock_getcpuclockid(0, &c));
    R(clock_gettime(c, &a));
    E(clock_getcpuclockid(999999, &c));
    int done[2];
    M(pipe(done));
    pid_t kid = fork();
    if (!kid) { spin(30); M(write(done[1], "x", 1)); pause(); _exit(0); }
    E(clock_getcpuclockid(kid, &c));
    char byte;
    M(read(done[0], &byte, 1));
    R(clock_gettime(c, &a));
    B(ns(a) >= 25000000);
    kill(kid, SIGKILL);
    waitpid(kid, NULL, 0);
    R(clock_gettime(c, &a));
    pthread_getcpuclockid(pthread_self(), &c);
    R(clock_gettime(c, &a));
    H("sleeps");
    clock_gettime(CLOCK_MONOTONIC, &a);
    R(nanosleep(&(struct timespec){0, 20000000}, NULL));
    clock_gettime(CLOCK_MONOTONIC, &b);
    B(ns(b) - ns(a) >= 20000000);
    R(nanosleep(&(struct timespec){0, 1000000000}, NULL));
    R(nanosleep(&(struct timespec){-1, 0}, NULL));
    R(nanosleep(&(struct timespec){0, 0}, NULL));
    R(nanosleep((void *)8, NULL));
    a = b;
    a.tv_nsec += 20000000;
    if (a.tv_nsec >= 1000000000) a.tv_sec++, a.tv_nsec -= 1000000000;
    E(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a, NULL));
    clock_gettime(CLOCK_MONOTONIC, &b);
    B(ns(b) >= ns(a));
    E(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &(struct timespec){1, 0}, NULL));
    E(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &(struct timespec){0, 1}, NULL));
    E(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &(struct timespec){0, 1000000000}, NULL));
    E(clock_nanosleep(99, 0, &(struct timespec){0, 1}, NULL));
    E(clock_nanosleep(CLOCK_MONOTONIC_RAW, 0, &(struct timespec){0, 1}, NULL));
    E(clock_nanosleep(CLOCK_BOOTTIME, 0, &(struct timespec){0, 1000000}, NULL));
    H("itimers and alarm");
    struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO};
    int sigs[] = {SIGALRM, SIGVTALRM, SIGPROF, SIGRTMIN};
    for (int i = 0; i < 4; i++) sigaction(sigs[i], &sa, NULL);
    R(alarm(100));
    R(alarm(0));
    R(alarm(0));
    struct itimerval it = {{0, 10000}, {0, 10000}}, old;
    int64_t began = now_ms();
    R(setitimer(ITIMER_REAL, &it, NULL));
    UNTIL(hits >= 5); // it repeats
    R(setitimer(ITIMER_REAL, &(struct itimerval){{0, 10000}, {50, 0}}, &old));
    B(old.it_interval.tv_usec == 10000 && old.it_value.tv_sec == 0 && old.it_value.tv_usec <= 10000);
    B(hits >= 5 && hits <= (now_ms() - began) / 10 + 1);
    R(getitimer(ITIMER_REAL, &old));
    B(old.it_interval.tv_usec == 10000 && old.it_value.tv_sec >= 20 && old.it_value.tv_sec <= 50);
    B(alarm(0) >= 20);
    int rounded = 0; // what is left of a second is one, unless the machine took that second away
    for (int i = 0; i < 20 && !rounded; i++) {
        M(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 900000}}, NULL));
        rounded = alarm(0) == 1;
    }
    R(rounded);
    R(code);
    hits = 0;
    R(CHILD(getitimer(ITIMER_REAL, &old); R(old.it_value.tv_usec)));
    it = (struct itimerval){{0, 0}, {0, 150000}};
    R(setitimer(ITIMER_VIRTUAL, &it, NULL));
    ms(200);
    R(hits); // sleep is not time of the process
    volatile long n = 0;
    int64_t start = now_ms();
    while (!hits && now_ms() - start < PATIENCE) for (int i = 0; i < 100000; i++) n++;
    R(hits);
    hits = 0;
    it.it_value.tv_usec = 20000;
    R(setitimer(ITIMER_PROF, &it, NULL));
    R(spin_until_hit());
    it.it_value.tv_usec = 1000000;
    R(setitimer(ITIMER_REAL, &it, NULL));
    it.it_value.tv_usec = -1;
    R(setitimer(ITIMER_REAL, &it, NULL));
    R(setitimer(9, &it, NULL));
    R(getitimer(9, &it));
    R(setitimer(ITIMER_REAL, (void *)8, NULL));
    H("timers");
    hits = 0;
    int id = -1, id2 = -1;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77};
    struct itimerspec its = {{0, 0}, {0, 20000000}}, cur;
    R(create(CLOCK_MONOTONIC, &ev, &id));
    R(syscall(SYS_timer_settime, id, 0, &its, NULL));
    UNTIL(hits == 1);
    printf("hits %d value %d code %d overrun %d\n", hits, val, code, over);
    R(syscall(SYS_timer_gettime, id, &cur));
    R(ns(cur.it_value));
    R(create(CLOCK_REALTIME, NULL, &id2));
    B(id2 != id);
    R(syscall(SYS_timer_settime, id2, 0, &its, NULL));
    UNTIL(hits == 2);
    printf("hits %d value is the id %d code %d\n", hits, val == id2, code);
    sigset_t s, o;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &s, &o);
    hits = 0;
    its = (struct itimerspec){{0, 10000000}, {0, 10000000}};
    R(syscall(SYS_timer_settime, id, 0, &its, NULL));
    began = now_ms();
    ms(105);
    siginfo_t si;
    R(sigtimedwait(&s, &si, &(struct timespec){20, 0}) == SIGRTMIN);
    printf("value %d code %d\n", si.si_value.sival_int, si.si_code);
    B(si.si_overrun >= 5 && si.si_overrun <= (now_ms() - began) / 10 + 1); // one signal for all
    B(syscall(SYS_timer_getoverrun, id) == si.si_overrun);
    its = (struct itimerspec){{0, 0}, {0, 0}};
    R(syscall(SYS_timer_settime, id, 0, &its, &cur));
    B(ns(cur.it_interval) == 10000000);
    while (sigtimedwait(&s, NULL, &(struct timespec){0, 0}) > 0) {}
    sigprocmask(SIG_SETMASK, &o, NULL);
    R(hits);
    clock_gettime(CLOCK_MONOTONIC, &its.it_value);
    hits = 0;
    R(syscall(SYS_timer_settime, id, TIMER_ABSTIME, &its, NULL));
    UNTIL(hits);
    R(hits);
    its.it_value.tv_nsec = 1000000000;
    R(syscall(SYS_timer_settime, id, 0, &its, NULL));
    R(syscall(SYS_timer_settime, 99, 0, &its, NULL));
    R(syscall(SYS_timer_gettime, 99, &its));
    R(syscall(SYS_timer_getoverrun, 99));
    R(syscall(SYS_timer_delete, id));
    R(syscall(SYS_timer_delete, id));
    ev.sigev_notify = 99;
    R(create(CLOCK_MONOTONIC, &ev, &id));
    ev = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 99};
    R(create(CLOCK_MONOTONIC, &ev, &id));
    R(create(99, NULL, &id));
    R(create(CLOCK_MONOTONIC, NULL, (void *)8));
    ev = (struct sigevent){.sigev_notify = SIGEV_NONE};
    R(create(CLOCK_BOOTTIME, &ev, &id));
    its = (struct itimerspec){{0, 0}, {50, 0}};
    R(syscall(SYS_timer_settime, id, 0, &its, NULL));
    R(syscall(SYS_timer_gettime, id, &cur));
    B(cur.it_value.tv_sec >= 20 && cur.it_value.tv_sec <= 50);
    ev = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    R(create(CLOCK_PROCESS_CPUTIME_ID, &ev, &id));
    its = (struct itimerspec){{0, 0}, {0, 150000000}};
    hits = 0;
    R(syscall(SYS_timer_settime, id, 0, &its, NULL));
    ms(200);
    R(hits);
    R(spin_until_hit());
    hits = 0;
    its.it_value.tv_nsec = 20000000;
    timer_t tt;
    ev = (struct sigevent){.sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify, .sigev_value.sival_int = 5};
    R(timer_create(CLOCK_MONOTONIC, &ev, &tt));
    R(timer_settime(tt, 0, &its, NULL));
    UNTIL(hits);
    printf("hits %d value %d\n", hits, val);
    R(CHILD(R(syscall(SYS_timer_gettime, id, &cur)))); // not inherited
    H("adjtimex");
    struct timex tx = {0};
    B(adjtimex(&tx) >= 0);
    R(CHILD(M(setuid(1000)); tx.modes = ADJ_FREQUENCY; R(adjtimex(&tx)); R(clock_settime(CLOCK_REALTIME, &(struct timespec){1, 1}))));
    return 0;
}
