// Package socket is what all socket families share: the Socket interface, the table of
// families of a network namespace, the open file over a socket, socket options that are
// only stored, and the blocking forms of the calls.
//
// A family implements Socket, and Binder, Connector, Listener and Optioner where they
// apply. No method sleeps: abi.EAGAIN means "wait on WaitQueue"; Send, Recv, Accept and
// Connect of this package wait, with the socket's timeouts.
//
// Addresses travel as the bytes of struct sockaddr. Ancillary data travels parsed
// (Control): ids and descriptors mean different things to each process, so that the
// system call layer translates them; ParseControl and AppendCmsg are its tools.
//
// Families: unix, inet, netlink, packet, hostinet (inet over sockets of the host). netns
// holds those of a network namespace.
package socket
