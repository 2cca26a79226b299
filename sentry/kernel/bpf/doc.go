// Package bpf is classic BPF as seccomp(2) uses it: instructions, the checks that Linux
// makes before it accepts a filter, and an interpreter.
//
// Filters are an application's: Compile accepts only programs that end, read nothing but
// the 64 bytes of seccomp data and touch only their sixteen scratch words.
package bpf
