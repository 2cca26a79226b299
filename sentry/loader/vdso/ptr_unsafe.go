package vdso

import "unsafe"

// ptr returns the address of a page for its sequence counter.
// SAFETY: page is at least a page long and aligned to one; the caller keeps it alive.
func ptr(page []byte) unsafe.Pointer { return unsafe.Pointer(&page[0]) }
