package trap

import (
	"time"

	"golang.org/x/sys/unix"
)

// An honest thread answers an interrupt as soon as the host lets it run. One whose
// program has spoilt its own handler may never do so, and nobody could kill its task. So
// whoever does not answer for watchLimit ticks loses his process.
const (
	watchTick  = 100 * time.Millisecond // trapPlatform.watchTick, but in tests
	watchLimit = 100                    // trapPlatform.watchLimit, but in tests
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
		time.Sleep(p.watchTick)
		p.mu.Lock()
		keep := p.watched[:0]
		for _, c := range p.watched {
			// First, so that an interrupt that we do not see puts it on the list again.
			c.watched.Store(false)
			if c.overdueLocked() && c.watched.CompareAndSwap(false, true) {
				keep = append(keep, c)
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
	if !c.asking.Load() && (!c.running.Load() || !c.interrupted.Load()) {
		return false
	}
	if n := c.switches.Load(); n != c.watchSwitches {
		c.watchSwitches, c.watchTicks = n, 0
	}
	c.watchTicks++
	if c.watchTicks < c.p.watchLimit {
		c.signal()
		return true
	}
	if t := c.target.Load(); t != 0 {
		tgkill(int32(t>>32), int32(t>>32), unix.SIGKILL)
	}
	return false
}
