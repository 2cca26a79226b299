package hostfile

import (
	"unsafe"

	"lazaret/sentry/vfs"
)

// ownPos reports whether pos is the open file's own position (read(2), write(2)) rather
// than the offset of a pread(2) or pwrite(2).
func ownPos(f *vfs.File, pos *int64) bool {
	// SAFETY: addresses are compared, nothing is accessed.
	return uintptr(unsafe.Pointer(pos))-uintptr(unsafe.Pointer(f)) < unsafe.Sizeof(*f)
}
