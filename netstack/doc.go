// Package netstack is TCP/IP for a network namespace: links, addresses, routes and
// endpoints around gvisor.dev/gvisor/pkg/tcpip, which nothing else of this project
// imports.
//
// Stack is the network of one namespace. It is built when something first needs it: a
// container without sockets pays nothing, and an idle stack has no timer running.
// Endpoint is one end of communication; its calls never wait: abi.EAGAIN says that they
// would, and a waiter.EventListener hears when to look again. Addresses are netip's,
// errors are abi.Errno.
//
// Linux's rules that are about sockets and not about packets (which option goes where,
// when SIGPIPE is sent) are in sentry/socket/inet.
//
// A tap stands before every link and sees its packets: for --pcap, for packet sockets
// (Observer), and for the error queues of endpoints with IP_RECVERR, which the stack fills
// with too little.
//
// Neighbours: sentry/socket/inet, sentry/socket/netlink and sentry/socket/packet use it.
//
// Host calls: none of its own; goroutines and timers of the TCP/IP stack use what the Go
// runtime uses anyway. Frames of donated packet sockets are read
// and written.
//
// Locks: Stack.mu and Endpoint's are leaves of ours; the stack's own locks come below
// and a listener is called with them held, so that it may only notify. So is an Observer,
// which must not call the Stack.
package netstack
