package trap

import (
	"time"

	"golang.org/x/sys/unix"
)

// An honest thread answers an interrupt as soon as the host lets it run. One whose
// program has spoilt its own handler may never do so, and nobody could kill its task. So
// whoever does not answer for watchLimit ticks loses his process.
const (
	watchTick  = 100 * time.Millisecond
	watchLimit = 100
)

// watch sees to it that an interrupted context stops.
func (p *trapPlatform) watch(c *context) {
	if !c.watched.CompareAndSwap(false, true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = append(p.watched, c)
	c.watchSwitches, c.watchTicks = c.switches.Load(), 0
	if len(p.watched) == 1 {
		go p.watchdog()
	}
}

// watchdog ticks until nobody is watched.
func (p *trapPlatform) watchdog() {
	for {
		time.Sleep(watchTick)
		p.mu.Lock()
		keep := p.watched[:0]
		for _, c := range p.watched {
			if c.overdueLocked() {
				keep = append(keep, c)
			} else {
				c.watched.Store(false)
			}
		}
		clear(p.watched[len(keep):])
		p.watched = keep
		if len(keep) == 0 {
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
}

// overdueLocked says whether the context has yet to stop.
func (c *context) overdueLocked() bool {
	if !c.running.Load() || !c.interrupted.Load() || c.switches.Load() != c.watchSwitches {
		return false
	}
	c.watchTicks++
	if c.watchTicks < watchLimit {
		c.signal()
		return true
	}
	if t := c.target.Load(); t != 0 {
		tgkill(int32(t>>32), int32(t>>32), unix.SIGKILL)
	}
	return false
}
