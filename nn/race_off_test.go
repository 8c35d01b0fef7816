//go:build !race

package nn

// raceDetector says that the race detector, which allocates, is on.
const raceDetector = false
