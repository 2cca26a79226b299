//go:build amd64

package kernel

import (
	"testing"

	"lazaret/syscalls/abi"
)

type fakeTTY struct{ gone chan struct{} }

func (*fakeTTY) Device() (uint32, uint32) { return 136, 0 }
func (f *fakeTTY) LeaderExited()          { close(f.gone) }

func TestJobControl(t *testing.T) {
	w := newWorld(t)
	tty := &fakeTTY{make(chan struct{})}
	var stopped, resumed WaitResult
	var fg int64
	w.run(func(g *guest) {
		shell := int32(g.fork(func(s *guest) {
			s.call(func(t *Task) (uint64, error) {
				_, err := t.Setsid()
				if err == nil {
					err = t.SetControllingTTY(tty, false)
				}
				return 0, err
			})
			job := int32(s.fork(func(j *guest) {
				j.call(func(t *Task) (uint64, error) { return 0, t.Setpgid(0, 0) })
				for j.call(func(t *Task) (uint64, error) { return 1, t.CheckBackground(tty, abi.SIGTTIN) }) != 1 {
				}
				j.exit(8)
			}))
			stopped, _ = s.wait(job, abi.WUNTRACED)
			s.call(func(t *Task) (uint64, error) { return 0, t.SetForegroundPGID(tty, job) })
			fg = s.call(func(t *Task) (uint64, error) { p, err := t.ForegroundPGID(tty, false); return uint64(p - job), err })
			s.kill(-job, abi.SIGCONT)
			resumed, _ = s.wait(job, 0)
		}))
		g.wait(shell, 0)
	})
	if stopped.Status != abi.SIGTTIN<<8|0x7f || resumed.Status != 8<<8 || fg != 0 {
		t.Fatalf("%#x %#x fg %d", stopped.Status, resumed.Status, fg)
	}
	<-tty.gone
}

// A stopped member of a group that becomes orphaned gets SIGHUP and SIGCONT.
func TestOrphanedGroup(t *testing.T) {
	w := newWorld(t)
	var end WaitResult
	w.run(func(g *guest) {
		sess := int32(g.fork(func(s *guest) {
			s.call(func(t *Task) (uint64, error) { p, err := t.Setsid(); return uint64(p), err })
			job := int32(s.fork(func(j *guest) {
				j.call(func(t *Task) (uint64, error) { return 0, t.Setpgid(0, 0) })
				j.call(func(t *Task) (uint64, error) { return 0, t.Kill(t.TID(), abi.SIGSTOP) })
				j.loop()
			}))
			s.wait(job, abi.WUNTRACED)
		}))
		g.wait(sess, 0)
		end, _ = g.wait(-1, 0)
	})
	if end.Status != abi.SIGHUP {
		t.Fatalf("%#x", end.Status)
	}
}

func TestSubreaperAndPDeathSig(t *testing.T) {
	w := newWorld(t)
	var got WaitResult
	w.run(func(g *guest) {
		sub := int32(g.fork(func(s *guest) {
			s.call(func(t *Task) (uint64, error) { t.tg.SetSubReaper(true); return 0, nil })
			mid := int32(s.fork(func(m *guest) {
				m.fork(func(c *guest) {
					c.call(func(t *Task) (uint64, error) { return 0, t.SetPDeathSig(abi.SIGUSR1) })
					c.loop()
				})
				m.sleep(3e7)
			}))
			s.wait(mid, 0)
			got, _ = s.wait(-1, 0)
		}))
		g.wait(sub, 0)
	})
	if got.Status != abi.SIGUSR1 {
		t.Fatalf("%+v", got)
	}
}

func TestPIDNamespaceNested(t *testing.T) {
	w := newWorld(t)
	var inner, outer int64
	var st WaitResult
	w.run(func(g *guest) {
		outer = g.clone(CloneArgs{Flags: abi.CLONE_NEWPID, ExitSignal: abi.SIGCHLD}, func(c *guest) {
			inner = c.call(func(t *Task) (uint64, error) { return uint64(t.TID()), nil })
			c.fork(func(k *guest) { k.loop() })
			c.exit(2)
		})
		st, _ = g.wait(int32(outer), 0)
	})
	if inner != 1 || outer != 2 || st.Status != 2<<8 || w.tasksLeft() != 0 {
		t.Fatalf("inner %d outer %d %+v, %d tasks", inner, outer, st, w.k.TaskCount())
	}
}

func TestCloneFlagErrors(t *testing.T) {
	w := newWorld(t)
	w.run(func(g *guest) {
		for name, f := range map[string]uint64{
			"thread without sighand": abi.CLONE_THREAD,
			"sighand without vm":     abi.CLONE_SIGHAND,
			"newns and fs":           abi.CLONE_NEWNS | abi.CLONE_FS,
			"sighand and clear":      abi.CLONE_VM | abi.CLONE_SIGHAND | abi.CLONE_CLEAR_SIGHAND,
			"newpid thread":          threadFlags | abi.CLONE_NEWPID,
			"init as sibling":        abi.CLONE_PARENT,
		} {
			if r := g.clone(CloneArgs{Flags: f, ExitSignal: abi.SIGCHLD}, func(c *guest) { c.exit(0) }); r != -int64(abi.EINVAL) {
				t.Errorf("%s: %d", name, r)
			}
		}
	})
}

func TestIgnoredChildIsReaped(t *testing.T) {
	w := newWorld(t)
	var errno int64
	w.run(func(g *guest) {
		g.sigaction(abi.SIGCHLD, abi.Sigaction{Handler: abi.SIG_IGN})
		g.fork(func(c *guest) { c.exit(0) })
		_, errno = g.wait(-1, 0)
	})
	if errno != -int64(abi.ECHILD) {
		t.Fatalf("%d", errno)
	}
}

// A soft limit of 0 is passed at the first look, and moves on to 1.
func TestCPUTimeLimitZero(t *testing.T) {
	w := newWorld(t)
	var res WaitResult
	var soft uint64
	w.run(func(g *guest) {
		pid := g.fork(func(c *guest) {
			c.handle(abi.SIGXCPU, 0, func(c *guest, _ int) {
				c.call(func(t *Task) (uint64, error) {
					l, err := t.Prlimit(0, abi.RLIMIT_CPU, nil)
					soft = l.Cur
					t.ExitGroup(7)
					return 0, err
				})
			})
			c.call(func(t *Task) (uint64, error) {
				_, err := t.Prlimit(0, abi.RLIMIT_CPU, &abi.Rlimit{Cur: 0, Max: 1})
				return 0, err
			})
			c.loop()
		})
		res, _ = g.wait(int32(pid), 0)
	})
	if res.Status != 7<<8 || soft != 1 {
		t.Fatalf("%+v, soft limit %d", res, soft)
	}
}

func TestCPUTimeLimit(t *testing.T) {
	w := newWorld(t)
	var res WaitResult
	w.run(func(g *guest) {
		pid := g.fork(func(c *guest) {
			c.call(func(t *Task) (uint64, error) {
				_, err := t.Prlimit(0, abi.RLIMIT_CPU, &abi.Rlimit{Cur: 1, Max: 2})
				return 0, err
			})
			c.loop()
		})
		res, _ = g.wait(int32(pid), 0)
	})
	if res.Status != abi.SIGXCPU || res.Usage.Utime.Sec != 1 {
		t.Fatalf("%+v", res)
	}
}
