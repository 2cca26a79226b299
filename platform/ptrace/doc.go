// Package ptrace is the platform that works everywhere.
package ptrace
