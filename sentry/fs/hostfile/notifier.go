package hostfile

import (
	"sync"

	"golang.org/x/sys/unix"

	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Handler is told that events happened on a watched host descriptor. It runs on the
// Notifier's goroutine and must not block.
type Handler interface {
	HostReady(events wait.Mask)
}

// Notifier watches host descriptors with one goroutine.
type Notifier struct {
	epfd, wakeFD int
	done         chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	nextID  uint64
	watches map[uint64]*Watch
	closing bool
}

// Watch is one host descriptor in a Notifier.
type Watch struct {
	n       *Notifier
	fd      int
	id      uint64
	handler Handler

	mu     sync.Mutex
	armed  wait.Mask // events that the host reports once
	closed bool
}

// NewNotifier returns a running Notifier. Close ends it.
func NewNotifier() (*Notifier, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, hostErr(err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, hostErr(err)
	}
	n := &Notifier{epfd: epfd, wakeFD: wake, done: make(chan struct{}), watches: make(map[uint64]*Watch)}
	ev := unix.EpollEvent{Events: unix.EPOLLIN}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, wake, &ev); err != nil {
		unix.Close(epfd)
		unix.Close(wake)
		return nil, hostErr(err)
	}
	go n.run()
	return n, nil
}

// Close ends the goroutine and waits for it. Watches report nothing from then on.
func (n *Notifier) Close() {
	n.mu.Lock()
	was := n.closing
	n.closing = true
	n.mu.Unlock()
	if was {
		return
	}
	unix.Write(n.wakeFD, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	<-n.done
	unix.Close(n.epfd)
	unix.Close(n.wakeFD)
}

func (n *Notifier) run() {
	defer close(n.done)
	events := make([]unix.EpollEvent, 32)
	for {
		c, err := epollWait(n.epfd, events)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return // the epoll descriptor is gone: nothing to watch with
		}
		for i := range events[:c] {
			n.dispatch(&events[i])
		}
		n.mu.Lock()
		closing := n.closing
		n.mu.Unlock()
		if closing {
			return
		}
	}
}

func (n *Notifier) dispatch(ev *unix.EpollEvent) {
	id := uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32
	n.mu.Lock()
	w := n.watches[id]
	n.mu.Unlock()
	if w == nil {
		return
	}
	got := wait.Mask(ev.Events)
	w.mu.Lock()
	w.armed &^= got
	if w.armed != 0 && got&(wait.Hup|wait.Err) == 0 {
		w.updateLocked() // one shot disarmed the rest too
	} else {
		w.armed = 0
	}
	w.mu.Unlock()
	w.handler.HostReady(got)
}

// maxWatches bounds the host descriptors that applications have made the Sentry hold to wait
// for: it needs others for files.
const maxWatches = 12288

// Watch starts to watch fd for h, armed for nothing. It fails with abi.EPERM when the
// host cannot poll fd (regular files, /dev/null): it is always ready; ENFILE above maxWatches.
func (n *Notifier) Watch(fd int, h Handler) (*Watch, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.watches) >= maxWatches {
		return nil, abi.ENFILE
	}
	n.nextID++
	w := &Watch{n: n, fd: fd, id: n.nextID, handler: h}
	ev := w.event(0)
	if err := unix.EpollCtl(n.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return nil, hostErr(err)
	}
	n.watches[w.id] = w
	return w, nil
}

func (w *Watch) event(mask wait.Mask) unix.EpollEvent {
	return unix.EpollEvent{
		Events: uint32(mask) | unix.EPOLLONESHOT | unix.EPOLLET,
		Fd:     int32(uint32(w.id)), Pad: int32(uint32(w.id >> 32)),
	}
}

// Preconditions: w.mu is held.
func (w *Watch) updateLocked() {
	if w.closed {
		return
	}
	ev := w.event(w.armed)
	// Fails only for a descriptor that is being closed.
	_ = unix.EpollCtl(w.n.epfd, unix.EPOLL_CTL_MOD, w.fd, &ev)
}

// Arm asks for one report of each of events, at once if it is true already.
func (w *Watch) Arm(events wait.Mask) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if events&^w.armed == 0 {
		return
	}
	w.armed |= events
	w.updateLocked()
}

// Close stops watching. It must come before the descriptor is closed.
func (w *Watch) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	if w.n.closing {
		return
	}
	delete(w.n.watches, w.id)
	_ = unix.EpollCtl(w.n.epfd, unix.EPOLL_CTL_DEL, w.fd, &unix.EpollEvent{})
}

// Beside is Notifier.Watch with the notifier of w.
func (w *Watch) Beside(fd int, h Handler) (*Watch, error) { return w.n.Watch(fd, h) }
