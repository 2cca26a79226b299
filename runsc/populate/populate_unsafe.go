package populate

import "unsafe"

const (
	madvDontNeed      = 4
	madvPopulateRead  = 22
	madvPopulateWrite = 23
	madvCollapse      = 25

	pageSize = 4096 // larger ones are multiples

	// heapBytes is what every process touches of the heap, and commandBytes what a command
	// touches, which does not live long.
	heapBytes    = 512 << 10
	commandBytes = 1792 << 10

	hugePage = 2 << 20
)

// madvise returns 0 or a negated errno.
func madvise(addr, length, advice uintptr) int

// readOnly returns where the text and the read-only data are, variables where the variables
// are that begin with a value or hold pointers, tables where the runtime's tables end, which
// follow the read-only data.
func readOnly() (begin, end uintptr)
func variables() (begin, end uintptr)
func tables() (end uintptr)

var (
	// early is 1 if the program began at start.
	early uint8

	// first is on the heap, near its beginning.
	first *[64]byte
)

func init() {
	if early == 0 {
		begin, end := readOnly()
		advise(begin, end, madvPopulateRead)
	}
	first = new([64]byte)
	// SAFETY: only a number is made of it.
	begin := uintptr(unsafe.Pointer(first))
	advise(begin, begin+heapBytes, madvPopulateWrite)
}

// Command is for a process that runs a command and then ends.
func Command() {
	// SAFETY: as above.
	begin := uintptr(unsafe.Pointer(first))
	// The heap begins anywhere in a huge page, and its next may not be mapped.
	if madvise(begin&^(hugePage-1), hugePage, madvCollapse) != 0 {
		advise(begin+heapBytes, begin+commandBytes, madvPopulateWrite)
	}
}

// GiveBack takes the text and what is read-only from this process. What it needs again it gets
// back from the page cache by faults, and a process that has done what it was started for
// needs little of it.
func GiveBack() {
	begin, _ := readOnly()
	advise(begin, tables()&^(pageSize-1), madvDontNeed)
}

func advise(begin, end, how uintptr) {
	begin &^= pageSize - 1
	_ = madvise(begin, end-begin, how)
}
