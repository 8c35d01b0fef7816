package metrics

import (
	"slices"
	"testing"
)

func TestWindowsHoldEverySampleAndMixClasses(t *testing.T) {
	for _, c := range []struct{ n, m, classes int }{{10, 10, 3}, {1000, 360, 10}, {7, 3, 2}, {360, 359, 10}, {5, 1, 1}} {
		labels := make([]int32, c.n)
		total := make([]int, c.classes)
		for i := range labels {
			labels[i] = int32(i * c.classes / c.n) // class after class
			total[labels[i]]++
		}
		sets := windows(c.n, c.m, labels, 1)
		if want := (c.n + c.m - 1) / c.m; len(sets) != want {
			t.Errorf("%v: %d sets, want %d", c, len(sets), want)
		}
		held := make([]int, c.n)
		for _, set := range sets {
			if len(set) != c.m {
				t.Errorf("%v: a set of %d", c, len(set))
			}
			count := make([]int, c.classes)
			for _, i := range set {
				held[i]++
				count[labels[i]]++
			}
			for k, got := range count {
				// The i-th of a class stands at (i+½)/c of the way: a run of the order, also around
				// its end, holds the class's share to within 2.
				if want := float64(total[k]) * float64(c.m) / float64(c.n); float64(got) < want-2 || float64(got) > want+2 {
					t.Errorf("%v: class %d has %d in a set, its share is %.1f", c, k, got, want)
				}
			}
			slices.Sort(set)
			if len(slices.Compact(set)) != c.m {
				t.Errorf("%v: a sample twice in a set", c)
			}
		}
		if slices.Min(held) < 1 || slices.Max(held) > 2 {
			t.Errorf("%v: samples are used %d to %d times", c, slices.Min(held), slices.Max(held))
		}
		if c.n > 10 && slices.Equal(windows(c.n, c.m, labels, 2)[0], sets[0]) {
			t.Errorf("%v: another seed gives the same sets", c)
		}
	}
}
