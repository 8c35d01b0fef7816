package data

import "math"

// Bounds of what a packed file may unpack to, where all of it is held in memory. Pictures of digits take a fifth of their bytes
// packed, masks a fiftieth; what takes less than a two-hundredth, and is not small, was made to fill the memory.
const (
	maxRatio   = 200
	alwaysFits = 16 << 20
)

// mostUnpacked is how many bytes so many packed ones may stand for.
func mostUnpacked(packed int64) int64 {
	if packed > math.MaxInt64/maxRatio {
		return math.MaxInt64
	}
	return max(alwaysFits, maxRatio*packed)
}
