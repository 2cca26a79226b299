package packet

import (
	"sync/atomic"
	"unsafe"
)

// loadStatus reads the word by which a slot changes hands.
func loadStatus(b []byte) uint32 {
	// SAFETY: b has four bytes, which statusWord cut from a page at a multiple of 16, and
	// the ring holds a reference to the page.
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(unsafe.SliceData(b))))
}

// storeStatus writes it, after all that the slot holds.
func storeStatus(b []byte, v uint32) {
	// SAFETY: as in loadStatus.
	atomic.StoreUint32((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), v)
}
