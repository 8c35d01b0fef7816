package tensor_test

import (
	"testing"

	. "github.com/langevin-go/langevin/tensor"
)

// A tensor that is read by slices gets, at each element, one for each slice
// that has it, in whatever order they were made and whatever they leave out.
func TestGradientsOfSlices(t *testing.T) {
	type slice struct{ axis, start, end, step int }
	for name, slices := range map[string][]slice{
		"all, in order":       {{1, 0, 2, 1}, {1, 2, 4, 1}, {1, 4, 6, 1}},
		"all, from the back":  {{1, 4, 6, 1}, {1, 2, 4, 1}, {1, 0, 2, 1}},
		"the middle first":    {{1, 2, 4, 1}, {1, 0, 2, 1}, {1, 4, 6, 1}},
		"the middle last":     {{1, 0, 2, 1}, {1, 4, 6, 1}, {1, 2, 4, 1}},
		"a part":              {{1, 1, 2, 1}},
		"a part at an end":    {{1, 3, 6, 1}},
		"twice":               {{1, 4, 6, 1}, {1, 4, 6, 1}},
		"overlapping":         {{1, 2, 6, 1}, {1, 0, 4, 1}},
		"with steps":          {{1, 0, 6, 2}, {1, 1, 6, 2}},
		"one of two axes":     {{1, 0, 3, 1}, {0, 0, 1, 1}, {1, 3, 6, 1}},
		"nothing":             {{1, 3, 3, 1}},
		"nothing, then a bit": {{1, 6, 6, 1}, {1, 5, 6, 1}, {1, 0, 0, 1}},
	} {
		for _, whole := range []string{"", "before", "after"} {
			s := scope(t, Recording)
			x := s.Leaf(s.Full(1, 2, 6).Contiguous())
			want := make([]float64, 12)
			y := s.Full(0)
			add := func() {
				y = y.Add(x.Sum())
				for i := range want {
					want[i]++
				}
			}
			if whole == "before" {
				add()
			}
			for _, c := range slices {
				y = y.Add(x.SliceStep(c.axis, c.start, c.end, c.step).Sum())
				for i := c.start; i < c.end; i += c.step {
					for j := range 12 {
						if c.axis == 0 && j/6 == i || c.axis == 1 && j%6 == i {
							want[j]++
						}
					}
				}
			}
			if whole == "after" {
				add()
			}
			if d := maxDifference(s.GradOf(y, GradOptions{}, x)[0].Float64s(), want); d != 0 {
				t.Errorf("%s, the whole %q: got %v, want %v", name, whole, x, want)
			}
		}
	}
}
