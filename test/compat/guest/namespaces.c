// User, mount, uts, ipc, pid, net namespaces: unshare, clone, setns, /proc/self/ns, id maps.
#include "check.h"
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <linux/nsfs.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <grp.h>
#include <sys/utsname.h>

static char link_[64];
static const char *ns(const char *n) {
    char p[64];
    sprintf(p, "/proc/self/ns/%s", n);
    long r = readlink(p, link_, 63);
    link_[r < 0 ? 0 : r] = 0;
    return link_;
}
static int wr(const char *p, const char *s) {
    int fd = open(p, O_WRONLY);
    if (fd < 0) return -1;
    int r = write(fd, s, strlen(s)), e = errno;
    close(fd);
    errno = e;
    return r;
}
static unsigned long long caps(void) {
    char b[2048];
    int fd = open("/proc/self/status", O_RDONLY);
    b[read(fd, b, 2047)] = 0;
    close(fd);
    return strtoull(strstr(b, "CapEff:") + 7, NULL, 16);
}

static void names(void) {
    static const struct { const char *n; int f; } k[] = {{"mnt", CLONE_NEWNS}, {"uts", CLONE_NEWUTS}, {"ipc", CLONE_NEWIPC}, {"user", CLONE_NEWUSER}, {"net", CLONE_NEWNET}};
    for (int i = 0; i < 5; i++) {
        char was[64], p[64];
        strcpy(was, ns(k[i].n));
        int len = strlen(k[i].n);
        printf("%s: form %d\n", k[i].n, !strncmp(was, k[i].n, len) && was[len] == ':' && was[len + 1] == '[');
        sprintf(p, "/proc/self/ns/%s", k[i].n);
        int fd = M(open(p, O_RDONLY));
        R(ioctl(fd, NS_GET_NSTYPE) == k[i].f);
        CHILD(R(strcmp(ns(k[i].n), was)));
        CHILD({
            R(unshare(k[i].f));
            B(strcmp(ns(k[i].n), was) != 0);
            if (k[i].f != CLONE_NEWUSER) {
                R(setns(fd, k[i].f));
                B(strcmp(ns(k[i].n), was) == 0);
            } else R(setns(fd, 0));
        });
        R(setns(fd, k[(i + 1) % 5].f));
        close(fd);
    }
    R(setns(99, 0));
    R(setns(0, 0));
    R(unshare(0x40000000 | 1));
    R(unshare(0));
    CHILD(M(setuid(1000)); R(unshare(CLONE_NEWUTS)); R(unshare(CLONE_NEWNS)); R(unshare(CLONE_FILES | CLONE_FS)));
    // A thread of many may not change some.
    CHILD({
        pthread_t t;
        pthread_create(&t, NULL, (void *(*)(void *))pause, NULL);
        R(unshare(CLONE_NEWUSER));
        R(unshare(CLONE_VM));
        R(unshare(CLONE_SIGHAND));
        R(unshare(CLONE_THREAD));
        R(unshare(CLONE_NEWUTS));
    });
}

static void users(void) {
    H("user namespace as root");
    CHILD({
        R(unshare(CLONE_NEWUSER));
        printf("%d %d\n", getuid(), getgid());
        B(caps() != 0);
        R(unshare(CLONE_NEWUSER));
        slurp("/proc/self/uid_map");
    });
    int p[2], q[2];
    char c;
    M(pipe(p));
    M(pipe(q));
    H("maps");
    pid_t k = fork();
    if (!k) {
        M(setgid(1000));
        M(setuid(1000));
        R(unshare(CLONE_NEWUSER));
        R(wr("/proc/self/uid_map", "0 1000 1\n")); // not dumpable after setuid: not its own
        M(prctl(PR_SET_DUMPABLE, 1));
        printf("before: %d %d\n", getuid(), getgid());
        slurp("/proc/self/setgroups");
        R(wr("/proc/self/gid_map", "0 1000 1\n"));
        R(wr("/proc/self/setgroups", "deny"));
        R(wr("/proc/self/gid_map", "0 1000 1\n"));
        R(wr("/proc/self/uid_map", "0 1000 2\n"));
        R(wr("/proc/self/uid_map", "junk\n"));
        R(wr("/proc/self/uid_map", "0 1000 1\n"));
        R(wr("/proc/self/uid_map", "0 1000 1\n"));
        slurp("/proc/self/uid_map");
        printf("after: %d %d\n", getuid(), getgid());
        R(setgroups(0, NULL));
        R(setuid(5));
        B(caps() != 0);
        R(unshare(CLONE_NEWUTS | CLONE_NEWNS));
        R(sethostname("inside", 6));
        R(mount("t", "/mnt", "tmpfs", 0, NULL));
        put("/mnt/f", "x");
        struct stat st;
        stat("/mnt/f", &st);
        printf("file: %d %d\n", st.st_uid, st.st_gid);
        stat("/proc/1", &st);
        printf("init: %d\n", st.st_uid);
        R(chown("/mnt/f", 7, 7));
        R(mknod("/mnt/d", S_IFCHR | 0666, 0x103));
        R(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x89abcdef, NULL));
        _exit(0);
    }
    waitpid(k, NULL, 0);
    H("map written by the parent");
    k = fork();
    if (!k) {
        M(unshare(CLONE_NEWUSER));
        write(p[1], "x", 1);
        M(read(q[0], &c, 1));
        printf("%d %d\n", getuid(), getgid());
        slurp("/proc/self/uid_map");
        R(setgroups(0, NULL));
        R(setresuid(1, 1, 1));
        R(setuid(20));
        printf("%d\n", getuid());
        _exit(0);
    }
    M(read(p[0], &c, 1));
    char path[64];
    sprintf(path, "/proc/%d/uid_map", k);
    R(wr(path, "0 0 10\n10 5000 5\n"));
    sprintf(path, "/proc/%d/gid_map", k);
    R(wr(path, "0 0 10\n0 5000 5\n")); // overlap
    R(wr(path, "0 0 10\n"));
    sprintf(path, "/proc/%d/setgroups", k);
    R(wr(path, "deny")); // too late
    M(write(q[1], "x", 1));
    waitpid(k, NULL, 0);
}

static int child(void *a) {
    printf("pid %d ppid %d sid %d\n", getpid(), getppid(), getsid(0));
    pid_t orphan = fork();
    if (!orphan) {
        pid_t mid = getpid();
        if (!fork()) { UNTIL(getppid() != mid); printf("orphan's parent %d\n", getppid()); _exit(9); }
        _exit(0);
    }
    int st;
    M(waitpid(orphan, &st, 0));
    R(waitpid(-1, &st, 0));
    ST("reaped", st);
    R(kill(1, SIGTERM)); // init is not ended by what it does not handle
    R(kill(1, SIGKILL));
    R(kill(-1, SIGTERM));
    if (!fork()) { for (;;) pause(); }
    return 5;
}
static char stk[65536];

static void pids(void) {
    H("pid namespace");
    int st;
    pid_t k = M(clone(child, stk + sizeof stk, CLONE_NEWPID | SIGCHLD, NULL));
    R(waitpid(k, &st, 0) == k);
    B(k != 1);
    ST("init", st);
    CHILD({
        char was[64];
        strcpy(was, ns("pid"));
        R(unshare(CLONE_NEWPID));
        B(!strcmp(was, ns("pid"))); // only children move
        B(strcmp(was, ns("pid_for_children")) != 0 || 1);
        pid_t a = fork();
        if (!a) { printf("first child %d\n", getpid()); _exit(0); }
        waitpid(a, NULL, 0);
        R(fork()); // its init is dead
        int fd = M(open("/proc/self/ns/pid", O_RDONLY));
        R(setns(fd, CLONE_NEWPID));
        R(CHILD(B(getpid() != 1)));
    });
    ST("init killed by its parent", CHILD({
        M(unshare(CLONE_NEWPID));
        int p[2];
        char c;
        M(pipe(p));
        sigset_t rt;
        sigemptyset(&rt);
        sigaddset(&rt, SIGRTMIN);
        sigprocmask(SIG_BLOCK, &rt, NULL);
        pid_t a = fork();
        if (!a) { sigwaitinfo(&rt, NULL); M(write(p[1], "x", 1)); for (;;) pause(); }
        kill(a, SIGTERM);
        kill(a, SIGRTMIN);
        M(close(p[1]));
        R(read(p[0], &c, 1)); // it lives on
        R(waitpid(a, &st, WNOHANG));
        kill(a, SIGKILL);
        waitpid(a, &st, 0);
        ST("st", st);
    }));
    CHILD({
        M(unshare(CLONE_NEWPID | CLONE_NEWNS));
        pid_t a = fork();
        if (!a) {
            R(mount("proc", "/proc", "proc", 0, NULL));
            char b[64];
            b[readlink("/proc/self", b, 63)] = 0;
            puts(b);
            R(access("/proc/1/status", F_OK));
            R(access("/proc/2", F_OK));
            _exit(0);
        }
        waitpid(a, NULL, 0);
    });
}

int main(void) {
    M(chmod("..", 0755));
    M(chmod(".", 0755));
    names();
    users();
    pids();
    H("ipc");
    int id = M(shmget(IPC_PRIVATE, 4096, 0600 | IPC_CREAT));
    CHILD(M(unshare(CLONE_NEWIPC)); R(shmat(id, NULL, 0) == (void *)-1 ? -1 : 0));
    M(shmctl(id, IPC_RMID, NULL));
    return 0;
}
