package abi

// Timespec is struct timespec: seconds and nanoseconds.
type Timespec struct {
	Sec  int64
	Nsec int64
}

// Timeval is struct timeval: seconds and microseconds.
type Timeval struct {
	Sec  int64
	Usec int64
}

// Nanoseconds per unit.
const (
	NsecPerSec  = 1_000_000_000
	NsecPerUsec = 1_000
)

// Valid reports whether the nanoseconds are in range and the time is not negative.
func (t Timespec) Valid() bool { return t.Sec >= 0 && t.Nsec >= 0 && t.Nsec < NsecPerSec }

// Nano returns the time in nanoseconds, saturating at the largest int64.
func (t Timespec) Nano() int64 {
	if t.Sec > (1<<63-1)/NsecPerSec-1 {
		return 1<<63 - 1
	}
	return t.Sec*NsecPerSec + t.Nsec
}

// NsecToTimespec returns ns nanoseconds as a Timespec.
func NsecToTimespec(ns int64) Timespec {
	s, n := ns/NsecPerSec, ns%NsecPerSec
	if n < 0 {
		s, n = s-1, n+NsecPerSec
	}
	return Timespec{s, n}
}

// Valid reports whether the microseconds are in range and the time is not negative.
func (t Timeval) Valid() bool { return t.Sec >= 0 && t.Usec >= 0 && t.Usec < 1_000_000 }

// Timespec returns t as a Timespec.
func (t Timeval) Timespec() Timespec { return Timespec{t.Sec, t.Usec * NsecPerUsec} }

// NsecToTimeval returns ns nanoseconds as a Timeval, rounded down.
func NsecToTimeval(ns int64) Timeval {
	t := NsecToTimespec(ns)
	return Timeval{t.Sec, t.Nsec / NsecPerUsec}
}
