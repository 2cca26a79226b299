// Package boot is the Sentry process: it builds a kernel from a spec, confines itself and
// then serves runsc's requests until the sandbox ends.
//
// The order of Main is the order of what becomes impossible: the configuration is read,
// the process confined (sandbox.ConfineSentry), the memory file, the platform's first
// stub and the file systems made, and last the seccomp filter installed
// (sandbox.SealSentry). After that the process opens no file, makes no socket and starts
// no program; containers get their files from donated descriptors.
//
// Key types: Sentry (the sandbox; it implements control.Handler) and container (one
// container's kernel objects and what its spec says).
//
// Neighbours: sandbox (how the process was started), control (the requests), syscalls
// (the table), sentry/... (the kernel).
//
// Lock order: Sentry.mu, then container.mu; kernel locks come below.
package boot
