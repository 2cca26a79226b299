package netstack

import (
	"io"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
	"lazaret/syscalls/abi"
)

// Kind is what an endpoint speaks.
type Kind uint8

// Kinds of endpoint.
const (
	TCP  Kind = iota
	UDP       // SOCK_DGRAM
	Ping      // SOCK_DGRAM with IPPROTO_ICMP or IPPROTO_ICMPV6
	Raw       // SOCK_RAW
)

// Endpoint is one end of communication.
type Endpoint struct {
	stack    *Stack
	ep       tcpip.Endpoint
	wq       *waiter.Queue
	entry    waiter.Entry
	listener waiter.EventListener
	kind     Kind
	proto    uint8 // of Raw
	v6       bool
	errs     errQueue
	heard    heard // guarded by inward.mu
}

// NewEndpoint makes an endpoint; proto is for Raw. l hears of its events.
func (s *Stack) NewEndpoint(kind Kind, v6 bool, proto uint8, l waiter.EventListener) (*Endpoint, error) {
	e := &Endpoint{stack: s, wq: &waiter.Queue{}, kind: kind, proto: proto, v6: v6, listener: l}
	net := tcpip.NetworkProtocolNumber(ipv4.ProtocolNumber)
	icmpProto := tcpip.TransportProtocolNumber(icmp.ProtocolNumber4)
	if v6 {
		net, icmpProto = ipv6.ProtocolNumber, icmp.ProtocolNumber6
	}
	var err tcpip.Error
	switch kind {
	case TCP:
		e.ep, err = s.get().NewEndpoint(tcp.ProtocolNumber, net, e.wq)
	case UDP:
		e.ep, err = s.get().NewEndpoint(udp.ProtocolNumber, net, e.wq)
	case Ping:
		e.ep, err = s.get().NewEndpoint(icmpProto, net, e.wq)
	case Raw:
		// Nothing is received on IPPROTO_RAW, and whatever is sent brings its header (raw(7)).
		e.ep, err = s.get().NewRawEndpoint(tcpip.TransportProtocolNumber(proto), net, e.wq, proto != abi.IPPROTO_RAW)
	}
	if err != nil {
		return nil, errno(err)
	}
	e.listen()
	return e, nil
}

func (e *Endpoint) listen() {
	e.entry.Init(e.listener, waiter.AllEvents)
	e.wq.EventRegister(&e.entry)
}

// SetOwner says whose packets the endpoint sends (the owner match of iptables).
func (e *Endpoint) SetOwner(o tcpip.PacketOwner) { e.ep.SetOwner(o) }

// SetMark is SO_MARK.
func (e *Endpoint) SetMark(v uint32) { e.ep.SocketOptions().SetMark(v) }

// OriginalDst is where a connection went before DNAT: ENOENT, ENOTCONN.
func (e *Endpoint) OriginalDst() (Addr, error) {
	var o tcpip.OriginalDestinationOption
	if err := e.ep.GetSockOpt(&o); err != nil {
		return Addr{}, abi.ENOENT
	}
	return fromFull(tcpip.FullAddress(o)), nil
}

// Close ends the endpoint; what TCP has to send is still sent.
func (e *Endpoint) Close() {
	e.wq.EventUnregister(&e.entry)
	e.unreport()
	if e.kind == TCP {
		e.stack.inward.silent(e)
		e.stack.closed()
	}
	e.ep.Close()
}

// Abort ends the endpoint at once.
func (e *Endpoint) Abort() {
	e.wq.EventUnregister(&e.entry)
	e.unreport()
	e.stack.inward.silent(e)
	e.ep.Abort()
}

// Bind gives the endpoint a local address: EADDRINUSE, EADDRNOTAVAIL, EINVAL.
func (e *Endpoint) Bind(a Addr) error {
	if a.NIC == 0 && a.IP.IsValid() {
		a.NIC = e.stack.ownerOf(a.IP.Unmap()) // lo has it too (addAddressLocked)
	}
	return errno(e.ep.Bind(a.full()))
}

// Connect starts a connection (EINPROGRESS), or sets the peer of a datagram endpoint.
func (e *Endpoint) Connect(a Addr) error { return errno(e.ep.Connect(a.full())) }

// Disconnect takes a datagram endpoint's peer away.
func (e *Endpoint) Disconnect() error { return errno(e.ep.Disconnect()) }

// Listen makes a TCP endpoint take connections.
func (e *Endpoint) Listen(backlog int) error {
	if err := e.ep.Listen(backlog); err != nil {
		return errno(err)
	}
	e.stack.inward.listens(e)
	return nil
}

// Accept returns a connection and its peer: EAGAIN, EINVAL. It has no listener; Follow
// gives it one.
func (e *Endpoint) Accept() (*Endpoint, Addr, error) {
	var peer tcpip.FullAddress
	ep, wq, err := e.ep.Accept(&peer)
	if err != nil {
		return nil, Addr{}, errno(err)
	}
	return &Endpoint{stack: e.stack, ep: ep, wq: wq, kind: e.kind, v6: e.v6}, fromFull(peer), nil
}

// Follow makes l hear of the events of an accepted endpoint.
func (e *Endpoint) Follow(l waiter.EventListener) {
	e.listener = l
	e.listen()
}

// Shutdown ends directions: ENOTCONN.
func (e *Endpoint) Shutdown(read, write bool) error {
	var f tcpip.ShutdownFlags
	if read {
		f |= tcpip.ShutdownRead
	}
	if write {
		f |= tcpip.ShutdownWrite
	}
	if read {
		e.stack.inward.silent(e) // a listener's end
	}
	return errno(e.ep.Shutdown(f))
}

// LocalAddr returns the local address; its IP is invalid if it is any.
func (e *Endpoint) LocalAddr() Addr {
	a, err := e.ep.GetLocalAddress()
	if err != nil {
		return Addr{}
	}
	return fromFull(a)
}

// RemoteAddr returns the peer: ENOTCONN.
func (e *Endpoint) RemoteAddr() (Addr, error) {
	a, err := e.ep.GetRemoteAddress()
	if err != nil {
		return Addr{}, errno(err)
	}
	return fromFull(a), nil
}

// Ready returns which of mask's events are true.
func (e *Endpoint) Ready(mask waiter.EventMask) waiter.EventMask { return e.ep.Readiness(mask) }

// TakeError returns and clears the pending error (SO_ERROR), 0 if there is none. The stack
// may keep one failure in two places.
func (e *Endpoint) TakeError() abi.Errno {
	first := abi.Errno(0)
	for range 2 {
		err := e.ep.LastError()
		if err == nil {
			break
		}
		if n, ok := e.connErrno(err).(abi.Errno); ok && first == 0 {
			first = n
		}
	}
	if n := e.takePending(); first == 0 {
		first = n
	}
	return first
}

// connErrno translates an error of a connection. The stack says aborted when a reset
// comes while the connection is being closed; Linux has one number for all resets.
func (e *Endpoint) connErrno(err tcpip.Error) error {
	switch err.(type) {
	case *tcpip.ErrConnectionAborted, *tcpip.ErrAborted:
		return abi.ECONNRESET
	}
	return errno(err)
}

// Payload is what a Write sends.
type Payload interface {
	io.Reader
	Len() int
}

// Ancillary is ancillary data of a packet; Has says which parts are there.
type Ancillary struct {
	Has         Parts
	TTL, TOS    uint8
	Destination netip.Addr // where the packet was sent to
	Specific    netip.Addr // the local address that it came to
	Link        int32
	Original    Addr // IP_RECVORIGDSTADDR
	Stamp       time.Time
}

// Parts are the parts of an Ancillary.
type Parts uint8

// Parts of ancillary data.
const (
	HasTTL Parts = 1 << iota
	HasTOS
	HasPktInfo
	HasOriginal
	HasStamp
)

// WriteOptions are what a Write may ask for.
type WriteOptions struct {
	To   *Addr // nil: the peer
	More bool
	Anc  Ancillary // TTL and the link and source of packet info
}

// Write sends p, of which TCP may take a part.
func (e *Endpoint) Write(p Payload, o *WriteOptions) (int, error) {
	w := tcpip.WriteOptions{More: o.More}
	if o.To != nil {
		to := o.To.full()
		w.To = &to
	}
	if o.Anc.Has&HasTTL != 0 {
		w.ControlMessages.HasTTL, w.ControlMessages.TTL = true, o.Anc.TTL
		w.ControlMessages.HasHopLimit, w.ControlMessages.HopLimit = true, o.Anc.TTL
	}
	if o.Anc.Has&HasPktInfo != 0 && e.v6 {
		w.ControlMessages.HasIPv6PacketInfo = true
		w.ControlMessages.IPv6PacketInfo = tcpip.IPv6PacketInfo{Addr: toAddress(o.Anc.Specific), NIC: tcpip.NICID(o.Anc.Link)}
	}
	n, err := e.ep.Write(p, w)
	return int(n), e.connErrno(err)
}

// ReadResult is what a Read found.
type ReadResult struct {
	N     int // bytes written to dst
	Total int // bytes of the packet
	From  Addr
	Anc   Ancillary
}

// Read receives into dst: EAGAIN, EPIPE for the end of a stream (there is nothing more
// to receive), or the pending error.
func (e *Endpoint) Read(dst io.Writer, peek bool) (ReadResult, error) {
	r, err := e.ep.Read(dst, tcpip.ReadOptions{Peek: peek, NeedRemoteAddr: e.kind != TCP})
	if err != nil {
		if _, ok := err.(*tcpip.ErrClosedForReceive); ok {
			return ReadResult{}, abi.EPIPE
		}
		return ReadResult{}, e.connErrno(err)
	}
	if e.kind == TCP {
		if !peek {
			e.ep.ModerateRecvBuf(r.Count)
		}
		return ReadResult{N: r.Count, Total: r.Total}, nil
	}
	return ReadResult{N: r.Count, Total: r.Total, From: fromFull(r.RemoteAddr), Anc: received(&r.ControlMessages)}, nil
}

func received(c *tcpip.ReceivableControlMessages) Ancillary {
	var a Ancillary
	if c.HasTTL {
		a.Has, a.TTL = a.Has|HasTTL, c.TTL
	}
	if c.HasHopLimit {
		a.Has, a.TTL = a.Has|HasTTL, c.HopLimit
	}
	if c.HasTOS {
		a.Has, a.TOS = a.Has|HasTOS, c.TOS
	}
	if c.HasTClass {
		a.Has, a.TOS = a.Has|HasTOS, uint8(c.TClass)
	}
	if c.HasIPPacketInfo {
		a.Has |= HasPktInfo
		a.Link, a.Destination = int32(c.PacketInfo.NIC), fromAddress(c.PacketInfo.DestinationAddr)
		a.Specific = fromAddress(c.PacketInfo.LocalAddr)
	}
	if c.HasIPv6PacketInfo {
		a.Has |= HasPktInfo
		a.Link, a.Destination = int32(c.IPv6PacketInfo.NIC), fromAddress(c.IPv6PacketInfo.Addr)
	}
	if c.HasOriginalDstAddress {
		a.Has |= HasOriginal
		a.Original = fromFull(c.OriginalDstAddress)
	}
	if c.HasTimestamp {
		a.Has, a.Stamp = a.Has|HasStamp, c.Timestamp
	}
	return a
}

// IsIPv4 reports whether the endpoint's traffic is IPv4 (also of a dual-stack one).
func (e *Endpoint) IsIPv4() bool {
	return !e.v6 || e.LocalAddr().IP.Is4()
}
