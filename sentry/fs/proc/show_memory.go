package proc

import (
	"bytes"

	"lazaret/sentry/fs/pseudo"
	"lazaret/syscalls/abi"
)

// showRange shows memory from r, a piece at a time; the Cursor is an offset. Memory that
// cannot be read ends it.
func (c *call) showRange(b *pseudo.Buf, r abi.AddrRange) {
	n := uint64(0)
	if r.End > r.Start {
		n = r.Len()
	}
	for off := b.Cursor; off < n; {
		if b.Full() {
			b.Stop(off)
			return
		}
		a := r.Start + abi.Addr(off)
		size := min(n-off, abi.PageSize-a.PageOffset())
		at := len(b.B)
		b.B = append(b.B, make([]byte, size)...)
		if c.mm.CopyIn(a, b.B[at:]) != nil {
			b.B = b.B[:at]
			return
		}
		off += size
	}
}

// showEnviron is /proc/PID/environ.
func showEnviron(c *call, b *pseudo.Buf) error {
	if c.mm != nil {
		c.showRange(b, c.mm.Ranges().Env)
	}
	return nil
}

// showCmdline is /proc/PID/cmdline. A program that wrote over its arguments without a
// final NUL has a title that goes on into the environment (proc(5), setproctitle).
func showCmdline(c *call, b *pseudo.Buf) error {
	if c.mm == nil {
		return nil
	}
	r := c.mm.Ranges()
	c.showRange(b, r.Args)
	if b.Stopped() || len(b.B) == 0 || b.B[len(b.B)-1] == 0 || r.Env.Start != r.Args.End {
		return nil
	}
	// As Linux, show one string from the start on: it ends at the first NUL.
	if i := bytes.IndexByte(b.B, 0); i >= 0 {
		b.B = b.B[:i]
		return nil
	}
	env := r.Env
	env.End = min(env.End, env.Start+abi.PageSize)
	rest := pseudo.Buf{}
	c.showRange(&rest, env)
	if i := bytes.IndexByte(rest.B, 0); i >= 0 {
		rest.B = rest.B[:i]
	}
	b.B = append(b.B, rest.B...)
	return nil
}

// showAuxv is /proc/PID/auxv.
func showAuxv(c *call, b *pseudo.Buf) error {
	if c.mm != nil {
		b.B = append(b.B, c.mm.Ranges().Auxv...)
	}
	return nil
}
