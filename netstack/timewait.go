package netstack

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// A connection in TIME_WAIT costs some 9 KiB of the Sentry's heap, for a minute. Linux bounds
// how many there are (tcp_max_tw_buckets) and forgets the rest at once; here the minute
// becomes shorter the faster connections come and go, so that about maxTimeWait wait, and
// at a rate above maxTimeWait a second one second's worth.
const (
	maxTimeWait = 4096
	closeBatch  = 256
	minTimeWait = time.Second
)

// closings measures how fast TCP connections are closed.
type closings struct {
	mu    sync.Mutex
	n     int
	since time.Time
	set   time.Duration
}

// closing counts a connection that is being closed at now, and returns the length of
// TIME_WAIT if that must change.
func (c *closings) closing(now time.Time) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; c.n < closeBatch {
		if c.n == 1 && c.since.IsZero() {
			c.since, c.set = now, timeWait
		}
		return 0, false
	}
	want := min(max(now.Sub(c.since)*(maxTimeWait/closeBatch), minTimeWait), timeWait)
	c.n, c.since = 0, now
	if want == c.set || want < timeWait && want > c.set/2 && want < c.set*2 {
		return 0, false
	}
	c.set = want
	return want, true
}

// closed is called for each TCP endpoint that goes.
func (s *Stack) closed() {
	if d, ok := s.closings.closing(time.Now()); ok {
		setOption(s.s, tcp.ProtocolNumber, tcpip.TCPTimeWaitTimeoutOption(d))
	}
}
