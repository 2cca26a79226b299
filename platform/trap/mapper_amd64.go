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
	calls []hostCall
	stack uint64 // reqThread
	child slot   // reqFork
}

// answer is the pair of eventfds that a request is answered by. The mapper adds the
// result's bits to result, one write each, and then wakes the Sentry by a write to end.
type answer struct{ end, result int }

// ask hands one request to the mapper and returns its answer: the result of a thread's or
// a process's clone, else 0. Errors are abi.Errno.
//
// The answer comes through eventfds, which no application can write. One bit at a time is
// added, so that all that the mapper needs are constants.
func (a *addressSpace) ask(req *request) (int64, error) {
	a.askMu.Lock()
	defer a.askMu.Unlock()
	ans := <-a.p.answers
	defer func() { a.p.answers <- ans }()
	if !a.begin(ans, req.kind == reqFork) {
		return 0, abi.ESRCH
	}
	a.p.counters.requests.Add(1)
	a.p.place.pinMapper(a)
	a.post(req, ans)
	sum, err := a.await(req, ans)
	a.finish(ans)
	if err != nil {
		// Whatever a stub wrote before it died must not confuse the next request.
		ans.drain()
		return 0, err
	}
	if sum&ansError != 0 {
		return 0, abi.Errno(sum & (ansError - 1))
	}
	return int64(sum & (ansError - 1)), nil
}

// askAnew is ask that gives up the stubs that are kept where the host wants no more.
func (a *addressSpace) askAnew(req *request) (int64, error) {
	n, err := a.ask(req)
	if err == abi.EAGAIN && a.p.drain() {
		return a.ask(req)
	}
	return n, err
}

// drain empties both eventfds.
func (ans answer) drain() {
	for _, fd := range []int{ans.end, ans.result} {
		writeEvent(fd, 1)
		_, _ = readEvent(fd)
	}
}

// begin makes the stub's death, or for a fork any stub's, be reported to ans.
func (a *addressSpace) begin(ans answer, fork bool) bool {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.dead {
		return false
	}
	a.waiting = &ans
	if fork {
		a.p.forks[ans] = struct{}{}
	}
	return true
}

func (a *addressSpace) finish(ans answer) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.waiting = nil
	delete(a.p.forks, ans)
}

// post writes the request page and wakes the mapper.
func (a *addressSpace) post(req *request, ans answer) {
	page := a.page
	page.put32(reqKind, req.kind)
	page.put(reqEvent, uint64(ans.end))
	page.put(reqResult, uint64(ans.result))
	page.put(reqCount, uint64(len(req.calls)))
	for i, c := range req.calls {
		off := reqOps + i*opLen
		page.put(off, c.nr)
		for j, arg := range c.args {
			page.put(off+8+8*j, arg)
		}
	}
	switch req.kind {
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

// await waits for the end of the request and returns its result.
func (a *addressSpace) await(req *request, ans answer) (uint64, error) {
	var sum uint64
	for {
		v, err := readEvent(ans.end)
		switch {
		case err != nil:
			return 0, abi.ESRCH
		case v&ansResult != 0:
			// The result is there, or about to come from the mapper of a fork's parent.
			for sum&ansDone == 0 {
				if v, err = readEvent(ans.result); err != nil || v >= ansDead {
					return 0, abi.ESRCH
				}
				sum += v
			}
			return sum, nil
		case v&ansDone != 0:
			return 0, nil
		}
		// Some stub has died.
		if a.isDead() {
			return 0, abi.ESRCH
		}
		if req.kind != reqFork {
			continue
		}
		for sum&ansDone == 0 {
			if v, err = readEvent(ans.result); err != nil || v >= ansDead {
				return 0, abi.ESRCH
			}
			sum += v
		}
		if sum&ansError == 0 && a.p.isOrphan(int32(sum&(ansError-1))) {
			return 0, abi.ESRCH
		}
	}
}

func (a *addressSpace) isDead() bool {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	return a.dead
}

// isOrphan says whether a process died before it was known.
func (p *trapPlatform) isOrphan(pid int32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.orphans[pid]
	return ok
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

func mmapCall(start abi.Addr, length uint64, prot int, flags uint64, fd int, off int64) hostCall {
	return hostCall{unix.SYS_MMAP, [6]uint64{
		uint64(start), length, uint64(prot), unix.MAP_SHARED | unix.MAP_FIXED | flags, uint64(fd), uint64(off),
	}}
}
