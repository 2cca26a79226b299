package abi

// Open flags whose values differ between architectures (asm/fcntl.h).
const (
	O_DIRECTORY = 0o40000
	O_NOFOLLOW  = 0o100000
	O_DIRECT    = 0o200000
	O_LARGEFILE = 0o400000
	O_TMPFILE   = 0o20000000 | O_DIRECTORY
)
