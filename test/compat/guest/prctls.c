// prctl, arch_prctl, personality, uname, sysinfo, getrandom, hostname, membarrier, misc.
#include "check.h"
#include <asm/prctl.h>
#include <linux/membarrier.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/klog.h>

static __thread int tls = 3;

int main(void) {
    char b[64] = "";
    H("names");
    R(prctl(PR_SET_NAME, "0123456789abcdefgh"));
    R(prctl(PR_GET_NAME, b));
    puts(b);
    slurp("/proc/self/comm");
    R(prctl(PR_SET_NAME, (void *)8));
    R(prctl(PR_GET_NAME, (void *)8));
    put("/proc/self/comm", "written");
    prctl(PR_GET_NAME, b);
    puts(b);
    H("dumpable, death signal, timer slack");
    R(prctl(PR_GET_DUMPABLE));
    R(prctl(PR_SET_DUMPABLE, 0));
    R(prctl(PR_GET_DUMPABLE));
    R(prctl(PR_SET_DUMPABLE, 2));
    R(prctl(PR_SET_DUMPABLE, 1));
    int v = 9;
    R(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    R(prctl(PR_GET_PDEATHSIG, &v));
    R(v);
    R(CHILD(v = 9; prctl(PR_GET_PDEATHSIG, &v); R(v)));
    R(prctl(PR_GET_TIMERSLACK));
    R(prctl(PR_SET_TIMERSLACK, 12345));
    R(prctl(PR_GET_TIMERSLACK));
    R(prctl(PR_SET_TIMERSLACK, 0));
    R(prctl(PR_GET_TIMERSLACK));
    R(prctl(PR_GET_TIMING));
    R(prctl(PR_SET_TIMING, 1));
    R(prctl(PR_GET_TSC, &v));
    R(v);
    R(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    R(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    R(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    R(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
    R(prctl(PR_GET_SECCOMP));
    R(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0, 0, 0) == 0 || errno == EINVAL);
    R(prctl(9999));
    R(prctl(PR_GET_UNALIGN, &v));
    H("arch_prctl");
    unsigned long fs = 0, gs = 9;
    R(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
    B(fs != 0 && *(unsigned long *)fs == fs);
    R(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
    R(gs);
    R(syscall(SYS_arch_prctl, ARCH_SET_GS, &fs));
    unsigned long w = 0;
    __asm__ volatile("movq %%gs:0,%0" : "=r"(w));
    B(w == fs);
    R(syscall(SYS_arch_prctl, ARCH_SET_GS, -4096L));
    R(syscall(SYS_arch_prctl, ARCH_SET_FS, 1UL << 63));
    R(syscall(SYS_arch_prctl, 0x9999, 0));
    R(syscall(SYS_arch_prctl, ARCH_GET_FS, 8));
    R(CHILD(unsigned long g = 0; syscall(SYS_arch_prctl, ARCH_GET_GS, &g); B(g == (unsigned long)&fs); R(tls)));
    H("personality");
    R(personality(0xffffffff));
    R(personality(ADDR_NO_RANDOMIZE));
    X(personality(0xffffffff));
    R(CHILD(X(personality(0xffffffff))));
    X(personality(PER_LINUX));
    H("uname");
    struct utsname u;
    R(uname(&u));
    printf("%s %s\n", u.sysname, u.machine);
    int major = 0, minor = 0;
    sscanf(u.release, "%d.%d", &major, &minor);
    B(major >= 5);
    R(uname((void *)8));
    R(CHILD({
        M(unshare(CLONE_NEWUTS));
        R(sethostname("compat-host", 11));
        uname(&u);
        puts(u.nodename);
        R(gethostname(b, 5));
        R(gethostname(b, 12));
        R(sethostname("x", 65));
        R(sethostname("x", -1));
        R(sethostname((void *)8, 3));
        R(sethostname("", 0));
        uname(&u);
        str("empty", u.nodename, strlen(u.nodename));
        R(setdomainname("dom", 3));
        uname(&u);
        puts(u.domainname);
        put("/proc/sys/kernel/hostname", "by-proc\n");
        uname(&u);
        puts(u.nodename);
        M(setuid(1000));
        R(sethostname("y", 1));
    }));
    H("sysinfo");
    struct sysinfo si;
    R(sysinfo(&si));
    B(si.uptime > 0 && si.totalram > 0 && si.freeram <= si.totalram && si.procs > 0 && si.mem_unit > 0);
    R(sysinfo((void *)8));
    B(get_nprocs() >= 1 && sysconf(_SC_PAGESIZE) == 4096 && sysconf(_SC_CLK_TCK) == 100);
    H("getrandom");
    unsigned char r1[256], r2[256];
    R(getrandom(r1, 256, 0));
    R(getrandom(r2, 256, GRND_NONBLOCK));
    B(memcmp(r1, r2, 256) != 0);
    R(getrandom(r1, 10, GRND_RANDOM));
    R(getrandom(r1, 0, 0));
    R(getrandom(r1, 10, 0x80));
    R(getrandom(r1, 10, GRND_RANDOM | GRND_INSECURE));
    R(getrandom((void *)8, 10, 0));
    H("membarrier");
    B(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) >= 0);
    R(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 1, 0));
    R(syscall(SYS_membarrier, 1 << 30, 0, 0));
    R(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    R(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    R(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    R(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
    H("others");
    R(syscall(SYS_getcpu, NULL, NULL, NULL));
    R(syscall(SYS_syslog, 99, NULL, 0));
    R(syscall(SYS_restart_syscall));
    R(syscall(SYS_vhangup) == 0 || 1);
    R(syscall(SYS_io_setup, 0, NULL) == -1);
    R(syscall(SYS_create_module, "x", 0));
    R(syscall(SYS__sysctl, NULL));
    R(syscall(SYS_tuxcall));
    R(syscall(SYS_security));
    R(syscall(SYS_afs_syscall));
    R(syscall(SYS_getpmsg));
    R(syscall(SYS_nfsservctl));
    R(CHILD(M(setuid(1000)); R(syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL));
        R(syscall(SYS_pivot_root, ".", ".")); R(syscall(SYS_vhangup))));
    return 0;
}
