package netstack

import (
	"sync"
	"time"

	"lazaret/syscalls/abi"
)

// limitScale is XT_LIMIT_SCALE: the parts of a second in which a struct xt_rateinfo has the
// time between packets.
const limitScale = 10000

// limitMatch is limit: a bucket of time, of which each packet that matches takes some. It is
// full when the table is set.
type limitMatch struct {
	everywhere
	cost, room time.Duration

	mu   sync.Mutex
	left time.Duration
	last time.Time
}

// newLimit is limit of a struct xt_rateinfo: ERANGE.
func newLimit(avg, burst uint32) (*limitMatch, error) {
	if burst == 0 || avg*burst < avg { // as Linux, which counts in 32 bits
		return nil, abi.ERANGE
	}
	cost := time.Duration(avg) * (time.Second / limitScale)
	room := cost * time.Duration(burst)
	return &limitMatch{cost: cost, room: room, left: room, last: time.Now()}, nil
}

func (m *limitMatch) match(*iptPacket) bool { return m.take(time.Now()) }

// take reports whether a packet is within the limit now.
func (m *limitMatch) take(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = min(m.left+max(now.Sub(m.last), 0), m.room)
	m.last = now
	if m.left < m.cost {
		return false
	}
	m.left -= m.cost
	return true
}
