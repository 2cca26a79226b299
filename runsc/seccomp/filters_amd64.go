package seccomp

import _ "embed" // the compiled filters

//go:embed sentry-ptrace_amd64.bpf
var sentryPtraceBPF []byte

//go:embed sentry-trap_amd64.bpf
var sentryTrapBPF []byte

//go:embed sentry-ptrace-hostnet_amd64.bpf
var sentryPtraceHostNetBPF []byte

//go:embed sentry-trap-hostnet_amd64.bpf
var sentryTrapHostNetBPF []byte

//go:embed gofer_amd64.bpf
var goferBPF []byte

//go:embed gofer-uds_amd64.bpf
var goferUDSBPF []byte

//go:embed netproxy_amd64.bpf
var netProxyBPF []byte

//go:embed names_amd64.txt
var callNamesText string
