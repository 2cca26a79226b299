// /proc: files of a process and of the system, their formats and keys.
#include "check.h"
#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

static char b[65536];
static long rd(const char *p) {
    int fd = open(p, O_RDONLY);
    if (fd < 0) { printf("%s: %s\n", p, ename(errno)); b[0] = 0; return -1; }
    long n = 0, r;
    while ((r = read(fd, b + n, sizeof b - 1 - n)) > 0) n += r;
    b[n] = 0;
    close(fd);
    return n;
}
// keys prints which of the names are at the start of a line.
static void keys(const char *p, const char *names) {
    rd(p);
    char *dup = strdup(names), *save, *k;
    printf("%s:", p);
    for (k = strtok_r(dup, " ", &save); k; k = strtok_r(NULL, " ", &save)) {
        int found = 0;
        for (char *l = b; l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL) found = found || (!strncmp(l, k, strlen(k)));
        printf(" %s%s", found ? "" : "NO-", k);
    }
    putchar('\n');
    free(dup);
}
static void link_(const char *p) {
    char l[256];
    long n = readlink(p, l, 255);
    printf("%s -> ", p);
    if (n < 0) printf("%s\n", ename(errno)); else { l[n] = 0; printf("%s\n", l); }
}
static void mode(const char *p) {
    struct stat st;
    if (lstat(p, &st)) printf("%s: %s\n", p, ename(errno));
    else printf("%s: %o size %ld\n", p, st.st_mode, S_ISDIR(st.st_mode) ? 0 : (long)st.st_size);
}
static int value(const char *key) { char *s = strstr(b, key); return s ? atoi(s + strlen(key)) : -1; }
static volatile pid_t worker;
static void *sleeper(void *a) { prctl(PR_SET_NAME, "worker"); worker = gettid(); for (;;) pause(); return NULL; }

int main(void) {
    char p[128];
    M(syscall(SYS_close_range, 3, ~0U, 0)); // descriptors are counted
    H("status");
    keys("/proc/self/status", "Name: Umask: State: Tgid: Pid: PPid: TracerPid: Uid: Gid: FDSize: Groups: VmPeak: VmSize: VmRSS: VmData: VmStk: VmExe: Threads: SigQ: SigPnd: ShdPnd: SigBlk: SigIgn: SigCgt: CapInh: CapPrm: CapEff: CapBnd: CapAmb: NoNewPrivs: Seccomp: Cpus_allowed: voluntary_ctxt_switches: nonvoluntary_ctxt_switches:");
    B(value("\nPid:\t") == getpid() && value("PPid:\t") == getppid() && value("Tgid:\t") == getpid());
    printf("threads %d uid %d umask %o\n", value("Threads:\t"), value("Uid:\t"), (int)strtol(strstr(b, "Umask:\t") + 7, NULL, 8));
    B(value("VmRSS:") > 0 && value("VmSize:") >= value("VmRSS:"));
    B(strstr(b, "State:\tR (running)") != NULL);
    unsigned long dfl[4] = {0}; // what the caller left ignored, also glibc's own signals
    for (int i = 1; i <= 64; i++) syscall(SYS_rt_sigaction, i, dfl, NULL, 8);
    signal(SIGUSR1, SIG_IGN);
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGHUP);
    sigprocmask(SIG_BLOCK, &s, NULL);
    raise(SIGHUP);
    rd("/proc/self/status");
    char *f[] = {"SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:"};
    for (int i = 0; i < 4; i++) printf("%.24s\n", strstr(b, f[i]));
    H("stat, statm, io, limits");
    rd("/proc/self/stat");
    char comm[64], state;
    int pid, ppid, pgrp, sid, tty, n = 0;
    sscanf(b, "%d %63s %c %d %d %d %d", &pid, comm, &state, &ppid, &pgrp, &sid, &tty);
    B(pid == getpid() && ppid == getppid() && pgrp == getpgrp() && sid == getsid(0));
    printf("%s %c %d\n", comm, state, tty);
    for (char *c = b; *c; c++) n += *c == ' ';
    R(n + 1); // fields
    rd("/proc/self/statm");
    int size, res;
    R(sscanf(b, "%d %d", &size, &res));
    B(size > res && res > 0);
    keys("/proc/self/io", "rchar: wchar: syscr: syscw: read_bytes: write_bytes: cancelled_write_bytes:");
    rd("/proc/self/limits");
    printf("%.78s\n", b);
    char *l = strstr(b, "Max open files");
    B(l != NULL);
    rd("/proc/self/limits");
    n = 0;
    for (char *c = b; *c; c++) n += *c == '\n';
    R(n);
    H("maps");
    rd("/proc/self/maps");
    int ok = 1, stack = strstr(b, "[stack]") != NULL, heap = strstr(b, "[heap]") != NULL, vdso = strstr(b, "[vdso]") != NULL;
    unsigned long prev = 0;
    for (char *c = strtok(b, "\n"); c; c = strtok(NULL, "\n")) {
        unsigned long lo, hi, off, ino;
        char perm[8];
        unsigned ma, mi;
        ok = ok && sscanf(c, "%lx-%lx %7s %lx %x:%x %lu", &lo, &hi, perm, &off, &ma, &mi, &ino) == 7 && lo < hi && lo >= prev && strlen(perm) == 4;
        if (strcmp(strrchr(c, ' ') + 1, "[vsyscall]")) prev = hi;
    }
    printf("format %d stack %d heap %d vdso %d\n", ok, stack, heap, vdso);
    void *m = mmap(NULL, 12288, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    put("mapped file", "x");
    int fd = M(open("mapped file", O_RDWR));
    void *fm = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    rd("/proc/self/maps");
    sprintf(p, "%lx-", (long)m);
    l = strstr(b, p);
    printf("anonymous %.5s\n", l ? strchr(l, ' ') : "none");
    sprintf(p, "%08lx-", (long)fm);
    l = strstr(b, p);
    printf("file %.5s %s\n", l ? strchr(l, ' ') : "none", l && strstr(l, "/mnt/w/mapped file") ? "named" : "?");
    M(unlink("mapped file"));
    rd("/proc/self/maps");
    B(strstr(b, "/mnt/w/mapped file (deleted)") != NULL);
    keys("/proc/self/smaps", "Size: KernelPageSize: Rss: Pss: Shared_Clean: Private_Dirty: Referenced: Anonymous: Swap: VmFlags:");
    H("links and folders");
    link_("/proc/self/cwd");
    link_("/proc/self/root");
    n = readlink("/proc/self/exe", p, sizeof p);
    B(n > 0 && p[0] == '/');
    n = readlink("/proc/self", p, sizeof p);
    p[n] = 0;
    B(atoi(p) == getpid());
    n = readlink("/proc/thread-self", p, sizeof p);
    p[n] = 0;
    int a1, a2;
    B(sscanf(p, "%d/task/%d", &a1, &a2) == 2 && a1 == getpid() && a2 == gettid());
    int e = M(eventfd(3, 0)), pp[2];
    M(pipe(pp));
    sprintf(p, "/proc/self/fd/%d", e);
    link_(p);
    sprintf(p, "/proc/self/fd/%d", fd);
    link_(p);
    sprintf(p, "/proc/self/fdinfo/%d", e);
    keys(p, "pos: flags: mnt_id: ino: eventfd-count:");
    B(strstr(b, "eventfd-count:                3") != NULL);
    M(lseek(fd, 0, SEEK_END));
    sprintf(p, "/proc/self/fdinfo/%d", fd);
    rd(p);
    printf("%.22s\n", b);
    link_("/proc/self/fd/99");
    DIR *d = opendir("/proc/self/fd");
    struct dirent *de;
    n = 0;
    while ((de = readdir(d))) n += de->d_name[0] != '.';
    closedir(d);
    R(n);
    mode("/proc/self/mem");
    mode("/proc/self/maps");
    mode("/proc/self/environ");
    mode("/proc/self/fd");
    mode("/proc/self/exe");
    mode("/proc/self/cmdline");
    mode("/proc/self/ns");
    mode("/proc/self/task");
    mode("/proc/version");
    mode("/proc/none");
    H("cmdline, environ, comm, mem, oom");
    rd("/proc/self/cmdline");
    B(strstr(b, "procfs") != NULL);
    n = rd("/proc/self/environ");
    B(n > 0 && memmem(b, n, "HOME=/root", 10));
    slurp("/proc/self/comm");
    volatile int secret = 4711;
    int memfd = M(open("/proc/self/mem", O_RDWR)), v = 0;
    R(pread(memfd, &v, 4, (long)&secret));
    R(v);
    v = 5;
    R(pwrite(memfd, &v, 4, (long)&secret));
    R(secret);
    R(pread(memfd, &v, 4, 8));
    R(pwrite(memfd, &v, 4, (long)m)); // read-only memory may be written so
    B(rd("/proc/self/oom_score_adj") > 0);
    rd("/proc/self/wchan");
    slurp("/proc/self/personality");
    slurp("/proc/self/coredump_filter");
    slurp("/proc/self/setgroups");
    slurp("/proc/self/uid_map");
    keys("/proc/self/mountinfo", "");
    B(strstr(b, " /mnt ") && strstr(b, " /proc "));
    rd("/proc/self/mounts");
    B(strstr(b, "none /mnt tmpfs rw") != NULL);
    rd("/proc/self/cgroup");
    B(b[0] != 0 && strchr(b, ':'));
    rd("/proc/self/auxv");
    H("threads");
    pthread_t t;
    pthread_create(&t, NULL, sleeper, NULL);
    UNTIL(worker);
    asleep(worker);
    d = opendir("/proc/self/task");
    n = 0;
    while ((de = readdir(d)))
        if (de->d_name[0] != '.') {
            n++;
            if (atoi(de->d_name) == getpid()) continue;
            sprintf(p, "/proc/self/task/%.20s/comm", de->d_name);
            rd(p);
            printf("comm %s", b);
            sprintf(p, "/proc/self/task/%.20s/status", de->d_name);
            rd(p);
            B(strstr(b, "State:\tS (sleeping)") && value("Tgid:\t") == getpid());
            sprintf(p, "/proc/%.20s/status", de->d_name);
            B(access(p, F_OK) == 0); // not listed, but there
        }
    R(n);
    H("another process");
    pid = fork();
    if (!pid) { prctl(PR_SET_NAME, "a kid)"); raise(SIGSTOP); for (;;) pause(); }
    waitpid(pid, NULL, WUNTRACED);
    sprintf(p, "/proc/%d/stat", pid);
    rd(p);
    printf("%.11s\n", strchr(b, '('));
    M(chmod("..", 0755));
    R(CHILD({
        M(setuid(1000));
        char o[64];
        char *names[] = {"cwd", "environ", "mem", "maps", "fd", "status", "stat", "cmdline", "exe", "io", "ns/mnt", "comm"};
        for (int i = 0; i < 12; i++) {
            sprintf(o, "/proc/%d/%s", pid, names[i]);
            struct stat st;
            int rl = lstat(o, &st) == 0 && S_ISLNK(st.st_mode) ? readlink(o, p, 64) : open(o, O_RDONLY);
            int er = errno;
            if (rl >= 0 && !S_ISLNK(st.st_mode) && !S_ISDIR(st.st_mode)) { rl = read(rl, p, 1); er = errno; }
            printf("%s: %s\n", names[i], rl < 0 ? ename(er) : "ok");
        }
    }));
    kill(pid, SIGKILL);
    M(waitid(P_PID, pid, NULL, WEXITED | WNOWAIT));
    sprintf(p, "/proc/%d/stat", pid);
    rd(p);
    printf("%.11s\n", strchr(b, '('));
    sprintf(p, "/proc/%d/cmdline", pid);
    R(rd(p));
    sprintf(p, "/proc/%d/exe", pid);
    R(readlink(p, b, 64));
    sprintf(p, "/proc/%d", pid);
    fd = M(open(p, O_RDONLY | O_DIRECTORY));
    waitpid(pid, NULL, 0);
    R(openat(fd, "stat", O_RDONLY));
    R(open(p, O_RDONLY));
    H("the system");
    keys("/proc/meminfo", "MemTotal: MemFree: MemAvailable: Buffers: Cached: SwapTotal: SwapFree: Shmem: Slab:");
    keys("/proc/stat", "cpu cpu0 intr ctxt btime processes procs_running procs_blocked");
    keys("/proc/cpuinfo", "processor vendor_id model flags");
    keys("/proc/filesystems", "nodev");
    B(strstr(b, "tmpfs") && strstr(b, "proc"));
    rd("/proc/uptime");
    float up, idle;
    R(sscanf(b, "%f %f", &up, &idle));
    rd("/proc/loadavg");
    float la;
    int run, total, lastpid;
    R(sscanf(b, "%f %*f %*f %d/%d %d", &la, &run, &total, &lastpid));
    rd("/proc/version");
    printf("%.14s\n", b);
    slurp("/proc/sys/kernel/ostype");
    B(rd("/proc/sys/kernel/pid_max") > 0);
    B(rd("/proc/sys/kernel/random/uuid") == 37);
    B(rd("/proc/sys/kernel/random/boot_id") == 37);
    slurp("/proc/sys/vm/overcommit_memory");
    slurp("/proc/sys/fs/pipe-max-size");
    slurp("/proc/sys/kernel/cap_last_cap");
    slurp("/proc/sys/kernel/ngroups_max");
    B(rd("/proc/sys/kernel/hostname") > 0);
    B(rd("/proc/sys/fs/file-max") > 0 && rd("/proc/sys/fs/nr_open") > 0);
    B(rd("/proc/vmstat") > 0 && rd("/proc/swaps") > 0 && rd("/proc/devices") > 0 && rd("/proc/partitions") >= 0);
    B(rd("/proc/net/unix") > 0 && rd("/proc/net/dev") > 0);
    R(open("/proc/new", O_CREAT | O_RDWR, 0600));
    R(mkdir("/proc/x", 0700));
    R(unlink("/proc/version"));
    R(open("/proc/version", O_WRONLY));
    d = opendir("/proc");
    int self = 0, one = 0;
    while ((de = readdir(d))) self += atoi(de->d_name) == getpid(), one += !strcmp(de->d_name, "1");
    R(self);
    R(one);
    return 0;
}
