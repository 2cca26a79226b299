// Package hostfile makes open files of host descriptors that runsc donates: the standard
// input, output and error of a container and what --preserve-fds passes.
//
// A donated description may be shared with other processes (a terminal, a log file), so
// its O_NONBLOCK flag is left alone: operations ask the host not to wait (RWF_NOWAIT,
// MSG_DONTWAIT), or look with poll first where it cannot be asked. Offsets are the
// host's: a write goes where a native process's write would go.
//
// Readiness comes from one Notifier for the sandbox: a goroutine in epoll on the host.
// A Watch is armed only when somebody found the descriptor not ready, so that an idle
// sandbox is not woken by every read of its output.
//
// A terminal of a container's own (OCI "terminal": true) is a Console: the host side is
// in raw mode and the line discipline of package tty runs over it.
//
// Neighbours: vfs (FileOps), tty (Console), boot (donates and wires).
//
// Lock order: Console.inMu, Console.outMu, then tty; Notifier.mu, Watch.mu; wait queues are
// notified with neither of the last two held.
package hostfile
