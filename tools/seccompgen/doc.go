// Command seccompgen compiles the policies of runsc/seccomp into BPF with libseccomp:
// one file for each filter and architecture, committed beside the policies. Run it after
// a change of a policy: `CGO_ENABLED=1 go run ./tools/seccompgen`. TestGenerated compiles
// again and compares.
//
// Needs cgo and libseccomp-dev, at generate time only.
package main
