package netproxy

import (
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// table are the flows of a protocol without connections. They end when nothing goes either
// way for a while, and the oldest when there are too many.
type table struct {
	max int

	mu    sync.Mutex
	flows map[stack.TransportEndpointID]*flow
}

// flow is an entry of a table.
type flow struct {
	t     *table
	id    stack.TransportEndpointID
	idle  time.Duration
	used  atomic.Int64 // when something was last transferred, in nanoseconds
	timer *time.Timer
	over  sync.Once
	done  chan struct{} // closed when the flow has ended
	close func()        // ends what the flow is made of
	host  *hostSocket   // of a ping
	guest *guestUDP     // of a published port: where it goes
}

func newTable(n int) *table {
	return &table{max: n, flows: map[stack.TransportEndpointID]*flow{}}
}

// find returns a flow that is there.
func (t *table) find(id stack.TransportEndpointID) *flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.flows[id]
}

// add enters a new flow, which takes the place of one of the same id.
func (t *table) add(id stack.TransportEndpointID, idle time.Duration, end func()) *flow {
	f := &flow{t: t, id: id, idle: idle, done: make(chan struct{}), close: end}
	f.touch()
	f.timer = time.AfterFunc(idle, f.expire)
	t.mu.Lock()
	old := t.flows[id]
	if old == nil && len(t.flows) >= t.max {
		old = t.oldestLocked()
	}
	if old != nil {
		delete(t.flows, old.id)
	}
	t.flows[id] = f
	t.mu.Unlock()
	if old != nil {
		old.end()
	}
	return f
}

func (t *table) oldestLocked() *flow {
	var old *flow
	for _, f := range t.flows {
		if old == nil || f.used.Load() < old.used.Load() {
			old = f
		}
	}
	return old
}

// touch notes that the flow is used.
func (f *flow) touch() { f.used.Store(time.Now().UnixNano()) }

// expire ends the flow if it has been idle for long enough.
func (f *flow) expire() {
	if rest := f.idle - time.Since(time.Unix(0, f.used.Load())); rest > 0 {
		f.timer.Reset(rest)
		return
	}
	f.end()
}

// end ends the flow. It may be repeated.
func (f *flow) end() {
	f.over.Do(func() {
		f.t.mu.Lock()
		if f.t.flows[f.id] == f {
			delete(f.t.flows, f.id)
		}
		f.t.mu.Unlock()
		f.timer.Stop()
		close(f.done)
		f.close()
	})
}
