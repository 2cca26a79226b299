// Extended attributes: user, trusted, security; names, sizes, flags, permissions.
#include "check.h"
#include <sys/xattr.h>

static int cmp(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static void list(const char *p) {
    char b[1024];
    long n = llistxattr(p, b, sizeof b);
    char *names[16];
    int k = 0;
    printf("%s: list %s", p, n < 0 ? ename(errno) : "");
    for (char *s = b; n > 0 && s < b + n && k < 16; s += strlen(s) + 1) names[k++] = s;
    qsort(names, k, sizeof *names, cmp);
    for (int i = 0; i < k; i++) printf(" %s", names[i]);
    putchar('\n');
}

int main(void) {
    char b[64], *huge = calloc(1, 70000);
    put("f", "x");
    M(mkdir("d", 0755));
    M(symlink("f", "l"));
    M(mkfifo("p", 0666));
    R(setxattr("f", "user.a", "value", 5, 0));
    R(getxattr("f", "user.a", b, sizeof b));
    str("value", b, 5);
    R(getxattr("f", "user.a", NULL, 0));
    R(getxattr("f", "user.a", b, 3));
    R(getxattr("f", "user.b", b, sizeof b));
    R(setxattr("f", "user.a", "v2", 2, XATTR_CREATE));
    R(setxattr("f", "user.a", "v2", 2, XATTR_REPLACE));
    R(setxattr("f", "user.b", "v2", 2, XATTR_REPLACE));
    R(setxattr("f", "user.b", "", 0, XATTR_CREATE));
    R(getxattr("f", "user.b", b, sizeof b));
    R(setxattr("f", "user.c", "x", 1, XATTR_CREATE | XATTR_REPLACE));
    R(setxattr("f", "user.c", "x", 1, 4));
    R(setxattr("f", "user.", "x", 1, 0));
    R(setxattr("f", "user", "x", 1, 0));
    R(setxattr("f", "", "x", 1, 0));
    R(setxattr("f", "bogus.x", "x", 1, 0));
    R(getxattr("f", "bogus.x", b, sizeof b));
    R(setxattr("f", "trusted.t", "tt", 2, 0));
    R(getxattr("f", "trusted.t", b, sizeof b));
    R(setxattr("f", "security.mine", "s", 1, 0));
    R(getxattr("f", "security.mine", b, sizeof b));
    list("f");
    R(listxattr("f", NULL, 0));
    R(listxattr("f", b, 3));
    char name[300];
    memset(name, 'n', sizeof name);
    memcpy(name, "user.", 5);
    name[255] = 0;
    R(setxattr("f", name, "x", 1, 0));
    R(removexattr("f", name));
    name[255] = 'n', name[256] = 0;
    R(setxattr("f", name, "x", 1, 0));
    R(setxattr("f", "user.big", huge, 65536, 0));
    R(getxattr("f", "user.big", NULL, 0));
    R(setxattr("f", "user.big", huge, 65537, 0));
    R(removexattr("f", "user.big"));
    R(removexattr("f", "user.big"));
    H("kinds of files");
    R(setxattr("d", "user.a", "x", 1, 0));
    R(setxattr("p", "user.a", "x", 1, 0));
    R(setxattr("p", "trusted.a", "x", 1, 0));
    R(lsetxattr("l", "user.a", "x", 1, 0));
    R(lsetxattr("l", "trusted.a", "x", 1, 0));
    R(lgetxattr("l", "user.a", b, sizeof b));
    R(getxattr("l", "user.a", b, sizeof b));
    list("l");
    list("d");
    list("p");
    int fd = M(open("f", O_RDONLY));
    R(fsetxattr(fd, "user.fd", "x", 1, 0));
    R(fgetxattr(fd, "user.fd", b, sizeof b));
    R(flistxattr(fd, NULL, 0) > 0);
    R(fremovexattr(fd, "user.fd"));
    int o = M(open("f", O_PATH));
    R(fgetxattr(o, "user.a", b, sizeof b));
    R(fgetxattr(99, "user.a", b, sizeof b));
    R(getxattr("none", "user.a", b, sizeof b));
    R(setxattr("f", "user.a", NULL, 5, 0));
    R(setxattr("f", NULL, "x", 1, 0));
    R(getxattr("/proc/self/status", "user.a", b, sizeof b));
    R(setxattr("/proc/self/status", "user.a", b, 1, 0));
    H("access lists");
    R(getxattr("f", "system.posix_acl_access", b, sizeof b));
    R(setxattr("f", "system.posix_acl_access", "junk", 4, 0));
    H("permissions");
    M(chmod("..", 0755));
    M(chmod(".", 0755));
    M(chmod("f", 0644));
    M(chmod("d", 01777));
    CHILD({
        M(setuid(1000));
        R(getxattr("f", "user.a", b, sizeof b));
        R(setxattr("f", "user.a", "z", 1, 0));
        R(removexattr("f", "user.a"));
        R(getxattr("f", "trusted.t", b, sizeof b));
        R(setxattr("f", "trusted.t", "z", 1, 0));
        R(getxattr("f", "security.mine", b, sizeof b));
        R(setxattr("f", "security.mine", "z", 1, 0));
        list("f");
        R(setxattr("d", "user.a", "z", 1, 0));
        R(getxattr("d", "user.a", b, sizeof b));
    });
    M(chmod("f", 0200));
    CHILD(M(setuid(1000)); R(getxattr("f", "user.a", b, sizeof b)); list("f"));
    H("capabilities");
    static const unsigned char cap2[20] = {1, 0, 0, 2, 0, 4, 0, 0};
    R(setxattr("f", "security.capability", cap2, 20, 0));
    R(getxattr("f", "security.capability", b, sizeof b));
    str("capability", b, 20);
    R(setxattr("f", "security.capability", cap2, 7, 0));
    R(write(open("f", O_WRONLY), "x", 1));
    R(getxattr("f", "security.capability", b, sizeof b));
    return 0;
}
