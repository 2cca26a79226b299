//go:build amd64

package platformtest

import (
	"testing"

	"lazaret/platform"
)

func benchSyscall(b *testing.B) {
	g := newGuest(b, syscallLoop)
	for range b.N {
		if ev, err := g.ctx.Switch(g.as, &g.regs); err != nil || ev.Kind != platform.EventSyscall {
			b.Fatal(ev, err)
		}
	}
}

func benchMap(b *testing.B) {
	g := newGuest(b, syscallLoop)
	g.run(b, platform.EventSyscall)
	b.ResetTimer()
	for range b.N {
		if err := g.as.Map(pages(dataAddr, 1), g.mem, 0, platform.Read); err != nil {
			b.Fatal(err)
		}
	}
}

func benchFork(b *testing.B) {
	g := newGuest(b, syscallLoop)
	g.run(b, platform.EventSyscall)
	b.ResetTimer()
	for range b.N {
		as, err := g.as.Fork()
		if err != nil {
			b.Fatal(err)
		}
		as.Release()
	}
}

func benchNewThread(b *testing.B) {
	g := newGuest(b, syscallLoop)
	b.ResetTimer()
	for range b.N {
		c := testPlatform(b).NewContext()
		r := g.regs
		if ev, err := c.Switch(g.as, &r); err != nil || ev.Kind != platform.EventSyscall {
			b.Fatal(ev, err)
		}
		c.Release()
	}
}

// benchProcess is what a process costs the host: fork, run, end.
func benchProcess(b *testing.B) {
	g := newGuest(b, syscallLoop)
	g.run(b, platform.EventSyscall)
	b.ResetTimer()
	for range b.N {
		as, err := g.as.Fork()
		if err != nil {
			b.Fatal(err)
		}
		err = parallel(1, func(int) error {
			c := testPlatform(b).NewContext()
			defer c.Release()
			r := g.regs
			_, err := c.Switch(as, &r)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		as.Release()
	}
}

// benchSyscallPair runs two busy contexts, one for each processor of a small machine.
func benchSyscallPair(b *testing.B) {
	g := newGuest(b, syscallLoop)
	err := parallel(2, func(int) error {
		c := testPlatform(b).NewContext()
		defer c.Release()
		regs := g.regs
		for range b.N {
			if _, err := c.Switch(g.as, &regs); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
