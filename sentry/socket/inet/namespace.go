package inet

import (
	"sync"
	"sync/atomic"

	"lazaret/netstack"
	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Namespace is the IP side of a network namespace.
type Namespace struct {
	Stack  *netstack.Stack
	UserNS *auth.UserNamespace // the owner: capabilities count there

	sent atomic.Int64 // bytes since the charges were last brought up to date

	mu       sync.Mutex
	sockets  map[*Socket]struct{}
	settings settings
	payer    *memfile.Account // of the tables of iptables
	paid     int
}

// NewNamespace returns a namespace whose stack is not built yet.
func NewNamespace(owner *auth.UserNamespace) *Namespace {
	return &Namespace{Stack: netstack.New(), UserNS: owner, sockets: map[*Socket]struct{}{}, settings: defaultSettings}
}

// Release ends the network: nobody is in the namespace any more.
func (n *Namespace) Release() {
	n.Stack.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.payer != nil {
		n.payer.Uncharge(uint64(n.paid))
		n.paid = 0
	}
}

func (n *Namespace) add(s *Socket) {
	n.mu.Lock()
	n.sockets[s] = struct{}{}
	n.mu.Unlock()
}

func (n *Namespace) remove(s *Socket) {
	n.mu.Lock()
	delete(n.sockets, s)
	n.mu.Unlock()
}

// Sockets returns the open sockets, in no order.
func (n *Namespace) Sockets() []*Socket {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]*Socket, 0, len(n.sockets))
	for s := range n.sockets {
		out = append(out, s)
	}
	return out
}

// capable reports whether the caller has a capability over the namespace.
func (n *Namespace) capable(ctx *vfs.Context, c int) bool {
	return ctx.Creds != nil && ctx.Creds.HasCapIn(c, n.UserNS)
}

// Family makes AF_INET or AF_INET6 sockets.
type Family struct {
	NS *Namespace
	V6 bool
}

// protocolMax is IPPROTO_MAX.
const protocolMax = 263

// check says what kind of socket type and protocol ask for; with several errors, the one that
// Linux gives first.
func (f Family) check(ctx *vfs.Context, typ, protocol int) (netstack.Kind, int, error) {
	if protocol < 0 || protocol >= protocolMax {
		return 0, 0, abi.EINVAL
	}
	icmp := abi.IPPROTO_ICMP
	if f.V6 {
		icmp = abi.IPPROTO_ICMPV6
	}
	switch typ {
	case abi.SOCK_STREAM:
		if protocol != 0 && protocol != abi.IPPROTO_TCP {
			return 0, 0, abi.EPROTONOSUPPORT
		}
		return netstack.TCP, abi.IPPROTO_TCP, nil
	case abi.SOCK_DGRAM:
		switch protocol {
		case 0, abi.IPPROTO_UDP:
			return netstack.UDP, abi.IPPROTO_UDP, nil
		case icmp:
			if !f.NS.mayPing(ctx) {
				return 0, 0, abi.EACCES
			}
			return netstack.Ping, icmp, nil
		}
		return 0, 0, abi.EPROTONOSUPPORT
	case abi.SOCK_RAW:
		if protocol == 0 {
			return 0, 0, abi.EPROTONOSUPPORT
		}
		if !f.NS.capable(ctx, abi.CAP_NET_RAW) {
			return 0, 0, abi.EPERM
		}
		return netstack.Raw, protocol, nil
	}
	return 0, 0, abi.ESOCKTNOSUPPORT
}

// mayPing reports whether net.ipv4.ping_group_range has a group of the caller's.
func (n *Namespace) mayPing(ctx *vfs.Context) bool {
	n.mu.Lock()
	lo, hi := n.settings.pingLow, n.settings.pingHigh
	n.mu.Unlock()
	if ctx.Creds == nil {
		return false
	}
	in := func(g auth.KGID) bool { return uint32(g) >= lo && uint32(g) <= hi }
	if in(ctx.Creds.EGID) {
		return true
	}
	for _, g := range ctx.Creds.Groups {
		if in(g) {
			return true
		}
	}
	return false
}
