// Package control is the protocol between runsc and a running Sentry: how a container is
// created, started, entered, signalled, watched and destroyed after the sandbox is up.
//
// A connection carries one request and one answer, each a 4-byte big-endian length and
// that many bytes of JSON; a request's files travel as SCM_RIGHTS with its length. The
// listening socket is made by runsc and donated, because the Sentry may not create
// sockets; the Server needs no more host calls than accept4, recvmsg, sendmsg,
// close and fcntl(F_GETFL) (os.NewFile's look at a donated file).
//
// Key types: Client (runsc's side), Server and Handler (the Sentry's side), and one Args
// type a method. Neighbours: runsc/container calls the Client, runsc/boot implements
// Handler.
//
// TRUST: the Sentry is hostile to runsc once an application has run in it. The Client
// bounds what it reads, checks every answer and gives up on a silent peer, except where
// waiting is the point (Wait). The Server trusts runsc but survives its death at any byte.
//
// Lock order: Server.mu is a leaf.
package control
