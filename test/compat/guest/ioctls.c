// ioctls that the VFS answers for every file, duplicates and ranges of descriptors, special
// files, links under /proc/self/fd.
#include "check.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

static void common(const char *what, int fd) {
    printf("-- %s\n", what);
    int n = 0;
    long q = -1;
    M(fd);
    R(ioctl(fd, FIGETBSZ, &n) == 0 && n >= 512 ? 0 : -1);
    R(ioctl(fd, FIGETBSZ, (void *)8));
    R(ioctl(fd, FIOQSIZE, &q));
    R(ioctl(fd, FIOQSIZE, (void *)8));
    R(ioctl(fd, FICLONE, 99));
    close(fd);
}

int main(void) {
    for (int i = 3; i < 30; i++) close(i);
    static char b[8192];
    put("f", "x");
    M(mkdir("d", 0755));
    int p[2];
    M(pipe(p));
    H("every file");
    common("file", open("f", O_RDWR));
    common("directory", open("d", O_RDONLY));
    common("pipe", p[0]);
    common("null", open("/dev/null", O_RDWR));
    common("proc", open("/proc/self/status", O_RDONLY));
    close(p[1]);
    int fd = M(open("f", O_RDWR)), n;
    M(write(fd, b, 5000));
    long q;
    R(ioctl(fd, FIOQSIZE, &q));
    R(q);
    M(lseek(fd, 1000, SEEK_SET));
    R(ioctl(fd, FIONREAD, &n));
    R(n);
    struct file_clone_range cr = {.src_fd = 99};
    R(ioctl(fd, FICLONERANGE, &cr));
    R(ioctl(fd, FICLONERANGE, (void *)8));
    cr.src_fd = M(open("d", O_RDONLY));
    R(ioctl(fd, FICLONERANGE, &cr));
    close(cr.src_fd);
    R(ioctl(99, FIGETBSZ, &n));
    int op = M(open("f", O_PATH));
    R(ioctl(op, FIGETBSZ, &n));
    close(op);
    H("duplicates");
    int x = M(dup(fd));
    R(syscall(SYS_close_range, x, x, 4)); // close on exec
    R(fcntl(x, F_GETFD));
    R(syscall(SYS_close_range, x, x, 0));
    R(fcntl(x, F_GETFD));
    R(syscall(SYS_close_range, 5, 4, 0));
    R(syscall(SYS_close_range, 900, ~0U, 8));
    R(syscall(SYS_close_range, 900, ~0U, 2));
    R(dup3(fd, fd, 0));
    R(dup2(fd, fd) == fd);
    R(dup2(fd, -1));
    R(dup2(fd, 1 << 30));
    R(dup3(fd, 30, O_NONBLOCK));
    R(fcntl(fd, F_DUPFD, 1 << 30));
    R(fcntl(fd, F_DUPFD, -1));
    R(fcntl(fd, F_DUPFD_CLOEXEC, 100));
    R(fcntl(100, F_GETFD));
    M(dup2(fd, 101));
    R(fcntl(101, F_GETFD));
    R(dup3(fd, 102, O_CLOEXEC));
    R(fcntl(102, F_GETFD));
    H("special files");
    R(mknod("n1", 0644, 0));
    R(mknod("n2", S_IFDIR | 0644, 0));
    R(mknod("n3", S_IFLNK | 0644, 0));
    R(mknod("n4", S_IFSOCK | 0644, 0));
    R(mknod("n5", 0170000 | 0644, 0));
    R(mknod("n6", S_IFCHR | 0644, makedev(250, 3)));
    R(open("n4", O_RDONLY));
    R(open("n6", O_RDONLY));
    R(open("n6", O_PATH) >= 0);
    R(mkfifo("n1", 0644));
    R(mknod("d/", S_IFREG | 0644, 0));
    R(mknod("new/", S_IFREG | 0644, 0));
    M(mkfifo("p", 0600));
    R(open("p", O_WRONLY | O_NONBLOCK));
    R(open("p", O_RDONLY | O_NONBLOCK) >= 0);
    int w = open("p", O_WRONLY | O_NONBLOCK);
    R(write(w, "hi", 2));
    R(truncate("p", 0));
    R(truncate(".", 0));
    R(truncate("n4", 0));
    R(open("p", O_RDWR | O_TRUNC) >= 0);
    R(open(".", O_RDWR));
    R(open(".", O_RDONLY | O_TRUNC));
    R(open(".", O_RDONLY | O_CREAT, 0600));
    R(open(".", O_WRONLY | O_DIRECTORY));
    R(open("f", O_RDONLY | O_DIRECTORY));
    R(open("f", O_RDONLY | O_EXCL) >= 0);
    int three = M(open("f", 3)); // for ioctl alone
    R(read(three, b, 1));
    R(write(three, b, 1));
    R(ioctl(three, FIGETBSZ, &n));
    H("links of /proc/self/fd");
    sprintf(b, "/proc/self/fd/%d", fd);
    R(access(b, R_OK));
    R(open(b, O_RDONLY | O_NOFOLLOW));
    R(readlink(b, b + 100, 100) > 0);
    struct stat st;
    R(lstat(b, &st));
    printf("%o\n", st.st_mode);
    R(unlink(b));
    R(rename(b, "zz"));
    R(link(b, "zz"));
    R(linkat(AT_FDCWD, b, AT_FDCWD, "zz", AT_SYMLINK_FOLLOW));
    R(chmod(b, 0640));
    R(truncate(b, 0));
    R(symlink("x", "/proc/self/fd/99"));
    R(open("/proc/self/fd/99", O_CREAT | O_RDWR, 0600));
    R(chdir("/proc/self/fd"));
    R(chdir("/mnt/w"));
    R(open("/proc/self/exe", O_RDWR));
    R(open("/proc/self/exe", O_WRONLY | O_TRUNC));
    R(unlink("/proc/self/exe"));
    int gone = M(open("zz", O_RDWR));
    M(unlink("zz"));
    M(unlink("f"));
    sprintf(b, "/proc/self/fd/%d", gone);
    int again = R(open(b, O_RDWR) >= 0 ? 0 : -1);
    R(again);
    R(linkat(AT_FDCWD, b, AT_FDCWD, "back", AT_SYMLINK_FOLLOW));
    return 0;
}
