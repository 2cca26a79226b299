package kernel

import "lazaret/platform"

// completeFault returns what the platform knows: signal frames have no more here.
func (t *Task) completeFault(ev *platform.Event, _, _ int32) (trap, errCode uint64) {
	return ev.TrapNo, ev.ErrCode
}
