// Hostile arguments: each call of a list gets NULL, wild, kernel, unaligned and huge
// arguments. What is printed is the error of each; nothing may end the process or hang.
#include "check.h"
#include <sys/resource.h>
#include <sys/socket.h>

static long bad[8];
static int nbad;

// call tries one argument position with every bad value, the others as given.
static void call(const char *name, long nr, int pos, long a0, long a1, long a2, long a3, long a4) {
    printf("%s[%d]:", name, pos);
    for (int i = 0; i < nbad; i++) {
        long a[6] = {a0, a1, a2, a3, a4, 0};
        a[pos] = bad[i];
        errno = 0;
        long r = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        printf(" %s", r < 0 ? ename(errno) : "ok");
        if (r > 2 && (nr == SYS_open || nr == SYS_openat || nr == SYS_socket)) close(r);
    }
    putchar('\n');
}
#define C(n, pos, ...) call(#n, SYS_##n, pos, __VA_ARGS__)
#define Z 0L

int main(void) {
    // NULL, low, unmapped middle, unmapped and unaligned, behind the user half, not canonical, kernel, all ones.
    // (0x7ffffffff000 itself is refused at once by some versions of Linux and not by others.)
    static const long v[] = {0, 8, 0x500000000000, 0x500000000003, 0x800000000000, 1L << 56, (long)0xffff800000000000, -1L};
    for (nbad = 0; nbad < 8; nbad++) bad[nbad] = v[nbad];
    static char buf[4096];
    struct rlimit nofile = {1024, 1024}; // what poll compares its count with
    M(setrlimit(RLIMIT_NOFILE, &nofile));
    long B_ = (long)buf, P, fd;
    put("f", "some data in a file");
    fd = M(open("f", O_RDWR));
    int p[2], s[2];
    M(pipe2(p, O_NONBLOCK));
    M(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
    M(write(p[1], "0123456789", 10));
    M(write(s[1], "0123456789", 10));
    P = (long)"f";
    H("names");
    C(open, 0, 0, O_RDONLY, 0, 0, 0);
    C(openat, 1, AT_FDCWD, 0, O_RDONLY, 0, 0);
    C(stat, 0, 0, B_, 0, 0, 0);
    C(lstat, 0, 0, B_, 0, 0, 0);
    C(newfstatat, 1, AT_FDCWD, 0, B_, 1, 0); // a flag that is not one
    C(statx, 1, AT_FDCWD, 0, 0, 0xfff, B_);
    C(access, 0, 0, 0, 0, 0, 0);
    C(mkdir, 0, 0, 0755, 0, 0, 0);
    C(rmdir, 0, 0, 0, 0, 0, 0);
    C(unlink, 0, 0, 0, 0, 0, 0);
    C(rename, 0, 0, P, 0, 0, 0);
    C(rename, 1, P, 0, 0, 0, 0);
    C(link, 0, 0, P, 0, 0, 0);
    C(symlink, 0, 0, P, 0, 0, 0);
    C(readlink, 0, 0, B_, 10, 0, 0);
    C(chmod, 0, 0, 0644, 0, 0, 0);
    C(chown, 0, 0, 0, 0, 0, 0);
    C(truncate, 0, 0, 5, 0, 0, 0);
    C(utimensat, 2, AT_FDCWD, P, 0, 0, 0);
    C(chdir, 0, 0, 0, 0, 0, 0);
    C(chroot, 0, 0, 0, 0, 0, 0);
    C(mknod, 0, 0, S_IFREG | 0644, 0, 0, 0);
    C(statfs, 0, 0, B_, 0, 0, 0);
    C(execve, 0, 0, 0, 0, 0, 0);
    C(setxattr, 0, 0, (long)"user.x", B_, 1, 0);
    C(setxattr, 1, P, 0, B_, 1, 0);
    C(setxattr, 2, P, (long)"user.x", 0, 1, 0);
    C(getxattr, 2, P, (long)"user.x", 0, 1, 0);
    C(memfd_create, 0, 0, 0, 0, 0, 0);
    C(umount2, 0, 0, 0, 0, 0, 0);
    H("results");
    C(read, 1, p[0], 0, 1, 0, 0);
    C(write, 1, fd, 0, 1, 0, 0);
    C(write, 1, p[1], 0, 1, 0, 0);
    C(pread64, 1, fd, 0, 1, 0, 0);
    C(readv, 1, fd, 0, 1, 0, 0);
    C(writev, 1, fd, 0, 1, 0, 0);
    C(fstat, 1, fd, 0, 0, 0, 0);
    C(getdents64, 1, M(open(".", O_RDONLY)), 0, 100, 0, 0);
    C(getcwd, 0, 0, 100, 0, 0, 0);
    C(pipe, 0, 0, 0, 0, 0, 0);
    C(socketpair, 3, AF_UNIX, SOCK_STREAM, 0, 0, 0);
    C(poll, 0, 0, 1, 0, 0, 0);
    C(select, 1, 5, 0, 0, 0, B_);
    C(epoll_ctl, 3, M(syscall(SYS_epoll_create1, 0)), 1, p[0], 0, 0);
    C(epoll_wait, 1, M(syscall(SYS_epoll_create1, 0)), 0, 1, 0, 0);
    C(uname, 0, 0, 0, 0, 0, 0);
    C(sysinfo, 0, 0, 0, 0, 0, 0);
    C(getrlimit, 1, 7, 0, 0, 0, 0);
    C(setrlimit, 1, 7, 0, 0, 0, 0);
    C(getrusage, 1, 0, 0, 0, 0, 0);
    C(times, 0, 0, 0, 0, 0, 0);
    C(clock_gettime, 1, 1, 0, 0, 0, 0);
    C(clock_getres, 1, 1, 0, 0, 0, 0);
    C(gettimeofday, 0, 0, 0, 0, 0, 0);
    C(time, 0, 0, 0, 0, 0, 0);
    C(nanosleep, 0, 0, 0, 0, 0, 0);
    C(clock_nanosleep, 2, 1, 0, 0, 0, 0);
    C(getitimer, 1, 0, 0, 0, 0, 0);
    C(setitimer, 1, 0, 0, 0, 0, 0);
    C(timer_create, 2, 1, 0, 0, 0, 0);
    C(getrandom, 0, 0, 8, 0, 0, 0);
    C(getresuid, 1, B_, 0, B_, 0, 0);
    C(getgroups, 1, 10, 0, 0, 0, 0);
    C(setgroups, 1, 2, 0, 0, 0, 0);
    C(capget, 0, 0, B_, 0, 0, 0);
    C(sched_getaffinity, 2, 0, 128, 0, 0, 0);
    C(sched_setaffinity, 2, 0, 8, 0, 0, 0);
    C(sched_getparam, 1, 0, 0, 0, 0, 0);
    C(sched_setparam, 1, 0, 0, 0, 0, 0);
    C(getcpu, 0, 0, 0, 0, 0, 0);
    C(arch_prctl, 1, 0x1003, 0, 0, 0, 0);
    C(prctl, 1, 15, 0, 0, 0, 0);
    C(prctl, 1, 16, 0, 0, 0, 0);
    H("signals");
    C(rt_sigaction, 1, SIGUSR1, 0, 0, 8, 0);
    C(rt_sigaction, 2, SIGUSR1, 0, 0, 8, 0);
    C(rt_sigprocmask, 1, 0, 0, 0, 8, 0);
    C(rt_sigprocmask, 2, 0, 0, 0, 8, 0);
    C(rt_sigpending, 0, 0, 8, 0, 0, 0);
    C(rt_sigtimedwait, 0, 0, 0, (long)&(struct timespec){0, 0}, 8, 0);
    C(rt_sigqueueinfo, 2, getpid(), 0, 0, 0, 0);
    C(sigaltstack, 1, 0, 0, 0, 0, 0);
    C(signalfd4, 1, -1, 0, 8, 0, 0);
    C(wait4, 1, -1, 0, 1, 0, 0);
    C(waitid, 2, 0, 0, 0, 5, 0);
    H("sockets");
    C(connect, 1, s[0], 0, 10, 0, 0);
    C(bind, 1, s[0], 0, 10, 0, 0);
    C(getsockname, 1, s[0], 0, B_, 0, 0);
    C(getsockname, 2, s[0], B_, 0, 0, 0);
    C(getsockopt, 3, s[0], SOL_SOCKET, SO_TYPE, 0, B_ + 512);
    C(setsockopt, 3, s[0], SOL_SOCKET, SO_SNDBUF, 0, 4);
    C(sendto, 1, s[0], 0, 5, MSG_NOSIGNAL, 0);
    C(recvfrom, 1, s[0], 0, 5, 0, 0);
    C(sendmsg, 1, s[0], 0, MSG_NOSIGNAL, 0, 0);
    C(recvmsg, 1, s[0], 0, 0, 0, 0);
    C(accept, 1, s[0], 0, 0, 0, 0);
    H("memory");
    C(munmap, 1, B_, 0, 0, 0, 0);
    C(mincore, 2, B_ & ~4095L, 4096, 0, 0, 0);
    C(mremap, 0, 0, 4096, 8192, 1, 0);
    C(msync, 0, 0, 4096, 4, 0, 0);
    C(madvise, 0, 0, 4096, 4, 0, 0);
    C(mlock, 0, 0, 4096, 0, 0, 0);
    C(futex, 0, 0, 129, 1, 0, 0);
    C(futex, 0, 0, 0, 1, 0, 0);
    C(get_robust_list, 1, 0, 0, B_, 0, 0);
    C(set_robust_list, 0, 0, 24, 0, 0, 0);
    C(process_vm_readv, 1, getpid(), 0, 1, B_, 1);
    H("descriptors: not open, negative, huge");
    static const long fds[] = {-1, -100, 99, 1 << 20, INT_MAX, INT_MIN, (1L << 40) + 98, (1L << 32) + 97}; // none may name an open one
    for (nbad = 0; nbad < 8; nbad++) bad[nbad] = fds[nbad];
    C(read, 0, 0, B_, 1, 0, 0);
    C(write, 0, 0, B_, 1, 0, 0);
    C(pread64, 0, 0, B_, 1, 0, 0);
    C(lseek, 0, 0, 0, 0, 0, 0);
    C(fstat, 0, 0, B_, 0, 0, 0);
    C(ftruncate, 0, 0, 0, 0, 0, 0);
    C(fsync, 0, 0, 0, 0, 0, 0);
    C(fchmod, 0, 0, 0, 0, 0, 0);
    C(fchdir, 0, 0, 0, 0, 0, 0);
    C(dup, 0, 0, 0, 0, 0, 0);
    C(fcntl, 0, 0, F_GETFL, 0, 0, 0);
    C(ioctl, 0, 0, 0x5401, B_, 0, 0);
    C(flock, 0, 0, 1, 0, 0, 0);
    C(getdents64, 0, 0, B_, 100, 0, 0);
    C(accept, 0, 0, 0, 0, 0, 0);
    C(epoll_ctl, 2, M(syscall(SYS_epoll_create1, 0)), 1, 0, B_, 0);
    C(inotify_rm_watch, 1, M(syscall(SYS_inotify_init)), 0, 0, 0, 0);
    C(tee, 1, p[0], 0, 5, 0, 0);
    C(sendfile, 1, p[1], 0, 0, 5, 0);
    C(fallocate, 0, 0, 0, 0, 10, 0);
    C(mmap, 4, 0, 4096, 1, 2, 0);
    H("lengths");
    static const long lens[] = {0, 1, 4095, 1L << 31, 1L << 40, LONG_MAX, LONG_MIN, -1L};
    for (nbad = 0; nbad < 8; nbad++) bad[nbad] = lens[nbad];
    C(pread64, 2, fd, B_, 0, 0, 0);
    C(pread64, 3, fd, B_, 1, 0, 0);
    C(ftruncate, 1, fd, 0, 0, 0, 0);
    C(lseek, 1, fd, 0, 0, 0, 0);
    C(munmap, 1, 0x500000000000, 0, 0, 0, 0);
    C(mprotect, 1, 0x500000000000, 0, 1, 0, 0);
    C(madvise, 1, 0x500000000000, 0, 4, 0, 0);
    C(mremap, 1, 0x500000000000, 0, 4096, 0, 0);
    C(readlink, 2, P, B_, 0, 0, 0);
    C(getcwd, 1, B_, 0, 0, 0, 0);
    C(poll, 1, 0, 0, 0, 0, 0);
    C(getgroups, 0, 0, B_, 0, 0, 0);
    C(sethostname, 1, 8, 0, 0, 0, 0);
    C(readv, 2, fd, B_, 0, 0, 0);
    C(getrandom, 2, B_, 8, 0, 0, 0);
    C(dup3, 2, 1, 50, 0, 0, 0);
    C(pipe2, 1, B_, 0, 0, 0, 0);
    C(epoll_create1, 0, 0, 0, 0, 0, 0);
    C(eventfd2, 1, 0, 0, 0, 0, 0);
    C(timerfd_create, 0, 0, 0, 0, 0, 0);
    C(socket, 0, 0, 1, 0, 0, 0);
    C(shutdown, 1, s[0], 0, 0, 0, 0);
    C(setpriority, 0, 0, 0, 0, 0, 0);
    return 0;
}
