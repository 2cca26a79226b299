package netstack

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Drain waits until what was sent over TCP connections has arrived, as it would from a
// kernel that outlives its processes; at most until end. Preconditions: all sockets are
// closed.
func (s *Stack) Drain(end time.Time) {
	if !s.Built() {
		return
	}
	for s.closing() && time.Now().Before(end) {
		time.Sleep(5 * time.Millisecond)
	}
}

// closing reports whether a connection has data to send, or waits for the peer to
// acknowledge its end. (The end is sent after the data, so the state changes late.)
func (s *Stack) closing() bool {
	for _, t := range s.get().RegisteredEndpoints() {
		if ep, ok := t.(*tcp.Endpoint); ok {
			switch ep.EndpointState() {
			case tcp.StateEstablished, tcp.StateCloseWait, tcp.StateFinWait1, tcp.StateClosing, tcp.StateLastAck:
				return true
			}
		}
	}
	return false
}
