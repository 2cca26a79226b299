package sandbox

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// witnessArgs is what cloneWitness (witness_*.s) reads.
type witnessArgs struct {
	fd, size      uintptr
	text, textEnd uintptr // what the child keeps
	end           uintptr // of this process's memory
	root          [8]byte
	name          [16]byte
}

// The offsets that the assembly has.
const (
	_ = uint(unsafe.Offsetof(witnessArgs{}.root) - 40)
	_ = uint(40 - unsafe.Offsetof(witnessArgs{}.root))
	_ = uint(unsafe.Offsetof(witnessArgs{}.name) - 48)
	_ = uint(48 - unsafe.Offsetof(witnessArgs{}.name))
)

// cloneWitness forks: the parent gets the pid or a negative error number; the child, which
// does not return, reads one byte from fd, then writes to size bytes of new memory.
//
//go:noescape
func cloneWitness(a *witnessArgs) (pid int)

// witnessText is where the code of cloneWitness begins.
func witnessText() uintptr

func forkWitness(fd int, size int64, end uintptr) (int, error) {
	page := uintptr(os.Getpagesize())
	text := witnessText() &^ (page - 1)
	a := &witnessArgs{
		fd: uintptr(fd), size: uintptr(size), end: end, root: [8]byte{'/'},
		text: text, textEnd: text + 2*page, // it is shorter than a page, and may cross into the next
	}
	if threadsRegistered {
		a.text, a.textEnd = 0, end
	}
	copy(a.name[:], "lazaret-oom")
	// SAFETY: the child has a copy of this memory, of which it unmaps all but its own code,
	// and runs on registers; the parent gets its signal mask back.
	pid := cloneWitness(a)
	if pid < 0 {
		return 0, unix.Errno(-pid)
	}
	return pid, nil
}
