//go:build amd64

package platformtest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/platform"
)

const victimEnv = "LAZARET_PLATFORM_VICTIM"

// A stub that somebody kills ends its thread with an error; nothing hangs.
func testStubKilled(t *testing.T) {
	for _, when := range []string{"running", "stopped", "fresh"} {
		t.Run(when, func(t *testing.T) {
			g := newGuest(t, append(bytes.Clone(getpid), spin...))
			pid := subject.StubPID(g.as)
			if when != "fresh" {
				g.run(t, platform.EventSyscall)
			}
			if when == "running" {
				go func() {
					time.Sleep(2 * time.Millisecond)
					_ = unix.Kill(pid, unix.SIGKILL)
				}()
			} else if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if ev, err := g.ctx.Switch(g.as, &g.regs); err == nil {
					t.Fatalf("event %+v", ev)
				}
			}
			if err := g.as.Map(pages(hole, 1), g.mem, 0, platform.Read); err == nil {
				t.Error("mapped into a dead stub")
			}
			if _, err := g.as.Fork(); err == nil {
				t.Error("forked a dead stub")
			}
			g.ctx.Interrupt()
		})
	}
}

// Signals from outside are not the application's.
func testForeignSignals(t *testing.T) {
	g := newGuest(t, append(bytes.Clone(getpid), spin...))
	g.run(t, platform.EventSyscall)
	pid := subject.StubPID(g.as)
	go func() {
		for sig := unix.Signal(1); sig < 65; sig++ {
			if sig != unix.SIGKILL && (sig != unix.SIGSTOP || !subject.HostStops) {
				_ = unix.Kill(pid, sig)
				_ = unix.Tgkill(pid, subject.StubPID(g.as)+1, sig)
			}
		}
		time.Sleep(time.Millisecond)
		g.ctx.Interrupt()
	}()
	g.run(t, platform.EventInterrupt)
	if err := g.as.Map(pages(hole, 1), g.mem, 0, platform.Read); err != nil {
		t.Error(err)
	}
	if c, err := g.as.Fork(); err != nil {
		t.Error(err)
	} else {
		c.Release()
	}
}

// victim is a Sentry that will be killed: it prints its stubs and keeps making more.
func victim() {
	p, err := subject.New()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fd, err := unix.MemfdCreate("guest", 0)
	if err != nil {
		os.Exit(1)
	}
	_, _ = unix.Write(fd, append(bytes.Clone(getpid), spin...))
	_ = unix.Ftruncate(fd, 4096)
	for range 4 {
		go func() {
			runtime.LockOSThread()
			as, err := p.NewAddressSpace()
			if err != nil {
				return
			}
			_ = as.Map(pages(codeAddr, 1), fd, 0, platform.Read|platform.Exec)
			c := p.NewContext()
			regs := platform.Regs{Rip: codeAddr}
			_, _ = c.Switch(as, &regs)
			fmt.Println("ready")
			_, _ = c.Switch(as, &regs)
		}()
	}
	for {
		as, err := p.NewAddressSpace()
		if err != nil {
			os.Exit(1)
		}
		if c, err := as.Fork(); err == nil {
			c.Release()
		}
		as.Release()
	}
}

// A Sentry killed at any moment leaves no stub behind.
func testSentryKilled(t *testing.T) {
	for round := range 10 {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), victimEnv+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 4 {
			if !lines.Scan() || lines.Text() != "ready" {
				t.Fatalf("victim says %q", lines.Text())
			}
		}
		time.Sleep(time.Duration(round) * 3 * time.Millisecond)
		if n := foreignStubs(t); len(n) < 5 {
			t.Errorf("stubs before: %v", n)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		var left []string
		for range 200 {
			if left = foreignStubs(t); len(left) == 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if len(left) != 0 {
			t.Fatalf("round %d: left behind: %v", round, left)
		}
	}
}

// foreignStubs lists the live stubs of this test binary that are not our own children.
func foreignStubs(t *testing.T) []string {
	t.Helper()
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	me, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range dirs {
		stat, err := os.ReadFile("/proc/" + d.Name() + "/stat")
		if err != nil || !strings.Contains(string(stat), "(stub) ") {
			continue
		}
		exe, err := os.Readlink("/proc/" + d.Name() + "/exe")
		if err != nil || exe != me {
			continue
		}
		f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if f[0] == "Z" || f[0] == "X" || f[1] == fmt.Sprint(os.Getpid()) {
			continue
		}
		out = append(out, d.Name())
	}
	return out
}
