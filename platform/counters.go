package platform

// Counter is one thing that a platform counts, or has now.
type Counter struct {
	Name  string
	Value uint64
}

// Counting is what a Platform also is when it counts what it does.
type Counting interface {
	// Counters returns the counters, in a fixed order. It may be called at any time.
	Counters() []Counter
}
