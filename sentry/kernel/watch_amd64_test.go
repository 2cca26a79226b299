package kernel

import (
	"testing"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

func TestDebugRegisters(t *testing.T) {
	w := newWorld(t)
	w.run(func(g *guest) {
		g.call(func(task *Task) (uint64, error) {
			const at = stackTop - 4096
			for _, c := range []struct {
				n, v uint64
				want error
			}{
				{0, taskSizeMax, abi.EINVAL}, {4, 1, abi.EIO}, {0, at + 1, nil},
				{7, 1 | 0b1101<<16, abi.EINVAL}, // 8 bytes at an odd address
				{0, at, nil}, {7, 1 | 0b0010<<16, abi.EINVAL}, {7, 1 | 0b1100<<16, abi.EINVAL},
				{7, 1 | 0b1101<<16, nil}, {6, 0, nil},
			} {
				if err := task.setDebugReg(c.n, c.v); err != c.want {
					t.Errorf("register %d = %#x: %v, want %v", c.n, c.v, err, c.want)
				}
			}
			step := func(write uint64) (platform.Event, bool) {
				task.beginWatch()
				if !task.singleStep() {
					t.Error("no trap flag")
				}
				_ = task.putWord(at, write)
				ev := platform.Event{Kind: platform.EventException, Signal: abi.SIGTRAP, Code: abi.TRAP_TRACE}
				done := task.endWatch(&ev)
				if task.singleStep() {
					t.Error("the trap flag stays")
				}
				return ev, done
			}
			if _, done := step(0); !done {
				t.Error("a step without a change is reported")
			}
			if ev, done := step(5); done || ev.Code != abi.TRAP_HWBKPT || task.debugReg(6) != dr6Reserved|1 {
				t.Errorf("a change: %v %+v %#x", done, ev, task.debugReg(6))
			}
			task.watch = watchState{}
			task.beginWatch()
			if task.singleStep() {
				t.Error("steps without a watch")
			}
			return 0, nil
		})
	})
}
