package netns

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/socket"
	"lazaret/sentry/socket/inet"
	"lazaret/sentry/socket/netlink"
	"lazaret/sentry/socket/unix"
	"lazaret/syscalls/abi"
)

// Namespace is the state of a network namespace.
type Namespace struct {
	*inet.Namespace
	Unix     *unix.Namespace
	families socket.Families
}

// New returns a namespace with lo, owned by a user namespace.
func New(owner *auth.UserNamespace) *Namespace {
	n := &Namespace{Namespace: inet.NewNamespace(owner), Unix: unix.NewNamespace()}
	n.Unix.Devices = n.Namespace
	n.families = socket.Families{
		abi.AF_UNIX:    unix.Family{NS: n.Unix},
		abi.AF_INET:    inet.Family{NS: n.Namespace},
		abi.AF_INET6:   inet.Family{NS: n.Namespace, V6: true},
		abi.AF_NETLINK: netlink.Family{NS: netlink.NewNamespace(n.Namespace)},
	}
	return n
}

// Families returns the address families.
func (n *Namespace) Families() socket.Families { return n.families }
