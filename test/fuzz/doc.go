// Package fuzz runs hostile programs in a sandbox: random system calls, races, resources
// asked for without end, and processors misused. The guests (guest/*.c, static) only try
// to break the kernel; the test looks from outside whether they could: the Sentry must not
// panic, hang, grow without bound or leave anything behind.
//
// Each guest runs with a fixed seed and one from the clock, which is part of the test's
// name; FUZZ_SEED repeats one, FUZZ_SECONDS changes how long each run is, RUNSC names
// another binary.
//
// The parsers of hostile bytes have fuzz targets of their own beside their code, run by
// `make fuzz`.
package fuzz
