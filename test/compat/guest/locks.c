// POSIX, open-file-description and flock locks, leases.
#include "check.h"
#include <sys/file.h>

static int lk(int fd, int cmd, int type, long start, long len) {
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(fd, cmd, &fl);
}

static void get(int fd, int cmd, int type, long start, long len) {
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    if (fcntl(fd, cmd, &fl)) { printf("get: %s\n", ename(errno)); return; }
    printf("get %ld+%ld: type %d start %ld len %ld whence %d pid %s\n", start, len, fl.l_type, (long)fl.l_start, (long)fl.l_len,
        fl.l_whence, fl.l_type == F_UNLCK ? "-" : fl.l_pid == getppid() ? "parent" : fl.l_pid == -1 ? "-1" : "other");
}

static void nop(int s) {}

int main(void) {
    put("f", "0123456789");
    int fd = M(open("f", O_RDWR));
    H("posix");
    R(lk(fd, F_SETLK, F_WRLCK, 0, 10));
    R(lk(fd, F_SETLK, F_RDLCK, 4, 2));
    R(lk(fd, F_SETLK, F_UNLCK, 8, 1));
    CHILD({
        int c = M(open("f", O_RDWR));
        get(c, F_GETLK, F_WRLCK, 0, 0);
        get(c, F_GETLK, F_WRLCK, 4, 1);
        get(c, F_GETLK, F_RDLCK, 4, 2);
        get(c, F_GETLK, F_WRLCK, 8, 1);
        get(c, F_GETLK, F_WRLCK, 8, 0);
        get(c, F_GETLK, F_WRLCK, 10, 0);
        R(lk(c, F_SETLK, F_WRLCK, 4, 1));
        R(lk(c, F_SETLK, F_RDLCK, 4, 1));
        R(lk(c, F_SETLK, F_WRLCK, 100, 0));
        get(fd, F_GETLK, F_WRLCK, 0, 1); // locks are of processes, not descriptors
    });
    R(lk(fd, F_SETLK, 77, 0, 1));
    R(lk(fd, F_SETLK, F_RDLCK, -1, 1));
    R(lk(fd, F_SETLK, F_RDLCK, 5, -3));
    R(lk(fd, F_SETLK, F_RDLCK, 5, -6));
    R(lk(99, F_SETLK, F_RDLCK, 0, 1));
    int ro = M(open("f", O_RDONLY)), wo = M(open("f", O_WRONLY));
    R(lk(ro, F_SETLK, F_WRLCK, 20, 1));
    R(lk(wo, F_SETLK, F_RDLCK, 20, 1));
    R(lk(ro, F_SETLK, F_RDLCK, 20, 1));
    R(fcntl(fd, F_GETLK, NULL));
    close(wo); // closing any descriptor of the file drops them all
    CHILD(get(M(open("f", O_RDWR)), F_GETLK, F_WRLCK, 0, 0));
    H("blocking");
    M(lk(fd, F_SETLK, F_WRLCK, 0, 1));
    int p[2];
    M(pipe(p));
    pid_t pid = fork();
    if (!pid) {
        write(p[1], "1", 1);
        R(lk(fd, F_SETLKW, F_WRLCK, 0, 1));
        _exit(0);
    }
    char b[2];
    M(read(p[0], b, 1));
    asleep(pid);
    puts("unlock");
    M(lk(fd, F_SETLK, F_UNLCK, 0, 1));
    waitpid(pid, NULL, 0);
    M(lk(fd, F_SETLK, F_WRLCK, 0, 1));
    CHILD({
        struct sigaction sa = {.sa_handler = nop};
        sigaction(SIGALRM, &sa, NULL);
        R(POKED(SIGALRM, lk(fd, F_SETLKW, F_WRLCK, 0, 1)));
    });
    H("deadlock");
    int q[2];
    M(pipe(q));
    pid = fork();
    if (!pid) {
        M(lk(fd, F_SETLK, F_WRLCK, 1, 1));
        M(write(q[1], "1", 1));
        M(lk(fd, F_SETLKW, F_WRLCK, 0, 1)); // waits for the parent's
        _exit(0);
    }
    M(read(q[0], b, 1));
    asleep(pid);
    R(lk(fd, F_SETLKW, F_WRLCK, 1, 1));
    M(lk(fd, F_SETLK, F_UNLCK, 0, 1));
    waitpid(pid, NULL, 0);
    H("ofd");
    int o1 = M(open("f", O_RDWR)), o2 = M(open("f", O_RDWR));
    R(lk(o1, F_OFD_SETLK, F_WRLCK, 0, 5));
    R(lk(o2, F_OFD_SETLK, F_WRLCK, 0, 1));
    R(lk(o2, F_OFD_SETLK, F_RDLCK, 5, 1));
    get(o2, F_OFD_GETLK, F_WRLCK, 0, 0);
    R(lk(fd, F_SETLK, F_WRLCK, 0, 1));
    get(fd, F_GETLK, F_WRLCK, 0, 1);
    int o3 = dup(o1);
    close(o1);
    R(lk(o2, F_OFD_SETLK, F_WRLCK, 0, 1));
    close(o3);
    R(lk(o2, F_OFD_SETLK, F_WRLCK, 0, 1));
    struct flock fl = {.l_type = F_WRLCK, .l_pid = 1};
    R(fcntl(o2, F_OFD_SETLK, &fl));
    CHILD(R(lk(o2, F_OFD_SETLK, F_WRLCK, 0, 1)); R(lk(fd, F_OFD_SETLK, F_WRLCK, 0, 1)));
    close(o2);
    H("flock");
    int a = M(open("f", O_RDONLY)), c = M(open("f", O_RDONLY));
    R(flock(a, LOCK_SH));
    R(flock(c, LOCK_SH | LOCK_NB));
    R(flock(c, LOCK_EX | LOCK_NB));
    R(flock(a, LOCK_UN));
    R(flock(c, LOCK_EX | LOCK_NB));
    R(flock(a, LOCK_SH | LOCK_NB));
    R(flock(dup(c), LOCK_SH | LOCK_NB));
    R(flock(a, LOCK_SH | LOCK_NB));
    R(flock(a, 77));
    R(flock(99, LOCK_SH));
    R(lk(fd, F_SETLK, F_WRLCK, 0, 0)); // they do not see each other
    CHILD(R(flock(c, LOCK_UN)));
    R(flock(a, LOCK_EX | LOCK_NB));
    int op = M(open("f", O_PATH));
    R(flock(op, LOCK_SH));
    R(lk(op, F_SETLK, F_RDLCK, 0, 1));
    M(pipe(p));
    R(flock(p[0], LOCK_EX));
    R(lk(p[0], F_SETLK, F_RDLCK, 0, 1));
    H("owner");
    R(fcntl(p[0], F_GETOWN));
    R(fcntl(p[0], F_SETOWN, getpid()));
    B(fcntl(p[0], F_GETOWN) == getpid());
    R(fcntl(p[0], F_SETOWN, 999999));
    R(fcntl(p[0], F_GETSIG));
    R(fcntl(p[0], F_SETSIG, SIGRTMIN));
    R(fcntl(p[0], F_GETSIG) == SIGRTMIN);
    R(fcntl(p[0], F_SETSIG, 999));
    return 0;
}
