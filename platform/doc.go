// Package platform says how application code runs and traps. A platform (ptrace, trap,
// KVM: one sub-package each) gives the kernel two kinds of object: an AddressSpace, into
// which the kernel maps ranges of host files, and a Context, the machine state of one
// application thread, which runs in an address space until something needs the kernel.
//
// No kernel type crosses this border. Everything that comes back from a Context
// (registers, fault addresses) is chosen by the application and is hostile.
package platform
