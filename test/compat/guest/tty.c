// Terminals: ptmx, line discipline, termios, window size, packet mode, job control.
#include "check.h"
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

static int m, s;
static char slave[64];
static void open_pair(void) {
    m = M(posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK));
    M(grantpt(m));
    M(unlockpt(m));
    M(ptsname_r(m, slave, sizeof slave) ? -1 : 0);
    s = M(open(slave, O_RDWR | O_NOCTTY | O_NONBLOCK));
}
static void in(const char *t) { M(write(m, t, strlen(t))); }
// until waits for input to be there: a worker of the kernel brings it some time later.
static void until(int fd) {
    struct pollfd p = {fd, POLLIN, 0};
    UNTIL(poll(&p, 1, 1000) == 1);
}
// both reads the slave until there is no more, which waits for that worker, and then what
// the master got.
static void both(const char *w) {
    char b[8192], echo[8192];
    long n, e = 0, k;
    printf("%s:\n", w);
    for (int i = 0; i < 9 && (n = read(s, b, sizeof b)) >= 0; i++) {
        str("  read", b, n);
    }
    if (n < 0) printf("  read: %s\n", ename(errno));
    while (e < (long)sizeof echo && (k = read(m, echo + e, sizeof echo - e)) > 0) e += k;
    str("  echo", echo, e);
}
static void flags(unsigned lset, unsigned lclr, unsigned iset, unsigned iclr) {
    struct termios t;
    tcgetattr(s, &t);
    t.c_lflag = (t.c_lflag | lset) & ~lclr;
    t.c_iflag = (t.c_iflag | iset) & ~iclr;
    M(tcsetattr(s, TCSANOW, &t));
}
static volatile int got;
static void sig(int n) { got = n; }

static void signalled(void) { UNTIL(got); }

static void open_rules(void) {
    H("open");
    int x = M(open("/dev/ptmx", O_RDWR | O_NOCTTY)), v = 9;
    char path[64];
    R(ioctl(x, TIOCGPTLCK, &v));
    R(v);
    M(ioctl(x, TIOCGPTN, &v));
    sprintf(path, "/dev/pts/%d", v);
    R(open(path, O_RDWR | O_NOCTTY)); // locked
    v = 0;
    R(ioctl(x, TIOCSPTLCK, &v));
    int y;
    y = M(open(path, O_RDWR | O_NOCTTY));
    struct stat st;
    M(fstat(y, &st));
    printf("mode %o uid %d rdev major %ld blksize %ld\n", st.st_mode & ~0777, st.st_uid, (long)st.st_rdev >> 8, (long)st.st_blksize);
    B(isatty(x) && isatty(y) && !isatty(0));
    char nm[64], want[64];
    B(!ttyname_r(y, nm, sizeof nm) && !strcmp(nm, path));
    sprintf(want, "/proc/self/fd/%d", y);
    long n = readlink(want, nm, 63);
    nm[n] = 0;
    B(!strcmp(nm, path));
    close(y);
    R(open("/dev/tty", O_RDWR)); // no controlling terminal
    R(tcgetattr(0, &(struct termios){0}));
    R(ioctl(0, TIOCGWINSZ, &st));
    int fl = M(open("f", O_RDWR | O_CREAT, 0600));
    R(ioctl(fl, TCGETS, &st));
    R(ioctl(x, TCGETS, (void *)8));
    R(ioctl(x, 0x5499, 0));
    R(lseek(x, 0, SEEK_SET));
    y = M(ioctl(x, TIOCGPTPEER, O_RDWR | O_NOCTTY));
    B(isatty(y));
    close(y);
    close(x);
    for (int i = 3; i < 20; i++) close(i);
}

static void discipline(void) {
    open_pair();
    H("canonical");
    struct termios t;
    R(tcgetattr(s, &t));
    printf("i %x o %x c %x l %x\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
    for (int i = 0; i < 17; i++) printf("%x ", t.c_cc[i]);
    printf("speed %x\n", cfgetospeed(&t));
    in("hello\n");
    both("line");
    in("part");
    both("no newline");
    in("ial\n");
    both("rest");
    in("one\ntwo\n");
    char b[64];
    until(s);
    R(read(s, b, 2));
    R(read(s, b, 64));
    both("next line");
    in("abc\x7f" "d\n");
    both("erase");
    in("\x7f\x7fx\n");
    both("erase at the start");
    in("a\tb\x7f\x7f\n");
    both("erase a tab");
    in("words here\x17now\n");
    both("word erase");
    in("killed\x15kept\n");
    both("kill");
    in("re\x12" "print\n");
    both("reprint");
    in("lit\x16\x03\n");
    both("literal next");
    in("\x04");
    both("end of file");
    in("data\x04");
    both("end of file after data");
    in("cr\r");
    both("carriage return");
    in("ctl\x01\n");
    both("control characters");
    M(write(s, "out\nput\ttab", 11));
    both("output");
    char line[5000];
    memset(line, 'x', 5000);
    line[4999] = 0;
    flags(0, ECHO, 0, 0);
    for (int i = 0; i < 4999; i += 499) { write(m, line, 499); ms(1); }
    in("\n");
    until(s);
    char big[8192];
    R(read(s, big, sizeof big)); // 4095 and the newline
    read(m, b, 64);
    flags(ECHO, 0, 0, 0);
    H("input flags");
    flags(0, 0, INLCR, ICRNL);
    in("a\rb\n\x04");
    both("INLCR");
    flags(0, 0, IGNCR, INLCR);
    in("a\rb\n");
    both("IGNCR");
    flags(0, 0, ICRNL | IUCLC | ISTRIP, IGNCR);
    flags(IEXTEN, 0, 0, 0);
    in("UP\n");
    both("IUCLC");
    flags(0, ECHO, ICRNL, IUCLC | ISTRIP);
    in("quiet\n");
    both("no echo");
    flags(ECHONL, 0, 0, 0);
    in("nl\n");
    both("echo newline");
    flags(ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE, ECHONL, 0, 0);
    H("raw");
    tcgetattr(s, &t);
    struct termios was = t;
    cfmakeraw(&t);
    M(tcsetattr(s, TCSANOW, &t));
    in("a\rb\x03\x7f");
    both("raw");
    M(write(s, "o\n", 2));
    both("output");
    t.c_cc[VMIN] = 3, t.c_cc[VTIME] = 0;
    M(tcsetattr(s, TCSANOW, &t));
    in("ab");
    struct pollfd p = {s, POLLIN, 0};
    R(poll(&p, 1, 0));
    in("c");
    until(s);
    R(poll(&p, 1, 0));
    R(read(s, b, 64));
    M(fcntl(s, F_SETFL, 0));
    t.c_cc[VMIN] = 0, t.c_cc[VTIME] = 1;
    M(tcsetattr(s, TCSANOW, &t));
    int64_t start = now_ms();
    R(read(s, b, 64));
    B(now_ms() - start >= 90);
    t.c_cc[VMIN] = 0, t.c_cc[VTIME] = 0;
    M(tcsetattr(s, TCSANOW, &t));
    R(read(s, b, 64));
    t.c_cc[VMIN] = 2, t.c_cc[VTIME] = 1;
    M(tcsetattr(s, TCSANOW, &t));
    in("z");
    R(read(s, b, 64)); // one byte, then time between bytes
    M(fcntl(s, F_SETFL, O_NONBLOCK));
    H("flush, queue, break");
    M(tcsetattr(s, TCSANOW, &was));
    in("lost\n");
    until(s);
    int n;
    R(ioctl(s, FIONREAD, &n));
    R(n);
    R(tcflush(s, TCIFLUSH));
    R(read(s, b, 64));
    R(tcflush(s, 9));
    while (read(m, b, 64) > 0) {}
    in("dropped");
    until(m);
    t = was;
    R(tcsetattr(s, TCSAFLUSH, &t));
    in("\n");
    both("after TCSAFLUSH");
    R(tcdrain(s));
    R(tcsendbreak(s, 0));
    R(ioctl(s, TIOCOUTQ, &n));
    R(tcflow(s, TCOOFF));
    M(write(s, "held", 4) >= -1 ? 0 : 0);
    R(tcflow(s, TCOON));
    while (read(m, b, 64) > 0) {}
    tcflush(s, TCIFLUSH);
    H("window size");
    struct winsize w = {1, 1, 1, 1};
    R(ioctl(m, TIOCGWINSZ, &w));
    printf("%d %d\n", w.ws_row, w.ws_col);
    w = (struct winsize){24, 80, 0, 0};
    R(ioctl(m, TIOCSWINSZ, &w));
    w = (struct winsize){0};
    R(ioctl(s, TIOCGWINSZ, &w));
    printf("%d %d\n", w.ws_row, w.ws_col);
    H("packet mode");
    n = 1;
    R(ioctl(m, TIOCPKT, &n));
    M(write(s, "pkt", 3));
    until(m);
    n = read(m, b, 64);
    str("packet", b, n);
    tcflush(s, TCIFLUSH);
    until(m);
    n = read(m, b, 64);
    str("packet", b, n);
    n = 0;
    ioctl(m, TIOCPKT, &n);
    H("hang-up");
    close(s);
    p = (struct pollfd){m, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    X(p.revents);
    R(read(m, b, 64));
    s = M(open(slave, O_RDWR | O_NOCTTY | O_NONBLOCK));
    R(read(m, b, 64));
    close(m);
    R(read(s, b, 64));
    R(write(s, "x", 1));
    p = (struct pollfd){s, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    X(p.revents);
    R(ioctl(s, TIOCGWINSZ, &w));
    close(s);
    R(open(slave, O_RDWR | O_NOCTTY));
}

static void jobs(void) {
    open_pair();
    H("controlling terminal");
    int st, over[2];
    char c;
    M(pipe(over));
    pid_t leader = fork();
    if (!leader) {
        setsid();
        int pg;
        R(ioctl(s, TIOCGPGRP, &pg));
        R(tcsetpgrp(s, getpid()));
        R(ioctl(s, TIOCSCTTY, 0));
        R(ioctl(s, TIOCSCTTY, 0));
        B(tcgetpgrp(s) == getpid() && tcgetsid(s) == getpid());
        int tty = M(open("/dev/tty", O_RDWR | O_NONBLOCK));
        R(write(tty, "by /dev/tty\n", 12));
        both("tty");
        R(tcsetpgrp(s, 999999));
        R(tcsetpgrp(s, -1));
        R(tcsetpgrp(s, getppid()));
        signal(SIGINT, sig);
        in("\x03");
        signalled();
        R(got);
        signal(SIGQUIT, sig);
        got = 0;
        in("\x1c");
        signalled();
        R(got);
        both("after signals");
        signal(SIGWINCH, sig);
        struct winsize w = {30, 90, 0, 0};
        got = 0;
        ioctl(m, TIOCSWINSZ, &w);
        signalled();
        R(got == SIGWINCH);
        got = 0;
        ioctl(m, TIOCSWINSZ, &w); // the same size: no signal
        ms(20);
        R(got);
        H("jobs");
        // A job in the background is stopped when it reads, and (TOSTOP) writes.
        pid_t job = fork();
        if (!job) {
            setpgid(0, 0);
            fcntl(s, F_SETFL, 0);
            char b[64];
            long n = read(s, b, 64);
            str("job read", b, n);
            n = write(s, "bg", 2);
            printf("wrote %ld\n", n);
            R(tcsetpgrp(s, getpgrp()));
            _exit(3);
        }
        setpgid(job, job);
        R(waitpid(job, &st, WUNTRACED) == job);
        ST("reads in the background", st);
        signal(SIGTTOU, SIG_IGN);
        R(tcsetpgrp(s, job));
        in("line\n");
        kill(-job, SIGCONT);
        R(waitpid(job, &st, WUNTRACED) == job);
        ST("in the foreground", st);
        R(tcsetpgrp(s, getpid()));
        fcntl(s, F_SETFL, O_NONBLOCK); // the job and this process share it
        both("from the job");
        signal(SIGTTOU, SIG_DFL);
        job = fork();
        if (!job) { setpgid(0, 0); struct termios t; tcgetattr(s, &t); t.c_lflag |= TOSTOP; tcsetattr(s, TCSANOW, &t); write(s, "x", 1); _exit(4); }
        setpgid(job, job);
        R(waitpid(job, &st, WUNTRACED) == job);
        ST("tcsetattr in the background", st);
        kill(job, SIGKILL);
        waitpid(job, &st, 0);
        flags(TOSTOP, 0, 0, 0);
        job = fork();
        if (!job) { setpgid(0, 0); write(s, "x", 1); _exit(4); }
        setpgid(job, job);
        R(waitpid(job, &st, WUNTRACED) == job);
        ST("write with TOSTOP", st);
        kill(job, SIGKILL);
        waitpid(job, &st, 0);
        job = fork();
        if (!job) { setpgid(0, 0); signal(SIGTTIN, SIG_IGN); char b; R(read(s, &b, 1)); signal(SIGTTOU, SIG_IGN); R(write(s, "y", 1)); _exit(4); }
        setpgid(job, job);
        R(waitpid(job, &st, WUNTRACED) == job);
        ST("signals ignored", st);
        both("y");
        signal(SIGINT, SIG_DFL);
        job = fork();
        if (!job) { setpgid(0, 0); for (;;) pause(); }
        setpgid(job, job);
        signal(SIGTTOU, SIG_IGN);
        R(tcsetpgrp(s, job));
        in("\x1a");
        R(waitpid(job, &st, WUNTRACED) == job);
        ST("Ctrl-Z", st);
        kill(job, SIGCONT);
        in("\x03");
        R(waitpid(job, &st, WUNTRACED) == job);
        ST("Ctrl-C", st);
        R(tcsetpgrp(s, getpid()));
        // The end of the leader hangs up the foreground group.
        got = 0;
        pid_t lead = getpid();
        int set[2];
        M(pipe(set));
        job = fork();
        if (!job) {
            signal(SIGHUP, sig);
            M(write(set[1], "x", 1));
            UNTIL(got);
            printf("foreground got %s\n", got == SIGHUP ? "SIGHUP" : "?");
            UNTIL(getppid() != lead); // the session loses its terminal after the signal
            R(open("/dev/tty", O_RDWR));
            _exit(0);
        }
        M(read(set[0], &c, 1));
        _exit(0);
    }
    close(s);
    waitpid(leader, &st, 0);
    close(over[1]);
    read(over[0], &c, 1); // the last job is over
    ST("leader", st);
    H("TIOCNOTTY and a second session");
    close(m);
    open_pair();
    CHILD({
        setsid();
        M(ioctl(s, TIOCSCTTY, 0));
        R(CHILD(setsid(); R(ioctl(s, TIOCSCTTY, 0))));
        signal(SIGHUP, sig);
        signal(SIGCONT, SIG_IGN);
        R(ioctl(s, TIOCNOTTY));
        R(open("/dev/tty", O_RDWR));
        R(got == SIGHUP);
        setsid();
        int t;
        t = open(slave, O_RDWR); // the first terminal that a leader opens is its own
        (void)t;
        R(open("/dev/tty", O_RDWR) >= 0);
    });
}

int main(void) {
    open_rules();
    discipline();
    jobs();
    return 0;
}
