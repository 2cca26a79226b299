// chroot, pivot_root, walks that leave a root, working directory outside of it.
#include "check.h"
#include <sys/mount.h>

static void cwd(void) {
    char b[256];
    printf("cwd %s\n", syscall(SYS_getcwd, b, sizeof b) < 0 ? ename(errno) : b);
}

int main(void) {
    M(mkdir("r", 0755));
    M(mkdir("r/etc", 0755));
    M(mkdir("r/old", 0755));
    M(mkdir("r/in", 0755));
    put("r/etc/f", "inside");
    put("f", "outside");
    M(symlink("/etc/f", "r/abs"));
    M(symlink("../../../etc/f", "r/in/up"));
    H("chroot");
    R(chroot("none"));
    R(chroot("f"));
    R(chroot(NULL));
    CHILD({
        int out = M(open(".", O_RDONLY | O_DIRECTORY));
        R(chroot("r"));
        cwd(); // still outside
        R(access("/etc/f", F_OK));
        slurp("/abs");
        slurp("/in/up");
        slurp("f");
        R(access("/../../mnt", F_OK));
        R(chdir("/in"));
        cwd();
        R(chdir("../../.."));
        cwd();
        slurp("etc/f");
        R(fchdir(out));
        cwd();
        slurp("f");
        slurp("../w/f");
        R(chroot("."));
        slurp("/f");
        R(chdir(".."));
        R(chdir("/"));
        cwd();
    });
    R(access("/etc", F_OK));
    CHILD(M(chroot("r")); M(chdir("/")); M(mkdir("esc", 0755)); M(chroot("esc")); R(access("../etc/f", F_OK)); R(access("../../../mnt/w/f", F_OK)));
    M(rmdir("r/esc"));
    CHILD(M(setuid(1000)); R(chroot("/")));
    H("executing inside");
    char self[PATH_MAX] = "";
    M(readlink("/proc/self/exe", self, sizeof self - 1));
    CHILD(M(chroot("r")); M(chdir("/")); char *v[] = {"x", NULL}; R(execve(self, v, v + 1)));
    H("pivot_root");
    CHILD({
        M(unshare(CLONE_NEWNS));
        M(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
        R(syscall(SYS_pivot_root, "r", "r/old")); // not a mount
        M(mount("r", "r", NULL, MS_BIND, NULL));
        R(syscall(SYS_pivot_root, "r", "none"));
        R(syscall(SYS_pivot_root, "r", "f"));
        R(syscall(SYS_pivot_root, "r", "/")); // on the mount of the root itself
        R(syscall(SYS_pivot_root, "r", ".")); // not under the new root
        R(syscall(SYS_pivot_root, "none", "none"));
        R(syscall(SYS_pivot_root, "r", "r/old"));
        R(access("/etc/f", F_OK));
        R(access("/old/mnt/w/f", F_OK));
        R(access("/old/etc", F_OK));
        cwd();
        M(chdir("/"));
        cwd();
        slurp("/abs");
        R(umount2("/old", 0));
        R(umount2("/old", MNT_DETACH));
        R(access("/old/mnt", F_OK));
        R(rmdir("/old"));
        R(access("/..", F_OK));
        M(mkdir("/proc", 0755));
        R(mount("proc", "/proc", "proc", 0, NULL));
        char b[64];
        long n = readlink("/proc/self/root", b, 64);
        str("root", b, n);
        n = readlink("/proc/self/exe", b, 64);
        B(n > 0);
        FILE *fp = fopen("/proc/self/mountinfo", "r");
        int lines = 0;
        char l[512];
        while (fgets(l, sizeof l, fp)) lines++;
        R(lines);
    });
    H("pivot over itself");
    M(mkdir("n", 0755));
    CHILD({
        M(unshare(CLONE_NEWNS));
        M(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
        M(mount("none", "n", "tmpfs", 0, NULL));
        M(chdir("n"));
        put("here", "new root");
        R(syscall(SYS_pivot_root, ".", "."));
        R(umount2(".", MNT_DETACH));
        M(chdir("/"));
        slurp("/here");
        R(access("/mnt", F_OK));
    });
    slurp("f");
    H("umount of the root makes its file system read-only");
    CHILD({
        M(unshare(CLONE_NEWNS));
        M(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
        M(mount("none", "n", "tmpfs", 0, NULL));
        M(chroot("n"));
        M(chdir("/"));
        R(mkdir("/x", 0755));
        R(umount2("/", 0));
        R(mkdir("/y", 0755));
    });
    return 0;
}
