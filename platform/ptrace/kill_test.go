//go:build amd64

package ptrace

const victimEnv = "LAZARET_PTRACE_VICTIM"

func victim() {}
