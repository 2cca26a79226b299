// Command depcheck holds the import graph of the project to the edges that
// ARCHITECTURE.md draws, and a few other house rules that are cheap to check by machine:
// every package has a doc.go, unsafe stays in files named *_unsafe.go, and no file grows
// past the size at which it should have been split.
//
// The rules are data (rules.go). The command prints one line for each breach and exits
// with status 1 if there was any.
package main
