package trap

// How often the Sentry and a thread look at each other's word before they sleep, when
// they are on different processors: about as long as it takes to wake one up.
const (
	hostSpin = 1500
	stubSpin = 1500
)

// spinUntil looks up to n times whether *p has become want. It is not preempted, so n is
// what a garbage collection may have to wait for.
//
//go:noescape
func spinUntil(p *uint32, want uint32, n int) bool
