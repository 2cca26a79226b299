// Package main is compatgen: it writes COMPATIBILITY.md, which is committed, from the rows
// of package syscalls. A test there compares the two.
package main
