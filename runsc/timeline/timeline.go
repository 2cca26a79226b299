package timeline

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

var (
	mu      sync.Mutex
	file    *os.File
	process string
	early   = []string{stamp("runtime is up")} // before it is known whether anybody asks
)

// now is CLOCK_MONOTONIC in nanoseconds, the same for all processes of a host.
func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

func stamp(what string) string { return strconv.FormatInt(now(), 10) + "\t%s\t" + what + "\n" }

// Open begins to record this process, called name, in f; a nil f means that nobody asks.
func Open(name string, f *os.File) {
	mu.Lock()
	defer mu.Unlock()
	file, process = f, name
	if f != nil {
		for _, line := range early {
			_, _ = fmt.Fprintf(f, line, name)
		}
	}
	early = nil
}

// File is what children need to write to, nil if nobody asks.
func File() *os.File {
	mu.Lock()
	defer mu.Unlock()
	return file
}

// Mark says that this process has reached what.
func Mark(what string) {
	mu.Lock()
	defer mu.Unlock()
	if file != nil {
		_, _ = fmt.Fprintf(file, stamp(what), process)
	}
}

type event struct {
	at            int64
	process, what string
}

// Finish replaces the records in the file at path by a table, in order of time: since the
// first of them and since the line before, in milliseconds.
func Finish(path string) error {
	mu.Lock()
	f := file
	file = nil
	mu.Unlock()
	if f == nil {
		return nil
	}
	defer f.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--trace-startup: %w", err)
	}
	var events []event
	for line := range strings.Lines(string(text)) {
		part := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(part) != 3 {
			continue
		}
		if at, err := strconv.ParseInt(part[0], 10, 64); err == nil {
			events = append(events, event{at, part[1], part[2]})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	var out strings.Builder
	for i, e := range events {
		before := events[max(i-1, 0)].at
		fmt.Fprintf(&out, "%9.3f %+9.3f  %-7s %s\n", ms(e.at-events[0].at), ms(e.at-before), e.process, e.what)
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
		return fmt.Errorf("--trace-startup: %w", err)
	}
	return nil
}

func ms(ns int64) float64 { return float64(ns) / 1e6 }
