package tty

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// What a flush and a stop leave for the reader, as the host has it. Letters: m and s write
// at the master and the slave, M and S read there; I and O flush input and output of the
// slave, i and o of the master; 0 and 1 stop and start output.
func TestFlushAgainstHost(t *testing.T) {
	for _, steps := range []string{
		"mS", "mOS", "moS", "miS", "mIS", "sM", "sOM", "sIM", "siM", "soM",
		"s0M", "0sM1M", "s0OM", "c0M", "0cM", "cM", "csM", "scM", "cqM", "dM", "mdM",
	} {
		compare(t, func(w *world) {
			for i, c := range []byte(steps) {
				w.flushStep(c, fmt.Sprintf("step %d of %s", i, steps))
				time.Sleep(3 * w.settleBetween)
			}
		})
	}
}

func (w *world) flushStep(c byte, what string) {
	type op struct {
		master bool
		cmd    uint32
		arg    int
	}
	ops := map[byte]op{
		'I': {false, abi.TCFLSH, abi.TCIFLUSH}, 'O': {false, abi.TCFLSH, abi.TCOFLUSH},
		'i': {true, abi.TCFLSH, abi.TCIFLUSH}, 'o': {true, abi.TCFLSH, abi.TCOFLUSH},
		'0': {false, abi.TCXONC, abi.TCOOFF}, '1': {false, abi.TCXONC, abi.TCOON},
	}
	texts := map[byte]string{'m': "typed\n", 's': "shown\n", 'c': "\x03", 'q': "\x1c", 'd': "ab\x03"}
	switch o, isOp := ops[c]; {
	case isOp:
		fd, f := w.hs, w.os
		if o.master {
			fd, f = w.hm, w.om
		}
		_ = unix.IoctlSetInt(fd, uint(o.cmd), o.arg)
		_, _ = f.(vfs.Ioctler).Ioctl(w.ctx, nil, o.cmd, uint64(o.arg), nil)
	case c == 's':
		n, err := unix.Write(w.hs, []byte(texts[c]))
		on, oerr := w.os.Write(w.ctx, nil, uio.One([]byte(texts[c])), nil)
		w.same(what, text(n, err), text(on, oerr))
	case c == 'M' || c == 'S':
		fd, f := w.hs, w.os
		if c == 'M' {
			fd, f = w.hm, w.om
		}
		hb, ob := make([]byte, 64), make([]byte, 64)
		n, err := unix.Read(fd, hb)
		on, oerr := f.Read(w.ctx, nil, uio.One(ob), nil)
		w.same(what, fmt.Sprintf("%s %q", text(n, err), hb), fmt.Sprintf("%s %q", text(on, oerr), ob))
	default:
		_, _ = unix.Write(w.hm, []byte(texts[c]))
		_, _ = w.om.Write(w.ctx, nil, uio.One([]byte(texts[c])), nil)
	}
}
