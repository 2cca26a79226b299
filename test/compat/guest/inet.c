// Internet sockets over lo in a network namespace of the program's own: creation, names,
// errors, options, readiness, shutdown, resets, flags, ancillary data, ioctls.
#include "check.h"
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static struct sockaddr_in v4(const char *ip, int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, ip, &a.sin_addr);
    return a;
}
static struct sockaddr_in6 v6(const char *ip, int port) {
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(AF_INET6, ip, &a.sin6_addr);
    return a;
}
static int bind4(int s, const char *ip, int port) { struct sockaddr_in a = v4(ip, port); return bind(s, (void *)&a, sizeof a); }
static int conn4(int s, const char *ip, int port) { struct sockaddr_in a = v4(ip, port); return connect(s, (void *)&a, sizeof a); }
static int bind6(int s, const char *ip, int port) { struct sockaddr_in6 a = v6(ip, port); return bind(s, (void *)&a, sizeof a); }
static int conn6(int s, const char *ip, int port) { struct sockaddr_in6 a = v6(ip, port); return connect(s, (void *)&a, sizeof a); }
static int send4(int s, const char *b, int n, int f, const char *ip, int port) { struct sockaddr_in a = v4(ip, port); return sendto(s, b, n, f, (void *)&a, sizeof a); }

static void name(const char *w, int s, int peer) {
    struct sockaddr_storage a;
    socklen_t l = sizeof a;
    char ip[64];
    int r = peer ? getpeername(s, (void *)&a, &l) : getsockname(s, (void *)&a, &l);
    if (r) { printf("%s: %s\n", w, ename(errno)); return; }
    int port = a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a)->sin6_port) : ntohs(((struct sockaddr_in *)&a)->sin_port);
    void *p = a.ss_family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)&a)->sin6_addr : (void *)&((struct sockaddr_in *)&a)->sin_addr;
    printf("%s: len %d %s port %s\n", w, (int)l, inet_ntop(a.ss_family, p, ip, sizeof ip), port >= 32768 ? "some" : port ? "given" : "0");
}
static int port(int s) {
    struct sockaddr_storage a;
    socklen_t l = sizeof a;
    getsockname(s, (void *)&a, &l);
    return ntohs(((struct sockaddr_in *)&a)->sin_port);
}
// ready returns the events of fd: those that are expected may take their time to come (a
// segment on lo is handled by whoever has the processor), and then no others should.
static short ready(int fd, short want) {
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
    for (int i = 0; i < 500 && poll(&p, 1, 0) >= 0 && p.revents != want; i++) ms(10);
    ms(20);
    poll(&p, 1, 0);
    return p.revents;
}
static int opt(int s, int level, int o) { int v = -77; socklen_t l = sizeof v; return getsockopt(s, level, o, &v, &l) ? -errno : v; }
static int set(int s, int level, int o, int v) { return setsockopt(s, level, o, &v, sizeof v); }
static int err(int s) { return opt(s, SOL_SOCKET, SO_ERROR); }

static int lsn, lport;
static void listener(int family) {
    lsn = socket(family, SOCK_STREAM, 0);
    if (family == AF_INET) bind4(lsn, "127.0.0.1", 0); else bind6(lsn, "::", 0);
    listen(lsn, 8);
    lport = port(lsn);
}
static void pair(int *c, int *s) {
    *c = socket(AF_INET, SOCK_STREAM, 0);
    conn4(*c, "127.0.0.1", lport);
    *s = accept(lsn, 0, 0);
}

static void lo(void) {
    H("lo comes down");
    struct ifreq r = {.ifr_name = "lo"};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    R(ioctl(s, SIOCGIFFLAGS, &r));
    X(r.ifr_flags);
    int t = socket(AF_INET, SOCK_STREAM, 0);
    R(conn4(t, "127.0.0.1", 9));
    close(t);
    R(send4(s, "x", 1, 0, "127.0.0.1", 9));
    r.ifr_flags |= IFF_UP;
    R(ioctl(s, SIOCSIFFLAGS, &r));
    R(ioctl(s, SIOCGIFFLAGS, &r));
    X(r.ifr_flags);
    R(ioctl(s, SIOCGIFMTU, &r)); R(r.ifr_mtu);
    R(ioctl(s, SIOCGIFINDEX, &r)); R(r.ifr_ifindex);
    R(ioctl(s, SIOCGIFADDR, &r)); printf("%s\n", inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
    R(ioctl(s, SIOCGIFNETMASK, &r)); printf("%s\n", inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
    R(ioctl(s, SIOCGIFHWADDR, &r)); R(r.ifr_hwaddr.sa_family);
    R(ioctl(s, SIOCGIFTXQLEN, &r)); R(r.ifr_qlen);
    struct ifconf c = {0};
    R(ioctl(s, SIOCGIFCONF, &c)); R(c.ifc_len);
    char buf[200];
    c.ifc_len = sizeof buf; c.ifc_buf = buf;
    R(ioctl(s, SIOCGIFCONF, &c)); R(c.ifc_len); printf("%s\n", buf);
    strcpy(r.ifr_name, "nope"); R(ioctl(s, SIOCGIFMTU, &r));
    r.ifr_ifindex = 1; R(ioctl(s, SIOCGIFNAME, &r)); printf("%s\n", r.ifr_name);
    R(if_nametoindex("lo"));
    R(ioctl(s, 0x8999, &r));
    close(s);
}

static void creation(void) {
    H("socket");
    R(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    R(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
    R(socket(AF_INET, SOCK_STREAM, 9999));
    R(socket(AF_INET, SOCK_STREAM, -1));
    R(socket(AF_INET, SOCK_SEQPACKET, 0));
    R(socket(AF_INET, SOCK_RAW, 0));
    R(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0);
    R(socket(AF_INET, 77, 0));
    R(socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) >= 0);
    R(socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP) >= 0);
    int p[2];
    R(socketpair(AF_INET, SOCK_STREAM, 0, p));
    H("bind");
    int s = socket(AF_INET, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = v4("127.0.0.1", 4000);
    R(bind(s, (void *)&a, 15));
    R(bind(s, (void *)&a, 1));
    a.sin_family = AF_INET6; R(bind(s, (void *)&a, sizeof a));
    a.sin_family = AF_UNSPEC; R(bind(s, (void *)&a, sizeof a));
    R(bind4(s, "10.99.99.99", 0));
    name("fresh", s, 0);
    R(bind4(s, "127.0.0.1", 4000));
    name("bound", s, 0); name("peer", s, 1);
    R(bind4(s, "127.0.0.1", 4001));
    R(bind4(t, "127.0.0.1", 4000));
    R(bind4(t, "0.0.0.0", 4000));
    R(bind4(t, "127.0.0.2", 4000));
    R(listen(s, 1)); R(listen(s, 5));
    R(err(s)); R(opt(s, SOL_SOCKET, SO_ACCEPTCONN));
    R(conn4(s, "127.0.0.1", 4000));
    close(s); close(t);
    s = socket(AF_INET6, SOCK_STREAM, 0); t = socket(AF_INET, SOCK_STREAM, 0);
    R(bind6(s, "::", 4002)); R(listen(s, 1)); R(bind4(t, "0.0.0.0", 4002));
    name("v6", s, 0);
    R(set(s, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    close(s);
    s = socket(AF_INET6, SOCK_STREAM, 0);
    R(set(s, IPPROTO_IPV6, IPV6_V6ONLY, 1)); R(bind6(s, "::", 4003)); R(bind4(t, "0.0.0.0", 4003));
    R(bind6(socket(AF_INET6, SOCK_STREAM, 0), "::ffff:127.0.0.1", 4004));
    close(s); close(t);
    s = socket(AF_INET, SOCK_DGRAM, 0); t = socket(AF_INET, SOCK_DGRAM, 0);
    R(set(s, SOL_SOCKET, SO_REUSEADDR, 1)); R(bind4(s, "0.0.0.0", 4005)); R(bind4(t, "0.0.0.0", 4005));
    R(set(t, SOL_SOCKET, SO_REUSEADDR, 1)); R(bind4(t, "0.0.0.0", 4005));
    close(s); close(t);
    s = socket(AF_INET, SOCK_STREAM, 0); t = socket(AF_INET, SOCK_STREAM, 0);
    R(set(s, SOL_SOCKET, SO_REUSEPORT, 1)); R(set(t, SOL_SOCKET, SO_REUSEPORT, 1));
    R(bind4(s, "0.0.0.0", 4006)); R(listen(s, 1)); R(bind4(t, "0.0.0.0", 4006)); R(listen(t, 1));
    close(s); close(t);
}

#define O(s, l, o) printf(#o " %d\n", opt(s, l, o))
#define S(s, l, o, v) do { printf(#o " := %d: ", v); int r_ = set(s, l, o, v); printf("%s, ", r_ ? ename(errno) : "ok"); O(s, l, o); } while (0)
static void options(void) {
    H("defaults");
    int t = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0), x = socket(AF_INET6, SOCK_STREAM, 0), y = socket(AF_INET6, SOCK_DGRAM, 0);
    int all[] = {t, u, x, y};
    for (int i = 0; i < 4; i++) {
        int s = all[i];
        O(s, SOL_SOCKET, SO_TYPE); O(s, SOL_SOCKET, SO_DOMAIN); O(s, SOL_SOCKET, SO_PROTOCOL); O(s, SOL_SOCKET, SO_ERROR);
        O(s, SOL_SOCKET, SO_REUSEADDR); O(s, SOL_SOCKET, SO_REUSEPORT); O(s, SOL_SOCKET, SO_KEEPALIVE); O(s, SOL_SOCKET, SO_BROADCAST);
        O(s, SOL_SOCKET, SO_OOBINLINE); O(s, SOL_SOCKET, SO_RCVLOWAT); O(s, SOL_SOCKET, SO_SNDLOWAT); O(s, SOL_SOCKET, SO_PRIORITY);
        O(s, SOL_SOCKET, SO_MARK); O(s, SOL_SOCKET, SO_TIMESTAMP); O(s, SOL_SOCKET, SO_PASSCRED); O(s, SOL_SOCKET, SO_DONTROUTE);
        O(s, SOL_SOCKET, SO_SNDBUF); O(s, SOL_SOCKET, SO_RCVBUF); O(s, SOL_SOCKET, SO_PEEK_OFF); O(s, SOL_SOCKET, 9999);
        O(s, SOL_IP, IP_TOS); O(s, SOL_IP, IP_TTL); O(s, SOL_IP, IP_PKTINFO); O(s, SOL_IP, IP_RECVTTL); O(s, SOL_IP, IP_MTU_DISCOVER);
        O(s, SOL_IP, IP_MULTICAST_TTL); O(s, SOL_IP, IP_MULTICAST_LOOP); O(s, SOL_IP, IP_MTU); O(s, SOL_IP, IP_RECVERR); O(s, SOL_IP, IP_FREEBIND);
        O(s, SOL_IP, 150);
        O(s, SOL_IPV6, IPV6_V6ONLY); O(s, SOL_IPV6, IPV6_UNICAST_HOPS); O(s, SOL_IPV6, IPV6_MULTICAST_HOPS); O(s, SOL_IPV6, IPV6_RECVPKTINFO);
        O(s, SOL_IPV6, IPV6_TCLASS); O(s, SOL_IPV6, IPV6_MTU_DISCOVER);
        O(s, SOL_TCP, TCP_NODELAY); O(s, SOL_TCP, TCP_MAXSEG); O(s, SOL_TCP, TCP_CORK); O(s, SOL_TCP, TCP_KEEPIDLE); O(s, SOL_TCP, TCP_KEEPINTVL);
        O(s, SOL_TCP, TCP_KEEPCNT); O(s, SOL_TCP, TCP_SYNCNT); O(s, SOL_TCP, TCP_LINGER2); O(s, SOL_TCP, TCP_DEFER_ACCEPT);
        O(s, SOL_TCP, TCP_QUICKACK); O(s, SOL_TCP, TCP_USER_TIMEOUT); O(s, SOL_TCP, 150);
        O(s, 9999, 1);
    }
    H("setting");
    S(t, SOL_SOCKET, SO_SNDBUF, 1); S(t, SOL_SOCKET, SO_SNDBUF, 10000); S(t, SOL_SOCKET, SO_RCVBUF, 1); S(t, SOL_SOCKET, SO_RCVBUF, 10000);
    S(t, SOL_SOCKET, SO_KEEPALIVE, 7); S(t, SOL_SOCKET, SO_RCVLOWAT, 0); S(t, SOL_SOCKET, SO_RCVLOWAT, 5); S(t, SOL_SOCKET, SO_PRIORITY, 6); S(t, SOL_SOCKET, SO_TYPE, 1); S(t, SOL_SOCKET, SO_SNDLOWAT, 2);
    S(t, SOL_IP, IP_TTL, 0); S(t, SOL_IP, IP_TTL, 256); S(t, SOL_IP, IP_TTL, 7); S(t, SOL_IP, IP_TTL, -1); S(t, SOL_IP, IP_TOS, 0x13); S(u, SOL_IP, IP_TOS, 0x13); S(u, SOL_IP, IP_MTU_DISCOVER, 9); S(u, SOL_IP, IP_MTU_DISCOVER, 2);
    S(u, SOL_IP, IP_MULTICAST_TTL, 300); S(u, SOL_IP, IP_MULTICAST_TTL, 3); S(t, SOL_IP, IP_MULTICAST_TTL, 3); S(u, SOL_IP, IP_HDRINCL, 1);
    S(x, SOL_IPV6, IPV6_UNICAST_HOPS, 256); S(x, SOL_IPV6, IPV6_UNICAST_HOPS, 9); S(x, SOL_IPV6, IPV6_V6ONLY, 3); S(x, SOL_IPV6, IPV6_TCLASS, 300);
    S(t, SOL_TCP, TCP_NODELAY, 5); S(t, SOL_TCP, TCP_KEEPIDLE, 0); S(t, SOL_TCP, TCP_KEEPIDLE, 40000); S(t, SOL_TCP, TCP_KEEPIDLE, 30); S(t, SOL_TCP, TCP_KEEPCNT, 200); S(t, SOL_TCP, TCP_MAXSEG, 10); S(t, SOL_TCP, TCP_MAXSEG, 1000);
    S(t, SOL_TCP, TCP_SYNCNT, 0); S(t, SOL_TCP, TCP_SYNCNT, 3); S(t, SOL_TCP, TCP_USER_TIMEOUT, -1); S(t, SOL_TCP, TCP_CORK, 1);
    char b[32] = "";
    socklen_t l = sizeof b;
    R(getsockopt(t, SOL_TCP, TCP_CONGESTION, b, &l)); R(l); // which one is the host's choice
    R(setsockopt(t, SOL_TCP, TCP_CONGESTION, "nonsense", 8)); R(setsockopt(t, SOL_TCP, TCP_CONGESTION, "reno", 4));
    l = 1; b[0] = 99; R(getsockopt(u, SOL_IP, IP_TTL, b, &l)); R(l); R(b[0]);
    l = 2; R(getsockopt(t, SOL_TCP, TCP_NODELAY, b, &l)); R(l);
    R(setsockopt(t, SOL_TCP, TCP_NODELAY, b, 3)); R(setsockopt(t, SOL_SOCKET, SO_REUSEADDR, b, 3)); b[0] = 5; R(setsockopt(u, SOL_IP, IP_TTL, b, 1)); O(u, SOL_IP, IP_TTL);
    struct linger g = {1, 5}, h;
    l = sizeof h; R(setsockopt(t, SOL_SOCKET, SO_LINGER, &g, sizeof g)); R(getsockopt(t, SOL_SOCKET, SO_LINGER, &h, &l)); R(h.l_onoff); R(h.l_linger);
    struct timeval tv = {1, 2000000}; R(setsockopt(t, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    R(setsockopt(t, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3)); l = sizeof b; R(getsockopt(t, SOL_SOCKET, SO_BINDTODEVICE, b, &l)); R(l); puts(b);
    R(setsockopt(t, SOL_SOCKET, SO_BINDTODEVICE, "nope", 5));
    for (int i = 0; i < 4; i++) close(all[i]);
}

static void tcp(void) {
    char b[4096];
    H("tcp before a connection");
    int s = socket(AF_INET, SOCK_STREAM, 0);
    X(ready(s, 0x14)); R(send(s, "x", 1, MSG_NOSIGNAL)); R(recv(s, b, 1, 0)); R(shutdown(s, SHUT_WR)); R(accept(s, 0, 0)); name("peer", s, 1);
    R(conn4(s, "127.0.0.1", 1)); R(err(s)); X(ready(s, 0x14)); R(conn4(s, "127.0.0.1", 1));
    int lowest = fcntl(s, F_SETFL, O_NONBLOCK);
    R(lowest); R(conn4(s, "127.0.0.1", 1)); X(ready(s, 0x201d)); R(err(s)); R(err(s)); X(ready(s, 0x2015));
    listener(AF_INET);
    X(ready(lsn, 0x0)); R(recv(lsn, b, 1, 0)); R(send(lsn, "x", 1, MSG_NOSIGNAL)); name("peer", lsn, 1);
    R(conn4(s, "127.0.0.1", lport)); X(ready(s, 0x14)); R(conn4(s, "127.0.0.1", lport) == -1 && errno == EINPROGRESS); ready(s, POLLOUT); R(conn4(s, "127.0.0.1", lport)); R(conn4(s, "127.0.0.1", lport));
    name("connected", s, 0); name("peer", s, 1); X(ready(lsn, 0x1));
    struct sockaddr_in a = {.sin_family = AF_UNSPEC};
    R(connect(s, (void *)&a, 1));
    close(s);
    close(accept(lsn, 0, 0));
    H("tcp transfer");
    int c, d;
    pair(&c, &d);
    X(fcntl(d, F_GETFL)); X(ready(c, 0x4)); X(ready(d, 0x4)); R(recv(d, b, 9, MSG_DONTWAIT));
    R(send(c, "hello", 5, 0)); X(ready(d, 0x5)); int n = -1; R(ioctl(d, FIONREAD, &n)); R(n); R(ioctl(lsn, FIONREAD, &n));
    R(recv(d, b, 2, MSG_PEEK)); R(recv(d, b, 99, MSG_PEEK)); R(recv(d, b, 1, 0)); R(recv(d, b, 2, MSG_TRUNC)); R(recv(d, b, 0, 0)); R(recv(d, b, 99, 0)); printf("%.2s\n", b);
    R(recv(d, b, 1, MSG_OOB)); R(ioctl(d, SIOCATMARK, &n)); R(n); R(ioctl(d, SIOCOUTQ, &n)); R(n);
    R(recv(d, b, 1, MSG_ERRQUEUE)); R(send(c, b, 0, 0));
    R(sendto(c, "x", 1, 0, (void *)&a, 1)); R(recvfrom(d, b, 9, 0, 0, 0));
    socklen_t l = sizeof a; memset(&a, 9, sizeof a); R(send(c, "y", 1, 0)); R(recvfrom(d, b, 9, 0, (void *)&a, &l)); R(l);
    set(d, SOL_SOCKET, SO_RCVLOWAT, 4); R(send(c, "123", 3, 0)); X(ready(d, 0x4)); R(send(c, "4", 1, 0)); X(ready(d, 0x5)); R(recv(d, b, 99, 0));
    H("tcp shutdown");
    R(shutdown(c, 9)); R(shutdown(c, SHUT_WR)); X(ready(c, 0x4)); X(ready(d, 0x2005)); R(recv(d, b, 9, 0)); R(send(c, "x", 1, MSG_NOSIGNAL)); R(send(d, "back", 4, 0)); X(ready(c, 0x5)); R(recv(c, b, 9, 0));
    R(shutdown(d, SHUT_RD)); X(ready(d, 0x2005)); R(shutdown(d, SHUT_WR)); X(ready(d, 0x2015)); X(ready(c, 0x2015)); R(recv(c, b, 9, 0)); R(recv(c, b, 9, 0)); name("peer", d, 1);
    close(c); close(d);
    H("tcp resets");
    pair(&c, &d);
    R(send(c, "unread", 6, 0)); ready(d, POLLIN | POLLOUT); close(d); X(ready(c, 0x201d)); R(err(c)); R(err(c)); R(send(c, "x", 1, MSG_NOSIGNAL)); R(recv(c, b, 1, 0)); close(c);
    pair(&c, &d);
    struct linger g = {1, 0}; setsockopt(d, SOL_SOCKET, SO_LINGER, &g, sizeof g); close(d); X(ready(c, 0x201d)); R(recv(c, b, 1, 0)); R(recv(c, b, 1, 0)); R(send(c, "x", 1, MSG_NOSIGNAL)); X(ready(c, 0x2015)); name("peer", c, 1); close(c);
    pair(&c, &d);
    close(d); ready(c, POLLIN | POLLOUT | POLLRDHUP); R(send(c, "x", 1, MSG_NOSIGNAL)); ready(c, POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR); R(send(c, "x", 1, MSG_NOSIGNAL)); R(recv(c, b, 1, 0)); X(ready(c, 0x2015)); close(c);
    signal(SIGPIPE, SIG_IGN);
    pair(&c, &d); shutdown(c, SHUT_WR); R(write(c, "x", 1)); close(c); close(d);
    c = socket(AF_INET, SOCK_STREAM, 0); conn4(c, "127.0.0.1", lport); setsockopt(c, SOL_SOCKET, SO_LINGER, &g, sizeof g); close(c); ms(20);
    struct sockaddr_in from; socklen_t fl = sizeof from; memset(&from, 0, sizeof from); d = accept(lsn, (void *)&from, &fl); R(d >= 0); R(fl); R(ntohs(from.sin_port) > 1000); R(recv(d, b, 1, 0)); close(d);
    H("tcp full");
    pair(&c, &d); fcntl(c, F_SETFL, O_NONBLOCK);
    long sent = 0; for (struct pollfd p = {c, POLLOUT, 0}; poll(&p, 1, 300) > 0;) for (long r; (r = send(c, b, sizeof b, 0)) > 0; sent += r); printf("%s after some: %d\n", ename(errno), sent > 60000); X(ready(c, 0x0));
    long got = 0; for (long r; got < sent && (r = recv(d, b, sizeof b, 0)) > 0; got += r); B(got == sent); X(ready(c, 0x4));
    struct timeval tv = {0, 50000}; setsockopt(d, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv); R(recv(d, b, 1, 0)); close(c); close(d);
    H("tcp info and accept");
    pair(&c, &d); struct tcp_info i; l = sizeof i; memset(&i, 0, sizeof i); R(getsockopt(c, SOL_TCP, TCP_INFO, &i, &l)); R(i.tcpi_state); B(i.tcpi_snd_mss > 1000); B(i.tcpi_rtt > 0); close(c); close(d);
    c = socket(AF_INET, SOCK_STREAM, 0); conn4(c, "127.0.0.1", lport); l = sizeof a; d = accept4(lsn, (void *)&a, &l, SOCK_NONBLOCK | SOCK_CLOEXEC); X(fcntl(d, F_GETFL)); X(fcntl(d, F_GETFD)); R(l); R(a.sin_family);
    R(accept4(lsn, 0, 0, 0x10)); fcntl(lsn, F_SETFL, O_NONBLOCK); R(accept(lsn, 0, 0)); close(c); close(d);
    R(shutdown(lsn, SHUT_RD)); R(accept(lsn, 0, 0)); X(ready(lsn, 0x14)); R(listen(lsn, 3)); X(ready(lsn, 0x0));
    close(lsn);
    H("dual stack");
    listener(AF_INET6); c = socket(AF_INET, SOCK_STREAM, 0); R(conn4(c, "127.0.0.1", lport)); d = accept(lsn, 0, 0); name("v4 at v6", d, 0); name("peer", d, 1); close(c); close(d);
    c = socket(AF_INET6, SOCK_STREAM, 0); R(conn6(c, "::1", lport)); d = accept(lsn, 0, 0); name("v6", d, 1); close(c); close(d);
    c = socket(AF_INET6, SOCK_STREAM, 0); R(conn6(c, "::ffff:127.0.0.1", lport)); name("mapped", c, 1); close(c);
    c = socket(AF_INET6, SOCK_STREAM, 0); set(c, IPPROTO_IPV6, IPV6_V6ONLY, 1); R(conn6(c, "::ffff:127.0.0.1", lport)); R(conn4(c, "127.0.0.1", lport)); close(c);
    c = socket(AF_INET, SOCK_STREAM, 0); R(conn4(c, "0.0.0.0", lport)); name("to any", c, 1); R(conn6(c, "::1", lport)); close(c); c = socket(AF_INET, SOCK_STREAM, 0); R(conn4(c, "10.1.2.3", 80)); R(conn4(c, "224.0.0.1", 80)); R(conn4(c, "255.255.255.255", 80)); close(c);
    close(lsn);
}

static void udp(void) {
    char b[70000] = "";
    H("udp");
    int s = socket(AF_INET, SOCK_DGRAM, 0), r = socket(AF_INET, SOCK_DGRAM, 0);
    X(ready(s, 0x4)); R(send(s, "x", 1, 0)); R(recv(s, b, 1, MSG_DONTWAIT)); R(shutdown(s, SHUT_RD)); R(listen(s, 1)); R(accept(s, 0, 0)); name("peer", s, 1);
    close(s); s = socket(AF_INET, SOCK_DGRAM, 0);
    bind4(r, "127.0.0.1", 0); int p = port(r);
    R(send4(s, "hello", 5, 0, "127.0.0.1", p)); name("sender", s, 0); X(ready(r, 0x5)); int n; R(ioctl(r, FIONREAD, &n)); R(n);
    R(recv(r, b, 2, MSG_PEEK)); R(recv(r, b, 2, MSG_PEEK | MSG_TRUNC)); struct iovec v = {b, 3}; struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1}; R(recvmsg(r, &m, 0)); X(m.msg_flags); R(recv(r, b, 9, MSG_DONTWAIT));
    R(send4(s, "", 0, 0, "127.0.0.1", p)); X(ready(r, 0x5)); R(recv(r, b, 9, 0)); R(send4(s, b, 65508, 0, "127.0.0.1", p)); R(send4(s, b, 65507, 0, "127.0.0.1", p)); R(recv(r, b, sizeof b, 0));
    R(send4(s, "x", 1, 0, "127.0.0.1", 0)); R(send4(s, "x", 1, 0, "10.1.2.3", 9)); R(send4(s, "x", 1, 0, "255.255.255.255", 9)); R(send4(s, "x", 1, MSG_OOB, "127.0.0.1", p));
    struct sockaddr_in a = v4("127.0.0.1", p); R(sendto(s, "x", 1, 0, (void *)&a, 8)); a.sin_family = AF_UNIX; R(sendto(s, "x", 1, 0, (void *)&a, sizeof a)); a.sin_family = AF_UNSPEC; R(sendto(s, "u", 1, 0, (void *)&a, sizeof a)); R(recv(r, b, 9, MSG_DONTWAIT));
    H("udp connected");
    R(conn4(s, "127.0.0.1", p)); name("local", s, 0); name("peer", s, 1); R(send(s, "c", 1, 0)); socklen_t l = sizeof a; R(recvfrom(r, b, 9, 0, (void *)&a, &l)); R(l); R(a.sin_family);
    R(send4(s, "d", 1, 0, "127.0.0.1", p)); R(recv(r, b, 9, 0)); int o = socket(AF_INET, SOCK_DGRAM, 0); R(send4(o, "stranger", 8, 0, "127.0.0.1", port(s))); X(ready(s, 0x4)); close(o);
    a.sin_family = AF_UNSPEC; R(connect(s, (void *)&a, sizeof a)); name("peer", s, 1); R(send(s, "x", 1, 0));
    close(r); R(conn4(s, "127.0.0.1", p)); R(send(s, "x", 1, 0)); X(ready(s, 0xc)); R(recv(s, b, 1, MSG_DONTWAIT)); R(recv(s, b, 1, MSG_DONTWAIT)); R(send(s, "x", 1, 0)); ready(s, POLLOUT | POLLERR); R(send(s, "x", 1, 0)); ms(20); R(err(s)); R(err(s));
    R(shutdown(s, SHUT_RDWR)); X(ready(s, 0x2015)); R(send(s, "x", 1, MSG_NOSIGNAL)); R(recv(s, b, 1, 0)); close(s);
    H("ancillary data");
    r = socket(AF_INET, SOCK_DGRAM, 0); bind4(r, "0.0.0.0", 0); s = socket(AF_INET, SOCK_DGRAM, 0); set(r, SOL_IP, IP_PKTINFO, 1); set(r, SOL_IP, IP_RECVTTL, 1); set(r, SOL_IP, IP_RECVTOS, 1); set(r, SOL_SOCKET, SO_TIMESTAMP, 1);
    set(s, SOL_IP, IP_TOS, 0x10); set(s, SOL_IP, IP_TTL, 33); send4(s, "x", 1, 0, "127.0.0.1", port(r));
    char cb[256]; m = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1, .msg_control = cb, .msg_controllen = sizeof cb}; R(recvmsg(r, &m, 0)); X(m.msg_flags); R(m.msg_controllen);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        printf("cmsg %d %d len %d", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
        if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO) { struct in_pktinfo *i = (void *)CMSG_DATA(c); printf(" if %d %s", i->ipi_ifindex, inet_ntoa(i->ipi_spec_dst)); printf(" %s", inet_ntoa(i->ipi_addr)); }
        if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TTL) printf(" %d", *(int *)CMSG_DATA(c));
        if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TOS) printf(" %d", *(unsigned char *)CMSG_DATA(c));
        putchar('\n');
    }
    send4(s, "x", 1, 0, "127.0.0.1", port(r)); m.msg_controllen = 20; R(recvmsg(r, &m, 0)); X(m.msg_flags);
    struct timeval tv; R(ioctl(r, SIOCGSTAMP, &tv)); B(tv.tv_sec > 1000000000);
    close(r); close(s);
    r = socket(AF_INET6, SOCK_DGRAM, 0); bind6(r, "::", 0); set(r, SOL_IPV6, IPV6_RECVPKTINFO, 1); set(r, SOL_IPV6, IPV6_RECVHOPLIMIT, 1); s = socket(AF_INET6, SOCK_DGRAM, 0); struct sockaddr_in6 a6 = v6("::1", port(r));
    R(sendto(s, "six", 3, 0, (void *)&a6, sizeof a6)); m = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1, .msg_control = cb, .msg_controllen = sizeof cb}; R(recvmsg(r, &m, 0));
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) printf("cmsg %d %d len %d\n", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
    o = socket(AF_INET, SOCK_DGRAM, 0); R(send4(o, "four", 4, 0, "127.0.0.1", port(r))); l = sizeof a6; R(recvfrom(r, b, 9, 0, (void *)&a6, &l)); R(l); printf("%s\n", inet_ntop(AF_INET6, &a6.sin6_addr, cb, sizeof cb));
    R(send4(s, "v4", 2, 0, "127.0.0.1", 9)); close(r); close(s); close(o);
}

// wait_for waits until an event is there, and for those that may come with it.
static void wait_for(int ep, int n) {
    struct pollfd p = {ep, POLLIN, 0};
    if (n) poll(&p, 1, 5000);
    ms(20);
}

static void edges(void) {
    H("epoll, edge-triggered");
    listener(AF_INET);
    int c, d, ep = epoll_create1(0);
    pair(&c, &d);
    struct epoll_event e = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.fd = d}}, got;
    R(epoll_ctl(ep, EPOLL_CTL_ADD, d, &e));
#define W(n) do { wait_for(ep, n); got.events = 0; int n_ = epoll_wait(ep, &got, 1, 0); printf("%d %#x\n", n_, n_ ? got.events : 0); } while (0)
    char b[64];
    W(1); W(0); send(c, "abc", 3, 0); W(1); W(0); recv(d, b, 1, 0); W(0); send(c, "d", 1, 0); W(1); recv(d, b, 9, 0); W(0); shutdown(c, SHUT_WR); W(1); W(0); recv(d, b, 9, 0); close(c); W(0);
    close(d); e.data.fd = lsn; e.events = EPOLLIN | EPOLLET; R(epoll_ctl(ep, EPOLL_CTL_ADD, lsn, &e)); W(0);
    c = socket(AF_INET, SOCK_STREAM, 0); conn4(c, "127.0.0.1", lport); W(1); W(0); int c2 = socket(AF_INET, SOCK_STREAM, 0); conn4(c2, "127.0.0.1", lport); W(1); close(accept(lsn, 0, 0)); W(0); close(accept(lsn, 0, 0)); W(0);
    close(c); close(c2); close(ep); close(lsn);
}

int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    if (unshare(CLONE_NEWNET)) { perror("unshare"); return 1; }
    lo(); creation(); options(); tcp(); udp(); edges();
    return 0;
}
