package populate

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"
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
	heap, text       count
	heapErr, textErr error
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
	heap.all = min(heap.all, int((mappedTo(begin)-begin+4095)/4096))
}

func TestPresent(t *testing.T) {
	for _, tc := range []struct {
		what string
		c    count
		err  error
	}{{"text and read-only data", text, textErr}, {"heap", heap, heapErr}} {
		// A host short of memory may have taken some back.
		if tc.err != nil || tc.c.all == 0 || tc.c.present < tc.c.all*95/100 {
			t.Errorf("%s: %d of %d pages are present, %v", tc.what, tc.c.present, tc.c.all, tc.err)
		}
	}
}
