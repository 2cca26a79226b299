// Package unix implements AF_UNIX sockets (unix(7)): stream, datagram and seqpacket,
// with abstract and path names, credentials and passed files.
//
// Everything received is a queue of messages, as Linux's queue of skbs; what a message
// costs its sender (SO_SNDBUF) is Linux's truesize, so that as much fits as there.
//
// Passed files hold references. Sockets that are only reachable through queues of each
// other are found and emptied by collect (as Linux's unix_gc).
//
// Lock order: one Socket.mu at a time, except in join; Namespace.mu and the tables of names and files in flight are leaves. Wait queues
// are notified and files released without locks.
package unix
