//go:build !cgo

package sandbox

const threadsRegistered = false
