// execve, execveat: arguments, environment, #!, close-on-exec, what is kept, errors.
#include "check.h"
#include <elf.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static char self[PATH_MAX];
static char *env0[] = {"A=1", NULL};

static void x(const char *path, ...) {
    printf("exec %s\n", !strcmp(path, self) ? "self" : path);
    char *argv[] = {(char *)path, "show", "one", "", NULL};
    ST(" ended", CHILD(execve(path, argv, env0); printf(" %s\n", ename(errno)); fflush(stdout); _exit(1)));
}

static int show(int argc, char **argv, char **envp) {
    printf(" argc %d:", argc);
    for (int i = 0; i < argc; i++) {
        char *s = strstr(argv[i], "/fd/") ? "fd path" : !strcmp(argv[i], self) ? "self" : argv[i];
        printf(" [%.40s]", s);
    }
    printf(" env:");
    for (int i = 0; envp[i]; i++) printf(" [%.40s]", envp[i]);
    putchar('\n');
    return 0;
}

static int state(void) {
    struct sigaction sa;
    sigaction(SIGUSR1, NULL, &sa);
    B(sa.sa_handler == SIG_DFL);
    sigaction(SIGUSR2, NULL, &sa);
    B(sa.sa_handler == SIG_IGN);
    sigset_t s;
    sigprocmask(0, NULL, &s);
    B(sigismember(&s, SIGHUP));
    sigpending(&s);
    B(sigismember(&s, SIGHUP));
    R(fcntl(50, F_GETFD));
    R(fcntl(51, F_GETFD));
    stack_t ss;
    sigaltstack(NULL, &ss);
    X(ss.ss_flags);
    char cwd[64], name[17] = "";
    puts(getcwd(cwd, 64));
    printf("umask %o nice %d\n", umask(0), getpriority(PRIO_PROCESS, 0));
    prctl(PR_GET_NAME, name);
    printf("name %s\n", name);
    struct rlimit rl;
    getrlimit(RLIMIT_CORE, &rl);
    R(rl.rlim_cur);
    R(prctl(PR_GET_DUMPABLE));
    int death = 9;
    R(prctl(PR_GET_PDEATHSIG, &death));
    R(death);
    B(alarm(0) > 0);
    B(getauxval(AT_PAGESZ) == 4096 && getauxval(AT_PHDR) && getauxval(AT_PHNUM) && getauxval(AT_ENTRY) && getauxval(AT_CLKTCK) == 100);
    B(getauxval(AT_RANDOM) && getauxval(AT_EXECFN) && getauxval(AT_PLATFORM) && getauxval(AT_PHENT) == sizeof(Elf64_Phdr));
    printf("uid %ld secure %ld platform %s\n", getauxval(AT_UID), getauxval(AT_SECURE), (char *)getauxval(AT_PLATFORM));
    return 0;
}

int main(int argc, char **argv, char **envp) {
    M(readlink("/proc/self/exe", self, sizeof self - 1));
    if (argc < 1 || !argv[0][0]) { printf(" argc %d [%s]\n", argc, argc ? argv[0] : "-"); return 0; }
    if (argc > 1 && !strcmp(argv[1], "state")) return state();
    if (argc > 1) return show(argc, argv, envp);
    H("errors");
    char *args[] = {"x", NULL};
    R(execve("none", args, env0));
    R(execve("", args, env0));
    R(execve(NULL, args, env0));
    R(execve(".", args, env0));
    R(execve("/dev/null", args, env0));
    put("text", "just text\n");
    R(execve("text", args, env0));
    M(chmod("text", 0755));
    R(execve("text", args, env0));
    R(execve("text/x", args, env0));
    put("empty", "");
    M(chmod("empty", 0755));
    R(execve("empty", args, env0));
    put("elf", "\177ELF");
    M(chmod("elf", 0755));
    R(execve("elf", args, env0));
    unsigned char hdr[64] = "\177ELF\2\1\1";
    hdr[16] = 2, hdr[18] = 0xb7, hdr[20] = 1, hdr[52] = 64;
    int fd = M(open("arm", O_WRONLY | O_CREAT, 0755));
    M(write(fd, hdr, 64));
    R(execve("arm", args, env0)); // open for writing
    close(fd);
    R(execve("arm", args, env0));
    R(execve(self, (void *)8, env0));
    R(execve(self, args, (void *)8));
    char *bad[] = {"x", (char *)8, NULL};
    R(execve(self, bad, env0));
    H("scripts");
    char b[5000];
    sprintf(b, "#!%s\n", self);
    put("s1", b);
    M(chmod("s1", 0755));
    x("./s1");
    sprintf(b, "#! %s  opt  with spaces \t\nmore\n", self);
    put("s2", b);
    M(chmod("s2", 0755));
    x("./s2");
    sprintf(b, "#!%s", self); // no newline
    put("s3", b);
    M(chmod("s3", 0755));
    x("./s3");
    put("s4", "#!/none/interpreter\n");
    M(chmod("s4", 0755));
    x("./s4");
    put("s5", "#!\n");
    M(chmod("s5", 0755));
    x("./s5");
    put("s6", "#!./s1\n");
    M(chmod("s6", 0755));
    x("./s6");
    put("s7", "#!./s7\n");
    M(chmod("s7", 0755));
    x("./s7");
    memset(b, 'a', 600);
    memcpy(b, "#!/", 3);
    b[600] = 0;
    put("s8", b);
    M(chmod("s8", 0755));
    x("./s8");
    H("dynamic linkers");
    // An ELF header, one PT_INTERP and one PT_LOAD; the name is where the linker is.
    unsigned char elf[256] = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0};
    FILE *own = fopen(self, "r");
    unsigned char mine[64];
    fread(mine, 1, 64, own);
    fclose(own);
    memcpy(elf + 18, mine + 18, 2); // e_machine
    elf[20] = 1, elf[32] = 64, elf[52] = 64, elf[54] = 56, elf[56] = 2; // e_version, e_phoff, e_ehsize, e_phentsize, e_phnum
    unsigned char *interp = elf + 64, *load = elf + 120, name = 176;
    interp[0] = 3, interp[8] = name, interp[32] = interp[40] = 12;
    load[0] = 1, load[4] = 5, load[18] = load[26] = 0x40, load[33] = load[41] = 1, load[49] = 0x10;
    const char *linkers[] = {"/\0          ", "./ldshort\0 ", "./ldtext\0  ", "./ldnone\0  ", "./ldelf\0   "};
    put("ldshort", "x");
    char text[200];
    memset(text, 'x', 199), text[199] = 0;
    put("ldtext", text);
    elf[18] ^= 0xff;
    FILE *o = fopen("ldelf", "w");
    fwrite(elf, 1, sizeof elf, o);
    fclose(o);
    elf[18] ^= 0xff;
    M(chmod("ldshort", 0755)), M(chmod("ldtext", 0755)), M(chmod("ldelf", 0755));
    for (int i = 0; i < 6; i++) {
        int len = i == 5 ? name + 5 : (int)sizeof elf; // the last is cut off in the linker's name
        memcpy(elf + name, linkers[i % 5], 11);
        o = fopen("ld", "w");
        fwrite(elf, 1, len, o);
        fclose(o);
        M(chmod("ld", 0755));
        x("./ld");
    }
    H("argument vectors");
    fflush(stdout);
    x(self);
    ST("argv NULL", CHILD(execve(self, NULL, NULL)));
    char *big = malloc(200000);
    memset(big, 'x', 200000);
    big[131071] = 0;
    char *bigs[] = {"b", "show", big, NULL};
    ST("longest", CHILD(execve(self, bigs, env0); puts(ename(errno))));
    big[131071] = 'x', big[131072] = 0;
    ST("one too long", CHILD(execve(self, bigs, env0); puts(ename(errno))));
    char **many = calloc(300000, sizeof *many);
    for (int i = 0; i < 299999; i++) many[i] = "0123456789";
    ST("too many", CHILD(execve(self, many, env0); puts(ename(errno))));
    H("execveat");
    char *e[] = {"name", "show", NULL};
    fd = M(open(self, O_PATH | O_CLOEXEC));
    ST("by descriptor", CHILD(syscall(SYS_execveat, fd, "", e, env0, AT_EMPTY_PATH); puts(ename(errno))));
    R(syscall(SYS_execveat, fd, "", e, env0, 0));
    R(syscall(SYS_execveat, -1, "x", e, env0, 0));
    R(syscall(SYS_execveat, AT_FDCWD, "x", e, env0, 0x8000));
    M(symlink("s1", "l"));
    R(syscall(SYS_execveat, AT_FDCWD, "l", e, env0, AT_SYMLINK_NOFOLLOW));
    int sfd = M(open("s1", O_RDONLY | O_CLOEXEC));
    ST("script by descriptor that closes", CHILD(syscall(SYS_execveat, sfd, "", e, env0, AT_EMPTY_PATH); puts(ename(errno))));
    sfd = M(open("s1", O_RDONLY));
    ST("script by descriptor", CHILD(syscall(SYS_execveat, sfd, "", e, env0, AT_EMPTY_PATH); puts(ename(errno))));
    H("state");
    signal(SIGUSR1, (void (*)(int))show);
    signal(SIGUSR2, SIG_IGN);
    dup2(0, 50);
    dup2(0, 51);
    fcntl(50, F_SETFD, FD_CLOEXEC);
    static char stk[65536];
    stack_t ss = {.ss_sp = stk, .ss_size = sizeof stk};
    sigaltstack(&ss, NULL);
    umask(037);
    char *sv[] = {"x", "state", NULL};
    ST("state", CHILD({
        sigset_t s;
        sigemptyset(&s);
        sigaddset(&s, SIGHUP);
        sigprocmask(SIG_BLOCK, &s, NULL);
        raise(SIGHUP);
        setpriority(PRIO_PROCESS, 0, 3);
        prctl(PR_SET_NAME, "renamed");
        alarm(100);
        symlink(self, "named");
        execve("./named", sv, env0);
    }));
    return 0;
}
