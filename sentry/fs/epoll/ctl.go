package epoll

import (
	"sync"

	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// topology guards who watches whom among epolls, for the search of loops. It is of the
// whole sandbox because epolls of several namespaces may be nested through passed
// descriptors.
var topology sync.Mutex

// maxNests is EP_MAX_NESTS: the most edges in a chain of nested epolls.
const maxNests = 4

// maxPaths bounds the ways up from one epoll: how many notifications one becomes. Linux
// bounds them by length of the way (path_limits); one bound does for us.
const maxPaths = 500

// Ctl changes the set (epoll_ctl(2)). f is what fd refers to; the set keeps no reference.
func (ep *Epoll) Ctl(ctx *vfs.Context, op int, fd int32, f *vfs.File, ev Event) error {
	poller, ok := f.Ops.(vfs.Poller)
	if !ok {
		return abi.EPERM
	}
	target := Of(f)
	if target == ep {
		return abi.EINVAL
	}
	if op != abi.EPOLL_CTL_DEL && ev.Events&abi.EPOLLEXCLUSIVE != 0 {
		if op == abi.EPOLL_CTL_MOD || target != nil || ev.Events&^uint32(exclusiveOK) != 0 {
			return abi.EINVAL
		}
	}
	k := key{f, fd}
	switch op {
	case abi.EPOLL_CTL_ADD:
		return ep.add(ctx, k, poller, target, ev)
	case abi.EPOLL_CTL_DEL:
		return ep.del(k, target)
	case abi.EPOLL_CTL_MOD:
		return ep.mod(k, ev)
	}
	return abi.EINVAL
}

func (ep *Epoll) add(ctx *vfs.Context, k key, poller vfs.Poller, target *Epoll, ev Event) error {
	if target != nil {
		topology.Lock()
		defer topology.Unlock()
		if err := mayNest(ep, target); err != nil {
			return err
		}
	}
	var held refs
	defer held.drop()
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if ep.closed {
		return abi.EBADF
	}
	if _, dup := ep.items[k]; dup {
		return abi.EEXIST
	}
	ep.sweepLocked(&held)
	if len(ep.items) >= maxWatches {
		return abi.ENOSPC
	}
	if ctx.Account != nil {
		if err := ctx.Account.Charge(itemCost); err != nil {
			return err
		}
	}
	it := &item{ep: ep, key: k, queue: poller.WaitQueue(k.file), acct: ctx.Account, data: ev.Data}
	it.events = ev.Events | always
	it.exclusive = ev.Events&abi.EPOLLEXCLUSIVE != 0
	it.entry = wait.Entry{Waiter: it, Mask: wait.All, Exclusive: it.exclusive}
	ep.items[k] = it
	if target != nil {
		if target.parents == nil {
			target.parents = make(map[*Epoll]int)
		}
		target.parents[ep]++
	}
	it.queue.Add(&it.entry)
	ep.checkLocked(it, &held)
	return nil
}

func (ep *Epoll) mod(k key, ev Event) error {
	var held refs
	defer held.drop()
	ep.mu.Lock()
	defer ep.mu.Unlock()
	it := ep.items[k]
	if it == nil {
		return abi.ENOENT
	}
	if it.exclusive {
		return abi.EINVAL
	}
	it.data = ev.Data
	ep.readyMu.Lock()
	it.events = ev.Events | always
	ep.readyMu.Unlock()
	ep.checkLocked(it, &held)
	return nil
}

func (ep *Epoll) del(k key, target *Epoll) error {
	if target != nil {
		topology.Lock()
		defer topology.Unlock()
	}
	ep.mu.Lock()
	defer ep.mu.Unlock()
	it := ep.items[k]
	if it == nil {
		return abi.ENOENT
	}
	ep.removeLocked(it)
	unlinkParent(it)
	return nil
}

// checkLocked puts it into the ready list if its file is ready now.
func (ep *Epoll) checkLocked(it *item, held *refs) {
	if ep.pollItemLocked(it, held) == 0 {
		return
	}
	ep.pushReady(it, false)
	ep.queue.Notify(wait.In | abi.POLLRDNORM)
}

// sweepLocked removes the items of closed files when the set has doubled since the last
// sweep, so that a program that closes without removing stays bounded.
func (ep *Epoll) sweepLocked(held *refs) {
	if len(ep.items) < ep.sweepAt {
		return
	}
	for _, it := range ep.items {
		if !held.take(it.key.file) {
			ep.removeLocked(it)
		}
	}
	ep.sweepAt = max(64, 2*len(ep.items))
}

// unlinkParent forgets that it.ep watches an epoll. Preconditions: topology is held.
func unlinkParent(it *item) {
	target := Of(it.key.file)
	if target == nil {
		return
	}
	if target.parents[it.ep]--; target.parents[it.ep] <= 0 {
		delete(target.parents, it.ep)
	}
}

// mayNest returns nil if ep may watch target: ELOOP for a loop or a chain that is too
// long, EINVAL when notifications would multiply on too many ways up.
// Preconditions: topology is held.
func mayNest(ep, target *Epoll) error {
	below, loop := target.height(ep, 0)
	if loop || below+1+ep.above(0) > maxNests {
		return abi.ELOOP
	}
	if ep.pathsUp()+target.pathsUp() > maxPaths {
		return abi.EINVAL
	}
	return nil
}

// pathsUp returns the number of ways from ep to epolls above, itself counted.
func (ep *Epoll) pathsUp() int {
	n := 1
	for p, times := range ep.parents {
		if n += times * p.pathsUp(); n > maxPaths {
			break
		}
	}
	return n
}

// height returns the length of the longest chain below ep, and whether it meets stop.
func (ep *Epoll) height(stop *Epoll, depth int) (int, bool) {
	if depth > maxNests {
		return depth, true
	}
	ep.mu.Lock()
	var inner []*Epoll
	for k := range ep.items {
		if t := Of(k.file); t != nil {
			inner = append(inner, t)
		}
	}
	ep.mu.Unlock()
	most := 0
	for _, t := range inner {
		if t == stop {
			return 0, true
		}
		h, loop := t.height(stop, depth+1)
		if loop {
			return 0, true
		}
		most = max(most, h+1)
	}
	return most, false
}

// above returns the length of the longest chain over ep.
func (ep *Epoll) above(depth int) int {
	if depth > maxNests {
		return depth
	}
	most := 0
	for p := range ep.parents {
		most = max(most, p.above(depth+1)+1)
	}
	return most
}
