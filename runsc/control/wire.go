package control

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits of the protocol.
const (
	// maxRequest holds the largest config.json that runsc accepts, and its envelope.
	maxRequest = 24 << 20

	// maxResponse bounds what a hostile Sentry can make runsc hold.
	maxResponse = 16 << 20

	// MaxFiles is the most files in one request; Linux allows 253 in a message.
	MaxFiles = 250

	maxErrorText = 1024
	headerLen    = 4
)

// ErrClosed says that the peer closed the connection without an answer.
var ErrClosed = errors.New("connection closed by peer")

type request struct {
	Method string          `json:"method"`
	Args   json.RawMessage `json:"args,omitempty"`
}

type response struct {
	Error  string          `json:"error,omitempty"`
	Errno  int             `json:"errno,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// sendFrame writes body with its length; files travel with the first byte. flags are
// sendmsg's.
func sendFrame(fd int, body []byte, files []*os.File) error {
	if len(files) > MaxFiles {
		return fmt.Errorf("%d files in one request, at most %d travel", len(files), MaxFiles)
	}
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		oob = unix.UnixRights(fds...)
	}
	buf := make([]byte, headerLen+len(body))
	binary.BigEndian.PutUint32(buf, uint32(len(body)))
	copy(buf[headerLen:], body)
	for len(buf) > 0 {
		n, err := unix.SendmsgN(fd, buf, oob, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		oob = nil
		buf = buf[n:]
	}
	return nil
}

// recvFrame reads a frame of at most limit bytes and the files that came with it, which
// are the caller's even when an error is returned.
func recvFrame(fd int, limit uint32, wantFiles bool) (body []byte, files []int, err error) {
	var header [headerLen]byte
	files, err = recvFull(fd, header[:], files, wantFiles)
	if err != nil {
		return nil, files, err
	}
	n := binary.BigEndian.Uint32(header[:])
	if n > limit {
		return nil, files, fmt.Errorf("message of %d bytes, limit is %d", n, limit)
	}
	// Grow as bytes arrive: a length alone must not make us allocate.
	const chunk = 64 << 10
	for uint32(len(body)) < n {
		step := min(n-uint32(len(body)), max(chunk, uint32(len(body))))
		old := len(body)
		body = append(body, make([]byte, step)...)
		if files, err = recvFull(fd, body[old:], files, wantFiles); err != nil {
			return nil, files, err
		}
	}
	return body, files, nil
}

// recvFull fills buf. Files beyond MaxFiles, or unwanted ones, are an error.
func recvFull(fd int, buf []byte, files []int, wantFiles bool) ([]int, error) {
	var oob []byte
	if wantFiles {
		oob = make([]byte, unix.CmsgSpace(4*(MaxFiles+3)))
	}
	for got := 0; got < len(buf); {
		n, oobn, flags, _, err := unix.Recvmsg(fd, buf[got:], oob, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return files, err
		}
		if oobn > 0 {
			var perr error
			if files, perr = appendRights(files, oob[:oobn]); perr != nil {
				return files, perr
			}
		}
		if len(files) > MaxFiles || wantFiles && flags&unix.MSG_CTRUNC != 0 {
			return files, errors.New("too many files in a message")
		}
		if n == 0 {
			return files, ErrClosed
		}
		got += n
	}
	return files, nil
}

func appendRights(files []int, oob []byte) ([]int, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return files, fmt.Errorf("malformed control message: %w", err)
	}
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue
		}
		files = append(files, fds...)
	}
	return files, nil
}

func closeFDs(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// oneLine makes text of the other side fit for a terminal and a log: one line, printable,
// of bounded length.
func oneLine(s string) string {
	if len(s) > maxErrorText {
		s = s[:maxErrorText] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0xfffd {
			return ' '
		}
		return r
	}, s)
}

// printable drops control characters but newline and tab, so that text of the other side
// cannot drive a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
