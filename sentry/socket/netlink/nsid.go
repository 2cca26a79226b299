package netlink

import (
	"lazaret/netstack"
	"lazaret/sentry/socket/inet"
	"lazaret/syscalls/abi"
)

// maxIDs bounds the ids that a namespace has for others.
const maxIDs = 4096

// idOf returns the id of the namespace with a stack; it gets one if it has none yet.
func (n *Namespace) idOf(st *netstack.Stack) int32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	free := -1
	for i, o := range n.ids {
		switch {
		case o == st:
			return int32(i)
		case free < 0 && (o == nil || o.Dead()):
			free = i
		}
	}
	if free < 0 {
		if len(n.ids) >= maxIDs {
			return abi.NETNSA_NSID_NOT_ASSIGNED
		}
		free = len(n.ids)
		n.ids = append(n.ids, nil)
	}
	n.ids[free] = st
	return int32(free)
}

// knownID returns the id that a namespace has already, or NETNSA_NSID_NOT_ASSIGNED.
func (n *Namespace) knownID(st *netstack.Stack) int32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, o := range n.ids {
		if o == st {
			return int32(i)
		}
	}
	return abi.NETNSA_NSID_NOT_ASSIGNED
}

// named returns the namespace that a request with a struct rtgenmsg is about.
func (q *query) named() (*inet.Namespace, map[uint16][]byte, error) {
	at := q.r.attributes(4)
	if fd, ok := at[abi.NETNSA_FD]; ok && q.ns.find != nil {
		if ns := q.ns.find.ByFD(q.ctx, int32(u32Of(fd))); ns != nil {
			return ns, at, nil
		}
		return nil, at, abi.EINVAL
	}
	if pid, ok := at[abi.NETNSA_PID]; ok && q.ns.find != nil {
		if ns := q.ns.find.ByPID(q.ctx, int32(u32Of(pid))); ns != nil {
			return ns, at, nil
		}
		return nil, at, abi.ESRCH
	}
	return nil, at, abi.EINVAL
}

// getID is RTM_GETNSID: the id of a namespace.
func (q *query) getID() error {
	ns, _, err := q.named()
	if err != nil {
		return err
	}
	q.begin(abi.RTM_NEWNSID, make([]byte, 4))
	q.out.u32(abi.NETNSA_NSID, uint32(q.ns.knownID(ns.Stack)))
	q.out.end()
	return nil
}

// setID is RTM_NEWNSID: EEXIST, and ENOSPC beyond the bound of ids.
func (q *query) setID() error {
	ns, at, err := q.named()
	if err != nil {
		return err
	}
	if !has(at, abi.NETNSA_NSID) {
		return abi.EINVAL
	}
	if q.ns.knownID(ns.Stack) >= 0 {
		return abi.EEXIST
	}
	want := int32(u32Of(at[abi.NETNSA_NSID]))
	if want < 0 {
		if q.ns.idOf(ns.Stack) < 0 {
			return abi.ENOSPC
		}
		return nil
	}
	if want >= maxIDs {
		return abi.ENOSPC
	}
	q.ns.mu.Lock()
	defer q.ns.mu.Unlock()
	for int(want) >= len(q.ns.ids) {
		q.ns.ids = append(q.ns.ids, nil)
	}
	if o := q.ns.ids[want]; o != nil && !o.Dead() {
		return abi.EEXIST
	}
	q.ns.ids[want] = ns.Stack
	return nil
}
