package kernel

import (
	"sync/atomic"
	"time"
)

// parker is where a task's goroutine sleeps. The goroutine has its thread to itself. It
// can sleep in two ways, and does as its last waker would have liked it:
//
//   - The thread sleeps in the host on a word of its own: a task that wakes it wakes that
//     thread and no other.
//   - The goroutine sleeps on a channel: the scheduler then hands over to it the place of
//     a goroutine of the network stack, which is about to sleep itself and would look
//     around for other work first.
type parker struct {
	word    atomic.Uint32
	byStack atomic.Bool // the last waker was a goroutine of the network stack
	ch      chan struct{}
	timer   *time.Timer
}

const (
	parkNone    = iota
	parkToken   // unpark came: the next park returns at once
	parkThread  // asleep in the host
	parkRoutine // asleep on ch
)

func newParker() parker { return parker{ch: make(chan struct{}, 1)} }

// unpark makes a running or the next park return.
func (p *parker) unpark() {
	switch p.word.Swap(parkToken) {
	case parkThread:
		futexWake(&p.word)
	case parkRoutine:
		p.ch <- struct{}{} // has room: who sleeps there takes one for each
	}
}

// park blocks until unpark or the deadline (zero: none), and reports false for the deadline.
// Only one goroutine parks.
func (p *parker) park(deadline time.Time) bool {
	if p.word.CompareAndSwap(parkToken, parkNone) {
		return true
	}
	if p.byStack.Load() {
		return p.parkRoutine(deadline)
	}
	for {
		var left time.Duration
		if !deadline.IsZero() {
			if left = time.Until(deadline); left <= 0 {
				return p.word.Swap(parkNone) == parkToken
			}
		}
		if p.word.CompareAndSwap(parkNone, parkThread) || p.word.Load() == parkThread {
			futexWait(&p.word, parkThread, left)
		}
		if p.word.CompareAndSwap(parkToken, parkNone) {
			return true
		}
	}
}

func (p *parker) parkRoutine(deadline time.Time) bool {
	var over <-chan time.Time
	if !deadline.IsZero() {
		left := time.Until(deadline)
		if left <= 0 {
			return p.word.Swap(parkNone) == parkToken
		}
		if p.timer == nil {
			p.timer = time.NewTimer(left)
		} else {
			p.timer.Reset(left)
		}
		defer p.timer.Stop()
		over = p.timer.C
	}
	if !p.word.CompareAndSwap(parkNone, parkRoutine) {
		p.word.Store(parkNone) // the token
		return true
	}
	select {
	case <-p.ch:
	case <-over:
		if p.word.CompareAndSwap(parkRoutine, parkNone) {
			return false
		}
		<-p.ch // it came at the same time
	}
	p.word.Store(parkNone)
	return true
}
