package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// failed words the failure of a child; nil stays nil.
func (c *child) failed(err error) error {
	if err == nil {
		return nil
	}
	name := map[string]string{BootCommand: "sentry", GoferCommand: "gofer", NetProxyCommand: "network proxy"}[c.what]
	if errors.Is(err, errChildGone) {
		if how := c.lastWords(); how != "" {
			return fmt.Errorf("%s process ended: %s", name, how)
		}
	}
	return fmt.Errorf("%s process: %w", name, err)
}

// lastWords says how a child that said nothing ended: its status and what it logged
// last that explains it.
func (c *child) lastWords() string {
	if c.pidFD == nil {
		return ""
	}
	fds := []unix.PollFd{{Fd: int32(c.pidFD.Fd()), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 1000); n != 1 || err != nil {
		return ""
	}
	state, err := c.proc.Wait()
	if err != nil {
		return ""
	}
	how := describe(state)
	if line := lastLog(c.log); line != "" {
		how += ": " + line
	}
	return how
}

// WhyDied is the line in the logs of a container's state directory that tells best why
// its Sentry or Gofer died (a panic, a denied host call); empty if there is none.
func WhyDied(stateDir string) string {
	for _, name := range []string{sentryLogName, goferLogName, netProxyLogName} {
		f, err := os.Open(filepath.Join(stateDir, name))
		if err != nil {
			continue
		}
		line := lastLog(f)
		_ = f.Close()
		if line != "" {
			return line
		}
	}
	return ""
}

// lastLog finds the line of a log that tells best why its writer died.
func lastLog(f *os.File) string {
	const tail = 16 << 10
	if f == nil {
		return ""
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return ""
	}
	buf := make([]byte, tail)
	n, _ := f.ReadAt(buf, max(0, st.Size()-tail))
	last := ""
	for line := range bytes.Lines(buf[:n]) {
		// TRUST: a compromised Sentry writes what it likes here.
		text := strings.Map(printable, strings.TrimSpace(string(line)))
		for _, mark := range []string{"panic:", "fatal error:", "seccomp:"} {
			if strings.HasPrefix(text, mark) {
				last = text[:min(len(text), maxLine)]
			}
		}
	}
	return last
}
