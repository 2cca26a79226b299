package syscalls

import (
	"crypto/rand"

	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

var systemRows = []Row{
	full(abi.SYS_UNAME, "uname", Uname, Buf),
	full(abi.SYS_SYSINFO, "sysinfo", Sysinfo, Buf),
	full(abi.SYS_GETRANDOM, "getrandom", Getrandom, Buf, Hex, Hex),
	full(abi.SYS_GETCPU, "getcpu", Getcpu, Buf, Buf),
	full(abi.SYS_SETHOSTNAME, "sethostname", Sethostname, Buf, Int),
	full(abi.SYS_SETDOMAINNAME, "setdomainname", Setdomainname, Buf, Int),
	partial(abi.SYS_SYSLOG, "syslog", Syslog, "the log is empty", Int, Buf, Int),
	full(abi.SYS_SYNC, "sync", func(*kernel.Task, *abi.Args) (uint64, error) { return 0, nil }),
	partial(abi.SYS_MEMBARRIER, "membarrier", Membarrier, "no rseq commands", Int, Hex, Int),
}

// Release and version that uname(2) shows: a long-term kernel's.
const (
	Release = "6.12.0"
	Version = "#1 SMP PREEMPT_DYNAMIC Lazaret"
)

// utsLen is the size of a string in struct utsname.
const utsLen = 65

// Uname is uname(2).
func Uname(t *kernel.Task, a *abi.Args) (uint64, error) {
	host, domain := t.Namespaces().UTS.Names()
	var u [6][utsLen]byte
	for i, s := range [...]string{"Linux", host, Release, Version, unameMachine, domain} {
		copy(u[i][:utsLen-1], s)
	}
	return done0(copyOut(t, a.Addr(0), &u))
}

// sysinfo is struct sysinfo (sysinfo(2)).
type sysinfo struct {
	Uptime                                                       int64
	Loads                                                        [3]uint64
	TotalRAM, FreeRAM, SharedRAM, BufferRAM, TotalSwap, FreeSwap uint64
	Procs                                                        uint16
	_                                                            [6]byte
	TotalHigh, FreeHigh                                          uint64
	Unit                                                         uint32
	_                                                            [4]byte
}

// loadShift is SI_LOAD_SHIFT.
const loadShift = 16

// Sysinfo is sysinfo(2).
func Sysinfo(t *kernel.Task, a *abi.Args) (uint64, error) {
	total, free := t.Container().Memory()
	up, err := t.ClockNS(abi.CLOCK_BOOTTIME)
	if err != nil {
		return 0, err
	}
	s := sysinfo{
		Uptime: (up + abi.NsecPerSec - 1) / abi.NsecPerSec, TotalRAM: total, FreeRAM: free,
		Procs: uint16(min(t.Container().Tasks(), 65535)), Unit: 1,
	}
	for i, l := range t.Kernel().LoadAverages() {
		s.Loads[i] = uint64(l * (1 << loadShift))
	}
	return done0(copyOut(t, a.Addr(0), &s))
}

// Flags of getrandom(2).
const (
	grndNonblock = 1
	grndRandom   = 2
	grndInsecure = 4
)

// Getrandom is getrandom(2).
func Getrandom(t *kernel.Task, a *abi.Args) (uint64, error) {
	flags := a.Uint(2)
	if flags&^(grndNonblock|grndRandom|grndInsecure) != 0 || flags&(grndRandom|grndInsecure) == grndRandom|grndInsecure {
		return 0, abi.EINVAL
	}
	n := min(a.Size(1), maxRW)
	var buf [4096]byte
	for done := uint64(0); done < n; {
		b := buf[:min(n-done, uint64(len(buf)))]
		if _, err := rand.Read(b); err != nil {
			return 0, abi.EIO
		}
		if err := t.MM().CopyOut(a.Addr(0)+abi.Addr(done), b); err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		done += uint64(len(b))
		if done < n && t.Interrupted() {
			return done, nil
		}
	}
	return n, nil
}

// Getcpu is getcpu(2). Which processor application code ran on is the host's business:
// the first that the thread may use is as good an answer as any, which is out of date
// when it arrives anyway.
func Getcpu(t *kernel.Task, a *abi.Args) (uint64, error) {
	cpu, node := uint32(0), uint32(0)
	for i, w := range t.Affinity() {
		if w != 0 {
			for w&1 == 0 {
				w >>= 1
				cpu++
			}
			cpu += uint32(i * 64)
			break
		}
	}
	if addr := a.Addr(0); addr != 0 {
		if err := copyOut(t, addr, &cpu); err != nil {
			return 0, err
		}
	}
	if addr := a.Addr(1); addr != 0 {
		return done0(copyOut(t, addr, &node))
	}
	return 0, nil
}

func copyHostname(t *kernel.Task, a *abi.Args) (string, error) {
	if !t.Creds().HasCapIn(abi.CAP_SYS_ADMIN, t.Namespaces().UTS.UserNS) {
		return "", abi.EPERM
	}
	n := a.Int(1)
	if n < 0 || n > utsLen-1 {
		return "", abi.EINVAL
	}
	b := make([]byte, n)
	return string(b), t.MM().CopyIn(a.Addr(0), b)
}

// Sethostname is sethostname(2).
func Sethostname(t *kernel.Task, a *abi.Args) (uint64, error) {
	s, err := copyHostname(t, a)
	if err == nil {
		t.Namespaces().UTS.SetHost(s)
	}
	return 0, err
}

// Setdomainname is setdomainname(2).
func Setdomainname(t *kernel.Task, a *abi.Args) (uint64, error) {
	s, err := copyHostname(t, a)
	if err == nil {
		t.Namespaces().UTS.SetDomain(s)
	}
	return 0, err
}

// Actions of syslog(2) that read.
const (
	syslogReadAll    = 3
	syslogSizeUnread = 9
	syslogSizeBuffer = 10
)

// Syslog is syslog(2).
func Syslog(t *kernel.Task, a *abi.Args) (uint64, error) {
	switch a.Int(0) {
	case syslogReadAll, syslogSizeUnread:
		return 0, nil
	case syslogSizeBuffer:
		return 1 << 18, nil
	}
	if a.Int(0) < 0 || a.Int(0) > syslogSizeBuffer {
		return 0, abi.EINVAL
	}
	if !t.Creds().HasCap(abi.CAP_SYSLOG) {
		return 0, abi.EPERM
	}
	return 0, nil
}

// Membarrier is membarrier(2). Every command works by interrupting the threads that run
// application code: their return into it is a full barrier and serializes.
func Membarrier(t *kernel.Task, a *abi.Args) (uint64, error) {
	const known = abi.MEMBARRIER_CMD_GLOBAL | abi.MEMBARRIER_CMD_GLOBAL_EXPEDITED | abi.MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
		abi.MEMBARRIER_CMD_PRIVATE_EXPEDITED | abi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
		abi.MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | abi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
	m := t.MM()
	if a.Uint(1) != 0 {
		return 0, abi.EINVAL
	}
	switch a.Int(0) {
	case abi.MEMBARRIER_CMD_QUERY:
		return known, nil
	case abi.MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
		return 0, nil
	case abi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
		m.SetMark(mm.PrivateExpedited, true)
		return 0, nil
	case abi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
		m.SetMark(mm.SyncCore, true)
		return 0, nil
	case abi.MEMBARRIER_CMD_GLOBAL, abi.MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		t.BarrierAll()
		return 0, nil
	case abi.MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		return 0, privateBarrier(t, mm.PrivateExpedited)
	case abi.MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		return 0, privateBarrier(t, mm.SyncCore)
	}
	return 0, abi.EINVAL
}

// privateBarrier is a barrier for a process that has registered for it.
func privateBarrier(t *kernel.Task, registered mm.Mark) error {
	if !t.MM().HasMark(registered) {
		return abi.EPERM
	}
	t.BarrierOthers()
	return nil
}
