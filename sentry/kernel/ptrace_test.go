//go:build amd64

package kernel

import (
	"encoding/binary"
	"testing"

	"lazaret/sentry/kernel/bpf"
	"lazaret/syscalls/abi"
)

func (g *guest) ptrace(req int64, pid int32, addr, data uint64) int64 {
	return g.call(func(t *Task) (uint64, error) { return t.Ptrace(req, pid, addr, data) })
}

func (g *guest) noop() int64 { return g.call(func(*Task) (uint64, error) { return 1, nil }) }

func TestTraceSyscalls(t *testing.T) {
	w := newWorld(t)
	var stops []int32
	var op []byte
	w.run(func(g *guest) {
		pid := int32(g.fork(func(c *guest) {
			c.ptrace(abi.PTRACE_TRACEME, 0, 0, 0)
			c.call(func(t *Task) (uint64, error) { return 0, t.Kill(t.TID(), abi.SIGSTOP) })
			c.noop()
			c.exit(4)
		}))
		res, _ := g.wait(pid, 0)
		stops = append(stops, res.Status)
		g.ptrace(abi.PTRACE_SETOPTIONS, pid, 0, abi.PTRACE_O_TRACESYSGOOD|abi.PTRACE_O_TRACEEXIT)
		for range 20 {
			if e := g.ptrace(abi.PTRACE_SYSCALL, pid, 0, 0); e != 0 {
				stops = append(stops, int32(e))
			}
			res, _ = g.wait(pid, 0)
			stops = append(stops, res.Status)
			if res.Code != abi.CLD_TRAPPED {
				break
			}
			g.call(func(t *Task) (uint64, error) {
				n, err := t.Ptrace(abi.PTRACE_GET_SYSCALL_INFO, pid, 88, stackTop-64<<10)
				var b [1]byte
				_ = t.MM().CopyIn(stackTop-64<<10, b[:])
				op = append(op, b[0])
				return n, err
			})
		}
	})
	const sys = (abi.SIGTRAP|0x80)<<8 | 0x7f
	want := []int32{abi.SIGSTOP<<8 | 0x7f, sys, sys, sys, sys, (abi.SIGTRAP|abi.PTRACE_EVENT_EXIT<<8)<<8 | 0x7f, 4 << 8}
	// The first call after the stop is the end of kill(2)'s own: not seen, as on Linux
	// the exit stop of a call that was entered untraced is.
	if len(stops) < 5 || stops[0] != want[0] || stops[len(stops)-1] != want[6] || stops[len(stops)-2] != want[5] {
		t.Fatalf("stops %#x ops %v", stops, op)
	}
	entries := 0
	for _, o := range op {
		if o == abi.PTRACE_SYSCALL_INFO_ENTRY {
			entries++
		}
	}
	if entries != 2 {
		t.Fatalf("%d entries: stops %#x ops %v", entries, stops, op)
	}
}

func TestSeizeInterruptDetach(t *testing.T) {
	w := newWorld(t)
	var stopped, killed WaitResult
	var cont int64
	w.run(func(g *guest) {
		pid := int32(g.fork(func(c *guest) { c.loop() }))
		g.ptrace(abi.PTRACE_SEIZE, pid, 0, 0)
		g.ptrace(abi.PTRACE_INTERRUPT, pid, 0, 0)
		stopped, _ = g.wait(pid, 0)
		g.call(func(t *Task) (uint64, error) { // registers and floating point state
			const at = stackTop - 64<<10
			if _, err := t.Ptrace(abi.PTRACE_GETREGS, pid, 0, at); err != nil {
				return 0, err
			}
			return t.Ptrace(abi.PTRACE_GETFPREGS, pid, 0, at)
		})
		cont = g.ptrace(abi.PTRACE_DETACH, pid, 0, 0)
		g.kill(pid, abi.SIGTERM)
		killed, _ = g.wait(pid, 0)
	})
	if stopped.Status != (abi.SIGTRAP|abi.PTRACE_EVENT_STOP<<8)<<8|0x7f || cont != 0 || killed.Status != abi.SIGTERM {
		t.Fatalf("%#x %d %#x", stopped.Status, cont, killed.Status)
	}
}

// A group stop of a seized tracee is a trap; PTRACE_LISTEN leaves it stopped, SIGCONT
// makes it trap again.
func TestSeizedGroupStop(t *testing.T) {
	w := newWorld(t)
	var sent, group, ends, killed WaitResult
	var listen int64
	w.run(func(g *guest) {
		pid := int32(g.fork(func(c *guest) { c.loop() }))
		g.ptrace(abi.PTRACE_SEIZE, pid, 0, 0)
		g.kill(pid, abi.SIGSTOP)
		sent, _ = g.wait(pid, 0)
		g.ptrace(abi.PTRACE_CONT, pid, 0, abi.SIGSTOP)
		group, _ = g.wait(pid, 0)
		listen = g.ptrace(abi.PTRACE_LISTEN, pid, 0, 0)
		g.kill(pid, abi.SIGCONT)
		ends, _ = g.wait(pid, 0)
		g.kill(pid, abi.SIGKILL)
		killed, _ = g.wait(pid, 0)
	})
	stop := func(code int32) int32 { return code<<8 | 0x7f }
	if sent.Status != stop(abi.SIGSTOP) || group.Status != stop(abi.SIGSTOP|abi.PTRACE_EVENT_STOP<<8) || listen != 0 ||
		ends.Status != stop(abi.SIGTRAP|abi.PTRACE_EVENT_STOP<<8) || killed.Status != abi.SIGKILL {
		t.Fatalf("%#x %#x %d %#x %#x", sent.Status, group.Status, listen, ends.Status, killed.Status)
	}
}

func TestTraceSignalSuppressed(t *testing.T) {
	w := newWorld(t)
	var sig WaitResult
	var end WaitResult
	w.run(func(g *guest) {
		pid := int32(g.fork(func(c *guest) {
			c.ptrace(abi.PTRACE_TRACEME, 0, 0, 0)
			c.call(func(t *Task) (uint64, error) { return 0, t.Kill(t.TID(), abi.SIGTERM) })
			c.exit(6)
		}))
		sig, _ = g.wait(pid, 0)
		g.ptrace(abi.PTRACE_CONT, pid, 0, 0)
		end, _ = g.wait(pid, 0)
	})
	if sig.Status != abi.SIGTERM<<8|0x7f || end.Status != 6<<8 {
		t.Fatalf("%#x %#x", sig.Status, end.Status)
	}
}

func TestTraceFork(t *testing.T) {
	w := newWorld(t)
	var ev WaitResult
	var msg uint64
	var child WaitResult
	w.run(func(g *guest) {
		pid := int32(g.fork(func(c *guest) {
			c.ptrace(abi.PTRACE_TRACEME, 0, 0, 0)
			c.call(func(t *Task) (uint64, error) { return 0, t.Kill(t.TID(), abi.SIGSTOP) })
			k := c.fork(func(n *guest) { n.exit(1) })
			c.wait(int32(k), 0)
		}))
		g.wait(pid, 0)
		g.ptrace(abi.PTRACE_SETOPTIONS, pid, 0, abi.PTRACE_O_TRACEFORK|abi.PTRACE_O_EXITKILL)
		g.ptrace(abi.PTRACE_CONT, pid, 0, 0)
		ev, _ = g.wait(pid, 0)
		g.call(func(t *Task) (uint64, error) {
			const at = stackTop - 64<<10
			_, err := t.Ptrace(abi.PTRACE_GETEVENTMSG, pid, 0, at)
			var b [8]byte
			_ = t.MM().CopyIn(at, b[:])
			msg = binary.LittleEndian.Uint64(b[:])
			return 0, err
		})
		child, _ = g.wait(int32(msg), 0)
		g.ptrace(abi.PTRACE_CONT, int32(msg), 0, 0)
		g.wait(int32(msg), 0)
		g.ptrace(abi.PTRACE_CONT, pid, 0, 0)
		for {
			r, _ := g.wait(pid, 0)
			if r.Code != abi.CLD_TRAPPED {
				break
			}
			g.ptrace(abi.PTRACE_CONT, pid, 0, 0)
		}
	})
	if ev.Status != (abi.SIGTRAP|abi.PTRACE_EVENT_FORK<<8)<<8|0x7f || msg != 3 || child.Status != abi.SIGSTOP<<8|0x7f {
		t.Fatalf("%#x msg %d child %#x", ev.Status, msg, child.Status)
	}
}

func TestSeccompActions(t *testing.T) {
	const nr = fakeCall + 1
	filter := func(ret uint32) []bpf.Insn {
		return []bpf.Insn{{Code: abi.BPF_LD | abi.BPF_W | abi.BPF_ABS, K: 0},
			{Code: abi.BPF_JMP | abi.BPF_JEQ | abi.BPF_K, JT: 0, JF: 1, K: nr},
			{Code: abi.BPF_RET | abi.BPF_K, K: ret},
			{Code: abi.BPF_RET | abi.BPF_K, K: abi.SECCOMP_RET_ALLOW}}
	}
	for _, c := range []struct {
		name   string
		ret    uint32
		errno  int64
		status int32
	}{
		{"allow", abi.SECCOMP_RET_ALLOW, -int64(abi.ENOSYS), 0},
		{"errno", abi.SECCOMP_RET_ERRNO | uint32(abi.EXDEV), -int64(abi.EXDEV), 0},
		{"kill", abi.SECCOMP_RET_KILL_PROCESS, 0, abi.SIGSYS},
		{"trap", abi.SECCOMP_RET_TRAP, 0, abi.SIGSYS},
		{"trace without tracer", abi.SECCOMP_RET_TRACE, -int64(abi.ENOSYS), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			var got int64
			var res WaitResult
			w.run(func(g *guest) {
				pid := g.fork(func(k *guest) {
					k.call(func(t *Task) (uint64, error) {
						p, err := bpf.Compile(filter(c.ret))
						if err != nil {
							return 0, err
						}
						_, err = t.AddSeccompFilter(SeccompProgram{Program: p}, false)
						return 0, err
					})
					got = k.syscall(nr)
				})
				res, _ = g.wait(int32(pid), 0)
			})
			if got != c.errno || res.Status != c.status {
				t.Fatalf("errno %d status %#x", got, res.Status)
			}
		})
	}
}
