package netns

import (
	"fmt"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/socket/inet"
	"lazaret/sentry/socket/netlink"
	"lazaret/sentry/socket/packet"
	"lazaret/sentry/socket/unix"
	"lazaret/syscalls/abi"
)

// Namespace is the state of a network namespace.
type Namespace struct {
	*inet.Namespace
	Unix     *unix.Namespace
	families socket.Families
	payer    *memfile.Account
}

// New returns a namespace with lo, owned by a user namespace. Memory that its sockets share
// with applications is mf's. payer, if any, is charged until Release: ENOMEM.
func New(owner *auth.UserNamespace, mf *memfile.File, payer *memfile.Account) (*Namespace, error) {
	if live.Add(1) > maxLive {
		live.Add(-1)
		return nil, abi.ENOSPC
	}
	if payer != nil && payer.Charge(cost) != nil {
		live.Add(-1)
		return nil, abi.ENOMEM
	}
	n := &Namespace{Namespace: inet.NewNamespace(owner), Unix: unix.NewNamespace(), payer: payer}
	n.Unix.Devices = n.Namespace
	n.families = socket.Families{
		abi.AF_UNIX:    unix.Family{NS: n.Unix},
		abi.AF_INET:    inet.Family{NS: n.Namespace},
		abi.AF_INET6:   inet.Family{NS: n.Namespace, V6: true},
		abi.AF_PACKET:  packet.Family{NS: n.Namespace, MemFile: mf},
		abi.AF_NETLINK: netlink.Family{NS: netlink.NewNamespace(n.Namespace, finder{})},
	}
	return n, nil
}

// maxLive bounds the namespaces of the process, which is one sandbox
// (/proc/sys/user/max_net_namespaces is Linux's bound of one user).
const maxLive = 1024

// cost is what the stack of a namespace takes once it is built: 46 KiB of heap and its
// goroutines, two for each processor.
const cost = 64 << 10

var live atomic.Int64

// Release ends the network: nobody is in the namespace any more.
func (n *Namespace) Release() {
	live.Add(-1)
	n.Namespace.Release()
	if n.payer != nil {
		n.payer.Uncharge(cost)
	}
}

// ProcNet implements proc.NetFiles.
func (n *Namespace) ProcNet(name string, b []byte) ([]byte, bool) {
	if name != "unix" {
		return n.Namespace.ProcNet(name, b)
	}
	b = append(b, "Num       RefCount Protocol Flags    Type St Inode Path\n"...)
	for _, s := range n.Unix.Sockets() {
		refs := 2
		if s.Connected {
			refs++
		}
		b = fmt.Appendf(b, "0000000000000000: %08X 00000000 %08X %04X %02X %5d", refs, s.Flags(), s.Type, s.State(), s.Inode)
		if s.Name != "" {
			b = append(append(b, ' '), s.Name...)
		}
		b = append(b, '\n')
	}
	return b, true
}

// Families returns the address families.
func (n *Namespace) Families() socket.Families { return n.families }
