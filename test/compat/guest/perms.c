// Permission rules for users who are not root.
#include "check.h"
#include <grp.h>
#include <sys/fsuid.h>

static void user(int uid, int gid) {
    M(setgroups(0, NULL));
    M(setresgid(gid, gid, gid));
    M(setresuid(uid, uid, uid));
}

static void probe(const char *p) {
    printf("%s: access", p);
    for (int m = 0; m < 8; m++) printf(" %s", access(p, m) ? ename(errno) : "ok");
    int r = open(p, O_RDONLY), w = open(p, O_WRONLY);
    printf(" open %s %s\n", r < 0 ? "r-" : "r+", w < 0 ? "w-" : "w+");
}

int main(void) {
    M(chmod("..", 0755));
    M(chmod(".", 0755));
    static const int modes[] = {0, 0400, 0040, 0004, 0200, 0020, 0002, 0100, 0010, 0001, 0666, 0444, 0711, 0070};
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++) {
        char n[16];
        sprintf(n, "m%03o", modes[i]);
        put(n, "x");
        M(chown(n, 1000, 2000));
        M(chmod(n, modes[i]));
    }
    M(mkdir("priv", 0700));
    put("priv/f", "x");
    M(mkdir("xonly", 0711));
    put("xonly/f", "x");
    M(mkdir("ronly", 0744));
    put("ronly/f", "x");
    M(mkdir("open", 0777));
    M(chmod("open", 0777));
    put("open/f", "x");
    static const int ids[][2] = {{0, 0}, {1000, 5}, {5, 2000}, {5, 5}};
    for (int u = 0; u < 4; u++) {
        printf("## uid %d gid %d\n", ids[u][0], ids[u][1]);
        CHILD({
            user(ids[u][0], ids[u][1]);
            for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++) {
                char n[16];
                sprintf(n, "m%03o", modes[i]);
                probe(n);
            }
        });
    }
    H("directories");
    CHILD({
        user(5, 5);
        R(open("priv/f", O_RDONLY));
        R(open("priv", O_RDONLY));
        R(chdir("priv"));
        R(access("priv/none", F_OK));
        R(open("xonly", O_RDONLY));
        R(open("xonly/f", O_RDONLY));
        R(open("xonly/none", O_RDONLY));
        R(open("xonly/new", O_CREAT | O_RDWR, 0600));
        R(open("ronly/f", O_RDONLY));
        R(open("ronly", O_RDONLY) >= 0);
        R(chdir("ronly"));
        R(mkdir("xonly/d", 0755));
        R(unlink("xonly/f"));
        R(unlink("ronly/f"));
        R(unlink("open/f"));
        R(symlink("x", "xonly/s"));
        R(link("m000", "open/l"));
        R(link("m666", "open/l"));
        R(rename("xonly/f", "open/f"));
        R(open("open/new", O_CREAT | O_RDWR, 0) >= 0);
        R(open("open/new", O_RDONLY));
        R(chmod("open/new", 0444));
        R(chmod("m666", 0777));
        R(chown("open/new", 6, -1));
        R(chown("open/new", -1, 5));
        R(chown("open/new", 5, 5));
        R(chown("open/new", -1, 0));
        R(utimensat(AT_FDCWD, "m666", NULL, 0));
        R(utimensat(AT_FDCWD, "m444", NULL, 0));
        struct timespec ts[2] = {{1, 1}, {1, 1}};
        R(utimensat(AT_FDCWD, "m666", ts, 0));
        R(utimensat(AT_FDCWD, "open/new", ts, 0));
        R(truncate("m444", 0));
        R(truncate("m666", 0));
        R(mknod("open/dev", S_IFCHR | 0666, 0x103));
        R(mknod("open/fifo", S_IFIFO | 0666, 0));
        R(open("m444", O_RDONLY | O_NOATIME));
        R(open("m444", O_RDONLY | O_TRUNC));
        R(chroot("open"));
        R(syscall(SYS_mount, "t", "open", "tmpfs", 0, ""));
        R(chmod("open/new", 02755));
        struct stat st;
        M(stat("open/new", &st));
        printf("%o\n", st.st_mode);
    });
    H("real and effective");
    CHILD({
        M(setresuid(5, 0, 0));
        R(access("m000", R_OK));
        R(faccessat(AT_FDCWD, "m000", R_OK, AT_EACCESS));
        R(open("m000", O_RDONLY) >= 0);
        R(access("m000", 8));
        R(faccessat(AT_FDCWD, "m666", W_OK, AT_SYMLINK_NOFOLLOW));
        R(syscall(SYS_faccessat2, AT_FDCWD, "", R_OK, AT_EMPTY_PATH));
        R(syscall(SYS_faccessat2, AT_FDCWD, "m000", R_OK, 0x8000));
    });
    CHILD({
        R(setfsuid(1000));
        R(setfsuid(-1));
        R(open("m400", O_RDONLY) >= 0);
        R(open("m040", O_RDONLY));
        R(open("m004", O_RDONLY));
        R(setfsuid(0));
        R(open("m004", O_RDONLY) >= 0);
    });
    H("groups");
    CHILD({
        gid_t g[] = {2000, 3000};
        M(setgroups(2, g));
        M(setresgid(5, 5, 5));
        M(setresuid(5, 5, 5));
        R(open("m040", O_RDONLY) >= 0);
        R(open("m004", O_RDONLY));
        R(getgroups(0, NULL));
        R(getgroups(1, g));
        R(setgroups(0, NULL));
    });
    H("as root");
    R(access("m000", R_OK | W_OK));
    R(access("m000", X_OK));
    R(access("m010", X_OK));
    R(access("priv", X_OK));
    return 0;
}
