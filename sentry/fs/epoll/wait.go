package epoll

import (
	"time"

	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// MaxEvents is the most that one epoll_wait may ask for (EP_MAX_EVENTS).
const MaxEvents = (1<<31 - 1) / 16

// harvest fills events from the ready list, each item at most once, and returns how many.
// Level-triggered items go to the end of the list, so that all get their turn.
func (ep *Epoll) harvest(events []Event) int {
	ep.readyMu.Lock()
	idle := ep.head == nil
	ep.readyMu.Unlock()
	if idle {
		return 0
	}
	var held refs
	defer held.drop()
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.readyMu.Lock()
	turns := ep.readyLen
	ep.readyMu.Unlock()
	n := 0
	for ; turns > 0 && n < len(events); turns-- {
		it := ep.popReady()
		if it == nil {
			break
		}
		got := ep.pollItemLocked(it, &held)
		if got == 0 {
			continue
		}
		events[n] = Event{got, it.data}
		n++
		ep.rearmLocked(it)
	}
	return n
}

// rearmLocked decides what an item does after it was reported.
func (ep *Epoll) rearmLocked(it *item) {
	ep.readyMu.Lock()
	defer ep.readyMu.Unlock()
	switch {
	case it.events&abi.EPOLLONESHOT != 0:
		it.events &= private
		ep.unlinkLocked(it)
	case it.events&abi.EPOLLET == 0 && !it.ready:
		ep.linkLocked(it, false)
	}
}

// passOn wakes another waiter if there is something left for it.
func (ep *Epoll) passOn() {
	ep.readyMu.Lock()
	more := ep.head != nil
	ep.readyMu.Unlock()
	if more {
		ep.queue.Notify(wait.In | abi.POLLRDNORM)
	}
}

// Collect fills events without waiting.
func (ep *Epoll) Collect(events []Event) int { return ep.harvest(events) }

// Wait fills events and returns how many, 0 when the deadline passed (the zero deadline
// is never). Errors are those of s.Sleep: abi.ERESTARTSYS, which epoll_wait turns into
// EINTR.
func (ep *Epoll) Wait(s wait.Sleeper, events []Event, deadline time.Time) (int, error) {
	for {
		if n := ep.harvest(events); n > 0 {
			ep.passOn()
			return n, nil
		}
		// Exclusive: one event wakes one of several waiting threads.
		e := wait.Entry{Waiter: s, Mask: wait.In, Exclusive: true}
		ep.queue.Add(&e)
		n := ep.harvest(events)
		var err error
		if n == 0 {
			err = s.Sleep(deadline)
		}
		ep.queue.Remove(&e)
		if n > 0 {
			ep.passOn()
			return n, nil
		}
		if err != nil {
			n := ep.harvest(events)
			ep.passOn() // the wake-up may have been meant for this thread
			if n > 0 || err == abi.ETIMEDOUT {
				return n, nil
			}
			return 0, err
		}
	}
}

// Watch describes one item, for /proc/PID/fdinfo.
type Watch struct {
	FD     int32
	Events uint32
	Data   uint64
	File   *vfs.File
}

// Watches returns the items whose files are open.
func (ep *Epoll) Watches() []Watch {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	var ws []Watch
	for k, it := range ep.items {
		ep.readyMu.Lock()
		ev := it.events
		ep.readyMu.Unlock()
		ws = append(ws, Watch{k.fd, ev, it.data, k.file})
	}
	return ws
}
