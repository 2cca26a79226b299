package netstack

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/waiter"
	"lazaret/syscalls/abi"
)

// The stack tells a connected endpoint of an ICMP error that ends it, but neither who sent
// it nor of the errors in transit that traceroute(8) lives on. For the endpoints that ask
// for them (IP_RECVERR) they are read from the links themselves.

// maxErrors bounds the error queue of an endpoint.
const maxErrors = 64

// reporters are the endpoints with IP_RECVERR.
type reporters struct {
	n   atomic.Int32
	mu  sync.Mutex
	set map[*Endpoint]struct{}
}

// errQueue is the error queue of an endpoint.
type errQueue struct {
	mu      sync.Mutex
	v4, v6  bool // IP_RECVERR, IPV6_RECVERR
	queue   []QueuedError
	pending abi.Errno // the latest one's, until it is told
}

// report sets whether an endpoint wants ICMP errors.
func (e *Endpoint) report(o Option, on bool) {
	r, q := &e.stack.reporters, &e.errs
	q.mu.Lock()
	if o == RecvErr {
		q.v4 = on
	} else {
		q.v6 = on
	}
	wants := q.v4 || q.v6
	if !wants {
		q.queue = nil
	}
	q.mu.Unlock()
	if !wants {
		e.unreport()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil {
		r.set = map[*Endpoint]struct{}{}
	}
	r.set[e] = struct{}{}
	r.n.Store(int32(len(r.set)))
}

func (e *Endpoint) unreport() {
	r := &e.stack.reporters
	if r.n.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.set, e)
	r.n.Store(int32(len(r.set)))
}

// icmpError is an ICMP error as it came.
type icmpError struct {
	QueuedError
	proto   uint8 // of the packet that failed
	source  netip.Addr
	srcPort uint16 // or the id of an echo request
	inner   []byte // the packet that failed, from its IP header
}

// icmpErrorIn parses an ICMP error; ok is false for every other packet.
// TRUST: the packet is what somebody on the network sent.
func icmpErrorIn(proto tcpip.NetworkProtocolNumber, b []byte) (e icmpError, ok bool) {
	var icmp []byte
	switch proto {
	case header.IPv4ProtocolNumber:
		h := header.IPv4(b)
		if !h.IsValid(len(b)) || h.Protocol() != uint8(header.ICMPv4ProtocolNumber) || h.FragmentOffset() != 0 {
			return e, false
		}
		icmp = b[h.HeaderLength():h.TotalLength()]
		e.Offender.IP, e.TTL, e.Origin = fromAddress(h.SourceAddress()), h.TTL(), abi.SO_EE_ORIGIN_ICMP
	case header.IPv6ProtocolNumber:
		h := header.IPv6(b)
		if !h.IsValid(len(b)) || h.NextHeader() != uint8(header.ICMPv6ProtocolNumber) {
			return e, false
		}
		icmp = b[header.IPv6MinimumSize:][:h.PayloadLength()]
		e.Offender.IP, e.TTL, e.Origin, e.V6 = fromAddress(h.SourceAddress()), h.HopLimit(), abi.SO_EE_ORIGIN_ICMP6, true
	default:
		return e, false
	}
	const icmpHeader = 8
	if len(icmp) < icmpHeader {
		return e, false
	}
	e.Type, e.Code = icmp[0], icmp[1]
	if e.V6 {
		e.Errno = errnoOfICMPv6(e.Type, e.Code)
		if e.Type == uint8(header.ICMPv6PacketTooBig) {
			e.Info = binary.BigEndian.Uint32(icmp[4:])
		}
	} else {
		e.Errno = errnoOfICMPv4(e.Type, e.Code)
		if e.Errno == abi.EMSGSIZE {
			e.Info = uint32(binary.BigEndian.Uint16(icmp[6:]))
		}
	}
	if e.Errno == 0 {
		return e, false
	}
	e.inner = icmp[icmpHeader:]
	ok = e.parseInner()
	e.Local = e.source
	return e, ok
}

// parseInner reads the start of the packet that failed.
func (e *icmpError) parseInner() bool {
	var payload []byte
	b := e.inner
	if e.V6 {
		if len(b) < header.IPv6MinimumSize {
			return false
		}
		h := header.IPv6(b)
		e.source, e.Dst.IP, e.proto = fromAddress(h.SourceAddress()), fromAddress(h.DestinationAddress()), h.NextHeader()
		payload = b[header.IPv6MinimumSize:]
	} else {
		if len(b) < header.IPv4MinimumSize {
			return false
		}
		h := header.IPv4(b)
		if n := int(h.HeaderLength()); n < header.IPv4MinimumSize || n > len(b) {
			return false
		}
		e.source, e.Dst.IP, e.proto = fromAddress(h.SourceAddress()), fromAddress(h.DestinationAddress()), h.Protocol()
		payload = b[h.HeaderLength():]
	}
	const ports = 8 // as much of the packet as every ICMP error has
	if len(payload) < ports {
		return false
	}
	switch e.proto {
	case abi.IPPROTO_ICMP, abi.IPPROTO_ICMPV6:
		e.srcPort = binary.BigEndian.Uint16(payload[4:])
		e.Payload = payload
	default:
		e.srcPort, e.Dst.Port = binary.BigEndian.Uint16(payload), binary.BigEndian.Uint16(payload[2:])
		e.Payload = payload
		if e.proto == abi.IPPROTO_UDP {
			e.Payload = payload[header.UDPMinimumSize:]
		}
	}
	return true
}

// errnoOfICMPv4 is the error that an ICMP error becomes (ip(7), RFC 1122 4.2.3.9); 0: no error.
func errnoOfICMPv4(typ, code uint8) abi.Errno {
	switch header.ICMPv4Type(typ) {
	case header.ICMPv4TimeExceeded:
		return abi.EHOSTUNREACH
	case header.ICMPv4ParamProblem:
		return abi.EPROTO
	case header.ICMPv4DstUnreachable:
		table := [...]abi.Errno{abi.ENETUNREACH, abi.EHOSTUNREACH, abi.ENOPROTOOPT, abi.ECONNREFUSED, abi.EMSGSIZE, abi.EOPNOTSUPP, abi.ENETUNREACH,
			abi.EHOSTDOWN, abi.ENONET, abi.ENETUNREACH, abi.EHOSTUNREACH, abi.ENETUNREACH}
		if int(code) < len(table) {
			return table[code]
		}
		return abi.EHOSTUNREACH
	}
	return 0
}

// errnoOfICMPv6 is the same for ICMPv6 (ipv6(7), RFC 4443).
func errnoOfICMPv6(typ, code uint8) abi.Errno {
	switch header.ICMPv6Type(typ) {
	case header.ICMPv6DstUnreachable:
		table := [...]abi.Errno{abi.ENETUNREACH, abi.EACCES, abi.EHOSTUNREACH, abi.EHOSTUNREACH, abi.ECONNREFUSED, abi.EACCES, abi.EACCES}
		if int(code) < len(table) {
			return table[code]
		}
		return abi.EPROTO
	case header.ICMPv6PacketTooBig:
		return abi.EMSGSIZE
	case header.ICMPv6TimeExceeded:
		return abi.EHOSTUNREACH
	case header.ICMPv6ParamProblem:
		return abi.EPROTO
	}
	return 0
}

// errorIn returns the ICMP error that a packet is, if anybody wants to know.
func (t *tap) errorIn(proto tcpip.NetworkProtocolNumber, p *stack.PacketBuffer) (icmpError, bool) {
	if t.s.reporters.n.Load() == 0 {
		return icmpError{}, false
	}
	v := p.ToView()
	defer v.Release()
	e, ok := icmpErrorIn(proto, append([]byte(nil), v.AsSlice()[len(p.LinkHeader().Slice()):]...))
	e.Link, e.Stamp = t.index, time.Now()
	return e, ok
}

// tell queues an error at the endpoints whose packet it is about.
func (r *reporters) tell(in *icmpError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for e := range r.set {
		if e.sent(in) {
			e.queueError(in)
		}
	}
}

// sent reports whether the packet that failed may be the endpoint's.
func (e *Endpoint) sent(in *icmpError) bool {
	if e.v6 != in.V6 && !(e.v6 && e.kind == UDP) {
		return false
	}
	local := e.LocalAddr()
	if ip := local.IP.Unmap(); ip.IsValid() && !ip.IsUnspecified() && ip != in.source {
		return false
	}
	if remote, err := e.RemoteAddr(); err == nil {
		if remote.IP.Unmap() != in.Dst.IP || e.kind == UDP && remote.Port != in.Dst.Port {
			return false
		}
	}
	switch e.kind {
	case UDP:
		return in.proto == abi.IPPROTO_UDP && local.Port == in.srcPort
	case Ping:
		return (in.proto == abi.IPPROTO_ICMP || in.proto == abi.IPPROTO_ICMPV6) && local.Port == in.srcPort
	case Raw:
		return in.proto == e.proto
	}
	return false
}

func (e *Endpoint) queueError(in *icmpError) {
	q := &e.errs
	q.mu.Lock()
	if in.V6 && !q.v6 || !in.V6 && !q.v4 || len(q.queue) >= maxErrors {
		q.mu.Unlock()
		return
	}
	q.queue = append(q.queue, in.QueuedError)
	q.pending = in.Errno
	l := e.listener
	q.mu.Unlock()
	if l != nil {
		l.NotifyEvent(waiter.EventErr)
	}
}

// TakeQueuedError removes the oldest entry of the error queue. The pending error goes with
// the last one.
func (e *Endpoint) TakeQueuedError() (QueuedError, bool) {
	q := &e.errs
	q.mu.Lock()
	if len(q.queue) > 0 {
		first := q.queue[0]
		q.queue = q.queue[1:]
		q.pending = 0
		if len(q.queue) > 0 {
			q.pending = q.queue[0].Errno
		}
		q.mu.Unlock()
		e.ep.LastError()
		return first, true
	}
	q.mu.Unlock()
	if !e.localError() {
		return QueuedError{}, false
	}
	own := e.ep.SocketOptions().DequeueErr()
	out := QueuedError{Errno: toErrno(own.Err), Origin: uint8(own.Cause.Origin()), Type: own.Cause.Type(), Code: own.Cause.Code(), Info: own.Cause.Info(),
		Dst: fromFull(own.Dst), V6: e.v6}
	if own.Payload != nil {
		out.Payload = own.Payload.ToSlice()
	}
	return out, true
}

// localError reports whether the stack has queued an error of this host, and drops what it
// says of ICMP, which is told above.
func (e *Endpoint) localError() bool {
	so := e.ep.SocketOptions()
	for q := so.PeekErr(); q != nil; q = so.PeekErr() {
		if q.Cause.Origin() == tcpip.SockExtErrorOriginLocal {
			return true
		}
		so.DequeueErr()
	}
	return false
}

// HasQueuedError reports whether the error queue has an entry.
func (e *Endpoint) HasQueuedError() bool {
	e.errs.mu.Lock()
	n := len(e.errs.queue)
	e.errs.mu.Unlock()
	return n > 0 || e.localError()
}

// takePending returns and clears the error of the queue that was not told.
func (e *Endpoint) takePending() abi.Errno {
	e.errs.mu.Lock()
	defer e.errs.mu.Unlock()
	n := e.errs.pending
	e.errs.pending = 0
	return n
}
