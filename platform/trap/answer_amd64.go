package trap

// The gate has answers to some calls in the thread's slot. The application can change
// them, and so what its own calls return.

// SetAnswer implements platform.Answerer.
func (c *context) SetAnswer(nr uint64, v uint32) {
	if nr < numLocal && v != ^uint32(0) && c.thread != nil {
		c.thread.slot.put32(slotLocal+4*int(nr), v+1)
	}
}

// ClearAnswers implements platform.Answerer.
func (c *context) ClearAnswers() {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	// The slot of a dead thread may be somebody else's.
	if t := c.answering; t != nil && !t.dead.Load() {
		t.clearAnswers()
	}
}

// setAnswering says whose answers ClearAnswers clears.
func (c *context) setAnswering(t *stubThread) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.answering = t
}

// clearAnswers makes the gate hand over all calls again.
func (t *stubThread) clearAnswers() {
	for nr := range numLocal {
		t.slot.put32(slotLocal+4*nr, 0)
	}
}
