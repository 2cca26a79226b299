// Command genabi writes the constants of syscalls/abi from the Linux user-space
// headers of the machine it runs on.
//
// It asks the C preprocessor (gcc -E -dM) which macros a family of headers defines,
// keeps those whose names match the family's patterns, lets the C compiler evaluate
// them, and prints one Go file a family. System call numbers are read from the
// tables of both architectures. The output is committed; TestGenerated in this
// package regenerates it and compares.
//
// Needs gcc, linux-libc-dev and libc6-dev at generate time only.
package main
