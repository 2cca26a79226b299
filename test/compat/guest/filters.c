// SO_ATTACH_FILTER of sockets for packets: what the filter sees, how much it lets pass, locks;
// and the queue sizes that SIOCINQ and SIOCOUTQ tell.
#include "check.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static int attach(int s, struct sock_filter *f, int n) {
    struct sock_fprog p = {n, f};
    return setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p);
}
// ret lets pass n bytes of everything.
static int ret(int s, unsigned n) {
    struct sock_filter f[] = {BPF_STMT(BPF_RET | BPF_K, n)};
    return attach(s, f, 1);
}
// byte_is lets pass packets with a byte of that value there.
static int byte_is(int s, unsigned at, unsigned value) {
    struct sock_filter f[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at), BPF_JUMP(BPF_JMP | BPF_JEQ, value, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0xffff), BPF_STMT(BPF_RET | BPF_K, 0)};
    return attach(s, f, 4);
}
// show prints what is received next; it waits where something must come.
static void show(const char *what, int s, int must) {
    char b[100];
    int inq = -1, n;
    struct pollfd p = {s, POLLIN, 0};
    poll(&p, 1, must ? 5000 : 0);
    ioctl(s, SIOCINQ, &inq);
    struct iovec v = {b, sizeof b};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    n = recvmsg(s, &m, MSG_DONTWAIT | MSG_TRUNC);
    printf("%s: poll %x inq %d recv %d errno %d flags %x %.*s\n", what, p.revents, inq, n, n < 0 ? errno : 0, m.msg_flags, n > 0 ? n : 0, b);
}
static void options(const char *what, int s) {
    int v = 0, one = 1, zero = 0;
    socklen_t l = sizeof v;
    printf("%s options:\n", what);
    R(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &v, sizeof v));
    R(attach(s, 0, 1));
    struct sock_filter bad[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
    R(attach(s, bad, 1));
    R(attach(s, bad, 0));
    R(ret(s, 100));
    R(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &v, sizeof v));
    R(ret(s, 100));
    R(getsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &v, &l)); printf("locked %d\n", v);
    R(setsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof one));
    R(getsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &v, &l)); printf("locked %d\n", v);
    R(ret(s, 100));
    R(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &v, sizeof v));
    R(setsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &zero, sizeof zero));
}

static void udp(void) {
    struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t l = sizeof a;
    int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0), outq = -1;
    M(bind(in, (void *)&a, sizeof a)); M(getsockname(in, (void *)&a, &l)); M(connect(out, (void *)&a, l));
#define SEND(t) M(send(out, t, strlen(t), 0))
    R(byte_is(in, 8, 'b'));
    SEND("a1"); SEND("b2"); SEND("a3"); SEND("b4");
    show("udp", in, 1); show("udp", in, 1); show("udp", in, 0);
    R(ret(in, 11)); SEND("longer"); show("cut", in, 1);
    R(ret(in, 1)); SEND("longer"); show("cut to the header", in, 1);
    R(ret(in, 0)); SEND("longer"); show("nothing", in, 0);
    struct sock_filter port[] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2), BPF_JUMP(BPF_JMP | BPF_JEQ, ntohs(a.sin_port), 0, 3), BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ, 12, 0, 1), BPF_STMT(BPF_RET | BPF_K, 99), BPF_STMT(BPF_RET | BPF_K, 0)};
    R(attach(in, port, 6)); SEND("four"); SEND("fives"); show("port and length", in, 1); show("port and length", in, 0);
    struct sock_filter beyond[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 12), BPF_STMT(BPF_RET | BPF_K, 99)};
    R(attach(in, beyond, 2)); SEND("four"); SEND("fives"); show("beyond the end", in, 1); show("beyond the end", in, 0);
    R(ioctl(out, SIOCOUTQ, &outq)); printf("outq %d\n", outq);
    options("udp", in);
    close(in); close(out);
}

static void unixes(int type, const char *what) {
    int s[2], outq = -1;
    M(socketpair(AF_UNIX, type, 0, s));
    R(byte_is(s[0], 0, 'b'));
    M(send(s[1], "a1", 2, 0)); M(send(s[1], "b2", 2, 0)); M(send(s[1], "a3", 2, 0));
    show(what, s[0], 1); show(what, s[0], 0);
    R(ret(s[0], 3)); M(send(s[1], "longer", 6, 0)); show(what, s[0], 1); show(what, s[0], 0);
    R(ioctl(s[1], SIOCOUTQ, &outq)); printf("outq %d\n", outq);
    options(what, s[0]);
    close(s[0]); close(s[1]);
}

// ping sends an echo request to lo and shows the answer's type.
static void icmp(void) {
    struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), two;
    struct icmphdr h = {.type = ICMP_ECHO, .un.echo = {htons(7), htons(1)}};
    unsigned sum = (ICMP_ECHO) + htons(7) + htons(1);
    h.checksum = ~((sum & 0xffff) + (sum >> 16));
    unsigned char b[100];
    R(byte_is(raw, 20, ICMP_ECHOREPLY));
    M(sendto(raw, &h, sizeof h, 0, (void *)&a, sizeof a));
    struct pollfd p = {raw, POLLIN, 0};
    printf("poll %d\n", poll(&p, 1, 2000));
    R(ioctl(raw, SIOCINQ, &two)); printf("inq %d\n", two);
    int n = recv(raw, b, sizeof b, MSG_DONTWAIT);
    printf("raw: %d bytes of type %d\n", n, n > 20 ? b[20] : -1);
    R(recv(raw, b, sizeof b, MSG_DONTWAIT));
    close(raw);
}

static void netlinks(void) {
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    struct { struct nlmsghdr h; struct ifinfomsg i; } q = {{sizeof q, RTM_GETLINK, NLM_F_REQUEST, 5, 0}, {.ifi_index = 1}};
    char b[8192];
    R(byte_is(s, 4, NLMSG_ERROR)); // of nlmsg_type the low byte
    M(send(s, &q, sizeof q, 0));
    R(recv(s, b, sizeof b, MSG_DONTWAIT));
    q.i.ifi_index = 12345;
    M(send(s, &q, sizeof q, 0));
    printf("an error of %d bytes\n", (int)recv(s, b, sizeof b, MSG_DONTWAIT));
    R(ret(s, 17)); M(send(s, &q, sizeof q, 0));
    printf("cut to %d bytes\n", (int)recv(s, b, sizeof b, MSG_DONTWAIT));
    options("netlink", s);
    close(s);
}

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    M(unshare(CLONE_NEWNET));
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq r = {.ifr_name = "lo"};
    M(ioctl(s, SIOCGIFFLAGS, &r));
    r.ifr_flags |= IFF_UP;
    M(ioctl(s, SIOCSIFFLAGS, &r));
    close(s);
    udp();
    unixes(SOCK_DGRAM, "unix datagram");
    unixes(SOCK_SEQPACKET, "unix seqpacket");
    unixes(SOCK_STREAM, "unix stream");
    icmp();
    netlinks();
    return 0;
}
