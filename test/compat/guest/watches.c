// inotify in corners: other names of a file, moves in and out, watches through links and
// descriptors, the root of a mount, unmounting, overflow, partial reads, fork, IN_ONLYDIR,
// IN_MASK_ADD, IN_EXCL_UNLINK, what opening, executing, truncating and mapping report.
#include "check.h"
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

static const struct { uint32_t bit; const char *name; } names[] = {
    {IN_ACCESS, "access"}, {IN_MODIFY, "modify"}, {IN_ATTRIB, "attrib"}, {IN_CLOSE_WRITE, "close_write"},
    {IN_CLOSE_NOWRITE, "close_nowrite"}, {IN_OPEN, "open"}, {IN_MOVED_FROM, "moved_from"}, {IN_MOVED_TO, "moved_to"},
    {IN_CREATE, "create"}, {IN_DELETE, "delete"}, {IN_DELETE_SELF, "delete_self"}, {IN_MOVE_SELF, "move_self"},
    {IN_UNMOUNT, "unmount"}, {IN_Q_OVERFLOW, "overflow"}, {IN_IGNORED, "ignored"}, {IN_ISDIR, "dir"}};
static int in;

static void drain(const char *what) {
    static char b[1 << 16] __attribute__((aligned(8)));
    printf("-- %s\n", what);
    long n;
    while ((n = read(in, b, sizeof b)) > 0)
        for (long o = 0; o < n;) {
            struct inotify_event *e = (void *)(b + o);
            printf("  wd %d", e->wd);
            for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
                if (e->mask & names[i].bit) printf(" %s", names[i].name);
            printf("%s%s%s\n", e->cookie ? " cookie" : "", e->len ? " " : "", !e->len ? "" : *e->name == '#' ? "#inode" : e->name);
            o += sizeof *e + e->len;
        }
}
#define DO(e) do { if ((long)(e) == -1) printf("%s: %s\n", #e, ename(errno)); drain(#e); } while (0)

int main(void) {
    in = M(inotify_init1(IN_NONBLOCK));
    M(mkdir("a", 0755));
    M(mkdir("b", 0755));
    M(mkdir("a/sub", 0755));
    put("a/f", "text");
    M(link("a/f", "b/g"));
    M(symlink("f", "a/l"));
    M(mkfifo("a/p", 0600));
    M(symlink("a", "la"));
    R(inotify_add_watch(in, "a", IN_ALL_EVENTS));
    R(inotify_add_watch(in, "b", IN_ALL_EVENTS));
    R(inotify_add_watch(in, "a/f", IN_ALL_EVENTS));
    R(inotify_add_watch(in, "b/g", IN_ALL_EVENTS)); // the same inode
    R(inotify_add_watch(in, "la", IN_ALL_EVENTS)); // the same directory
    R(inotify_add_watch(in, "la", IN_ALL_EVENTS | IN_DONT_FOLLOW));
    R(inotify_add_watch(in, "la", IN_ALL_EVENTS | IN_DONT_FOLLOW | IN_ONLYDIR));
    R(inotify_add_watch(in, "a/f/", IN_OPEN));
    R(inotify_add_watch(in, "", IN_OPEN));
    R(inotify_add_watch(in, NULL, IN_OPEN));
    R(inotify_add_watch(in, "a", IN_ONLYDIR)); // replaces the mask by nothing
    R(inotify_add_watch(in, "a", IN_ISDIR));
    DO(mkdir("a/unseen", 0755));
    M(rmdir("a/unseen"));
    R(inotify_add_watch(in, "a", IN_ALL_EVENTS));
    R(inotify_add_watch(in, "a", 0x00010000));
    drain("nothing yet");
    H("names and inodes");
    int fd;
    char b[64];
    DO(close(open("b/g", O_RDWR)));
    DO(chmod("b/g", 0600));
    DO(chown("a/f", 0, 0));
    DO(utimensat(AT_FDCWD, "a/f", NULL, 0));
    DO(setxattr("a/f", "user.x", "1", 1, 0));
    DO(truncate("a/f", 2));
    DO(close(open("a/f", O_WRONLY | O_TRUNC)));
    DO(close(open("a/f", O_PATH)));
    DO(open("a/none", O_RDONLY) - -1);
    DO(readlink("a/l", b, sizeof b));
    DO(lchown("a/l", 0, 0));
    DO(lchown("la", 0, 0));
    DO(link("a/f", "a/h"));
    DO(rename("a/h", "b/h"));
    DO(rename("a/f", "b/g")); // one inode: nothing happens
    DO(rename("b/h", "b/g")); // too
    DO(unlink("b/h"));
    DO(unlink("b/g"));
    H("files");
    fd = M(open("a/f", O_RDWR));
    drain("open");
    DO(write(fd, "hello", 5));
    DO(write(fd, "", 0));
    DO(pread(fd, b, 5, 0));
    DO(pread(fd, b, 5, 100));
    DO(pread(fd, b, 0, 0));
    DO(ftruncate(fd, 3));
    DO(ftruncate(fd, 3));
    DO(fallocate(fd, 0, 0, 100));
    DO(fchmod(fd, 0644));
    DO(fsync(fd));
    DO(lseek(fd, 0, SEEK_SET));
    char *m = (char *)M(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    m[0] = 'M';
    DO(munmap(m, 4096));
    int d = M(dup(fd));
    DO(close(d));
    CHILD(close(fd));
    drain("a child closes");
    DO(unlink("a/f"));
    DO(write(fd, "x", 1));
    DO(close(fd));
    H("directories");
    DO(mkdir("a/new", 0700));
    DO(close(open("a/new", O_RDONLY)));
    DO(close(open("a", O_RDONLY)));
    DO(chmod("a/new", 0755));
    DO(chmod("a", 0755));
    DO(rename("a/new", "a/newer"));
    DO(rename("a/newer", "b/newer"));
    DO(rename("b/newer", "out"));
    DO(rename("out", "a/in"));
    DO(rename("a/in", "a/sub")); // over an empty one
    DO(rmdir("a/sub"));
    DO(mknod("a/node", S_IFREG | 0600, 0));
    DO(symlink("x", "a/s"));
    put("b/s", "");
    drain("put");
    DO(rename("a/node", "b/s"));
    DO(syscall(SYS_renameat2, AT_FDCWD, "a/s", AT_FDCWD, "b/s", 2));
    fd = M(open("a", O_TMPFILE | O_RDWR, 0600));
    drain("tmpfile");
    DO(linkat(fd, "", AT_FDCWD, "a/tmp", AT_EMPTY_PATH));
    DO(close(fd));
    fd = M(open("a/p", O_RDWR));
    drain("fifo");
    DO(close(fd));
    DO(execve("a/tmp", (char *[]){"x", NULL}, NULL));
    M(chmod("a/tmp", 0755));
    drain("chmod");
    DO(execve("a/tmp", (char *[]){"x", NULL}, NULL));
    H("a directory in use moves and goes");
    DO(rename("b", "c"));
    put("c/after", "");
    drain("put");
    fd = M(open("c", O_RDONLY));
    drain("open");
    M(unlink("c/after"));
    M(unlink("c/s"));
    drain("unlink");
    DO(rmdir("c"));
    DO(close(fd));
    H("IN_EXCL_UNLINK, IN_ONESHOT, IN_MASK_ADD");
    M(mkdir("x", 0755));
    put("x/f", "");
    int w = R(inotify_add_watch(in, "x", IN_MODIFY | IN_EXCL_UNLINK));
    fd = M(open("x/f", O_RDWR));
    DO(write(fd, "1", 1));
    M(unlink("x/f"));
    DO(write(fd, "2", 1));
    close(fd);
    B(inotify_add_watch(in, "x", IN_CREATE | IN_MASK_ADD) == w);
    fd = M(open("x/g", O_RDWR | O_CREAT, 0600));
    DO(write(fd, "1", 1));
    B(inotify_add_watch(in, "x", IN_DELETE | IN_ONESHOT) == w);
    DO(write(fd, "2", 1));
    DO(unlink("x/g"));
    close(fd);
    B(inotify_add_watch(in, "x", IN_DELETE) > w); // never the same number again
    H("mounts");
    M(mkdir("m", 0755));
    R(inotify_add_watch(in, "m", IN_ALL_EVENTS));
    M(syscall(SYS_mount, "none", "m", "tmpfs", 0L, NULL));
    drain("mount");
    put("m/f", "");
    drain("in the mount");
    R(inotify_add_watch(in, "m", IN_ALL_EVENTS));
    R(inotify_add_watch(in, "m/f", IN_MODIFY));
    put("m/f", "1");
    drain("in the mount");
    DO(syscall(SYS_umount2, "m", 0));
    H("overflow");
    int in2 = M(inotify_init1(IN_NONBLOCK));
    M(mkdir("o", 0755));
    M(inotify_add_watch(in2, "o", IN_CREATE | IN_DELETE));
    int n;
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    int max = 0;
    B(f && fscanf(f, "%d", &max) == 1 && max > 100);
    fclose(f);
    for (int i = 0; i < max; i++) {
        M(mknod("o/n", S_IFREG | 0600, 0));
        M(unlink("o/n"));
    }
    M(ioctl(in2, FIONREAD, &n));
    B(n == max * 32 + 16);
    static char big[1 << 20] __attribute__((aligned(8)));
    long events = 0, got, last = 0;
    while ((got = read(in2, big, sizeof big)) > 0)
        for (long o = 0; o < got; events++) {
            struct inotify_event *e = (void *)(big + o);
            last = e->mask, w = e->wd;
            o += sizeof *e + e->len;
        }
    B(events == max + 1);
    X(last);
    R(w);
    R(close(in2));
    return 0;
}
