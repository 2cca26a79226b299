//go:build !race

package trap

const raceDetector = false
