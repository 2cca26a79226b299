// The calls of the new mount API: contexts, detached trees, moves, attributes, errors;
// mounts on mounts, mounts in the way of names, propagation of moves, rights of a user
// namespace.
#include "check.h"
#include <linux/fs.h>
#include <linux/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#define FSOPEN(n, f) syscall(SYS_fsopen, n, f)
#define FSCONFIG(fd, c, k, v, a) syscall(SYS_fsconfig, fd, c, k, v, a)
#define FSMOUNT(fd, f, a) syscall(SYS_fsmount, fd, f, a)
#define FSPICK(d, p, f) syscall(SYS_fspick, d, p, f)
#define TREE(d, p, f) syscall(SYS_open_tree, d, p, f)
#define MOVE(d, p, e, q, f) syscall(SYS_move_mount, d, p, e, q, f)
#define MNT(s, t, f, fl, d) syscall(SYS_mount, s, t, f, (long)(fl), d)
#define UM(t, f) syscall(SYS_umount2, t, f)
#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static void file(const char *p) { printf("  %s: %s\n", p, access(p, F_OK) ? ename(errno) : "there"); }
static void flags_of(const char *p) {
    struct statvfs v;
    if (statvfs(p, &v)) printf("  %s: %s\n", p, ename(errno));
    else printf("  %s: flags %lx\n", p, v.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME | ST_NODIRATIME | ST_RELATIME));
}
static int setattr(const char *p, unsigned flags, uint64_t set, uint64_t clr, uint64_t prop, uint64_t ns) {
    struct { uint64_t a, b, c, d; } at = {set, clr, prop, ns};
    return syscall(SYS_mount_setattr, AT_FDCWD, p, flags, &at, sizeof at);
}

static int new_tmpfs(const char *mark) {
    int fs = M(FSOPEN("tmpfs", 0));
    M(FSCONFIG(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    int m = M(FSMOUNT(fs, 0, 0));
    close(fs);
    close(M(openat(m, mark, O_CREAT | O_RDWR, 0600)));
    return m;
}

int main(void) {
    for (int i = 3; i < 30; i++) close(i);
    const char *dirs[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) M(mkdir(dirs[i], 0755));
    put("file", "f");
    put("file2", "f2");
    H("contexts");
    int fs = R(FSOPEN("tmpfs", FSOPEN_CLOEXEC));
    R(fcntl(fs, F_GETFD));
    R(FSOPEN("", 0));
    R(FSOPEN(NULL, 0));
    R(FSOPEN("nofs", 0));
    R(FSOPEN("tmpfs", 2));
    R(FSCONFIG(fs, FSCONFIG_SET_STRING, "size", "1m", 0));
    R(FSCONFIG(fs, FSCONFIG_SET_STRING, "size", NULL, 0));
    R(FSCONFIG(fs, FSCONFIG_SET_STRING, NULL, "x", 0));
    R(FSCONFIG(fs, FSCONFIG_SET_STRING, "size", "1m", 1));
    R(FSCONFIG(fs, FSCONFIG_SET_STRING, "size", "junk", 0));
    R(FSCONFIG(fs, FSCONFIG_SET_STRING, "bogus", "junk", 0));
    R(FSCONFIG(fs, FSCONFIG_SET_STRING, "mode", "0750", 0));
    R(FSCONFIG(fs, FSCONFIG_SET_STRING, "source", "here", 0));
    R(FSCONFIG(fs, FSCONFIG_SET_STRING, "source", "again", 0));
    R(FSCONFIG(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0));
    R(FSCONFIG(fs, FSCONFIG_SET_FLAG, "rw", NULL, 0));
    R(FSCONFIG(fs, FSCONFIG_SET_FLAG, "nonsense", NULL, 0));
    R(FSCONFIG(fs, FSCONFIG_SET_FLAG, "ro", "x", 0));
    R(FSCONFIG(fs, FSCONFIG_SET_FD, "source", NULL, 99));
    R(FSCONFIG(fs, 77, NULL, NULL, 0));
    R(FSCONFIG(1, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    R(FSCONFIG(99, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    R(FSMOUNT(fs, 0, 0)); // not made yet
    R(FSCONFIG(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
    R(FSCONFIG(fs, FSCONFIG_CMD_CREATE, "x", NULL, 0));
    R(FSCONFIG(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    R(FSCONFIG(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    R(FSCONFIG(fs, FSCONFIG_SET_STRING, "size", "2m", 0));
    R(FSMOUNT(fs, 8, 0));
    R(FSMOUNT(fs, 0, 1 << 20));
    R(FSMOUNT(fs, 0, MOUNT_ATTR__ATIME));
    R(FSMOUNT(1, 0, 0));
    int m = R(FSMOUNT(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME));
    R(FSMOUNT(fs, 0, 0));
    struct stat st;
    M(fstat(m, &st));
    printf("mode %o\n", st.st_mode);
    X(fcntl(m, F_GETFL) & (O_PATH | O_ACCMODE));
    R(read(m, &st, 1));
    int in = R(openat(m, "in", O_CREAT | O_RDWR, 0600) >= 0 ? 0 : -1);
    R(in);
    H("moves");
    R(MOVE(m, "", AT_FDCWD, "a", 0));
    R(MOVE(m, "", AT_FDCWD, "file", MOVE_MOUNT_F_EMPTY_PATH));
    R(MOVE(m, "", AT_FDCWD, "none", MOVE_MOUNT_F_EMPTY_PATH));
    R(MOVE(m, "", AT_FDCWD, "a", MOVE_MOUNT_F_EMPTY_PATH | 0x400));
    R(MOVE(99, "", AT_FDCWD, "a", MOVE_MOUNT_F_EMPTY_PATH));
    R(MOVE(AT_FDCWD, "b", AT_FDCWD, "a", 0));
    R(MOVE(m, "", AT_FDCWD, "a", MOVE_MOUNT_F_EMPTY_PATH));
    file("a/in");
    flags_of("a");
    R(MOVE(m, "", AT_FDCWD, "b", MOVE_MOUNT_F_EMPTY_PATH)); // from a to b
    file("a/in");
    file("b/in");
    R(MOVE(AT_FDCWD, "b", AT_FDCWD, "b", 0));
    R(MOVE(AT_FDCWD, "b/in", AT_FDCWD, "c", 0));
    M(mkdir("b/sub", 0755));
    R(MOVE(AT_FDCWD, "b", AT_FDCWD, "b/sub", 0));
    R(MOVE(AT_FDCWD, "b", AT_FDCWD, "c", 0));
    file("c/in");
    int c = M(open("c", O_PATH));
    R(MOVE(c, "", AT_FDCWD, "a", MOVE_MOUNT_F_EMPTY_PATH));
    int a = M(open("b", O_PATH));
    R(MOVE(AT_FDCWD, "a", a, "", MOVE_MOUNT_T_EMPTY_PATH));
    file("b/in");
    H("on top of each other");
    int t1 = new_tmpfs("one"), t2 = new_tmpfs("two");
    R(MOVE(t1, "", AT_FDCWD, "d", MOVE_MOUNT_F_EMPTY_PATH));
    R(MOVE(t2, "", AT_FDCWD, "d", MOVE_MOUNT_F_EMPTY_PATH));
    file("d/one");
    file("d/two");
    R(UM("d", 0));
    close(t2);
    R(UM("d", 0));
    file("d/one");
    R(UM("d", 0));
    close(t1);
    R(UM("d", 0));
    R(UM("d", 0));
    H("detached trees");
    int tree = R(TREE(AT_FDCWD, "b", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    R(faccessat(tree, "in", F_OK, 0));
    R(mkdirat(tree, "made", 0700));
    file("b/made"); // the same file system
    R(TREE(AT_FDCWD, "b", AT_RECURSIVE));
    R(TREE(AT_FDCWD, "none", OPEN_TREE_CLONE));
    R(TREE(AT_FDCWD, "b", 0x10000000));
    R(TREE(tree, "", OPEN_TREE_CLONE | AT_EMPTY_PATH) >= 0 || errno == EINVAL);
    R(MOVE(tree, "", AT_FDCWD, "d", MOVE_MOUNT_F_EMPTY_PATH));
    file("d/in");
    R(UM("d", 0));
    close(tree);
    R(UM("d", 0));
    int ft = R(TREE(AT_FDCWD, "file", OPEN_TREE_CLONE));
    R(MOVE(ft, "", AT_FDCWD, "d", MOVE_MOUNT_F_EMPTY_PATH));
    R(MOVE(ft, "", AT_FDCWD, "file2", MOVE_MOUNT_F_EMPTY_PATH));
    slurp("file2");
    R(unlink("file2"));
    R(rename("file2", "file3"));
    R(rename("file", "file2"));
    close(ft);
    R(UM("file2", 0));
    slurp("file2");
    int sub = M(TREE(AT_FDCWD, "b/sub", OPEN_TREE_CLONE)); // not the root of a mount
    R(MOVE(sub, "", AT_FDCWD, "d", MOVE_MOUNT_F_EMPTY_PATH));
    close(sub);
    R(rmdir("b/sub")); // it is the root of the mount on d
    file("d");
    R(open("d/x", O_CREAT | O_RDWR, 0600));
    R(UM("d", 0));
    H("attributes");
    R(setattr("b", 0, MOUNT_ATTR_RDONLY, 0, 0, 0));
    flags_of("b");
    R(mkdir("b/no", 0700));
    R(setattr("b", 0, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0));
    flags_of("b");
    R(setattr("b", 0, MOUNT_ATTR_STRICTATIME, 0, 0, 0));
    R(setattr("b", 0, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, 0, 0));
    flags_of("b");
    R(setattr("b", 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NOATIME, 0, 0));
    R(setattr("b", 0, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, 0, 0));
    flags_of("b");
    R(setattr("b", 0, 0, 0, 0, 0));
    R(setattr("c", 0, MOUNT_ATTR_RDONLY, 0, 0, 0)); // no mount
    R(setattr("b/in", 0, MOUNT_ATTR_RDONLY, 0, 0, 0));
    R(setattr("none", 0, MOUNT_ATTR_RDONLY, 0, 0, 0));
    R(setattr("b", 0, 0, 0, MS_SHARED | MS_PRIVATE, 0));
    R(setattr("b", 0, 0, 0, MS_RDONLY, 0));
    R(setattr("b", 0x10, MOUNT_ATTR_RDONLY, 0, 0, 0));
    int w = M(open("b/in", O_RDWR));
    R(setattr("b", 0, MOUNT_ATTR_RDONLY, 0, 0, 0));
    R(MNT(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
    R(MNT(NULL, "b", NULL, MS_REMOUNT | MS_RDONLY, NULL));
    close(w);
    H("changing a file system");
    int pick = R(FSPICK(AT_FDCWD, "b", FSPICK_CLOEXEC));
    R(FSPICK(AT_FDCWD, "b/in", 0));
    R(FSPICK(AT_FDCWD, "b", 0x100));
    R(FSPICK(AT_FDCWD, "none", 0));
    R(FSCONFIG(pick, FSCONFIG_SET_STRING, "size", "4m", 0));
    R(FSCONFIG(pick, FSCONFIG_SET_FLAG, "ro", NULL, 0));
    R(FSCONFIG(pick, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
    R(mkdir("b/no", 0700));
    struct statfs sf;
    M(statfs("b", &sf));
    R(sf.f_blocks * sf.f_bsize);
    R(FSMOUNT(pick, 0, 0));
    R(FSCONFIG(pick, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    R(FSCONFIG(pick, FSCONFIG_SET_FLAG, "rw", NULL, 0));
    R(FSCONFIG(pick, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
    R(mkdir("b/yes", 0700));
    close(pick);
    H("a mount in the way");
    R(rmdir("b"));
    R(rename("b", "x"));
    R(rename("c", "b"));
    R(unlink("b"));
    R(open("b", O_CREAT | O_RDWR, 0600));
    R(mkdir("b", 0700));
    M(chdir("b"));
    R(UM("../b", 0));
    R(UM(".", MNT_DETACH));
    R(access("in", F_OK)); // still here
    R(access("../c", F_OK));
    M(chdir("/mnt/w"));
    file("b/in");
    H("a user namespace");
    M(MNT("none", "a", "tmpfs", MS_NOSUID | MS_NODEV, NULL));
    M(MNT(NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL));
    CHILD({
        M(unshare(CLONE_NEWUSER | CLONE_NEWNS));
        put("/proc/self/setgroups", "deny");
        put("/proc/self/uid_map", "0 0 1");
        put("/proc/self/gid_map", "0 0 1");
        R(UM("a", 0)); // came with the others
        R(MNT(NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV, NULL));
        R(MNT(NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
        R(MNT(NULL, "a", NULL, MS_REMOUNT, NULL));
        R(setattr("a", 0, 0, MOUNT_ATTR_RDONLY, 0, 0));
        R(MNT("a", "c", NULL, MS_BIND, NULL));
        R(MNT(NULL, "c", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV, NULL));
        R(UM("c", 0));
        R(MNT("none", "c", "tmpfs", 0, NULL));
        R(mkdir("c/x", 0700));
        R(UM("c", 0));
        R(FSOPEN("tmpfs", 0) >= 0);
        R(TREE(AT_FDCWD, "a", OPEN_TREE_CLONE) >= 0);
        R(MNT("none", "c", "sysfs", 0, NULL) == 0 || errno == EPERM);
        R(MNT("/dev/vda", "c", "ext4", 0, NULL) == -1);
    });
    return 0;
}
