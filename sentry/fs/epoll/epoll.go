package epoll

import (
	"sync"

	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Event is struct epoll_event, without its packing.
type Event struct {
	Events uint32 // EPOLL*
	Data   uint64
}

const (
	// private are the bits that are no events (EP_PRIVATE_BITS).
	private = abi.EPOLLWAKEUP | abi.EPOLLONESHOT | abi.EPOLLET | abi.EPOLLEXCLUSIVE
	// exclusiveOK is what EPOLLEXCLUSIVE may be combined with.
	exclusiveOK = abi.EPOLLIN | abi.EPOLLOUT | abi.EPOLLERR | abi.EPOLLHUP | abi.EPOLLWAKEUP | abi.EPOLLET | abi.EPOLLEXCLUSIVE
	// always is reported whether asked for or not.
	always = abi.EPOLLERR | abi.EPOLLHUP

	// maxWatches bounds one set, as fs.epoll.max_user_watches bounds a user's.
	maxWatches = 1 << 20
	// itemCost is charged for an item, in bytes.
	itemCost = 256
)

type key struct {
	file *vfs.File
	fd   int32
}

// Epoll is an epoll instance; it is the vfs.FileOps of its file.
type Epoll struct {
	queue wait.Queue

	// parents are the epolls that watch this one, with the number of items; under
	// topology.
	parents map[*Epoll]int

	mu      sync.Mutex
	items   map[key]*item
	sweepAt int // size of items at which closed files are looked for
	closed  bool

	readyMu    sync.Mutex
	head, tail *item
	readyLen   int
}

// item is one watched descriptor. It is the waiter in the file's queue.
type item struct {
	entry wait.Entry
	ep    *Epoll
	key   key
	queue *wait.Queue      // of the file
	acct  *memfile.Account // pays for the item

	exclusive bool // EPOLLEXCLUSIVE: may not be modified

	data uint64 // under ep.mu

	// Under ep.readyMu.
	events     uint32
	ready      bool
	next, prev *item
}

// New makes an epoll instance and its file (epoll_create1(2)).
func New(ctx *vfs.Context) (*vfs.File, error) {
	return vfs.NewAnonFile(ctx, "[eventpoll]", newEpoll(), abi.O_RDWR, vfs.ModeRead|vfs.ModeWrite|vfs.ModeStream|vfs.ModeNoSeek)
}

func newEpoll() *Epoll { return &Epoll{items: make(map[key]*item), sweepAt: 64} }

// Of returns the epoll behind f, nil if f is something else.
func Of(f *vfs.File) *Epoll {
	ep, _ := f.Ops.(*Epoll)
	return ep
}

// Read implements vfs.FileOps.
func (ep *Epoll) Read(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EINVAL
}

// Write implements vfs.FileOps.
func (ep *Epoll) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EINVAL
}

// Release implements vfs.FileOps.
func (ep *Epoll) Release(*vfs.File) {
	topology.Lock()
	defer topology.Unlock()
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.closed = true
	for _, it := range ep.items {
		ep.removeLocked(it)
		unlinkParent(it)
	}
}

// Poll implements vfs.Poller: readable when something is ready.
func (ep *Epoll) Poll(*vfs.File) wait.Mask {
	var held refs
	defer held.drop()
	ep.mu.Lock()
	defer ep.mu.Unlock()
	for {
		it := ep.popReady()
		if it == nil {
			return 0
		}
		if ep.pollItemLocked(it, &held) != 0 {
			ep.pushReady(it, true)
			return wait.In | abi.POLLRDNORM
		}
	}
}

// WaitQueue implements vfs.Poller.
func (ep *Epoll) WaitQueue(*vfs.File) *wait.Queue { return &ep.queue }

// Notify implements wait.Waiter for the file's queue.
func (it *item) Notify(_ *wait.Entry, events wait.Mask) { it.notify(events) }

// NotifyExclusive implements wait.ExclusiveWaiter (EPOLLEXCLUSIVE): an epoll that nobody
// waits for notes the event and lets the next one have it too.
func (it *item) NotifyExclusive(_ *wait.Entry, events wait.Mask) bool {
	waited := !it.ep.queue.Empty()
	return it.notify(events) && waited
}

func (it *item) notify(events wait.Mask) bool {
	ep := it.ep
	ep.readyMu.Lock()
	wake := it.events&^private != 0 && uint32(events)&it.events != 0
	if wake && !it.ready {
		ep.linkLocked(it, false)
	}
	ep.readyMu.Unlock()
	if wake {
		ep.queue.Notify(wait.In | abi.POLLRDNORM | events&wait.Stack)
	}
	return wake
}

func (ep *Epoll) linkLocked(it *item, front bool) {
	it.ready = true
	ep.readyLen++
	if ep.head == nil {
		ep.head, ep.tail = it, it
		return
	}
	if front {
		it.next, ep.head.prev = ep.head, it
		ep.head = it
		return
	}
	it.prev, ep.tail.next = ep.tail, it
	ep.tail = it
}

func (ep *Epoll) unlinkLocked(it *item) {
	if !it.ready {
		return
	}
	if it.prev != nil {
		it.prev.next = it.next
	} else {
		ep.head = it.next
	}
	if it.next != nil {
		it.next.prev = it.prev
	} else {
		ep.tail = it.prev
	}
	it.next, it.prev, it.ready = nil, nil, false
	ep.readyLen--
}

func (ep *Epoll) pushReady(it *item, front bool) {
	ep.readyMu.Lock()
	if !it.ready {
		ep.linkLocked(it, front)
	}
	ep.readyMu.Unlock()
}

func (ep *Epoll) popReady() *item {
	ep.readyMu.Lock()
	defer ep.readyMu.Unlock()
	it := ep.head
	if it != nil {
		ep.unlinkLocked(it)
	}
	return it
}

// pollItemLocked returns the events of it that are true, 0 also when its file is closed:
// then it is removed.
func (ep *Epoll) pollItemLocked(it *item, held *refs) uint32 {
	f := it.key.file
	if !held.take(f) {
		ep.removeLocked(it)
		return 0
	}
	ep.readyMu.Lock()
	want := it.events
	ep.readyMu.Unlock()
	var got uint32
	if want&^private != 0 {
		got = uint32(f.Ops.(vfs.Poller).Poll(f)) & want
	}
	return got &^ private
}

// refs are references to files, taken for the time of polling them. They are dropped
// without Epoll.mu, because the last one may release an epoll.
type refs []*vfs.File

func (r *refs) take(f *vfs.File) bool {
	if !f.TryIncRef() {
		return false
	}
	*r = append(*r, f)
	return true
}

func (r *refs) drop() {
	for _, f := range *r {
		f.DecRef()
	}
}

func (ep *Epoll) removeLocked(it *item) {
	if ep.items[it.key] != it {
		return
	}
	delete(ep.items, it.key)
	it.queue.Remove(&it.entry)
	ep.readyMu.Lock()
	ep.unlinkLocked(it)
	it.events = 0 // a notification that is under way adds nothing
	ep.readyMu.Unlock()
	if it.acct != nil {
		it.acct.Uncharge(itemCost)
	}
}
