// Package netlink implements AF_NETLINK sockets (netlink(7)): NETLINK_ROUTE with links,
// addresses, routes, neighbours and rules (rtnetlink(7)), NETLINK_SOCK_DIAG for ss(8)
// (sock_diag(7)), and a NETLINK_KOBJECT_UEVENT on which nothing ever happens.
//
// RTM_NEWLINK makes veth, bridge and dummy links, also in other namespaces, which the Finder
// finds by descriptor or process.
//
// A request is answered when it is sent: the answer waits in the socket's queue, whose
// size is bounded. Key types: Namespace (the sockets of a network namespace, for
// multicast groups), Socket, and builder, which writes messages.
//
// Neighbours: inet and netstack, whose state is shown and changed.
//
// Host calls: none. Locks: Namespace.mu is above Socket.mu, which is a leaf; netstack is
// called without either.
package netlink
