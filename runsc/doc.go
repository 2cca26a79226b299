// Command runsc is an Open Container Initiative runtime whose containers run on a kernel
// of their own, in user space.
//
// The binary is three programs: the command line (cmd), and the two processes of a
// sandbox, which it starts by executing itself again: the Sentry (boot) and the Gofer
// (sandbox.GoferMain over gofer/server). main tells them apart by their first argument;
// parts.go is where the rooms meet.
package main
