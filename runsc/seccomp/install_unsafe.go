package seccomp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrUnknownFilter says that no filter of that name was compiled for this architecture.
var ErrUnknownFilter = errors.New("no such filter")

// sockFilterLen is sizeof(struct sock_filter).
const sockFilterLen = 8

// Install puts every thread of this process under the named filter. no_new_privs must be
// set already. It cannot be undone.
func Install(name string) error {
	prog, err := load(name)
	if err != nil {
		return err
	}
	prog = installable(prog)
	if err := catchDenials(); err != nil {
		return fmt.Errorf("prepare the handler of denied calls: %w", err)
	}
	fprog := &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	// SAFETY: fprog and prog are kept alive over the call; the kernel copies them.
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, installFlags, uintptr(unsafe.Pointer(fprog)))
	runtime.KeepAlive(fprog)
	runtime.KeepAlive(prog)
	if errno != 0 {
		return errno
	}
	return installed(r)
}

// load decodes an embedded filter.
func load(name string) ([]unix.SockFilter, error) {
	data, ok := compiled[name]
	if !ok || len(data) == 0 || len(data)%sockFilterLen != 0 || len(data)/sockFilterLen > unix.BPF_MAXINSNS {
		return nil, fmt.Errorf("%w: %q", ErrUnknownFilter, name)
	}
	prog := make([]unix.SockFilter, len(data)/sockFilterLen)
	for i := range prog {
		d := data[i*sockFilterLen:]
		prog[i] = unix.SockFilter{
			Code: binary.LittleEndian.Uint16(d), Jt: d[2], Jf: d[3],
			K: binary.LittleEndian.Uint32(d[4:]),
		}
	}
	return prog, nil
}
