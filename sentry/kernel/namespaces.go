package kernel

import (
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// NSKind is a kind of namespace: its CLONE_NEW* flag.
type NSKind uint64

// Kinds of namespace.
const (
	NSCgroup NSKind = abi.CLONE_NEWCGROUP
	NSIPC    NSKind = abi.CLONE_NEWIPC
	NSMnt    NSKind = abi.CLONE_NEWNS
	NSNet    NSKind = abi.CLONE_NEWNET
	NSPID    NSKind = abi.CLONE_NEWPID
	NSTime   NSKind = abi.CLONE_NEWTIME
	NSUser   NSKind = abi.CLONE_NEWUSER
	NSUTS    NSKind = abi.CLONE_NEWUTS
)

// firstNSInode is where inode numbers of namespaces start, as on Linux (PROC_DYNAMIC_FIRST).
const firstNSInode = 0xf0000000

// Namespace is what all kinds have: identity and owner. Do not copy.
type Namespace struct {
	Kind   NSKind
	Inode  uint64
	UserNS *auth.UserNamespace
	refs   *atomic.Int64
}

func (k *Kernel) newNS(u *auth.UserNamespace, kind NSKind) Namespace {
	n := Namespace{Kind: kind, Inode: k.nsInode.Add(1), UserNS: u, refs: new(atomic.Int64)}
	n.refs.Store(1)
	return n
}

// AnyNamespace is a namespace of any kind, for /proc/PID/ns and setns(2).
type AnyNamespace interface {
	Info() *Namespace
}

// Info returns the common part.
func (n *Namespace) Info() *Namespace { return n }

// UTSNamespace holds host and domain name (uts_namespaces(7)).
type UTSNamespace struct {
	Namespace
	mu           sync.Mutex
	host, domain string
}

// NewUTS returns a namespace with the given names.
func (k *Kernel) NewUTS(u *auth.UserNamespace, host, domain string) *UTSNamespace {
	return &UTSNamespace{Namespace: k.newNS(u, NSUTS), host: host, domain: domain}
}

// Names returns host and domain name.
func (n *UTSNamespace) Names() (host, domain string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.host, n.domain
}

// SetHost sets the host name.
func (n *UTSNamespace) SetHost(s string) { n.mu.Lock(); n.host = s; n.mu.Unlock() }

// SetDomain sets the NIS domain name.
func (n *UTSNamespace) SetDomain(s string) { n.mu.Lock(); n.domain = s; n.mu.Unlock() }

// IPCNamespace is an ipc namespace; State belongs to sentry/ipc.
type IPCNamespace struct {
	Namespace
	State any
}

// NetNamespace is a network namespace; State belongs to the sockets.
type NetNamespace struct {
	Namespace
	State any
}

// CgroupNamespace is a cgroup namespace; there is one hierarchy, its root shows as /.
type CgroupNamespace struct {
	Namespace
	Root string
}

// TimeNamespace shifts monotonic and boot time (time_namespaces(7)). Offsets are fixed
// once a task has entered.
type TimeNamespace struct {
	Namespace
	mu             sync.Mutex
	MonoNS, BootNS int64
	entered        bool
}

// MntNamespace is a mount namespace with its identity.
type MntNamespace struct {
	Namespace
	Mounts *vfs.MountNamespace
}

// Namespaces is the set that a task is in (nsproxy). Immutable: a change makes a copy.
type Namespaces struct {
	UTS         *UTSNamespace
	IPC         *IPCNamespace
	Net         *NetNamespace
	Mnt         *MntNamespace
	Cgroup      *CgroupNamespace
	Time        *TimeNamespace
	PIDChildren *PIDNamespace  // of children to come
	TimeChild   *TimeNamespace // of children to come
}

// NewIPC returns a new ipc namespace.
func (k *Kernel) NewIPC(u *auth.UserNamespace) (*IPCNamespace, error) {
	n := &IPCNamespace{Namespace: k.newNS(u, NSIPC)}
	if k.Factory == nil {
		return n, nil
	}
	var err error
	n.State, err = k.Factory.NewIPC(n)
	return n, err
}

// NewNet returns a new network namespace, which payer, if any, is charged for: ENOMEM.
func (k *Kernel) NewNet(u *auth.UserNamespace, payer *memfile.Account) (*NetNamespace, error) {
	n := &NetNamespace{Namespace: k.newNS(u, NSNet)}
	if k.Factory == nil {
		return n, nil
	}
	var err error
	n.State, err = k.Factory.NewNet(n, payer)
	return n, err
}

// Share returns the namespace with a reference more, for another set.
func (n *NetNamespace) Share() *NetNamespace {
	n.refs.Add(1)
	return n
}

// NewMnt gives a mount namespace its identity.
func (k *Kernel) NewMnt(u *auth.UserNamespace, m *vfs.MountNamespace) *MntNamespace {
	return &MntNamespace{Namespace: k.newNS(u, NSMnt), Mounts: m}
}

// NewTime returns a time namespace without offsets.
func (k *Kernel) NewTime(u *auth.UserNamespace) *TimeNamespace {
	return &TimeNamespace{Namespace: k.newNS(u, NSTime)}
}

// UserNSInode returns the inode number of a user namespace.
func (k *Kernel) UserNSInode(u *auth.UserNamespace) uint64 { return u.Inode }
