package server

import (
	"encoding/binary"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// cwd guards the process's working directory. inotify, extended attributes of links and
// Unix sockets take paths only: we move to the parent and use the bare name.
var cwd sync.Mutex

// inDir runs call with the working directory dir, a descriptor.
func inDir(dir int, call func() error) error {
	cwd.Lock()
	defer cwd.Unlock()
	if err := unix.Fchdir(dir); err != nil {
		return err
	}
	return retry(call)
}

// watch is a directory (or single file) whose changes are reported.
type watch struct {
	wd     int
	id     identity
	refs   int  // nodes, and the list of those that no node stands for
	listed bool // in watcher.listed
	told   bool // the client relies on it without a fid: it is told of the end
	dead   bool // the host ended it: the directory is gone
}

// watcher reports host changes. Its lock is the innermost.
type watcher struct {
	mu        sync.Mutex
	fd        int // inotify, -1 until first needed
	byWD      map[int]*watch
	listed    []*watch            // oldest first, of directories that the client knows by Txlist
	byID      map[identity]*watch // those in listed
	maxListed int                 // of listed
	conn      *proto.Conn         // where events go, nil: nobody asked
	mounts    int                 // mountinfo, -1: mounts do not change
	running   sync.WaitGroup
}

// watchMask is what can change a cached name or attribute.
const watchMask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_DELETE_SELF | unix.IN_MODIFY | unix.IN_ATTRIB |
	unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_MOVE_SELF

// gather is how long events are collected before they are sent: writers on the host make
// thousands a second, and equal ones merge in the kernel's queue.
const gather = 2 * time.Millisecond

func (w *watcher) init(mounts, maxListed int) {
	w.fd, w.mounts, w.maxListed = -1, mounts, maxListed
	if mounts <= 0 {
		w.mounts = -1
	}
	w.byWD, w.byID = make(map[int]*watch), make(map[identity]*watch)
}

// add watches name in the directory fd (itself if name is empty).
func (w *watcher) add(fd int, name string, id identity) *watch {
	w.mu.Lock()
	in := w.fd
	off := w.conn == nil || in < 0 || len(w.byWD) >= maxWatches
	w.mu.Unlock()
	if off {
		return nil
	}
	if name == "" {
		name = "."
	}
	var wa *watch
	_ = inDir(fd, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		// Under the lock: nobody ends the watch before it is counted.
		wd, err := unix.InotifyAddWatch(in, name, watchMask|unix.IN_DONT_FOLLOW|unix.IN_EXCL_UNLINK)
		if err != nil {
			return err // above the user's limit, for example: the client is told by the missing flag
		}
		if wa = w.byWD[wd]; wa == nil {
			wa = &watch{wd: wd}
			w.byWD[wd] = wa
		}
		if wa.id != id { // name was replaced when it was watched before
			if w.byID[wa.id] == wa {
				delete(w.byID, wa.id)
				w.byID[id] = wa
			}
			wa.id = id
		}
		wa.refs++
		return nil
	})
	return wa
}

// drop ends one node's interest.
func (w *watcher) drop(wa *watch) {
	if wa == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropLocked(wa)
}

// dropLocked ends a watch that nobody needs. The kernel reports that (IN_IGNORED), after
// what happened before.
func (w *watcher) dropLocked(wa *watch) {
	if wa.refs--; wa.refs > 0 || wa.dead {
		return
	}
	if w.byWD[wa.wd] == wa {
		wa.dead = true
		_, _ = unix.InotifyRmWatch(w.fd, uint32(wa.wd))
	}
}

func (w *watcher) alive(wa *watch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return wa != nil && !wa.dead && w.conn != nil
}

// start begins to report on conn.
func (w *watcher) start(conn *proto.Conn) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		return unix.EBUSY
	}
	if w.fd < 0 {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			return err
		}
		w.fd = fd
	}
	w.conn = conn
	w.running.Add(1)
	go w.run(conn, w.fd, w.mounts)
	return nil
}

// stop ends reporting and waits for the goroutine.
func (w *watcher) stop() {
	w.mu.Lock()
	conn := w.conn
	w.conn = nil
	w.mu.Unlock()
	if conn != nil {
		conn.Shutdown()
		w.running.Wait()
		conn.Close()
	}
}

func (w *watcher) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		closeFDs(w.fd)
		w.fd = -1
	}
}

// run sends events until conn is shut down. A client that does not read them makes the
// kernel's queue overflow, which it is told.
func (w *watcher) run(conn *proto.Conn, fd, mounts int) {
	defer w.running.Done()
	buf := make([]byte, 64<<10)
	var enc proto.Encoder
	for {
		// A change of the mounts is an exception (proc_pid_mounts(5)); poll leaves out -1.
		pfd := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(conn.FD())}, {Fd: int32(mounts), Events: unix.POLLPRI}}
		if _, err := unix.Poll(pfd, -1); err == unix.EINTR {
			continue
		} else if err != nil || pfd[1].Revents != 0 {
			return
		}
		if pfd[2].Revents != 0 && !w.sendOverflow(&enc, conn) {
			return
		}
		time.Sleep(gather)
		n, err := unix.Read(fd, buf)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		if w.encode(&enc, buf[:n]) == 0 {
			continue
		}
		if conn.Send(enc.Bytes(), -1) != nil {
			return
		}
	}
}

// sendOverflow tells the client to trust nothing that it knows.
func (w *watcher) sendOverflow(enc *proto.Encoder, conn *proto.Conn) bool {
	enc.Begin(proto.Rxevents, proto.NoTag)
	enc.U16(1)
	enc.Event(&proto.Event{Mask: unix.IN_Q_OVERFLOW})
	return conn.Send(enc.Bytes(), -1) == nil
}

// encode writes the kernel's events as one Rxevents and returns their number. They fit:
// an event there is not longer than the kernel's but for 10 bytes.
func (w *watcher) encode(enc *proto.Encoder, b []byte) int {
	enc.Begin(proto.Rxevents, proto.NoTag)
	at := enc.Len()
	enc.U16(0)
	count := 0
	var last proto.Event
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int(int32(binary.NativeEndian.Uint32(b)))
		ev := proto.Event{Mask: binary.NativeEndian.Uint32(b[4:]), Cookie: binary.NativeEndian.Uint32(b[8:])}
		size := int(binary.NativeEndian.Uint32(b[12:]))
		b = b[unix.SizeofInotifyEvent:]
		if size > len(b) {
			break
		}
		ev.Name = string(cString(b[:size]))
		b = b[size:]
		wa := w.byWD[wd]
		if ev.Mask&unix.IN_IGNORED != 0 && wa != nil {
			wa.dead = true
			delete(w.byWD, wd)
			if !wa.told {
				continue
			}
		}
		if ev.Mask&unix.IN_Q_OVERFLOW == 0 {
			if wa == nil || (ev.Name != "" && !proto.ValidName(ev.Name)) {
				continue
			}
			ev.DevMajor, ev.DevMinor, ev.Ino = wa.id.major, wa.id.minor, wa.id.ino
		}
		if count > 0 && ev == last {
			continue
		}
		last = ev
		enc.Event(&ev)
		count++
	}
	enc.SetU16(at, uint16(count))
	return count
}

func cString(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// watchFor arranges that changes of n's attributes are reported, if its root is shared.
func (s *session) watchFor(n *node) {
	if !n.root.Shared {
		return
	}
	if n.parent != nil {
		s.watchDir(n.parent)
	}
	if n.id.typ == unix.S_IFDIR || n.parent == nil {
		s.watchDir(n)
	}
}

// watchDir arranges that changes in directory n are reported, if its root is shared.
func (s *session) watchDir(n *node) {
	if !n.root.Shared {
		return
	}
	s.mu.Lock()
	has := n.watched != nil || n.orphan
	s.mu.Unlock()
	if has {
		return
	}
	p := place{dir: n.root.FD, name: n.root.File}
	if n.parent != nil || n.root.File == "" {
		if n.id.typ != unix.S_IFDIR {
			return
		}
		fd, err := s.hold(n)
		if err != nil {
			return
		}
		defer s.drop(n)
		p = place{dir: fd}
	}
	wa := s.watch.add(p.dir, p.name, n.id)
	if wa == nil {
		return
	}
	s.mu.Lock()
	if n.watched == nil {
		n.watched, wa = wa, nil
	}
	s.mu.Unlock()
	s.watch.drop(wa)
}

// watchedLocked reports whether changes of n's attributes will be reported: by its own
// watch if it is a directory (whose times change with its entries), and by its parent's.
func (s *session) watchedLocked(n *node) bool {
	if n.parent == nil || n.id.typ == unix.S_IFDIR {
		if !s.watch.covers(n) {
			return false
		}
	}
	return n.parent == nil || s.watch.covers(n.parent)
}

// childFlags are the attr flags of a directory's entries that are not directories.
func (s *session) childFlags(p *node) uint32 {
	var f uint32
	if p.root.ReadOnly {
		f |= proto.FlagReadOnly
	}
	if !p.root.Shared {
		return f | proto.FlagWatched
	}
	f |= proto.FlagShared
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch.alive(p.watched) {
		f |= proto.FlagWatched
	}
	return f
}

// subdirFlags corrects childFlags for an entry that is a directory.
func (s *session) subdirFlags(p *node, name string, flags uint32) uint32 {
	if !p.root.Shared {
		return flags
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := p.children[name]; c == nil || !s.watch.alive(c.watched) {
		flags &^= proto.FlagWatched
	}
	return flags
}
