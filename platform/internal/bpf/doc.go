// Package bpf builds the small seccomp filters of stub processes.
package bpf
