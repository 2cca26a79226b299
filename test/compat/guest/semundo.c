// SEM_UNDO: exit, kill, exec, threads, CLONE_SYSVSEM, unshare, SETVAL, removal.
#include "check.h"
#include <sys/sem.h>

static int id;
static int op(int n, int v, int f) { struct sembuf b = {n, v, f}; return semop(id, &b, 1); }
static int val(void) { return semctl(id, 0, GETVAL); }
static void set(int v) { M(semctl(id, 0, SETVAL, v)); }

static int share(void *unused) {
    (void)unused;
    op(0, -1, SEM_UNDO);
    return 0;
}

static void *thread(void *unused) {
    (void)unused;
    op(0, -2, SEM_UNDO);
    return NULL;
}

static char stack[1 << 16] __attribute__((aligned(16)));

int main(int argc, char **argv) {
    if (argc > 1) { // execed
        id = atoi(argv[1]);
        R(val());
        return 0;
    }
    id = M(semget(IPC_PRIVATE, 2, 0600));
    H("exit and kill");
    set(5);
    R(CHILD(op(0, -3, SEM_UNDO); R(val())));
    R(val());
    R(CHILD(op(0, 3, SEM_UNDO); op(0, -1, 0); R(val())));
    R(val());
    R(CHILD(op(0, -3, SEM_UNDO); kill(getpid(), SIGKILL)) == SIGKILL);
    R(val());
    H("not below zero");
    set(1);
    R(CHILD(op(0, 3, SEM_UNDO); op(0, -4, 0); R(val())));
    R(val());
    H("a waiter goes on");
    set(1);
    int took[2];
    M(pipe(took));
    pid_t k = fork();
    if (!k) { op(0, -1, SEM_UNDO); M(write(took[1], "x", 1)); asleep(getppid()); _exit(0); }
    char c;
    M(read(took[0], &c, 1));
    R(op(0, -1, 0));
    waitpid(k, NULL, 0);
    R(val());
    H("exec keeps it");
    set(4);
    R(CHILD(op(0, -1, SEM_UNDO); char n[16]; sprintf(n, "%d", id); fflush(stdout); execl("/proc/self/exe", "x", n, NULL)));
    R(val());
    H("threads share it");
    set(5);
    R(CHILD(pthread_t t; pthread_create(&t, NULL, thread, NULL); pthread_join(t, NULL); R(val())));
    R(val());
    H("CLONE_SYSVSEM");
    set(5);
    R(CHILD(op(0, -1, SEM_UNDO); pid_t c = clone(share, stack + sizeof stack, CLONE_SYSVSEM | SIGCHLD, NULL); waitpid(c, NULL, 0); R(val())));
    R(val());
    R(CHILD(op(0, -1, SEM_UNDO); pid_t c = clone(share, stack + sizeof stack, SIGCHLD, NULL); waitpid(c, NULL, 0); R(val())));
    R(val());
    H("unshare");
    R(CHILD(op(0, -1, SEM_UNDO); R(unshare(CLONE_SYSVSEM)); R(val())));
    R(CHILD(op(0, -1, SEM_UNDO); int other = id; R(unshare(CLONE_NEWIPC)); B(semctl(other, 0, GETVAL) == -1)));
    R(val());
    H("SETVAL forgets");
    R(CHILD(op(0, -1, SEM_UNDO); set(9)));
    R(val());
    H("range");
    set(0);
    R(CHILD(R(op(0, 32767, SEM_UNDO)); R(op(0, -32767, 0)); R(op(0, 2, SEM_UNDO)); R(val())));
    R(val());
    H("removal");
    R(CHILD(op(0, 1, SEM_UNDO); M(semctl(id, 0, IPC_RMID))));
    R(val());
    return 0;
}
