// Package hostfile makes open files of host descriptors that runsc donates: the standard
// input, output and error of a container and what --preserve-fds passes. FIFOs that the Gofer
// opened are such files too (--host-uds).
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
// Neighbours: vfs (FileOps), boot (donates and wires; it joins a terminal of the
// container's own to a pseudoterminal, see runsc/boot).
//
// Lock order: Notifier.mu, Watch.mu; wait queues are notified with neither held.
package hostfile
