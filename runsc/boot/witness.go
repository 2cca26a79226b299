package boot

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
)

// witness tells the host's kernel of the first OOM kill of a container (sandbox.Witness).
type witness struct {
	mu sync.Mutex
	fd int
}

func newWitness(fd int) *witness { return &witness{fd: fd} }

// witnessLimit bounds how long a process that is to be killed waits for the host.
const witnessLimit = 15 * time.Second

// OOMKill implements kernel.OOMWitness. It returns when the host knows: what is to be killed
// keeps its memory until then, and so the host's group nearly full.
func (w *witness) OOMKill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	fd := takeFD(&w.fd)
	if fd == sandbox.NoFD {
		return
	}
	defer unix.Close(fd)
	deadline := time.Now().Add(witnessLimit)
	_, err := unix.Write(fd, []byte{1})
	for err == nil && time.Now().Before(deadline) {
		var n int
		if n, err = unix.Read(fd, make([]byte, 1)); n == 0 && err == nil {
			return
		}
		if err == unix.EINTR {
			err = nil
		}
	}
}
