package netproxy

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// udpFlow is one that the inside began: a socket of the host, connected, so that only the
// peer answers and its errors are heard.
type udpFlow struct {
	p       *Proxy
	f       *flow
	guest   *guestUDP
	targets []netip.AddrPort
	dns     questions

	mu     sync.Mutex
	host   *hostSocket
	next   int // the target that comes after this one
	closed bool
}

// datagram begins a flow with its first datagram.
func (p *Proxy) datagram(r *udp.ForwarderRequest) bool {
	id := r.ID()
	ip := fromAddress(id.LocalAddress)
	u := &udpFlow{p: p, targets: p.targets(id)}
	if len(u.targets) == 0 {
		if own(ip) {
			return false // the stack says that nobody is at the port
		}
		if ip.IsGlobalUnicast() {
			p.sendUnreachable(id, udp.ProtocolNumber, noHost)
		}
		return true
	}
	if err := u.rotate(); err != nil {
		if why, ok := unreachable(err); ok {
			p.sendUnreachable(id, udp.ProtocolNumber, why)
		}
		return true
	}
	var wq waiter.Queue
	ep, err := r.CreateEndpoint(&wq)
	if err != nil {
		u.host.close()
		return true
	}
	u.guest = newGuestUDP(ep, &wq)
	idle := udpIdle
	if ip == dns4 || ip == dns6 {
		idle, u.dns.on = dnsIdle, true
	}
	u.f = p.udp.add(id, idle, u.close)
	go u.outwards()
	go u.inwards()
	return true
}

func (u *udpFlow) close() {
	u.guest.ep.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	u.host.close()
}

// rotate connects to the next target that can be had; the error is the last one's.
func (u *udpFlow) rotate() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	err := error(unix.EBADF)
	for range u.targets {
		if u.closed {
			return unix.EBADF
		}
		to := u.targets[u.next%len(u.targets)]
		u.next++
		var s *hostSocket
		if s, err = dial(unix.SOCK_DGRAM, 0, to); err == nil {
			if u.host != nil {
				u.host.close()
			}
			u.host = s
			return nil
		}
	}
	return err
}

func (u *udpFlow) current() (s *hostSocket, closed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.host, u.closed
}

// outwards carries datagrams from inside to the host.
func (u *udpFlow) outwards() {
	defer u.f.end()
	u.guest.receive(u.f, func(b []byte) {
		u.f.touch()
		if u.dns.on && u.dns.again(b) && len(u.targets) > 1 {
			_ = u.rotate() // this resolver did not answer
		}
		s, _ := u.current()
		if err := s.send(b); err != nil {
			u.failed(err)
			_ = s.send(b) // the error was that of an earlier one
		}
	})
}

// inwards carries datagrams of the host inside.
func (u *udpFlow) inwards() {
	defer u.f.end()
	for {
		s, closed := u.current()
		if closed {
			return
		}
		b, n, _, err := s.recv()
		if err == nil {
			u.f.touch()
			u.guest.send((*b)[:n])
			buffers.Put(b)
			continue
		}
		if now, closed := u.current(); closed {
			return
		} else if now != s {
			continue // another resolver is asked
		}
		if _, ok := cause(err).(unix.Errno); !ok {
			return
		}
		u.failed(err)
	}
}

// failed tells the inside what the host's network says, or asks the next resolver.
func (u *udpFlow) failed(err error) {
	if last, ok := u.dns.retry(len(u.targets)); ok && u.rotate() == nil {
		s, _ := u.current()
		_ = s.send(last)
		return
	}
	if why, ok := unreachable(err); ok {
		u.p.sendUnreachable(u.f.id, udp.ProtocolNumber, why)
	}
}

// questions are what was asked of resolvers in a flow lately.
type questions struct {
	on bool

	mu    sync.Mutex
	ids   []uint16
	last  []byte
	tries int // resolvers that refused the last one
}

const maxQuestions = 16

// again notes a question and reports whether it was asked before.
func (q *questions) again(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	id := binary.BigEndian.Uint16(b)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last, q.tries = slices.Clone(b), 0
	if slices.Contains(q.ids, id) {
		return true
	}
	if q.ids = append(q.ids, id); len(q.ids) > maxQuestions {
		q.ids = q.ids[1:]
	}
	return false
}

// retry returns the last question if there is a resolver that has not refused it.
func (q *questions) retry(resolvers int) ([]byte, bool) {
	if !q.on {
		return nil, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tries++
	return q.last, q.tries < resolvers && len(q.last) > 0
}
