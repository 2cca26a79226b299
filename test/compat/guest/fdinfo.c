// /proc/self/fdinfo of files with lines of their own; sysinfo(2) and meminfo agree.
#include "check.h"
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/sysinfo.h>

static char text[4096];

// lines reads what is said of fd.
static void lines(int fd) {
    char path[64];
    sprintf(path, "/proc/self/fdinfo/%d", fd);
    int f = M(open(path, O_RDONLY));
    int n = M(read(f, text, sizeof text - 1));
    text[n] = 0;
    close(f);
}

// show prints the line that begins with key.
static void show(const char *key) {
    char *l = strstr(text, key);
    if (!l) { printf("no %s\n", key); return; }
    printf("%.*s\n", (int)strcspn(l, "\n"), l);
}

int main(void) {
    H("signalfd");
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGHUP), sigaddset(&s, SIGRTMIN), sigaddset(&s, SIGKILL);
    int fd = M(signalfd(-1, &s, 0));
    lines(fd);
    show("sigmask:");
    sigdelset(&s, SIGHUP);
    M(signalfd(fd, &s, 0));
    lines(fd);
    show("sigmask:");

    H("inotify");
    int in = M(inotify_init());
    lines(in);
    show("inotify ");
    M(mkdir("watched", 0755));
    R(inotify_add_watch(in, ".", IN_CREATE | IN_DELETE));
    R(inotify_add_watch(in, "watched", IN_OPEN));
    lines(in);
    struct stat st;
    M(stat("watched", &st));
    char *l = strstr(text, "inotify wd:2"), want[64];
    sprintf(want, "inotify wd:2 ino:%lx ", (long)st.st_ino);
    B(strstr(text, "inotify wd:1") != NULL);
    B(l && strncmp(l, want, strlen(want)) == 0);
    B(l && strstr(l, " mask:20 ") != NULL);
    R(inotify_rm_watch(in, 2));
    lines(in);
    show("inotify wd:2");

    H("position");
    fd = M(open("file", O_RDWR | O_CREAT, 0600));
    M(write(fd, "0123456789", 10));
    lines(fd);
    show("pos:");
    M(lseek(fd, 3, SEEK_SET));
    char c;
    M(read(fd, &c, 1));
    lines(fd);
    show("pos:");
    M(pread(fd, &c, 1, 9));
    lines(fd);
    show("pos:");

    H("memory");
    struct sysinfo si;
    M(sysinfo(&si));
    unsigned long kb = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    fscanf(f, "MemTotal: %lu", &kb);
    B(kb == si.totalram * si.mem_unit / 1024);
    B(si.freeram > 0 && si.freeram < si.totalram);
    return 0;
}
