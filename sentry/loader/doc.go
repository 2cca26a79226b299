// Package loader turns a program file into a fresh address space: ELF executables
// (static, dynamic, position independent) with their interpreter, and #! scripts, as
// execve(2) and elf(5) describe. It builds the initial stack: arguments, environment and
// the auxiliary vector (getauxval(3)).
//
// The file is hostile: every offset, size and address in it is checked before use, and
// what is read of it is bounded.
//
// Load is called by the system call layer; the kernel then swaps the address space.
package loader
