package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// ConfigName is the configuration's name in a bundle.
const ConfigName = "config.json"

// MaxConfigSize bounds config.json. Real ones have some kilobytes; the largest known
// (seccomp profile, hundreds of mounts) stay under 1 MiB.
const MaxConfigSize = 16 << 20

// FieldError says what is wrong with one field.
type FieldError struct {
	Field string // as in linux.resources.memory.limit
	Why   string
	Do    string // what to do about it; may be empty
}

func (e *FieldError) Error() string {
	s := e.Field + ": " + e.Why
	if e.Do != "" {
		s += "; " + e.Do
	}
	return s
}

// Load reads and checks the config.json of a bundle.
func Load(bundle string) (*specs.Spec, []string, error) {
	path := filepath.Join(bundle, ConfigName)
	data, err := readBounded(path)
	if err != nil {
		return nil, nil, err
	}
	spec, err := Decode(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	warnings, err := Validate(spec, bundle)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return spec, warnings, nil
}

// notFound is the error of a bundle without a configuration; it is fs.ErrNotExist.
type notFound string

func (n notFound) Error() string {
	return fmt.Sprintf("JSON specification file %s not found; give a bundle directory with --bundle, or make one with runsc spec", string(n))
}

func (notFound) Unwrap() error { return fs.ErrNotExist }

// readBounded reads a regular file of at most MaxConfigSize bytes.
func readBounded(path string) ([]byte, error) {
	// O_NONBLOCK: a FIFO in place of the file must not hang us.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open configuration: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open configuration: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxConfigSize+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if len(data) > MaxConfigSize {
		return nil, fmt.Errorf("%s is larger than %d MiB; no real configuration is", path, MaxConfigSize>>20)
	}
	return data, nil
}

// Decode parses the text of a config.json, without judging it.
func Decode(data []byte) (*specs.Spec, error) {
	spec := new(specs.Spec)
	if err := decodeStrict(data, spec); err != nil {
		return nil, err
	}
	return spec, nil
}

// DecodeProcess parses a process.json, as exec --process takes it.
func DecodeProcess(data []byte) (*specs.Process, error) {
	p := new(specs.Process)
	if err := decodeStrict(data, p); err != nil {
		return nil, err
	}
	return p, nil
}

// LoadProcess reads and checks a process.json.
func LoadProcess(path string) (*specs.Process, error) {
	data, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file; --process names a process.json, as config.json's \"process\"", path)
	}
	if err != nil {
		return nil, err
	}
	p, err := DecodeProcess(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := ValidateProcess(p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// decodeStrict reads one JSON value and nothing behind it. Unknown fields are ignored,
// as the specification asks.
func decodeStrict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(v); err != nil {
		return jsonError(data, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		line, col := position(data, dec.InputOffset())
		return fmt.Errorf("malformed JSON at line %d, column %d: something follows the end of the object", line, col)
	}
	return nil
}

func jsonError(data []byte, err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF) && len(bytes.TrimSpace(data)) == 0:
		return errors.New("malformed JSON: the file is empty")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("malformed JSON: the file ends in the middle of a value; is it complete?")
	case errors.As(err, &syntax):
		line, col := position(data, syntax.Offset)
		return fmt.Errorf("malformed JSON at line %d, column %d: %s", line, col, syntax.Error())
	case errors.As(err, &typ):
		field := typ.Field
		if field == "" {
			field = "(top level)"
		}
		return &FieldError{Field: field, Why: fmt.Sprintf("is a JSON %s, want %s", typ.Value, typ.Type)}
	}
	return err
}

func position(data []byte, off int64) (line, col int) {
	head := data[:min(max(off, 0), int64(len(data)))]
	line = 1 + bytes.Count(head, []byte{'\n'})
	return line, len(head) - (bytes.LastIndexByte(head, '\n') + 1)
}
