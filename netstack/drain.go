package netstack

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Drain waits until what was sent over connections that are closed has arrived, as it
// would from a kernel that outlives its processes; at most limit.
func (s *Stack) Drain(limit time.Duration) {
	if !s.Built() {
		return
	}
	for end := time.Now().Add(limit); s.closing() && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

// closing reports whether a connection waits for its end to be acknowledged.
func (s *Stack) closing() bool {
	for _, t := range s.get().RegisteredEndpoints() {
		if ep, ok := t.(*tcp.Endpoint); ok {
			switch ep.EndpointState() {
			case tcp.StateFinWait1, tcp.StateClosing, tcp.StateLastAck:
				return true
			}
		}
	}
	return false
}
