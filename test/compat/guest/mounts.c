// mount, umount2, bind, move, propagation, read-only, the new mount API, mountinfo.
#include "check.h"
#include <linux/mount.h>
#include <sys/statfs.h>

#ifndef MNT_DETACH
#define MNT_FORCE 1
#define MNT_DETACH 2
#define MNT_EXPIRE 4
#define UMOUNT_NOFOLLOW 8
#endif
static int mnt(const char *s, const char *t, const char *f, unsigned long fl, const void *d) { return syscall(SYS_mount, s, t, f, fl, d); }
static int um(const char *t, int f) { return syscall(SYS_umount2, t, f); }

// info prints the lines of mountinfo that are under the working directory.
static void info(void) {
    char l[1024];
    FILE *f = fopen("/proc/self/mountinfo", "r");
    while (fgets(l, sizeof l, f)) {
        int id, par, maj, min;
        char root[256], at[256], opt[256], rest[256];
        if (sscanf(l, "%d %d %d:%d %255s %255s %255s %255[^\n]", &id, &par, &maj, &min, root, at, opt, rest) < 8) { printf("odd: %s", l); continue; }
        if (strncmp(at, "/mnt/w/", 7)) continue;
        char *prop = strncmp(rest, "shared", 6) ? strncmp(rest, "master", 6) ? strncmp(rest, "unbindable", 10) ? "private" : "unbindable" : "slave" : "shared";
        char *type = strstr(rest, "- ");
        char kind[32] = "";
        sscanf(type + 2, "%31s", kind);
        printf("  %s root %s options %s %s %s\n", at + 7, root, opt, prop, kind);
    }
    fclose(f);
}
static void file(const char *p) { printf("%s: %s\n", p, access(p, F_OK) ? ename(errno) : "there"); }

int main(void) {
    const char *dirs[] = {"a", "b", "c", "d", "e"};
    for (int i = 0; i < 5; i++) M(mkdir(dirs[i], 0755));
    put("plain", "p");
    put("over", "o");
    H("tmpfs");
    R(mnt("none", "a", "tmpfs", MS_NOSUID | MS_NODEV, "size=65536,mode=0750,uid=5"));
    struct stat st;
    M(stat("a", &st));
    printf("mode %o uid %d\n", st.st_mode, st.st_uid);
    struct statfs sf;
    M(statfs("a", &sf));
    R(sf.f_blocks * sf.f_bsize);
    put("a/f", "in a");
    M(mkdir("a/sub", 0755));
    static char big[100000];
    int fd = M(open("a/big", O_RDWR | O_CREAT, 0600));
    B(write(fd, big, sizeof big) <= 65536);
    R(write(fd, big, sizeof big));
    close(fd);
    M(unlink("a/big"));
    info();
    H("errors");
    R(mnt("none", "none", "tmpfs", 0, NULL));
    R(mnt("none", "plain", "tmpfs", 0, NULL));
    R(mnt("none", "b", "nofs", 0, NULL));
    R(mnt("none", "b", NULL, 0, NULL));
    R(mnt(NULL, "b", NULL, MS_BIND, NULL));
    R(mnt("none", "b", NULL, MS_BIND, NULL));
    R(mnt("none", "b", "tmpfs", 0, "bogus=1"));
    R(mnt("none", "b", "tmpfs", 0, "size=junk"));
    R(mnt("none", NULL, "tmpfs", 0, NULL));
    R(um("b", 0));
    R(um("none", 0));
    R(um("a", 0x100));
    R(um("a", MNT_EXPIRE | MNT_FORCE));
    R(mnt(NULL, "b", NULL, MS_REMOUNT, NULL));
    R(mnt("a", "b", NULL, MS_MOVE | MS_BIND, NULL));
    H("bind");
    R(mnt("a", "b", NULL, MS_BIND, NULL));
    file("b/f");
    R(mnt("plain", "over", NULL, MS_BIND, NULL));
    slurp("over");
    R(mnt("plain", "c", NULL, MS_BIND, NULL));
    R(mnt("a", "over", NULL, MS_BIND, NULL));
    R(mnt("none", "a/sub", "tmpfs", 0, NULL));
    put("a/sub/deep", "");
    file("b/sub/deep");
    R(mnt("a", "c", NULL, MS_BIND | MS_REC, NULL));
    file("c/sub/deep");
    R(mnt("a/sub", "d", NULL, MS_BIND, NULL));
    info();
    H("read-only");
    R(mnt(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
    R(open("b/new", O_CREAT | O_WRONLY, 0600));
    R(open("b/f", O_WRONLY));
    R(open("b/f", O_RDONLY | O_CREAT, 0600) >= 0);
    R(mkdir("b/x", 0700));
    R(unlink("b/f"));
    R(chmod("b/f", 0600));
    R(rename("b/f", "b/g"));
    R(access("b/f", W_OK));
    R(open("a/f", O_WRONLY) >= 0); // the other mount is not
    fd = M(open("a/f", O_WRONLY));
    R(mnt(NULL, "a", NULL, MS_REMOUNT | MS_RDONLY, NULL));
    close(fd);
    for (int i = 3; i < 20; i++) close(i);
    R(mnt(NULL, "a", NULL, MS_REMOUNT | MS_RDONLY, NULL));
    R(open("c/f", O_WRONLY)); // the file system is read-only
    R(mnt(NULL, "a", NULL, MS_REMOUNT, "size=131072"));
    R(mnt(NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_NOEXEC | MS_NOSUID | MS_NOATIME, NULL));
    M(chmod("a/f", 0755));
    char *v[] = {"x", NULL};
    R(execve("a/f", v, v + 1));
    info();
    H("busy, detach, expire");
    fd = M(open("d", O_RDONLY));
    R(um("d", 0));
    R(um("d", MNT_EXPIRE));
    close(fd);
    R(um("d", MNT_EXPIRE));
    R(um("d", MNT_EXPIRE));
    R(um("a", 0)); // has a mount in it
    fd = M(open("c/f", O_RDONLY));
    R(um("c", MNT_DETACH));
    char b[16];
    R(read(fd, b, 16));
    file("c/f");
    M(symlink("b", "lb"));
    R(um("lb", UMOUNT_NOFOLLOW));
    R(um("lb", 0));
    R(um("over", 0));
    slurp("over");
    info();
    H("move");
    R(mnt("a", "e", NULL, MS_MOVE, NULL));
    file("a/f");
    file("e/sub/deep");
    R(mnt("e", "e/sub", NULL, MS_MOVE, NULL));
    R(mnt("b", "c", NULL, MS_MOVE, NULL));
    info();
    H("propagation");
    R(mnt("none", "a", "tmpfs", 0, NULL));
    R(mnt(NULL, "a", NULL, MS_SHARED, NULL));
    M(mkdir("a/in", 0755));
    R(mnt("a", "b", NULL, MS_BIND, NULL));
    R(mnt("a", "c", NULL, MS_BIND, NULL));
    R(mnt(NULL, "c", NULL, MS_SLAVE, NULL));
    R(mnt("a", "d", NULL, MS_BIND, NULL));
    R(mnt(NULL, "d", NULL, MS_PRIVATE, NULL));
    R(mnt("none", "a/in", "tmpfs", 0, NULL));
    put("a/in/x", "");
    file("b/in/x");
    file("c/in/x");
    file("d/in/x");
    info();
    R(um("b/in", 0));
    file("a/in/x");
    file("c/in/x");
    R(mnt("none", "c/in", "tmpfs", 0, NULL));
    put("c/in/y", "");
    file("a/in/y");
    R(mnt(NULL, "d", NULL, MS_UNBINDABLE, NULL));
    R(mnt("d", "e", NULL, MS_BIND, NULL));
    R(mnt(NULL, "d", NULL, MS_SHARED | MS_PRIVATE, NULL));
    R(mnt(NULL, "d/in", NULL, MS_SHARED, NULL));
    R(um("c/in", 0));
    for (int i = 0; i < 5; i++)
        while (!um(dirs[i], MNT_DETACH)) {}
    info();
    H("the new calls");
    int fs = R(syscall(SYS_fsopen, "tmpfs", 1));
    R(syscall(SYS_fsopen, "nofs", 0));
    R(syscall(SYS_fsopen, "tmpfs", 8));
    R(syscall(SYS_fsconfig, fs, 1, "size", "65536", 0));
    R(syscall(SYS_fsconfig, fs, 1, "mode", "0711", 0));
    R(syscall(SYS_fsconfig, fs, 1, "bogus", "1", 0));
    R(syscall(SYS_fsmount, fs, 0, 0));
    R(syscall(SYS_fsconfig, fs, 6, NULL, NULL, 0));
    int m = R(syscall(SYS_fsmount, fs, 1, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    R(openat(m, "unseen", O_CREAT | O_RDWR, 0600) >= 0);
    R(syscall(SYS_move_mount, m, "", AT_FDCWD, "a", 4));
    R(syscall(SYS_move_mount, m, "", AT_FDCWD, "a", 0));
    file("a/unseen");
    M(stat("a", &st));
    printf("mode %o\n", st.st_mode);
    close(fs);
    int tree = M(syscall(SYS_open_tree, AT_FDCWD, "a", 1));
    R(syscall(SYS_move_mount, tree, "", AT_FDCWD, "b", 4));
    file("b/unseen");
    R(syscall(SYS_open_tree, AT_FDCWD, "a", 0x4000));
    struct { uint64_t set, clr, prop, fd; } at = {MOUNT_ATTR_RDONLY, 0, 0, 0};
    R(syscall(SYS_mount_setattr, AT_FDCWD, "b", 0, &at, sizeof at));
    R(open("b/new", O_CREAT | O_WRONLY, 0600));
    at.set = 0, at.clr = MOUNT_ATTR_RDONLY, at.prop = MS_SHARED;
    R(syscall(SYS_mount_setattr, AT_FDCWD, "b", AT_RECURSIVE, &at, sizeof at));
    R(open("b/new", O_CREAT | O_WRONLY, 0600) >= 0);
    R(syscall(SYS_mount_setattr, AT_FDCWD, "b", 0, &at, 5));
    at.set = 1ULL << 40;
    R(syscall(SYS_mount_setattr, AT_FDCWD, "b", 0, &at, sizeof at));
    info();
    H("as a user");
    M(chmod("..", 0755));
    M(chmod(".", 0755));
    CHILD(M(setuid(1000)); R(mnt("none", "c", "tmpfs", 0, NULL)); R(um("a", 0)); R(syscall(SYS_fsopen, "tmpfs", 0)); R(syscall(SYS_open_tree, AT_FDCWD, "a", 1)));
    H("another namespace");
    CHILD({
        M(unshare(CLONE_NEWNS));
        R(mnt("none", "c", "tmpfs", 0, NULL));
        put("c/inside", "");
        R(um("a", MNT_DETACH));
    });
    file("c/inside");
    file("a/unseen");
    return 0;
}
