// Package soak keeps one sandbox busy with stress-ng's classes of work in rotation and
// looks from the host whether anything grows: descriptors, threads and memory of Sentry
// and Gofer, stubs, tasks, goroutines. `make soak SOAK=1h` is the long run; the tests'
// own is one rotation after the warm-up.
package soak
