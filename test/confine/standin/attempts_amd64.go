package main

import "golang.org/x/sys/unix"

// archAttempts are attempts with calls that this architecture alone has.
func archAttempts() map[string]sysCall {
	const x32 = 0x40000000
	return map[string]sysCall{
		"open":       {nr: unix.SYS_OPEN, args: [6]uintptr{addr(passwdPath)}},
		"fork":       {nr: unix.SYS_FORK},
		"modify_ldt": {nr: unix.SYS_MODIFY_LDT, args: [6]uintptr{0, addr(area[:]), 16}},
		"iopl":       {nr: unix.SYS_IOPL, args: [6]uintptr{3}},
		"arch_prctl": {nr: unix.SYS_ARCH_PRCTL, args: [6]uintptr{0x1002, 0}},
		"x32-getpid": {nr: x32 | unix.SYS_GETPID},
		"x32-openat": {nr: x32 | unix.SYS_OPENAT},
	}
}
