package populate

import "unsafe"

const (
	madvPopulateRead  = 22
	madvPopulateWrite = 23

	pageSize = 4096 // larger ones are multiples

	// heapBytes is what every command and both children touch of the heap.
	heapBytes = 1 << 20
)

// madvise returns 0 or a negated errno.
func madvise(addr, length, advice uintptr) int

// readOnly returns where the text and the read-only data are.
func readOnly() (begin, end uintptr)

// variables returns where the variables are, but for the large ones without pointers.
func variables() (begin, end uintptr)

// first is on the heap, near its beginning.
var first *[64]byte

func init() {
	begin, end := readOnly()
	populate(begin, end, madvPopulateRead)
	begin, end = variables()
	populate(begin, end, madvPopulateWrite)
	first = new([64]byte)
	// SAFETY: only a number is made of it.
	begin = uintptr(unsafe.Pointer(first))
	populate(begin, begin+heapBytes, madvPopulateWrite)
}

func populate(begin, end, how uintptr) {
	begin &^= pageSize - 1
	_ = madvise(begin, end-begin, how)
}
