package config

import (
	"slices"
	"strings"
)

// nearest is the candidate that a misspelt word most likely meant, "" when none
// is near: at most a third of its letters wrong (and always one).
func nearest(word string, candidates []string) string {
	if len(word) > 64 {
		return ""
	}
	best, bestD := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		d := distance(strings.ToLower(word), strings.ToLower(c))
		if len(word) > 2 && len(c) > 2 && (strings.HasPrefix(c, word) || strings.HasPrefix(word, c)) {
			d = min(d, 1) // "warm" means warmup, "learning" learning_rate
		}
		if d < bestD {
			best, bestD = c, d
		}
	}
	return best
}

// distance is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours, each 1 (Damerau 1964).
func distance(a, b string) int {
	ra, rb := []rune(a), []rune(b)
	prev2, prev, row := make([]int, len(rb)+1), make([]int, len(rb)+1), make([]int, len(rb)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(ra); i++ {
		row[0] = i
		for j := 1; j <= len(rb); j++ {
			cost := 1
			if ra[i-1] == rb[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && ra[i-1] == rb[j-2] && ra[i-2] == rb[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(rb)]
}

// choices ends a message with the likely meaning and the valid words.
func choices(word string, valid []string) string {
	if len(valid) == 0 {
		return "; nothing can be set here"
	}
	msg := ""
	if n := nearest(word, valid); n != "" {
		msg = "; did you mean " + n + "?"
	}
	sorted := slices.Clone(valid)
	slices.Sort(sorted)
	return msg + " (valid: " + strings.Join(sorted, ", ") + ")"
}
