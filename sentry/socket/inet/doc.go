// Package inet implements AF_INET and AF_INET6 sockets (ip(7), ipv6(7), tcp(7), udp(7),
// raw(7), icmp(7)) over netstack: TCP, UDP, ping and raw sockets with Linux's addresses,
// options, errors and readiness.
//
// Key types: Namespace (a network namespace's stack, its inet sockets and its settings)
// and Socket. What a socket's options are is a table (options_table.go): a row says which
// level and name it has, what values it takes and what it does in the stack.
//
// iptables(8) speaks through sockets too: iptables.go takes whole tables, which netstack
// checks and carries out; the namespace pays for them.
//
// A filter (filter.go) works on what the stack queued, when packets are taken or looked for.
//
// Neighbours: netstack below; sentry/socket, whose interfaces Socket implements;
// sentry/socket/netlink, which shows the same sockets; sentry/socket/netns, which puts
// the families of a namespace together.
//
// Memory: what a socket holds is bounded by SO_SNDBUF and SO_RCVBUF, listeners by their
// backlog; each socket is charged to the container that made it (charge.go).
//
// Locks: Socket.filterMu is above Socket.mu, and both above the stack's; wait queues are
// notified by the stack with its locks held, and never under Socket.mu. Namespace.mu is a leaf.
package inet
