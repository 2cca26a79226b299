package kernel

import "lazaret/sentry/wait"

// What a task meets on its way to application code: bits of Container.gate, all 0 mostly.
const (
	gateFrozen    uint32 = 1 << iota // Freeze
	gateThrottled                    // the processor quota is used up
	gateIdle                         // nobody watches the quota
)

// Freeze stops the container's application code (the freezer of cgroups(7)): tasks that
// run it are interrupted, others stop before they return to it. Calls that sleep go on
// sleeping. A task that must die does so all the same.
func (c *Container) Freeze() {
	c.gate.Or(gateFrozen)
	c.interruptUsers()
}

// Frozen reports whether Freeze holds.
func (c *Container) Frozen() bool { return c.gate.Load()&gateFrozen != 0 }

// interruptUsers makes the tasks that run application code look at the gate.
func (c *Container) interruptUsers() {
	for _, t := range c.allTasks() {
		if t.inUser.Load() {
			t.pctx.Interrupt()
		}
	}
}

// Thaw ends Freeze.
func (c *Container) Thaw() {
	c.gate.And(^gateFrozen)
	c.gateQ.Notify(wait.All)
}

// allTasks returns the tasks that began in the container.
func (c *Container) allTasks() []*Task {
	c.k.tasksMu.RLock()
	defer c.k.tasksMu.RUnlock()
	var out []*Task
	for _, p := range c.k.RootPIDNS.byNumber {
		if t := p.task; t != nil && t.container == c {
			out = append(out, t)
		}
	}
	return out
}

// waitAtGate sleeps while the container may not run.
func (t *Task) waitAtGate() {
	c := t.container
	if c.gate.Load()&gateIdle != 0 {
		c.bandwidth.resume()
	}
	e := wait.Entry{Waiter: t, Mask: wait.All}
	c.gateQ.Add(&e)
	defer c.gateQ.Remove(&e)
	for c.gate.Load()&(gateFrozen|gateThrottled) != 0 && !t.KillPending() {
		t.park(noDeadline)
	}
}
