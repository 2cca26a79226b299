// Package netns puts the socket families of a network namespace together. Namespace is
// what kernel.NetNamespace keeps as its State.
//
// Neighbours: inet, netlink and unix, whose families it holds; syscalls finds them with
// Families; fs/proc asks it for /proc/net and /proc/sys/net.
//
// A namespace lives as long as a process is in it or a file of nsfs shows it; their number is
// bounded, and who makes one is charged for it.
//
// Host calls and locks: none.
package netns
