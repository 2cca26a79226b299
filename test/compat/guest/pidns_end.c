// The end of a pid namespace whose init has several threads: the last thread of init waits
// for the others and for the children, and must notice when they are gone.
#include "check.h"
#include <pthread.h>

static void *last_thread(void *arg) {
    UNTIL(state_at("/proc/self/stat") == 'Z');
    for (int i = 0; i < 3; i++)
        if (fork() == 0) pause();
    usleep(20000);
    if (arg) syscall(SYS_exit_group, 5);
    syscall(SYS_exit, 6);
    return NULL;
}

static int init_main(void *arg) {
    pthread_t t;
    for (int i = 0; i < 3; i++)
        if (fork() == 0) pause();
    pthread_create(&t, NULL, last_thread, arg);
    syscall(SYS_exit, 7); // the leader goes first and stays a zombie
    return 0;
}

// A child with no exit signal, and one that init traces, are reaped like the others.
static int odd_children(void *arg) {
    static char stack[2][65536] __attribute__((aligned(16)));
    long kind = (long)arg;
    if (kind < 2) clone((int (*)(void *))pause, stack[0] + sizeof stack[0], kind == 0 ? 0 : SIGUSR1, NULL);
    if (kind == 2 && fork() == 0) {
        syscall(SYS_ptrace, 0, 0, 0, 0);
        _exit(1);
    }
    if (kind == 3 && fork() == 0) {
        syscall(SYS_ptrace, 0, 0, 0, 0);
        raise(SIGSTOP);
    }
    siginfo_t si;
    if (kind == 2) waitid(P_ALL, 0, &si, WEXITED | WNOWAIT);
    if (kind == 3) waitid(P_ALL, 0, &si, WSTOPPED | WNOWAIT);
    usleep(20000);
    return 8;
}

int main(void) {
    static char stack[65536] __attribute__((aligned(16)));
    for (long i = 0; i < 6; i++) {
        int st = 0;
        pid_t p = clone(init_main, stack + sizeof stack, CLONE_NEWPID | SIGCHLD, (void *)(i % 2));
        B(p > 0);
        B(waitpid(p, &st, 0) == p);
        printf("status %#x\n", st);
    }
    for (long i = 0; i < 4; i++) {
        int st = 0;
        pid_t p = clone(odd_children, stack + sizeof stack, CLONE_NEWPID | SIGCHLD, (void *)i);
        B(waitpid(p, &st, 0) == p);
        printf("status %#x\n", st);
    }
    return 0;
}
