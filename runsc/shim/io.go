package shim

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stdio names what the engine gave for a process: FIFOs, or URLs file:// and binary://.
type stdio struct {
	stdin, stdout, stderr string
	terminal              bool
}

// streams are the open standard files of a process.
type streams struct {
	files [3]*os.File // given to the process; with a terminal, the engine's side

	// hold keeps the FIFOs alive while nobody else has them open.
	hold []*os.File

	mu    sync.Mutex
	stdin *os.File // holds the writing end of stdin until CloseIO, see openInput
}

// openStreams opens what names say.
func openStreams(reaper *reaper, namespace, id string, names *stdio) (s *streams, err error) {
	s = &streams{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if names.stdin != "" {
		if err = s.openInput(names.stdin); err != nil {
			return s, err
		}
	}
	u, err := url.Parse(names.stdout)
	if err != nil {
		return s, fmt.Errorf("stdout %q: %w", names.stdout, err)
	}
	switch u.Scheme {
	case "", "fifo":
		for i, path := range []string{u.Path, names.stderr} {
			if path == "" || i == 1 && names.terminal {
				continue
			}
			if err := s.openOutput(1+i, path); err != nil {
				return s, err
			}
		}
	case "file":
		if err := os.MkdirAll(filepath.Dir(u.Path), 0o755); err != nil {
			return s, fmt.Errorf("stdout: %w", err)
		}
		f, err := os.OpenFile(u.Path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return s, fmt.Errorf("stdout: %w", err)
		}
		s.files[1], s.files[2] = f, f
	case "binary":
		return s, s.startLogger(reaper, namespace, id, u)
	default:
		return s, fmt.Errorf("stdout %q: scheme %q is not known: want a FIFO's path, file:// or binary://", names.stdout, u.Scheme)
	}
	return s, nil
}

// writerLimit is how long the engine has to open its side of stdin: it does so before it
// asks for the process.
const writerLimit = 5 * time.Second

// openInput opens stdin when the engine writes to it: before, a read would see the end of
// the file, and so it does once the engine closes it. If no engine comes, the shim holds
// the writing end until CloseIO, for whoever attaches.
func (s *streams) openInput(path string) error {
	type result struct {
		fd  int
		err error
	}
	opened := make(chan result, 1)
	go func() {
		for {
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != unix.EINTR {
				opened <- result{fd, err}
				return
			}
		}
	}()
	var r result
	select {
	case r = <-opened:
	case <-time.After(writerLimit):
		var err error
		if s.stdin, err = openFIFO(path, unix.O_RDWR); err != nil {
			return err
		}
		r = <-opened
	}
	if r.err != nil {
		return fmt.Errorf("open %s: %w", path, r.err)
	}
	s.files[0] = os.NewFile(uintptr(r.fd), path)
	return nil
}

func (s *streams) openOutput(n int, path string) error {
	held, err := openFIFO(path, unix.O_RDWR)
	if err != nil {
		return err
	}
	st, err := held.Stat()
	if err == nil && st.Mode()&os.ModeNamedPipe == 0 {
		s.files[n] = held // a plain file, which needs no company
		return nil
	}
	s.hold = append(s.hold, held)
	s.files[n], err = openFIFO(path, unix.O_WRONLY)
	return err
}

// openFIFO opens without waiting for the other side; the file itself blocks.
func openFIFO(path string, flags int) (*os.File, error) {
	fd, err := unix.Open(path, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// loggerLimit is how long a logging program has to say that it is ready.
const loggerLimit = 10 * time.Second

// startLogger runs the program of a binary:// URL: it reads stdout as descriptor 3 and
// stderr as 4, and closes 5 when it is ready (containerd's core/runtime/v2/README.md).
func (s *streams) startLogger(reaper *reaper, namespace, id string, u *url.URL) error {
	var ours, theirs [3]*os.File
	defer func() {
		for _, f := range theirs {
			if f != nil {
				f.Close()
			}
		}
	}()
	for i := range theirs {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		if i == 2 {
			ours[i], theirs[i] = r, w
		} else {
			ours[i], theirs[i] = w, r
		}
	}
	s.files[1], s.files[2] = ours[0], ours[1]
	defer ours[2].Close()
	var args []string
	query := u.Query()
	keys := make([]string, 0, len(query))
	for k := range query {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		for _, v := range query[k] {
			args = append(args, k)
			if v != "" {
				args = append(args, v)
			}
		}
	}
	cmd := exec.Command(u.Path, args...)
	cmd.Env = append(os.Environ(), "CONTAINER_ID="+id, "CONTAINER_NAMESPACE="+namespace)
	cmd.ExtraFiles = theirs[:]
	if _, err := reaper.start(cmd); err != nil {
		return fmt.Errorf("start the logging program %s: %w", u.Path, err)
	}
	theirs[2].Close()
	if err := ours[2].SetReadDeadline(time.Now().Add(loggerLimit)); err != nil {
		return err
	}
	if _, err := ours[2].Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the logging program %s: %w", u.Path, context.DeadlineExceeded)
	}
	return nil
}

// closeStdin lets the process see the end of its input once the engine has closed it too.
func (s *streams) closeStdin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stdin != nil {
		s.stdin.Close()
		s.stdin = nil
	}
}

// given closes the files that the process has its own copies of.
func (s *streams) given() {
	for i, f := range s.files {
		if f != nil {
			f.Close()
			s.files[i] = nil
		}
	}
}

// close closes all: readers of the output see its end.
func (s *streams) close() {
	s.closeStdin()
	s.given()
	for _, f := range s.hold {
		f.Close()
	}
	s.hold = nil
}
