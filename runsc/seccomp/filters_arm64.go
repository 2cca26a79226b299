package seccomp

import _ "embed" // the compiled filters

//go:embed sentry-ptrace_arm64.bpf
var sentryPtraceBPF []byte

//go:embed sentry-trap_arm64.bpf
var sentryTrapBPF []byte

//go:embed sentry-ptrace-hostnet_arm64.bpf
var sentryPtraceHostNetBPF []byte

//go:embed sentry-trap-hostnet_arm64.bpf
var sentryTrapHostNetBPF []byte

//go:embed gofer_arm64.bpf
var goferBPF []byte

//go:embed gofer-uds_arm64.bpf
var goferUDSBPF []byte

//go:embed netproxy_arm64.bpf
var netProxyBPF []byte

//go:embed names_arm64.txt
var callNamesText string
