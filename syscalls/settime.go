package syscalls

import (
	"encoding/binary"

	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

// The clock is the host's: arguments are checked as Linux does, then nobody may set it.
const hostClock = "the clock is the host's: checks, then EPERM; "

var settimeRows = []Row{
	partial(abi.SYS_CLOCK_SETTIME, "clock_settime", ClockSettime, hostClock+"always", Int, Buf),
	partial(abi.SYS_SETTIMEOFDAY, "settimeofday", Settimeofday, hostClock+"always", Buf, Buf),
	partial(abi.SYS_ADJTIMEX, "adjtimex", Adjtimex, hostClock+"reading says that it is not known to be synchronized", Buf),
	partial(abi.SYS_CLOCK_ADJTIME, "clock_adjtime", ClockAdjtime, hostClock+"reading says that it is not known to be synchronized", Int, Buf),
}

// ClockSettime is clock_settime(2).
func ClockSettime(t *kernel.Task, a *abi.Args) (uint64, error) {
	id := a.Int(0)
	if id >= 0 && id != abi.CLOCK_REALTIME {
		return 0, abi.EINVAL
	}
	ts, err := copyIn[abi.Timespec](t, a.Addr(1))
	if err != nil {
		return 0, err
	}
	if id < 0 { // processor time of somebody
		if _, err := t.ClockNS(id); err != nil {
			return 0, err
		}
		return 0, abi.EPERM
	}
	if !ts.Valid() {
		return 0, abi.EINVAL
	}
	return 0, abi.EPERM
}

// Settimeofday is settimeofday(2).
func Settimeofday(t *kernel.Task, a *abi.Args) (uint64, error) {
	if addr := a.Addr(0); addr != 0 {
		tv, err := copyIn[abi.Timeval](t, addr)
		if err != nil {
			return 0, err
		}
		if !tv.Valid() {
			return 0, abi.EINVAL
		}
	}
	if addr := a.Addr(1); addr != 0 {
		if _, err := copyIn[[8]byte](t, addr); err != nil {
			return 0, err
		}
	}
	return 0, abi.EPERM
}

// struct timex: its size and the places of what is read and reported.
const (
	timexSize      = 208
	timexMaxError  = 24
	timexEstError  = 32
	timexStatus    = 40
	timexConstant  = 48
	timexPrecision = 56
	timexTolerance = 64
	timexTime      = 72
	timexTick      = 88
)

// Adjtimex is adjtimex(2).
func Adjtimex(t *kernel.Task, a *abi.Args) (uint64, error) {
	return adjtime(t, abi.CLOCK_REALTIME, a.Addr(0))
}

// ClockAdjtime is clock_adjtime(2).
func ClockAdjtime(t *kernel.Task, a *abi.Args) (uint64, error) {
	return adjtime(t, a.Int(0), a.Addr(1))
}

func adjtime(t *kernel.Task, id int32, addr abi.Addr) (uint64, error) {
	var b [timexSize]byte
	if err := t.MM().CopyIn(addr, b[:]); err != nil {
		return 0, err
	}
	if id != abi.CLOCK_REALTIME {
		if _, err := t.ClockNS(id); err != nil {
			return 0, abi.EINVAL
		}
		return 0, abi.EOPNOTSUPP
	}
	switch modes := binary.LittleEndian.Uint32(b[:]); {
	case modes == 0, modes == abi.ADJ_OFFSET_SS_READ:
	case modes&adjAdjtime != 0 && modes&abi.ADJ_OFFSET == 0:
		return 0, abi.EINVAL
	default:
		return 0, abi.EPERM
	}
	fillTimex(b[:], t.Kernel().Clock.RealtimeNS())
	if err := t.MM().CopyOut(addr, b[:]); err != nil {
		return 0, err
	}
	return abi.TIME_ERROR, nil
}

// adjAdjtime is the kernel's ADJ_ADJTIME: the one-shot adjustments of adjtime(3).
const adjAdjtime = 0x8000

// fillTimex writes the state of a clock that nobody disciplines, as Linux has it after
// boot.
func fillTimex(b []byte, now int64) {
	le := binary.LittleEndian
	clear(b[8:])
	le.PutUint64(b[timexMaxError:], 16_000_000)
	le.PutUint64(b[timexEstError:], 16_000_000)
	le.PutUint32(b[timexStatus:], abi.STA_UNSYNC)
	le.PutUint64(b[timexConstant:], 2)
	le.PutUint64(b[timexPrecision:], 1)
	le.PutUint64(b[timexTolerance:], 32_768_000)
	tv := abi.NsecToTimeval(now)
	le.PutUint64(b[timexTime:], uint64(tv.Sec))
	le.PutUint64(b[timexTime+8:], uint64(tv.Usec))
	le.PutUint64(b[timexTick:], 10_000)
}
