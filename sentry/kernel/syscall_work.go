package kernel

// syscallWork reports whether a system call needs more than being run: filters or a
// tracer.
func (t *Task) syscallWork() bool {
	return t.seccompMode.Load() != 0 || t.ptraced.Load()
}

// syscallEnter does what comes before a system call: the tracer's entry stop, then the
// filters. It may change number and arguments; false means that the call must not run.
func (t *Task) syscallEnter(nr *uint64) bool {
	if t.ptraced.Load() {
		if !t.traceSyscallEnter() {
			return false
		}
		*nr, t.args = t.regs.SyscallNo(), t.regs.SyscallArgs()
	}
	t.syscallNr = *nr
	if t.seccompMode.Load() != 0 {
		if !t.seccompCheck(*nr, (*[6]uint64)(&t.args)) {
			return false
		}
		*nr, t.args = t.regs.SyscallNo(), t.regs.SyscallArgs()
		t.syscallNr = *nr
	}
	// A tracer that stores -1 cancels the call; the result is what it left.
	return int64(*nr) != -1
}

// syscallLeave does what comes after: the tracer's exit stop.
func (t *Task) syscallLeave() {
	if t.ptraced.Load() {
		t.traceSyscallExit()
	}
}
