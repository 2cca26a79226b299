package kernel

import (
	"testing"

	"lazaret/syscalls/abi"
)

// nopTable reads an argument and does nothing.
type nopTable struct{ sum uint64 }

func (n *nopTable) Dispatch(_ *Task, _ uint64, a *abi.Args) (uint64, error) {
	n.sum += a[0]
	return 0, nil
}

// TestSyscallAllocs checks that the collector is left nothing by a system call as such.
func TestSyscallAllocs(t *testing.T) {
	task := &Task{k: &Kernel{Syscalls: &nopTable{}}}
	if n := testing.AllocsPerRun(100, task.doSyscall); n != 0 {
		t.Errorf("a system call that does nothing allocates %v objects", n)
	}
}
