// Package main is containerd-shim-runsc-v1, containerd's shim for the runtime
// io.containerd.runsc.v1: a binary of its own, because a shim stays in memory for as long as
// a pod lives. All of it is in runsc/shim.
package main
