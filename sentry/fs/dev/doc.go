// Package dev holds the memory devices (mem(4), random(4)) and fills a /dev.
//
// A /dev is an ordinary tmpfs with device nodes; what opening a node does is found by
// its numbers in the registry of package vfs. Terminals register theirs themselves.
package dev
