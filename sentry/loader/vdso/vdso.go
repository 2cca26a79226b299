package vdso

import (
	"encoding/binary"
	"sync/atomic"
)

// Params are the clock parameters that the image reads: a clock is
// MonoBase + ((tsc - TSCBase) * Mult >> Shift), plus the clock's offset.
type Params struct {
	TSC      bool   // the time stamp counter is constant and synchronized
	CPU      bool   // the processor number can be read (Linux's per-processor segment)
	TSCBase  uint64 // counter value at MonoBase
	MonoBase uint64 // CLOCK_MONOTONIC in nanoseconds
	RealOff  int64  // CLOCK_REALTIME - CLOCK_MONOTONIC, nanoseconds
	BootOff  int64  // CLOCK_BOOTTIME - CLOCK_MONOTONIC, nanoseconds
	Mult     uint32
	Shift    uint32
}

// Flag bits of the page.
const (
	flagTSC = 1
	flagCPU = 2
)

// Image returns the ELF image, nil on architectures without one.
func Image() []byte { return image }

// Update writes p to page, the data page, so that readers see all of it or nothing.
// There is one writer at a time.
func Update(page []byte, p *Params) {
	seq := (*atomic.Uint32)(ptr(page))
	seq.Add(1)
	le := binary.LittleEndian
	flags := uint32(0)
	if p.TSC {
		flags |= flagTSC
	}
	if p.CPU {
		flags |= flagCPU
	}
	le.PutUint32(page[4:], flags)
	le.PutUint64(page[8:], p.TSCBase)
	le.PutUint64(page[16:], p.MonoBase)
	le.PutUint64(page[24:], uint64(p.RealOff))
	le.PutUint64(page[32:], uint64(p.BootOff))
	le.PutUint32(page[40:], p.Mult)
	le.PutUint32(page[44:], p.Shift)
	seq.Add(1)
}
