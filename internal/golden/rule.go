package golden

import (
	"hash/crc32"
	"math"
	"strings"

	"github.com/langevin-go/langevin/internal/safetensors"
)

// Uniform is n numbers in [0,1), multiples of 2⁻²⁴, that belong to a name: those of features.py's rule, by which both sides
// make weights and pictures that no file holds.
func Uniform(name string, n int) []float64 {
	out := make([]float64, n)
	base := uint64(crc32.ChecksumIEEE([]byte(name))) << 32
	for i := range out {
		z := base + uint64(i) + 0x9E3779B97F4A7C15
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		out[i] = float64(z>>40) / (1 << 24)
	}
	return out
}

// Weights are the numbers of the tensor of a name, middle + reach·(2u−1).
func Weights(name string, n int, middle, reach float64) []float32 {
	out := make([]float32, n)
	for i, u := range Uniform(name, n) {
		out[i] = float32(middle + float64(reach*float64(2*u-1)))
	}
	return out
}

// Pictures are bytes (N,H,W,3), of which the upper quarter of rows is a ramp.
func Pictures(name string, n, h, w int) []uint8 {
	out := make([]uint8, n*h*w*3)
	for i, u := range Uniform(name, len(out)) {
		out[i] = uint8(256 * u)
		if x, y := i/3%w, i/(3*w)%h; y < h/4 {
			out[i] = uint8(255 * float64(x) / float64(max(1, w-1)))
		}
	}
	return out
}

// Ruled are tensors of the given shapes whose numbers are made by the rule, by what their names say they are.
func Ruled(shapes map[string][]int) []safetensors.Entry {
	var entries []safetensors.Entry
	for name, shape := range shapes {
		n, fan := 1, 1
		for i, d := range shape {
			n *= d
			if i > 0 {
				fan *= d
			}
		}
		middle, reach := 0.0, 0.3
		switch {
		case strings.HasSuffix(name, "num_batches_tracked"):
			entries = append(entries, safetensors.Int64(name, shape, make([]int64, n)))
			continue
		case strings.HasSuffix(name, "running_var"):
			middle, reach = 1, 0.5
		case len(shape) == 1 && strings.HasSuffix(name, "weight") || strings.Contains(name, "lambda1"):
			middle = 1
		case len(shape) == 1 || strings.Contains(name, "token") || strings.Contains(name, "position"):
		case len(shape) == 4:
			reach = math.Sqrt(6 / float64(fan))
		default:
			reach = math.Sqrt(3 / float64(fan))
		}
		entries = append(entries, safetensors.Float32(name, shape, Weights(name, n, middle, reach)))
	}
	return entries
}
