package unix

import (
	"bytes"
	"fmt"
	"sync"

	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// maxAddr is sizeof(struct sockaddr_un): 2 bytes of family and 108 of path.
const maxAddr = 110

// Namespace is the table of abstract names of a network namespace.
type Namespace struct {
	// Devices answers the ioctls of network devices, which a socket of any family takes
	// (if_nametoindex(3) uses these); nil: there are none. It is set before the first use.
	Devices socket.Devices

	mu    sync.Mutex
	open  map[*Socket]struct{} // those with a file
	names map[abstractName]*Socket
	auto  uint32 // where the search for a free automatic name starts
}

// abstractName is a name's key: as on Linux, each type of socket has its own.
type abstractName struct {
	typ  int
	name string
}

// NewNamespace returns an empty table.
func NewNamespace() *Namespace {
	return &Namespace{open: make(map[*Socket]struct{}), names: make(map[abstractName]*Socket)}
}

// parseAddr checks a struct sockaddr_un and returns what follows the family: empty for an
// unnamed address, beginning with 0 for an abstract name, else a path without the 0.
// TRUST: b is the application's.
func parseAddr(b []byte) ([]byte, error) {
	if len(b) < 2 || len(b) > maxAddr {
		return nil, abi.EINVAL
	}
	if f := uint16(b[0]) | uint16(b[1])<<8; f != abi.AF_UNIX {
		return nil, abi.EINVAL
	}
	name := b[2:]
	if len(name) == 0 || name[0] == 0 {
		return bytes.Clone(name), nil
	}
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	return bytes.Clone(name), nil
}

// sockaddr returns the struct sockaddr_un of a name: a path is shown with its 0.
func sockaddr(name []byte) []byte {
	b := append([]byte{abi.AF_UNIX, 0}, name...)
	if len(name) > 0 && name[0] != 0 {
		b = append(b, 0)
	}
	return b
}

// add enters s under name: EADDRINUSE if it is taken.
func (ns *Namespace) add(name string, s *Socket) error {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	key := abstractName{s.typ, name}
	if ns.names[key] != nil {
		return abi.EADDRINUSE
	}
	ns.names[key] = s
	return nil
}

// autobind enters s under a free name of a 0 and five hexadecimal digits.
func (ns *Namespace) autobind(s *Socket) (string, error) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for range 1 << 20 {
		name := fmt.Sprintf("\x00%05x", ns.auto&0xfffff)
		ns.auto++
		if key := (abstractName{s.typ, name}); ns.names[key] == nil {
			ns.names[key] = s
			return name, nil
		}
	}
	return "", abi.ENOSPC
}

func (ns *Namespace) remove(name string, s *Socket) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if key := (abstractName{s.typ, name}); ns.names[key] == s {
		delete(ns.names, key)
	}
}

func (ns *Namespace) find(name string, typ int) *Socket {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return ns.names[abstractName{typ, name}]
}

// ForEach calls f with every abstract name (/proc/net/unix).
func (ns *Namespace) ForEach(f func(name string, s *Socket)) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for n, s := range ns.names {
		f(n.name, s)
	}
}

// paths says which socket is bound to a socket file. The key is the inode, which the
// socket's Path keeps alive.
var paths struct {
	sync.Mutex
	m map[vfs.Inode]*Socket
}

func bindPath(ctx *vfs.Context, name string, s *Socket) (vfs.Path, error) {
	p, err := vfs.MakeSocket(ctx, name, 0o777, s.typ)
	if err != nil {
		return vfs.Path{}, err
	}
	if !p.TryIncRef() {
		return vfs.Path{}, abi.ENOENT
	}
	paths.Lock()
	defer paths.Unlock()
	if paths.m == nil {
		paths.m = make(map[vfs.Inode]*Socket)
	}
	paths.m[p.Inode()] = s
	return p, nil
}

func unbindPath(p vfs.Path, s *Socket) {
	paths.Lock()
	if paths.m[p.Inode()] == s {
		delete(paths.m, p.Inode())
	}
	paths.Unlock()
	p.DecRef()
}

// target is what a name leads to: a socket of the sandbox, or one of the host's inode.
type target struct {
	sock *Socket
	host hostSocket
	path vfs.Path // of the inode, with a reference
}

// done gives up the reference.
func (t *target) done() {
	if t.path.OK() {
		t.path.DecRef()
	}
}

func findPath(ctx *vfs.Context, name string) (target, error) {
	p, err := vfs.Lookup(ctx, ctx.FS.Cwd(), name, vfs.LookupFollow)
	if err != nil {
		return target{}, err
	}
	if err := vfs.Permission(ctx, p, vfs.MayWrite); err != nil {
		return target{}, err
	}
	paths.Lock()
	s := paths.m[p.Inode()]
	paths.Unlock()
	if s != nil {
		return target{sock: s}, nil
	}
	if h := hostSocketOf(p.Inode()); h != nil && p.TryIncRef() {
		return target{host: h, path: p}, nil
	}
	return target{}, abi.ECONNREFUSED
}

// resolve returns the socket of type typ with a name that parseAddr returned. The caller
// must call done.
func (ns *Namespace) resolve(ctx *vfs.Context, name []byte, typ int) (t target, err error) {
	if len(name) == 0 {
		return t, abi.EINVAL
	}
	if name[0] == 0 {
		if t.sock = ns.find(string(name), typ); t.sock == nil {
			return t, abi.ECONNREFUSED
		}
	} else if t, err = findPath(ctx, string(name)); err != nil {
		return t, err
	}
	if t.sock != nil && t.sock.typ != typ {
		return target{}, abi.EPROTOTYPE
	}
	return t, nil
}
