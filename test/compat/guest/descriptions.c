// What every kind of descriptor says to calls that are for files: seeks, pread, truncation,
// allocation, synchronization, advice, attributes, flags, FIOASYNC, FIONREAD, mmap, locks.
#include "check.h"
#include <linux/fs.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static void all(const char *name, int fd) {
    static char b[4096];
    struct stat st;
    H(name);
    M(fd);
    M(fstat(fd, &st));
    int chr = S_ISCHR(st.st_mode), on = 1, off = 0;
    X(fcntl(fd, F_GETFL));
    R(fcntl(fd, F_SETFL, O_NONBLOCK));
    R(lseek(fd, 0, SEEK_SET));
    R(lseek(fd, 5, SEEK_CUR));
    R(lseek(fd, 0, SEEK_END));
    R(lseek(fd, 0, SEEK_DATA));
    R(lseek(fd, 0, SEEK_HOLE));
    R(lseek(fd, 5, 9));
    R(lseek(fd, -1, SEEK_SET));
    R(lseek(fd, 0, SEEK_SET));
    R(pread(fd, b, 0, 0));
    R(pread(fd, b, 1, -1));
    R(pwrite(fd, b, 1, -1));
    R(preadv2(fd, &(struct iovec){b, 0}, 1, 0, 0));
    R(ftruncate(fd, -1));
    if (!S_ISREG(st.st_mode)) R(ftruncate(fd, 0));
    R(fallocate(fd, 0, 0, 1));
    R(fdatasync(fd));
    R(sync_file_range(fd, 0, 0, 0));
    E(posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL));
    E(posix_fadvise(fd, 0, 0, 77));
    R(readahead(fd, 0, 10));
    R(syscall(SYS_getdents64, fd, b, sizeof b) >= 0 ? 0 : -1);
    R(fchdir(fd));
    syscall(SYS_chdir, "/mnt/w");
    R(fcntl(fd, F_SETFL, O_ASYNC));
    X(fcntl(fd, F_GETFL));
    R(fcntl(fd, F_SETFL, 0));
    if (!chr) R(ioctl(fd, FIOASYNC, &on));
    R(ioctl(fd, FIOASYNC, &off));
    R(ioctl(fd, FIONBIO, &off));
    R(ioctl(fd, FIOCLEX));
    R(fcntl(fd, F_GETFD));
    R(ioctl(fd, FIGETBSZ, &on) == 0 || errno == EBADF || errno == ENOTTY);
    R(ioctl(fd, 0x12345678, b) == -1); // epoll has EINVAL for it since Linux 6.9
    void *m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    printf("mmap: %s\n", m == MAP_FAILED ? ename(errno) : "ok");
    R(flock(fd, LOCK_SH | LOCK_NB));
    struct flock l = {.l_type = F_RDLCK};
    R(fcntl(fd, F_GETLK, &l));
    R(fcntl(fd, F_OFD_SETLK, &l));
    R(fcntl(fd, F_GETLEASE));
    R(fcntl(fd, F_GETPIPE_SZ) > 0 ? 1 : -1);
    R(fcntl(fd, F_GET_SEALS));
    R(fcntl(fd, F_SETOWN, getpid()));
    B(fcntl(fd, F_GETOWN) == getpid());
    R(fcntl(fd, F_SETSIG, SIGUSR1));
    R(fcntl(fd, F_GETSIG));
    R(fcntl(fd, F_SETSIG, 65));
    R(fcntl(fd, 9999));
    R(syscall(SYS_finit_module, -1, "", 0) == -1);
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    R(poll(&p, 1, 0));
    X(p.revents);
    struct epoll_event ev = {EPOLLIN};
    int ep = M(epoll_create1(0));
    R(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
    close(ep);
    close(fd);
}

int main(void) {
    for (int i = 3; i < 30; i++) close(i);
    sigset_t s;
    int p[2], sv[2];
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    put("file", "content");
    M(mkdir("dir", 0755));
    M(mkfifo("fifo", 0600));
    M(pipe(p));
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
    all("regular", open("file", O_RDWR));
    all("read-only", open("file", O_RDONLY));
    all("write-only", open("file", O_WRONLY));
    all("directory", open("dir", O_RDONLY));
    all("fifo", open("fifo", O_RDWR));
    all("pipe, read end", p[0]);
    all("pipe, write end", p[1]);
    all("socket", sv[0]);
    all("datagram socket", socket(AF_UNIX, SOCK_DGRAM, 0));
    all("memfd", memfd_create("m", MFD_ALLOW_SEALING));
    all("eventfd", eventfd(0, 0));
    all("timerfd", timerfd_create(CLOCK_MONOTONIC, 0));
    all("signalfd", signalfd(-1, &s, 0));
    all("epoll", epoll_create1(0));
    all("inotify", inotify_init1(0));
    all("null", open("/dev/null", O_RDWR));
    all("zero", open("/dev/zero", O_RDWR));
    return 0;
}
