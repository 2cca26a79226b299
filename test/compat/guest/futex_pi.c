// Priority-inheriting futexes, robust lists, pthread mutexes of every kind, clear_child_tid.
#include "check.h"
#include <linux/futex.h>
#include <stddef.h>
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static uint32_t w;
static long fx(int op, uint32_t v, void *t) { return syscall(SYS_futex, &w, op | FUTEX_PRIVATE_FLAG, v, t, NULL, 0); }
static pthread_mutex_t *mu;
static volatile int step;

static void *hold_and_die(void *a) { pthread_mutex_lock(mu); return NULL; }
static void *lock_pi(void *a) { long r = fx(FUTEX_LOCK_PI, 0, NULL); int e = errno; B((w & FUTEX_TID_MASK) == (uint32_t)gettid()); fx(FUTEX_UNLOCK_PI, 0, NULL); return (void *)(r ? (long)e : 0); }
static void *hold_pi(void *a) { fx(FUTEX_LOCK_PI, 0, NULL); step = 1; while (step != 2) ms(1); fx(FUTEX_UNLOCK_PI, 0, NULL); return NULL; }

static void mutex(const char *what, int type, int robust, int proto, int shared) {
    printf("-- %s\n", what);
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, type);
    pthread_mutexattr_setrobust(&a, robust);
    pthread_mutexattr_setpshared(&a, shared);
    E(pthread_mutexattr_setprotocol(&a, proto));
    E(pthread_mutex_init(mu, &a));
    E(pthread_mutex_lock(mu));
    E(pthread_mutex_trylock(mu));
    if (type != PTHREAD_MUTEX_NORMAL) E(pthread_mutex_lock(mu));
    if (type == PTHREAD_MUTEX_RECURSIVE) { E(pthread_mutex_unlock(mu)); E(pthread_mutex_unlock(mu)); }
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    E(pthread_mutex_unlock(mu));
    if (type == PTHREAD_MUTEX_ERRORCHECK) E(pthread_mutex_unlock(mu));
    pthread_t t;
    if (robust == PTHREAD_MUTEX_ROBUST) {
        pthread_create(&t, NULL, hold_and_die, 0);
        pthread_join(t, NULL);
        E(pthread_mutex_lock(mu));
        E(pthread_mutex_consistent(mu));
        E(pthread_mutex_unlock(mu));
        E(pthread_mutex_lock(mu));
        E(pthread_mutex_unlock(mu));
        if (shared) {
            CHILD(pthread_mutex_lock(mu));
            E(pthread_mutex_lock(mu));
            E(pthread_mutex_unlock(mu)); // without making it consistent
            E(pthread_mutex_lock(mu));
        }
    } else if (proto == PTHREAD_PRIO_NONE && type == PTHREAD_MUTEX_NORMAL) {
        pthread_create(&t, NULL, hold_and_die, 0);
        pthread_join(t, NULL);
        E(pthread_mutex_timedlock(mu, &ts));
    }
}

int main(void) {
    pthread_t t;
    void *r;
    mu = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    H("pi");
    R(fx(FUTEX_UNLOCK_PI, 0, NULL));
    R(fx(FUTEX_LOCK_PI, 0, NULL));
    B(w == (uint32_t)gettid());
    R(fx(FUTEX_LOCK_PI, 0, NULL));
    R(fx(FUTEX_TRYLOCK_PI, 0, NULL));
    R(fx(FUTEX_UNLOCK_PI, 0, NULL));
    R(w);
    w = 999999;
    R(fx(FUTEX_LOCK_PI, 0, NULL));
    R(fx(FUTEX_TRYLOCK_PI, 0, NULL));
    R(fx(FUTEX_UNLOCK_PI, 0, NULL));
    w = 0;
    M(fx(FUTEX_LOCK_PI, 0, NULL));
    pthread_create(&t, NULL, lock_pi, 0);
    while (!(w & FUTEX_WAITERS)) ms(1);
    B((w & FUTEX_TID_MASK) == (uint32_t)gettid());
    M(fx(FUTEX_UNLOCK_PI, 0, NULL));
    pthread_join(t, &r);
    R((long)r);
    R(w & FUTEX_TID_MASK);
    w = 0;
    pthread_create(&t, NULL, hold_pi, 0);
    while (!step) ms(1);
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    R(fx(FUTEX_LOCK_PI, 0, &ts));
    R(fx(FUTEX_TRYLOCK_PI, 0, NULL));
    clock_gettime(CLOCK_MONOTONIC, &ts);
    R(fx(FUTEX_LOCK_PI2, 0, &ts));
    step = 2;
    R(fx(FUTEX_LOCK_PI, 0, NULL));
    pthread_join(t, NULL);
    w = FUTEX_OWNER_DIED;
    R(fx(FUTEX_LOCK_PI, 0, NULL));
    X(w & FUTEX_OWNER_DIED);
    H("mutexes");
    mutex("normal", PTHREAD_MUTEX_NORMAL, 0, 0, 0);
    mutex("error check", PTHREAD_MUTEX_ERRORCHECK, 0, 0, 0);
    mutex("recursive", PTHREAD_MUTEX_RECURSIVE, 0, 0, 0);
    mutex("pi", PTHREAD_MUTEX_NORMAL, 0, PTHREAD_PRIO_INHERIT, 0);
    mutex("pi recursive", PTHREAD_MUTEX_RECURSIVE, 0, PTHREAD_PRIO_INHERIT, 0);
    mutex("robust", PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, 0, 0);
    mutex("robust shared", PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, 0, 1);
    mutex("robust pi", PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_INHERIT, 0);
    mutex("robust pi shared", PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_INHERIT, 1);
    H("robust list");
    struct robust_list_head head = {.list.next = (void *)&head.list}, *got;
    size_t len;
    R(syscall(SYS_get_robust_list, 0, &got, &len));
    B(got && len == sizeof head);
    R(syscall(SYS_set_robust_list, &head, 12));
    R(syscall(SYS_get_robust_list, 999999, &got, &len));
    R(syscall(SYS_get_robust_list, 0, NULL, &len));
    struct node { struct robust_list l; uint32_t word; } *n = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    long offset = offsetof(struct node, word);
    struct robust_list_head *h = (void *)((char *)n + 1024);
    ST("dies with locks held", CHILD({
        *h = (struct robust_list_head){{&n[0].l}, offset, NULL};
        n[0].l.next = &n[1].l;
        n[1].l.next = &n[2].l;
        n[2].l.next = &h->list;
        n[0].word = gettid();
        n[1].word = gettid() | FUTEX_WAITERS;
        n[2].word = 12345; // of another
        n[3].word = gettid();
        h->list_op_pending = &n[3].l;
        syscall(SYS_set_robust_list, h, sizeof *h);
        kill(getpid(), SIGKILL);
    }));
    for (int i = 0; i < 4; i++) printf("word %d: %x\n", i, n[i].word & ~FUTEX_TID_MASK);
    R(n[2].word);
    ST("a list that is a circle", CHILD({
        *h = (struct robust_list_head){{&n[0].l}, offset, NULL};
        n[0].l.next = &n[1].l;
        n[1].l.next = &n[0].l;
        syscall(SYS_set_robust_list, h, sizeof *h);
        _exit(3);
    }));
    ST("a list that is nowhere", CHILD({
        *h = (struct robust_list_head){{(void *)8}, offset, (void *)0x1000};
        syscall(SYS_set_robust_list, h, sizeof *h);
        _exit(4);
    }));
    H("set_tid_address");
    static int *tid;
    tid = (int *)n + 500;
    *tid = 77;
    CHILD(B(syscall(SYS_set_tid_address, tid) == gettid()));
    R(*tid); // only cleared when the memory has other users
    return 0;
}
