package seccomp

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The lines that the handler of SIGSYS writes: one entry a call number, its length in
// the first byte. The last entry stands for all higher numbers.
const (
	deniedEntries   = MaxCallNumber
	deniedEntryLen  = 64
	deniedTableLen  = deniedEntries * deniedEntryLen
	handlerCodeLen  = 4096
	handlerArea     = handlerCodeLen + deniedTableLen
	sysMseal        = 462
	saSiginfo       = 0x4
	saOnstack       = 0x08000000
	saRestorer      = 0x04000000
	kernelSigsetLen = 8
)

// kernelSigaction is struct kernel_sigaction.
type kernelSigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// catchDenials installs the handler of SIGSYS. It is machine code outside of Go, since
// it must not depend on anything that a compromised Sentry can change: it reads the call
// number that the kernel stored, writes one constant line and has the process killed.
func catchDenials() error {
	area, err := unix.Mmap(-1, 0, handlerArea, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		return err
	}
	// SAFETY: the area is never unmapped; its address is stable.
	base := uintptr(unsafe.Pointer(&area[0]))
	copy(area, handlerCode(uint64(base+handlerCodeLen)))
	fillDenied(area[handlerCodeLen:])
	if err := unix.Mprotect(area, unix.PROT_READ|unix.PROT_EXEC); err != nil {
		return err
	}
	// Stubs are forks of this process and must be able to unmap everything, so the area
	// does not go with them: a sealed mapping cannot be unmapped.
	if err := unix.Madvise(area, unix.MADV_DONTFORK); err != nil {
		return err
	}
	// Kernels before 6.10 cannot; there only the policy protects the area.
	_, _, _ = unix.Syscall(sysMseal, base, handlerArea, 0)

	act := &kernelSigaction{
		handler: base, restorer: base,
		flags: saSiginfo | saOnstack | saRestorer, mask: ^uint64(0),
	}
	// SAFETY: the kernel copies act.
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGSYS),
		uintptr(unsafe.Pointer(act)), 0, kernelSigsetLen, 0, 0)
	runtime.KeepAlive(act)
	if errno != 0 {
		return errno
	}
	return nil
}

// fillDenied writes the table of lines.
func fillDenied(table []byte) {
	names := callTable()
	for i := range deniedEntries {
		name := "unknown"
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		line := fmt.Sprintf("seccomp: host call %s (%d) denied\n", name, i)
		if i == deniedEntries-1 {
			line = "seccomp: host call of unknown number denied\n"
		}
		entry := table[i*deniedEntryLen : (i+1)*deniedEntryLen]
		n := copy(entry[1:], line)
		entry[0] = byte(n)
	}
}
