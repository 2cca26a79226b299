package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// failed words the failure of a child; nil stays nil.
func (c *child) failed(err error) error {
	if err == nil {
		return nil
	}
	name := "sentry"
	if c.what == GoferCommand {
		name = "gofer"
	}
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
	how := state.String()
	if line := c.lastLog(); line != "" {
		how += ": " + line
	}
	return how
}

// lastLog finds the line of a child's log that tells best why it died.
func (c *child) lastLog() string {
	const tail = 16 << 10
	if c.log == nil {
		return ""
	}
	st, err := c.log.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return ""
	}
	buf := make([]byte, tail)
	n, _ := c.log.ReadAt(buf, max(0, st.Size()-tail))
	last := ""
	for line := range bytes.Lines(buf[:n]) {
		text := strings.Map(printable, strings.TrimSpace(string(line)))
		for _, mark := range []string{"panic:", "fatal error:", "seccomp:"} {
			if strings.HasPrefix(text, mark) {
				last = text
			}
		}
	}
	return last
}
