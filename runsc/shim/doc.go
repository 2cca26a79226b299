// Package shim is containerd's runtime shim for runsc: it serves the task API (version 2)
// over ttrpc for the containers of one pod, or for one container, and drives runsc by its
// command line.
//
// containerd executes containerd-shim-runsc-v1 with "start", which prints the address of a
// shim: of the pod's, if one serves already, or of a new one, which is the same binary
// again with the listening socket as descriptor 3. With "delete" it removes what a shim
// that died left behind. What is printed is exactly one address, the only form that
// containerd 1.6 and 2.x both take.
//
// A container's process is what runsc's pid file says: the Sentry, or a process that stands
// for one inside. They are the shim's children (it is a subreaper), so that its exit
// statuses are theirs. Standard files are the FIFOs, files or pipes themselves: the shim
// copies nothing but for terminals, whose other end it holds. It keeps each FIFO open for
// both directions: containerd may restart without the application noticing.
//
// Key types: service (the API), container, process, reaper, publisher. Neighbours:
// runsc/cgroup and runsc/control for statistics; the rest of runsc is another program.
//
// TRUST: the requests are the engine's. State files are runsc's.
//
// Lock order: container.mu, then service.mu, process.mu, reaper.mu, publisher.mu: leaves.
package shim
