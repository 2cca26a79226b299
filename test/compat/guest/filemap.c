// File mappings shared and private, copy-on-write after fork, truncation, memfd and seals.
#include "check.h"
#include <setjmp.h>
#include <linux/memfd.h>

#define PG 4096L
static sigjmp_buf env;
static siginfo_t last;
static void fault(int s, siginfo_t *si, void *u) { last = *si; siglongjmp(env, s); }
static int try(volatile char *p, int write) {
    int s = sigsetjmp(env, 1);
    if (s) return s;
    if (write) *p = 'w'; else (void)*p;
    return 0;
}
static const int RW = PROT_READ | PROT_WRITE;

static void files(void) {
    H("shared and private");
    char b[64];
    int fd = M(open("f", O_RDWR | O_CREAT, 0644));
    M(write(fd, "0123456789", 10));
    char *s = mmap(NULL, 2 * PG, RW, MAP_SHARED, fd, 0), *s2 = mmap(NULL, PG, PROT_READ, MAP_SHARED, fd, 0), *p = mmap(NULL, 2 * PG, RW, MAP_PRIVATE, fd, 0);
    str("private", p, 10);
    s[0] = 'A';
    R(s2[0]);
    R(p[0]); // not copied yet: sees it
    M(pread(fd, b, 10, 0));
    str("file", b, 10);
    p[1] = 'B';
    R(s[1]);
    s[0] = 'C';
    R(p[0]); // copied: does not
    M(pwrite(fd, "ZZ", 2, 4));
    R(s[4]);
    R(p[4]);
    s[20] = 'x'; // past the end, in the last page
    M(pread(fd, b, 64, 0) == 10 ? 0 : -1);
    R(try(s + PG, 0));
    printf("code %d address %d\n", last.si_code, last.si_addr == s + PG);
    R(try(p + PG, 1));
    M(ftruncate(fd, 2 * PG));
    R(try(s + PG, 1));
    R(s[20]);
    R(p[PG]);
    H("truncation");
    p[PG] = 'k';
    M(ftruncate(fd, 100));
    R(try(s + PG, 0));
    R(try(p + PG, 0)); // private copies go too
    s[200] = 'y';
    M(ftruncate(fd, 50));
    M(ftruncate(fd, 1000));
    R(s[60]);
    R(s[200]);
    M(unlink("f"));
    s[0] = 'U';
    M(pread(fd, b, 1, 0));
    R(b[0]);
    close(fd);
    R(s[0]);
    H("offsets");
    fd = M(open("g", O_RDWR | O_CREAT, 0644));
    M(ftruncate(fd, 4 * PG));
    for (int i = 0; i < 4; i++) { b[0] = 'a' + i; M(pwrite(fd, b, 1, i * PG)); }
    char *o = mmap(NULL, 2 * PG, RW, MAP_SHARED, fd, 2 * PG);
    printf("%c%c\n", o[0], o[PG]);
    M((long)mremap(o, 2 * PG, PG, 0));
    char *all = mmap(NULL, 4 * PG, RW, MAP_SHARED, fd, 0);
    M(munmap(all + PG, PG));
    printf("%c%c\n", all[0], all[2 * PG]);
    M((long)mmap(all + PG, PG, RW, MAP_SHARED | MAP_FIXED, fd, 3 * PG));
    all[PG] = 'X';
    R(all[3 * PG]);
    H("system calls on mapped memory");
    R(pread(fd, all, 1, 2 * PG));
    R(all[0]);
    R(pwrite(fd, all + 3 * PG, 1, 0));
    R(all[0]);
    char *ro = mmap(NULL, PG, PROT_READ, MAP_SHARED, fd, 0);
    R(pread(fd, ro, 1, 0));
    int hole = M(open("h", O_RDWR | O_CREAT, 0600));
    M(ftruncate(hole, PG));
    char *hm = mmap(NULL, 2 * PG, RW, MAP_SHARED, hole, 0);
    R(pread(fd, hm + PG, 1, 0));
    R(pwrite(fd, hm + PG, 1, 0));
    R(pread(fd, hm + PG - 3, 10, 0));
    R(pwrite(fd, hm + PG - 3, 10, 0));
}

static void cow(void) {
    H("after fork");
    int p[2], q[2];
    char c;
    M(pipe(p));
    M(pipe(q));
    char *priv = mmap(NULL, 3 * PG, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *sh = mmap(NULL, 3 * PG, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    priv[0] = 'p', sh[0] = 's';
    pid_t pid = fork();
    if (!pid) {
        printf("child: %c %c\n", priv[0], sh[0]);
        priv[0] = 'c', sh[0] = 'C', sh[PG] = 'D';
        read(0, priv + 2 * PG, 0);
        write(p[1], "x", 1);
        read(q[0], &c, 1);
        printf("child: %c %c %d\n", priv[0], sh[2 * PG], priv[PG]);
        _exit(0);
    }
    M(read(p[0], &c, 1));
    printf("parent: %c %c %c\n", priv[0], sh[0], sh[PG]);
    priv[PG] = 'n', sh[2 * PG] = 'N';
    M(write(q[1], "x", 1));
    waitpid(pid, NULL, 0);
    // A chain of forks, each writes one page and checks the rest.
    memset(priv, 'a', 3 * PG);
    R(CHILD({
        priv[0] = 'b';
        ST("grandchild", CHILD(priv[PG] = 'c'; printf("%c%c%c\n", priv[0], priv[PG], priv[2 * PG])));
        printf("%c%c%c\n", priv[0], priv[PG], priv[2 * PG]);
    }));
    printf("%c%c%c\n", priv[0], priv[PG], priv[2 * PG]);
    // The kernel writes through copy-on-write too.
    M(write(p[1], "k", 1));
    CHILD(M(read(p[0], priv, 1)); printf("%c\n", priv[0]));
    printf("%c\n", priv[0]);
    M(mprotect(priv, PG, PROT_READ));
    CHILD(M(mprotect(priv, PG, RW)); priv[0] = 'z');
    printf("%c\n", priv[0]);
}

static int seals(int fd) { return fcntl(fd, F_GET_SEALS); }
static void memfds(void) {
    H("memfd");
    char b[100];
    int fd;
    fd = M(memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    R(memfd_create("n", 0x100));
    R(memfd_create(NULL, 0));
    memset(b, 'n', sizeof b);
    char nm[300];
    memset(nm, 'n', 300);
    nm[249] = 0;
    R(memfd_create(nm, 0) >= 0);
    nm[249] = 'n', nm[250] = 0;
    R(memfd_create(nm, 0));
    char path[64];
    sprintf(path, "/proc/self/fd/%d", fd);
    long n = readlink(path, b, sizeof b);
    str("link", b, n);
    struct stat st;
    M(fstat(fd, &st));
    printf("mode %o nlink %ld\n", st.st_mode, (long)st.st_nlink);
    X(seals(fd));
    R(write(fd, "data", 4));
    R(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    R(write(fd, "x", 1));
    R(ftruncate(fd, 5));
    R(pwrite(fd, "xy", 2, 3));
    R(fallocate(fd, 0, 0, 10));
    R(pwrite(fd, "D", 1, 0));
    R(ftruncate(fd, 3));
    R(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    R(ftruncate(fd, 2));
    char *w = mmap(NULL, PG, RW, MAP_SHARED, fd, 0);
    R(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    R(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    w[0] = 'W';
    R(pwrite(fd, "x", 1, 0));
    R(mmap(NULL, PG, RW, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
    char *r = mmap(NULL, PG, PROT_READ, MAP_SHARED, fd, 0);
    R(mprotect(r, PG, RW));
    R(mmap(NULL, PG, RW, MAP_PRIVATE, fd, 0) != MAP_FAILED);
    M(munmap(w, PG));
    R(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    R(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1));
    R(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    R(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    X(seals(fd));
    R(fcntl(fd, F_ADD_SEALS, 0x1000));
    int plain = M(memfd_create("p", 0));
    X(seals(plain));
    R(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE));
    R(seals(0));
    int file = M(open("t", O_RDWR | O_CREAT, 0600));
    X(seals(file));
    sprintf(path, "/proc/self/fd/%d", plain);
    R(open(path, O_RDONLY) >= 0);
    int rofd = M(open(path, O_RDONLY));
    R(fcntl(rofd, F_ADD_SEALS, F_SEAL_GROW));
    R(write(rofd, "x", 1));
    R(linkat(AT_FDCWD, path, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
}

int main(void) {
    struct sigaction sa = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    files();
    cow();
    memfds();
    return 0;
}
