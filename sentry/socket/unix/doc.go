// Package unix implements AF_UNIX sockets (unix(7)): stream, datagram and seqpacket,
// with abstract and path names, credentials and passed files.
//
// Everything received is a queue of messages, as Linux's queue of skbs; what a message
// costs its sender (SO_SNDBUF) is Linux's truesize, so that as much fits as there.
//
// Passed files hold references. Sockets that are only reachable through queues of each
// other are found and emptied by collect.
//
// What a name leads to may be a socket of the host (--host-uds, host.go): then a connected
// descriptor of the host, which the Gofer made, takes the place of the peer. Bytes and packets
// cross, descriptors and credentials do not. Where the host tells nobody that there is room
// again (a full backlog, a datagram to a name), who waits looks again every hostRetry. Linux
// difference: SO_SNDBUF and SO_RCVBUF of the host's stay as they are, and there is no urgent byte.
//
// A socket that is bound there has a door (door.go): a socket of the host with that name, at which
// the Gofer listens and accepts. Who connects inside the sandbox does not go through it. It ends
// with the socket; the file stays, as on Linux.
//
// Host calls: recvmsg, sendmsg, shutdown, ppoll, ioctl (FIONREAD, TIOCOUTQ) and close on such
// descriptors.
//
// Lock order: one Socket.mu at a time, except in join; Namespace.mu, host.mu and the tables of
// names and files in flight are leaves, but that Socket.mu may be taken under host.mu. Wait
// queues are notified and files released without locks.
package unix
