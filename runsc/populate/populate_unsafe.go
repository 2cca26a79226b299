package populate

import "unsafe"

const (
	madvPopulateRead  = 22
	madvPopulateWrite = 23

	pageSize = 4096 // larger ones are multiples

	// heapBytes is what every process touches of the heap, and commandBytes what a command
	// touches, which does not live long.
	heapBytes    = 512 << 10
	commandBytes = 1792 << 10
)

// madvise returns 0 or a negated errno.
func madvise(addr, length, advice uintptr) int

// readOnly returns where the text and the read-only data are.
func readOnly() (begin, end uintptr)

// first is on the heap, near its beginning.
var first *[64]byte

func init() {
	begin, end := readOnly()
	populate(begin, end, madvPopulateRead)
	first = new([64]byte)
	// SAFETY: only a number is made of it.
	begin = uintptr(unsafe.Pointer(first))
	populate(begin, begin+heapBytes, madvPopulateWrite)
}

// Command is for a process that runs a command and then ends.
func Command() {
	// SAFETY: as above.
	begin := uintptr(unsafe.Pointer(first))
	populate(begin+heapBytes, begin+commandBytes, madvPopulateWrite)
}

func populate(begin, end, how uintptr) {
	begin &^= pageSize - 1
	_ = madvise(begin, end-begin, how)
}
