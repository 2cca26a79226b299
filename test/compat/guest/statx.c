// statx, utimensat and the times that changes set, renameat2, xattrs by *at, file handles.
#include "check.h"
#include <linux/fs.h>
#include <linux/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static struct statx sx;
static int sxat(int d, const char *p, int flags, unsigned mask) { memset(&sx, 0xee, sizeof sx); return syscall(SYS_statx, d, p, flags, mask, &sx); }

static void mask_of(const char *p, unsigned ask) {
    if (sxat(AT_FDCWD, p, AT_SYMLINK_NOFOLLOW, ask)) { printf("%s: %s\n", p, ename(errno)); return; }
    // Linux gives times that were not asked for, or not (since 6.13).
    if (~ask & STATX_MTIME) sx.stx_mask &= ~(STATX_MTIME | STATX_CTIME);
    printf("%s asked %x: mask %x mode %o nlink %d uid %d gid %d size %ld rdev %d:%d attr %lx of %lx\n", p, ask, sx.stx_mask & (STATX_BASIC_STATS | STATX_BTIME),
        sx.stx_mode, S_ISDIR(sx.stx_mode) ? 0 : sx.stx_nlink, sx.stx_uid, sx.stx_gid, S_ISDIR(sx.stx_mode) ? 0 : (long)sx.stx_size, sx.stx_rdev_major, sx.stx_rdev_minor,
        (long)(sx.stx_attributes & STATX_ATTR_MOUNT_ROOT), (long)(sx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT));
}

static struct stat s0, s1;
static int after(struct timespec a, struct timespec b) { return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec); }
// what prints which times of path the step changed.
#define STEP(path, e) do { M(lstat(path, &s0)); ms(20); M(e); M(lstat(path, &s1)); \
    printf("%s: %s%s%s\n", #e, after(s1.st_atim, s0.st_atim) ? " atime" : "", after(s1.st_mtim, s0.st_mtim) ? " mtime" : "", after(s1.st_ctim, s0.st_ctim) ? " ctime" : ""); } while (0)

static void times_(const char *p) {
    struct stat st;
    M(lstat(p, &st));
    printf("  %s: atime %ld.%09ld mtime %ld.%09ld\n", p, (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

int main(void) {
    put("f", "content");
    M(mkdir("d", 0755));
    M(symlink("f", "l"));
    M(mknod("chr", S_IFCHR | 0600, makedev(1, 3)));
    M(mkfifo("p", 0600));
    H("statx");
    mask_of("f", STATX_BASIC_STATS);
    mask_of("f", STATX_BASIC_STATS | STATX_BTIME);
    mask_of("f", 0);
    mask_of("f", STATX_SIZE);
    mask_of("d", STATX_BASIC_STATS);
    mask_of("l", STATX_BASIC_STATS);
    mask_of("chr", STATX_BASIC_STATS);
    mask_of("p", STATX_BASIC_STATS);
    mask_of("/", STATX_BASIC_STATS);
    mask_of("/proc", STATX_BASIC_STATS);
    mask_of("/proc/self", STATX_BASIC_STATS);
    mask_of("none", STATX_BASIC_STATS);
    R(sxat(AT_FDCWD, "f", 0, STATX__RESERVED));
    R(sxat(AT_FDCWD, "f", 0x40000, STATX_ALL));
    R(sxat(AT_FDCWD, "f", AT_STATX_FORCE_SYNC, STATX_ALL));
    R(sxat(AT_FDCWD, "f", AT_STATX_DONT_SYNC, STATX_ALL));
    R(sxat(AT_FDCWD, "f", AT_STATX_SYNC_TYPE, STATX_ALL));
    R(sxat(AT_FDCWD, "", AT_EMPTY_PATH, STATX_ALL));
    B(S_ISDIR(sx.stx_mode));
    int fd = M(open("f", O_RDONLY));
    R(sxat(fd, "", AT_EMPTY_PATH, STATX_ALL));
    R(sx.stx_size);
    R(sxat(fd, NULL, AT_EMPTY_PATH, STATX_ALL));
    R(sxat(fd, "", 0, STATX_ALL));
    R(sxat(fd, "x", 0, STATX_ALL));
    R(sxat(99, "f", 0, STATX_ALL));
    R(sxat(99, "/proc", 0, STATX_ALL));
    R(sxat(AT_FDCWD, "f", 0, STATX_MNT_ID));
    B(sx.stx_mask & STATX_MNT_ID && sx.stx_mnt_id);
    struct stat st;
    M(stat("f", &st));
    M(sxat(AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME));
    B(sx.stx_ino == st.st_ino && makedev(sx.stx_dev_major, sx.stx_dev_minor) == st.st_dev && sx.stx_blocks == (unsigned long)st.st_blocks && (long)sx.stx_blksize == st.st_blksize);
    B(sx.stx_mtime.tv_sec == st.st_mtim.tv_sec && (long)sx.stx_mtime.tv_nsec == st.st_mtim.tv_nsec);
    B(sx.stx_btime.tv_sec <= st.st_mtim.tv_sec && sx.stx_btime.tv_sec >= st.st_mtim.tv_sec - 20);
    R(fstatat(fd, "", &st, AT_EMPTY_PATH));
    R(fstatat(fd, NULL, &st, AT_EMPTY_PATH));
    R(fstatat(fd, "", &st, 0));
    R(fstatat(AT_FDCWD, "l", &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT));
    H("what changes which time");
    STEP("f", write(open("f", O_WRONLY), "x", 1));
    STEP("f", chmod("f", 0600));
    STEP("f", chown("f", 1, 1));
    STEP("f", chown("f", -1, -1));
    STEP("f", link("f", "f2"));
    STEP("f", unlink("f2"));
    STEP("f", rename("f", "g") || rename("g", "f"));
    STEP("f", truncate("f", 3));
    STEP("f", truncate("f", 3));
    STEP("f", close(open("f", O_WRONLY | O_TRUNC)));
    STEP("f", close(open("f", O_WRONLY | O_TRUNC)));
    STEP("f", write(open("f", O_WRONLY), "", 0));
    STEP("f", setxattr("f", "user.a", "v", 1, 0));
    STEP("f", removexattr("f", "user.a"));
    STEP("f", utimensat(AT_FDCWD, "f", NULL, 0));
    STEP("f", fallocate(open("f", O_WRONLY), 0, 0, 100));
    STEP("d", close(open("d/x", O_CREAT | O_RDWR, 0600)));
    STEP("d", chmod("d/x", 0644));
    STEP("d", rename("d/x", "d/y"));
    STEP("d", link("d/y", "d/z"));
    STEP("d", unlink("d/z"));
    STEP("d", mkdir("d/s", 0755));
    STEP("d/s", rename("d/s", "s") || rename("s", "d/s"));
    STEP("d", rmdir("d/s"));
    STEP("d", symlink("x", "d/l"));
    STEP("d/l", lchown("d/l", 1, 1));
    H("atime is as the mount says: relatime");
    M(mknod("at", S_IFREG | 0644, 0));
    put("at", "read me");
    char b[64];
    STEP("at", read(open("at", O_RDONLY), b, 8));
    STEP("at", read(open("at", O_RDONLY), b, 8)); // not later than the last change any more
    STEP("at", read(open("at", O_RDONLY | O_NOATIME), b, 8));
    M(utimensat(AT_FDCWD, "at", (struct timespec[2]){{1000, 0}, {2000, 0}}, 0));
    STEP("at", read(open("at", O_RDONLY | O_NOATIME), b, 8));
    STEP("at", read(open("at", O_RDONLY), b, 8));
    STEP("l", readlink("l", b, 8));
    H("utimensat");
    struct timespec ts[2] = {{1000, 1}, {2000, 999999999}};
    R(utimensat(AT_FDCWD, "f", ts, 0));
    times_("f");
    R(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
    times_("l");
    ts[0].tv_nsec = UTIME_OMIT, ts[1] = (struct timespec){3000, 5};
    R(utimensat(AT_FDCWD, "f", ts, 0));
    times_("f");
    ts[0] = (struct timespec){4000, 6}, ts[1].tv_nsec = UTIME_OMIT;
    R(utimensat(AT_FDCWD, "f", ts, 0));
    times_("f");
    ts[0].tv_nsec = UTIME_OMIT;
    R(utimensat(AT_FDCWD, "none", ts, 0));
    R(utimensat(AT_FDCWD, "f", ts, 0));
    ts[0].tv_nsec = 1000000000;
    R(utimensat(AT_FDCWD, "f", ts, 0));
    ts[0].tv_nsec = -1;
    R(utimensat(AT_FDCWD, "f", ts, 0));
    ts[0] = ts[1] = (struct timespec){-10, 5};
    R(utimensat(AT_FDCWD, "f", ts, 0));
    times_("f");
    ts[0] = ts[1] = (struct timespec){1L << 33, 7};
    R(utimensat(AT_FDCWD, "f", ts, 0));
    times_("f");
    R(syscall(SYS_utimensat, fd, NULL, ts, 0));
    R(syscall(SYS_utimensat, fd, "", ts, AT_EMPTY_PATH));
    R(syscall(SYS_utimensat, AT_FDCWD, NULL, ts, 0));
    R(syscall(SYS_utimensat, fd, NULL, ts, AT_SYMLINK_NOFOLLOW));
    R(utimensat(AT_FDCWD, "f", ts, 0x8000));
    struct timeval tv[2] = {{5, 6}, {7, 8}};
    R(utimes("f", tv));
    times_("f");
    tv[0].tv_usec = 1000000;
    R(utimes("f", tv));
    R(syscall(SYS_utime, "f", (long[2]){11, 12}));
    times_("f");
    R(syscall(SYS_futimesat, AT_FDCWD, "l", NULL));
    H("file systems");
    struct statfs sf;
    R(statfs("/proc", &sf));
    X(sf.f_type);
    R(sf.f_namelen);
    R(statfs("/dev/null", &sf) || fstatfs(fd, &sf));
    R(sf.f_namelen);
    R(sf.f_bsize);
    R(statfs("/sys", &sf));
    X(sf.f_type);
    R(fstatfs(99, &sf));
    int pi[2];
    M(pipe(pi));
    R(fstatfs(pi[0], &sf));
    X(sf.f_type);
    H("renameat2");
    put("a", "a");
    put("b", "b");
    M(mkdir("e", 0755));
    put("e/in", "");
#define RN(x, y, f) R(syscall(SYS_renameat2, AT_FDCWD, x, AT_FDCWD, y, f))
    RN("a", "b", RENAME_NOREPLACE);
    RN("a", "a", RENAME_NOREPLACE);
    RN("a", "c", RENAME_NOREPLACE);
    RN("c", "none/x", RENAME_NOREPLACE);
    RN("c", "e", RENAME_EXCHANGE);
    slurp("e");
    R(access("c/in", F_OK));
    RN("c", "c/in", RENAME_EXCHANGE);
    RN("c/in", "c", RENAME_EXCHANGE);
    RN("e", "none", RENAME_EXCHANGE);
    RN("none", "e", RENAME_EXCHANGE);
    RN("e", "e", RENAME_EXCHANGE);
    RN("e", "b", RENAME_EXCHANGE | RENAME_NOREPLACE);
    RN("e", "b", RENAME_EXCHANGE | RENAME_WHITEOUT);
    RN("e", "b", 8);
    RN("e/", "b", RENAME_EXCHANGE);
    RN("c/", "b", RENAME_EXCHANGE);
    slurp("c");
    RN("e", "/proc/x", RENAME_NOREPLACE);
    RN("b", ".", RENAME_EXCHANGE);
    RN("b", "..", RENAME_NOREPLACE);
    return 0;
}
