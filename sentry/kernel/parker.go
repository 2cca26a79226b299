package kernel

import (
	"sync/atomic"
	"time"
)

// parker is where a task's goroutine sleeps. The goroutine has its thread to itself, so
// the thread sleeps in the host on a word of its own: whoever wakes it wakes that thread
// and no other. (A Go channel would wake a thread of the scheduler first, which then wakes
// this one.)
type parker struct{ word atomic.Uint32 }

const (
	parkNone  = iota
	parkToken // unpark came: the next park returns at once
	parkAsleep
)

// unpark makes a running or the next park return.
func (p *parker) unpark() {
	if p.word.Swap(parkToken) == parkAsleep {
		futexWake(&p.word)
	}
}

// park blocks until unpark or the deadline (zero: none), and reports false for the deadline.
// Only one goroutine parks.
func (p *parker) park(deadline time.Time) bool {
	if p.word.CompareAndSwap(parkToken, parkNone) {
		return true
	}
	for {
		var left time.Duration
		if !deadline.IsZero() {
			if left = time.Until(deadline); left <= 0 {
				return p.word.Swap(parkNone) == parkToken
			}
		}
		if p.word.CompareAndSwap(parkNone, parkAsleep) || p.word.Load() == parkAsleep {
			futexWait(&p.word, parkAsleep, left)
		}
		if p.word.CompareAndSwap(parkToken, parkNone) {
			return true
		}
	}
}
