package boot

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
	"lazaret/runsc/spec"
)

// processFDs are the host descriptors donated for a process of which nothing has been made
// yet. Whoever holds them closes what is left.
type processFDs struct {
	stdio [3]int
	extra []int // from 3 on
}

// noFDs are none.
func noFDs() processFDs { return processFDs{stdio: [3]int{sandbox.NoFD, sandbox.NoFD, sandbox.NoFD}} }

// all are the places of the descriptors, in the order of the process's own numbers.
func (d *processFDs) all() []*int {
	var out []*int
	for i := range d.stdio {
		out = append(out, &d.stdio[i])
	}
	for i := range d.extra {
		out = append(out, &d.extra[i])
	}
	return out
}

// close closes what was not taken. It may be repeated.
func (d *processFDs) close() {
	for _, fd := range d.all() {
		if n := takeFD(fd); n >= 0 {
			_ = unix.Close(n)
		}
	}
}

// takeFD takes a descriptor out of the place where it is kept.
func takeFD(fd *int) int {
	n := *fd
	*fd = sandbox.NoFD
	return n
}

// dupStdio takes over the descriptors of a process: n (0 or 3) for stdio, then from 3 on.
func dupStdio(files []*os.File, n int) (processFDs, error) {
	d := noFDs()
	for i, f := range files {
		fd := sandbox.NoFD
		if f != nil {
			var err error
			if fd, err = dupFile(f); err != nil {
				d.close()
				return d, err
			}
		}
		if i < n {
			d.stdio[i] = fd
		} else {
			d.extra = append(d.extra, fd)
		}
	}
	return d, nil
}

// containerFDs are the donated descriptors of a container.
type containerFDs struct {
	processFDs
	gofer  int
	attach []sandbox.Attach
}

func (d *containerFDs) close() {
	if n := takeFD(&d.gofer); n >= 0 {
		_ = unix.Close(n)
	}
	d.processFDs.close()
}

// dupFile returns a descriptor of f's description that the caller owns.
func dupFile(f *os.File) (int, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("take over a donated file: %w", err)
	}
	return fd, nil
}

// capByName returns the number of a capability.
func capByName(name string) (int, bool) {
	for i, n := range spec.Capabilities {
		if n == name {
			return i, true
		}
	}
	return 0, false
}
