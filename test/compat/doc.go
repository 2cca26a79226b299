// Package compat runs the same small static programs natively and in a sandbox, on every
// platform, and compares what they print and how they end. The programs are in guest/: a
// C file or a Go command (guest/go*/) a family of system calls, each printing results,
// error numbers and data in a form that does not depend on pids, addresses or times
// (guest/check.h). A difference is a bug of the kernel in the sandbox; a native failure,
// or two native runs that differ, is a bug of the program.
//
// known-failures.txt names what differs today ("program reason" for every platform,
// "platform/program reason" for one); a program that is listed there and passes fails
// the test. For those who work on it:
//
//	go test ./test/compat -run TestPrograms/all/epoll      one program
//	COMPAT_NATIVE_ONLY=1 go test ./test/compat             no sandbox, two native runs
//	COMPAT_FULL=1                                          the whole output of both
//	RUNSC=/path/to/runsc                                   another binary than bin/runsc
//
// Rules for a program: no more than two seconds natively; when a parent and a child both
// print, an order between them must be enforced (wait, pipe), not hoped for; no sleep to
// let something happen (wait for it: UNTIL, asleep, POKED) and no upper limit on a time, so
// that it says the same with eight busy loops beside it; nothing that
// differs between Linux 6.12 and newer or by kernel configuration; never change what
// belongs to the host (the devices, time, limits of others).
package compat
