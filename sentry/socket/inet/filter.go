package inet

import (
	"bytes"
	"encoding/binary"
	"io"

	"lazaret/netstack"
	"lazaret/sentry/kernel/bpf"
	"lazaret/syscalls/abi"
)

const udpHeader = 8

// AttachFilter implements socket.Filterer. TODO: filters of TCP's segments, which the stack
// handles alone.
//
// Linux difference: the stack's queues are its own, so a filter works when packets are taken and
// not when they come: those that wait already are filtered too.
func (s *Socket) AttachFilter(p *bpf.Program) error {
	if s.kind == netstack.TCP {
		return abi.ENOPROTOOPT
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return abi.EBADF
	}
	return s.filter.Set(s.acct, p)
}

func (s *Socket) filtering() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.filter.On()
}

// read is Read of an endpoint for packets, through the filter.
func (s *Socket) read(ep *netstack.Endpoint, to io.Writer, peek bool) (netstack.ReadResult, error) {
	if !s.filtering() {
		return ep.Read(to, peek)
	}
	s.filterMu.Lock()
	defer s.filterMu.Unlock()
	r, data, err := s.nextLocked(ep, peek)
	if err == nil {
		r.N, r.Total = len(data), len(data)
		_, _ = to.Write(data) // a sink, which takes everything
	}
	return r, err
}

// nextLocked returns the first packet that passes; those before it are gone.
func (s *Socket) nextLocked(ep *netstack.Endpoint, peek bool) (netstack.ReadResult, []byte, error) {
	headers := 0
	if s.kind == netstack.UDP {
		headers = udpHeader
	}
	for {
		var b bytes.Buffer
		b.Write(make([]byte, headers))
		r, err := ep.Read(&b, peek)
		if err != nil {
			return r, nil, err
		}
		data := b.Bytes()
		if headers > 0 { // the stack does not keep it
			binary.BigEndian.PutUint16(data, r.From.Port)
			binary.BigEndian.PutUint16(data[2:], ep.LocalAddr().Port)
			binary.BigEndian.PutUint16(data[4:], uint16(len(data)))
		}
		if n, ok := s.pass(data, &r, headers); ok {
			return r, data[headers:n], nil
		}
		if peek {
			_, _ = ep.Read(io.Discard, false)
		}
	}
}

// pass asks the filter about a packet, which begins where Linux's does: at the IP header of a raw
// IPv4 socket, at the transport's header otherwise.
func (s *Socket) pass(data []byte, r *netstack.ReadResult, headers int) (int, bool) {
	const none = 1 << 40 // TODO: SKF_NET_OFF where the stack does not keep the IP header
	d := bpf.Packet{Data: data, Net: none, Protocol: abi.ETH_P_IPV6, Link: uint32(r.Anc.Link)}
	if r.From.IP.Unmap().Is4() {
		d.Protocol = abi.ETH_P_IP
	}
	if s.kind == netstack.Raw && !s.v6 {
		d.Net = 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.filter.Pass(&d, max(headers, 1))
}

// firstSize returns the size of the first packet that passes, false if none waits.
func (s *Socket) firstSize(ep *netstack.Endpoint) (int, bool) {
	s.filterMu.Lock()
	defer s.filterMu.Unlock()
	_, data, err := s.nextLocked(ep, true)
	if err == nil {
		return len(data), true
	}
	if e, ok := err.(abi.Errno); ok && e != abi.EAGAIN && e != abi.EPIPE {
		s.mu.Lock()
		if s.err == 0 {
			s.err = e
		}
		s.mu.Unlock()
	}
	return 0, false
}
