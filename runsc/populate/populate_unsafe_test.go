package populate

import (
	"encoding/binary"
	"os"
	"testing"
	"unsafe"
)

// present counts the pages that are mapped (proc_pid_pagemap(5)).
func present(t *testing.T, begin, end uintptr) (n, all int) {
	t.Helper()
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := uintptr(os.Getpagesize())
	first, last := begin/size, (end-1)/size
	buf := make([]byte, 8*(last-first+1))
	if _, err := f.ReadAt(buf, int64(8*first)); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(buf); i += 8 {
		all++
		if binary.LittleEndian.Uint64(buf[i:])>>63 != 0 {
			n++
		}
	}
	return n, all
}

func TestPresent(t *testing.T) {
	// Near enough to the beginning that other tests have not touched it yet.
	heap := uintptr(unsafe.Pointer(first))
	begin, end := readOnly()
	if begin == 0 || end <= begin {
		t.Fatalf("text and read-only data: %#x to %#x", begin, end)
	}
	for _, tc := range []struct {
		what       string
		begin, end uintptr
	}{{"text and read-only data", begin, end}, {"heap", heap, heap + heapBytes}} {
		// A host short of memory may have taken some back.
		if n, all := present(t, tc.begin, tc.end); n < all*95/100 {
			t.Errorf("%s: %d of %d pages are present", tc.what, n, all)
		}
	}
}
