// Package harness is what the system tests share: the binary under test, lists of known
// failures, and what a sandbox looks like from the host.
package harness
