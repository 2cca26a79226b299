cd /tmp; cat >t.c <<'C'
#include <pthread.h>
#include <stdio.h>
#include <semaphore.h>
#include <unistd.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; static pthread_cond_t c = PTHREAD_COND_INITIALIZER; static pthread_barrier_t b; static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER; static sem_t s; static int turn, sum; static __thread int tls; static volatile int spin;
static void *f(void *a) { int id = (int)(long)a; tls = id; pthread_barrier_wait(&b);
 for (int r = 0; r < 20; r++) { pthread_mutex_lock(&m); while (turn % 32 != id) pthread_cond_wait(&c, &m); turn++; pthread_cond_broadcast(&c); pthread_mutex_unlock(&m); }
 for (int i = 0; i < 500; i++) { pthread_rwlock_wrlock(&rw); sum++; pthread_rwlock_unlock(&rw); pthread_rwlock_rdlock(&rw); int x = sum; (void)x; pthread_rwlock_unlock(&rw); }
 sem_wait(&s); sem_post(&s); for (int i = 0; i < 100000; i++) __sync_fetch_and_add(&spin, 1); return (void *)(long)(tls == id); }
int main(void) { pthread_t t[32]; pthread_barrier_init(&b, 0, 32); sem_init(&s, 0, 1); for (long i = 0; i < 32; i++) if (pthread_create(&t[i], 0, f, (void *)i)) return 1; int ok = 0; for (int i = 0; i < 32; i++) { void *r; pthread_join(t[i], &r); ok += (int)(long)r; } printf("%d %d %d %d\n", turn, sum, ok, spin); return 0; }
C
gcc -O1 -pthread -o t t.c && ./t; echo $?; gcc -O1 -static -pthread -o ts t.c && ./ts; echo $?; musl-gcc -O1 -static -o tm t.c && ./tm; echo $?
