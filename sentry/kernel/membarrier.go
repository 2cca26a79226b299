package kernel

import (
	"time"

	"lazaret/sentry/mm"
)

// barrierPoll is how often Barrier looks whether a thread has left application code.
const barrierPoll = 50 * time.Microsecond

// runningTask is a task in application code, and since when.
type runningTask struct {
	t     *Task
	since int64
}

// BarrierOthers returns when every other thread of the process that ran application code
// has left it once, which is a full barrier and serializes the processor (membarrier(2)).
func (t *Task) BarrierOthers() { t.awaitBarrier(t.tg.interruptForBarrier(nil, t)) }

// BarrierAll is BarrierOthers for every process of the sandbox.
func (t *Task) BarrierAll() {
	t.k.tasksMu.RLock()
	var rs []runningTask
	for _, p := range t.k.RootPIDNS.byNumber {
		if p.group != nil {
			rs = p.group.interruptForBarrier(rs, t)
		}
	}
	t.k.tasksMu.RUnlock()
	t.awaitBarrier(rs)
}

// AwaitUserExit implements mm.Barrier.
func (k *Kernel) AwaitUserExit(m *mm.MM) {
	k.tasksMu.RLock()
	var rs []runningTask
	for _, p := range k.RootPIDNS.byNumber {
		if p.group != nil {
			rs = p.group.interruptForBarrier(rs, nil)
		}
	}
	k.tasksMu.RUnlock()
	for _, r := range rs {
		for r.t.mm.Load() == m && r.t.acct.userSince.Load() == r.since {
			time.Sleep(barrierPoll)
		}
	}
}

// interruptForBarrier interrupts the tasks that run application code and adds them to rs.
func (tg *ThreadGroup) interruptForBarrier(rs []runningTask, but *Task) []runningTask {
	// Under sigMu, so that none of them can have released its context.
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	for _, o := range tg.tasks {
		if since := o.acct.userSince.Load(); o != but && since != 0 && o.inUser.Load() {
			o.pctx.Interrupt()
			rs = append(rs, runningTask{o, since})
		}
	}
	return rs
}

func (t *Task) awaitBarrier(rs []runningTask) {
	for _, r := range rs {
		for r.t.acct.userSince.Load() == r.since && !t.KillPending() {
			time.Sleep(barrierPoll)
		}
	}
}
