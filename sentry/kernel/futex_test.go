//go:build amd64

package kernel

import (
	"sync/atomic"
	"testing"
	"time"

	"lazaret/sentry/kernel/futex"
	"lazaret/syscalls/abi"
)

const word = stackTop - 128<<10

// sharedThreads runs a process with n threads that all run f.
func sharedThreads(g *guest, n int, f func(g *guest, i int)) {
	for i := range n {
		g.clone(CloneArgs{Flags: threadFlags}, func(th *guest) {
			f(th, i)
			th.call(func(t *Task) (uint64, error) { t.Exit(0); return 0, nil })
		})
	}
}

func (g *guest) threads() int64 {
	return g.call(func(t *Task) (uint64, error) { return uint64(len(t.tg.Tasks())), nil })
}

func (g *guest) sleep(ns int64) {
	g.call(func(t *Task) (uint64, error) { return 0, t.Nanosleep(abi.CLOCK_MONOTONIC, ns, false, 0) })
}

func TestFutexWakeRequeue(t *testing.T) {
	w := newWorld(t)
	var again, timeout, moved, woken int64
	w.run(func(g *guest) {
		wait := func(addr abi.Addr, val uint32, d time.Time) int64 {
			return g.call(func(t *Task) (uint64, error) {
				return 0, t.FutexWait(addr, false, val, futex.MatchAny, d)
			})
		}
		again = wait(word, 5, time.Time{})
		timeout = wait(word, 0, time.Now().Add(5*time.Millisecond))
		sharedThreads(g, 4, func(th *guest, i int) {
			th.call(func(t *Task) (uint64, error) { return 0, t.FutexWait(word, false, 0, futex.MatchAny, time.Time{}) })
		})
		for moved != 4 {
			g.sleep(1e6)
			moved += g.call(func(t *Task) (uint64, error) {
				n, err := t.k.Futexes.Requeue(t.MM(), word, word+64, false, 0, 4, nil)
				return uint64(n), err
			})
		}
		woken = g.call(func(t *Task) (uint64, error) {
			n, err := t.k.Futexes.Wake(t.MM(), word+64, false, 3, futex.MatchAny)
			return uint64(n), err
		})
		woken += 10 * g.call(func(t *Task) (uint64, error) {
			n, err := t.k.Futexes.WakeOp(t.MM(), word+128, word+64, false, 1, 1, abi.FUTEX_OP_ADD<<28|abi.FUTEX_OP_CMP_EQ<<24|7<<12)
			return uint64(n), err
		})
		for g.threads() > 1 {
			g.sleep(1e6)
		}
	})
	if again != -int64(abi.EAGAIN) || timeout != -int64(abi.ETIMEDOUT) || moved != 4 || woken != 13 {
		t.Fatalf("%d %d moved %d woken %d", again, timeout, moved, woken)
	}
}

// Threads that lock and unlock a PI futex exclude each other.
func TestFutexPI(t *testing.T) {
	w := newWorld(t)
	var inside, worst, done atomic.Int32
	w.run(func(g *guest) {
		sharedThreads(g, 4, func(th *guest, i int) {
			for range 20 {
				th.call(func(t *Task) (uint64, error) {
					return 0, t.k.Futexes.LockPI(t, t.FutexWaiter(), t.MM(), word, false, false, time.Time{})
				})
				worst.Store(max(worst.Load(), inside.Add(1)))
				th.sleep(1e4)
				inside.Add(-1)
				th.call(func(t *Task) (uint64, error) { return 0, t.k.Futexes.UnlockPI(t, t.MM(), word, false) })
			}
			done.Add(1)
		})
		for g.threads() > 1 {
			g.sleep(1e6)
		}
	})
	if worst.Load() != 1 || done.Load() != 4 {
		t.Fatalf("%d inside at once, %d done", worst.Load(), done.Load())
	}
}

// The owner of a robust futex dies: the word says so, and the waiter is woken.
func TestRobustList(t *testing.T) {
	w := newWorld(t)
	var value uint32
	w.run(func(g *guest) {
		const head, entry = word + 256, word + 320
		g.clone(CloneArgs{Flags: threadFlags}, func(th *guest) {
			th.call(func(t *Task) (uint64, error) {
				var b [24]byte
				putU64(b[:], entry)
				putU64(b[8:], 16)
				_ = t.MM().CopyOut(head, b[:])
				putU64(b[:], head)
				_ = t.MM().CopyOut(entry, b[:8])
				_ = t.MM().StoreU32(entry+16, t.FutexTID()|abi.FUTEX_WAITERS)
				t.SetRobustList(head)
				return 0, nil
			})
			th.sleep(2e7)
			th.call(func(t *Task) (uint64, error) { t.Exit(0); return 0, nil })
		})
		g.sleep(5e6)
		g.call(func(t *Task) (uint64, error) {
			v, _ := t.MM().LoadU32(entry + 16)
			return 0, t.FutexWait(entry+16, true, v, futex.MatchAny, time.Time{})
		})
		g.call(func(t *Task) (uint64, error) {
			value, _ = t.MM().LoadU32(entry + 16)
			return 0, nil
		})
	})
	if value != abi.FUTEX_OWNER_DIED|abi.FUTEX_WAITERS {
		t.Fatalf("word %#x", value)
	}
}
