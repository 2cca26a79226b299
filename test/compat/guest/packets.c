// AF_PACKET over lo in a network namespace of the program's own: names, filters, ancillary
// data, statistics, sending, a mapped ring; and the error queue of datagram sockets.
#include "check.h"
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static int udp, out;
static struct sockaddr_in to = {AF_INET, 0, {0}, {0}};

static void bound(int s, int index, int proto) {
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(proto), .sll_ifindex = index};
    R(bind(s, (void *)&a, sizeof a));
}
static void datagram(const char *t) { M(sendto(out, t, strlen(t), 0, (void *)&to, sizeof to)); char b[99]; M(recv(udp, b, sizeof b, 0)); }

// frames prints what waits: at most a second for the first one.
static void frames(const char *what, int s) {
    struct pollfd p = {s, POLLIN, 0};
    printf("%s:\n", what);
    for (int wait = 1000; poll(&p, 1, wait) > 0; wait = 0) {
        unsigned char b[200], cb[256];
        struct sockaddr_ll a;
        struct iovec v = {b, 60};
        struct msghdr m = {.msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1, .msg_control = cb, .msg_controllen = sizeof cb};
        int n = recvmsg(s, &m, MSG_TRUNC);
        printf("  %d flags %x name %d proto %x if %d hatype %d type %d halen %d", n, m.msg_flags, m.msg_namelen, ntohs(a.sll_protocol), a.sll_ifindex, a.sll_hatype, a.sll_pkttype, a.sll_halen);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            printf(" cmsg %d %d len %d", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
            if (c->cmsg_level == SOL_PACKET) {
                struct tpacket_auxdata *x = (void *)CMSG_DATA(c);
                printf(" (len %d snaplen %d mac %d net %d)", x->tp_len, x->tp_snaplen, x->tp_mac, x->tp_net);
            }
        }
        putchar('\n');
    }
}

static int filter(int s, struct sock_filter *f, int n) {
    struct sock_fprog p = {n, f};
    return setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p);
}
// to_port lets pass n bytes of datagrams to a port, of what starts with an Ethernet header.
static int to_port(int s, int port, int n) {
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12), BPF_JUMP(BPF_JMP | BPF_JEQ, ETH_P_IP, 0, 6),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 9), BPF_JUMP(BPF_JMP | BPF_JEQ, IPPROTO_UDP, 0, 4),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14), BPF_STMT(BPF_LD | BPF_H | BPF_IND, 14 + 2), BPF_JUMP(BPF_JMP | BPF_JEQ, port, 0, 1),
        BPF_STMT(BPF_RET, n), BPF_STMT(BPF_RET, 0)};
    return filter(s, f, 9);
}

static void sockets(void) {
    H("sockets");
    R(socket(AF_PACKET, SOCK_STREAM, 0));
    R(CHILD(M(setuid(1000)); R(socket(AF_PACKET, SOCK_RAW, 0))));
    int s = M(socket(AF_PACKET, SOCK_RAW, 0)), v, on = 1;
    socklen_t l = sizeof v;
    bound(s, 99, ETH_P_ALL);
    struct sockaddr_ll a = {.sll_family = AF_PACKET};
    R(bind(s, (void *)&a, 10));
    a.sll_family = AF_INET;
    R(bind(s, (void *)&a, sizeof a));
    bound(s, 1, ETH_P_ARP);
    l = sizeof a;
    R(getsockname(s, (void *)&a, &l));
    printf("len %d proto %x if %d hatype %d halen %d\n", l, ntohs(a.sll_protocol), a.sll_ifindex, a.sll_hatype, a.sll_halen);
    R(getpeername(s, (void *)&a, &l));
    R(listen(s, 1));
    R(shutdown(s, SHUT_RD));
    R(recv(s, &v, 4, MSG_DONTWAIT));
    l = sizeof v;
    R(getsockopt(s, SOL_SOCKET, SO_DOMAIN, &v, &l)); R(v);
    R(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &l)); R(v);
    v = TPACKET_V2; R(getsockopt(s, SOL_PACKET, PACKET_HDRLEN, &v, &l)); R(v);
    v = TPACKET_V1; R(getsockopt(s, SOL_PACKET, PACKET_HDRLEN, &v, &l)); R(v);
    v = 77; R(getsockopt(s, SOL_PACKET, PACKET_HDRLEN, &v, &l));
    R(getsockopt(s, SOL_PACKET, PACKET_VERSION, &v, &l)); R(v);
    R(getsockopt(s, SOL_PACKET, 999, &v, &l));
    R(setsockopt(s, SOL_PACKET, PACKET_AUXDATA, &on, 1));
    R(setsockopt(s, SOL_PACKET, PACKET_AUXDATA, &on, 4));
    R(getsockopt(s, SOL_PACKET, PACKET_AUXDATA, &v, &l)); R(v);
    struct packet_mreq m = {1, PACKET_MR_PROMISC, 0, {0}};
    R(setsockopt(s, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof m));
    R(setsockopt(s, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &m, sizeof m));
    R(setsockopt(s, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &m, sizeof m));
    m.mr_ifindex = 99;
    R(setsockopt(s, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof m));
    R(send(s, "x", 1, 0));
    a = (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_ifindex = 99};
    R(sendto(s, "12345678901234567890", 20, 0, (void *)&a, sizeof a));
    close(s);
}

static void receiving(void) {
    H("receiving");
    int all = M(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))), ip = M(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP))), on = 1;
    int cooked = M(socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP))), other = M(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ARP))), none = M(socket(AF_PACKET, SOCK_RAW, 0));
    M(to_port(all, ntohs(to.sin_port), 0xffff));
    M(setsockopt(all, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on));
    M(setsockopt(ip, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on));
    datagram("hello");
    frames("all", all); frames("ip", ip); frames("cooked", cooked);
    datagram("a datagram that is longer than the buffer that it comes into, which has room for sixty");
    frames("all", all);
    struct pollfd p[2] = {{other, POLLIN, 0}, {none, POLLIN, 0}};
    R(poll(p, 2, 0));
    H("filters");
    M(to_port(all, ntohs(to.sin_port), 40));
    datagram("cut off by the filter");
    frames("cut", all);
    M(to_port(all, 1, 40));
    datagram("dropped");
    p[0].fd = all;
    R(poll(p, 1, 0));
    R(setsockopt(all, SOL_SOCKET, SO_DETACH_FILTER, &on, sizeof on));
    R(setsockopt(all, SOL_SOCKET, SO_DETACH_FILTER, &on, sizeof on));
    struct sock_filter bad[] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12)}, jump[] = {BPF_JUMP(BPF_JMP | BPF_JEQ, 1, 9, 9), BPF_STMT(BPF_RET, 0)};
    R(filter(all, bad, 1)); R(filter(all, jump, 2)); R(filter(all, bad, 0)); R(filter(all, (void *)8, 1));
    R(setsockopt(all, SOL_SOCKET, SO_ATTACH_FILTER, bad, 5));
    struct sock_filter type[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_PKTTYPE), BPF_JUMP(BPF_JMP | BPF_JEQ, PACKET_OUTGOING, 0, 1), BPF_STMT(BPF_RET, 30), BPF_STMT(BPF_RET, 0)};
    R(filter(all, type, 4));
    datagram("outgoing");
    frames("by type", all);
    H("statistics");
    struct tpacket_stats st;
    socklen_t l = sizeof st;
    M(getsockopt(ip, SOL_PACKET, PACKET_STATISTICS, &st, &l));
    M(setsockopt(ip, SOL_SOCKET, SO_RCVBUF, &on, sizeof on));
    char b[60];
    while (recv(ip, b, sizeof b, MSG_DONTWAIT) > 0) {}
    for (int i = 0; i < 100; i++) datagram("too many");
    M(getsockopt(ip, SOL_PACKET, PACKET_STATISTICS, &st, &l));
    R(st.tp_packets); B(st.tp_drops > 50 && st.tp_drops < 100);
    M(getsockopt(ip, SOL_PACKET, PACKET_STATISTICS, &st, &l));
    R(st.tp_packets); R(st.tp_drops);
    close(all), close(ip), close(cooked), close(other), close(none);
}

static void sending(void) {
    H("sending");
    unsigned char f[14 + 28 + 4] = {[12] = 8, 0, 0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 0, 99, 0, 0, 0, 12, 0, 0, 'r', 'a', 'w', '!'};
    memcpy(f + 36, &to.sin_port, 2);
    unsigned sum = 0;
    for (int i = 0; i < 20; i += 2) sum += f[14 + i] << 8 | f[15 + i];
    sum = ~((sum & 0xffff) + (sum >> 16));
    f[24] = sum >> 8, f[25] = sum;
    int s = M(socket(AF_PACKET, SOCK_RAW, 0));
    bound(s, 1, 0);
    int see = M(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    M(to_port(see, ntohs(to.sin_port), 0xffff));
    R(send(s, f, sizeof f, 0));
    frames("raw", see); // Linux's lo has no route for such a source: it ends here
    int c = M(socket(AF_PACKET, SOCK_DGRAM, 0));
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_ifindex = 1, .sll_protocol = htons(ETH_P_IP), .sll_halen = 6};
    R(sendto(c, f + 14, sizeof f - 14, 0, (void *)&a, sizeof a));
    frames("cooked", see);
    R(sendto(c, f + 14, sizeof f - 14, 0, (void *)&a, 11));
    static char big[70000];
    R(send(s, big, sizeof big, 0));
    close(s), close(c), close(see);
}

static void ring(void) {
    H("ring");
    int s = M(socket(AF_PACKET, SOCK_RAW, 0)), v = TPACKET_V2, n = 8;
    M(to_port(s, ntohs(to.sin_port), 0xffff));
    R(setsockopt(s, SOL_PACKET, PACKET_VERSION, &v, sizeof v));
    struct tpacket_req bad[] = {{4096, 2, 1024, 7}, {4095, 2, 1024, 8}, {4096, 2, 1000, 8}, {4096, 2, 16, 512}, {4096, 0, 1024, 8}, {4096, 2, 8192, 8}};
    for (int i = 0; i < 6; i++) R(setsockopt(s, SOL_PACKET, PACKET_RX_RING, bad + i, sizeof *bad));
    struct tpacket_req r = {4096, 2, 1024, n};
    R(mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0) == MAP_FAILED);
    R(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &r, sizeof r));
    R(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &r, sizeof r));
    R(setsockopt(s, SOL_PACKET, PACKET_VERSION, &v, sizeof v));
    char *p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0);
    if (p == MAP_FAILED) { perror("mmap"); return; }
    bound(s, 1, ETH_P_IP);
    struct pollfd f = {s, POLLIN, 0};
    R(poll(&f, 1, 0));
    for (int i = 0; i < n + 3; i++) datagram("into the ring");
    R(poll(&f, 1, 1000));
    struct tpacket_stats st;
    socklen_t l = sizeof st;
    R(getsockopt(s, SOL_PACKET, PACKET_STATISTICS, &st, &l)); R(st.tp_packets); R(st.tp_drops);
    for (int i = 0; i < n; i++) {
        struct tpacket2_hdr *h = (void *)(p + i * 1024);
        struct sockaddr_ll *a = (void *)((char *)h + TPACKET_ALIGN(sizeof *h));
        printf("%d: user %d len %d snaplen %d mac %d net %d type %d if %d time %d \"%.13s\"\n", i, h->tp_status & 1, h->tp_len, h->tp_snaplen, h->tp_mac, h->tp_net,
               a->sll_pkttype, a->sll_ifindex, h->tp_sec > 1000000, (char *)h + h->tp_net + 28);
    }
    R(poll(&f, 1, 0));
    for (int i = 0; i < n; i++) ((struct tpacket2_hdr *)(p + i * 1024))->tp_status = TP_STATUS_KERNEL;
    R(poll(&f, 1, 0));
    datagram("once more");
    R(poll(&f, 1, 1000));
    R(((struct tpacket2_hdr *)p)->tp_status & 1);
    munmap(p, 8192);
    r.tp_block_nr = r.tp_frame_nr = 0;
    R(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &r, sizeof r));
    close(s);
}

static void errors(int family, int connected) {
    printf("## error queue of %s\n", family == AF_INET ? "IPv4" : "IPv6");
    int s = M(socket(family, SOCK_DGRAM, 0)), on = 1;
    struct sockaddr_in a4 = {AF_INET, htons(1), {htonl(INADDR_LOOPBACK)}, {0}};
    struct sockaddr_in6 a6 = {AF_INET6, htons(1), 0, IN6ADDR_LOOPBACK_INIT, 0};
    void *a = family == AF_INET ? (void *)&a4 : (void *)&a6;
    int len = family == AF_INET ? sizeof a4 : sizeof a6;
    if (connected) M(connect(s, a, len));
    M(family == AF_INET ? setsockopt(s, SOL_IP, IP_RECVERR, &on, sizeof on) : setsockopt(s, SOL_IPV6, IPV6_RECVERR, &on, sizeof on));
    if (family == AF_INET) M(setsockopt(s, SOL_IP, IP_RECVTTL, &on, sizeof on));
    R(sendto(s, "lost", 4, 0, a, len));
    struct pollfd p = {s, POLLIN | POLLOUT, 0};
    for (int i = 0; i < 100 && poll(&p, 1, 0) >= 0 && !(p.revents & POLLERR); i++) ms(10);
    X(p.revents);
    char b[99];
    R(recv(s, b, sizeof b, MSG_DONTWAIT));
    R(recv(s, b, sizeof b, MSG_DONTWAIT));
    for (int i = 0; i < 2; i++) {
        char cb[256];
        struct sockaddr_in6 n;
        struct iovec v = {b, sizeof b};
        struct msghdr m = {.msg_name = &n, .msg_namelen = sizeof n, .msg_iov = &v, .msg_iovlen = 1, .msg_control = cb, .msg_controllen = sizeof cb};
        errno = 0;
        int r = recvmsg(s, &m, MSG_ERRQUEUE);
        printf("%d %s", r, ename(errno));
        if (r >= 0) printf(" flags %x name %d port %d", m.msg_flags, m.msg_namelen, ntohs(n.sin6_port));
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); r >= 0 && c; c = CMSG_NXTHDR(&m, c)) {
            printf(" cmsg %d %d len %d", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
            if (c->cmsg_type == IP_RECVERR || c->cmsg_type == IPV6_RECVERR) {
                struct sock_extended_err *e = (void *)CMSG_DATA(c);
                printf(" %s origin %d type %d code %d from family %d", ename(e->ee_errno), e->ee_origin, e->ee_type, e->ee_code, SO_EE_OFFENDER(e)->sa_family);
            }
        }
        putchar('\n');
    }
    poll(&p, 1, 0);
    X(p.revents);
    socklen_t l = sizeof on;
    R(getsockopt(s, SOL_SOCKET, SO_ERROR, &on, &l)); R(on);
    close(s);
}

int main(void) {
    if (unshare(CLONE_NEWNET)) { perror("unshare"); return 1; }
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    udp = M(socket(AF_INET, SOCK_DGRAM, 0));
    out = M(socket(AF_INET, SOCK_DGRAM, 0));
    struct timeval limit = {5, 0};
    M(setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    M(ioctl(udp, SIOCSIFFLAGS, &r));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    M(bind(udp, (void *)&to, sizeof to));
    socklen_t l = sizeof to;
    M(getsockname(udp, (void *)&to, &l));
    sockets(); receiving(); sending(); ring();
    errors(AF_INET, 0); errors(AF_INET, 1); errors(AF_INET6, 0); errors(AF_INET6, 1);
    return 0;
}
