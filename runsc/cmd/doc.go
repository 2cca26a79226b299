// Package cmd is runsc's command line: one file a command, with runc's names, flags,
// defaults, output and exit codes, so that a program that drives runc can drive runsc.
//
// Errors go where runc's go: a log line on stderr, or in the file of --log with the plain
// text on stderr. Exit codes: 1 for an error, 255 for a failed exec, 3 for an unknown
// command; run and exec pass the application's on (128+n for a signal).
//
// Key types: app (global flags, logger). Neighbours: runsc/container does the work;
// runsc/main.go calls Main. The hidden commands that runsc re-executes itself as are
// dispatched in main.go, before this package builds its command tree. No locks.
package cmd
