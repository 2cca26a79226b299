// Package syscalls is the system call table and its handlers, a file a family.
//
// A Row is the only place where a call is registered: number, name, handler, level of
// support and the kinds of its arguments. Dispatch, --strace, audit, `runsc help
// syscalls` and COMPATIBILITY.md all read that row.
//
// A handler decodes its arguments with the typed accessors of abi.Args, rejects flags it
// does not know, copies in, acts on mm, vfs and kernel objects, copies out and undoes what
// it did when that faults. An error is an abi.Errno; a handler that would sleep for
// readiness goes through block.go.
//
// Lock order: handlers hold no lock of their own.
package syscalls
