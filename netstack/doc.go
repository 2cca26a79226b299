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
// with too little. It also delays acknowledgements (ackHold), which the stack does not.
//
// Links are the host's (packetLink, wire), lo, or made inside: veth, bridge, dummy (NewLink,
// NewVeth). What one end of a pair sends waits in the other's queue and is delivered by a
// goroutine that ends when that is empty. A port's tap hands what comes in to its bridge. Who
// hears of links that come, change and go is the Watcher.
//
// The host hands over segments of up to 64 KiB with unfinished checksums. A stack that forwards,
// and a bridge, get them cut (segment.go); datagrams of UDP_SEGMENT are always cut.
//
// An IPTable is a table of iptables(8), parsed from what the program hands over. It stands
// in the stack's hooks as one rule, the evaluator; connections are tracked, and addresses
// translated, by the stack.
//
// Connections that an engine makes to the loopback of the host's side of the namespace are
// accepted from a donated socket and carried to lo (inward.go).
//
// Neighbours: sentry/socket/inet, sentry/socket/netlink and sentry/socket/packet use it.
//
// Host calls: none of its own; goroutines and timers of the TCP/IP stack use what the Go
// runtime uses anyway. Frames of donated packet sockets are read
// and written; inward: mmap, accept4, getsockname, shutdown.
//
// Locks: Stack.mu and Endpoint's are leaves of ours; the stack's own locks come below
// and a listener is called with them held, so that it may only notify. So is an Observer,
// which must not call the Stack. No Stack's mu is held while another's is taken: the ends of a
// pair find each other through their owners. A bridge's pmu, a pair's qmu and an ackHold's mu are leaves.
package netstack
