package hostnet

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// What bpf(2) takes here (linux/bpf.h).
const (
	bpfProgLoad     = 5
	bpfLinkCreate   = 28
	progSchedCls    = 3
	attachTCXIngres = 46
)

// progLoad is the part of union bpf_attr that BPF_PROG_LOAD looks at.
type progLoad struct {
	progType, count uint32
	insns, license  uint64
	logLevel        uint32
	logSize         uint32
	logBuf          uint64
	kernVersion     uint32
	flags           uint32
}

// linkCreate is the part that BPF_LINK_CREATE looks at.
type linkCreate struct {
	prog, target, attach, flags uint32
	relative                    uint32
	_                           uint32
	revision                    uint64
}

// dropProgram is "r0 = TC_ACT_SHOT; exit".
var dropProgram = [2]uint64{0xb7 | 2<<32, 0x95}

var license = [4]byte{'G', 'P', 'L'}

// dropIngress drops every frame that an interface of this namespace receives, after packet
// sockets have seen it. The returned descriptor holds that in place.
func dropIngress(index int) (int, error) {
	// SAFETY: the kernel reads dropProgram and license, which are globals, during the call.
	load := progLoad{progType: progSchedCls, count: uint32(len(dropProgram)),
		insns: uint64(uintptr(unsafe.Pointer(&dropProgram[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0])))}
	prog, err := bpf(bpfProgLoad, unsafe.Pointer(&load), unsafe.Sizeof(load))
	if err != nil {
		return -1, err
	}
	defer unix.Close(prog)
	create := linkCreate{prog: uint32(prog), target: uint32(index), attach: attachTCXIngres}
	return bpf(bpfLinkCreate, unsafe.Pointer(&create), unsafe.Sizeof(create))
}

func bpf(cmd uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	// SAFETY: attr points to size bytes that live until the call returns.
	fd, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
