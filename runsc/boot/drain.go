package boot

import "time"

// drainLimit bounds how long the peers of closed connections keep an ended sandbox: long
// enough for a lost segment to be sent again.
const drainLimit = 2 * time.Second

// drainNetwork lets what applications have sent leave before the stack goes.
func (s *Sentry) drainNetwork() {
	s.mu.Lock()
	containers := make([]*container, 0, len(s.containers))
	for _, c := range s.containers {
		containers = append(containers, c)
	}
	s.mu.Unlock()
	end := time.Now().Add(drainLimit)
	for _, c := range containers {
		if n, ok := c.network(); ok {
			n.Stack.Drain(end)
		}
	}
}
