// Package netproxy is the network of a sandbox without privileges (--network user): a
// process of its own that holds the host's sockets, as the Gofer holds its files.
//
// The Sentry's end of a socket pair looks like an interface to it (netstack.NewWire). At
// the other end this package runs a TCP/IP stack that plays the gateway and takes what is
// sent to any address: a TCP connection is made on the host first and accepted inside when
// that worked; a UDP flow and a ping get a host socket each, with a timeout; published
// ports come with their listening sockets, which runsc opened. How it went on the host is
// told inside as a network would: resets, ICMP errors, silence.
//
// TRUST: all that comes over the wire is the sandbox's. Flows are counted and bounded
// (limits.go), so are the bytes that wait in each. What may be reached is decided in policy.go.
//
// Key types: Config, Proxy. Neighbours: runsc/sandbox starts and confines the process,
// netstack has the wire. Host calls: the list in runsc/seccomp/netproxy.go.
//
// Locks: table.mu is a leaf.
package netproxy
