// Modes of new files: umask, set-group-id and sticky directories, who may remove, link and
// follow, access and faccessat2 with real and effective ids.
#include "check.h"
#include <grp.h>
#include <sys/fsuid.h>

static void mode(const char *p) {
    struct stat st;
    if (lstat(p, &st)) printf("%s: %s\n", p, ename(errno));
    else printf("%s: mode %o uid %d gid %d\n", p, st.st_mode, st.st_uid, st.st_gid);
}
static void become(int uid, int gid) {
    M(setgroups(0, NULL));
    M(setresgid(gid, gid, gid));
    M(setresuid(uid, uid, uid));
}

int main(void) {
    M(chmod("..", 0755));
    M(chmod(".", 0777));
    H("umask");
    static const int masks[] = {0, 022, 077, 0777, 0111};
    for (int i = 0; i < 5; i++) {
        umask(masks[i]);
        printf("-- %o\n", masks[i]);
        close(M(open("f", O_CREAT | O_RDWR, 07777)));
        mode("f");
        M(unlink("f"));
        M(mkdir("f", 07777));
        mode("f");
        M(rmdir("f"));
        M(mknod("f", S_IFREG | 06777, 0));
        mode("f");
        M(unlink("f"));
        M(mkfifo("f", 0777));
        mode("f");
        M(unlink("f"));
        M(symlink("x", "f"));
        mode("f");
        M(unlink("f"));
        int fd = M(open(".", O_TMPFILE | O_RDWR, 0777));
        struct stat st;
        M(fstat(fd, &st));
        printf("tmpfile: %o\n", st.st_mode);
        close(fd);
    }
    R(umask(01777));
    X(umask(022));
    H("a mode without rights for the maker");
    CHILD(become(1000, 1000); int fd = R(open("none", O_CREAT | O_RDWR, 0)); R(write(fd, "x", 1)); R(open("none", O_RDONLY)); R(open("none", O_CREAT | O_RDWR, 0)));
    H("set-group-id directories");
    M(mkdir("sg", 02777));
    M(chown("sg", 5, 50));
    M(chmod("sg", 02777));
    CHILD({
        become(1000, 1000);
        put("sg/f", "");
        mode("sg/f");
        M(mkdir("sg/d", 0755));
        mode("sg/d");
        M(mkdir("sg/d/e", 0700));
        mode("sg/d/e");
        M(symlink("x", "sg/l"));
        mode("sg/l");
        close(M(open("sg/g", O_CREAT | O_RDWR, 02775))); // not in the group
        mode("sg/g");
        close(M(open("sg/g2", O_CREAT | O_RDWR, 02765)));
        mode("sg/g2");
        M(mknod("sg/n", S_IFREG | 02775, 0));
        mode("sg/n");
        R(chmod("sg/f", 02755));
        mode("sg/f");
        R(chmod("sg/d", 02755));
        mode("sg/d");
    });
    close(M(open("sg/root", O_CREAT | O_RDWR, 02775)));
    mode("sg/root");
    H("sticky directories");
    M(mkdir("st", 0777));
    M(chmod("st", 01777));
    CHILD({
        become(1000, 1000);
        put("st/a", "");
        M(mkdir("st/ad", 0777));
        M(chmod("st/ad", 0777));
        M(chmod("st/a", 0666));
        M(symlink("a", "st/al"));
        M(mkfifo("st/ap", 0666));
        M(chmod("st/ap", 0666));
    });
    CHILD({
        become(1001, 1001);
        R(unlink("st/a"));
        R(rename("st/a", "st/b"));
        R(rmdir("st/ad"));
        R(rename("st/ad", "st/b"));
        put("st/mine", "");
        R(rename("st/mine", "st/a"));
        R(syscall(SYS_renameat2, AT_FDCWD, "st/mine", AT_FDCWD, "st/a", 2));
        R(rename("st/mine", "st/mine2"));
        R(link("st/a", "st/hard"));
        put("st/ad/x", "");
        R(rename("st/ad/x", "st/ad/y"));
        R(open("st/a", O_RDWR) >= 0);
        R(utimes("st/a", NULL));
        R(chmod("st/a", 0600));
    });
    CHILD(become(1000, 1000); R(unlink("st/mine2")); R(unlink("st/a")); R(rmdir("st/ad")));
    CHILD({ // a capability instead of the ownership
        R(unlink("st/mine2"));
        R(unlink("st/ad/y"));
    });
    H("access: the real ids");
    put("r", "");
    M(chown("r", 1000, 1000));
    M(chmod("r", 0640));
    put("x", "");
    M(chmod("x", 0100));
    M(mkdir("nox", 0700));
    put("nox/f", "");
    R(access("r", R_OK | W_OK));
    R(access("r", X_OK)); // root needs one x bit
    R(access("x", X_OK));
    R(access("r", 8));
    R(access("nox", X_OK));
    CHILD({
        M(setresuid(1000, 0, 0));
        R(access("nox/f", F_OK));
        R(access("r", R_OK));
        R(access("x", X_OK));
        R(syscall(SYS_faccessat2, AT_FDCWD, "nox/f", F_OK, AT_EACCESS));
        R(syscall(SYS_faccessat2, AT_FDCWD, "x", X_OK, AT_EACCESS));
        R(syscall(SYS_faccessat2, AT_FDCWD, "x", X_OK, 0x8000));
        int fd = M(open("x", O_PATH));
        R(syscall(SYS_faccessat2, fd, "", X_OK, AT_EMPTY_PATH));
        R(syscall(SYS_faccessat2, fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS));
        R(syscall(SYS_faccessat, fd, "", X_OK));
    });
    CHILD({
        M(setresuid(0, 1000, 0));
        R(access("nox/f", F_OK)); // real root
        R(open("nox/f", O_RDONLY));
    });
    H("file system ids");
    CHILD({
        R(setfsuid(1000));
        R(setfsuid(-1));
        R(open("nox/f", O_RDONLY));
        close(M(open("fs", O_CREAT | O_RDWR, 0600)));
        mode("fs");
        R(setfsgid(77));
        close(M(open("fs2", O_CREAT | O_RDWR, 0600)));
        mode("fs2");
        R(setfsuid(0));
    });
    H("supplementary groups");
    M(mkdir("grp", 0770));
    M(chown("grp", 0, 300));
    M(chmod("grp", 0770));
    CHILD({
        gid_t g[2] = {300, 301};
        M(setgroups(2, g));
        M(setresgid(1000, 1000, 1000));
        M(setresuid(1000, 1000, 1000));
        put("grp/f", "");
        mode("grp/f");
        R(chown("grp/f", -1, 301));
        R(chown("grp/f", -1, 302));
        R(chown("grp/f", 1001, -1));
        mode("grp/f");
        R(chmod("grp/f", 02770));
        mode("grp/f");
        R(chown("grp/f", -1, 300));
        mode("grp/f");
    });
    H("a group without the right that others have");
    put("odd", "o");
    M(chown("odd", 0, 1000));
    M(chmod("odd", 0604));
    CHILD(become(1000, 1000); R(open("odd", O_RDONLY)));
    CHILD(become(1001, 1001); R(open("odd", O_RDONLY) >= 0));
    H("directories");
    M(mkdir("wx", 0733));
    M(chmod("wx", 0733));
    M(mkdir("ro", 0755));
    put("ro/f", "");
    M(mkdir("r-only", 0744));
    put("r-only/f", "");
    CHILD({
        become(1000, 1000);
        put("wx/f", "");
        R(open("wx", O_RDONLY));
        R(access("wx/f", F_OK));
        R(unlink("wx/f"));
        R(unlink("ro/f"));
        R(mkdir("ro/d", 0700));
        R(rename("ro/f", "wx/f"));
        R(link("ro/f", "wx/f"));
        R(open("r-only", O_RDONLY) >= 0);
        R(access("r-only/f", F_OK));
        R(chdir("r-only"));
        R(open("ro/new", O_CREAT | O_RDWR, 0600));
        R(open("ro/f", O_CREAT | O_RDONLY, 0600) >= 0);
        R(open("ro/f", O_RDONLY | O_TRUNC));
        R(truncate("ro/f", 0));
        R(chmod("ro/f", 0600));
        R(chown("ro/f", 1000, 1000));
        R(utimensat(AT_FDCWD, "ro/f", NULL, 0));
        struct timespec ts[2] = {{1, 1}, {1, 1}};
        R(utimensat(AT_FDCWD, "ro/f", ts, 0));
        R(open("ro/f", O_RDONLY | O_NOATIME));
    });
    return 0;
}
