package trap

// How often each side looks at the other's word before it sleeps.
const (
	hostSpin   = 200
	stubSpin   = 200
	answerSpin = 200
)

// spinUntil looks up to n times whether *p has become want. It is not preempted, so n is
// what a garbage collection may have to wait for.
//
//go:noescape
func spinUntil(p *uint32, want uint32, n int) bool
