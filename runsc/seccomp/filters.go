package seccomp

import "strings"

//go:generate env CGO_ENABLED=1 go run lazaret/tools/seccompgen -dir .

// compiled are the filters of this architecture as arrays of struct sock_filter.
var compiled = map[string][]byte{
	SentryPtrace: sentryPtraceBPF,
	SentryTrap:   sentryTrapBPF,
	GoferFiles:   goferBPF,

	SentryPtraceHostNet: sentryPtraceHostNetBPF,
	SentryTrapHostNet:   sentryTrapHostNetBPF,
	GoferUDS:            goferUDSBPF,
	NetProxy:            netProxyBPF,
}

// MaxCallNumber bounds the numbers of calls that have names.
const MaxCallNumber = 512

// CallNames are the names of this architecture's calls by number; "" has none.
func CallNames() []string { return callTable() }

// callTable names the calls of this architecture by number; "" has no name.
func callTable() []string { return strings.Split(callNamesText, "\n") }
