package abi

import (
	"encoding/binary"
	"math/bits"
)

// Signal numbers that the headers compute.
const (
	NSIG     = 64
	SIGRTMIN = 32
)

// Signal constants that the generated file does not have.
const (
	SA_RESTORER     = 0x04000000
	SA_NOCLDMASK    = SA_NOCLDSTOP | SA_NOCLDWAIT
	SA_UNSUPPORTED  = 0x400
	SS_AUTODISARM   = 1 << 31
	SIG_DFL         = 0
	SIG_IGN         = 1
	TRAP_BRKPT      = 1
	TRAP_TRACE      = 2
	TRAP_BRANCH     = 3
	TRAP_HWBKPT     = 4
	TRAP_UNK        = 5
	SYS_SECCOMP_SIG = 1 // si_code SYS_SECCOMP of SIGSYS
	SIGEV_SIGNAL    = 0
	SIGEV_NONE      = 1
	SIGEV_THREAD    = 2
	SIGEV_THREAD_ID = 4
)

// SigSet is sigset_t as the kernel has it: bit n-1 for signal n.
type SigSet uint64

// SigBit returns the set that holds only sig; it is empty for a number out of range.
func SigBit(sig int) SigSet {
	if sig < 1 || sig > NSIG {
		return 0
	}
	return 1 << (sig - 1)
}

// Has reports whether sig is in s.
func (s SigSet) Has(sig int) bool { return s&SigBit(sig) != 0 }

// First returns the lowest signal of s, 0 if s is empty.
func (s SigSet) First() int {
	if s == 0 {
		return 0
	}
	return bits.TrailingZeros64(uint64(s)) + 1
}

// SiginfoSize is sizeof(siginfo_t).
const SiginfoSize = 128

// Siginfo is siginfo_t (sigaction(2)): three numbers and a union, which the accessors
// read and write.
type Siginfo struct {
	Signo, Errno, Code int32
	_                  int32
	Fields             [SiginfoSize - 16]byte
}

func (s *Siginfo) u32(off int) uint32       { return binary.LittleEndian.Uint32(s.Fields[off:]) }
func (s *Siginfo) setU32(off int, v uint32) { binary.LittleEndian.PutUint32(s.Fields[off:], v) }
func (s *Siginfo) u64(off int) uint64       { return binary.LittleEndian.Uint64(s.Fields[off:]) }
func (s *Siginfo) setU64(off int, v uint64) { binary.LittleEndian.PutUint64(s.Fields[off:], v) }

// PID and UID are of the sender (kill, queue, SIGCHLD).
func (s *Siginfo) PID() int32      { return int32(s.u32(0)) }
func (s *Siginfo) SetPID(v int32)  { s.setU32(0, uint32(v)) }
func (s *Siginfo) UID() uint32     { return s.u32(4) }
func (s *Siginfo) SetUID(v uint32) { s.setU32(4, v) }

// Value is si_value of queued and timer signals.
func (s *Siginfo) Value() uint64     { return s.u64(8) }
func (s *Siginfo) SetValue(v uint64) { s.setU64(8, v) }

// TimerID and Overrun are of SI_TIMER.
func (s *Siginfo) TimerID() int32     { return int32(s.u32(0)) }
func (s *Siginfo) SetTimerID(v int32) { s.setU32(0, uint32(v)) }
func (s *Siginfo) Overrun() int32     { return int32(s.u32(4)) }
func (s *Siginfo) SetOverrun(v int32) { s.setU32(4, uint32(v)) }

// Status, Utime and Stime (clock ticks) are of SIGCHLD.
func (s *Siginfo) Status() int32     { return int32(s.u32(8)) }
func (s *Siginfo) SetStatus(v int32) { s.setU32(8, uint32(v)) }
func (s *Siginfo) Utime() int64      { return int64(s.u64(16)) }
func (s *Siginfo) SetUtime(v int64)  { s.setU64(16, uint64(v)) }
func (s *Siginfo) Stime() int64      { return int64(s.u64(24)) }
func (s *Siginfo) SetStime(v int64)  { s.setU64(24, uint64(v)) }

// Addr is si_addr of faults, and si_call_addr of SIGSYS.
func (s *Siginfo) Addr() Addr     { return Addr(s.u64(0)) }
func (s *Siginfo) SetAddr(v Addr) { s.setU64(0, uint64(v)) }

// Band and FD are of SIGIO.
func (s *Siginfo) Band() int64     { return int64(s.u64(0)) }
func (s *Siginfo) SetBand(v int64) { s.setU64(0, uint64(v)) }
func (s *Siginfo) FD() int32       { return int32(s.u32(8)) }
func (s *Siginfo) SetFD(v int32)   { s.setU32(8, uint32(v)) }

// Syscall and Arch are of SIGSYS.
func (s *Siginfo) Syscall() int32     { return int32(s.u32(8)) }
func (s *Siginfo) SetSyscall(v int32) { s.setU32(8, uint32(v)) }
func (s *Siginfo) Arch() uint32       { return s.u32(12) }
func (s *Siginfo) SetArch(v uint32)   { s.setU32(12, v) }

// Bytes returns the structure as applications see it.
func (s *Siginfo) Bytes() []byte {
	b := make([]byte, SiginfoSize)
	binary.LittleEndian.PutUint32(b, uint32(s.Signo))
	binary.LittleEndian.PutUint32(b[4:], uint32(s.Errno))
	binary.LittleEndian.PutUint32(b[8:], uint32(s.Code))
	copy(b[16:], s.Fields[:])
	return b
}

// SiginfoFrom reads what Bytes wrote. b holds at least SiginfoSize bytes.
func SiginfoFrom(b []byte) Siginfo {
	var s Siginfo
	s.Signo = int32(binary.LittleEndian.Uint32(b))
	s.Errno = int32(binary.LittleEndian.Uint32(b[4:]))
	s.Code = int32(binary.LittleEndian.Uint32(b[8:]))
	copy(s.Fields[:], b[16:SiginfoSize])
	return s
}
