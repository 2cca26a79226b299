package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The sync socket: the parent sends a length and JSON; the child answers with one line,
// "ready" or what went wrong; the parent lets go with the byte detachByte.
const (
	readyLine    = "ready"
	detachByte   = 'd'
	maxConfig    = 64 << 20
	maxLine      = 4096
	startTimeout = 60 * time.Second
	hearOut      = 200 * time.Millisecond
)

// errChildGone says that a child closed its sync socket without a word.
var errChildGone = errors.New("ended without saying why")

// sendConfig writes v to a child.
func sendConfig(f *os.File, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	buf := binary.LittleEndian.AppendUint32(nil, uint32(len(data)))
	_, err = f.Write(append(buf, data...))
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		return errChildGone
	}
	return err
}

// awaitReady reads a child's line.
func awaitReady(f *os.File) error {
	var line []byte
	buf := make([]byte, 512)
	for len(line) < maxLine {
		n, err := f.Read(buf)
		line = append(line, buf[:n]...)
		if n > 0 && line[len(line)-1] == '\n' {
			break
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("not ready after %v: %w", startTimeout, err)
		}
		if err != nil {
			break
		}
	}
	text := strings.TrimSpace(string(line))
	switch text {
	case readyLine:
		return nil
	case "":
		return errChildGone
	}
	// TRUST: the Sentry is not confined yet when it writes this, but keep it one line.
	return &childError{strings.Map(printable, text)}
}

// childError is what a child itself said.
type childError struct{ text string }

func (e *childError) Error() string { return e.text }

// printable replaces what could harm a terminal or a log.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
}

// readConfig reads a child's configuration from its sync socket.
func readConfig(v any) (*os.File, error) {
	f := os.NewFile(syncFD, "sync")
	var head [4]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return nil, errParentGone
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxConfig {
		return nil, fmt.Errorf("configuration of %d bytes is too large", n)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, errParentGone
	}
	if err := json.Unmarshal(data, v); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return f, nil
}

// nameProcess sets what ps shows; the re-executed binary would be called "exe".
func nameProcess(name string) { _ = os.WriteFile("/proc/self/comm", []byte(name), 0) }

// oneLine makes an error fit for the sync socket.
func oneLine(err error) []byte {
	text := strings.Map(printable, err.Error())
	if len(text) > maxLine-2 {
		text = text[:maxLine-2]
	}
	return []byte(text + "\n")
}
