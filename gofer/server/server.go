package server

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

// Root is one attach point.
type Root struct {
	// Name is what a client attaches to.
	Name string
	// FD is open (O_PATH is enough) on the tree's root directory, or, with File set, on
	// the directory that holds File. It may also be open on a single file itself; then
	// the file can be opened only with FD's own access mode.
	FD int
	// File names the single file of a file bind mount inside the directory FD.
	File string
	// ReadOnly refuses every change with EROFS.
	ReadOnly bool
	// Shared says that others change the tree too: names are looked up again at each
	// walk, and directories are watched.
	Shared bool
	// AllowUnix permits connecting to and binding Unix sockets of the host.
	AllowUnix bool
	// AllowFIFO permits opening FIFOs of the host.
	AllowFIFO bool
}

// Config says what to serve and how much a client may hold. Zero limits mean the defaults.
type Config struct {
	Roots []Root

	// Mounts is open on this process's own mountinfo if the host can mount something in a
	// root: the client is told to forget what it knows when that happens. 0: it cannot.
	Mounts int

	MaxFIDs   int // files a client may hold (default 262144)
	MaxFDs    int // cached descriptors (default 8000)
	MaxOpen   int // fids that keep a file open, as standard clients do (default 4000)
	MaxPinned int // descriptors of removed files still held by a client (default 2000)
	MaxListed int // watches of directories that a client holds no file of (default 8192)
}

const (
	defaultFIDs   = 1 << 18
	defaultFDs    = 8000
	defaultOpen   = 4000
	defaultPinned = 2000
	defaultListed = maxWatches / 2
	maxChannels   = 16
	maxWatches    = 16384
)

// session is one client: its connections share everything here.
type session struct {
	cfg   Config
	roots map[string]*root
	watch watcher

	// tree is held for reading while a name is resolved and used, for writing while the
	// shape of the known tree changes (rename, remove). Before mu.
	tree sync.RWMutex

	mu       sync.Mutex
	fids     map[uint32]*fid
	nodes    int      // known files, those of fids and their parents
	open     int      // fids with an open file, and their xattr state
	pinned   int      // descriptors of removed files
	fds      int      // descriptors of nodes
	lru      nodeList // nodes whose descriptor may be closed, coldest first
	conns    []*proto.Conn
	extended bool // Tversion agreed on our extensions
	ended    bool

	workers sync.WaitGroup
}

// root is an attach point of a session.
type root struct {
	Root
	node *node
}

// Serve speaks with one client over the socket fd, which it owns, until the client hangs
// up (nil) or breaks the framing. The roots' descriptors stay the caller's.
//
// It sets the process's umask to 0 and, for extended attributes, watches and sockets,
// moves its working directory: both belong to the gofer process. Go's scheduler gets some
// processors more.
func Serve(fd int, cfg Config) error {
	conn, err := proto.NewConn(fd)
	if err != nil {
		return fmt.Errorf("gofer connection: %w", err)
	}
	setDefault(&cfg.MaxFIDs, defaultFIDs)
	setDefault(&cfg.MaxFDs, defaultFDs)
	setDefault(&cfg.MaxOpen, defaultOpen)
	setDefault(&cfg.MaxPinned, defaultPinned)
	setDefault(&cfg.MaxListed, defaultListed)
	s := &session{
		cfg:   cfg,
		roots: make(map[string]*root),
		fids:  make(map[uint32]*fid),
		conns: []*proto.Conn{conn},
	}
	s.lru.init()
	s.watch.init(cfg.Mounts, cfg.MaxListed)
	unix.Umask(0)
	for _, r := range cfg.Roots {
		if err := s.addRoot(r); err != nil {
			conn.Close()
			return fmt.Errorf("attach point %q: %w", r.Name, err)
		}
	}
	if want := runtime.NumCPU() + proto.MaxHolders; runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
	err = s.serveConn(conn)
	s.end()
	s.workers.Wait()
	s.watch.stop() // a last request may have started it again
	conn.Close()
	s.release()
	if errors.Is(err, io.EOF) || errors.Is(err, abi.ECONNRESET) || errors.Is(err, abi.EPIPE) {
		return nil
	}
	return err
}

func setDefault(p *int, v int) {
	if *p <= 0 {
		*p = v
	}
}

// end wakes every goroutine of the session.
func (s *session) end() {
	s.mu.Lock()
	s.ended = true
	for _, c := range s.conns {
		c.Shutdown()
	}
	s.mu.Unlock()
	s.watch.stop()
}

// release closes every descriptor. No goroutine of the session runs any more.
func (s *session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, f := range s.fids {
		delete(s.fids, n)
		s.putFIDLocked(f)
	}
	for _, r := range s.roots {
		s.closeNodeFDLocked(r.node)
	}
	s.watch.close()
}

// addChannel starts another connection and returns the client's end.
func (s *session) addChannel() (int, error) {
	client, server, err := proto.SocketPair()
	if err != nil {
		return -1, err
	}
	conn, err := proto.NewConn(server)
	if err != nil {
		closeFDs(client, server)
		return -1, err
	}
	s.mu.Lock()
	if s.ended || len(s.conns) >= maxChannels {
		s.mu.Unlock()
		closeFDs(client, server)
		return -1, unix.EAGAIN
	}
	s.conns = append(s.conns, conn)
	s.workers.Add(1)
	s.mu.Unlock()
	go s.serveChannel(conn)
	return client, nil
}

// serveChannel serves an additional connection until the client closes it.
func (s *session) serveChannel(conn *proto.Conn) {
	defer s.workers.Done()
	_ = s.serveConn(conn)
	s.mu.Lock()
	for i, c := range s.conns {
		if c == conn {
			s.conns = append(s.conns[:i], s.conns[i+1:]...)
			break
		}
	}
	s.mu.Unlock()
	conn.Close()
}

// serveConn handles the requests of one connection, one after the other.
func (s *session) serveConn(conn *proto.Conn) error {
	var r request
	r.s = s
	conn.BePatient(proto.PatientHold)
	for {
		msg, err := conn.Recv()
		if err != nil {
			return err
		}
		if !r.handle(msg) {
			continue
		}
		if len(r.fds) > 0 {
			err = conn.SendFDs(r.enc.Bytes(), r.fds)
		} else {
			err = conn.Send(r.enc.Bytes(), r.fd)
		}
		r.closeFDs()
		if err != nil {
			return err
		}
	}
}

func closeFDs(fds ...int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}
