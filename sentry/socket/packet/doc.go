// Package packet is AF_PACKET (packet(7)): raw frames of the links of a network namespace,
// for who has CAP_NET_RAW there.
//
// A Socket observes the links of the namespace's stack (netstack.Observer), which shows it
// every packet with the stack's locks held: it takes a copy that passes its filter into its
// queue, or into a ring that the application maps (PACKET_RX_RING, TPACKET_V2), and
// notifies. What it holds is bounded by SO_RCVBUF and charged.
//
// Linux difference: frames for other machines do not come, promiscuous or not; there are no
// transmit rings, no fanout groups, and no versions of the ring but the second, which is
// what libpcap falls back to.
//
// Neighbours: netstack below, sentry/socket/inet for the namespace, sentry/kernel/bpf for
// filters.
//
// Locks: Socket.mu is a leaf: it is taken below the stack's locks.
package packet
