package netstack

import (
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"lazaret/syscalls/abi"
)

// Option is something of an endpoint that can be set.
type Option uint8

// Options. Booleans take 0 and 1; times are in the unit of Linux's option.
const (
	Kept Option = iota // by the caller: it changes nothing here
	ReuseAddr
	ReusePort
	Broadcast
	KeepAlive
	NoDelay
	Cork
	V6Only
	HeaderIncluded
	MulticastLoop
	RecvTTL
	RecvHopLimit
	RecvTOS
	RecvTClass
	RecvPktInfo
	RecvPktInfo6
	RecvOriginal
	RecvErr
	RecvErr6
	NoChecksum
	TTL
	HopLimit
	TOS
	TClass
	MulticastTTL
	MTUDiscover
	KeepIdle  // seconds
	KeepIntvl // seconds
	KeepCount
	MaxSeg
	UserTimeout // milliseconds
	SynCount
	WindowClamp
	Linger2     // seconds
	DeferAccept // seconds
	BindToDevice
	Mark
	Checksum6 // offset, -1 for none
)

// Set sets an option: what the stack does not take is an error as setsockopt(2) gives it.
func (e *Endpoint) Set(o Option, v int) error {
	if o >= TTL {
		return e.setValue(o, v)
	}
	so, on := e.ep.SocketOptions(), v != 0
	switch o {
	case ReuseAddr:
		so.SetReuseAddress(on)
	case ReusePort:
		so.SetReusePort(on)
	case Broadcast:
		so.SetBroadcast(on)
	case KeepAlive:
		so.SetKeepAlive(on)
	case NoDelay:
		so.SetDelayOption(!on)
	case Cork:
		so.SetCorkOption(on)
	case V6Only:
		so.SetV6Only(on)
	case HeaderIncluded:
		so.SetHeaderIncluded(on)
	case MulticastLoop:
		so.SetMulticastLoop(on)
	case NoChecksum:
		so.SetNoChecksum(on)
	default:
		e.setReceive(o, on)
	}
	return nil
}

// setReceive sets which ancillary data is received.
func (e *Endpoint) setReceive(o Option, on bool) {
	so := e.ep.SocketOptions()
	switch o {
	case RecvTTL:
		so.SetReceiveTTL(on)
	case RecvHopLimit:
		so.SetReceiveHopLimit(on)
	case RecvTOS:
		so.SetReceiveTOS(on)
	case RecvTClass:
		so.SetReceiveTClass(on)
	case RecvPktInfo:
		so.SetReceivePacketInfo(on)
	case RecvPktInfo6:
		so.SetIPv6ReceivePacketInfo(on)
	case RecvOriginal:
		so.SetReceiveOriginalDstAddress(on)
	case RecvErr:
		so.SetIPv4RecvError(on)
		e.report(o, on)
	case RecvErr6:
		so.SetIPv6RecvError(on)
		e.report(o, on)
	}
}

// intOptions are the ones that the stack takes as they are.
var intOptions = map[Option]tcpip.SockOptInt{
	TTL: tcpip.IPv4TTLOption, HopLimit: tcpip.IPv6HopLimitOption, TOS: tcpip.IPv4TOSOption, TClass: tcpip.IPv6TrafficClassOption,
	MulticastTTL: tcpip.MulticastTTLOption, MTUDiscover: tcpip.MTUDiscoverOption, KeepCount: tcpip.KeepaliveCountOption,
	MaxSeg: tcpip.MaxSegOption, SynCount: tcpip.TCPSynCountOption, WindowClamp: tcpip.TCPWindowClampOption, Checksum6: tcpip.IPv6Checksum,
}

func (e *Endpoint) setValue(o Option, v int) error {
	if i, ok := intOptions[o]; ok {
		return errno(e.ep.SetSockOptInt(i, v))
	}
	switch o {
	case KeepIdle:
		d := tcpip.KeepaliveIdleOption(time.Duration(v) * time.Second)
		return errno(e.ep.SetSockOpt(&d))
	case KeepIntvl:
		d := tcpip.KeepaliveIntervalOption(time.Duration(v) * time.Second)
		return errno(e.ep.SetSockOpt(&d))
	case UserTimeout:
		d := tcpip.TCPUserTimeoutOption(time.Duration(v) * time.Millisecond)
		return errno(e.ep.SetSockOpt(&d))
	case Linger2:
		d := tcpip.TCPLingerTimeoutOption(time.Duration(v) * time.Second)
		return errno(e.ep.SetSockOpt(&d))
	case DeferAccept:
		d := tcpip.TCPDeferAcceptOption(time.Duration(v) * time.Second)
		return errno(e.ep.SetSockOpt(&d))
	case BindToDevice:
		return errno(e.ep.SocketOptions().SetBindToDevice(int32(v)))
	case Mark:
		return nil
	}
	return abi.ENOPROTOOPT
}

// SetLinger sets what Close does with data that is not sent.
func (e *Endpoint) SetLinger(on bool, d time.Duration) {
	e.ep.SocketOptions().SetLinger(tcpip.LingerOption{Enabled: on, Timeout: d})
}

// SetSendBuffer and SetReceiveBuffer set how much an endpoint holds, in bytes of data.
func (e *Endpoint) SetSendBuffer(n int) { e.ep.SocketOptions().SetSendBufferSize(int64(n), true) }

// SetReceiveBuffer sets how much may wait to be received.
func (e *Endpoint) SetReceiveBuffer(n int) {
	e.ep.SocketOptions().SetReceiveBufferSize(int64(n), true)
}

// Buffers returns the sizes of the buffers now; TCP's grow by themselves.
func (e *Endpoint) Buffers() (send, receive int) {
	so := e.ep.SocketOptions()
	return int(so.GetSendBufferSize()), int(so.GetReceiveBufferSize())
}

// Congestion returns the congestion control of a TCP endpoint.
func (e *Endpoint) Congestion() string {
	var o tcpip.CongestionControlOption
	_ = e.ep.GetSockOpt(&o)
	return string(o)
}

// SetCongestion chooses it: ENOENT.
func (e *Endpoint) SetCongestion(name string) error {
	o := tcpip.CongestionControlOption(name)
	return errno(e.ep.SetSockOpt(&o))
}

// SetMulticastLink chooses where multicasts go: an interface by index or by an address.
func (e *Endpoint) SetMulticastLink(index int32, ip netip.Addr) error {
	return errno(e.ep.SetSockOpt(&tcpip.MulticastInterfaceOption{NIC: tcpip.NICID(index), InterfaceAddr: toAddress(ip)}))
}

// Join makes the endpoint a member of a multicast group, on an interface given by index
// or by address: EADDRINUSE, ENODEV.
func (e *Endpoint) Join(group netip.Addr, index int32, ip netip.Addr) error {
	return errno(e.ep.SetSockOpt(&tcpip.AddMembershipOption{NIC: tcpip.NICID(index), InterfaceAddr: toAddress(ip), MulticastAddr: toAddress(group)}))
}

// Leave ends a membership: EADDRNOTAVAIL.
func (e *Endpoint) Leave(group netip.Addr, index int32, ip netip.Addr) error {
	return errno(e.ep.SetSockOpt(&tcpip.RemoveMembershipOption{NIC: tcpip.NICID(index), InterfaceAddr: toAddress(ip), MulticastAddr: toAddress(group)}))
}

// SetICMPv6Filter sets the types that a raw endpoint does not want (struct icmp6_filter).
func (e *Endpoint) SetICMPv6Filter(deny [8]uint32) error {
	return errno(e.ep.SetSockOpt(&tcpip.ICMPv6Filter{DenyType: deny}))
}

// QueuedError is an entry of the error queue (MSG_ERRQUEUE).
type QueuedError struct {
	Errno         abi.Errno
	Origin        uint8 // SO_EE_ORIGIN_*
	Type, Code    uint8
	Info          uint32
	Payload       []byte
	Dst, Offender Addr
	V6            bool
	Link          int32 // of an ICMP error: where it came from, and with which TTL
	TTL           uint8
	Local         netip.Addr
	Stamp         time.Time
}
