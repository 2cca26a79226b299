// Package hostnet takes over the interfaces of a network namespace for a sandbox
// (--network sandbox): as an engine, a CNI plugin or a hook left them, with addresses,
// routes, permanent neighbours and MTU.
//
// Nothing of the namespace is changed. Each interface gets a packet(7) socket, through
// which the Sentry's stack sends and receives, and a BPF link (tcx, Linux 6.6) that drops
// on ingress what the socket has seen: the host's own stack stays silent. Both are
// descriptors that the Sentry holds, so that the interface is the host's again when the
// Sentry ends, however it ends.
//
// An engine's resolver on the namespace's own loopback is reached over a socket that is
// connected to it; what that resolver itself asks from there passes the link.
//
// What an engine connects to on the loopback of a pod's namespace (port-forward) is led to
// the sandbox by a program of sk_lookup: to a listening socket of the namespace that the Sentry
// accepts from, if the port's bit is set in memory that the Sentry writes. A port on which
// nobody listens inside is refused by the host's kernel.
//
// It also has what the other modes need of the host: the sockets of published ports and the
// host's resolvers (--network user), and what interfaces there are (--network host).
//
// Neighbours: container calls Take after the hooks; boot hands the result to netstack.
//
// Host calls: setns, packet and netlink sockets, bpf; in runsc, before anything hostile is
// involved. Locks: none.
package hostnet
