// Pipes: capacity, atomic writes, EOF, EPIPE, flags, FIONREAD; FIFOs: open rules.
#include "check.h"
#include <sys/ioctl.h>

static void nop(int s) {}

static short ready(int fd) {
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
    poll(&p, 1, 0);
    return p.revents;
}

static void pipes(void) {
    char b[70000], c[8];
    int p[2], n;
    memset(b, 'x', sizeof b);
    H("pipe2");
    R(pipe2(p, O_CLOEXEC | O_NONBLOCK));
    X(fcntl(p[0], F_GETFL));
    X(fcntl(p[1], F_GETFL));
    R(fcntl(p[0], F_GETFD));
    R(pipe2(p, 1));
    R(pipe2(p, O_APPEND));
    R(pipe(NULL));
    R(dup(0)); // no descriptors were lost by EFAULT
    close(5);
    R(read(p[0], c, 1));
    R(read(p[0], c, 0));
    R(write(p[1], c, 0));
    R(read(p[1], c, 1));
    R(write(p[0], c, 1));
    X(ready(p[0]));
    X(ready(p[1]));
    R(write(p[1], "abc", 3));
    R(ioctl(p[0], FIONREAD, &n));
    R(n);
    R(ioctl(p[1], FIONREAD, &n));
    R(n);
    X(ready(p[0]));
    R(read(p[0], c, 2));
    R(read(p[0], c, 8));
    H("capacity");
    R(fcntl(p[0], F_GETPIPE_SZ));
    R(write(p[1], b, 70000));
    R(write(p[1], b, 1));
    X(ready(p[1]));
    R(read(p[0], b, 4096));
    X(ready(p[1]));
    R(write(p[1], b, 5000));
    R(write(p[1], b, 4097));
    R(fcntl(p[1], F_SETPIPE_SZ, 4096));
    while (read(p[0], b, sizeof b) > 0) {}
    R(fcntl(p[1], F_SETPIPE_SZ, 4096));
    R(write(p[1], b, 4000));
    R(write(p[1], b, 97)); // up to PIPE_BUF all or nothing
    R(write(p[1], b, 96));
    R(write(p[1], b, 5000));
    while (read(p[0], b, sizeof b) > 0) {}
    R(fcntl(p[1], F_SETPIPE_SZ, 5000));
    R(fcntl(p[1], F_SETPIPE_SZ, 0));
    R(fcntl(p[1], F_SETPIPE_SZ, -1));
    R(fcntl(p[1], F_SETPIPE_SZ, 1048576));
    R(fcntl(0, F_GETPIPE_SZ));
    for (int i = 0; i < 3; i++) M(write(p[1], "msg", 3));
    R(read(p[0], b, 100));
    H("ends");
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    R(write(p[1], "x", 1));
    R(write(p[1], "x", 0));
    X(ready(p[1]));
    ST("SIGPIPE", CHILD(signal(SIGPIPE, SIG_DFL); write(p[1], "x", 1)));
    close(p[1]);
    M(pipe(p));
    M(write(p[1], "last", 4));
    close(p[1]);
    X(ready(p[0]));
    R(read(p[0], c, 8));
    R(read(p[0], c, 8));
    X(ready(p[0]));
    close(p[0]);
    H("blocking");
    M(sigaction(SIGALRM, &(struct sigaction){.sa_handler = nop}, NULL));
    M(pipe(p));
    R(POKED(SIGALRM, read(p[0], c, 1)));
    M(fcntl(p[1], F_SETPIPE_SZ, 4096));
    R(POKED(SIGALRM, write(p[1], b, 10000))); // a part was written
    R(POKED(SIGALRM, write(p[1], b, 1)));
    R(read(p[0], (void *)8, 1));
    M(read(p[0], b, 4096));
    R(write(p[1], (void *)8, 1));
    pid_t pid = fork();
    if (!pid) {
        close(p[0]);
        for (int i = 0; i < 100; i++) M(write(p[1], b, 1000));
        _exit(0);
    }
    close(p[1]);
    long total = 0, r;
    while ((r = read(p[0], b, 777)) > 0) total += r;
    R(r);
    R(total);
    waitpid(pid, NULL, 0);
    H("packets");
    M(pipe2(p, O_DIRECT | O_NONBLOCK));
    M(write(p[1], "one", 3));
    M(write(p[1], "second", 6));
    R(read(p[0], c, 8));
    R(read(p[0], c, 2));
    R(read(p[0], c, 8));
    M(pipe(p));
    H("by name");
    char name[64];
    sprintf(name, "/proc/self/fd/%d", p[1]);
    int w = R(open(name, O_WRONLY) > 0);
    (void)w;
    sprintf(name, "/proc/self/fd/%d", p[0]);
    r = readlink(name, b, sizeof b);
    str("link", b, 6);
    struct stat st;
    M(fstat(p[0], &st));
    printf("%o %ld %ld\n", st.st_mode, (long)st.st_size, (long)st.st_blksize);
}

static void fifos(void) {
    H("fifo");
    char b[16];
    M(mkfifo("f", 0600));
    R(open("f", O_WRONLY | O_NONBLOCK));
    int r = R(open("f", O_RDONLY | O_NONBLOCK) >= 0);
    r = M(open("f", O_RDONLY | O_NONBLOCK));
    R(read(r, b, 1));
    X(ready(r));
    int w = M(open("f", O_WRONLY | O_NONBLOCK));
    R(read(r, b, 1));
    X(ready(r));
    R(write(w, "hi", 2));
    R(read(r, b, 16));
    close(w);
    X(ready(r));
    R(read(r, b, 16));
    w = M(open("f", O_WRONLY));
    X(ready(r));
    R(ftruncate(w, 0));
    R(lseek(w, 0, SEEK_SET));
    close(w);
    close(r);
    H("fifo, blocking open");
    M(mkfifo("g", 0600));
    pid_t pid = fork();
    if (!pid) {
        asleep(getppid());
        int x = M(open("g", O_WRONLY));
        M(write(x, "from child", 10));
        _exit(0);
    }
    r = M(open("g", O_RDONLY));
    R(read(r, b, 16));
    R(read(r, b, 16));
    waitpid(pid, NULL, 0);
    close(r);
    R(POKED(SIGALRM, open("g", O_RDONLY)));
    R(POKED(SIGALRM, open("g", O_WRONLY)));
    int rw = M(open("g", O_RDWR));
    R(write(rw, "self", 4));
    R(read(rw, b, 16));
    X(ready(rw));
    close(rw);
    M(unlink("g"));
    R(open("f", O_RDWR | O_EXCL | O_CREAT, 0600));
    X(fcntl(M(open("f", O_RDWR | O_CREAT, 0600)), F_GETFL));
}

int main(void) {
    pipes();
    fifos();
    return 0;
}
