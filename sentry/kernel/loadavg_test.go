package kernel

import (
	"math"
	"testing"

	"lazaret/syscalls/abi"
)

func TestLoadAverages(t *testing.T) {
	var l loadAverage
	for range 12 { // a minute of two busy tasks
		l.advanceLocked(5e9, 10e9)
	}
	for i, want := range []float64{2 * (1 - math.Exp(-1)), 2 * (1 - math.Exp(-0.2)), 2 * (1 - math.Exp(-1.0/15))} {
		if math.Abs(l.averages[i]-want) > 1e-9 {
			t.Errorf("average %d is %v, want %v", i, l.averages[i], want)
		}
	}
	l.advanceLocked(3600e9, -5) // an hour without anything
	if l.averages[0] > 1e-9 || l.averages[2] > 0.05 {
		t.Errorf("after an hour %v", l.averages)
	}
}

func TestCountIO(t *testing.T) {
	var a ioAccount
	a.countIO(abi.SYS_READ, 10, nil)
	a.countIO(abi.SYS_PREADV, 5, nil)
	a.countIO(abi.SYS_READ, 0, abi.EBADF)
	a.countIO(abi.SYS_READ, 7, abi.EAGAIN)
	a.countIO(abi.SYS_WRITE, 3, nil)
	a.countIO(abi.SYS_SENDFILE, 100, nil)
	a.countIO(abi.SYS_GETPID, 1000, nil)
	if got, want := a.read(), (IOCounts{115, 103, 4, 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
