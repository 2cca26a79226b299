package abi

import "encoding/binary"

// Sigaction is struct sigaction as the kernel has it (rt_sigaction(2)).
type Sigaction struct {
	Handler  uint64
	Flags    uint64
	Restorer uint64
	Mask     SigSet
}

// SigactionSize is its size in application memory.
const SigactionSize = 32

// Bytes returns the structure as applications see it.
func (s *Sigaction) Bytes() []byte {
	b := make([]byte, SigactionSize)
	binary.LittleEndian.PutUint64(b, s.Handler)
	binary.LittleEndian.PutUint64(b[8:], s.Flags)
	binary.LittleEndian.PutUint64(b[16:], s.Restorer)
	binary.LittleEndian.PutUint64(b[24:], uint64(s.Mask))
	return b
}

// SigactionFrom reads what Bytes wrote.
func SigactionFrom(b []byte) Sigaction {
	return Sigaction{
		Handler:  binary.LittleEndian.Uint64(b),
		Flags:    binary.LittleEndian.Uint64(b[8:]),
		Restorer: binary.LittleEndian.Uint64(b[16:]),
		Mask:     SigSet(binary.LittleEndian.Uint64(b[24:])),
	}
}

// SigStack is stack_t (sigaltstack(2)).
type SigStack struct {
	SP    Addr
	Flags uint32
	Size  uint64
}

// SigStackSize is its size in application memory.
const SigStackSize = 24

// Bytes returns the structure as applications see it.
func (s *SigStack) Bytes() []byte {
	b := make([]byte, SigStackSize)
	binary.LittleEndian.PutUint64(b, uint64(s.SP))
	binary.LittleEndian.PutUint32(b[8:], s.Flags)
	binary.LittleEndian.PutUint64(b[16:], s.Size)
	return b
}

// SigStackFrom reads what Bytes wrote.
func SigStackFrom(b []byte) SigStack {
	return SigStack{
		SP:    Addr(binary.LittleEndian.Uint64(b)),
		Flags: binary.LittleEndian.Uint32(b[8:]),
		Size:  binary.LittleEndian.Uint64(b[16:]),
	}
}

// Rlimit is struct rlimit64 (prlimit(2)).
type Rlimit struct{ Cur, Max uint64 }

// RlimInfinity is RLIM64_INFINITY.
const RlimInfinity = ^uint64(0)

// Rusage is struct rusage (getrusage(2)).
type Rusage struct {
	Utime, Stime Timeval
	Maxrss       int64 // KiB
	Ixrss        int64
	Idrss        int64
	Isrss        int64
	Minflt       int64
	Majflt       int64
	Nswap        int64
	Inblock      int64
	Oublock      int64
	Msgsnd       int64
	Msgrcv       int64
	Nsignals     int64
	Nvcsw        int64
	Nivcsw       int64
}

// RusageSize is sizeof(struct rusage).
const RusageSize = 144

// Bytes returns the structure as applications see it.
func (r *Rusage) Bytes() []byte {
	b := make([]byte, 0, RusageSize)
	for _, v := range [...]int64{r.Utime.Sec, r.Utime.Usec, r.Stime.Sec, r.Stime.Usec,
		r.Maxrss, r.Ixrss, r.Idrss, r.Isrss, r.Minflt, r.Majflt, r.Nswap, r.Inblock,
		r.Oublock, r.Msgsnd, r.Msgrcv, r.Nsignals, r.Nvcsw, r.Nivcsw} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return b
}

// CloneArgs is struct clone_args (clone3(2)).
type CloneArgs struct {
	Flags, PidFD, ChildTID, ParentTID, ExitSignal uint64
	Stack, StackSize, TLS                         uint64
	SetTID, SetTIDSize, Cgroup                    uint64
}

// Sizes of the versions of CloneArgs.
const (
	CloneArgsSizeVer0 = 64
	CloneArgsSizeVer1 = 80
	CloneArgsSizeVer2 = 88
)

// Securebits (capabilities(7)).
const (
	SECBIT_NOROOT                 = 1 << 0
	SECBIT_NOROOT_LOCKED          = 1 << 1
	SECBIT_NO_SETUID_FIXUP        = 1 << 2
	SECBIT_NO_SETUID_FIXUP_LOCKED = 1 << 3
	SECBIT_KEEP_CAPS              = 1 << 4
	SECBIT_KEEP_CAPS_LOCKED       = 1 << 5
	SECBIT_NO_CAP_AMBIENT_RAISE   = 1 << 6
	SECBIT_NO_CAP_AMBIENT_LOCKED  = 1 << 7
	SECURE_ALL_BITS               = 0x55
	SECURE_ALL_LOCKS              = 0xaa
)

// Robust futex list (get_robust_list(2)).
const (
	ROBUST_LIST_LIMIT  = 2048
	RobustListHeadSize = 24
)
