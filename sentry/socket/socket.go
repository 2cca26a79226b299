package socket

import (
	"time"

	"lazaret/sentry/auth"
	"lazaret/sentry/kernel/bpf"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Ucred is struct ucred with the kernel's ids: the thread group id is that of the
// initial pid namespace. Process, if known, is the same id for whoever asks when the
// process has ended.
type Ucred struct {
	PID     int32
	Process vfs.ProcessID
	UID     auth.KUID
	GID     auth.KGID
}

// PeerCredentials is what a Socket also is that knows who its peer was when they were
// connected.
type PeerCredentials interface {
	PeerCreds() Ucred
}

// Control is ancillary data. Files carry a reference each, which belongs to who holds
// the Control.
type Control struct {
	Files []*vfs.File
	Creds *Ucred
	Cmsgs []Cmsg // what means the same to every process: that of the IP families
}

// Release drops the files.
func (c *Control) Release() {
	for _, f := range c.Files {
		f.DecRef()
	}
	c.Files = nil
}

// Message is what Send and Recv transfer.
type Message struct {
	Bufs uio.Bufs
	// Name is the address: of the destination (nil: the peer), or set to the sender's.
	Name []byte
	// Control is sent, or received. Send takes over its files when it succeeds.
	Control Control
	// Flags are MSG_* given by the caller; Recv replaces them with the ones of
	// msg_flags (MSG_TRUNC, MSG_CTRUNC, MSG_EOR).
	Flags int
}

// Socket is one end of communication.
type Socket interface {
	// Send sends m. A stream may take a part of it.
	Send(ctx *vfs.Context, m *Message) (int, error)
	// Recv receives into m.Bufs; 0 and nil is the end. With MSG_TRUNC datagrams return
	// their whole length.
	Recv(ctx *vfs.Context, m *Message) (int, error)
	// Shutdown ends one or both directions: SHUT_*.
	Shutdown(how int) error
	// Poll returns the events that are true now, WaitQueue what is notified of them.
	Poll() wait.Mask
	WaitQueue() *wait.Queue
	// Close is called once, when the last descriptor goes.
	Close()
}

// Identity is what a socket was made as.
type Identity struct{ Family, Type, Protocol int }

// Identified is a Socket that knows its Identity (SO_DOMAIN, SO_TYPE, SO_PROTOCOL). All do.
type Identified interface {
	Identity() Identity
}

// Inoded is a Socket that shows its inode number (/proc/net, sock_diag).
type Inoded interface {
	SetInode(ino uint64, uid auth.KUID)
}

// Binder is a Socket with addresses.
type Binder interface {
	Bind(ctx *vfs.Context, addr []byte) error
	LocalName() ([]byte, error)
	PeerName() ([]byte, error)
}

// Connector is a Socket that connects. Connect returns abi.EAGAIN when the other side has
// no room (wait for Out and connect again) and abi.EINPROGRESS when it is under way (wait
// for Out, then ask SO_ERROR).
type Connector interface {
	Connect(ctx *vfs.Context, addr []byte) error
}

// Listener is a Socket that accepts connections.
type Listener interface {
	Listen(ctx *vfs.Context, backlog int) error
	Accept(ctx *vfs.Context) (Socket, error)
}

// Accepted is a Socket that Accept returned and that knows whom it was accepted from, also
// when the connection has ended since.
type Accepted interface {
	AcceptedFrom() []byte
}

// Optioner is a Socket with options. Values are the application's bytes. n is how much
// the application has room for. ENOPROTOOPT for unknown ones.
type Optioner interface {
	GetOption(ctx *vfs.Context, level, name, n int) ([]byte, error)
	SetOption(ctx *vfs.Context, level, name int, value []byte) error
}

// Asker is a Socket with options whose getsockopt(2) reads the buffer first. ok is false for
// the other ones.
type Asker interface {
	AskOption(ctx *vfs.Context, level, name int, question []byte) (answer []byte, ok bool, err error)
}

// Tabler is a Socket with options whose value points to more of the application's memory. ok is
// false for the other ones.
type Tabler interface {
	SetTable(ctx *vfs.Context, level, name int, value []byte, mem uio.Memory) (ok bool, err error)
}

// Filterer is a Socket with SO_ATTACH_FILTER. nil takes the filter away: ENOENT if there is
// none, EPERM when it is locked.
type Filterer interface {
	AttachFilter(p *bpf.Program) error
}

// Devices are the network devices of a namespace, for the ioctls of netdevice(7): ENOTTY for
// others.
type Devices interface {
	DeviceIoctl(ctx *vfs.Context, cmd uint32, addr abi.Addr, mem uio.Memory) error
}

// Timeouter is a Socket with SO_RCVTIMEO and SO_SNDTIMEO; 0 is no limit.
type Timeouter interface {
	Timeouts() (recv, send time.Duration)
}

// Family makes sockets of one domain.
type Family interface {
	// NewSocket makes a socket of type SOCK_*, without flags: ESOCKTNOSUPPORT,
	// EPROTONOSUPPORT.
	NewSocket(ctx *vfs.Context, typ, protocol int) (Socket, error)
}

// Pairer is a Family with socketpair(2).
type Pairer interface {
	NewPair(ctx *vfs.Context, typ, protocol int) (a, b Socket, err error)
}

// Families are the domains that a network namespace offers. It is filled at the start
// and not changed after.
type Families map[int]Family

const typeFlags = abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC

func (fs Families) check(domain, typ int) (Family, error) {
	if typ&^(typeFlags|0xf) != 0 {
		return nil, abi.EINVAL
	}
	if domain < 0 || domain >= abi.AF_MAX {
		return nil, abi.EAFNOSUPPORT
	}
	if t := typ & 0xf; t <= 0 || t > abi.SOCK_PACKET {
		return nil, abi.EINVAL
	}
	f := fs[domain]
	if f == nil {
		return nil, abi.EAFNOSUPPORT
	}
	return f, nil
}

// New makes a socket and its file (socket(2)); typ has SOCK_NONBLOCK and SOCK_CLOEXEC.
func (fs Families) New(ctx *vfs.Context, domain, typ, protocol int) (*vfs.File, error) {
	f, err := fs.check(domain, typ)
	if err != nil {
		return nil, err
	}
	s, err := f.NewSocket(ctx, typ&0xf, protocol)
	if err != nil {
		return nil, err
	}
	return NewFile(ctx, s, uint32(typ&abi.SOCK_NONBLOCK))
}

// NewPair makes two connected sockets and their files (socketpair(2)).
func (fs Families) NewPair(ctx *vfs.Context, domain, typ, protocol int) (a, b *vfs.File, err error) {
	f, err := fs.check(domain, typ)
	if err != nil {
		return nil, nil, err
	}
	p, ok := f.(Pairer)
	if !ok {
		return nil, nil, abi.EOPNOTSUPP
	}
	sa, sb, err := p.NewPair(ctx, typ&0xf, protocol)
	if err != nil {
		return nil, nil, err
	}
	flags := uint32(typ & abi.SOCK_NONBLOCK)
	if a, err = NewFile(ctx, sa, flags); err != nil {
		sa.Close()
		sb.Close()
		return nil, nil, err
	}
	if b, err = NewFile(ctx, sb, flags); err != nil {
		a.DecRef()
		sb.Close()
		return nil, nil, err
	}
	return a, b, nil
}
