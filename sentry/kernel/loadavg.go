package kernel

import (
	"math"
	"sync"
	"sync/atomic"
)

// loadSampleNS is how far apart samples of the load are, as on Linux.
const loadSampleNS = 5_000_000_000

// loadPeriods are what the three averages are over, in nanoseconds.
var loadPeriods = [3]float64{60e9, 300e9, 900e9}

// loadAverage is the load of the sandbox (getloadavg(3)): how many tasks ran or wanted to.
// There is no timer: application code that enters the kernel takes the samples, whoever
// asks the last one. A sample is the processor time since the one before, in which time
// spent waiting for a processor of the host is contained.
type loadAverage struct {
	next atomic.Int64 // CLOCK_MONOTONIC of the next sample

	mu        sync.Mutex
	at, spent int64 // of the last sample: when, processor time until then
	averages  [3]float64
}

// sampleLoad takes a sample if one is due. No lock is held.
func (k *Kernel) sampleLoad(now int64) {
	if l := &k.load; now < l.next.Load() || !l.mu.TryLock() {
		return
	}
	k.addSampleLocked(now)
	k.load.mu.Unlock()
}

func (k *Kernel) addSampleLocked(now int64) {
	l := &k.load
	l.next.Store(now + loadSampleNS)
	spent := int64(0)
	for _, tg := range k.Groups(k.RootPIDNS) {
		u, s, cu, cs := tg.CPUTimes()
		spent += u + s + cu + cs
	}
	if l.at != 0 {
		l.advanceLocked(now-l.at, spent-l.spent)
	}
	l.at, l.spent = now, spent
}

// advanceLocked takes in that tasks ran for spent nanoseconds in the last passed ones.
func (l *loadAverage) advanceLocked(passed, spent int64) {
	if passed <= 0 {
		return
	}
	// What processes that nobody waits for had used is gone when they are.
	active := float64(max(spent, 0)) / float64(passed)
	for i, period := range loadPeriods {
		keep := math.Exp(-float64(passed) / period)
		l.averages[i] = l.averages[i]*keep + active*(1-keep)
	}
}

// LoadAverages returns the load over the last 1, 5 and 15 minutes.
func (k *Kernel) LoadAverages() [3]float64 {
	now := nowNS()
	k.load.mu.Lock()
	defer k.load.mu.Unlock()
	if now-k.load.at >= loadSampleNS/5 {
		k.addSampleLocked(now)
	}
	return k.load.averages
}
