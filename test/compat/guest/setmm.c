// prctl(PR_SET_MM): what /proc shows of the address space is the program's to set.
#include "check.h"
#include <elf.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define SET(opt, v) prctl(PR_SET_MM, opt, (unsigned long)(v), 0, 0)

// field returns a number of /proc/self/stat, counted as in proc(5).
static unsigned long field(int n) {
    char b[2048];
    int fd = open("/proc/self/stat", O_RDONLY);
    b[read(fd, b, sizeof b - 1)] = 0;
    close(fd);
    char *p = strrchr(b, ')') + 1;
    for (int i = 2; i < n - 1; i++) p = strchr(p + 1, ' ');
    return strtoul(p, NULL, 10);
}

static void show(const char *name) {
    char b[64];
    int fd = open(name, O_RDONLY), n = read(fd, b, sizeof b - 1);
    close(fd);
    b[n < 0 ? 0 : n] = 0;
    printf("%s: %d bytes \"%s\"\n", name, n, b);
}

static struct prctl_mm_map current(void) {
    struct prctl_mm_map m = {.start_code = field(26), .end_code = field(27), .start_data = field(45), .end_data = field(46),
        .start_brk = field(47), .brk = (unsigned long)sbrk(0), .start_stack = field(28), .arg_start = field(48), .arg_end = field(49),
        .env_start = field(50), .env_end = field(51), .exe_fd = -1};
    return m;
}

static long setmap(struct prctl_mm_map *m) { return prctl(PR_SET_MM, PR_SET_MM_MAP, m, sizeof *m, 0); }

int main(int argc, char **argv) {
    struct prctl_mm_map m, was = current();
    long page = 4096;
    char *p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned size = 0;
    strcpy(p, "new name"), strcpy(p + 100, "A=b");
    H("bad arguments");
    R(prctl(PR_SET_MM, PR_SET_MM_ARG_START, p, 1, 0));
    R(prctl(PR_SET_MM, PR_SET_MM_ARG_START, p, 0, 1));
    R(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0));
    B(size == sizeof m);
    R(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, 8, 0, 0));
    m = current();
    R(prctl(PR_SET_MM, PR_SET_MM_MAP, &m, sizeof m - 1, 0));
    R(prctl(PR_SET_MM, PR_SET_MM_MAP, 8, sizeof m, 0));
    R(setmap(&m)); // nothing changes
    H("order");
    m = current(), m.arg_end = m.arg_start - 1;
    R(setmap(&m));
    m = current(), m.arg_end = m.arg_start;
    R(setmap(&m));
    m = current(), m.env_end = m.env_start - 1;
    R(setmap(&m));
    m = current(), m.start_code = m.end_code;
    R(setmap(&m));
    m = current(), m.start_data = m.end_data + 1;
    R(setmap(&m));
    m = current(), m.start_data = m.end_data;
    R(setmap(&m));
    m = current(), m.brk = m.start_brk - 1;
    R(setmap(&m));
    m = current(), m.start_code = 1;
    R(setmap(&m));
    m = current(), m.end_code = 1UL << 63;
    R(setmap(&m));
    m = current(), m.start_stack = 0;
    R(setmap(&m));
    H("arguments and environment");
    m = current(), m.arg_start = (long)p, m.arg_end = m.arg_start + 9, m.env_start = (long)p + 100, m.env_end = m.env_start + 4;
    R(setmap(&m));
    show("/proc/self/cmdline"), show("/proc/self/environ");
    B(field(48) == (unsigned long)p), B(field(49) == (unsigned long)p + 9), B(field(51) == (unsigned long)p + 104);
    H("code, data, stack");
    m = was, m.start_code += 8, m.end_code -= 8, m.start_data += 8, m.end_data -= 8, m.start_stack += 16;
    R(setmap(&m));
    B(field(26) == m.start_code), B(field(27) == m.end_code), B(field(45) == m.start_data), B(field(46) == m.end_data), B(field(28) == m.start_stack);
    m = current(), m.start_stack = m.arg_end = 1UL << 46; // nothing is mapped there
    R(setmap(&m));
    H("heap");
    unsigned long end = (unsigned long)sbrk(0);
    m = current(), m.brk = end + 8 * page;
    R(setmap(&m));
    B((unsigned long)syscall(SYS_brk, 0) == end + 8 * page);
    m.brk = end, m.start_brk += 16;
    R(setmap(&m));
    B(field(47) == m.start_brk), B((unsigned long)syscall(SYS_brk, 0) == end);
    m.start_brk -= 16;
    R(setmap(&m));
    struct rlimit rl = {page, RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_DATA, &rl);
    m.brk = end + 80 * page;
    R(setmap(&m));
    setrlimit(RLIMIT_DATA, &all);
    H("auxiliary vector");
    unsigned long aux[8] = {AT_PAGESZ, 4096, AT_CLKTCK, 77, 0, 0, 1, 2}, got[64] = {0};
    m = current(), m.auxv = (void *)aux, m.auxv_size = sizeof aux;
    R(setmap(&m));
    int fd = open("/proc/self/auxv", O_RDONLY);
    int n = read(fd, got, sizeof got);
    close(fd);
    printf("%d bytes: %lu %lu %lu\n", n, got[1], got[3], got[4]);
    m.auxv_size = 1000000;
    R(setmap(&m));
    m.auxv = NULL, m.auxv_size = 16;
    R(setmap(&m));
    m.auxv = (void *)8;
    R(setmap(&m));
    H("without the right");
    if (fork() == 0) {
        R(setresuid(1000, 1000, 1000));
        R(SET(PR_SET_MM_ARG_START, p));
        R(SET(PR_SET_MM_ARG_START, 1));
        R(SET(99, p));
        R(SET(PR_SET_MM_EXE_FILE, 0));
        R(prctl(PR_SET_MM, PR_SET_MM_AUXV, aux, sizeof aux, 0));
        R(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0));
        prctl(PR_SET_DUMPABLE, 1);
        m = current(), m.arg_end = m.arg_start + 2;
        R(setmap(&m));
        show("/proc/self/cmdline");
        m.exe_fd = 0;
        R(setmap(&m));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    return 0;
}
