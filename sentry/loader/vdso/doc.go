// Package vdso is the vDSO that every program gets (vdso(7)): the image built by
// tools/vdsogen from C, and the page of clock parameters that it reads.
//
// The page is shared, read-only, by all address spaces of the sandbox. Only the Sentry
// writes it, under a sequence counter.
package vdso
