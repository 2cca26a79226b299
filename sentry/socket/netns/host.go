package netns

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/socket/hostinet"
	"lazaret/syscalls/abi"
)

// UseHost makes sockets those of the host (--network host). The devices are looked at only:
// nobody has a capability over them. r tells when sockets are ready.
// Preconditions: nobody is in the namespace yet.
func (n *Namespace) UseHost(r *hostfile.Notifier) {
	n.UserNS = &auth.UserNamespace{}
	host := hostinet.NewNamespace(n.Namespace, r)
	n.families[abi.AF_INET] = hostinet.Family{NS: host}
	n.families[abi.AF_INET6] = hostinet.Family{NS: host, V6: true}
}
