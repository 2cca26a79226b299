// read, write and their vectors, partial faults, preadv2 flags, devices, process_vm_*.
#include "check.h"
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/ioctl.h>

static char b[300000];

static void vectors(void) {
    H("vectors");
    int fd = M(open("f", O_RDWR | O_CREAT, 0644));
    struct iovec w[3] = {{"one", 3}, {"", 0}, {"three", 5}};
    char x[4], y[8];
    struct iovec r[2] = {{x, 4}, {y, 8}};
    R(writev(fd, w, 3));
    R(lseek(fd, 0, SEEK_CUR));
    R(preadv(fd, r, 2, 1));
    str("x", x, 4);
    str("y", y, 3);
    R(pwritev(fd, w, 3, 2));
    slurp("f");
    R(lseek(fd, 0, SEEK_SET));
    R(readv(fd, r, 2));
    R(readv(fd, r, 0));
    R(readv(fd, r, -1));
    R(readv(fd, NULL, 1));
    struct iovec many[1025];
    for (int i = 0; i < 1025; i++) many[i] = (struct iovec){x, 0};
    R(readv(fd, many, 1024));
    R(readv(fd, many, 1025));
    struct iovec neg[1] = {{x, -1}};
    R(writev(fd, neg, 1));
    struct iovec sum[2] = {{x, SSIZE_MAX}, {x, SSIZE_MAX}};
    R(writev(fd, sum, 2) < 0 ? -1 : 0);
    struct iovec part[2] = {{"good", 4}, {(void *)8, 4}};
    R(pwritev(fd, part, 2, 0));
    struct iovec first[2] = {{(void *)8, 4}, {"good", 4}};
    R(pwritev(fd, first, 2, 0));
    R(preadv(fd, first, 2, 0));
    struct iovec rpart[2] = {{x, 4}, {(void *)8, 4}};
    R(preadv(fd, rpart, 2, 0));
    R(preadv(fd, r, 2, -5));
    H("flags");
    R(preadv2(fd, r, 2, 0, 0));
    R(preadv2(fd, r, 2, -1, 0)); // -1 means the file's own offset
    R(preadv2(fd, r, 2, 0, RWF_HIPRI));
    R(preadv2(fd, r, 2, 0, 0x4000));
    R(preadv2(fd, r, 2, 0, RWF_APPEND) < 0 ? -1 : 0);
    R(pwritev2(fd, w, 1, 0, RWF_APPEND));
    R(lseek(fd, 0, SEEK_END));
    R(pwritev2(fd, w, 1, 0, RWF_SYNC | RWF_DSYNC));
    int p[2];
    M(pipe(p));
    R(preadv2(p[0], r, 2, -1, RWF_NOWAIT));
    R(preadv2(p[0], r, 2, 0, 0));
    H("partial faults");
    char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    M(munmap(m + 4096, 4096));
    memset(m, 'm', 4096);
    R(pwrite(fd, m + 4090, 10, 0));
    R(pread(fd, m + 4090, 10, 0));
    R(write(p[1], m + 4090, 10));
    R(write(p[1], "0123456789", 10));
    R(read(p[0], m + 4090, 16) >= 0 ? 1 : -1);
    int s[2];
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    R(write(s[0], m + 4090, 10));
    R(write(fd, m + 4096, 0));
    R(write(fd, (void *)8, 0));
    R(write(fd, (void *)-1L, 0));
    R(write(fd, (void *)8, 1));
    R(read(fd, (void *)-4096L, 1));
    R(read(fd, (void *)(1L << 47), 1));
    R(read(99, (void *)8, 1));
    R(write(fd, b, -1));
    R(read(fd, b, -1) >= -1 ? 0 : 1);
    R(read(0, b, 10));
}

static void device(const char *path, int maj, int min) {
    printf("-- %s\n", path);
    struct stat st;
    int fd = open(path, O_RDWR);
    if (fd < 0) { puts(ename(errno)); return; }
    M(fstat(fd, &st));
    printf("device %d rights %o\n", S_ISCHR(st.st_mode) && st.st_rdev == makedev(maj, min), st.st_mode & 0777);
    memset(b, 'x', sizeof b);
    R(read(fd, b, 8));
    B(!memcmp(b, "\0\0\0\0\0\0\0\0", 8));
    B(!memcmp(b, "xxxxxxxx", 8));
    R(read(fd, b, sizeof b));
    R(write(fd, b, 100));
    R(write(fd, (void *)8, 1));
    R(read(fd, (void *)8, 1));
    R(lseek(fd, 10, SEEK_SET));
    R(lseek(fd, 0, SEEK_END));
    R(lseek(fd, 0, SEEK_CUR));
    R(pread(fd, b, 4, 100));
    R(ftruncate(fd, 0));
    R(fsync(fd));
    R(ioctl(fd, TIOCGWINSZ, b));
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    R(poll(&p, 1, 0));
    X(p.revents);
    void *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    printf("private mapping: %s\n", m == MAP_FAILED ? ename(errno) : "ok");
    if (m != MAP_FAILED) { *(char *)m = 1; R(((char *)m)[1]); }
    m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    printf("shared mapping: %s\n", m == MAP_FAILED ? ename(errno) : "ok");
    close(fd);
}

static void vm(void) {
    H("process_vm");
    char *m = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(m, "of the child");
    pid_t p = fork();
    if (!p) { for (;;) pause(); }
    strcpy(m, "of the parent");
    M(munmap(m + 8192, 4096));
    char l[32] = "", l2[32] = "";
    struct iovec lo[2] = {{l, 6}, {l2, 32}}, re[2] = {{m, 12}, {m + 4096, 4}};
    R(process_vm_readv(p, lo, 2, re, 1, 0));
    printf("%s|%s\n", l, l2);
    R(process_vm_writev(p, &(struct iovec){"WRITTEN", 7}, 1, re, 1, 0));
    R(process_vm_readv(p, lo, 2, re, 2, 0));
    printf("%s|%s\n", l, l2);
    re[1].iov_base = m + 12286;
    R(process_vm_readv(p, lo, 2, re, 2, 0)); // up to the fault
    R(process_vm_readv(p, lo, 2, re + 1, 1, 0));
    lo[0].iov_base = (void *)8;
    R(process_vm_readv(p, lo, 2, re, 1, 0));
    lo[0].iov_base = l;
    R(process_vm_readv(999999, lo, 2, re, 1, 0));
    R(process_vm_readv(p, lo, 2, re, 1, 1));
    R(process_vm_readv(p, lo, 2000, re, 1, 0));
    R(process_vm_readv(p, lo, 0, re, 1, 0));
    R(process_vm_readv(getpid(), lo, 1, re, 1, 0));
    printf("%.6s\n", l);
    M(chmod("..", 0755));
    R(CHILD(M(setuid(1000)); R(process_vm_readv(p, lo, 1, re, 1, 0))));
    kill(p, SIGKILL);
    M(waitid(P_PID, p, NULL, WEXITED | WNOWAIT));
    R(process_vm_readv(p, lo, 1, re, 1, 0));
    waitpid(p, NULL, 0);
    H("kcmp");
    int a = M(open("f", O_RDONLY)), c = dup(a), d = M(open("f", O_RDONLY));
    R(syscall(SYS_kcmp, getpid(), getpid(), 0, a, c) == 0 || errno == ENOSYS);
    B(syscall(SYS_kcmp, getpid(), getpid(), 0, a, d) != 0);
}

int main(void) {
    vectors();
    H("devices");
    device("/dev/null", 1, 3);
    device("/dev/zero", 1, 5);
    device("/dev/full", 1, 7);
    device("/dev/urandom", 1, 9);
    vm();
    return 0;
}
