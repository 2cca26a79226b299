package inet

import (
	"sync"

	"lazaret/netstack"
	"lazaret/syscalls/abi"
)

// optID is an option's place among a socket's values.
type optID uint8

// Options that are looked at by name elsewhere; the table numbers the others.
const (
	optNone optID = iota
	optReuseAddr
	optReusePort
	optBroadcast
	optKeepAlive
	optV6Only
	optRcvLowat
	optRecvTTL
	optRecvTOS
	optPktInfo
	optPktInfo6
	optHopLimit6
	optTClass6
	optOrigDst
	optStamp
	optStampNS
	optNoDelay
	optTTL
	optTOS
	optHops6
	optTrafficClass
	optHdrIncl
	optMcastIf6
	optMcastTTL
	optMcastHops6
	optMark
	optFirst // of the rest
)

// maxOptions is the room for all values of a socket.
const maxOptions = 96

// Which sockets have an option.
const (
	onTCP = 1 << netstack.TCP
	onUDP = 1 << netstack.UDP
	onRaw = 1 << netstack.Raw
	onAll = onTCP | onUDP | onRaw | 1<<netstack.Ping
)

// How a value is treated.
const (
	boolean  = 1 << iota
	bytes1   // one byte will do (SOL_IP)
	netAdmin // needs CAP_NET_ADMIN
	netRaw   // needs CAP_NET_ADMIN or CAP_NET_RAW
	readOnly
	freshOnly // only before the socket is bound
	minusOne  // -1 stands for the default
)

// optRow is one option whose value is a number.
type optRow struct {
	level, name int
	id          optID
	stack       netstack.Option
	def         int32
	min, max    int32
	on          uint8 // kinds of socket
	how         uint8
}

const (
	maxI = 1<<31 - 1
	minI = -1 << 31
)

// optTable is every option whose value is a number; the others have code of their own.
// Values, ranges and defaults: socket(7), ip(7), ipv6(7), tcp(7), udp(7), raw(7).
var optTable = []optRow{
	{abi.SOL_SOCKET, abi.SO_REUSEADDR, optReuseAddr, netstack.ReuseAddr, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_REUSEPORT, optReusePort, netstack.ReusePort, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_BROADCAST, optBroadcast, netstack.Broadcast, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_KEEPALIVE, optKeepAlive, netstack.KeepAlive, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_NO_CHECK, 0, netstack.NoChecksum, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_OOBINLINE, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_DONTROUTE, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_DEBUG, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_PASSCRED, 0, 0, 0, minI, maxI, 0, boolean},
	{abi.SOL_SOCKET, abi.SO_TIMESTAMP, optStamp, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_TIMESTAMPNS, optStampNS, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_TIMESTAMPING, 0, 0, 0, 0, 0xffff, onAll, 0},
	{abi.SOL_SOCKET, abi.SO_RXQ_OVFL, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_ZEROCOPY, 0, 0, 0, 0, 1, onTCP | onUDP, 0},
	{abi.SOL_SOCKET, abi.SO_SELECT_ERR_QUEUE, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_WIFI_STATUS, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_NOFCS, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_SOCKET, abi.SO_BUSY_POLL, 0, 0, 0, 0, maxI, onAll, netAdmin},
	{abi.SOL_SOCKET, abi.SO_INCOMING_CPU, 0, 0, -1, minI, maxI, onAll, 0},
	{abi.SOL_SOCKET, abi.SO_PRIORITY, 0, 0, 0, minI, maxI, onAll, 0},
	{abi.SOL_SOCKET, abi.SO_MARK, optMark, 0, 0, minI, maxI, onAll, netRaw},
	{abi.SOL_SOCKET, abi.SO_RCVLOWAT, optRcvLowat, 0, 1, minI, maxI, onAll, 0},
	{abi.SOL_SOCKET, abi.SO_SNDLOWAT, 0, 0, 1, 1, 1, onAll, readOnly},
	{abi.SOL_SOCKET, abi.SO_PEEK_OFF, 0, 0, -1, -1, maxI, onAll, 0},

	{abi.SOL_IP, abi.IP_TOS, optTOS, netstack.TOS, 0, 0, 255, onAll, bytes1},
	{abi.SOL_IP, abi.IP_TTL, optTTL, netstack.TTL, 64, 1, 255, onAll, bytes1 | minusOne},
	{abi.SOL_IP, abi.IP_MINTTL, 0, 0, 0, 0, 255, onAll, bytes1},
	{abi.SOL_IP, abi.IP_HDRINCL, optHdrIncl, netstack.HeaderIncluded, 0, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_PKTINFO, optPktInfo, netstack.RecvPktInfo, 0, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_RECVTTL, optRecvTTL, netstack.RecvTTL, 0, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_RECVTOS, optRecvTOS, netstack.RecvTOS, 0, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_RECVOPTS, 0, 0, 0, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_RETOPTS, 0, 0, 0, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_RECVERR, 0, netstack.RecvErr, 0, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_RECVORIGDSTADDR, optOrigDst, netstack.RecvOriginal, 0, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_RECVFRAGSIZE, 0, 0, 0, minI, maxI, onUDP | onRaw, boolean | bytes1},
	{abi.SOL_IP, abi.IP_PASSSEC, 0, 0, 0, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_FREEBIND, 0, 0, 0, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_TRANSPARENT, 0, 0, 0, minI, maxI, onAll, boolean | bytes1 | netRaw},
	{abi.SOL_IP, abi.IP_NODEFRAG, 0, 0, 0, minI, maxI, onRaw, boolean | bytes1},
	{abi.SOL_IP, abi.IP_BIND_ADDRESS_NO_PORT, 0, 0, 0, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_MULTICAST_ALL, 0, 0, 1, 0, 1, onAll, bytes1},
	{abi.SOL_IP, abi.IP_MULTICAST_LOOP, 0, netstack.MulticastLoop, 1, minI, maxI, onAll, boolean | bytes1},
	{abi.SOL_IP, abi.IP_MULTICAST_TTL, optMcastTTL, netstack.MulticastTTL, 1, 0, 255, onAll, bytes1 | minusOne},
	{abi.SOL_IP, abi.IP_MTU_DISCOVER, 0, netstack.MTUDiscover, 1, 0, 5, onAll, bytes1},
	{abi.SOL_IP, abi.IP_CHECKSUM, 0, 0, 0, minI, maxI, onUDP, boolean | bytes1},

	{abi.SOL_IPV6, abi.IPV6_V6ONLY, optV6Only, netstack.V6Only, 0, minI, maxI, onAll, boolean | freshOnly},
	{abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, optHops6, netstack.HopLimit, 64, 0, 255, onAll, minusOne},
	{abi.SOL_IPV6, abi.IPV6_MULTICAST_HOPS, optMcastHops6, netstack.MulticastTTL, 1, 0, 255, onAll, minusOne},
	{abi.SOL_IPV6, abi.IPV6_MULTICAST_LOOP, 0, netstack.MulticastLoop, 1, 0, 1, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_MULTICAST_ALL, 0, 0, 1, 0, 1, onAll, 0},
	{abi.SOL_IPV6, abi.IPV6_TCLASS, optTrafficClass, netstack.TClass, 0, 0, 255, onAll, minusOne},
	{abi.SOL_IPV6, abi.IPV6_RECVPKTINFO, optPktInfo6, netstack.RecvPktInfo6, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_RECVHOPLIMIT, optHopLimit6, netstack.RecvHopLimit, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_RECVTCLASS, optTClass6, netstack.RecvTClass, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_RECVERR, 0, netstack.RecvErr6, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_RECVHOPOPTS, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_RECVRTHDR, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_RECVDSTOPTS, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_RECVPATHMTU, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_RECVORIGDSTADDR, 0, netstack.RecvOriginal, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_RECVFRAGSIZE, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_AUTOFLOWLABEL, 0, 0, 1, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_DONTFRAG, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_MTU_DISCOVER, 0, netstack.MTUDiscover, 1, 0, 5, onAll, 0},
	{abi.SOL_IPV6, abi.IPV6_MINHOPCOUNT, 0, 0, 0, 0, 255, onAll, 0},
	{abi.SOL_IPV6, abi.IPV6_FREEBIND, 0, 0, 0, minI, maxI, onAll, boolean},
	{abi.SOL_IPV6, abi.IPV6_TRANSPARENT, 0, 0, 0, minI, maxI, onAll, boolean | netRaw},
	{abi.SOL_IPV6, abi.IPV6_CHECKSUM, 0, netstack.Checksum6, -1, -1, maxI, onRaw, 0},

	{abi.SOL_TCP, abi.TCP_NODELAY, optNoDelay, netstack.NoDelay, 0, minI, maxI, onTCP, boolean},
	{abi.SOL_TCP, abi.TCP_CORK, 0, netstack.Cork, 0, minI, maxI, onTCP, boolean},
	{abi.SOL_TCP, abi.TCP_QUICKACK, 0, 0, 1, minI, maxI, onTCP, boolean},
	{abi.SOL_TCP, abi.TCP_KEEPIDLE, 0, netstack.KeepIdle, 7200, 1, 32767, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_KEEPINTVL, 0, netstack.KeepIntvl, 75, 1, 32767, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_KEEPCNT, 0, netstack.KeepCount, 9, 1, 127, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_SYNCNT, 0, netstack.SynCount, 6, 1, 127, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_LINGER2, 0, netstack.Linger2, 60, minI, 120, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_DEFER_ACCEPT, 0, netstack.DeferAccept, 0, minI, maxI, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_USER_TIMEOUT, 0, netstack.UserTimeout, 0, 0, maxI, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_WINDOW_CLAMP, 0, netstack.WindowClamp, 0, minI, maxI, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_MAXSEG, 0, netstack.MaxSeg, 0, 88, 32767, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_THIN_LINEAR_TIMEOUTS, 0, 0, 0, 0, 1, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_THIN_DUPACK, 0, 0, 0, 0, 1, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_NOTSENT_LOWAT, 0, 0, 0, minI, maxI, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_SAVE_SYN, 0, 0, 0, 0, 2, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_INQ, 0, 0, 0, 0, 1, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_FASTOPEN_CONNECT, 0, 0, 0, 0, 0, onTCP, 0},
	{abi.SOL_TCP, abi.TCP_FASTOPEN, 0, 0, 0, 0, 0, onTCP, 0},

	{abi.SOL_UDP, abi.UDP_CORK, 0, 0, 0, 0, 0, onUDP, boolean},
	{abi.SOL_UDP, abi.UDP_NO_CHECK6_TX, 0, 0, 0, minI, maxI, onUDP, boolean},
	{abi.SOL_UDP, abi.UDP_NO_CHECK6_RX, 0, 0, 0, minI, maxI, onUDP, boolean},
}

// optKey finds a row.
type optKey struct{ level, name int }

// optIndex returns the rows by level and name; built when the first socket is made.
var optIndex = sync.OnceValue(numberOptions)

// optDefaults returns what a fresh socket's values are.
var optDefaults = sync.OnceValue(func() (v [maxOptions]int32) {
	for _, r := range optIndex() {
		v[r.id] = r.def
	}
	return v
})

// numberOptions gives the rows without a name of their own their places.
func numberOptions() map[optKey]*optRow {
	index := make(map[optKey]*optRow, len(optTable))
	next := optFirst
	for i := range optTable {
		r := &optTable[i]
		if r.id == optNone {
			r.id = next
			next++
		}
		index[optKey{r.level, r.name}] = r
	}
	return index
}
