// inotify: masks, cookies, moves, queue limits, removal.
#include "check.h"
#include <sys/inotify.h>
#include <sys/ioctl.h>

static uint32_t cookie;

static void drain(int fd) {
    char b[8192] __attribute__((aligned(8)));
    for (;;) {
        long n = read(fd, b, sizeof b);
        if (n <= 0) { printf("  (%s)\n", n ? ename(errno) : "0"); return; }
        for (long o = 0; o < n;) {
            struct inotify_event *e = (void *)(b + o);
            const char *c = "";
            if (e->cookie) { c = e->cookie == cookie ? " cookie same" : " cookie new"; cookie = e->cookie; }
            printf("  wd %d mask %x len %d%s %s\n", e->wd, e->mask, e->len, c, e->len ? e->name : "");
            o += sizeof *e + e->len;
        }
    }
}

int main(void) {
    M(mkdir("d", 0755));
    M(mkdir("e", 0755));
    put("f", "x");
    int fd = R(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    R(inotify_init1(1));
    X(fcntl(fd, F_GETFL));
    R(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    R(inotify_add_watch(fd, "e", IN_ALL_EVENTS));
    R(inotify_add_watch(fd, "f", IN_ALL_EVENTS));
    R(inotify_add_watch(fd, "none", IN_ALL_EVENTS));
    R(inotify_add_watch(fd, "f", 0));
    R(inotify_add_watch(99, "f", IN_MODIFY));
    R(inotify_add_watch(1, "f", IN_MODIFY));
    R(inotify_add_watch(fd, "f", IN_ONLYDIR | IN_MODIFY));
    R(inotify_add_watch(fd, "f", IN_MASK_CREATE | IN_MODIFY));
    R(inotify_add_watch(fd, "f", IN_MASK_CREATE | IN_MASK_ADD | IN_MODIFY));
    R(inotify_rm_watch(fd, 99));
    H("file");
    int f = M(open("d/new", O_RDWR | O_CREAT, 0644));
    M(write(f, "abc", 3));
    M(write(f, "abc", 3)); // the same as the one before: one event
    M(ftruncate(f, 1));
    char b[8];
    M(pread(f, b, 1, 0));
    M(fchmod(f, 0600));
    close(f);
    drain(fd);
    f = M(open("d/new", O_RDONLY));
    close(f);
    M(read(M(open("f", O_RDONLY)), b, 1));
    M(truncate("f", 0));
    drain(fd);
    H("names");
    M(rename("d/new", "d/name"));
    M(rename("d/name", "e/name"));
    M(link("e/name", "d/hard"));
    M(symlink("x", "d/sym"));
    M(unlink("d/hard"));
    M(mkdir("d/sub", 0755));
    M(rmdir("d/sub"));
    M(rename("e/name", "outside"));
    M(rename("outside", "d/in"));
    drain(fd);
    H("mask");
    R(inotify_add_watch(fd, "d", IN_DELETE));
    M(unlink("d/in"));
    put("d/quiet", "");
    R(inotify_add_watch(fd, "d", IN_CREATE | IN_MASK_ADD));
    put("d/loud", "");
    M(unlink("d/quiet"));
    drain(fd);
    H("oneshot, exclude, link");
    R(inotify_add_watch(fd, "d", IN_CREATE | IN_ONESHOT));
    put("d/1", "");
    put("d/2", "");
    drain(fd);
    M(symlink("f", "l"));
    R(inotify_add_watch(fd, "l", IN_DONT_FOLLOW | IN_ALL_EVENTS));
    M(unlink("l"));
    drain(fd);
    H("self");
    R(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    R(ioctl(fd, FIONREAD, b));
    M(unlink("f"));
    drain(fd);
    M(rename("e", "e2"));
    M(rmdir("e2"));
    drain(fd);
    int w = R(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    R(inotify_rm_watch(fd, w));
    R(inotify_rm_watch(fd, w));
    drain(fd);
    H("unlinked while open");
    put("g", "x");
    f = M(open("g", O_RDWR));
    R(inotify_add_watch(fd, "g", IN_ALL_EVENTS));
    M(unlink("g"));
    drain(fd);
    M(write(f, "x", 1));
    close(f);
    drain(fd);
    H("reading");
    R(inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE));
    put("abcdefghijklmnop", "");
    struct pollfd pf = {fd, POLLIN | POLLOUT, 0};
    R(poll(&pf, 1, 0));
    X(pf.revents);
    int n;
    R(ioctl(fd, FIONREAD, &n));
    R(n);
    R(read(fd, b, 8));
    R(read(fd, b, 0));
    R(write(fd, b, 8));
    R(lseek(fd, 0, SEEK_SET));
    drain(fd);
    R(poll(&pf, 1, 0));
    char big[20000];
    for (int i = 0; i < 3; i++) {
        char name[8];
        sprintf(name, "n%d", i);
        put(name, "");
    }
    R(read(fd, big, 40)); // only whole events
    R(read(fd, big, 64));
    close(fd);
    R(inotify_rm_watch(fd, 1));
    H("mmap and exec do not matter, permissions do");
    fd = M(inotify_init1(IN_NONBLOCK));
    M(mkdir("secret", 0700));
    put("wo", "");
    M(chmod("wo", 0222));
    M(chmod("..", 0755));
    M(chmod(".", 0755));
    CHILD(M(setuid(1000)); R(inotify_add_watch(fd, "secret", IN_CREATE)); R(inotify_add_watch(fd, "secret/x", IN_CREATE));
        R(inotify_add_watch(fd, "wo", IN_OPEN)));
    return 0;
}
