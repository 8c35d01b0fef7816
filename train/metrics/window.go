package metrics

import (
	"cmp"
	"slices"

	"github.com/langevin-go/langevin/tensor/rng"
)

// streamWindow are the random numbers that choose which samples are compared together.
const streamWindow = 0x57490000

// windows cuts n samples into as few sets of m ≤ n as hold every sample: runs of a
// random order, the last from its start again if it must. The order mixes the labels (nil: one for all)
// evenly, so that each set has nearly the proportions of the whole.
func windows(n, m int, labels []int32, seed uint64) [][]int {
	order := mixed(n, labels, seed)
	var sets [][]int
	for at := 0; at < n; at += m {
		set := make([]int, m)
		for i := range set {
			set[i] = order[(at+i)%n]
		}
		sets = append(sets, set)
	}
	return sets
}

// mixed is a random order of 0…n−1 in which the i-th of a label's c samples
// stands about (i+½)/c of the way through.
func mixed(n int, labels []int32, seed uint64) []int {
	order := permutation(n, rng.Key{Seed: seed, Stream: streamWindow})
	if labels == nil {
		return order
	}
	count := map[int32]int{}
	for _, l := range labels {
		count[l]++
	}
	seen := map[int32]int{}
	place := make([]float64, n)
	for _, i := range order {
		l := labels[i]
		place[i] = (float64(seen[l]) + 0.5) / float64(count[l])
		seen[l]++
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(place[a], place[b]) })
	return order
}
