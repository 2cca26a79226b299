//go:build amd64

package ptrace

import (
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/platform/internal/platformtest"
)

// The stubs' own filter kills what no Sentry injects.
func TestFilter(t *testing.T) {
	refused := map[string]hostCall{
		"openat":           {entry: entryCall, nr: unix.SYS_OPENAT},
		"private mmap":     {entry: entryCall, nr: unix.SYS_MMAP, args: [6]uint64{platformtest.Hole, 4096, 3, 0x32, ^uint64(0)}},
		"vfork":            {entry: entryCall, nr: unix.SYS_CLONE, args: [6]uint64{unix.CLONE_VM | unix.CLONE_VFORK}},
		"flags above 32":   {entry: entryCall, nr: unix.SYS_CLONE, args: [6]uint64{forkFlags | 1<<32}},
		"other page":       {entry: platformtest.CodeAddr, nr: unix.SYS_MUNMAP, args: [6]uint64{platformtest.Hole, 4096}},
		"other prctl":      {entry: entryCall, nr: unix.SYS_PRCTL, args: [6]uint64{unix.PR_SET_DUMPABLE}},
		"no pdeathsig":     {entry: entryCall, nr: unix.SYS_PRCTL, args: [6]uint64{unix.PR_SET_PDEATHSIG, 0}},
		"x32 munmap":       {entry: entryCall, nr: unix.SYS_MUNMAP | 1<<30},
		"32-bit emulation": {entry: platformtest.CodeAddr + 2, nr: unix.SYS_GETPPID},
	}
	for name, call := range refused {
		t.Run(name, func(t *testing.T) {
			as, ctx, regs := platformtest.NewGuest(t, []byte{0x0f, 0x05, 0xcd, 0x80})
			if _, err := ctx.Switch(as, regs); err != nil {
				t.Fatal(err)
			}
			if ret, err := inject(ctx.(*context).thread.tid, &call); err == nil {
				t.Errorf("result %d", ret)
			}
		})
	}
}
