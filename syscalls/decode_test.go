package syscalls

import (
	"encoding/binary"
	"testing"

	"lazaret/sentry/kernel/clock"
	"lazaret/syscalls/abi"
)

func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		name string
		got  int
		want int
	}{
		{"msghdr", len(abi.Bytes(new(msghdr))), 56},
		{"mmsghdr", len(abi.Bytes(new(mmsghdr))), mmsgSize},
		{"ucred", len(abi.Bytes(new(ucred))), 12},
		{"sigevent", len(abi.Bytes(new(sigevent))), 64},
		{"itimerspec", len(abi.Bytes(new(itimerspec))), 32},
		{"sched_attr", len(abi.Bytes(new(schedAttr))), schedAttrSize},
		{"futex_waitv", len(abi.Bytes(new(futexWaitv))), 24},
		{"sock_fprog", len(abi.Bytes(new(sockFprog))), 16},
		{"mount_attr", len(abi.Bytes(new(mountAttr))), 32},
		{"mq_attr", len(abi.Bytes(new(mqAttr))), 64},
	} {
		if c.got != c.want {
			t.Errorf("struct %s has %d bytes, want %d", c.name, c.got, c.want)
		}
	}
}

func TestFutex2Flags(t *testing.T) {
	for _, c := range []struct {
		flags  uint32
		shared bool
		err    error
	}{
		{abi.FUTEX2_SIZE_U32, true, nil},
		{abi.FUTEX2_SIZE_U32 | abi.FUTEX2_PRIVATE, false, nil},
		{0, false, abi.EINVAL}, // bytes
		{3, false, abi.EINVAL}, // 64 bits
		{abi.FUTEX2_SIZE_U32 | 4, false, abi.EINVAL},
	} {
		shared, err := futex2Shared(c.flags)
		if shared != c.shared || err != c.err {
			t.Errorf("flags %#x: %v, %v", c.flags, shared, err)
		}
	}
}

// signalfdInfo is compared with the offsets of struct signalfd_siginfo.
func TestSignalfdInfo(t *testing.T) {
	at := func(i *abi.Siginfo, off int) uint32 {
		b := signalfdInfo(i)
		return binary.LittleEndian.Uint32(b[off:])
	}
	queued := &abi.Siginfo{Signo: abi.SIGUSR1, Code: abi.SI_QUEUE}
	queued.SetPID(7)
	queued.SetUID(8)
	queued.SetValue(9)
	child := &abi.Siginfo{Signo: abi.SIGCHLD, Code: 1}
	child.SetPID(7)
	child.SetUID(8)
	child.SetStatus(3)
	killed := &abi.Siginfo{Signo: abi.SIGTERM, Code: abi.SI_USER}
	killed.SetPID(7)
	killed.SetUID(8)
	fault := &abi.Siginfo{Signo: abi.SIGSEGV, Code: 1}
	fault.SetAddr(0x1234)
	for _, c := range []struct {
		name string
		info *abi.Siginfo
		off  int
		want uint32
	}{
		{"signo", queued, 0, abi.SIGUSR1}, {"pid", queued, 12, 7}, {"uid", queued, 16, 8}, {"int", queued, 44, 9}, {"ptr", queued, 48, 9},
		{"child pid", child, 12, 7}, {"status", child, 40, 3}, {"killer", killed, 12, 7}, {"no value", killed, 44, 0},
		{"addr", fault, 72, 0x1234}, {"no pid", fault, 12, 0},
	} {
		if got := at(c.info, c.off); got != c.want {
			t.Errorf("%s: %d at %d, want %d", c.name, got, c.off, c.want)
		}
	}
}

// An armed timer never shows as disarmed, however little is left.
func TestItimerRounding(t *testing.T) {
	for _, c := range []struct {
		left, usec int64
	}{{0, 0}, {1, 1}, {999, 1}, {1500, 1}, {2_000_000, 2000}} {
		if v := valOf(clock.Setting{LeftNS: c.left}); v.Value.Sec != 0 || v.Value.Usec != c.usec {
			t.Errorf("%d ns: %+v, want %d us", c.left, v.Value, c.usec)
		}
	}
}

func TestZeros(t *testing.T) {
	a := abi.Args{1, 2, 0, 0, 0, 5}
	if !zeros(&a, 2) || zeros(&a, 1) {
		t.Error("zeros looks at the arguments from i to the fifth")
	}
}

func TestKcmpOrder(t *testing.T) {
	if kcmpOrder(true, 1, 2) != 0 || kcmpOrder(false, 1, 2) != 1 || kcmpOrder(false, 2, 1) != 2 {
		t.Error("kcmp orders the other way round when asked the other way round")
	}
}

func TestStraceResult(t *testing.T) {
	mmap := &Row{Nr: abi.SYS_MMAP, Name: "mmap"}
	other := &Row{Nr: abi.SYS_GETPID, Name: "getpid"}
	for _, c := range []struct {
		row  *Row
		n    uint64
		err  error
		want string
	}{
		{other, 3, nil, "3"},
		{mmap, 0x7000, nil, "0x7000"},
		{other, 0, abi.ENOENT, "-1 ENOENT (No such file or directory)"},
		{other, 0, abi.ERESTARTSYS, "? " + abi.ERESTARTSYS.Error()},
		{nil, 0, abi.ENOSYS, "-1 ENOSYS (Function not implemented)"},
	} {
		if got := string(appendResult(nil, c.row, c.n, c.err)); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestStraceArgs(t *testing.T) {
	a := abi.Args{uint64(0xffffff9c), 0xffffffffffffffff, 0x1ed, 9, 0, 0xdead}
	for _, c := range []struct {
		kind Kind
		i    int
		want string
	}{
		{FD, 0, "AT_FDCWD"}, {Int, 1, "-1"}, {Octal, 2, "0755"}, {Sig, 3, "SIGKILL"}, {Buf, 4, "NULL"}, {Path, 4, "NULL"},
		{Hex, 5, "0xdead"}, {Hex, 4, "0"}, {Int, 0, "-100"},
	} {
		if got := string(appendArg(nil, nil, c.kind, &a, c.i)); got != c.want {
			t.Errorf("argument %d as kind %d: %q, want %q", c.i, c.kind, got, c.want)
		}
	}
}
