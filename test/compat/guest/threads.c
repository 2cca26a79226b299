// Threads: 32 at once, TLS, exec and exit with threads alive, thread group rules.
#include "check.h"
#include <sys/prctl.h>

static __thread int tls = 5;
static __thread char tbuf[100];
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t bar;
static int counter, tids[32];
static char self[PATH_MAX];

static void *work(void *a) {
    long id = (long)a;
    tls += id;
    sprintf(tbuf, "thread %ld", id);
    tids[id] = gettid();
    pthread_barrier_wait(&bar);
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&mu);
        counter++;
        pthread_mutex_unlock(&mu);
    }
    char want[100];
    sprintf(want, "thread %ld", id);
    return (void *)(long)(tls == 5 + id && !strcmp(want, tbuf));
}
static void *sleeper(void *a) { for (;;) pause(); return NULL; }
static void *exits(void *a) { asleep(getpid()); exit(21); return NULL; }
static void *ends(void *a) { UNTIL(state_of(getpid()) == 'Z'); return NULL; }
static void *execs(void *a) {
    char *argv[] = {"x", "after", NULL};
    ms(20);
    execve(self, argv, argv + 2);
    return NULL;
}
static void *exec_fails(void *a) { char *v[] = {NULL}; execve("none", v, v); return (void *)(long)errno; }
static void *faults(void *a) { asleep(getpid()); *(volatile int *)0 = 1; return NULL; }
static void *blocked(void *a) {
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    pthread_barrier_wait(&bar);
    pthread_barrier_wait(&bar);
    sigpending(&s);
    return (void *)(long)sigismember(&s, SIGUSR1);
}
static pthread_t hit;
static void handler(int s) { hit = pthread_self(); }
static void *names(void *a) {
    char n[17] = "";
    prctl(PR_GET_NAME, n);
    printf("inherits the name: %s\n", n);
    prctl(PR_SET_NAME, "a-very-long-thread-name");
    prctl(PR_GET_NAME, n);
    printf("cut: %s\n", n);
    B(getpid() != gettid());
    B(getppid() > 0);
    return NULL;
}
static void *leader_gone(void *a) {
    UNTIL(state_of(getpid()) == 'Z');
    printf("leader's state: %c\n", state_of(getpid()));
    exit(5);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        char b[64];
        B(getpid() == gettid());
        int n = 0;
        FILE *f = fopen("/proc/self/status", "r");
        while (fgets(b, sizeof b, f)) if (sscanf(b, "Threads: %d", &n) == 1) break;
        R(n);
        return 33;
    }
    M(readlink("/proc/self/exe", self, sizeof self - 1));
    pthread_t t[32], u;
    void *r;
    H("32 threads");
    pthread_barrier_init(&bar, NULL, 33);
    for (long i = 0; i < 32; i++) E(pthread_create(&t[i], NULL, work, (void *)i));
    pthread_barrier_wait(&bar);
    long good = 0;
    for (int i = 0; i < 32; i++) {
        pthread_join(t[i], &r);
        good += (long)r;
    }
    R(good);
    R(counter);
    int distinct = 1;
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < i; j++) distinct = distinct && tids[i] != tids[j];
    B(distinct);
    R(tls);
    H("ends");
    ST("exit in a thread ends all", CHILD(pthread_create(&u, NULL, exits, 0); sleeper(0)));
    ST("main thread exits first", CHILD(pthread_create(&u, NULL, ends, 0); pthread_exit(NULL)));
    ST("leader is a zombie until the rest end", CHILD(pthread_create(&u, NULL, leader_gone, 0); syscall(SYS_exit, 77)));
    ST("exit_group", CHILD(for (int i = 0; i < 8; i++) pthread_create(&u, NULL, sleeper, 0); _exit(4)));
    ST("fault in a thread", CHILD(pthread_create(&u, NULL, faults, 0); sleeper(0)));
    ST("SIGKILL", CHILD(for (int i = 0; i < 8; i++) pthread_create(&u, NULL, sleeper, 0); kill(getpid(), SIGKILL)));
    ST("tgkill of one ends all", CHILD(pthread_create(&u, NULL, sleeper, 0); pthread_kill(u, SIGTERM); sleeper(0)));
    H("exec");
    ST("exec in main", CHILD(for (int i = 0; i < 4; i++) pthread_create(&u, NULL, sleeper, 0); execs(0)));
    ST("exec in another", CHILD({
        for (int i = 0; i < 4; i++) pthread_create(&u, NULL, sleeper, 0);
        pthread_create(&u, NULL, execs, 0);
        sleeper(0);
    }));
    pthread_create(&u, NULL, exec_fails, 0);
    pthread_join(u, &r);
    B((long)r == ENOENT);
    R(CHILD({ // only the caller is in the child of a fork
        char b[64];
        sprintf(b, "/proc/self/task/%d", gettid());
        struct stat st;
        R(stat(b, &st));
        M(stat("/proc/self/task", &st));
        R(st.st_nlink);
    }));
    H("signals");
    signal(SIGUSR1, handler);
    pthread_barrier_destroy(&bar);
    pthread_barrier_init(&bar, NULL, 2);
    pthread_create(&u, NULL, blocked, 0);
    pthread_barrier_wait(&bar);
    kill(getpid(), SIGUSR1);
    B(pthread_equal(hit, pthread_self()));
    pthread_kill(u, SIGUSR1); // stays pending for that thread
    sigset_t p;
    sigpending(&p);
    R(sigismember(&p, SIGUSR1));
    pthread_barrier_wait(&bar);
    pthread_join(u, &r);
    R((long)r);
    E(pthread_create(&u, NULL, sleeper, 0));
    E(pthread_cancel(u));
    E(pthread_join(u, &r));
    B(r == PTHREAD_CANCELED);
    H("names and ids");
    prctl(PR_SET_NAME, "mainname");
    pthread_create(&u, NULL, names, 0);
    pthread_join(u, NULL);
    char n[17] = "";
    prctl(PR_GET_NAME, n);
    printf("main: %s\n", n);
    H("condition");
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += 20000000;
    if (ts.tv_nsec >= 1000000000) ts.tv_nsec -= 1000000000, ts.tv_sec++;
    pthread_mutex_lock(&mu);
    E(pthread_cond_timedwait(&cond, &mu, &ts));
    pthread_mutex_unlock(&mu);
    H("many in turn");
    int ok = 0;
    for (int i = 0; i < 200; i++) ok += !pthread_create(&u, NULL, (void *(*)(void *))getpid, 0) && !pthread_join(u, NULL);
    R(ok);
    return 0;
}
