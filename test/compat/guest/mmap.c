// mmap, munmap, mprotect, mremap, madvise, msync, mincore, mlock, brk.
#include "check.h"
#include <setjmp.h>
#include <sys/resource.h>

#define PG 4096L
static sigjmp_buf env;
static void fault(int s) { siglongjmp(env, s); }
// try returns the signal that touching p gives, or 0.
static int try(volatile char *p, int write) {
    int s = sigsetjmp(env, 1);
    if (s) return s;
    if (write) *p = 1; else (void)*p;
    return 0;
}
static void *anon(long len, int prot) { return mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
#define MM(e) ({ void *m_ = (e); printf("%s = %s\n", #e, m_ == MAP_FAILED ? ename(errno) : "ok"); m_; })
static const int RW = PROT_READ | PROT_WRITE, AN = MAP_PRIVATE | MAP_ANONYMOUS;

static void maps(void) {
    H("mmap");
    put("f", "file data");
    int fd = M(open("f", O_RDWR)), ro = M(open("f", O_RDONLY)), wo = M(open("f", O_WRONLY)), d = M(open(".", O_RDONLY));
    MM(mmap(NULL, 0, RW, AN, -1, 0));
    MM(mmap(NULL, PG, RW, MAP_ANONYMOUS, -1, 0));
    MM(mmap(NULL, PG, RW, MAP_ANONYMOUS | MAP_PRIVATE | MAP_SHARED, -1, 0));
    MM(mmap(NULL, PG, RW, MAP_PRIVATE, -1, 0));
    MM(mmap(NULL, PG, RW, MAP_PRIVATE, 99, 0));
    MM(mmap(NULL, PG, RW, MAP_PRIVATE, d, 0));
    MM(mmap(NULL, PG, RW, MAP_PRIVATE, fd, 100));
    MM(mmap(NULL, PG, RW, MAP_SHARED, ro, 0));
    MM(mmap(NULL, PG, RW, MAP_PRIVATE, ro, 0));
    MM(mmap(NULL, PG, PROT_READ, MAP_PRIVATE, wo, 0));
    MM(mmap(NULL, PG, PROT_WRITE, MAP_SHARED, wo, 0));
    MM(mmap(NULL, -PG, RW, AN, -1, 0));
    MM(mmap(NULL, 1L << 47, RW, AN | MAP_NORESERVE, -1, 0));
    MM(mmap((void *)(PG + 1), PG, RW, AN | MAP_FIXED, -1, 0));
    MM(mmap((void *)-PG, PG, RW, AN | MAP_FIXED, -1, 0));
    MM(mmap((void *)(1L << 47), PG, RW, AN | MAP_FIXED, -1, 0));
    MM(mmap(NULL, PG, 0x100, AN, -1, 0));
    MM(mmap(NULL, PG, RW, MAP_SHARED_VALIDATE | 0x8000000, fd, 0));
    MM(mmap(NULL, PG, RW, MAP_SHARED_VALIDATE, fd, 0));
    int p[2];
    M(pipe(p));
    MM(mmap(NULL, PG, RW, MAP_SHARED, p[0], 0));
    char *a = anon(8 * PG, RW);
    B(a[0] == 0 && a[8 * PG - 1] == 0);
    a[PG] = 7;
    B(mmap(a + PG, PG, RW, AN, -1, 0) != a + PG); // a hint that is taken
    B(mmap(a + PG, PG, RW, AN | MAP_FIXED, -1, 0) == a + PG);
    R(a[PG]);
    MM(mmap(a + PG, PG, RW, AN | MAP_FIXED_NOREPLACE, -1, 0));
    R(munmap(a + 2 * PG, PG));
    B(mmap(a + 2 * PG, PG, RW, AN | MAP_FIXED_NOREPLACE, -1, 0) == a + 2 * PG);
    R(munmap(a + 2 * PG, PG));
    R(munmap(a + 2 * PG, PG)); // nothing is there: still a success
    R(munmap(a + 1, PG));
    R(munmap(a, 0));
    R(munmap(a, -1));
    R(munmap((void *)-PG, PG));
    R(try(a + 2 * PG, 0));
    R(try(a + 3 * PG, 1));
    R(munmap(a, 8 * PG));
    char *n = mmap(NULL, PG, PROT_NONE, AN, -1, 0);
    R(try(n, 0));
    char *x = mmap(NULL, PG, PROT_WRITE, AN, -1, 0);
    R(try(x, 0)); // on this machine write means read
    char *e = mmap(NULL, PG, PROT_EXEC, AN, -1, 0);
    R(try(e, 1));
    H("populate, low, 32 bit, stack");
    MM(mmap(NULL, 4 * PG, RW, AN | MAP_POPULATE, -1, 0));
    B((unsigned long)mmap(NULL, PG, RW, AN | MAP_32BIT, -1, 0) < 1UL << 31);
    MM(mmap(NULL, PG, RW, AN | MAP_STACK | MAP_NORESERVE, -1, 0));
    char *g = mmap(NULL, 16 * PG, RW, AN | MAP_GROWSDOWN, -1, 0);
    R(try(g, 1));
    MM(mmap(NULL, PG, RW, MAP_SHARED | MAP_GROWSDOWN, fd, 0));
}

static void protect(void) {
    H("mprotect");
    char *a = anon(4 * PG, RW);
    a[0] = 5;
    R(mprotect(a, PG, PROT_READ));
    R(try(a, 1));
    R(try(a, 0));
    R(mprotect(a, PG, PROT_NONE));
    R(try(a, 0));
    R(mprotect(a, PG, RW));
    R(a[0]);
    R(mprotect(a + 1, PG, RW));
    R(mprotect(a, 0, RW));
    R(mprotect(a, -PG, RW));
    R(mprotect(a, PG, 0x1000));
    R(mprotect(a, PG, PROT_GROWSUP | PROT_GROWSDOWN));
    R(munmap(a + 2 * PG, PG));
    R(mprotect(a, 4 * PG, PROT_READ)); // a hole: what is before it changes
    R(try(a, 1));
    R(try(a + 3 * PG, 1));
    int ro = M(open("f", O_RDONLY));
    char *s = mmap(NULL, PG, PROT_READ, MAP_SHARED, ro, 0);
    R(mprotect(s, PG, RW));
    s = mmap(NULL, PG, PROT_READ, MAP_PRIVATE, ro, 0);
    R(mprotect(s, PG, RW));
    R(try(s, 1));
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
    memcpy(a + 3 * PG, code, sizeof code);
    R(mprotect(a + 3 * PG, PG, PROT_READ | PROT_EXEC));
    R(((int (*)(void))(a + 3 * PG))());
}

static void remap(void) {
    H("mremap");
    char *a = anon(4 * PG, RW), *b, *c;
    strcpy(a, "kept");
    b = mremap(a, 4 * PG, 2 * PG, 0);
    B(b == a);
    R(try(a + 2 * PG, 0));
    b = mremap(a, 2 * PG, 64 * PG, MREMAP_MAYMOVE);
    B(b != MAP_FAILED);
    str("data", b, 4);
    char *hole = anon(8 * PG, RW);
    M(munmap(hole + PG, 7 * PG));
    MM(mmap(hole + 3 * PG, PG, RW, AN | MAP_FIXED, -1, 0));
    B(mremap(hole, PG, 3 * PG, 0) == hole);
    MM(mremap(hole, 3 * PG, 5 * PG, 0));
    c = mremap(b, PG, PG, MREMAP_MAYMOVE | MREMAP_FIXED, hole);
    B(c == hole);
    str("data", c, 4);
    R(try(b, 0));
    MM(mremap(c, PG, PG, MREMAP_FIXED, b));
    MM(mremap(c, PG, 0, MREMAP_MAYMOVE));
    MM(mremap(c + 1, PG, PG, MREMAP_MAYMOVE));
    MM(mremap(c, PG, 2 * PG, 0x80));
    MM(mremap(c, 2 * PG, 2 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, c + PG));
    MM(mremap((void *)PG, PG, 2 * PG, MREMAP_MAYMOVE));
    MM(mremap(c, 0, PG, MREMAP_MAYMOVE)); // only shared memory is duplicated
    char *s = mmap(NULL, PG, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *t = mremap(s, 0, PG, MREMAP_MAYMOVE);
    B(t != MAP_FAILED && t != s);
    strcpy(s, "both");
    str("alias", t, 4);
    a = anon(PG, RW);
    strcpy(a, "stay");
    b = (char *)syscall(SYS_mremap, a, PG, PG, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
    B(b != a && b != MAP_FAILED);
    str("moved", b, 4);
    str("old", a, 4);
}

static void advise(void) {
    H("madvise");
    char *a = anon(4 * PG, RW);
    memset(a, 9, 4 * PG);
    R(madvise(a, PG, MADV_DONTNEED));
    R(a[0]);
    R(a[PG]);
    R(madvise(a + 1, PG, MADV_DONTNEED));
    R(madvise(a, 0, MADV_DONTNEED));
    R(madvise(a, -PG, MADV_DONTNEED));
    R(madvise(a, PG, 9999));
    R(madvise(a, PG, MADV_WILLNEED));
    R(madvise(a, PG, MADV_FREE));
    R(madvise(a, PG, MADV_SEQUENTIAL));
    R(madvise(a, PG, MADV_HUGEPAGE) == 0 || errno == EINVAL);
    R(madvise(a, PG, MADV_DONTFORK));
    R(CHILD(R(try(a, 0)); R(try(a + PG, 0))));
    R(madvise(a, PG, MADV_DOFORK));
    a[0] = 3;
    R(madvise(a, PG, MADV_WIPEONFORK));
    R(CHILD(R(a[0]); R(a[PG])));
    R(madvise(a, PG, MADV_KEEPONFORK));
    M(munmap(a + 2 * PG, PG));
    a[3 * PG] = 4;
    R(madvise(a, 4 * PG, MADV_DONTNEED));
    R(a[3 * PG]);
    int fd = M(open("f", O_RDWR));
    char *s = mmap(NULL, PG, RW, MAP_SHARED, fd, 0), *p = mmap(NULL, PG, RW, MAP_PRIVATE, fd, 0);
    p[0] = 'P';
    R(madvise(p, PG, MADV_DONTNEED));
    R(p[0]);
    s[0] = 'S';
    R(madvise(s, PG, MADV_DONTNEED));
    R(s[0]);
    R(p[0]);
    R(madvise(p, PG, MADV_FREE));
    R(madvise(s, PG, MADV_REMOVE));
    R(s[0]);
    R(madvise(a, PG, MADV_REMOVE));
    R(madvise(a, PG, MADV_POPULATE_WRITE));
    R(madvise(a, PG, MADV_COLD));
    R(madvise(a, PG, MADV_PAGEOUT));
    R(a[PG]);
    H("msync, mincore, mlock");
    R(msync(s, PG, MS_SYNC));
    R(msync(s, PG, MS_ASYNC | MS_INVALIDATE));
    R(msync(s, PG, MS_SYNC | MS_ASYNC));
    R(msync(s, PG, 8));
    R(msync(s + 1, PG, MS_SYNC));
    R(msync(a, 4 * PG, MS_SYNC));
    R(msync(s, 0, MS_SYNC));
    unsigned char v[4] = {9, 9, 9, 9};
    char *m = anon(4 * PG, RW);
    m[PG] = 1;
    R(mincore(m, 4 * PG, v));
    R(v[1] & 1); // which untouched neighbours are there already is policy (mTHP, for one)
    R(mincore(m + 1, PG, v));
    R(mincore(m, PG, (void *)8));
    M(munmap(m + 2 * PG, PG));
    R(mincore(m, 4 * PG, v));
    R(mlock(m, PG));
    R(mincore(m, PG, v));
    R(v[0] & 1);
    R(mlock(m, 4 * PG));
    R(munlock(m, PG));
    R(munlock(m, 4 * PG));
    R(mlock2(m, PG, 1));
    R(mlock2(m, PG, 8));
    R(mlockall(0));
    R(mlockall(8));
    R(munlockall());
    R(CHILD({
        struct rlimit rl = {0, 0};
        M(setrlimit(RLIMIT_MEMLOCK, &rl));
        M(setuid(1000));
        R(mlock(m, PG));
        R(mlockall(MCL_CURRENT));
        rl = (struct rlimit){64 << 20, 64 << 20};
        M(setrlimit(RLIMIT_AS, &rl));
        MM(anon(128 << 20, RW));
    }));
    H("brk");
    char *b = sbrk(0);
    B(sbrk(3 * PG) == b);
    b[3 * PG - 1] = 1;
    B(sbrk(-PG) == b + 3 * PG);
    R(try(b + 2 * PG + PG, 0));
    B(sbrk(0) == b + 2 * PG);
    B((long)syscall(SYS_brk, 0) == (long)sbrk(0));
    B((long)syscall(SYS_brk, 8) == (long)sbrk(0));
    B((long)syscall(SYS_brk, -1) == (long)sbrk(0));
}

int main(void) {
    struct sigaction sa = {.sa_handler = fault};
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    maps();
    protect();
    remap();
    advise();
    return 0;
}
