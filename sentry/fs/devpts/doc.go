// Package devpts is the file system of pseudoterminals (pts(4)). Every mount is an instance
// of its own, with its own numbers and its own ptmx.
//
// Opening ptmx makes a pseudoterminal and its name; closing that file takes the name away.
// A /dev/ptmx outside of a devpts (character device 5:2) finds the instance mounted at
// "pts" beside it.
//
// Lock order: Instance.mu, tty.TTY.mu.
package devpts
