// Package hostinet is AF_INET and AF_INET6 over sockets of the host (--network host): for
// who trusts the application with the host's network. Each socket here is one there.
//
// What crosses to the host is a list: families, types and protocols (family.go), options
// with the size of their values (options.go), flags and ancillary data (transfer.go). The
// rest is refused here, and by the Sentry's seccomp filter, which has these calls in this
// mode only. Errors are the host's.
//
// A socket of the host is never waited for: calls do not block, and the notifier of
// sentry/fs/hostfile wakes who waits. Descriptors are bounded (maxSockets).
//
// Neighbours: netns makes the families, boot gives the notifier. Host calls: those of
// runsc/seccomp/hostnet.go. Locks: none of its own; Watch's are leaves.
package hostinet
