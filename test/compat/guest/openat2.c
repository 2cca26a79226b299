// openat2: how and RESOLVE_* rules.
#include "check.h"
#include <linux/openat2.h>

static int o2(int d, const char *p, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    long r = syscall(SYS_openat2, d, p, &how, sizeof how);
    if (r >= 0) close(r);
    return r < 0 ? -1 : 0;
}

int main(void) {
    M(mkdir("d", 0755));
    M(mkdir("d/e", 0755));
    put("f", "x");
    put("d/f", "y");
    M(symlink("../f", "d/up"));
    M(symlink("/mnt/w/f", "d/abs"));
    M(symlink("f", "d/in"));
    M(symlink("e", "d/dirlink"));
    M(symlink("/f", "d/rootf"));
    M(symlink("/proc/self/fd/0", "d/magic"));
    int d = M(open("d", O_PATH | O_DIRECTORY));
    H("arguments");
    R(o2(d, "f", O_RDONLY, 0, 0));
    R(o2(d, "f", O_RDONLY, 0644, 0));
    R(o2(d, "n", O_RDWR | O_CREAT, 0600, 0));
    R(o2(d, "n", O_RDWR | O_CREAT, 010000, 0));
    R(o2(d, "n", O_RDWR | O_CREAT, 07777, 0));
    R(o2(d, "f", 1ULL << 40, 0, 0));
    R(o2(d, "f", 0x80000000ULL, 0, 0));
    R(o2(d, "f", O_RDONLY, 0, 1 << 20));
    R(o2(d, "f", O_PATH | O_RDWR, 0, 0));
    R(o2(d, "f", O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, 0));
    R(o2(d, "e", O_TMPFILE | O_RDONLY, 0600, 0));
    R(o2(d, "e", O_TMPFILE | O_RDWR, 0600, 0));
    R(o2(d, "e", O_DIRECTORY | O_CREAT, 0600, 0));
    R(o2(99, "f", O_RDONLY, 0, 0));
    R(o2(d, "", O_RDONLY, 0, 0));
    struct { struct open_how h; uint64_t extra; } big = {{.flags = O_RDONLY}, 0};
    R(syscall(SYS_openat2, d, "f", &big, sizeof big) >= 0);
    big.extra = 1;
    R(syscall(SYS_openat2, d, "f", &big, sizeof big));
    R(syscall(SYS_openat2, d, "f", &big, sizeof big.h - 1));
    R(syscall(SYS_openat2, d, "f", &big, 0));
    R(syscall(SYS_openat2, d, "f", &big, 5000));
    R(syscall(SYS_openat2, d, "f", NULL, sizeof big.h));
    R(syscall(SYS_openat2, d, NULL, &big.h, sizeof big.h));

    static const struct { const char *name; uint64_t v; } rs[] = {
        {"none", 0}, {"BENEATH", RESOLVE_BENEATH}, {"IN_ROOT", RESOLVE_IN_ROOT},
        {"NO_SYMLINKS", RESOLVE_NO_SYMLINKS}, {"NO_MAGICLINKS", RESOLVE_NO_MAGICLINKS},
        {"NO_XDEV", RESOLVE_NO_XDEV}, {"BENEATH|IN_ROOT", RESOLVE_BENEATH | RESOLVE_IN_ROOT},
        {"CACHED", RESOLVE_CACHED}};
    static const char *paths[] = {"f", "in", "up", "abs", "rootf", "dirlink/../f", "../f", "..", "../d/f",
        "e/../../f", "/f", "/mnt/w/f", "/", "magic", "none", ".", "e/..", "f/..", "dirlink", "e/../f"};
    for (unsigned i = 0; i < sizeof rs / sizeof *rs; i++) {
        H(rs[i].name);
        for (unsigned j = 0; j < sizeof paths / sizeof *paths; j++) {
            if (rs[i].v == RESOLVE_CACHED && strcmp(paths[j], "f")) continue;
            int r = o2(d, paths[j], O_RDONLY, 0, rs[i].v);
            printf("%s: %s\n", paths[j], r ? ename(errno) : "ok");
        }
    }
    H("mount");
    M(mkdir("m", 0755));
    OK(syscall(SYS_mount, "t", "m", "tmpfs", 0, ""));
    put("m/in", "z");
    R(o2(AT_FDCWD, "m/in", O_RDONLY, 0, 0));
    R(o2(AT_FDCWD, "m/in", O_RDONLY, 0, RESOLVE_NO_XDEV));
    R(o2(AT_FDCWD, "m", O_RDONLY, 0, RESOLVE_NO_XDEV));
    R(o2(AT_FDCWD, "f", O_RDONLY, 0, RESOLVE_NO_XDEV));
    R(o2(AT_FDCWD, "..", O_RDONLY, 0, RESOLVE_NO_XDEV));
    R(o2(AT_FDCWD, "../..", O_RDONLY, 0, RESOLVE_NO_XDEV));
    int m = M(open("m", O_PATH));
    R(o2(m, "..", O_RDONLY, 0, RESOLVE_NO_XDEV));
    R(o2(m, "in", O_RDONLY, 0, RESOLVE_NO_XDEV));
    R(o2(m, "/mnt/w/f", O_RDONLY, 0, RESOLVE_NO_XDEV));
    R(o2(AT_FDCWD, "d/in", O_RDONLY | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS));
    R(o2(AT_FDCWD, "d/in", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS));
    R(o2(AT_FDCWD, "/proc/self/fd/0", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_MAGICLINKS));
    R(o2(AT_FDCWD, "/proc/self/fd/0", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
    R(o2(AT_FDCWD, "/proc/self/status", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
    R(o2(AT_FDCWD, "/proc/self/status", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
    return 0;
}
