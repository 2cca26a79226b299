// Package compat runs the same small static programs natively and in a sandbox, on every
// platform, and compares what they print and how they end. The programs are in guest/:
// one C file a family of system calls, each printing results, error numbers and data in
// a form that does not depend on pids, addresses or times. A difference is a bug of the
// kernel in the sandbox; a native failure is a bug of the program.
//
// known-failures.txt names what differs today (program, reason); a program that is
// listed there and passes fails the test.
package compat
