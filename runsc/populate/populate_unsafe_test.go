package populate

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// count is of the pages of a range that are mapped (proc_pid_pagemap(5)).
type count struct{ present, all int }

func pagesOf(begin, end uintptr) (c count, err error) {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return c, err
	}
	defer f.Close()
	size := uintptr(os.Getpagesize())
	first, last := begin/size, (end-1)/size
	buf := make([]byte, 8*(last-first+1))
	if _, err := f.ReadAt(buf, int64(8*first)); err != nil {
		return c, err
	}
	for i := 0; i < len(buf); i += 8 {
		c.all++
		if binary.LittleEndian.Uint64(buf[i:])>>63 != 0 {
			c.present++
		}
	}
	return c, nil
}

var (
	heap, text, vars          count
	heapErr, textErr, varsErr error
)

// mappedTo returns the end of the mapping that has addr in it: the heap begins at random,
// so its first piece may be short.
func mappedTo(addr uintptr) (end uintptr) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return addr
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x", &from, &to); n == 2 && from <= addr && addr < to {
			return to
		}
	}
	return addr
}

// Before main: the runtime gives back what is not used.
func init() {
	begin := uintptr(unsafe.Pointer(first))
	heap, heapErr = pagesOf(begin, begin+heapBytes)
	text, textErr = pagesOf(readOnly())
	vars, varsErr = pagesOf(variables())
	heap.all = min(heap.all, int((mappedTo(begin)-begin+4095)/4096))
}

func wantPresent(t *testing.T, what string, c count, err error) {
	t.Helper()
	// A host short of memory may have taken some back.
	if err != nil || c.all == 0 || c.present < c.all*95/100 {
		t.Errorf("%s: %d of %d pages are present, %v", what, c.present, c.all, err)
	}
}

func TestPresent(t *testing.T) {
	wantPresent(t, "text and read-only data", text, textErr)
	wantPresent(t, "heap", heap, heapErr)
}

func TestCommand(t *testing.T) {
	Command()
	begin := uintptr(unsafe.Pointer(first)) &^ (hugePage - 1)
	// What is behind the heap's first piece is not mapped.
	end := min(begin+hugePage, mappedTo(uintptr(unsafe.Pointer(first))))
	c, err := pagesOf(max(begin, uintptr(unsafe.Pointer(first))), end)
	wantPresent(t, "heap of a command", c, err)
}

func TestGiveBack(t *testing.T) {
	GiveBack()
	c, err := pagesOf(readOnly())
	// This program is small, and most of it is needed at once to look.
	if err != nil || c.present > c.all*9/10 {
		t.Errorf("%d of %d pages are still present, %v", c.present, c.all, err)
	}
}

// earlyEnv has the test program, linked with start as its entry, look at itself.
const earlyEnv = "LAZARET_TEST_EARLY"

func TestStart(t *testing.T) {
	if os.Getenv(earlyEnv) != "" {
		wantStarted(t)
		return
	}
	exe := filepath.Join(t.TempDir(), "early.test")
	build := exec.Command("go", "test", "-c", "-o", exe, "-ldflags", "-E lazaret/runsc/populate.start", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run := exec.Command(exe, "-test.run=^TestStart$")
	run.Env = append(os.Environ(), earlyEnv+"=1")
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func wantStarted(t *testing.T) {
	if early == 0 {
		t.Fatal("the program did not begin at start")
	}
	wantPresent(t, "text and read-only data", text, textErr)
	wantPresent(t, "variables", vars, varsErr)
	wantPresent(t, "heap", heap, heapErr)
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || slack != 1_000_000 {
		t.Errorf("timers may be %d ns late (%v)", slack, err)
	}
}
