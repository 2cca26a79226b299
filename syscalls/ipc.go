package syscalls

import (
	"encoding/binary"

	"lazaret/sentry/ipc"
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

// ipcNS returns t's ipc namespace: ENOSYS if the sandbox has none.
func ipcNS(t *kernel.Task) (*ipc.Namespace, error) {
	if ns, ok := t.Namespaces().IPC.State.(*ipc.Namespace); ok && ns != nil {
		return ns, nil
	}
	return nil, abi.ENOSYS
}

// ipcPermSize is how much of struct ipc64_perm IPC_SET looks at.
const ipcPermSize = 24

// copyPerm copies in what IPC_SET changes: owner and mode of struct ipc64_perm.
func copyPerm(t *kernel.Task, addr abi.Addr) (ipc.SetPerm, error) {
	var b [ipcPermSize]byte
	if err := t.MM().CopyIn(addr, b[:]); err != nil {
		return ipc.SetPerm{}, err
	}
	uid, okU := t.UserNS().KUID(binary.LittleEndian.Uint32(b[4:]))
	gid, okG := t.UserNS().KGID(binary.LittleEndian.Uint32(b[8:]))
	if !okU || !okG {
		return ipc.SetPerm{}, abi.EINVAL
	}
	return ipc.SetPerm{UID: uid, GID: gid, Mode: binary.LittleEndian.Uint32(b[20:])}, nil
}

// infoOut writes the structure of IPC_INFO and its like and returns the index with it.
func infoOut(t *kernel.Task, addr abi.Addr, b []byte, top int32) (uint64, error) {
	return uint64(max(top, 0)), t.MM().CopyOut(addr, b)
}
