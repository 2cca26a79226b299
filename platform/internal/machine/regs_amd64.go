package machine

import "lazaret/platform"

// The only selectors that a stub needs, and the flags that are always set: bit 1 and the
// interrupt flag.
const (
	UserCS      = 0x33
	UserSS      = 0x2b
	EflagsFixed = 0x202
)

const (
	// The flags that a program may set with popf; the others stay as Linux sets them.
	eflagsUser = 1<<0 | 1<<2 | 1<<4 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11 | 1<<14 | 1<<16 | 1<<18 | 1<<21
	// addrLimit is the first address that the host refuses as a segment base.
	addrLimit = 1<<47 - 4096
)

// The pages of vsyscalls: three entries, and the step between them.
const (
	VsyscallBase = 0xffffffffff600000
	VsyscallStep = 0x400
)

// Sanitize makes any register values ones that the host accepts.
//
// TRUST: the values come from the application, by system calls or signal frames.
func Sanitize(r *platform.Regs) {
	r.Cs, r.Ss = UserCS, UserSS
	for _, s := range []*uint64{&r.Ds, &r.Es, &r.Fs, &r.Gs} {
		if *s != UserSS {
			*s = 0
		}
	}
	r.Eflags = r.Eflags&eflagsUser | EflagsFixed
	if r.FsBase >= addrLimit {
		r.FsBase = 0
	}
	if r.GsBase >= addrLimit {
		r.GsBase = 0
	}
	// Or the host would take the values for an interrupted system call of its own.
	r.OrigRax = ^uint64(0)
}
