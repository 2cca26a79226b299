// futex: wait, wake, requeue, wake_op, bitsets, timeouts, private and shared, waitv.
#include "check.h"
#include <linux/futex.h>

static uint32_t w, w2;
static long fx(uint32_t *u, int op, uint32_t v, void *t, uint32_t *u2, uint32_t v3) { return syscall(SYS_futex, u, op, v, t, u2, v3); }
static volatile int woken;
static struct waiter { uint32_t *u; int op; uint32_t v, v3; pid_t tid; } args[32];
static volatile int started;

static void *waiter(void *a) {
    struct waiter x = *(struct waiter *)a;
    __atomic_store_n(&((struct waiter *)a)->tid, gettid(), __ATOMIC_SEQ_CST);
    long r = fx(x.u, x.op, x.v, NULL, NULL, x.v3);
    __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
    return (void *)(r ? (long)errno : 0);
}
static pthread_t start(uint32_t *u, int op, uint32_t v, uint32_t v3) {
    pthread_t t;
    args[started] = (struct waiter){u, op, v, v3};
    struct waiter *a = &args[started++];
    M(pthread_create(&t, NULL, waiter, a) ? -1 : 0);
    UNTIL(__atomic_load_n(&a->tid, __ATOMIC_SEQ_CST));
    asleep(a->tid); // it waits
    return t;
}
static void settle(int n) {
    UNTIL(woken >= n);
    ms(5); // no more than these
    printf("woken %d\n", woken);
}
static void handler(int s) {}
static void *kick(void *a) { while (!fx(&w2, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0)) ms(1); return NULL; }

int main(void) {
    struct timespec ts = {0, 20000000};
    int P = FUTEX_PRIVATE_FLAG;
    H("arguments");
    R(fx(&w, FUTEX_WAIT, 1, NULL, NULL, 0));
    R(fx(&w, FUTEX_WAKE, 1, NULL, NULL, 0));
    R(fx((void *)((char *)&w + 1), FUTEX_WAIT, 0, NULL, NULL, 0));
    R(fx((void *)((char *)&w + 1), FUTEX_WAKE, 0, NULL, NULL, 0));
    R(fx(NULL, FUTEX_WAIT, 0, NULL, NULL, 0));
    R(fx(NULL, FUTEX_WAKE | P, 1, NULL, NULL, 0));
    R(fx((void *)-4096, FUTEX_WAIT, 0, NULL, NULL, 0));
    R(fx((void *)-4096, FUTEX_WAKE | P, 0, NULL, NULL, 0));
    R(fx(&w, 77, 0, NULL, NULL, 0));
    R(fx(&w, FUTEX_FD, 0, NULL, NULL, 0));
    R(fx(&w, FUTEX_WAIT_BITSET, 0, &ts, NULL, 0));
    R(fx(&w, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    R(fx(&w, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
    ts.tv_nsec = -1;
    R(fx(&w, FUTEX_WAIT, 0, &ts, NULL, 0));
    ts.tv_nsec = 1000000000;
    R(fx(&w, FUTEX_WAIT, 0, &ts, NULL, 0));
    R(fx(&w, FUTEX_WAIT, 0, (void *)8, NULL, 0));
    H("timeouts");
    int64_t t = now_ms();
    ts = (struct timespec){0, 20000000};
    R(fx(&w, FUTEX_WAIT, 0, &ts, NULL, 0));
    B(now_ms() - t >= 19);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_nsec += 20000000;
    if (ts.tv_nsec >= 1000000000) ts.tv_sec++, ts.tv_nsec -= 1000000000;
    t = now_ms();
    R(fx(&w, FUTEX_WAIT_BITSET | P, 0, &ts, NULL, FUTEX_BITSET_MATCH_ANY));
    B(now_ms() - t >= 18);
    R(fx(&w, FUTEX_WAIT_BITSET | P, 0, &ts, NULL, 1)); // past
    clock_gettime(CLOCK_REALTIME, &ts);
    R(fx(&w, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME | P, 0, &ts, NULL, 1));
    struct sigaction sa = {.sa_handler = handler};
    sigaction(SIGALRM, &sa, NULL);
    R(POKED(SIGALRM, fx(&w, FUTEX_WAIT | P, 0, NULL, NULL, 0)));
    ts = (struct timespec){60, 0};
    R(POKED(SIGALRM, fx(&w, FUTEX_WAIT | P, 0, &ts, NULL, 0)));
    sa.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &sa, NULL);
    ts = (struct timespec){0, 300000000};
    t = now_ms();
    R(POKED(SIGALRM, fx(&w, FUTEX_WAIT | P, 0, &ts, NULL, 0))); // goes on for what is left
    B(now_ms() - t >= 299);
    H("wake");
    pthread_t th[4];
    for (int i = 0; i < 4; i++) th[i] = start(&w, FUTEX_WAIT | P, 0, 0);
    R(fx(&w, FUTEX_WAKE | P, 1, NULL, NULL, 0));
    settle(1);
    R(fx(&w, FUTEX_WAKE | P, 2, NULL, NULL, 0));
    settle(3);
    R(fx(&w, FUTEX_WAKE | P, INT_MAX, NULL, NULL, 0));
    settle(4);
    R(fx(&w, FUTEX_WAKE | P, INT_MAX, NULL, NULL, 0));
    for (int i = 0; i < 4; i++) pthread_join(th[i], NULL);
    H("private and shared keys differ");
    woken = 0;
    th[0] = start(&w, FUTEX_WAIT, 0, 0);
    R(fx(&w, FUTEX_WAKE | P, 1, NULL, NULL, 0));
    R(fx(&w, FUTEX_WAKE, 1, NULL, NULL, 0));
    pthread_join(th[0], NULL);
    H("bitsets");
    woken = 0;
    th[0] = start(&w, FUTEX_WAIT_BITSET | P, 0, 1);
    th[1] = start(&w, FUTEX_WAIT_BITSET | P, 0, 2);
    R(fx(&w, FUTEX_WAKE_BITSET | P, 9, NULL, NULL, 4));
    R(fx(&w, FUTEX_WAKE_BITSET | P, 9, NULL, NULL, 2));
    settle(1);
    R(fx(&w, FUTEX_WAKE | P, 9, NULL, NULL, 0));
    pthread_join(th[0], NULL), pthread_join(th[1], NULL);
    H("requeue");
    woken = 0;
    for (int i = 0; i < 4; i++) th[i] = start(&w, FUTEX_WAIT | P, 0, 0);
    R(fx(&w, FUTEX_CMP_REQUEUE | P, 1, (void *)1, &w2, 5));
    R(fx(&w, FUTEX_CMP_REQUEUE | P, 1, (void *)2, &w2, 0)); // woken and moved
    settle(1);
    R(fx(&w2, FUTEX_WAKE | P, 9, NULL, NULL, 0));
    settle(3);
    R(fx(&w, FUTEX_REQUEUE | P, 0, (void *)9, &w2, 0));
    R(fx(&w, FUTEX_WAKE | P, 9, NULL, NULL, 0));
    R(fx(&w2, FUTEX_WAKE | P, 9, NULL, NULL, 0));
    settle(4);
    R(fx(&w, FUTEX_REQUEUE | P, -1, (void *)1, &w2, 0));
    R(fx(&w, FUTEX_REQUEUE | P, 1, (void *)-1, &w2, 0));
    R(fx(&w, FUTEX_REQUEUE | P, 1, (void *)1, (void *)3, 0));
    for (int i = 0; i < 4; i++) pthread_join(th[i], NULL);
    H("wake_op");
    woken = 0;
    w2 = 5;
    th[0] = start(&w, FUTEX_WAIT | P, 0, 0);
    th[1] = start(&w2, FUTEX_WAIT | P, 5, 0);
    R(fx(&w, FUTEX_WAKE_OP | P, 1, (void *)1, &w2, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 4)));
    R(w2);
    settle(1);
    R(fx(&w, FUTEX_WAKE_OP | P, 1, (void *)1, &w2, FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_GT, 7)));
    R(w2);
    settle(2);
    R(fx(&w, FUTEX_WAKE_OP | P, 1, (void *)1, &w2, FUTEX_OP((FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT), 4, FUTEX_OP_CMP_LT, 0)));
    R(w2);
    R(fx(&w, FUTEX_WAKE_OP | P, 1, (void *)1, &w2, FUTEX_OP(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_NE, 0)));
    R(w2);
    R(fx(&w, FUTEX_WAKE_OP | P, 1, (void *)1, &w2, FUTEX_OP(FUTEX_OP_XOR, 0xfff, FUTEX_OP_CMP_GE, 0)));
    R(w2);
    R(fx(&w, FUTEX_WAKE_OP | P, 1, (void *)1, &w2, FUTEX_OP(6, 0, 0, 0)));
    R(fx(&w, FUTEX_WAKE_OP | P, 1, (void *)1, NULL, 0));
    pthread_join(th[0], NULL), pthread_join(th[1], NULL);
    H("between processes");
    uint32_t *sh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (!pid) _exit(fx(sh, FUTEX_WAIT, 0, NULL, NULL, 0) ? errno : 0);
    long n;
    while (!(n = fx(sh, FUTEX_WAKE, 1, NULL, NULL, 0))) ms(1);
    R(n);
    int st;
    waitpid(pid, &st, 0);
    ST("waiter", st);
    int fd = M(open("f", O_RDWR | O_CREAT, 0600));
    M(ftruncate(fd, 8192));
    uint32_t *m1 = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *m2 = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
    woken = 0;
    th[0] = start(m1 + 1025, FUTEX_WAIT, 0, 0);
    R(fx(m2 + 1, FUTEX_WAKE, 1, NULL, NULL, 0)); // two mappings of one page
    pthread_join(th[0], NULL);
    uint32_t *priv = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid = fork();
    if (!pid) _exit(fx(priv, FUTEX_WAIT, 0, NULL, NULL, 0) ? errno : 0);
    asleep(pid);
    R(fx(priv, FUTEX_WAKE, 1, NULL, NULL, 0)); // not the same memory
    ms(5);
    R(waitpid(pid, &st, WNOHANG));
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    ST("waiter", st);
    H("waitv");
    struct futex_waitv wv[2] = {{.val = 0, .uaddr = (uintptr_t)&w, .flags = FUTEX_32 | P}, {.val = w2, .uaddr = (uintptr_t)&w2, .flags = FUTEX_32 | P}};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    R(syscall(SYS_futex_waitv, wv, 2, 0, &ts, CLOCK_MONOTONIC));
    wv[1].val++;
    R(syscall(SYS_futex_waitv, wv, 2, 0, &ts, CLOCK_MONOTONIC));
    wv[1].val--;
    pthread_create(&th[0], NULL, kick, NULL);
    R(syscall(SYS_futex_waitv, wv, 2, 0, NULL, 0));
    pthread_join(th[0], NULL);
    R(syscall(SYS_futex_waitv, wv, 0, 0, NULL, 0));
    R(syscall(SYS_futex_waitv, wv, 129, 0, NULL, 0));
    R(syscall(SYS_futex_waitv, wv, 2, 1, NULL, 0));
    wv[0].flags = 0x40;
    R(syscall(SYS_futex_waitv, wv, 2, 0, NULL, 0));
    return 0;
}
