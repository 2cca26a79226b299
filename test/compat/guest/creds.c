// User and group ids, capabilities, no_new_privs, set-user-id programs, securebits, keepcaps.
#include "check.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/auxv.h>
#include <sys/prctl.h>

static char self[PATH_MAX];
static void ids(const char *w) {
    uid_t r, e, s;
    gid_t gr, ge, gs;
    getresuid(&r, &e, &s);
    getresgid(&gr, &ge, &gs);
    printf("%s: uid %d %d %d gid %d %d %d\n", w, r, e, s, gr, ge, gs);
}
static struct __user_cap_data_struct cap[2];
static int capget_(pid_t pid) { struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, pid}; return syscall(SYS_capget, &h, cap); }
static int capset_(unsigned e, unsigned p, unsigned i) {
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{e, p, i}, {0, 0, 0}};
    return syscall(SYS_capset, &h, d);
}
static void caps(const char *w) {
    M(capget_(0));
    const unsigned mask = 0xff; // the low eight
    printf("%s: effective %02x permitted %02x inheritable %02x\n", w, cap[0].effective & mask, cap[0].permitted & mask, cap[0].inheritable & mask);
}
static void self_exec(const char *path) {
    char *v[] = {(char *)path, "inner", NULL}, *e[] = {NULL};
    execve(path, v, e);
    printf("exec: %s\n", ename(errno));
    fflush(stdout);
    _exit(1);
}
static void copy(const char *to, int mode, int uid, int gid) {
    int a = M(open(self, O_RDONLY)), b = M(open(to, O_WRONLY | O_CREAT, 0755));
    static char buf[65536];
    long n;
    while ((n = M(read(a, buf, sizeof buf))) > 0) M(write(b, buf, n));
    close(a);
    M(fchown(b, uid, gid));
    M(fchmod(b, mode));
    close(b);
}
static int inner(void) {
    ids(" inner");
    caps(" inner");
    printf(" secure %ld dumpable %d ambient %d nnp %d keep %d\n", getauxval(AT_SECURE), prctl(PR_GET_DUMPABLE),
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_KEEPCAPS));
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1) return inner();
    M(readlink("/proc/self/exe", self, sizeof self - 1));
    M(chmod("..", 0755));
    M(chmod(".", 0755));
    M(setgroups(0, NULL));
    H("set*id as root");
    ids("start");
    R(CHILD(R(setuid(5)); ids("setuid"); caps("setuid"); R(setuid(0)); R(setuid(6)); R(setresuid(-1, -1, -1)); R(seteuid(0))));
    R(CHILD(R(seteuid(5)); ids("seteuid"); caps("seteuid"); R(seteuid(6)); R(seteuid(0)); caps("back"); ids("back")));
    R(CHILD(R(setreuid(5, 6)); ids("setreuid"); R(setreuid(6, 5)); ids("swapped"); R(setreuid(7, -1)); R(setreuid(-1, 7))));
    R(CHILD(R(setreuid(-1, 5)); ids("setreuid(-1,5)"); R(setreuid(5, -1)); ids("then")));
    R(CHILD(R(setresuid(1, 2, 3)); ids("setresuid"); R(setresuid(3, 1, 2)); ids("turned"); R(setresuid(9, -1, -1)); R(setuid(2)); ids("setuid of the saved")));
    R(CHILD(R(setgid(5)); ids("setgid"); R(setregid(1, 2)); ids("setregid"); R(setresgid(3, 4, 5)); ids("setresgid"); R(setegid(9)); ids("setegid")));
    R(CHILD(M(setresgid(5, 6, 7)); M(setuid(5)); R(setgid(7)); ids("g"); R(setgid(0)); R(setregid(6, -1)); R(setresgid(7, 5, 6)); ids("g")));
    R(setuid(-1));
    R(setresuid(-1, -1, -1));
    R(setresgid(0, 0, 0));
    R(getresuid((void *)8, (void *)8, (void *)8));
    H("groups");
    gid_t g[70], want[] = {3, 1, 2, 3};
    R(setgroups(4, want));
    R(getgroups(0, NULL));
    R(getgroups(70, g));
    printf("%d %d %d %d\n", g[0], g[1], g[2], g[3]);
    R(getgroups(-1, g));
    R(getgroups(2, g));
    R(syscall(SYS_setgroups, 65537, g));
    R(syscall(SYS_setgroups, 2, (void *)8));
    R(setgroups(0, NULL));
    H("capget and capset");
    struct __user_cap_header_struct h = {0x12345678, 0};
    R(syscall(SYS_capget, &h, NULL));
    X(h.version);
    h.version = 0x12345678;
    R(syscall(SYS_capget, &h, cap));
    h = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, -1};
    R(syscall(SYS_capget, &h, cap));
    h.pid = 999999;
    R(syscall(SYS_capget, &h, cap));
    h.pid = getpid();
    R(syscall(SYS_capget, &h, cap));
    h.pid = getppid();
    R(syscall(SYS_capset, &h, cap));
    R(syscall(SYS_capget, NULL, cap));
    R(CHILD(R(capset_(3, 7, 0)); caps("capset"); R(capset_(15, 7, 0)); R(capset_(0, 15, 0)); R(capset_(0, 7, 7)); R(capset_(0, 7, 8)); caps("inheritable"); R(chown(".", 1, 1))));
    R(CHILD(R(capset_(0, 0, 0)); R(chroot("."));  R(setuid(5)); R(kill(1, 0)); put("mine", "x"); R(chown("mine", 5, -1)); R(sethostname("x", 1))));
    H("bounding set");
    R(prctl(PR_CAPBSET_READ, CAP_CHOWN));
    R(prctl(PR_CAPBSET_READ, 99));
    R(CHILD(R(prctl(PR_CAPBSET_DROP, CAP_CHOWN)); R(prctl(PR_CAPBSET_READ, CAP_CHOWN)); R(prctl(PR_CAPBSET_DROP, 99)); caps("still"); fflush(stdout); self_exec(self)));
    R(CHILD(M(capset_(0, 0, 0)); R(prctl(PR_CAPBSET_DROP, CAP_CHOWN))));
    H("keepcaps and ambient");
    R(CHILD({
        R(prctl(PR_SET_KEEPCAPS, 1));
        M(setuid(5));
        caps("kept");
        R(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
        R(capset_(1, 3, 1));
        R(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
        R(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0));
        R(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
        R(prctl(PR_CAP_AMBIENT, 9, 0, 0, 0));
        R(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 99, 0, 0));
        fflush(stdout);
        self_exec(self);
    }));
    R(CHILD({
        M(capset_(0xff, 0xff, 1));
        M(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
        M(capset_(0xff, 0xff, 0)); // lowering inheritable lowers ambient
        R(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
        R(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    }));
    H("set-user-id programs");
    copy("suid", 04755, 7, 0);
    copy("sgid", 02755, 0, 8);
    copy("both", 06755, 7, 8);
    copy("sroot", 04755, 0, 0);
    copy("sgnox", 02745, 0, 8);
    copy("plain", 0755, 0, 0);
    char *progs[] = {"./suid", "./sgid", "./both", "./sroot", "./sgnox", "./plain"};
    for (int i = 0; i < 6; i++) {
        puts(progs[i]);
        CHILD(M(setresgid(5, 5, 5)); M(setuid(5)); self_exec(progs[i]));
        CHILD(M(setresgid(5, 5, 5)); M(setuid(5)); M(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); self_exec(progs[i]));
    }
    puts("suid as root");
    CHILD(self_exec("./suid"));
    puts("real uid 5, effective 0");
    CHILD(M(setresuid(5, 0, 0)); self_exec("./plain"));
    puts("saved uid 0");
    CHILD(M(setresuid(5, 5, 0)); self_exec("./plain"));
    R(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    R(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
    R(CHILD(R(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); R(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)); R(CHILD(R(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))))));
    H("securebits");
    R(prctl(PR_GET_SECUREBITS));
    R(CHILD(R(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)); M(setuid(5)); caps("no fixup"); R(prctl(PR_SET_SECUREBITS, 0x1000))));
    R(CHILD(R(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT)); fflush(stdout); self_exec(self)));
    R(CHILD(R(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED)); R(prctl(PR_SET_KEEPCAPS, 1))));
    return 0;
}
