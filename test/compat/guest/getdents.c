// getdents64, directory offsets, link counts, d_type, readdir while changing.
#include "check.h"
#include <dirent.h>

struct ent { uint64_t ino; int64_t off; unsigned short len; unsigned char type; char name[]; };

static int cmp(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static void list(const char *path) {
    DIR *d = opendir(path);
    if (!d) { printf("%s: %s\n", path, ename(errno)); return; }
    char *names[64];
    int n = 0;
    struct dirent *e;
    while ((e = readdir(d)) && n < 64) {
        struct stat st;
        M(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW));
        int dots = !strcmp(e->d_name, "..");
        asprintf(&names[n++], "%s type %d ino %s", e->d_name, e->d_type, dots || e->d_ino == st.st_ino ? "same" : "DIFFERENT");
    }
    closedir(d);
    qsort(names, n, sizeof *names, cmp);
    for (int i = 0; i < n; i++) printf("  %s\n", names[i]);
}

int main(void) {
    M(mkdir("d", 0755));
    put("d/file", "");
    M(mkdir("d/dir", 0755));
    M(symlink("x", "d/link"));
    M(mkfifo("d/fifo", 0644));
    M(mknod("d/chr", S_IFCHR, 0x103));
    M(mknod("d/blk", S_IFBLK, 0x701));
    M(mknod("d/sock", S_IFSOCK, 0));
    list("d");
    list("d/dir");
    list("none");
    list("d/file");

    H("raw");
    char b[8192] __attribute__((aligned(8)));
    int fd = M(open("d/dir", O_RDONLY | O_DIRECTORY));
    long n = R(syscall(SYS_getdents64, fd, b, sizeof b));
    struct ent *e = (void *)b;
    printf("%s reclen %d\n", e->name, e->len);
    e = (void *)(b + e->len);
    printf("%s reclen %d\n", e->name, e->len);
    R(n);
    R(syscall(SYS_getdents64, fd, b, sizeof b));
    R(lseek(fd, 0, SEEK_SET));
    R(syscall(SYS_getdents64, fd, b, 10));
    R(syscall(SYS_getdents64, fd, b, 24));
    R(syscall(SYS_getdents64, fd, b, 24));
    R(syscall(SYS_getdents64, fd, b, 24));
    R(lseek(fd, 0, SEEK_SET));
    R(syscall(SYS_getdents64, fd, (void *)8, 100));
    R(syscall(SYS_getdents64, 99, b, 100));
    R(syscall(SYS_getdents64, 1, b, 100));
    R(syscall(SYS_getdents, fd, b, sizeof b));
    int f = M(open("d/file", O_RDONLY));
    R(syscall(SYS_getdents64, f, b, 100));
    int p = M(open("d", O_PATH));
    R(syscall(SYS_getdents64, p, b, 100));
    R(lseek(fd, -1, SEEK_SET));

    H("big");
    M(mkdir("big", 0755));
    char name[64];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "big/file-%04d", i);
        close(M(open(name, O_WRONLY | O_CREAT, 0644)));
    }
    fd = M(open("big", O_RDONLY));
    int seen[500] = {0}, dup = 0, count = 0, round = 0, small = 1;
    while ((n = syscall(SYS_getdents64, fd, b, 1024)) > 0) {
        small = small && n <= 1024;
        for (long o = 0; o < n;) {
            e = (void *)(b + o);
            o += e->len;
            int k;
            if (sscanf(e->name, "file-%d", &k) == 1) {
                dup += seen[k]++;
                count++;
                // What is removed after it was returned does not disturb the rest.
                snprintf(name, sizeof name, "big/%s", e->name);
                M(unlink(name));
            }
        }
        round++;
    }
    R(n);
    R(count);
    R(dup);
    B(small);
    B(round > 10);
    R(rmdir("big"));

    H("telldir");
    DIR *d = opendir("d");
    readdir(d);
    readdir(d);
    readdir(d);
    long pos = telldir(d);
    char *want = strdup(readdir(d)->d_name);
    while (readdir(d)) {}
    seekdir(d, pos);
    struct dirent *again = readdir(d);
    B(again && !strcmp(again->d_name, want));
    rewinddir(d);
    B(!strcmp(readdir(d)->d_name, "."));
    B(!strcmp(readdir(d)->d_name, ".."));
    closedir(d);

    H("link counts");
    struct stat st;
    M(mkdir("n", 0755));
    M(mkdir("n/1", 0755));
    M(mkdir("n/2", 0755));
    M(stat("n", &st));
    R(st.st_nlink);
    M(rmdir("n/1"));
    M(stat("n", &st));
    R(st.st_nlink);
    fd = M(open("n/2", O_RDONLY));
    M(rmdir("n/2"));
    M(fstat(fd, &st));
    R(st.st_nlink);
    R(syscall(SYS_getdents64, fd, b, sizeof b));
    R(mkdirat(fd, "x", 0755));
    R(symlinkat("x", fd, "y"));
    list("/proc/self/fdinfo/none");
    return 0;
}
