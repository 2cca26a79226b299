package boot

import (
	"fmt"
	"strings"
	"time"

	"lazaret/platform"
	"lazaret/sentry/loader"
	"lazaret/sentry/loader/vdso"
	"lazaret/sentry/memfile"
	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

// vdsoClock keeps the clock parameters of the vDSO true.
type vdsoClock struct {
	page    []byte
	clock   hostClock
	tsc0    uint64 // the first reading, against which the rate is measured
	mono0   int64
	current vdso.Params
}

// hostClock is what the parameters are measured from.
type hostClock interface {
	MonotonicNS() int64
	RealtimeNS() int64
	BoottimeNS() int64
}

// First and last interval between measurements. The rate is known better the longer the
// stretch that it is measured over; later ones follow the host's corrections.
const (
	firstMeasure = 15 * time.Millisecond
	lastMeasure  = time.Minute
)

// startVDSO puts the image and its data page into the memory file and keeps the clock
// going.
func (s *Sentry) startVDSO() error {
	image := vdso.Image()
	if image == nil || len(image) > abi.PageSize {
		return nil
	}
	acct := &memfile.Account{}
	shm := memfile.NewShm(s.mf, acct, 2*abi.PageSize)
	ext, err := shm.Extent(acct, 0, 2*abi.PageSize, true)
	if err != nil {
		return fmt.Errorf("make the vDSO: %w", err)
	}
	if ext.Len != 2*abi.PageSize {
		return fmt.Errorf("make the vDSO: memory is in pieces")
	}
	pages := s.mf.Bytes(ext.Off, ext.Len)
	copy(pages[abi.PageSize:], image)
	s.table.VDSO = &loader.VDSO{
		Data: mm.MapOpts{Len: abi.PageSize, Prot: platform.Read, MaxProt: platform.Read, Shared: true, Object: shm, Name: "[vvar]"},
		Code: mm.MapOpts{
			Len: abi.PageSize, Off: abi.PageSize, Prot: platform.Read | platform.Exec, MaxProt: platform.Read | platform.Exec,
			Shared: true, Object: shm, Name: "[vdso]",
		},
	}
	if !constantTSC(s.cfg.Host.CPUInfo) {
		return nil // every call of the vDSO asks the kernel
	}
	c := &vdsoClock{page: pages[:abi.PageSize], clock: s.k.Clock, tsc0: vdso.ReadTSC(), mono0: s.k.Clock.MonotonicNS()}
	go c.run()
	return nil
}

// run measures, less and less often. It ends with the process.
func (c *vdsoClock) run() {
	for d := firstMeasure; ; d = min(d*4, lastMeasure) {
		time.Sleep(d)
		c.measure()
	}
}

// rateShift is the fixed point of the rate: nanoseconds per tick are below 2^8.
const rateShift = 24

// measure publishes new parameters. The clock never goes back: when the old parameters
// ran ahead, the new ones start from where they were.
func (c *vdsoClock) measure() {
	tsc, mono := c.read()
	ticks := tsc - c.tsc0
	if ticks == 0 || mono <= c.mono0 {
		return
	}
	rate := uint64(float64(mono-c.mono0) / float64(ticks) * (1 << rateShift))
	if rate == 0 || rate >= 1<<32 {
		return
	}
	base := uint64(mono)
	if c.current.TSC {
		old := c.current.MonoBase + mulShift(tsc-c.current.TSCBase, c.current.Mult)
		base = max(base, old)
	}
	c.current = vdso.Params{
		TSC: true, CPU: true, TSCBase: tsc, MonoBase: base, RealOff: c.clock.RealtimeNS() - mono,
		BootOff: c.clock.BoottimeNS() - c.clock.MonotonicNS(), Mult: uint32(rate), Shift: rateShift,
	}
	vdso.Update(c.page, &c.current)
}

// read returns the counter and the clock at the same moment, as well as can be: the
// closest of a few tries.
func (c *vdsoClock) read() (tsc uint64, mono int64) {
	best := ^uint64(0)
	for i := 0; i < 8; i++ {
		a := vdso.ReadTSC()
		m := c.clock.MonotonicNS()
		b := vdso.ReadTSC()
		if b-a < best {
			best, tsc, mono = b-a, a+(b-a)/2, m
		}
	}
	return tsc, mono
}

func mulShift(ticks uint64, mult uint32) uint64 {
	hi, lo := ticks>>32, ticks&(1<<32-1)
	return hi*uint64(mult)<<(32-rateShift) + lo*uint64(mult)>>rateShift
}

// constantTSC reports whether the processors' counters run at one rate in every state.
func constantTSC(cpuinfo string) bool {
	return strings.Contains(cpuinfo, " constant_tsc ") && strings.Contains(cpuinfo, " nonstop_tsc ")
}
