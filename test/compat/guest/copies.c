// copy_file_range, sendfile, clones, fallocate and holes; appending; locks of a file that
// forks and duplicates share; what differs between descriptions and descriptors.
#include "check.h"
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

static char b[200000];

static void show(int fd) {
    struct stat st;
    M(fstat(fd, &st));
    printf("  size %ld blocks %ld\n", (long)st.st_size, (long)st.st_blocks);
}
static void bytes(int fd, long off, long n) {
    char c[64];
    str("  bytes", c, pread(fd, c, n, off));
}
static void holes(int fd, long end) {
    printf("  data:");
    for (long o = 0; o < end;) {
        long d = lseek(fd, o, SEEK_DATA);
        if (d < 0) { printf(" %s", ename(errno)); break; }
        long h = lseek(fd, d, SEEK_HOLE);
        printf(" %ld-%ld", d, h);
        o = h;
    }
    putchar('\n');
}

static void copying(void) {
    H("copy_file_range");
    put("src", "0123456789");
    int s = M(open("src", O_RDWR)), d = M(open("dst", O_RDWR | O_CREAT, 0644));
    int ro = M(open("src", O_RDONLY)), wo = M(open("dst", O_WRONLY)), ap = M(open("app", O_WRONLY | O_APPEND | O_CREAT, 0644));
    int dir = M(open(".", O_RDONLY)), pa = M(open("src", O_PATH)), p[2];
    M(pipe(p));
    off_t in = 2, out = 5;
    R(copy_file_range(s, &in, d, &out, 100, 0));
    printf("  in %ld out %ld\n", (long)in, (long)out);
    bytes(d, 0, 20);
    R(copy_file_range(s, NULL, d, NULL, 3, 0));
    R(lseek(s, 0, SEEK_CUR));
    R(lseek(d, 0, SEEK_CUR));
    in = 100;
    R(copy_file_range(s, &in, d, NULL, 3, 0));
    R(copy_file_range(s, NULL, d, NULL, 0, 0));
    R(copy_file_range(s, NULL, d, NULL, 3, 1));
    R(copy_file_range(wo, NULL, d, NULL, 3, 0));
    R(copy_file_range(s, NULL, ro, NULL, 3, 0));
    R(copy_file_range(s, NULL, ap, NULL, 3, 0));
    R(copy_file_range(dir, NULL, d, NULL, 3, 0));
    R(copy_file_range(s, NULL, dir, NULL, 3, 0));
    R(copy_file_range(p[0], NULL, d, NULL, 3, 0));
    R(copy_file_range(s, NULL, p[1], NULL, 3, 0));
    R(copy_file_range(pa, NULL, d, NULL, 3, 0));
    R(copy_file_range(99, NULL, d, NULL, 3, 0));
    in = -1;
    R(copy_file_range(s, &in, d, NULL, 3, 0));
    in = 0, out = LONG_MAX;
    R(copy_file_range(s, &in, d, &out, 3, 0));
    out = 5, in = 2;
    R(copy_file_range(s, &in, s, &out, 3, 0));
    out = 4, in = 2;
    R(copy_file_range(s, &in, s, &out, 3, 0));
    R(copy_file_range(s, (void *)8, d, NULL, 3, 0));
    bytes(s, 0, 20);
    H("sendfile");
    int sv[2];
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
    in = 1;
    R(sendfile(sv[0], s, &in, 4));
    R(in);
    str("  got", b, recv(sv[1], b, 64, MSG_DONTWAIT));
    R(sendfile(d, s, NULL, 2));
    R(sendfile(ap, s, NULL, 2));
    R(sendfile(ro, s, NULL, 2));
    R(sendfile(d, wo, NULL, 2));
    R(sendfile(d, dir, NULL, 2));
    R(sendfile(d, p[0], NULL, 2));
    R(sendfile(p[1], p[0], NULL, 2));
    R(sendfile(p[1], s, NULL, 2));
    R(sendfile(d, sv[0], NULL, 2));
    in = -2;
    R(sendfile(d, s, &in, 2));
    in = 1000;
    R(sendfile(d, s, &in, 2));
    R(sendfile(d, s, NULL, -1L));
    H("clones");
    R(ioctl(d, FICLONE, s) == 0 || errno == EOPNOTSUPP || errno == EXDEV || errno == ENOTTY);
    R(ioctl(d, FICLONE, 99));
    R(ioctl(ro, FICLONE, s) == -1);
    for (int i = 3; i < 40; i++) close(i);
}

static void allocating(void) {
    H("fallocate");
    int fd = M(open("alloc", O_RDWR | O_CREAT, 0644)), ro = M(open("alloc", O_RDONLY)), p[2];
    int dir = M(open(".", O_RDONLY));
    M(pipe(p));
    R(fallocate(fd, 0, 0, 10000));
    show(fd);
    bytes(fd, 9990, 20);
    R(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 40000));
    show(fd);
    R(fallocate(fd, 0, 0, 5));
    show(fd);
    memset(b, 'x', sizeof b);
    M(pwrite(fd, b, 65536, 0));
    R(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192));
    show(fd);
    holes(fd, 65536);
    bytes(fd, 4090, 12);
    R(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20000, 100));
    bytes(fd, 19998, 4);
    bytes(fd, 20098, 4);
    R(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 60000, 100000));
    show(fd);
    R(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
    R(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 10));
    R(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    R(fallocate(fd, FALLOC_FL_INSERT_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    R(fallocate(fd, 0x100, 0, 10));
    R(fallocate(fd, 0, -1, 10));
    R(fallocate(fd, 0, 0, 0));
    R(fallocate(fd, 0, 0, -5));
    R(fallocate(fd, 0, LONG_MAX, LONG_MAX));
    R(fallocate(ro, 0, 0, 10));
    R(fallocate(p[1], 0, 0, 10));
    R(fallocate(dir, 0, 0, 10));
    R(fallocate(99, 0, 0, 10));
    E(posix_fallocate(fd, 70000, 10));
    show(fd);
    H("sparse");
    int sp = M(open("sparse", O_RDWR | O_CREAT, 0644));
    M(ftruncate(sp, 1 << 20));
    show(sp);
    R(lseek(sp, 0, SEEK_DATA));
    R(lseek(sp, 0, SEEK_HOLE));
    M(pwrite(sp, "d", 1, 300000));
    M(pwrite(sp, b, 8192, 500 * 4096));
    show(sp);
    holes(sp, 501 * 4096);
    R(lseek(sp, 502 * 4096, SEEK_DATA));
    R(lseek(sp, 502 * 4096, SEEK_HOLE));
    R(lseek(sp, -1, SEEK_HOLE));
    R(lseek(sp, 0, SEEK_END));
    R(lseek(sp, -3000000, SEEK_END));
    R(lseek(sp, 0, 5));
    M(ftruncate(sp, 300000));
    M(ftruncate(sp, 310000));
    bytes(sp, 299998, 6);
    for (int i = 3; i < 40; i++) close(i);
}

static void appending(void) {
    H("O_APPEND");
    put("log", "start ");
    int a = M(open("log", O_RDWR | O_APPEND)), w = M(open("log", O_RDWR));
    R(lseek(a, 0, SEEK_CUR));
    R(write(a, "one ", 4));
    R(lseek(a, 0, SEEK_CUR));
    R(lseek(a, 0, SEEK_SET));
    R(read(a, b, 6));
    R(write(a, "two ", 4));
    R(lseek(a, 0, SEEK_CUR));
    R(pwrite(a, "three ", 6, 0)); // the end all the same
    R(lseek(a, 0, SEEK_CUR));
    R(write(w, "START", 5));
    slurp("log");
    R(fcntl(a, F_SETFL, 0));
    R(lseek(a, 0, SEEK_SET));
    R(write(a, "=", 1));
    R(fcntl(w, F_SETFL, O_APPEND));
    R(write(w, "end", 3));
    slurp("log");
    int both = 1;
    for (int i = 0; i < 4; i++)
        if (!fork()) {
            int f = open("many", O_WRONLY | O_APPEND | O_CREAT, 0644);
            for (int j = 0; j < 200; j++) both = both && write(f, "0123456789\n", 11) == 11;
            _exit(!both);
        }
    int st, bad = 0;
    while (wait(&st) > 0) bad |= st;
    R(bad);
    int m = M(open("many", O_RDONLY));
    long n = read(m, b, sizeof b);
    R(n);
    for (long i = 0; i + 11 <= n; i += 11) bad |= memcmp(b + i, "0123456789\n", 11);
    R(bad);
    for (int i = 3; i < 40; i++) close(i);
}

static int try_lock(int fd, int cmd, short type) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, cmd, &l);
}

static void sharing(void) {
    H("an offset is shared by duplicates and children, not by opens");
    put("off", "abcdefghij");
    int f = M(open("off", O_RDONLY)), d = M(dup(f)), o = M(open("off", O_RDONLY)), p;
    char path[64];
    sprintf(path, "/proc/self/fd/%d", f);
    p = M(open(path, O_RDONLY));
    R(read(f, b, 3));
    R(lseek(d, 0, SEEK_CUR));
    R(lseek(o, 0, SEEK_CUR));
    R(lseek(p, 0, SEEK_CUR));
    CHILD(R(read(f, b, 2)));
    R(lseek(f, 0, SEEK_CUR));
    CHILD(close(f));
    R(read(f, b, 1));
    H("flock: of the description");
    int l1 = M(open("lock", O_RDWR | O_CREAT, 0644)), l2 = M(open("lock", O_RDWR)), l3 = M(dup(l1));
    R(flock(l1, LOCK_EX | LOCK_NB));
    R(flock(l2, LOCK_SH | LOCK_NB));
    R(flock(l3, LOCK_SH | LOCK_NB)); // the same one, now shared
    R(flock(l2, LOCK_SH | LOCK_NB));
    R(flock(l1, LOCK_EX | LOCK_NB)); // loses the shared one
    R(flock(l2, LOCK_EX | LOCK_NB));
    R(flock(l2, LOCK_UN));
    R(flock(l1, LOCK_EX | LOCK_NB));
    close(l1);
    R(flock(l2, LOCK_SH | LOCK_NB)); // l3 still has it
    CHILD(R(flock(l3, LOCK_UN))); // a child may unlock
    R(flock(l2, LOCK_SH | LOCK_NB));
    CHILD(int l4 = M(open("lock", O_RDWR)); R(flock(l4, LOCK_EX | LOCK_NB)); R(flock(l4, LOCK_SH | LOCK_NB)));
    R(flock(l2, LOCK_EX | LOCK_NB)); // the child's went with it
    R(flock(l2, 0));
    R(flock(l2, LOCK_NB));
    R(flock(l2, LOCK_MAND | LOCK_NB | LOCK_SH));
    close(l2), close(l3);
    H("record locks: of the process; OFD locks: of the description");
    int a = M(open("rec", O_RDWR | O_CREAT, 0644)), c = M(open("rec", O_RDWR)), e = M(dup(a));
    R(try_lock(a, F_SETLK, F_WRLCK));
    R(try_lock(c, F_SETLK, F_WRLCK)); // the same process
    CHILD(R(try_lock(a, F_SETLK, F_WRLCK)); R(try_lock(a, F_SETLK, F_UNLCK)); R(try_lock(a, F_SETLK, F_RDLCK)));
    R(try_lock(c, F_OFD_SETLK, F_WRLCK));
    close(M(open("rec", O_RDONLY))); // closing any descriptor drops them
    R(try_lock(c, F_OFD_SETLK, F_WRLCK));
    R(try_lock(a, F_OFD_SETLK, F_RDLCK));
    R(try_lock(a, F_SETLK, F_RDLCK));
    CHILD(R(try_lock(c, F_OFD_SETLK, F_RDLCK)); R(try_lock(a, F_OFD_SETLK, F_RDLCK))); // a child has the description too
    R(try_lock(a, F_OFD_SETLK, F_RDLCK));
    close(c);
    R(try_lock(e, F_OFD_SETLK, F_WRLCK));
    close(M(open("rec", O_RDONLY)));
    c = M(open("rec", O_RDWR));
    R(try_lock(c, F_OFD_SETLK, F_RDLCK));
    close(a);
    R(try_lock(c, F_OFD_SETLK, F_RDLCK)); // e keeps it
    close(e);
    R(try_lock(c, F_OFD_SETLK, F_RDLCK));
    int ro = M(open("rec", O_RDONLY)), wo = M(open("rec", O_WRONLY));
    R(try_lock(ro, F_SETLK, F_WRLCK));
    R(try_lock(wo, F_SETLK, F_RDLCK));
    R(try_lock(ro, F_OFD_SETLK, F_WRLCK));
    R(flock(ro, LOCK_EX | LOCK_NB)); // flock does not mind
    R(flock(wo, LOCK_SH | LOCK_NB));
}

int main(void) {
    for (int i = 3; i < 40; i++) close(i);
    copying();
    allocating();
    appending();
    sharing();
    return 0;
}
