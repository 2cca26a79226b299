// rlimits and their enforcement, getrusage, times, priority, scheduling, affinity.
#include "check.h"
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/times.h>

static void xcpu(int s) { write(1, "SIGXCPU\n", 8); }
static void spin(int ms_) {
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    while ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < ms_);
}
static void *sleeper(void *a) { for (;;) pause(); return a; }

int main(void) {
    struct rlimit rl;
    char b[4096];
    setpriority(PRIO_PROCESS, 0, 0); // whatever the tests were started with
    H("get and set");
    R(getrlimit(99, &rl));
    R(getrlimit(-1, &rl));
    R(getrlimit(RLIMIT_NOFILE, (void *)8));
    rl = (struct rlimit){50, 40};
    R(setrlimit(RLIMIT_NOFILE, &rl));
    for (int i = 0; i < RLIM_NLIMITS; i++) printf("limit %d: %s\n", i, getrlimit(i, &rl) || rl.rlim_cur > rl.rlim_max ? "bad" : "ok");
    getrlimit(RLIMIT_CORE, &rl);
    R(rl.rlim_cur);
    R(prlimit(0, RLIMIT_NOFILE, NULL, &rl));
    R(prlimit(999999, RLIMIT_NOFILE, NULL, &rl));
    R(prlimit(0, 77, NULL, &rl));
    R(prlimit(0, RLIMIT_NOFILE, (void *)8, NULL));
    pid_t pid = fork();
    if (!pid) { pause(); _exit(0); }
    struct rlimit small = {30, 60}, old;
    R(prlimit(pid, RLIMIT_NOFILE, &small, &old));
    B(old.rlim_cur == rl.rlim_cur);
    R(prlimit(pid, RLIMIT_NOFILE, NULL, &old));
    printf("%ld %ld\n", (long)old.rlim_cur, (long)old.rlim_max);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    H("open files");
    R(CHILD({
        small = (struct rlimit){8, 8};
        M(setrlimit(RLIMIT_NOFILE, &small));
        int n = 3;
        while (dup(0) >= 0) n++;
        printf("%d: %s\n", n, ename(errno));
        R(open("/dev/null", O_RDONLY));
        int p[2];
        R(pipe(p));
        close(7);
        R(pipe(p));
        R(fcntl(0, F_DUPFD, 7));
        R(fcntl(0, F_DUPFD, 8));
        R(fcntl(0, F_DUPFD, 7));
        R(dup2(0, 8));
        R(dup2(0, 7));
        small = (struct rlimit){4, 8};
        M(setrlimit(RLIMIT_NOFILE, &small));
        R(read(7, b, 0)); // what is open stays
        R(poll((struct pollfd[5]){{0}}, 5, 0));
        M(setuid(1000));
        small = (struct rlimit){4, 9};
        R(setrlimit(RLIMIT_NOFILE, &small));
        small = (struct rlimit){8, 8};
        R(setrlimit(RLIMIT_NOFILE, &small));
    }));
    H("processes");
    R(CHILD({
        small = (struct rlimit){2, 2};
        M(setrlimit(RLIMIT_NPROC, &small));
        M(setuid(54321));
        pid_t a = fork();
        if (!a) { pause(); _exit(0); }
        R(a > 0);
        R(fork());
        pthread_t t;
        E(pthread_create(&t, NULL, sleeper, 0));
        kill(a, SIGKILL);
        waitpid(a, NULL, 0);
        E(pthread_create(&t, NULL, sleeper, 0));
    }));
    H("memory");
    R(CHILD({
        small = (struct rlimit){64 << 20, 64 << 20};
        M(setrlimit(RLIMIT_AS, &small));
        R(mmap(NULL, 65 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
        R(mmap(NULL, 16 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
        B(malloc(100 << 20) == NULL);
    }));
    R(CHILD({
        small = (struct rlimit){1 << 20, 1 << 20};
        M(setrlimit(RLIMIT_DATA, &small));
        R(sbrk(2 << 20) == (void *)-1 ? -1 : 0);
        R(mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
        R(mmap(NULL, 2 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
    }));
    H("signals");
    R(CHILD({
        M(setuid(54322));
        small = (struct rlimit){3, 3};
        M(setrlimit(RLIMIT_SIGPENDING, &small));
        sigset_t s;
        sigfillset(&s);
        sigprocmask(SIG_BLOCK, &s, NULL);
        for (int i = 0; i < 5; i++) R(sigqueue(getpid(), SIGRTMIN, (union sigval){i}));
        R(kill(getpid(), SIGRTMIN)); // kill always gets through
        R(kill(getpid(), SIGUSR1));
    }));
    H("processor time");
    signal(SIGXCPU, xcpu);
    ST("cpu", CHILD({
        small = (struct rlimit){0, 1};
        M(setrlimit(RLIMIT_CPU, &small));
        spin(10000);
    }));
    H("usage");
    struct rusage u0;
    struct rusage u1;
    getrusage(RUSAGE_SELF, &u0);
    spin(30);
    getrusage(RUSAGE_SELF, &u1);
    B(u1.ru_utime.tv_sec * 1000000L + u1.ru_utime.tv_usec + u1.ru_stime.tv_sec * 1000000L + u1.ru_stime.tv_usec
        - u0.ru_utime.tv_sec * 1000000L - u0.ru_utime.tv_usec - u0.ru_stime.tv_sec * 1000000L - u0.ru_stime.tv_usec >= 20000);
    B(u1.ru_maxrss > 100 && u1.ru_minflt > 0);
    R(getrusage(RUSAGE_THREAD, &u1));
    R(getrusage(7, &u1));
    R(getrusage(RUSAGE_SELF, (void *)8));
    struct tms t;
    B(times(&t) > 0);
    B(t.tms_utime + t.tms_stime >= 2);
    B(times(NULL) > 0);
    B(clock() > 20000);
    H("priority");
    R(getpriority(PRIO_PROCESS, 0));
    R(setpriority(PRIO_PROCESS, 0, 5));
    R(getpriority(PRIO_PROCESS, 0));
    R(syscall(SYS_getpriority, PRIO_PROCESS, 0));
    R(nice(100));
    R(getpriority(PRIO_PROCESS, getpid()));
    R(setpriority(PRIO_PROCESS, 0, 0));
    R(getpriority(PRIO_PROCESS, 999999));
    R(getpriority(9, 0));
    R(getpriority(PRIO_PGRP, 0));
    R(getpriority(PRIO_USER, 12345));
    R(CHILD(M(setuid(1000)); R(setpriority(PRIO_PROCESS, 0, 3)); R(setpriority(PRIO_PROCESS, 0, 1)); R(setpriority(PRIO_PROCESS, getppid(), 3))));
    H("scheduling");
    struct sched_param sp = {9};
    R(sched_getscheduler(0));
    R(sched_getparam(0, &sp));
    R(sp.sched_priority);
    R(sched_get_priority_max(SCHED_FIFO));
    R(sched_get_priority_min(SCHED_RR));
    R(sched_get_priority_max(SCHED_OTHER));
    R(sched_get_priority_max(99));
    R(sched_setscheduler(0, SCHED_BATCH, &sp));
    R(sched_getscheduler(0));
    R(sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){5}));
    R(sched_setscheduler(0, 99, &sp));
    R(sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0}));
    R(sched_getscheduler(999999));
    R(sched_getscheduler(-1));
    R(sched_yield());
    struct timespec ts;
    R(sched_rr_get_interval(0, &ts));
    R(sched_rr_get_interval(999999, &ts));
    H("affinity");
    cpu_set_t set, one;
    B(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
    B(CPU_COUNT(&set) == get_nprocs());
    R(syscall(SYS_sched_getaffinity, 0, 1, &set));
    R(syscall(SYS_sched_getaffinity, 0, 9, &set));
    R(syscall(SYS_sched_getaffinity, 999999, 128, &set));
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    R(sched_setaffinity(0, sizeof one, &one));
    CPU_ZERO(&set);
    R(sched_getaffinity(0, sizeof set, &set));
    R(CPU_COUNT(&set));
    unsigned cpu = 9, node = 9;
    R(getcpu(&cpu, &node));
    printf("%u %u\n", cpu, node);
    R(CHILD(sched_getaffinity(0, sizeof set, &set); R(CPU_COUNT(&set))));
    CHILD({ // another processor, if there is one
        unsigned last = get_nprocs() - 1;
        CPU_ZERO(&one);
        CPU_SET(last, &one);
        M(sched_setaffinity(0, sizeof one, &one));
        for (int i = 0; i < 100; i++) { getcpu(&cpu, NULL); if (cpu != last) break; sched_yield(); }
        B(cpu == last);
    });
    CPU_ZERO(&one);
    R(sched_setaffinity(0, sizeof one, &one));
    R(sched_setaffinity(0, sizeof one, (void *)8));
    return 0;
}
