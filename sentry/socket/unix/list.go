package unix

import (
	"bytes"
	"cmp"
	"slices"

	"lazaret/sentry/auth"
)

// Description is what tools see of a socket (/proc/net/unix).
type Description struct {
	Type      int
	Listening bool
	Connected bool
	Inode     uint64
	Name      string // an abstract one begins with @
}

// SetInode implements socket.Inoded.
func (s *Socket) SetInode(ino uint64, _ auth.KUID) {
	s.mu.Lock()
	s.ino = ino
	s.mu.Unlock()
	s.ns.mu.Lock()
	s.ns.open[s] = struct{}{}
	s.ns.mu.Unlock()
}

// forget takes a socket that is being closed out of the list.
func (n *Namespace) forget(s *Socket) {
	n.mu.Lock()
	delete(n.open, s)
	n.mu.Unlock()
}

// Sockets describes the sockets of the namespace that have a file, by inode.
func (n *Namespace) Sockets() []Description {
	n.mu.Lock()
	all := make([]*Socket, 0, len(n.open))
	for s := range n.open {
		all = append(all, s)
	}
	n.mu.Unlock()
	out := make([]Description, 0, len(all))
	for _, s := range all {
		s.mu.Lock()
		d := Description{Type: s.typ, Inode: s.ino, Listening: s.state == stateListening, Connected: s.state == stateConnected}
		name := s.name
		s.mu.Unlock()
		if len(name) > 0 && name[0] == 0 {
			name = bytes.ReplaceAll(name, []byte{0}, []byte{'@'})
		}
		d.Name = string(name)
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Description) int { return cmp.Compare(a.Inode, b.Inode) })
	return out
}

// State is SS_CONNECTED or SS_UNCONNECTED.
func (d *Description) State() int {
	if d.Connected {
		return 3
	}
	return 1
}

// Flags are those of struct socket: SO_ACCEPTCON.
func (d *Description) Flags() int {
	if d.Listening {
		return 1 << 16
	}
	return 0
}
