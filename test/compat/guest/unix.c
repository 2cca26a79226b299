// Unix sockets: stream, datagram, seqpacket, names, abstract, credentials, descriptors.
#include "check.h"
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static socklen_t addr(struct sockaddr_un *a, const char *n) {
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    int abs = n[0] == '@';
    strcpy(a->sun_path + abs, n + abs);
    return offsetof(struct sockaddr_un, sun_path) + strlen(n) + !abs;
}
static int bind_(int s, const char *n) { struct sockaddr_un a; socklen_t l = addr(&a, n); return bind(s, (void *)&a, l); }
static int conn(int s, const char *n) { struct sockaddr_un a; socklen_t l = addr(&a, n); return connect(s, (void *)&a, l); }
static void name(const char *w, int s, int peer) {
    struct sockaddr_un a;
    socklen_t l = sizeof a;
    memset(&a, 0x55, sizeof a);
    int r = peer ? getpeername(s, (void *)&a, &l) : getsockname(s, (void *)&a, &l);
    printf("%s: %s len %d ", w, r ? ename(errno) : "ok", (int)l);
    if (!r && l > 2) str("name", a.sun_path, l - 2); else putchar('\n');
}
static short ready(int fd) {
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    poll(&p, 1, 0);
    return p.revents;
}
static int opt(int s, int o) { int v = -1; socklen_t l = sizeof v; return getsockopt(s, SOL_SOCKET, o, &v, &l) ? -1 : v; }

static void stream(void) {
    char b[64];
    H("arguments");
    R(socket(AF_UNIX, 99, 0));
    R(socket(AF_UNIX, SOCK_STREAM, 99));
    R(socket(AF_UNIX, SOCK_STREAM, 1) >= 0);
    R(socket(999, SOCK_STREAM, 0));
    R(socket(AF_UNIX, SOCK_RAW, 0) >= 0);
    R(socketpair(AF_INET, SOCK_STREAM, 0, (int *)b));
    R(socketpair(AF_UNIX, SOCK_STREAM, 0, (void *)8));
    int s = R(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    X(fcntl(s, F_GETFL));
    R(fcntl(s, F_GETFD));
    name("new", s, 0);
    R(listen(s, 5));
    R(accept(s, NULL, NULL));
    X(ready(s));
    R(send(s, "x", 1, MSG_NOSIGNAL));
    R(recv(s, b, 1, 0));
    R(bind_(s, "sock"));
    R(bind_(s, "other"));
    name("bound", s, 0);
    name("peer", s, 1);
    struct stat st;
    M(stat("sock", &st));
    printf("mode %o\n", st.st_mode);
    int t = M(socket(AF_UNIX, SOCK_STREAM, 0));
    R(bind_(t, "sock"));
    R(bind_(t, "none/x"));
    R(bind(t, (void *)b, 1));
    struct sockaddr_un a;
    memset(&a, 'x', sizeof a);
    a.sun_family = AF_UNIX;
    R(bind(t, (void *)&a, sizeof a + 1));
    a.sun_family = AF_INET;
    R(bind(t, (void *)&a, 10));
    R(conn(t, "none"));
    R(conn(t, "sock")); // not listening
    put("file", "");
    R(conn(t, "file"));
    R(listen(s, 1));
    R(listen(0, 1));
    R(accept(s, NULL, NULL));
    R(accept4(s, NULL, NULL, 0x111));
    R(opt(s, SO_ACCEPTCONN));
    H("connect");
    R(conn(t, "sock"));
    R(conn(t, "sock"));
    X(ready(s));
    name("client's peer", t, 1);
    name("client", t, 0);
    socklen_t l = sizeof a;
    int c = R(accept4(s, (void *)&a, &l, SOCK_CLOEXEC | SOCK_NONBLOCK));
    R(l);
    X(fcntl(c, F_GETFL));
    name("server side", c, 0);
    name("server side's peer", c, 1);
    R(send(t, "hello", 5, 0));
    R(send(t, "world", 5, 0));
    R(recv(c, b, 3, MSG_PEEK));
    R(recv(c, b, 64, 0));
    str("got", b, 10);
    R(recv(c, b, 1, 0));
    int n;
    M(send(t, "12345", 5, 0));
    R(ioctl(c, FIONREAD, &n));
    R(n);
    R(ioctl(c, SIOCINQ, &n));
    B(ioctl(t, SIOCOUTQ, &n) == 0 && n > 0);
    R(recv(c, b, 64, MSG_TRUNC));
    R(recv(c, b, 4, MSG_OOB));
    R(recv(c, b, 1, MSG_ERRQUEUE));
    R(send(t, "abc", 3, 0));
    R(recv(c, b, 10, MSG_WAITALL | MSG_DONTWAIT));
    R(sendto(t, "x", 1, 0, (void *)&a, sizeof a.sun_family));
    R(shutdown(t, SHUT_WR));
    X(ready(c));
    R(recv(c, b, 1, 0));
    R(send(t, "x", 1, MSG_NOSIGNAL));
    R(send(c, "back", 4, 0));
    R(recv(t, b, 64, 0));
    R(shutdown(c, 7));
    close(t);
    X(ready(c));
    R(send(c, "x", 1, MSG_NOSIGNAL));
    ST("SIGPIPE", CHILD(send(c, "x", 1, 0)));
    R(read(c, b, 1));
    R(shutdown(s, SHUT_RDWR));
    close(c);
    H("reset");
    int p[2];
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
    M(write(p[0], "unread", 6));
    close(p[1]);
    X(ready(p[0]));
    R(opt(p[0], SO_ERROR));
    R(read(p[0], b, 1));
    close(p[0]);
    H("full");
    M(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p));
    static char big[1 << 20];
    long sent = write(p[0], big, sizeof big);
    B(sent > 0 && sent < (long)sizeof big);
    R(write(p[0], big, 1) < 0 ? -1 : 0);
    X(ready(p[0]) & POLLOUT);
    long got = 0, r;
    while ((r = read(p[1], big, sizeof big)) > 0) got += r;
    B(got >= sent);
    X(ready(p[0]) & POLLOUT);
    close(p[0]), close(p[1]);
    H("backlog");
    s = M(socket(AF_UNIX, SOCK_STREAM, 0));
    M(bind_(s, "@backlog"));
    M(listen(s, 0));
    int k[3];
    for (int i = 0; i < 3; i++) {
        k[i] = M(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        R(conn(k[i], "@backlog"));
    }
    close(s);
    R(read(k[0], b, 1));
    R(conn(k[2], "@backlog"));
    R(unlink("sock"));
}

static void dgram(int type, const char *what) {
    char b[64];
    printf("## %s\n", what);
    int a = M(socket(AF_UNIX, SOCK_DGRAM, 0)), c = M(socket(AF_UNIX, SOCK_DGRAM, 0)), p[2];
    struct sockaddr_un sa;
    socklen_t l;
    if (type == SOCK_DGRAM) {
        R(bind_(a, "@dg"));
        R(bind_(c, "@dg"));
        R(sendto(c, "to", 2, 0, (void *)&sa, (l = addr(&sa, "@dg"))));
        l = sizeof sa;
        R(recvfrom(a, b, 64, 0, (void *)&sa, &l));
        R(l); // the sender has no name
        R(bind_(c, "@dg2"));
        R(conn(c, "@dg"));
        R(send(c, "one", 3, 0));
        l = sizeof sa;
        R(recvfrom(a, b, 64, 0, (void *)&sa, &l));
        str("from", sa.sun_path, l - 2);
        R(sendto(a, "back", 4, 0, (void *)&sa, l));
        R(recv(c, b, 2, 0)); // the rest is lost
        R(recv(c, b, 2, MSG_DONTWAIT));
        R(conn(a, "@none"));
        R(conn(a, "@dg2"));
        R(sendto(a, "x", 1, 0, (void *)&sa, addr(&sa, "@none")));
        int other = M(socket(AF_UNIX, SOCK_DGRAM, 0));
        R(sendto(other, "x", 1, 0, (void *)&sa, addr(&sa, "@dg"))); // it is connected to another
        R(listen(a, 1));
        close(a);
        R(send(c, "x", 1, MSG_NOSIGNAL));
        int st = M(socket(AF_UNIX, SOCK_STREAM, 0));
        R(conn(st, "@dg2"));
        struct sockaddr un = {AF_UNSPEC};
        R(connect(c, &un, sizeof un));
        R(send(c, "x", 1, MSG_NOSIGNAL));
        R(bind(other, (void *)&sa, 2)); // autobind
        l = sizeof sa;
        getsockname(other, (void *)&sa, &l);
        R(l);
        R(sa.sun_path[0]);
    }
    M(socketpair(AF_UNIX, type, 0, p));
    R(send(p[0], "first", 5, 0));
    R(send(p[0], "", 0, 0));
    R(send(p[0], "third", 5, 0));
    R(recv(p[1], b, 2, MSG_PEEK | MSG_TRUNC));
    struct iovec iov = {b, 2};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    R(recvmsg(p[1], &m, 0));
    X(m.msg_flags);
    R(recv(p[1], b, 64, 0));
    R(recv(p[1], b, 64, 0));
    R(recv(p[1], b, 64, MSG_DONTWAIT));
    static char big[1 << 20];
    R(send(p[0], big, sizeof big, MSG_DONTWAIT));
    int n = 0;
    while (send(p[0], "x", 1, MSG_DONTWAIT) == 1) n++;
    printf("queue %s: %s\n", n > 0 ? "bounded" : "?", ename(errno));
    struct mmsghdr mm[3] = {{{.msg_iov = &iov, .msg_iovlen = 1}}, {{.msg_iov = &iov, .msg_iovlen = 1}}, {{.msg_iov = &iov, .msg_iovlen = 1}}};
    R(recvmmsg(p[1], mm, 3, 0, NULL));
    R(mm[2].msg_len);
    while (recv(p[1], b, 64, MSG_DONTWAIT) > 0) {}
    R(sendmmsg(p[0], mm, 3, 0));
    R(recv(p[1], b, 64, 0));
    close(p[1]);
    X(ready(p[0]));
    R(send(p[0], "x", 1, MSG_NOSIGNAL));
    R(recv(p[0], b, 1, MSG_DONTWAIT));
}

// pass sends descriptors or credentials.
static int pass(int s, int *fds, int n, struct ucred *cr) {
    char c[1024] __attribute__((aligned(8))) = {0};
    struct iovec iov = {"m", 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c};
    struct cmsghdr *h = (void *)c;
    if (n) { h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(4 * n); memcpy(CMSG_DATA(h), fds, 4 * n); m.msg_controllen += CMSG_SPACE(4 * n); }
    if (cr) { h = (void *)(c + m.msg_controllen); h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_CREDENTIALS, h->cmsg_len = CMSG_LEN(sizeof *cr); memcpy(CMSG_DATA(h), cr, sizeof *cr); m.msg_controllen += CMSG_SPACE(sizeof *cr); }
    return sendmsg(s, &m, 0);
}
static int take(int s, int space, int flags) {
    char c[1024] __attribute__((aligned(8))), b[64];
    struct iovec iov = {b, sizeof b};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c, .msg_controllen = space};
    int last = -1, r = recvmsg(s, &m, flags | MSG_DONTWAIT);
    printf("  recvmsg %d%s flags %x control %d:", r, r < 0 ? ename(errno) : "", m.msg_flags & ~MSG_CMSG_CLOEXEC, (int)m.msg_controllen);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        int n = (h->cmsg_len - CMSG_LEN(0)) / 4, *f = (void *)CMSG_DATA(h);
        struct ucred *u = (void *)f;
        if (h->cmsg_type == SCM_RIGHTS) { printf(" %d descriptors", n); for (int i = 0; i < n; i++) { last = f[i]; if (i < n - 1) close(f[i]); } }
        else printf(" credentials %s %d %d", u->pid == getpid() ? "self" : u->pid == getppid() ? "parent" : u->pid ? "other" : "0", u->uid, u->gid);
    }
    putchar('\n');
    return last;
}

static void passing(int type, const char *what) {
    printf("## passing, %s\n", what);
    int p[2], q[2], fds[300], on = 1;
    M(socketpair(AF_UNIX, type, 0, p));
    M(pipe(q));
    R(pass(p[0], q, 1, NULL));
    int r = take(p[1], 64, MSG_CMSG_CLOEXEC);
    R(fcntl(r, F_GETFD));
    M(write(q[1], "through", 7));
    char b[16];
    R(read(r, b, 16));
    close(r);
    fds[0] = fds[1] = q[0], fds[2] = 99;
    R(pass(p[0], fds, 2, NULL));
    r = take(p[1], CMSG_SPACE(4), 0); // space for two, by padding
    close(r);
    R(pass(p[0], fds, 2, NULL));
    r = take(p[1], CMSG_LEN(4), 0); // room for one
    close(r);
    R(pass(p[0], fds, 3, NULL));
    R(pass(p[0], fds, 1, NULL));
    take(p[1], 0, 0); // closed unseen
    R(pass(p[0], fds, 1, NULL));
    R(recv(p[1], b, 16, 0));
    for (int i = 0; i < 254; i++) fds[i] = q[0];
    char c[2048] = {0};
    struct iovec iov = {"m", 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c, .msg_controllen = CMSG_SPACE(4 * 254)};
    struct cmsghdr *h = (void *)c;
    *h = (struct cmsghdr){CMSG_LEN(4 * 254), SOL_SOCKET, SCM_RIGHTS};
    R(sendmsg(p[0], &m, 0));
    h->cmsg_len = 5;
    R(sendmsg(p[0], &m, 0));
    h->cmsg_len = 5000;
    R(sendmsg(p[0], &m, 0));
    *h = (struct cmsghdr){CMSG_LEN(4), SOL_SOCKET, 77};
    R(sendmsg(p[0], &m, 0));
    // A socket in its own queue is not lost for ever, and a passed one lives on.
    R(pass(p[0], p, 2, NULL));
    r = take(p[1], 64, 0);
    R(write(r, "via", 3) > 0);
    close(r);
    H("credentials");
    R(setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    R(opt(p[1], SO_PASSCRED));
    while (recv(p[0], b, 16, MSG_DONTWAIT) > 0) {}
    while (recv(p[1], b, 16, MSG_DONTWAIT) > 0) {}
    M(send(p[0], "x", 1, 0));
    take(p[1], 128, 0);
    struct ucred cr = {getpid(), 5, 6};
    R(pass(p[0], NULL, 0, &cr));
    take(p[1], 128, 0);
    cr.pid = 999999;
    R(pass(p[0], NULL, 0, &cr));
    cr.pid = 1;
    R(CHILD(M(setgid(7)); M(setuid(7)); struct ucred x; x = (struct ucred){getpid(), 0, 0}; R(pass(p[0], NULL, 0, &x)); x.uid = 7, x.gid = 7; R(pass(p[0], NULL, 0, &x)); x.pid = getppid(); R(pass(p[0], NULL, 0, &x))));
    take(p[1], 128, 0);
    cr.pid = getpid();
    R(pass(p[0], q, 2, &cr));
    close(take(p[1], 256, 0));
    struct ucred peer;
    socklen_t l = sizeof peer;
    R(getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &peer, &l));
    printf("peer %s %d %d len %d\n", peer.pid == getpid() ? "self" : "other", peer.uid, peer.gid, (int)l);
}

static void options(void) {
    H("options");
    int s = M(socket(AF_UNIX, SOCK_STREAM, 0)), v = 5000;
    R(opt(s, SO_TYPE));
    R(opt(s, SO_DOMAIN));
    R(opt(s, SO_PROTOCOL));
    R(opt(s, SO_ERROR));
    R(opt(s, SO_REUSEADDR));
    R(opt(s, 9999));
    R(setsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, sizeof v));
    R(opt(s, SO_SNDBUF));
    R(setsockopt(s, SOL_SOCKET, SO_RCVBUF, &v, 2));
    R(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0, 20000}, sizeof(struct timeval)));
    R(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0, 2000000}, sizeof(struct timeval)));
    R(setsockopt(s, SOL_SOCKET, SO_TYPE, &v, sizeof v));
    R(setsockopt(s, 99, 1, &v, sizeof v));
    R(getsockopt(99, SOL_SOCKET, SO_TYPE, &v, (void *)8));
    R(getsockopt(0, SOL_SOCKET, SO_TYPE, &v, (void *)8));
    socklen_t l = -1;
    R(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &l));
    int p[2];
    char b;
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
    M(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0, 20000}, sizeof(struct timeval)));
    R(recv(p[0], &b, 1, 0));
    R(lseek(s, 0, SEEK_SET));
    R(pread(p[0], &b, 1, 0));
    R(ftruncate(s, 0));
    M(chmod("..", 0755));
    M(chmod(".", 0755));
    M(bind_(s, "guarded"));
    M(listen(s, 5));
    M(chmod("guarded", 0700));
    R(CHILD(M(setuid(1000)); int c; c = M(socket(AF_UNIX, SOCK_STREAM, 0)); R(conn(c, "guarded")); R(bind_(c, "mine"))));
    M(rename("guarded", "moved"));
    int c = M(socket(AF_UNIX, SOCK_STREAM, 0));
    R(conn(c, "moved")); // the node counts, not the name
    name("peer keeps the first name", c, 1);
}

// mark says how a stream with an urgent byte reads: letters are calls, see below.
static void mark(const char *steps, int inl) {
    int p[2], at;
    char b[16];
    M(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
    if (inl) M(setsockopt(p[1], SOL_SOCKET, SO_OOBINLINE, &inl, sizeof inl));
    printf("## %s%s\n", steps, inl ? " inline" : "");
    for (; *steps; steps++) {
        struct pollfd f = {p[1], POLLIN | POLLPRI, 0};
        long r = 0;
        memset(b, 0, sizeof b);
        errno = 0;
        switch (*steps) {
        case 's': r = send(p[0], "abc", 3, MSG_DONTWAIT); break;
        case 'o': r = send(p[0], "def", 3, MSG_OOB); break;
        case 'x': r = send(p[0], "X", 1, MSG_OOB); break;
        case '0': r = send(p[0], "", 0, MSG_OOB); break;
        case 'r': r = recv(p[1], b, 16, MSG_DONTWAIT); break;
        case '2': r = recv(p[1], b, 2, MSG_DONTWAIT); break;
        case 'p': r = recv(p[1], b, 16, MSG_DONTWAIT | MSG_PEEK); break;
        case 'u': r = recv(p[1], b, 16, MSG_OOB); break;
        case 'U': r = recv(p[1], b, 16, MSG_OOB | MSG_PEEK); break;
        case 'c': close(p[0]); break;
        }
        printf("%c: %ld %s \"%s\"", *steps, r, r < 0 ? ename(errno) : "", b);
        poll(&f, 1, 0);
        M(ioctl(p[1], SIOCATMARK, &at));
        printf(" events %x mark %d\n", f.revents, at);
    }
    close(p[0]);
    close(p[1]);
}

static void urgent(void) {
    static const char *const steps[] = {"0", "ursr", "our", "orrr", "oru", "orurr", "xr", "xu", "xur", "xsr", "soru", "oor", "ooururr",
        "osprpr", "xpr", "oUuUr", "so2222", "xusr", "oursr", "oruscrr", "xcr", "osur", "oosr", "xxr", "xuxur"};
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) { mark(steps[i], 0); mark(steps[i], 1); }
    int p[2];
    M(socketpair(AF_UNIX, SOCK_DGRAM, 0, p));
    R(send(p[0], "x", 1, MSG_OOB));
    R(recv(p[1], p, 1, MSG_OOB));
}

static void types(void) {
    H("each type has its own abstract names");
    static const int type[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 3; i++) R(bind_(M(socket(AF_UNIX, type[i], 0)), "@same"));
    R(bind_(M(socket(AF_UNIX, SOCK_STREAM, 0)), "@same"));
    R(bind_(M(socket(AF_UNIX, SOCK_DGRAM, 0)), "file_d"));
    R(conn(M(socket(AF_UNIX, SOCK_STREAM, 0)), "file_d"));
}

int main(void) {
    stream();
    urgent();
    types();
    dgram(SOCK_DGRAM, "datagrams");
    dgram(SOCK_SEQPACKET, "seqpacket");
    passing(SOCK_STREAM, "stream");
    passing(SOCK_DGRAM, "datagrams");
    options();
    return 0;
}
