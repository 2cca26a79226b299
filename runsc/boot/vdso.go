package boot

import (
	"fmt"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"

	"lazaret/platform"
	"lazaret/sentry/kernel/clock"
	"lazaret/sentry/loader"
	"lazaret/sentry/loader/vdso"
	"lazaret/sentry/memfile"
	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

// vdsoClock makes a clock from the processor's counter and keeps it with the host's.
// Programs read it in the vDSO's data page; system calls answer from it (clock.Source).
//
// The clock is a line through (counter, nanoseconds) points. An update never moves the
// line at the moment of the update, it only bends it towards the host's clock: whoever
// reads with the old parameters and then with the new ones, in whatever order and by
// whatever way, sees time go on.
type vdsoClock struct {
	page []byte
	host hostClock
	tsc  func() uint64
	cpu  bool // the host's numbers of processors are the sandbox's

	// The last two comparisons with the host, for the rate.
	lastTSC, lastMono uint64

	current atomic.Pointer[vdso.Params]
}

// hostClock is what the clock follows, and what answers system calls.
type hostClock interface {
	HostNS() (mono, realtime, boot int64)
	Follow(clock.Source)
}

// First and last interval between updates. The rate is known better the longer the
// stretch that it is measured over; later ones follow the host's corrections.
const (
	firstUpdate = 5 * time.Millisecond
	lastUpdate  = 10 * time.Second
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
		Data: mm.MapOpts{Len: abi.PageSize, Prot: platform.Read, MaxProt: platform.Read, Shared: true, Kernel: true, Object: shm, Name: "[vvar]"},
		Code: mm.MapOpts{
			Len: abi.PageSize, Off: abi.PageSize, Prot: platform.Read | platform.Exec, MaxProt: platform.Read | platform.Exec,
			Shared: true, Object: shm, Name: "[vdso]",
		},
	}
	if !constantTSC(s.cfg.Host.CPUInfo) {
		return nil // every call of the vDSO asks the kernel
	}
	c := newVDSOClock(pages[:abi.PageSize], s.k.Clock, vdso.ReadTSC)
	c.cpu = sameNumbers(s.cfg.Host.CPUs)
	go c.run()
	return nil
}

// sameNumbers reports whether the n-th processor has number n.
func sameNumbers(cpus []int) bool {
	for n, cpu := range cpus {
		if n != cpu {
			return false
		}
	}
	return true
}

func newVDSOClock(page []byte, host hostClock, tsc func() uint64) *vdsoClock {
	c := &vdsoClock{page: page, host: host, tsc: tsc}
	at := c.compare()
	c.lastTSC, c.lastMono = at.tsc, uint64(at.mono)
	return c
}

// run updates, less and less often. It ends with the process.
func (c *vdsoClock) run() {
	for d := firstUpdate; ; {
		time.Sleep(d)
		d = min(d*4, lastUpdate)
		c.update(d)
	}
}

// Fixed point of the rate: nanoseconds per tick are below 2^8. And how much the line may
// be bent: slower or faster by a 16th, which makes up for a millisecond in 16.
const (
	rateShift = 24
	bendShift = 4
)

// Differences between the clocks that are noise, and ones that must be a jump of the host's.
const (
	offsetNoise = 20 * time.Microsecond
	jump        = 100 * time.Millisecond
)

// update publishes new parameters that meet the host's clock in about next.
func (c *vdsoClock) update(next time.Duration) bool {
	at := c.compare()
	ticks, mono := at.tsc-c.lastTSC, uint64(at.mono)
	if ticks == 0 || mono <= c.lastMono {
		return false
	}
	rate := uint64(float64(mono-c.lastMono) / float64(ticks) * (1 << rateShift))
	if rate == 0 || rate >= 1<<31 {
		return false
	}
	c.lastTSC, c.lastMono = at.tsc, mono
	p := &vdso.Params{
		TSC: true, CPU: c.cpu, TSCBase: at.tsc, RealOff: at.real - at.mono, BootOff: at.boot - at.mono,
		Mult: uint32(rate), Shift: rateShift,
	}
	old := c.current.Load()
	if old == nil {
		// Ahead of all that the host has shown before this clock is followed.
		p.MonoBase = mono + uint64(at.error)
	} else {
		p.MonoBase = old.MonoBase + mulShift(at.tsc-old.TSCBase, old.Mult)
		ahead := int64(p.MonoBase - mono)
		if ahead < -int64(jump) {
			p.MonoBase, ahead = mono, 0
		}
		bend := int64(float64(rate) * float64(ahead) / float64(next))
		p.Mult = uint32(int64(rate) - min(max(bend, -int64(rate>>bendShift)), int64(rate>>bendShift)))
		p.RealOff = steady(old.RealOff, p.RealOff)
		p.BootOff = steady(old.BootOff, p.BootOff)
	}
	c.current.Store(p)
	if old == nil {
		c.host.Follow(c) // before any program can read the page
	}
	vdso.Update(c.page, p)
	return true
}

// steady returns the old offset unless the new one differs by more than noise: the host
// bends both clocks alike, so that their difference changes by jumps alone.
func steady(old, now int64) int64 {
	if d := now - old; d > int64(offsetNoise) || d < -int64(offsetNoise) {
		return now
	}
	return old
}

// ReadNS implements clock.Source. The vDSO does the same.
func (c *vdsoClock) ReadNS() (mono, realOff, bootOff int64) {
	p := c.current.Load()
	ticks := c.tsc() - p.TSCBase
	if int64(ticks) < 0 {
		ticks = 0
	}
	return int64(p.MonoBase + mulShift(ticks, p.Mult)), p.RealOff, p.BootOff
}

// comparison is a reading of the counter and the host's clocks at one moment; error is
// how far they may be apart, in nanoseconds.
type comparison struct {
	tsc              uint64
	mono, real, boot int64
	error            int64
}

// compare returns the closest of a few tries.
func (c *vdsoClock) compare() (best comparison) {
	width := ^uint64(0)
	for range 16 {
		before := c.tsc()
		mono, real, boot := c.host.HostNS()
		after := c.tsc()
		later, _, _ := c.host.HostNS()
		if after-before < width {
			width = after - before
			best = comparison{tsc: before + width/2, mono: mono, real: real, boot: boot, error: later - mono}
		}
	}
	return best
}

func mulShift(ticks uint64, mult uint32) uint64 {
	hi, lo := bits.Mul64(ticks, uint64(mult))
	return hi<<(64-rateShift) | lo>>rateShift
}

// constantTSC reports whether the processors' counters run at one rate in every state.
func constantTSC(cpuinfo string) bool {
	return strings.Contains(cpuinfo, " constant_tsc ") && strings.Contains(cpuinfo, " nonstop_tsc ")
}
