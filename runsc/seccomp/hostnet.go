package seccomp

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Options of sockets that both calls take, by level: those that sentry/socket/hostinet passes
// on. None needs a capability.
var (
	sockOptions = []uint64{unix.SO_REUSEADDR, unix.SO_REUSEPORT, unix.SO_KEEPALIVE, unix.SO_BROADCAST, unix.SO_OOBINLINE,
		unix.SO_SNDBUF, unix.SO_RCVBUF, unix.SO_RCVLOWAT, unix.SO_PRIORITY, unix.SO_TIMESTAMP, unix.SO_TIMESTAMPNS, unix.SO_LINGER}
	ipOptions = []uint64{unix.IP_TOS, unix.IP_TTL, unix.IP_PKTINFO, unix.IP_RECVTTL, unix.IP_RECVTOS, unix.IP_RECVERR,
		unix.IP_MTU_DISCOVER, unix.IP_MULTICAST_TTL, unix.IP_MULTICAST_LOOP, unix.IP_MULTICAST_ALL, unix.IP_BIND_ADDRESS_NO_PORT,
		unix.IP_MULTICAST_IF}
	ip6Options = []uint64{unix.IPV6_V6ONLY, unix.IPV6_UNICAST_HOPS, unix.IPV6_MULTICAST_HOPS, unix.IPV6_MULTICAST_LOOP,
		unix.IPV6_MULTICAST_IF, unix.IPV6_RECVPKTINFO, unix.IPV6_RECVHOPLIMIT, unix.IPV6_RECVTCLASS, unix.IPV6_TCLASS,
		unix.IPV6_RECVERR, unix.IPV6_MTU_DISCOVER, unix.IPV6_DONTFRAG}
	tcpOptions = []uint64{unix.TCP_NODELAY, unix.TCP_MAXSEG, unix.TCP_CORK, unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL,
		unix.TCP_KEEPCNT, unix.TCP_SYNCNT, unix.TCP_LINGER2, unix.TCP_DEFER_ACCEPT, unix.TCP_WINDOW_CLAMP, unix.TCP_QUICKACK,
		unix.TCP_USER_TIMEOUT, unix.TCP_NOTSENT_LOWAT, unix.TCP_CONGESTION}
)

func with(list []uint64, more ...uint64) []uint64 { return append(slices.Clone(list), more...) }

// hostNet is what a Sentry has more with --network host, and never otherwise: sockets of the
// host's IP stack for its applications. What sends and receives on them it has anyway, for its
// donated sockets.
var hostNet = Policy{Name: "hostnet", Rules: []Rule{
	{Call: "socket", Args: []Cond{eq(0, unix.AF_INET, unix.AF_INET6), eq(1, unix.SOCK_STREAM|hostSocketFlags), eq(2, unix.IPPROTO_TCP)},
		Reason: "socket(2) of an application: TCP"},
	{Call: "socket", Args: []Cond{eq(0, unix.AF_INET, unix.AF_INET6), eq(1, unix.SOCK_DGRAM|hostSocketFlags),
		eq(2, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6)}, Reason: "socket(2) of an application: UDP, ping"},
	{Call: "bind", Reason: "bind(2) of an application"},
	{Call: "connect", Reason: "connect(2) of an application"},
	{Call: "listen", Reason: "listen(2) of an application"},
	{Call: "getpeername", Reason: "getpeername(2) of an application"},
	{Call: "setsockopt", Args: []Cond{eq(1, unix.SOL_SOCKET), eq(2, sockOptions...)}, Reason: "socket(7) options of an application"},
	{Call: "setsockopt", Args: []Cond{eq(1, unix.IPPROTO_IP), eq(2, with(ipOptions, unix.IP_ADD_MEMBERSHIP, unix.IP_DROP_MEMBERSHIP)...)},
		Reason: "ip(7) options of an application"},
	{Call: "setsockopt", Args: []Cond{eq(1, unix.IPPROTO_IPV6), eq(2, with(ip6Options, unix.IPV6_JOIN_GROUP, unix.IPV6_LEAVE_GROUP)...)},
		Reason: "ipv6(7) options of an application"},
	{Call: "setsockopt", Args: []Cond{eq(1, unix.IPPROTO_TCP), eq(2, tcpOptions...)}, Reason: "tcp(7) options of an application"},
	{Call: "getsockopt", Args: []Cond{eq(1, unix.SOL_SOCKET), eq(2, with(sockOptions, unix.SO_ERROR, unix.SO_ACCEPTCONN)...)},
		Reason: "socket(7) options of an application"},
	{Call: "getsockopt", Args: []Cond{eq(1, unix.IPPROTO_IP), eq(2, with(ipOptions, unix.IP_MTU)...)}, Reason: "ip(7) options of an application"},
	{Call: "getsockopt", Args: []Cond{eq(1, unix.IPPROTO_IPV6), eq(2, with(ip6Options, unix.IPV6_MTU)...)}, Reason: "ipv6(7) options of an application"},
	{Call: "getsockopt", Args: []Cond{eq(1, unix.IPPROTO_TCP), eq(2, with(tcpOptions, unix.TCP_INFO)...)}, Reason: "tcp(7) options of an application"},
}}
