package hostnet

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/netstack"
)

// More of what bpf(2) takes here.
const (
	bpfMapCreate  = 0
	bpfMapUpdate  = 2
	mapArray      = 2
	mapSockets    = 15
	mapMmapable   = 1 << 10
	progSkLookup  = 30
	attachLookup  = 36
	pseudoMap     = 1 // what is loaded is the map whose descriptor imm is,
	pseudoMapData = 2 // or the address of its first value
)

// mapCreate is the part of union bpf_attr that BPF_MAP_CREATE looks at.
type mapCreate struct{ mapType, key, value, entries, flags uint32 }

// mapUpdate is the part that BPF_MAP_UPDATE_ELEM looks at.
type mapUpdate struct {
	fd         uint32
	_          uint32
	key, value uint64
	flags      uint64
}

// lookupProgram leads a connection to 127.0.0.1 or ::1 to the socket in a map, if its port's
// bit is set in ports (netstack.InwardPorts). All else goes where it goes anyway.
func lookupProgram(ports, sockets int) []uint64 {
	return []uint64{
		insn(0xbf, 6, 1, 0, 0),           // 0: r6 = the context
		insn(0x61, 2, 6, 12, 0),          // r2 = protocol
		insn(0x55, 2, 0, 40, 6),          // if not TCP: pass
		insn(0x61, 7, 6, 60, 0),          // r7 = local port
		insn(0x57, 7, 0, 0, 0xffff),      //
		insn(0x61, 2, 6, 8, 0),           // 5: r2 = family
		insn(0x15, 2, 0, 3, 10),          // if IPv6: 10
		insn(0x61, 2, 6, 40, 0),          // r2 = local address
		insn(0x55, 2, 0, 34, 0x0100007f), // if not 127.0.0.1: pass
		insn(0x05, 0, 0, 9, 0),           // to 19
		insn(0x61, 2, 6, 44, 0),          // 10: if not ::1: pass
		insn(0x55, 2, 0, 31, 0),          //
		insn(0x61, 2, 6, 48, 0),          //
		insn(0x55, 2, 0, 29, 0),          //
		insn(0x61, 2, 6, 52, 0),          //
		insn(0x55, 2, 0, 27, 0),          // 15
		insn(0x61, 2, 6, 56, 0),          //
		insn(0x55, 2, 0, 25, 0x01000000), //
		insn(0x47, 7, 0, 0, 0x10000),     // the bits of IPv6 come second
		insn(0xbf, 3, 7, 0, 0),           // 19: r3 = the number of the bit's byte
		insn(0x77, 3, 0, 0, 3),           // 20
		insn(0x18, 2, pseudoMapData, 0, int32(ports)), insn(0, 0, 0, 0, 0),
		insn(0x0f, 2, 3, 0, 0),   // 23
		insn(0x71, 2, 2, 0, 0),   // r2 = the byte
		insn(0x57, 7, 0, 0, 7),   // 25
		insn(0x7f, 2, 7, 0, 0),   //
		insn(0x57, 2, 0, 0, 1),   // r2 = the bit
		insn(0x15, 2, 0, 14, 0),  // if not set: pass
		insn(0x62, 10, 0, -4, 0), // key 0
		insn(0x18, 1, pseudoMap, 0, int32(sockets)), insn(0, 0, 0, 0, 0),
		insn(0xbf, 2, 10, 0, 0),  // 32
		insn(0x07, 2, 0, 0, -4),  //
		insn(0x85, 0, 0, 0, 1),   // r0 = bpf_map_lookup_elem
		insn(0x15, 0, 0, 7, 0),   // 35: if none: pass
		insn(0xbf, 7, 0, 0, 0),   //
		insn(0xbf, 1, 6, 0, 0),   //
		insn(0xbf, 2, 0, 0, 0),   //
		insn(0xb7, 3, 0, 0, 0),   //
		insn(0x85, 0, 0, 0, 124), // 40: bpf_sk_assign
		insn(0xbf, 1, 7, 0, 0),   //
		insn(0x85, 0, 0, 0, 86),  // bpf_sk_release
		insn(0xb7, 0, 0, 0, 1),   // 43: pass: return SK_PASS
		insn(0x95, 0, 0, 0, 0),
	}
}

// steer leads connections to the loopback of the network namespace netns to a listening
// socket, if the port's bit is set. The first descriptor is the bits, to be mapped; the second
// holds the rest in place.
func steer(netns, listener int) (ports, link int, err error) {
	ports, err = newMap(&mapCreate{mapType: mapArray, key: 4, value: netstack.InwardPorts, entries: 1, flags: mapMmapable})
	if err != nil {
		return -1, -1, err
	}
	if link, err = attachTo(netns, ports, listener); err != nil {
		unix.Close(ports)
		return -1, -1, err
	}
	return ports, link, nil
}

func newMap(m *mapCreate) (int, error) {
	return bpf(bpfMapCreate, unsafe.Pointer(m), unsafe.Sizeof(*m))
}

func attachTo(netns, ports, listener int) (int, error) {
	sockets, err := newMap(&mapCreate{mapType: mapSockets, key: 4, value: 8, entries: 1})
	if err != nil {
		return -1, err
	}
	defer unix.Close(sockets) // the program holds it
	key, value := uint32(0), uint64(listener)
	// SAFETY: the kernel reads key and value, which live until the call returns.
	update := mapUpdate{fd: uint32(sockets), key: uint64(uintptr(unsafe.Pointer(&key))), value: uint64(uintptr(unsafe.Pointer(&value)))}
	_, err = bpf(bpfMapUpdate, unsafe.Pointer(&update), unsafe.Sizeof(update))
	runtime.KeepAlive(&key)
	runtime.KeepAlive(&value)
	if err != nil {
		return -1, err
	}
	prog, err := load(progSkLookup, attachLookup, lookupProgram(ports, sockets))
	if err != nil {
		return -1, err
	}
	defer unix.Close(prog)
	create := linkCreate{prog: uint32(prog), target: uint32(netns), attach: attachLookup}
	// Not the relatives that only tcx knows.
	return bpf(bpfLinkCreate, unsafe.Pointer(&create), unsafe.Offsetof(create.relative))
}
