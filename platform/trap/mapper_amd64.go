package trap

import (
	"errors"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// errStubGone says that a stub process has been killed.
var errStubGone = errors.New("the stub process has been killed")

// hostCall is a system call that a mapper makes.
type hostCall struct {
	nr   uint64
	args [6]uint64
}

// request is what a mapper is asked to do.
type request struct {
	kind  uint32
	calls []hostCall // reqCalls
	stack uint64     // reqThread
	child slot       // reqFork
}

// ask hands one request to the mapper and returns its answer: the result of a thread's or
// a process's clone, else 0. Errors are abi.Errno.
//
// The answer comes through an eventfd, which no application can write. One bit at a time
// is added to it, so that all that the mapper needs are constants.
func (a *addressSpace) ask(req *request) (int64, error) {
	a.askMu.Lock()
	defer a.askMu.Unlock()
	event := <-a.p.events
	defer func() { a.p.events <- event }()
	if !a.begin(event, req.kind == reqFork) {
		return 0, abi.ESRCH
	}
	a.post(req, event)
	sum, err := a.await(req, event)
	a.end(event)
	if sum&ansDead != 0 {
		// Whatever a stub wrote before it died must not confuse the next request.
		writeEvent(event, 1)
		_, _ = readEvent(event)
	}
	if err != nil {
		return 0, err
	}
	if sum&ansError != 0 {
		return 0, abi.Errno(sum & (ansError - 1))
	}
	return int64(sum & (ansError - 1)), nil
}

// begin makes the stub's death, or for a fork any stub's, be reported to event.
func (a *addressSpace) begin(event int, fork bool) bool {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.dead {
		return false
	}
	a.event = event
	if fork {
		a.p.forks[event] = struct{}{}
	}
	return true
}

func (a *addressSpace) end(event int) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.event = -1
	delete(a.p.forks, event)
}

// post writes the request page and wakes the mapper.
func (a *addressSpace) post(req *request, event int) {
	page := a.page
	page.put32(reqKind, req.kind)
	page.put(reqEvent, uint64(event))
	switch req.kind {
	case reqCalls:
		page.put(reqCount, uint64(len(req.calls)))
		for i, c := range req.calls {
			off := reqOps + i*opLen
			page.put(off, c.nr)
			for j, arg := range c.args {
				page.put(off+8+8*j, arg)
			}
		}
	case reqThread:
		page.put(reqStack, req.stack)
	case reqFork:
		page.put(reqFile, uint64(a.p.slots.fd))
		page.put(reqChild, uint64(req.child.index)*slotLen)
		page.put(reqParent, uint64(a.p.parent))
	}
	page.word(reqSeq).Add(1)
	futexWake(page.futex(reqSeq))
}

// await sums the answer up until it is whole.
func (a *addressSpace) await(req *request, event int) (uint64, error) {
	want := uint64(ansDone)
	if req.kind == reqFork {
		want |= ansBorn
	}
	spinUntil(a.page.futex(hintOff), a.page.word(reqSeq).Load(), answerSpin)
	var sum uint64
	for {
		v, err := readEvent(event)
		if err != nil {
			return ansDead, abi.ESRCH
		}
		sum += v
		if sum&ansDone != 0 && sum&ansError != 0 || sum&want == want {
			return sum, nil
		}
		if sum >= ansDead {
			dead := a.died(req.kind, sum)
			sum %= ansDead
			if dead {
				return sum | ansDead, abi.ESRCH
			}
		}
	}
}

// died says whether the answer will never come: the stub is dead, or the new process is.
func (a *addressSpace) died(kind uint32, sum uint64) bool {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.dead {
		return true
	}
	pid := int32(sum & (ansError - 1))
	_, orphan := a.p.orphans[pid]
	return kind == reqFork && sum&ansDone != 0 && orphan
}

// call makes the mapper execute system calls until one fails.
func (a *addressSpace) call(calls ...hostCall) error {
	for len(calls) > 0 {
		n := min(len(calls), maxOps)
		if _, err := a.ask(&request{kind: reqCalls, calls: calls[:n]}); err != nil {
			return err
		}
		calls = calls[n:]
	}
	return nil
}

func mmapCall(start abi.Addr, length uint64, prot int, fd int, off int64) hostCall {
	return hostCall{unix.SYS_MMAP, [6]uint64{
		uint64(start), length, uint64(prot), unix.MAP_SHARED | unix.MAP_FIXED, uint64(fd), uint64(off),
	}}
}
