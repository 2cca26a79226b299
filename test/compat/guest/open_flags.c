// open, openat, creat, close, dup family, O_* rules, descriptor flags.
#include "check.h"

static void basic(void) {
    H("open");
    R(open("none", O_RDONLY));
    R(open("", O_RDONLY));
    R(open(NULL, O_RDONLY));
    int fd = R(open("a", O_RDWR | O_CREAT | O_EXCL, 0666));
    R(open("a", O_RDWR | O_CREAT | O_EXCL, 0666));
    struct stat st;
    R(fstat(fd, &st));
    printf("mode %o size %ld nlink %ld\n", st.st_mode, (long)st.st_size, (long)st.st_nlink);
    X(fcntl(fd, F_GETFL));
    R(fcntl(fd, F_GETFD));
    R(close(fd));
    R(close(fd));
    R(close(-1));
    fd = R(open("a", O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_SYNC | O_NOATIME | O_LARGEFILE));
    X(fcntl(fd, F_GETFL));
    R(fcntl(fd, F_GETFD));
    char b[8] = "hello";
    R(read(fd, b, 1));
    R(write(fd, b, 5));
    R(lseek(fd, 0, SEEK_SET));
    R(write(fd, "XY", 2));
    R(lseek(fd, 0, SEEK_CUR));
    slurp("a");
    R(fcntl(fd, F_SETFL, 0));
    X(fcntl(fd, F_GETFL));
    R(fcntl(fd, F_SETFL, O_RDWR | O_CREAT | O_NONBLOCK | O_ASYNC));
    X(fcntl(fd, F_GETFL));
    close(fd);
    fd = R(open("a", O_RDONLY | O_TRUNC));
    R(fstat(fd, &st));
    R(st.st_size);
    R(write(fd, "x", 1));
    R(ftruncate(fd, 1));
    close(fd);
    fd = R(open("a", 3)); // access mode 3: only ioctl
    R(read(fd, b, 1));
    R(write(fd, b, 1));
    close(fd);
    fd = R(creat("b", 0751));
    R(fstat(fd, &st));
    printf("mode %o\n", st.st_mode);
    close(fd);
}

static void kinds(void) {
    H("kinds");
    M(mkdir("d", 0755));
    M(symlink("a", "l"));
    M(symlink("missing", "dang"));
    M(symlink("loop", "loop"));
    R(open("d", O_RDONLY));
    close(3);
    R(open("d", O_WRONLY));
    R(open("d", O_RDWR));
    R(open("d", O_RDONLY | O_CREAT, 0644));
    R(open("d/", O_RDONLY | O_CREAT, 0644));
    R(open("new/", O_RDWR | O_CREAT, 0644));
    R(open("a/", O_RDONLY));
    R(open("a/b", O_RDONLY));
    R(open("a", O_RDONLY | O_DIRECTORY));
    R(open("d", O_RDONLY | O_DIRECTORY));
    close(3);
    R(open("d", O_RDONLY | O_DIRECTORY | O_TRUNC));
    R(open("l", O_RDONLY | O_NOFOLLOW));
    R(open("l", O_RDONLY | O_CREAT | O_EXCL, 0644));
    R(open("dang", O_RDONLY));
    R(open("dang", O_RDWR | O_CREAT | O_EXCL, 0644));
    R(open("dang", O_RDWR | O_CREAT, 0644));
    close(3);
    R(access("missing", F_OK));
    R(open("loop", O_RDONLY));
    R(open("d/../a", O_RDONLY));
    close(3);
    R(open("d/nodir/../a", O_RDONLY));
    R(open(".", O_RDWR));
    R(open(".", O_RDWR | O_CREAT, 0600));
    R(open("..", O_RDONLY | O_CREAT | O_EXCL, 0600));
    R(open("/", O_WRONLY));
    char name[300];
    memset(name, 'n', sizeof name);
    name[255] = 0;
    R(open(name, O_RDWR | O_CREAT, 0644));
    close(3);
    name[255] = 'n', name[256] = 0;
    R(open(name, O_RDWR | O_CREAT, 0644));
    char *longp = malloc(5000);
    memset(longp, '/', 5000);
    longp[4094] = '.', longp[4095] = 0;
    R(open(longp, O_RDONLY));
    close(3);
    longp[4095] = '/', longp[4096] = 0;
    R(open(longp, O_RDONLY));
    free(longp);
    R(mknod("sock", S_IFSOCK | 0644, 0));
    R(open("sock", O_RDONLY));
    R(mknod("blk", S_IFDIR | 0644, 0));
    R(mknod("reg", 0644, 0));
    R(mknod("reg", 0644, 0));
}

static void at(void) {
    H("at");
    char b[8];
    int d = R(open("d", O_RDONLY | O_DIRECTORY));
    int f = R(openat(d, "in", O_RDWR | O_CREAT, 0600));
    R(openat(f, "x", O_RDONLY));
    R(openat(-1, "x", O_RDONLY));
    R(openat(99, "x", O_RDONLY));
    R(openat(-1, "/mnt/w/a", O_RDONLY));
    close(5);
    R(openat(d, "", O_RDONLY));
    R(openat(AT_FDCWD, "d/in", O_RDONLY));
    close(5);
    R(read(d, b, 1));
    R(write(d, b, 1));
    R(lseek(d, 0, SEEK_CUR));
    R(rmdir("d"));
    R(unlink("d/in"));
    R(rmdir("d"));
    R(openat(d, "y", O_RDWR | O_CREAT, 0600));
    R(openat(d, ".", O_RDONLY));
    close(5);
    R(write(f, "gone", 4));
    R(pread(f, b, 8, 0));
    close(d);
    close(f);
}

static void dups(void) {
    H("dup");
    int fd = M(open("a", O_RDWR | O_CLOEXEC));
    int d = R(dup(fd));
    R(fcntl(d, F_GETFD));
    R(dup2(fd, 10));
    R(dup2(fd, fd));
    R(dup2(99, 99));
    R(dup2(fd, -1));
    R(dup2(-1, 5));
    R(dup2(fd, 1 << 30));
    R(dup3(fd, fd, 0));
    R(dup3(fd, 11, O_CLOEXEC));
    R(fcntl(11, F_GETFD));
    R(dup3(fd, 12, O_NONBLOCK));
    R(fcntl(fd, F_DUPFD, 20));
    R(fcntl(fd, F_DUPFD_CLOEXEC, 20));
    R(fcntl(21, F_GETFD));
    R(fcntl(fd, F_DUPFD, -1));
    R(fcntl(fd, F_DUPFD, 1 << 30));
    R(fcntl(fd, 9999, 0));
    R(fcntl(99, F_GETFD));
    R(fcntl(20, F_SETFD, FD_CLOEXEC | 6));
    R(fcntl(20, F_GETFD));
    // Offset and status flags are shared by duplicates.
    R(write(fd, "abc", 3));
    R(lseek(d, 0, SEEK_CUR));
    R(fcntl(d, F_SETFL, O_APPEND));
    X(fcntl(fd, F_GETFL) & O_APPEND);
    R(syscall(SYS_close_range, 10, 11, 0));
    R(fcntl(10, F_GETFD));
    R(syscall(SYS_close_range, 12, 10, 0));
    R(syscall(SYS_close_range, 20, ~0U, CLOSE_RANGE_CLOEXEC));
    R(fcntl(20, F_GETFD));
    R(syscall(SYS_close_range, 20, ~0U, 8));
    R(CHILD(R(syscall(SYS_close_range, 20, ~0U, CLOSE_RANGE_UNSHARE)); R(fcntl(20, F_GETFD))));
    R(fcntl(20, F_GETFD) >= 0);
    R(syscall(SYS_close_range, 3, ~0U, 0));
    R(fcntl(fd, F_GETFD));
}

int main(void) {
    basic();
    kinds();
    at();
    dups();
    return 0;
}
