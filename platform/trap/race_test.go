//go:build race

package trap

// The race detector's runtime opens /proc/self/maps when threads start.
const raceDetector = true
