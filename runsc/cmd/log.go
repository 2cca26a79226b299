package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// logger writes lines in the formats of logrus, which engines parse.
type logger struct {
	file  *os.File // nil: stderr only
	json  bool
	debug bool
}

func newLogger() *logger { return &logger{} }

// open applies --log, --log-format and --debug.
func (l *logger) open(path, format string, debug bool) error {
	switch format {
	case "text":
	case "json":
		l.json = true
	default:
		return fmt.Errorf("invalid log-format: %s; want text or json", format)
	}
	l.debug = debug
	if path == "" || path == "/dev/stderr" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("--log: %w", err)
	}
	l.file = f
	return nil
}

// error reports the error that ends the command. With a log file the plain text goes to
// stderr as well, for the person.
func (l *logger) error(msg string) {
	l.line("error", msg)
	if l.file != nil {
		fmt.Fprintln(os.Stderr, msg)
	}
}

func (l *logger) warn(msg string) { l.line("warning", strings.TrimRight(msg, "\n")) }

func (l *logger) debugf(format string, args ...any) {
	if l.debug {
		l.line("debug", fmt.Sprintf(format, args...))
	}
}

func (l *logger) line(level, msg string) {
	out := l.file
	if out == nil {
		out = os.Stderr
	}
	_, _ = out.WriteString(formatLine(time.Now(), level, msg, l.json))
}

func formatLine(now time.Time, level, msg string, asJSON bool) string {
	stamp := now.UTC().Format(time.RFC3339)
	if !asJSON {
		return fmt.Sprintf("time=%q level=%s msg=%s\n", stamp, level, strconv.Quote(msg))
	}
	data, err := json.Marshal(struct {
		Level string `json:"level"`
		Msg   string `json:"msg"`
		Time  string `json:"time"`
	}{level, msg, stamp})
	if err != nil {
		return ""
	}
	return string(data) + "\n"
}
