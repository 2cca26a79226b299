// Names: loops, lengths, trailing slashes and dots, in every call that takes a name.
#include "check.h"
#include <sys/statfs.h>
#include <sys/xattr.h>

static char longname[300], longpath[5000], deep[4096];

// every tries one name in the calls of the file system. What is made is removed again.
static void every(const char *what, const char *n) {
    struct stat st;
    struct statfs sf;
    char b[64];
    printf("-- %s\n", what);
    int fd;
#define T(e) printf("  %s: %s\n", #e, (e) == -1 ? ename(errno) : "ok")
    T(stat(n, &st));
    T(lstat(n, &st));
    T(access(n, F_OK));
    T(syscall(SYS_faccessat2, AT_FDCWD, n, R_OK, AT_SYMLINK_NOFOLLOW));
    T(fd = open(n, O_RDONLY));
    if (fd >= 0) close(fd);
    T(fd = open(n, O_RDONLY | O_NOFOLLOW));
    if (fd >= 0) close(fd);
    T(fd = open(n, O_PATH | O_NOFOLLOW));
    if (fd >= 0) close(fd);
    T(fd = open(n, O_RDONLY | O_DIRECTORY));
    if (fd >= 0) close(fd);
    int existed = !lstat(n, &st);
    T(fd = open(n, O_RDWR | O_CREAT | O_EXCL, 0600));
    if (fd >= 0) close(fd), unlink(n);
    T(fd = open(n, O_RDWR | O_CREAT, 0600));
    if (fd >= 0) close(fd);
    if (fd >= 0 && !existed) unlink(n);
    T(readlink(n, b, sizeof b));
    T(chmod(n, 0755));
    T(lchown(n, -1, -1));
    T(truncate(n, 3));
    T(statfs(n, &sf));
    T(utimensat(AT_FDCWD, n, NULL, AT_SYMLINK_NOFOLLOW));
    T(getxattr(n, "user.none", b, sizeof b));
    int made;
    T(made = mkdir(n, 0700));
    if (!made) rmdir(n);
    T(made = mkfifo(n, 0600));
    if (!made) unlink(n);
    T(made = symlink("x", n));
    if (!made) unlink(n);
    T(made = link("plain", n));
    if (!made) unlink(n);
    T(made = rename("spare", n));
    if (!made) put("spare", "");
    T(made = rename("sparedir", n));
    if (!made) mkdir("sparedir", 0700);
    T(chdir(n));
    syscall(SYS_chdir, "/mnt/w");
#undef T
}

int main(void) {
    put("plain", "text");
    put("spare", "");
    M(mkdir("sparedir", 0700));
    M(mkdir("dir", 0755));
    M(symlink("dir", "ldir"));
    M(symlink("dir/", "ldirslash"));
    M(symlink("plain", "lplain"));
    M(symlink("plain/", "lplainslash"));
    M(symlink("nothing", "dangling"));
    M(symlink("nothing/", "danglingslash"));
    M(symlink("self", "self"));
    M(symlink("b", "a"));
    M(symlink("a", "b"));
    memset(longname, 'n', 255);
    memset(longpath, 'p', sizeof longpath - 1);
    every("missing", "missing");
    every("missing/", "missing/");
    every("missing/x", "missing/x");
    every("missing/.", "missing/.");
    every("lplain", "lplain");
    every("lplain/", "lplain/");
    every("ldir", "ldir");
    every("ldir/", "ldir/");
    every("ldir/.", "ldir/.");
    every("lplainslash", "lplainslash");
    every("dangling", "dangling");
    every("dangling/", "dangling/");
    every("danglingslash", "danglingslash");
    every("self", "self");
    every("self/x", "self/x");
    every("a/", "a/");
    every("empty", "");
    every("plain/x", "plain/x");
    every("plain/.", "plain/.");
    every("plain/..", "plain/..");
    every(".", ".");
    every("..", "..");
    every("//", "//");
    every("255 bytes", longname);
    longname[255] = 'n';
    every("256 bytes", longname);
    every("a long path", longpath);

    H("40 links are followed, 41 are not");
    M(mkdir("chain", 0755));
    put("chain/0", "end");
    for (int i = 1; i <= 42; i++) {
        char from[16], to[32];
        sprintf(from, "%d", i - 1);
        sprintf(to, "chain/%d", i);
        M(symlink(from, to));
    }
    R(access("chain/39", F_OK));
    R(access("chain/40", F_OK));
    R(access("chain/41", F_OK));
    // Links in the middle count too.
    char *p = deep;
    for (int i = 0; i < 41; i++) p += sprintf(p, "ldir/../");
    strcpy(p, "plain");
    R(access(deep, F_OK));
    p = deep;
    for (int i = 0; i < 40; i++) p += sprintf(p, "ldir/../");
    strcpy(p, "plain");
    R(access(deep, F_OK));

    H("4095 bytes and more");
    memset(longpath, '/', sizeof longpath);
    strcpy(longpath + 4095 - 6, "mnt/w/");
    R(strlen(longpath));
    R(access(longpath, F_OK));
    strcpy(longpath + 4095 - 5, "mnt/w/");
    R(access(longpath, F_OK));
    H("a target of a symlink");
    memset(longpath, 't', sizeof longpath);
    longpath[4095] = 0;
    R(symlink(longpath, "long1"));
    longpath[4095] = 't', longpath[4096] = 0;
    R(symlink(longpath, "long2"));
    R(symlink("", "empty"));
    char big[5000];
    R(readlink("long1", big, sizeof big));
    R(readlink("long1", big, 10));
    struct stat st;
    M(lstat("long1", &st));
    R(st.st_size);
    R(access("long1", F_OK));

    H("depth: more than PATH_MAX by chdir");
    char name[201];
    memset(name, 'd', 200);
    name[200] = 0;
    int ok = 1;
    for (int i = 0; i < 25; i++) ok = ok && !mkdir(name, 0755) && !chdir(name);
    R(ok);
    char cwd[8192];
    R(syscall(SYS_getcwd, cwd, sizeof cwd) > 0 ? 1 : -1);
    R(syscall(SYS_getcwd, cwd, 4096) > 0 ? 1 : -1);
    put("f", "deep");
    slurp("f");
    for (int i = 0; i < 25; i++) M(chdir(".."));
    R(access("plain", F_OK));

    H("a directory that is gone");
    M(mkdir("gone", 0755));
    M(chdir("gone"));
    M(rmdir("/mnt/w/gone"));
    R(syscall(SYS_getcwd, cwd, sizeof cwd));
    R(open("x", O_CREAT | O_RDWR, 0600));
    R(mkdir("x", 0700));
    R(access(".", F_OK));
    R(access("..", F_OK));
    R(access("x", F_OK));
    R(rmdir("."));
    R(rename("/mnt/w/plain", "x"));
    R(symlink("x", "y"));
    R(chdir(".."));
    R(access("plain", F_OK));
    return 0;
}
