package hostnet

import (
	"runtime"
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
	name            [16]byte
	ifindex         uint32
	attach          uint32
}

// linkCreate is the part that BPF_LINK_CREATE looks at.
type linkCreate struct {
	prog, target, attach, flags uint32
	relative                    uint32
	_                           uint32
	revision                    uint64
}

// dropProgram is "return TC_ACT_SHOT".
var dropProgram = []uint64{insn(0xb7, 0, 0, 0, 2), insn(0x95, 0, 0, 0, 0)}

// resolverProgram drops all but UDP over IPv4 to sockets that the host has in this namespace,
// and the answers of ARP that sending takes: an engine's resolver asks further ones from
// here. (An IPv4 header without options is at 14.)
var resolverProgram = []uint64{
	insn(0x61, 2, 1, 76, 0),      // 0: r2 = skb->data
	insn(0x61, 3, 1, 80, 0),      // r3 = skb->data_end
	insn(0xbf, 4, 2, 0, 0),       // r4 = r2
	insn(0x07, 4, 0, 0, 42),      // r4 += headers of Ethernet, IPv4 and UDP
	insn(0x2d, 4, 3, 22, 0),      // if r4 > r3: drop
	insn(0x69, 4, 2, 12, 0),      // 5: r4 = type
	insn(0x55, 4, 0, 2, 0x0608),  // if not ARP: 9
	insn(0x69, 4, 2, 20, 0),      // r4 = operation
	insn(0x15, 4, 0, 22, 0x0200), // if answer: pass
	insn(0x55, 4, 0, 17, 0x0008), // 9: if not IPv4: drop
	insn(0x71, 4, 2, 14, 0),      // r4 = version and length
	insn(0x55, 4, 0, 15, 0x45),   // if not without options: drop
	insn(0x71, 4, 2, 23, 0),      // r4 = protocol
	insn(0x55, 4, 0, 13, 17),     // if not UDP: drop
	insn(0x61, 4, 2, 26, 0),      // struct bpf_sock_tuple: source,
	insn(0x63, 10, 4, -16, 0),
	insn(0x61, 4, 2, 30, 0), // destination,
	insn(0x63, 10, 4, -12, 0),
	insn(0x61, 4, 2, 34, 0), // ports
	insn(0x63, 10, 4, -8, 0),
	insn(0xbf, 2, 10, 0, 0),  // 20: r2 = the tuple
	insn(0x07, 2, 0, 0, -16), //
	insn(0xb7, 3, 0, 0, 12),  // r3 = its size
	insn(0xb7, 4, 0, 0, -1),  // r4 = BPF_F_CURRENT_NETNS
	insn(0xb7, 5, 0, 0, 0),   // r5 = flags
	insn(0x85, 0, 0, 0, 85),  // 25: r0 = bpf_sk_lookup_udp
	insn(0x55, 0, 0, 2, 0),   // if there is one: 29
	insn(0xb7, 0, 0, 0, 2),   // 27: drop: return TC_ACT_SHOT
	insn(0x95, 0, 0, 0, 0),   //
	insn(0xbf, 1, 0, 0, 0),   // 29: bpf_sk_release(r0)
	insn(0x85, 0, 0, 0, 86),  //
	insn(0xb7, 0, 0, 0, 0),   // 31: pass: return TC_ACT_OK
	insn(0x95, 0, 0, 0, 0),
}

// insn is a struct bpf_insn.
func insn(code, dst, src uint8, off int16, imm int32) uint64 {
	return uint64(code) | uint64(dst)<<8 | uint64(src)<<12 | uint64(uint16(off))<<16 | uint64(uint32(imm))<<32
}

var license = [4]byte{'G', 'P', 'L'}

// dropIngress drops every frame that an interface of this namespace receives, after packet
// sockets have seen it; with a resolver not those that its engine waits for. The returned
// descriptor holds that in place.
func dropIngress(index int, resolver bool) (int, error) {
	program := dropProgram
	if resolver {
		program = resolverProgram
	}
	prog, err := load(progSchedCls, 0, program)
	if err != nil {
		return -1, err
	}
	defer unix.Close(prog)
	create := linkCreate{prog: uint32(prog), target: uint32(index), attach: attachTCXIngres}
	return bpf(bpfLinkCreate, unsafe.Pointer(&create), unsafe.Sizeof(create))
}

// load loads a program; attach is where its type wants to be told.
func load(progType, attach uint32, program []uint64) (int, error) {
	// SAFETY: the kernel reads the program and the license, a global, during the call.
	attr := progLoad{progType: progType, attach: attach, count: uint32(len(program)),
		insns: uint64(uintptr(unsafe.Pointer(&program[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0])))}
	fd, err := bpf(bpfProgLoad, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(program)
	return fd, err
}

func bpf(cmd uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	// SAFETY: attr points to size bytes that live until the call returns.
	fd, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
