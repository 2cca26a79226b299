//go:build amd64

package kernel

import (
	"sync/atomic"
	"testing"
	"time"

	"lazaret/sentry/kernel/clock"
	"lazaret/syscalls/abi"
)

func TestExitStatus(t *testing.T) {
	w := newWorld(t)
	if st := w.run(func(g *guest) { g.exit(42) }); st != 42<<8 {
		t.Fatalf("status %#x", st)
	}
	if n := w.tasksLeft(); n != 0 {
		t.Fatalf("%d tasks left", n)
	}
}

func TestForkWait(t *testing.T) {
	w := newWorld(t)
	var res WaitResult
	var pid, none, echild int64
	w.run(func(g *guest) {
		pid = g.fork(func(c *guest) {
			c.call(func(t *Task) (uint64, error) { return 0, t.Nanosleep(abi.CLOCK_MONOTONIC, 2e7, false, 0) })
			c.exit(7)
		})
		_, none = g.wait(-1, abi.WNOHANG)
		res, _ = g.wait(int32(pid), 0)
		_, echild = g.wait(-1, 0)
	})
	if pid != 2 || res.PID != 2 || res.Status != 7<<8 || res.Code != abi.CLD_EXITED {
		t.Fatalf("pid %d result %+v", pid, res)
	}
	if none != 0 || echild != -int64(abi.ECHILD) {
		t.Fatalf("WNOHANG %d, no children %d", none, echild)
	}
	if n := w.tasksLeft(); n != 0 {
		t.Fatalf("%d tasks left", n)
	}
}

func TestKillSpinningChild(t *testing.T) {
	w := newWorld(t)
	var res WaitResult
	w.run(func(g *guest) {
		pid := g.fork(func(c *guest) { c.loop() })
		g.kill(int32(pid), abi.SIGTERM)
		res, _ = g.wait(int32(pid), 0)
	})
	if res.Status != abi.SIGTERM || res.Code != abi.CLD_KILLED {
		t.Fatalf("%+v", res)
	}
}

func TestStopContinue(t *testing.T) {
	w := newWorld(t)
	var stopped, continued, killed WaitResult
	w.run(func(g *guest) {
		pid := int32(g.fork(func(c *guest) { c.loop() }))
		g.kill(pid, abi.SIGSTOP)
		stopped, _ = g.wait(pid, abi.WUNTRACED)
		g.kill(pid, abi.SIGCONT)
		continued, _ = g.wait(pid, abi.WCONTINUED)
		g.kill(pid, abi.SIGKILL)
		killed, _ = g.wait(pid, 0)
	})
	if stopped.Status != abi.SIGSTOP<<8|0x7f || continued.Status != 0xffff || killed.Status != abi.SIGKILL {
		t.Fatalf("%#x %#x %#x", stopped.Status, continued.Status, killed.Status)
	}
}

func TestHandlerAndRestart(t *testing.T) {
	for _, c := range []struct {
		name    string
		flags   uint64
		restart bool
	}{{"EINTR", 0, false}, {"SA_RESTART", abi.SA_RESTART, true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			var ran atomic.Int32
			var tries atomic.Int32
			var ret int64
			w.run(func(g *guest) {
				g.handle(abi.SIGUSR1, c.flags, func(_ *guest, sig int) { ran.Store(int32(sig)) })
				g.fork(func(k *guest) {
					k.call(func(t *Task) (uint64, error) { return 0, t.Nanosleep(abi.CLOCK_MONOTONIC, 3e7, false, 0) })
					k.kill(1, abi.SIGUSR1)
				})
				ret = g.call(func(t *Task) (uint64, error) {
					if tries.Add(1) == 2 {
						return 99, nil
					}
					return 0, t.Sleep(time.Time{})
				})
			})
			if ran.Load() != abi.SIGUSR1 {
				t.Fatal("handler did not run")
			}
			if c.restart && ret != 99 || !c.restart && ret != -int64(abi.EINTR) {
				t.Fatalf("result %d after %d tries", ret, tries.Load())
			}
		})
	}
}

func TestNanosleepRestartBlock(t *testing.T) {
	w := newWorld(t)
	var ret int64
	var took time.Duration
	w.run(func(g *guest) {
		pid := g.fork(func(c *guest) {
			start := time.Now()
			ret = c.call(func(t *Task) (uint64, error) { return 0, t.Nanosleep(abi.CLOCK_MONOTONIC, 2e8, false, 0) })
			took = time.Since(start)
		})
		g.call(func(t *Task) (uint64, error) { return 0, t.Nanosleep(abi.CLOCK_MONOTONIC, 5e7, false, 0) })
		g.kill(int32(pid), abi.SIGSTOP)
		g.wait(int32(pid), abi.WUNTRACED)
		g.kill(int32(pid), abi.SIGCONT)
		g.wait(int32(pid), 0)
	})
	if ret != 0 || took < 190*time.Millisecond {
		t.Fatalf("ret %d after %v", ret, took)
	}
}

func TestInitIgnoresOwnSignals(t *testing.T) {
	w := newWorld(t)
	task := w.process(func(g *guest) {
		g.kill(1, abi.SIGKILL)
		g.kill(1, abi.SIGTERM)
		g.exit(3)
	})
	task.Start()
	if st := w.waitExit(task.tg); st != 3<<8 {
		t.Fatalf("status %#x", st)
	}
}

func TestOutsideKillsInitAndNamespace(t *testing.T) {
	w := newWorld(t)
	task := w.process(func(g *guest) {
		g.fork(func(c *guest) { c.loop() })
		g.fork(func(c *guest) { c.loop() })
		g.loop()
	})
	task.Start()
	for w.c.Tasks() < 3 {
		time.Sleep(time.Millisecond)
	}
	if err := w.k.SignalOutside(w.c.PIDNS(), 1, abi.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if st := w.waitExit(task.tg); st != abi.SIGKILL {
		t.Fatalf("status %#x", st)
	}
	if n := w.tasksLeft(); n != 0 {
		t.Fatalf("%d tasks left", n)
	}
}

func TestReparentToInit(t *testing.T) {
	w := newWorld(t)
	var ppid atomic.Int32
	var reaped WaitResult
	w.run(func(g *guest) {
		mid := g.fork(func(m *guest) {
			m.fork(func(c *guest) {
				for ppid.Load() != 1 {
					c.call(func(t *Task) (uint64, error) {
						ppid.Store(t.tg.ParentIn(t.PIDNS()))
						return 0, t.Nanosleep(abi.CLOCK_MONOTONIC, 1e6, false, 0)
					})
				}
				c.exit(9)
			})
		})
		g.wait(int32(mid), 0)
		reaped, _ = g.wait(-1, 0)
	})
	if reaped.Status != 9<<8 || reaped.PID != 3 {
		t.Fatalf("%+v", reaped)
	}
}

const threadFlags = abi.CLONE_VM | abi.CLONE_FS | abi.CLONE_FILES | abi.CLONE_SIGHAND | abi.CLONE_THREAD

func TestExecInThread(t *testing.T) {
	w := newWorld(t)
	var tid, pid int64
	st := w.run(func(g *guest) {
		child := g.fork(func(c *guest) {
			c.clone(CloneArgs{Flags: threadFlags}, func(th *guest) {
				tid = th.call(func(t *Task) (uint64, error) { return uint64(t.TID()), nil })
				th.call(func(t *Task) (uint64, error) {
					img := w.image(func(n *guest) {
						pid = n.call(func(t *Task) (uint64, error) { return uint64(t.TID()), nil })
						n.exit(5)
					}, t.Creds())
					err := t.Exec(img)
					t.regs.R12 = 1 << 40 // a new program for the fake platform
					return 0, err
				})
			})
			c.loop()
		})
		res, _ := g.wait(int32(child), 0)
		g.exit(res.Status >> 8)
	})
	if st != 5<<8 || tid != 3 || pid != 2 {
		t.Fatalf("status %#x tid %d pid %d", st, tid, pid)
	}
}

func TestExitGroupEndsThreads(t *testing.T) {
	w := newWorld(t)
	st := w.run(func(g *guest) {
		for range 5 {
			g.clone(CloneArgs{Flags: threadFlags}, func(th *guest) { th.loop() })
		}
		g.clone(CloneArgs{Flags: threadFlags}, func(th *guest) { th.exit(11) })
		g.loop()
	})
	if st != 11<<8 || w.tasksLeft() != 0 {
		t.Fatalf("status %#x, %d tasks", st, w.k.TaskCount())
	}
}

func TestVforkWaits(t *testing.T) {
	w := newWorld(t)
	var order atomic.Int32
	w.run(func(g *guest) {
		g.clone(CloneArgs{Flags: abi.CLONE_VM | abi.CLONE_VFORK, ExitSignal: abi.SIGCHLD}, func(c *guest) {
			c.call(func(t *Task) (uint64, error) { return 0, t.Nanosleep(abi.CLOCK_MONOTONIC, 3e7, false, 0) })
			order.CompareAndSwap(0, 1)
			c.exit(0)
		})
		order.CompareAndSwap(0, 2)
	})
	if order.Load() != 1 {
		t.Fatal("the parent ran before the child had exited")
	}
}

func TestItimerReal(t *testing.T) {
	w := newWorld(t)
	var n atomic.Int32
	w.run(func(g *guest) {
		g.handle(abi.SIGALRM, 0, func(*guest, int) { n.Add(1) })
		g.call(func(t *Task) (uint64, error) {
			_, err := t.Setitimer(abi.ITIMER_REAL, clock.Setting{LeftNS: 1e7, IntervalNS: 1e7})
			return 0, err
		})
		for n.Load() < 3 {
			g.call(func(t *Task) (uint64, error) { return 0, t.Pause() })
		}
	})
}

func TestSigTimedWait(t *testing.T) {
	w := newWorld(t)
	var info abi.Siginfo
	var timeout int64
	w.run(func(g *guest) {
		g.call(func(t *Task) (uint64, error) {
			_, err := t.SetMask(abi.SIG_BLOCK, abi.SigBit(40)|abi.SigBit(abi.SIGUSR2))
			return 0, err
		})
		timeout = g.call(func(t *Task) (uint64, error) {
			_, err := t.SigTimedWait(abi.SigBit(abi.SIGUSR2), time.Now().Add(10*time.Millisecond))
			return 0, err
		})
		g.fork(func(c *guest) {
			c.call(func(t *Task) (uint64, error) {
				i := abi.Siginfo{Code: abi.SI_QUEUE}
				i.SetValue(77)
				return 0, t.SigQueueInfo(1, 40, &i)
			})
		})
		g.call(func(t *Task) (uint64, error) {
			var err error
			info, err = t.SigTimedWait(abi.SigBit(40), time.Time{})
			return 0, err
		})
	})
	if timeout != -int64(abi.EAGAIN) || info.Signo != 40 || info.Value() != 77 || info.Code != abi.SI_QUEUE {
		t.Fatalf("timeout %d info %+v", timeout, info)
	}
}

func TestSetsidRules(t *testing.T) {
	w := newWorld(t)
	var leader, child, again int64
	w.run(func(g *guest) {
		leader = g.call(func(t *Task) (uint64, error) { s, err := t.Setsid(); return uint64(s), err })
		pid := g.fork(func(c *guest) {
			child = c.call(func(t *Task) (uint64, error) { s, err := t.Setsid(); return uint64(s), err })
			again = c.call(func(t *Task) (uint64, error) { return 0, t.Setpgid(0, 0) })
		})
		g.wait(int32(pid), 0)
	})
	if leader != -int64(abi.EPERM) || child != 2 || again != -int64(abi.EPERM) {
		t.Fatalf("%d %d %d", leader, child, again)
	}
}

func TestPidsLimit(t *testing.T) {
	w := newWorld(t)
	w.c.SetMaxTasks(2)
	var first, second int64
	w.run(func(g *guest) {
		first = g.fork(func(c *guest) { c.loop() })
		second = g.fork(func(c *guest) {})
	})
	if first != 2 || second != -int64(abi.EAGAIN) || w.tasksLeft() != 0 {
		t.Fatalf("%d %d, %d tasks", first, second, w.k.TaskCount())
	}
}

// No alarm is lost between the arming of a one-shot timer and the wait for it.
func TestItimerOnceWithSuspend(t *testing.T) {
	w := newWorld(t)
	var n atomic.Int32
	w.run(func(g *guest) {
		g.handle(abi.SIGALRM, 0, func(*guest, int) { n.Add(1) })
		g.call(func(t *Task) (uint64, error) {
			_, err := t.SetMask(abi.SIG_BLOCK, abi.SigBit(abi.SIGALRM))
			return 0, err
		})
		for i := range 200 {
			g.call(func(t *Task) (uint64, error) {
				_, err := t.Setitimer(abi.ITIMER_REAL, clock.Setting{LeftNS: int64(i) * 5000})
				return 0, err
			})
			if i > 0 {
				g.call(func(t *Task) (uint64, error) { return 0, t.SigSuspend(0) })
			}
		}
	})
	if n.Load() != 199 {
		t.Fatalf("%d alarms", n.Load())
	}
}
