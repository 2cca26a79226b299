// stat family, statx, statfs, chmod, chown, utimes.
#include "check.h"
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <utime.h>

static void show(const char *p) {
    struct stat st;
    if (lstat(p, &st)) { printf("%s: %s\n", p, ename(errno)); return; }
    printf("%s: mode %o nlink %ld uid %d gid %d size %ld blksize %ld blocks %ld rdev %u:%u\n", p, st.st_mode,
        (long)st.st_nlink, st.st_uid, st.st_gid, S_ISDIR(st.st_mode) ? 0 : (long)st.st_size, (long)st.st_blksize,
        S_ISDIR(st.st_mode) ? 0 : (long)st.st_blocks, major(st.st_rdev), minor(st.st_rdev));
}

static void times(const char *p) {
    struct stat st;
    M(lstat(p, &st));
    printf("%s: atime %ld.%09ld mtime %ld.%09ld\n", p, st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void kinds(void) {
    H("kinds");
    put("f", "hello");
    M(mkdir("d", 01777));
    M(mkdir("d/e", 0700));
    M(symlink("f", "l"));
    M(mkfifo("p", 0600));
    M(mknod("c", S_IFCHR | 0666, makedev(1, 3)));
    M(mknod("b", S_IFBLK | 0600, makedev(7, 250)));
    M(link("f", "f2"));
    char *paths[] = {"f", "d", "d/e", "l", "p", "c", "b", "none", "/dev/null"};
    for (int i = 0; i < 9; i++) show(paths[i]);
    M(truncate("f", 10000));
    show("f");
    struct stat st, st2;
    R(stat("l", &st));
    R(lstat("l", &st2));
    B(st.st_ino != st2.st_ino);
    R(st.st_size);
    R(fstatat(AT_FDCWD, "l", &st, AT_SYMLINK_NOFOLLOW));
    B(S_ISLNK(st.st_mode));
    R(fstatat(AT_FDCWD, "", &st, 0));
    R(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
    B(S_ISDIR(st.st_mode));
    R(fstatat(99, "f", &st, 0));
    R(fstatat(99, "/", &st, 0));
    R(fstatat(0, "f", &st, 0));
    R(fstatat(AT_FDCWD, "f", &st, 0x40000));
    R(fstat(99, &st));
    R(stat("f/x", &st));
    R(stat("f/", &st));
    R(stat("l/", &st));
    R(stat("f/.", &st));
    R(stat("d/.", &st));
    R(stat("f", (void *)1));
}

static void statxs(void) {
    H("statx");
    struct statx sx;
    memset(&sx, 0xff, sizeof sx);
    R(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx));
    B((sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    R(sx.stx_size);
    R(sx.stx_nlink);
    printf("mode %o\n", sx.stx_mode);
    R(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &sx));
    R(statx(AT_FDCWD, "f", 0x40000, 0, &sx));
    R(statx(AT_FDCWD, "f", 0, STATX__RESERVED, &sx));
    R(statx(0, "", AT_EMPTY_PATH, STATX_TYPE, &sx));
    R(statx(AT_FDCWD, "", 0, STATX_TYPE, &sx));
    R(statx(AT_FDCWD, "f", 0, STATX_TYPE, (void *)1));
    R(statx(AT_FDCWD, ".", 0, STATX_ALL, &sx));
    B(sx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT);
    B(sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
    R(statx(AT_FDCWD, "/mnt", 0, STATX_ALL, &sx));
    B(sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
    R(statx(AT_FDCWD, "f", 0, STATX_BTIME, &sx));
    B(sx.stx_mask & STATX_BTIME);
    B(sx.stx_btime.tv_sec > 1000000000);
}

static void modes(void) {
    H("chmod, chown");
    R(chmod("f", 04755));
    show("f");
    R(chown("f", 1000, 1000)); // root: set-user-id is cleared all the same
    show("f");
    R(chmod("f", 06755));
    R(chown("f", -1, -1));
    show("f");
    R(chmod("f", 02644));
    R(chown("f", 5, 6)); // set-group-id without group execute stays
    show("f");
    R(chmod("none", 0));
    R(chmod("l", 0600));
    show("l");
    show("f");
    R(fchmodat(AT_FDCWD, "f", 0640, 0));
    R(syscall(SYS_fchmodat, AT_FDCWD, "l", 0611));
    R(lchown("l", 7, 8));
    show("l");
    R(fchownat(AT_FDCWD, "l", 9, 9, AT_SYMLINK_NOFOLLOW));
    R(fchownat(AT_FDCWD, "", 9, 9, 0));
    R(fchownat(AT_FDCWD, "f", 9, 9, 0x80000));
    int fd = M(open("f", O_RDONLY));
    R(fchmod(fd, 0177777));
    show("f");
    R(fchown(fd, 0, 0));
    R(fchownat(fd, "", 3, 3, AT_EMPTY_PATH));
    show("f");
    R(syscall(SYS_fchmodat2, AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW));
    R(syscall(SYS_fchmodat2, fd, "", 0604, AT_EMPTY_PATH));
    show("f");
    R(chmod("f", 06777));
    R(write(open("f", O_WRONLY), "x", 1));
    show("f");
    close(fd);
}

static void utimes_(void) {
    H("utimensat");
    struct timespec ts[2] = {{1000, 123456789}, {2000, 999999999}};
    R(utimensat(AT_FDCWD, "f", ts, 0));
    times("f");
    ts[0].tv_nsec = UTIME_OMIT;
    ts[1].tv_sec = -5;
    R(utimensat(AT_FDCWD, "f", ts, 0));
    times("f");
    ts[1].tv_nsec = 1000000000;
    R(utimensat(AT_FDCWD, "f", ts, 0));
    ts[0].tv_nsec = ts[1].tv_nsec = UTIME_OMIT;
    R(utimensat(AT_FDCWD, "none", ts, 0));
    ts[0] = ts[1] = (struct timespec){7, 7};
    R(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
    times("l");
    int fd = M(open("f", O_RDONLY));
    R(futimens(fd, ts));
    times("f");
    R(utimensat(fd, "", ts, AT_EMPTY_PATH));
    R(syscall(SYS_utimensat, fd, NULL, ts, AT_SYMLINK_NOFOLLOW));
    R(utimensat(AT_FDCWD, "f", ts, 0x40000));
    struct timeval tv[2] = {{3, 4}, {5, 6}};
    R(utimes("f", tv));
    times("f");
    tv[0].tv_usec = 1000000;
    R(syscall(SYS_utimes, "f", tv));
    struct utimbuf ub = {11, 12};
    R(utime("f", &ub));
    times("f");
    R(utimensat(AT_FDCWD, "f", NULL, 0));
    struct stat st;
    M(stat("f", &st));
    B(st.st_mtim.tv_sec > 1000000000 && st.st_atim.tv_sec == st.st_mtim.tv_sec);
    struct stat s2;
    ms(20);
    M(chmod("f", 0600));
    M(stat("f", &s2));
    B(s2.st_ctim.tv_sec != st.st_ctim.tv_sec || s2.st_ctim.tv_nsec != st.st_ctim.tv_nsec);
    B(s2.st_mtim.tv_nsec == st.st_mtim.tv_nsec);
}

static void fs(void) {
    H("statfs");
    struct statfs sf;
    R(statfs(".", &sf));
    X(sf.f_type);
    R(sf.f_bsize);
    R(sf.f_namelen);
    R(sf.f_frsize);
    B(sf.f_blocks >= sf.f_bfree && sf.f_bfree >= sf.f_bavail);
    R(statfs("/proc", &sf));
    X(sf.f_type);
    R(statfs("none", &sf));
    R(statfs("f/x", &sf));
    R(statfs("f", NULL));
    R(fstatfs(99, &sf));
    int p[2];
    M(pipe(p));
    R(fstatfs(p[0], &sf));
    X(sf.f_type);
}

int main(void) {
    kinds();
    statxs();
    modes();
    utimes_();
    fs();
    return 0;
}
