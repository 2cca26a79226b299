package kernel

import "lazaret/sentry/wait"

// Freeze stops the container's application code (the freezer of cgroups(7)): tasks that
// run it are interrupted, others stop before they return to it. Calls that sleep go on
// sleeping. A task that must die does so all the same.
func (c *Container) Freeze() {
	c.frozen.Store(true)
	for _, t := range c.allTasks() {
		if t.inUser.Load() {
			t.pctx.Interrupt()
		}
	}
}

// Thaw ends Freeze.
func (c *Container) Thaw() {
	c.frozen.Store(false)
	c.thawQ.Notify(wait.All)
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

// stayFrozen sleeps while the container is frozen.
func (t *Task) stayFrozen() {
	c := t.container
	e := wait.Entry{Waiter: t, Mask: wait.All}
	c.thawQ.Add(&e)
	defer c.thawQ.Remove(&e)
	for c.frozen.Load() && !t.KillPending() {
		t.park(noDeadline)
	}
}
