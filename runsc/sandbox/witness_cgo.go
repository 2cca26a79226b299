//go:build cgo

package sandbox

// threadsRegistered says that a C library has registered memory of its threads with the
// kernel (rseq(2)), which must stay. The binaries have none.
const threadsRegistered = true
